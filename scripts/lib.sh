# Shared by the scripts: where the repository is, and installing what is missing. Source it.
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cache="${MNN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mnn-toolbox}"

# Debian's own Python: the one its packages (python3-pil, python3-pip) belong to.
python=/usr/bin/python3

say() { printf '== %s\n' "$*" >&2; }

# install_packages NAME…: apt-get install of those that are not installed; nothing when all are.
install_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^ii' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local sudo=""
  [ "$(id -u)" -eq 0 ] || sudo="sudo"
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # A package list may be there and current; only when the install fails is it fetched anew.
  if ! $sudo apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
    $sudo apt-get -o DPkg::Lock::Timeout=600 update >/dev/null
    $sudo apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${missing[@]}" >/dev/null
  fi
}

# packages_of FILE: the names in it, comments left out.
packages_of() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1"; }
