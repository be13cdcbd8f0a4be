#!/usr/bin/env bash
# The peers that tests talk to: PostgreSQL, Redis, SIPp, Chromium with Chinese letters, and an Asterisk unpacked without root.
# As root, where there is apt, what is missing is installed; otherwise it is named, and the tests that need it are skipped (or
# fail, where LINGXI_REQUIRE_PEERS=1). It starts no server: tests start their own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. config/setup/say.sh

has() { command -v "$1" >/dev/null; }
has_postgres() { has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
has_letters() { has fc-list && [ -n "$(fc-list :lang=zh-cn family 2>/dev/null | head -n 1)" ]; }

is_offered() {
  local policy described
  policy=$(in_english apt-cache policy "$1" 2>/dev/null) described=$(in_english apt-cache show "$1" 2>/dev/null || true)
  [[ $policy =~ Candidate:\ [0-9] && ! ${described,,} =~ snap\ package|transitional ]]
}

missing=()
has redis-server || missing+=(redis-server)
has_postgres || missing+=(postgresql)
has sipp || missing+=(sip-tester)
has chromium || has chromium-browser || has google-chrome || missing+=(chromium)
has_letters || missing+=(fonts-noto-cjk fontconfig)
has setpriv || missing+=(util-linux)

if [ "${#missing[@]}" != 0 ]; then
  if [ "$(id -u)" = 0 ] && has apt-get; then
    apt-get update -q >/dev/null 2>&1 || true
    offered=() absent=()
    for package in "${missing[@]}"; do
      if is_offered "$package"; then offered+=("$package"); else absent+=("$package"); fi
    done
    [ "${#offered[@]}" = 0 ] || install_packages "${offered[@]}"
    # Ubuntu, for one, has Chromium as a snap only, which headless tests can't use.
    [ "${#absent[@]}" = 0 ] || tell "This system's apt does not offer: {packages}. Their tests are skipped." packages="${absent[*]}"
  else
    tell 'Not on this machine, so their tests are skipped: {packages}. This installs them:' packages="${missing[*]}"
    printf '  sudo %s\n' "$(install_line "${missing[@]}")"
  fi
fi

.venv/bin/python -m config.setup.pbx || [ "${LINGXI_REQUIRE_PEERS:-}" != 1 ]
