#!/usr/bin/env bash
# Installs what is missing, builds the release preset and runs every test but those labelled slow.
# Backends for devices are tested on drivers that compute on the CPU, where those can be had.
#   --slow   also the slow ones
#   -R NAME  only tests whose name matches
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
selection=(-LE slow)
while [ $# -gt 0 ]; do
  case "$1" in
    --slow) selection=() ;;
    -R) selection+=(-R "$2"); shift ;;
    *) echo "usage: scripts/test.sh [--slow] [-R NAME]" >&2; exit 2 ;;
  esac
  shift
done
while read -r backend packages; do
  read -ra packages <<<"$packages"
  install_packages "${packages[@]}" || say "skipped: tests of the backend $backend: its driver cannot be installed"
done < <(packages_of "$root/scripts/device_packages.txt")
"$root/scripts/build.sh" release
cd "$root/build/release"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
status=0
ctest --output-on-failure -j "$(nproc)" --no-tests=error "${selection[@]}" | tee "$log" || status=$?
# ctest's own summary, in a line that any machine reads.
awk -F'[ ,]+' '/tests passed, .* tests failed out of/ {
  failed = $0; sub(/.*passed, /, "", failed); sub(/ tests failed.*/, "", failed)
  total = $NF; print total - failed " passed, " failed " failed" }' "$log"
exit "$status"
