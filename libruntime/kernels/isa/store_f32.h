// How a tile of floats ends.
#pragma once

#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {

// Of the tile `t`, with y, y_offset, residual, low, high and n as TileF32 has them.
template <int kRows, int kVectors, typename Tile>
static MNN_INLINE void store_clamped(const VF (&acc)[kRows][kVectors], const Tile& t) {
  const VF low = splat(t.low), high = splat(t.high);
  if (t.n == kVectors * kLanes) {
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) {
      float* y = t.y + t.y_offset[m];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        VF x = acc[m][v];
        if (t.residual) x += load(t.residual + t.y_offset[m] + v * kLanes);
        store(y + v * kLanes, vmin(high, vmax(low, x)));
      }
    }
    return;
  }
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    float* y = t.y + t.y_offset[m];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const int64_t n = t.n - v * kLanes;
      if (n <= 0) break;
      VF x = acc[m][v];
      if (t.residual) x += load_part(t.residual + t.y_offset[m] + v * kLanes, n);
      store_part(y + v * kLanes, vmin(high, vmax(low, x)), n);
    }
  }
}

}  // namespace mnn::MNN_ISA
