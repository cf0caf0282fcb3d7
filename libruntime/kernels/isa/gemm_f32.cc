// The fp32 register tile. All accumulators live in one local array and every loop over it is
// unrolled, so the inner loop is loads of w, broadcasts of a and multiply-adds, nothing else.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/store_f32.h"

namespace mnn::MNN_ISA {
namespace {

#if defined(MNN_SIMD_GENERIC)
constexpr int kDepthUnroll = 1;
#else
constexpr int kDepthUnroll = 4;
#endif

template <int kRows, int kVectors>
void tile(const TileF32& t) {
  VF acc[kRows][kVectors];
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) acc[m][v] = load(t.bias + v * kLanes);

  const float* w = t.w;
  const float* const* a = t.a;
  const int64_t depth = t.k, w_stride = t.w_stride;
  for (int64_t tap = 0; tap < t.taps; ++tap, a += t.a_tap_stride) {
    const float* row[kRows];
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) row[m] = a[m] + t.a_offset;
#pragma GCC unroll kDepthUnroll
    for (int64_t k = 0; k < depth; ++k, w += w_stride) {
      VF b[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) b[v] = load(w + v * kLanes);
#pragma GCC unroll 16
      for (int m = 0; m < kRows; ++m) {
        const VF x = splat(row[m][k]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) acc[m][v] = madd(x, b[v], acc[m][v]);
      }
    }
  }

  store_clamped<kRows, kVectors>(acc, t);
}

template <int kVectors, int kRows>
void fill_rows(KernelTable& table) {
  table.tile_f32[kVectors][kRows] = tile<kRows, kVectors>;
  if constexpr (kRows > 1) fill_rows<kVectors, kRows - 1>(table);
}

template <int kVectors, int kRows>
void fill_width(KernelTable& table) {
  table.rows_f32[kVectors] = kRows;
  fill_rows<kVectors, kRows>(table);
}

void add(const float* x, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, load(y + i) + load(x + i));
  for (; i < n; ++i) y[i] += x[i];
}

}  // namespace

// Tiles of few rows are wide, so that there are enough independent sums to hide the latency of a
// multiply-add.
void fill_gemm_f32(KernelTable& table) {
  fill_width<8, 1>(table);
#if MNN_VECTOR_BYTES == 64
  table.vectors_f32 = 4;
  fill_width<4, 6>(table);
  fill_width<3, 8>(table);
  fill_width<2, 12>(table);
  fill_width<1, 12>(table);
#else
  table.vectors_f32 = 2;
  fill_width<4, 3>(table);
  fill_width<3, 3>(table);
  fill_width<2, 6>(table);
  fill_width<1, 10>(table);
#endif
  fill_width<7, 1>(table);
  fill_width<6, 1>(table);
  fill_width<5, 1>(table);
  table.add_f32 = add;
}

}  // namespace mnn::MNN_ISA
