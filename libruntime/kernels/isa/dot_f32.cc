// Products with a handful of columns: registers run along k, so that no lane is idle, and each sum
// is folded at the end.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {
namespace {

constexpr int kRowsOfOne = 8, kRowsOfMany = 4;  // rows of a tile with one column, and with more

static MNN_INLINE float lane_sum(VF v) {
  alignas(64) float t[kLanes];
  store(t, v);
#pragma GCC unroll 8
  for (int half = kLanes / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
    for (int i = 0; i < half; ++i) t[i] += t[i + half];
  }
  return t[0];
}

template <int kRows, int kColumns>
void tile(const TileF32& t) {
  VF acc[kRows][kColumns] = {};
  const float* w = t.w;
  const float* const* a = t.a;
  const int64_t whole = t.k / kLanes * kLanes, column = t.w_stride;
  const int rest = static_cast<int>(t.k - whole);
  for (int64_t tap = 0; tap < t.taps; ++tap, a += t.a_tap_stride) {
    const float* row[kRows];
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) row[m] = a[m];
    for (int64_t k = 0; k < whole; k += kLanes, w += kLanes) {
      VF b[kColumns];
#pragma GCC unroll 16
      for (int n = 0; n < kColumns; ++n) b[n] = load(w + n * column);
#pragma GCC unroll 16
      for (int m = 0; m < kRows; ++m) {
        const VF x = load(row[m] + k);
#pragma GCC unroll 16
        for (int n = 0; n < kColumns; ++n) acc[m][n] = madd(x, b[n], acc[m][n]);
      }
    }
    if (rest == 0) continue;
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) {
      const VF x = load_tail(row[m] + whole, rest);
#pragma GCC unroll 16
      for (int n = 0; n < kColumns; ++n) acc[m][n] = madd(x, load(w + n * column), acc[m][n]);
    }
    w += kLanes;
  }
  for (int m = 0; m < kRows; ++m) {
    for (int n = 0; n < kColumns; ++n) {
      const int64_t at = t.y_offset[m] + n;
      float v = lane_sum(acc[m][n]) + t.bias[n];
      if (t.residual) v += t.residual[at];
      v = v > t.low ? v : t.low;
      t.y[at] = v < t.high ? v : t.high;
    }
  }
}

template <int kColumns>
void run(TileF32 t, int64_t rows) {
  constexpr int kRows = kColumns == 1 ? kRowsOfOne : kRowsOfMany;
  for (; rows >= kRows; rows -= kRows, t.a += kRows, t.y_offset += kRows) tile<kRows, kColumns>(t);
  for (; rows > 0; --rows, ++t.a, ++t.y_offset) tile<1, kColumns>(t);
}

void dot(const TileF32& t, int64_t rows) {
  switch (t.n) {
    case 1: return run<1>(t, rows);
    case 2: return run<2>(t, rows);
    default: return run<3>(t, rows);
  }
}

}  // namespace

void fill_dot_f32(KernelTable& table) { table.dot_f32 = dot; }

}  // namespace mnn::MNN_ISA
