#!/usr/bin/env bash
# install_test.sh BUILD MODEL CXX: installs the build into a scratch folder, moves it, and compiles
# and runs embed.cc with what pkg-config says of it.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cmake --install "$1" --prefix "$work/first" --strip >/dev/null
mv "$work/first" "$work/moved"
pc="$(dirname "$(find "$work/moved" -name mnn-toolbox.pc)")"
export PKG_CONFIG_PATH="$pc"
# shellcheck disable=SC2046
"$3" "$here/embed.cc" $(pkg-config --cflags --libs mnn-toolbox) -o "$work/embed"
LD_LIBRARY_PATH="$(dirname "$pc")" "$work/embed" "$2" | tee "$work/out"
grep -q 'f32\[' "$work/out"
"$work/moved/bin/mnn" run "$2" --random 1 >/dev/null
test -f "$work/moved/share/doc/mnn-toolbox/LICENSE" -a -f "$work/moved/share/doc/mnn-toolbox/NOTICE"
bytes="$(du -sb "$work/moved/bin" "$work/moved/lib" | awk '{s += $1} END {print s}')"
echo "programs and library: $bytes bytes"
test "$bytes" -lt 30000000
