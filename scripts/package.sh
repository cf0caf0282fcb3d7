#!/usr/bin/env bash
# Builds what is handed out, into dist/: a tarball that runs from any folder of any x86-64 Linux with
# glibc 2.36 or later (every other library lies in its lib/), and a Debian package.
#   --check   also unpacks a bare Debian 12, installs either there and runs it (root, debootstrap)
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
check=false
case "${1:-}" in
  "") ;;
  --check) check=true ;;
  *) echo "usage: scripts/package.sh [--check]" >&2; exit 2 ;;
esac
"$root/scripts/build.sh" release --target apps man >/dev/null
install_packages dpkg-dev file
dist="$root/dist"
mkdir -p "$dist"
version="$(sed -n 's/^project(.* VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")"
arch="$(uname -m)"
name="mnn-toolbox-$version-linux-$arch"
stage="$(mktemp -d)"
trap 'rm -rf "$stage"' EXIT

say "tarball"
cmake --install "$root/build/release" --prefix "$stage/$name" --strip >/dev/null
lib="$(dirname "$(find "$stage/$name" -name 'libmnn_toolbox.so.*' -type f | head -1)")"
# All it needs but the C and C++ runtime, which a system has in its own version.
for program in "$stage/$name"/bin/* "$lib"/libmnn_toolbox.so.*; do
  LD_LIBRARY_PATH="$lib" ldd "$program" | awk '$2 == "=>" && $3 ~ /^\// {print $3}'
done | sort -u | grep -Ev '/(libc|libm|libpthread|libdl|librt|libstdc\+\+|libgcc_s|libmnn_toolbox)\.so' |
  while read -r file; do cp -L "$file" "$lib/$(basename "$file")"; done
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$stage" -czf "$dist/$name.tar.gz" "$name"

say "Debian package"
(cd "$root/build/release" && cpack -G DEB -B "$stage/deb" >/dev/null)
rm -f "$dist"/mnn-toolbox_*.deb
cp "$stage"/deb/*.deb "$dist/"
du -sh "$stage/$name" | cut -f1 | sed 's/^/unpacked: /'
ls -l "$dist"
if $check; then "$root/scripts/check_package.sh" "$dist"; fi
