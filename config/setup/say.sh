# What set-up says when something is missing: one clear sentence, then the way out. Sourced by the other scripts of this folder;
# it changes nothing on the machine.

tell() { printf '%s\n' "$*"; }

# stop SENTENCE WAY_OUT: say both and end.
stop() {
  printf '\n%s\n' "$1" >&2
  [ -n "${2:-}" ] && printf '  %s\n' "$2" >&2
  exit 1
}

# explain LOG WHAT: say in one sentence why WHAT failed, by what the program wrote into LOG, and end.
explain() {
  local log=$1 what=$2
  if grep -qiE 'no space left|ENOSPC|disk quota exceeded' "$log"; then
    stop "There is no space left for $what." "Free some (df -h . shows how much there is), then run make again: what is done stays done."
  elif grep -qE 'THESE PACKAGES DO NOT MATCH THE HASHES|EINTEGRITY' "$log"; then
    stop "${what^} came, but not as locked: the files differ from the recorded hashes." \
      "Nothing was installed. Ask the mirror's keeper, or try another; do not switch the check off."
  elif grep -qiE 'failed to establish a new connection|name resolution|name or service not known|network is unreachable|connection (refused|reset|timed out)|read timed out|ConnectTimeout|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|Temporary failure resolving|Could not connect to|Tunnel connection failed|ProxyError|cannot connect to proxy|NewConnectionError|Max retries exceeded|SSLError|certificate verify failed' "$log"; then
    stop "The package server can't be reached, so $what could not be fetched." \
      "See to the connection, or name your proxy in HTTPS_PROXY or your mirror in pip's and npm's own settings; then run make again: what is done stays done."
  elif grep -qE 'No matching distribution found|Could not find a version' "$log"; then
    stop "The package server has $what in no version that fits this Python ($("${PYTHON:-python3}" -V 2>&1), $(uname -m))." \
      "Supported are Python 3.11 and later on x86-64: name another one, as in make run PYTHON=/usr/bin/python3.12"
  elif grep -qiE 'permission denied|EACCES|read-only file system' "$log"; then
    stop "This user may not write where $what belongs." "Take back the folder: chown -R \"\$(id -un)\" \"$PWD\", then run make again."
  fi
  tail -n 15 "$log" >&2
  stop "${what^} could not be installed; above are the last lines of $log." "Correct what they name, then run make again."
}

# packages_or_line PACKAGE…: install them where that may be done, else print the one line that does it, and end.
packages_or_line() {
  local line="apt-get install -y --no-install-recommends $*"
  if [ "$(id -u)" = 0 ] && [ -n "${CI:-}${LINGXI_INSTALL:-}" ] && command -v apt-get >/dev/null; then
    install_packages "$@"
  elif [ "$(id -u)" = 0 ]; then
    stop "Some programs are missing on this machine. This installs them:" "$line"
  else
    stop "Some programs are missing on this machine. This installs them, and needs root only this once:" "sudo $line"
  fi
}

# install_packages PACKAGE…: by apt, without questions and without starting servers.
install_packages() {
  local log
  log=$(mktemp)
  tell "Installing $* …"
  if ! { apt-get update -q || true; policy_quiet env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@"; } >"$log" 2>&1; then
    explain "$log" "$*"
  fi
  rm -f "$log"
}

# policy_quiet COMMAND…: run it while newly installed servers are kept from starting by themselves.
policy_quiet() {
  local policy=/usr/sbin/policy-rc.d made='' code=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made=yes
  fi
  "$@" || code=$?
  [ -n "$made" ] && rm -f "$policy"
  return "$code"
}
