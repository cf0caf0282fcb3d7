#!/usr/bin/env bash
# On a machine with a GPU: runs every operator case and the tests of device backends on the devices
# there are, then times models on the CPU and on each device: scripts/check_gpu.sh [MODEL…].
# Builds what is needed, but installs no driver. Fails where no device computed anything.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
"$root/scripts/build.sh" release --target ops_test gpu_test quantized_test mnn mnn-bench
bin="$root/build/release/bin"
cases="$(MNN_OPS_ON=devices "$bin/ops_test" --gtest_filter='Ops/*' --gtest_brief=1)" || { echo "$cases"; exit 1; }
echo "$cases"
"$bin/gpu_test" --gtest_brief=1
"$bin/quantized_test" --gtest_brief=1
present=()
for backend in opencl vulkan; do
  grep -q "^skipped: backend $backend:" <<<"$cases" || present+=("$backend")
done
if [ ${#present[@]} -eq 0 ]; then
  say "no device is here"
  exit 1
fi
for model in "$@"; do
  "$bin/mnn" bench "$model" --backend "cpu,$(IFS=,; echo "${present[*]}")"
done
