#!/bin/sh
# Installs @node-oauth/oauth2-server, once, and starts it: ./start.sh [--port 3000] [--certificate PEM --key PEM]
set -eu
cd "$(dirname "$0")"
. ../install.sh
install package-lock.json npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
exec node --preserve-symlinks-main "$installed/server.mjs" "$@"
