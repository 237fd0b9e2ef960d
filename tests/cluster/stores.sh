#!/bin/sh
# A server of objects on loopback, for tests.
#   stores.sh moto FOLDER PORT      moto's S3 (PyPI): heeds If-None-Match
#   stores.sh s3rver FOLDER PORT    s3rver (npm): does not
# Installs into FOLDER, which may be used again; ends with 3 where that is not possible.
set -eu
kind=$1
folder=$2
port=$3
mkdir -p "$folder"
cannot() { echo "$kind cannot be had: $1" >&2; exit 3; }

case $kind in
  moto)
    python=$folder/moto/bin/python
    if ! "$python" -c 'import moto.server' 2>/dev/null; then
      python3 -m venv "$folder/moto" >/dev/null 2>&1 || cannot "python3 has no venv"
      "$python" -m pip install -q --disable-pip-version-check 'moto[server]' >&2 || cannot "pip fails"
    fi
    exec "$folder/moto/bin/moto_server" -H 127.0.0.1 -p "$port"
    ;;
  s3rver)
    command -v npm >/dev/null || cannot "npm is not installed"
    if [ ! -d "$folder/node_modules/s3rver" ]; then
      (cd "$folder" && npm install --silent --no-audit --no-fund s3rver >&2) || cannot "npm fails"
    fi
    exec node "$folder/node_modules/s3rver/bin/s3rver.js" -a 127.0.0.1 -p "$port" -d "$folder/data-$port" \
      --configure-bucket dpx
    ;;
  *) echo "unknown server: $kind" >&2; exit 2 ;;
esac
