#!/bin/sh
# Installs Authlib and Flask, once, and starts a server of them: ./start.sh [--port 3000] [--certificate PEM --key PEM]
set -eu
cd "$(dirname "$0")"
. ../install.sh
install requirements.txt python3 -m pip install --quiet --require-hashes --only-binary :all: --no-deps \
    --disable-pip-version-check --root-user-action ignore --target packages -r requirements.txt
PYTHONPATH="$installed/packages" PYTHONDONTWRITEBYTECODE=1 exec python3 server.py "$@"
