#!/usr/bin/env bash
# Runs what scripts/package.sh made on a bare Debian 12: check_package.sh [DIST]. Root; the minimal
# system is unpacked once and kept in the cache.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dist="$(cd "${1:-$root/dist}" && pwd)"
install_packages debootstrap
bare="$cache/bare-bookworm"
# The mirror this system uses, if it says one.
mirror="$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
  sed -n 's/^\(deb\|URIs:\)[^h]*\(http[^ ]*\).*/\2/p' | head -1 || true)"
if [ ! -f "$bare/.done" ]; then
  say "unpacking a bare Debian 12"
  rm -rf "$bare"
  debootstrap --variant=minbase --no-check-gpg bookworm "$bare" "${mirror:-http://deb.debian.org/debian}" >/dev/null
  touch "$bare/.done"
fi
work="$(mktemp -d)"
trap 'umount "$work/root/proc" 2>/dev/null; rm -rf "$work"' EXIT
cp -a "$bare" "$work/root"
mount -t proc proc "$work/root/proc"  # programs find their library by it
cp "$dist"/*.tar.gz "$dist"/*.deb "$work/root/tmp/"
cp "$root/tests/fuzz/seeds/onnx/conv.onnx" "$work/root/tmp/model.onnx"
# apt inside takes the files the outer system would.
cp -a /etc/apt/sources.list* /etc/apt/trusted.gpg.d /etc/apt/apt.conf.d "$work/root/etc/apt/" 2>/dev/null || true
cp /etc/resolv.conf "$work/root/etc/" 2>/dev/null || true
say "the tarball, in a folder of its own"
chroot "$work/root" bash -euc '
  mkdir -p /opt/some/where && tar -xzf /tmp/*.tar.gz -C /opt/some/where --strip-components=1
  bin=/opt/some/where/bin
  PATH=$bin:$PATH mnn --version
  for command in init convert quant export bench run compare diff report inspect completion; do
    $bin/mnn $command --help >/dev/null
  done
  $bin/mnn convert /tmp/model.onnx -o /tmp/model.mnn
  $bin/mnn run /tmp/model.mnn --random 1'
say "the Debian package"
chroot "$work/root" bash -euc '
  export DEBIAN_FRONTEND=noninteractive
  apt-get update >/dev/null
  apt-get install -y --no-install-recommends /tmp/*.deb >/dev/null
  mnn --version
  mnn convert /tmp/model.onnx -o /tmp/model.mnn
  mnn run /tmp/model.mnn --random 1
  mnn quant --help >/dev/null
  test -f /usr/share/man/man1/mnn-quant.1.gz -o -f /usr/share/man/man1/mnn-quant.1'
say "both run"
