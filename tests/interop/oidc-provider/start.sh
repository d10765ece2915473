#!/bin/sh
# Installs oidc-provider, once, and starts it: ./start.sh [--port 3000] [--path /tenant] [--certificate PEM --key PEM]
set -eu
cd "$(dirname "$0")"
. ../install.sh
install package-lock.json npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
exec node --no-warnings --preserve-symlinks-main "$installed/server.mjs" "$@"
