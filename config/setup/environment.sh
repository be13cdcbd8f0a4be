#!/usr/bin/env bash
# Makes what `make run` (argument: run) or the tests (argument: dev) need in this folder: the virtual environment with the locked
# Python packages, and the browser's libraries. What is done is stamped, so that the next time costs nothing. It touches nothing
# outside this folder, except where missing programs may be installed (say.sh), and starts nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. config/setup/say.sh

kind=${1:-run}
space_needed_mb=1500

find_python() {
  local name
  for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
}

# The programs that must be there before anything can be fetched; all that are missing are named at once.
need_programs() {
  local missing=() version
  python=$(find_python)
  if [ -z "$python" ] && command -v python3 >/dev/null; then
    version=$(python3 -V 2>&1 | cut -d' ' -f2)
    stop 'The Python here is {version}; Lingxi needs 3.11 or later.' \
      'Debian 12 and Ubuntu 24.04 have one. Or install another beside it and name it: make run PYTHON=python3.12' version="$version"
  fi
  [ -n "$python" ] || missing+=(python3 python3-venv)
  if [ -n "$python" ] && [ ! -x .venv/bin/python ] && ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    missing+=("$(basename "$("$python" -c 'import sys; print(f"python3.{sys.version_info[1]}-venv")')")")
  fi
  if [ -f package.json ]; then
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
  fi
  if [ "${#missing[@]}" != 0 ]; then
    packages_or_line "${missing[@]}"
    python=$(find_python)
  fi
  if [ -f package.json ] && ! node -e 'process.exit(process.versions.node.split(".")[0] < 18 ? 1 : 0)' 2>/dev/null; then
    version=$(node --version)
    stop "The Node here is {version}; Lingxi needs 18 or later to build the browser's libraries. This installs it:" \
      "$(install_line nodejs npm)" version="$version"
  fi
}

need_space() {
  local free_mb
  free_mb=$(df -Pm . | awk 'NR == 2 { print $4 }')
  if [ "${free_mb:-$space_needed_mb}" -lt "$space_needed_mb" ]; then
    stop 'There are {free} MB free here; the first set-up needs {needed}.' \
      'Free some space, or move the checkout to a larger disk.' free="$free_mb" needed="$space_needed_mb"
  fi
}

stamp_of() { printf '%s\n' "$(cat "$@" | sha256sum | cut -d' ' -f1) $PWD"; }

# Whether .venv has what the lock asks for. The development lock holds the other one, so a dev stamp serves both.
python_is_ready() {
  local dev
  .venv/bin/python -c '' 2>/dev/null && [ -x .venv/bin/lingxi ] || return 1
  dev=$(stamp_of requirements-dev.lock pyproject.toml)
  [ "$(cat .venv/.stamp-dev 2>/dev/null)" = "$dev" ] && return 0
  [ "$kind" = run ] && [ "$(cat .venv/.stamp-run 2>/dev/null)" = "$(stamp_of requirements.lock pyproject.toml)" ]
}

set_up_python() {
  local lock=requirements.lock log version
  [ "$kind" = run ] || lock=requirements-dev.lock
  python_is_ready && return
  log=$(mktemp)
  if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    need_space
    version=$("$python" -V)
    tell 'Making the virtual environment with {version} …' version="$version"
    in_english "$python" -m venv --clear .venv >"$log" 2>&1 || explain "$log" 'the virtual environment'
  fi
  rm -f .venv/.stamp-*
  tell 'Installing the locked Python packages …'
  in_english .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r "$lock" >"$log" 2>&1 \
    || explain "$log" 'the Python packages'
  in_english .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps -e . >"$log" 2>&1 || explain "$log" 'Lingxi itself'
  stamp_of "$lock" pyproject.toml >".venv/.stamp-$kind"
  rm -f "$log"
}

set_up_screens() {
  local log stamp
  [ -f package.json ] || return 0
  stamp=$(stamp_of package.json package-lock.json config/vendor/*)
  [ "$(cat node_modules/.stamp 2>/dev/null)" = "$stamp" ] && [ -d crm_core/web/static/vendor ] && return
  log=$(mktemp)
  tell 'Installing the locked libraries of the screens …'
  in_english npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >"$log" 2>&1 || explain "$log" 'the libraries of the screens'
  in_english node config/vendor/build.mjs >"$log" 2>&1 || explain "$log" 'the bundle of the screens'
  printf '%s\n' "$stamp" >node_modules/.stamp
  rm -f "$log"
}

[ -w . ] || stop 'This user may not write into {folder}.' 'Take it back: {line}, or check out a copy of your own.' \
  folder="$PWD" line="$(take_back)"
need_programs
set_up_python
set_up_screens
