// Which taps of a window meet the input.
#pragma once

#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {

// The taps [low, high) of one window that fall inside the input.
struct Taps {
  int64_t low, high;
};
static MNN_INLINE Taps inside(int64_t start, int64_t k, int64_t dilation, int64_t size) {
  int64_t low = 0, high = k;
  while (low < k && start + low * dilation < 0) ++low;
  while (high > low && start + (high - 1) * dilation >= size) --high;
  return {low, high};
}

}  // namespace mnn::MNN_ISA
