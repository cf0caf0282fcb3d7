#!/usr/bin/env bash
# Fuzzes every parser with libFuzzer under the address and undefined-behaviour sanitizers.
#   fuzz.sh [--seconds N (default 60)] [TARGET…]   targets: text, mnn, graph, npy, onnx
# Corpora grow in build/fuzz/corpus/TARGET; a finding is written to build/fuzz/findings and fails.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
seconds=60
targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds="${2:?--seconds needs a number}"; shift ;;
    -*) echo "usage: scripts/fuzz.sh [--seconds N] [TARGET…]" >&2; exit 2 ;;
    *) targets+=("$1") ;;
  esac
  shift
done
[ ${#targets[@]} -gt 0 ] || targets=(text mnn graph npy onnx)
mapfile -t packages < <(packages_of "$root/scripts/packages.txt")
install_packages "${packages[@]}" clang
cd "$root"
say "building the fuzz targets"
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target "${targets[@]/#/fuzz_}"
mkdir -p build/fuzz/findings
for target in "${targets[@]}"; do
  corpus="build/fuzz/corpus/$target"
  mkdir -p "$corpus"
  seeds=()
  for folder in "tests/fuzz/seeds/$target" "tests/data/$target"; do
    [ -d "$folder" ] && seeds+=("$folder")
  done
  say "fuzzing $target for $seconds s"
  "build/fuzz/bin/fuzz_$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/findings/$target-" \
    "$corpus" "${seeds[@]}"
done
say "no finding"
