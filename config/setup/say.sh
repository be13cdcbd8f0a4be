# What set-up says when something is missing: one clear sentence, then the way out. Sourced by the other scripts of this folder;
# it changes nothing on the machine. Sentences are written in English, with {NAME} where something is filled in; their Chinese
# stands in the catalogue of the program, which is read as it is. Callers stand in the top folder.

catalogue=crm_core/locale/zh_CN.po

# told MESSAGE [NAME=VALUE…]: the message in the language of the terminal (as config/tongue.py finds it), filled in.
told() {
  local text=$1 pair name
  shift
  case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in
    [zZ][hH]*) text=$(in_chinese "$text") ;;
  esac
  for pair in "$@"; do
    name={${pair%%=*}}
    text=${text//"$name"/"${pair#*=}"}
  done
  printf '%s\n' "$text"
}

# in_chinese MESSAGE: what the catalogue has for it, the message itself where it has nothing.
in_chinese() {
  MESSAGE=$1 awk '
    function said(line) {
      sub(/^[a-z]* "/, "", line)
      sub(/"$/, "", line)
      gsub(/\\"/, "\"", line)
      return line
    }
    /^msgid / { id = said($0) }
    /^msgstr / && id == ENVIRON["MESSAGE"] { text = said($0) }
    END { print (text == "" ? ENVIRON["MESSAGE"] : text) }
  ' "$catalogue" 2>/dev/null || printf '%s\n' "$1"
}

# tell MESSAGE [NAME=VALUE…]: say what is going on.
tell() { told "$@"; }

# stop MESSAGE WAY_OUT [NAME=VALUE…]: say both and end. The way out may be a line to type.
stop() {
  local message=$1 way_out=$2
  shift 2
  {
    printf '\n'
    told "$message" "$@"
    printf '  %s\n' "$(told "$way_out" "$@")"
  } >&2
  exit 1
}

# in_english COMMAND…: run it so that it complains in the words that `explain` knows.
in_english() { LC_ALL=C.UTF-8 "$@"; }

# explain LOG WHAT: say in one sentence why WHAT failed, by what the program wrote into LOG, and end.
explain() {
  local log=$1 what python
  what=$(told "$2")
  if grep -qiE 'no space left|ENOSPC|disk quota exceeded' "$log"; then
    stop 'There is no space left for {what}.' \
      'Free some (df -h . shows how much there is), then run make again: what is done stays done.' what="$what"
  elif grep -qE 'THESE PACKAGES DO NOT MATCH THE HASHES|EINTEGRITY' "$log"; then
    stop 'What came as {what} is not what was locked: the files differ from the recorded hashes.' \
      "Nothing was installed. Ask the mirror's keeper, or try another; do not switch the check off." what="$what"
  elif grep -qiE 'failed to establish a new connection|name resolution|name or service not known|network is unreachable|connection (refused|reset|timed out)|read timed out|ConnectTimeout|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|Temporary failure resolving|Could not connect to|Tunnel connection failed|ProxyError|cannot connect to proxy|NewConnectionError|Max retries exceeded|SSLError|certificate verify failed' "$log"; then
    stop "The package server can't be reached, so {what} could not be fetched." \
      "See to the connection, or name your proxy in HTTPS_PROXY or your mirror in pip's and npm's own settings; then run make again: what is done stays done." what="$what"
  elif grep -qE 'No matching distribution found|Could not find a version' "$log"; then
    python="$("${PYTHON:-python3}" -V 2>&1), $(uname -m)"
    stop 'The package server has {what} in no version that fits this Python ({python}).' \
      'Supported are Python 3.11 and later on x86-64: name another one, as in make run PYTHON=/usr/bin/python3.12' \
      what="$what" python="$python"
  elif grep -qiE 'permission denied|EACCES|read-only file system' "$log"; then
    stop 'This user may not write where {what} belongs.' 'Take back the folder: {line}, then run make again.' \
      what="$what" line="$(take_back)"
  fi
  tail -n 15 "$log" >&2
  stop 'Installing {what} failed; above are the last lines of {log}.' 'Correct what they name, then run make again.' \
    what="$what" log="$log"
}

# Lines to type: how a folder is taken back from another user, and how packages are installed.
take_back() { printf 'chown -R "$(id -un)" "%s"\n' "$PWD"; }
install_line() { printf 'apt-get install -y --no-install-recommends %s\n' "$*"; }

# packages_or_line PACKAGE…: install them where that may be done, else print the one line that does it, and end.
packages_or_line() {
  if [ "$(id -u)" = 0 ] && [ -n "${CI:-}${LINGXI_INSTALL:-}" ] && command -v apt-get >/dev/null; then
    install_packages "$@"
  elif [ "$(id -u)" = 0 ]; then
    stop 'Some programs are missing on this machine. This installs them:' "$(install_line "$@")"
  else
    stop 'Some programs are missing on this machine. This installs them, and needs root only this once:' "sudo $(install_line "$@")"
  fi
}

# install_packages PACKAGE…: by apt, without questions and without starting servers.
install_packages() {
  local log
  log=$(mktemp)
  tell 'Installing {what} …' what="$*"
  if ! { in_english apt-get update -q || true; DEBIAN_FRONTEND=noninteractive policy_quiet in_english apt-get install -y -q --no-install-recommends "$@"; } >"$log" 2>&1; then
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
