#!/usr/bin/env bash
# The gate before a commit lands: format, warnings as errors, include layers, tests, sanitizers.
#   --slow  also fuzzing with libFuzzer (installs clang) and the tests labelled slow
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
slow=""
[ "${1:-}" = "--slow" ] && slow="--slow"
install_packages clang-format clang-tidy
cd "$root"
say "format"
git ls-files '*.cc' '*.h' | xargs clang-format --dry-run -Werror
"$root/scripts/test.sh" $slow
say "clang-tidy on what changed"
changed="$(git diff --name-only --diff-filter=d HEAD~1 -- '*.cc' 2>/dev/null || true)"
[ -z "$changed" ] || clang-tidy -p build/release --quiet $changed
say "address and undefined-behaviour sanitizers"
"$root/scripts/build.sh" asan-ubsan
(cd build/asan-ubsan && ctest --output-on-failure -j "$(nproc)" -LE slow)
if [ -n "$slow" ]; then
  install_packages clang
  "$root/scripts/fuzz.sh"
fi
say "all good"
