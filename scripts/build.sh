#!/usr/bin/env bash
# Installs what is missing and builds: scripts/build.sh [preset] [cmake --build arguments].
# Presets: release (default), debug, asan-ubsan, tsan, fuzz. Executables land in build/<preset>/bin.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
preset="${1:-release}"
[ $# -gt 0 ] && shift
mapfile -t packages < <(packages_of "$root/scripts/packages.txt")
install_packages "${packages[@]}"
cd "$root"
say "building the preset $preset"
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" "$@"
