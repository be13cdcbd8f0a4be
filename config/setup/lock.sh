#!/usr/bin/env bash
# Locks the Python packages anew: names, versions and hashes, no addresses. The tool that does it comes into a throwaway folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install -q --disable-pip-version-check uv
lock() {
  "$folder/bin/uv" pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
    pyproject.toml "$@"
}
lock -o requirements.lock
lock --group dev -o requirements-dev.lock
