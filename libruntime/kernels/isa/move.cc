// Transposes of small tiles.
#include "libruntime/kernels/isa/simd.h"
#include "libruntime/kernels/isa/vector_parts.h"

namespace mnn::MNN_ISA {
namespace {

typedef float F4 __attribute__((vector_size(16)));
typedef int32_t I4 __attribute__((vector_size(16)));

static MNN_INLINE F4 load4(const uint32_t* p) {
  F4 v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
static MNN_INLINE void store4(uint32_t* p, F4 v) { __builtin_memcpy(p, &v, sizeof(v)); }

static MNN_INLINE void tile4(const uint32_t* x, uint32_t* y, int64_t xs, int64_t ys) {
  const F4 a = load4(x), b = load4(x + xs), c = load4(x + 2 * xs), d = load4(x + 3 * xs);
  const F4 ab_low = __builtin_shuffle(a, b, I4{0, 4, 1, 5});
  const F4 ab_high = __builtin_shuffle(a, b, I4{2, 6, 3, 7});
  const F4 cd_low = __builtin_shuffle(c, d, I4{0, 4, 1, 5});
  const F4 cd_high = __builtin_shuffle(c, d, I4{2, 6, 3, 7});
  store4(y, __builtin_shuffle(ab_low, cd_low, I4{0, 1, 4, 5}));
  store4(y + ys, __builtin_shuffle(ab_low, cd_low, I4{2, 3, 6, 7}));
  store4(y + 2 * ys, __builtin_shuffle(ab_high, cd_high, I4{0, 1, 4, 5}));
  store4(y + 3 * ys, __builtin_shuffle(ab_high, cd_high, I4{2, 3, 6, 7}));
}

template <typename T>
static void transpose_plain(const T* x, T* y, int64_t rows, int64_t cols, int64_t xs, int64_t ys) {
  constexpr int64_t kTile = 16;
  for (int64_t r = 0; r < rows; r += kTile) {
    const int64_t r_end = r + kTile < rows ? r + kTile : rows;
    for (int64_t c = 0; c < cols; c += kTile) {
      const int64_t c_end = c + kTile < cols ? c + kTile : cols;
      for (int64_t j = c; j < c_end; ++j) {
        for (int64_t i = r; i < r_end; ++i) y[j * ys + i] = x[i * xs + j];
      }
    }
  }
}

// One side shorter than a tile, such as the three colours of an image.
template <int kRows>
static void transpose_short_rows(const uint32_t* x, uint32_t* y, int64_t cols, int64_t xs,
                                 int64_t ys) {
  for (int64_t j = 0; j < cols; ++j) {
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) y[j * ys + i] = x[i * xs + j];
  }
}
template <int kCols>
static void transpose_short_columns(const uint32_t* x, uint32_t* y, int64_t rows, int64_t xs,
                                    int64_t ys) {
  for (int64_t i = 0; i < rows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kCols; ++j) y[j * ys + i] = x[i * xs + j];
  }
}
static void transpose_short(const uint32_t* x, uint32_t* y, int64_t rows, int64_t cols, int64_t xs,
                            int64_t ys) {
  if (rows == 1) return transpose_short_rows<1>(x, y, cols, xs, ys);
  if (rows == 2) return transpose_short_rows<2>(x, y, cols, xs, ys);
  if (rows == 3) return transpose_short_rows<3>(x, y, cols, xs, ys);
  if (cols == 1) return transpose_short_columns<1>(x, y, rows, xs, ys);
  if (cols == 2) return transpose_short_columns<2>(x, y, rows, xs, ys);
  if (cols == 3) return transpose_short_columns<3>(x, y, rows, xs, ys);
}

// The side whose lines are far apart is passed over a whole cache line at a time: lines at a large
// power of two share a few places of the first cache level and would be gone at the next visit.
static void transpose_words(const uint32_t* x, uint32_t* y, int64_t rows, int64_t cols, int64_t xs,
                            int64_t ys) {
  constexpr int64_t kLine = 16;
  constexpr int64_t kBand = 32;  // lines of the other side that stay in that level
  const int64_t full_rows = rows / 4 * 4, full_cols = cols / 4 * 4;
  const bool far_y = ys >= xs;
  const int64_t row_step = far_y ? kLine : kBand, col_step = far_y ? kBand : kLine;
  for (int64_t r0 = 0; r0 < full_rows; r0 += row_step) {
    const int64_t r1 = r0 + row_step < full_rows ? r0 + row_step : full_rows;
    for (int64_t c0 = 0; c0 < full_cols; c0 += col_step) {
      const int64_t c1 = c0 + col_step < full_cols ? c0 + col_step : full_cols;
      if (far_y) {
        for (int64_t c = c0; c < c1; c += 4)
          for (int64_t r = r0; r < r1; r += 4) tile4(x + r * xs + c, y + c * ys + r, xs, ys);
      } else {
        for (int64_t r = r0; r < r1; r += 4)
          for (int64_t c = c0; c < c1; c += 4) tile4(x + r * xs + c, y + c * ys + r, xs, ys);
      }
    }
  }
  transpose_short(x + full_cols, y + full_cols * ys, full_rows, cols - full_cols, xs, ys);
  transpose_short(x + full_rows * xs, y + full_rows, rows - full_rows, cols, xs, ys);
}

void transpose(const void* x, void* y, int64_t rows, int64_t cols, int64_t xs, int64_t ys,
               int bytes) {
  switch (bytes) {
    case 1:
      return transpose_plain(static_cast<const uint8_t*>(x), static_cast<uint8_t*>(y), rows, cols,
                             xs, ys);
    case 2:
      return transpose_plain(static_cast<const uint16_t*>(x), static_cast<uint16_t*>(y), rows, cols,
                             xs, ys);
    case 4:
      return transpose_words(static_cast<const uint32_t*>(x), static_cast<uint32_t*>(y), rows, cols,
                             xs, ys);
    default:
      return transpose_plain(static_cast<const uint64_t*>(x), static_cast<uint64_t*>(y), rows, cols,
                             xs, ys);
  }
}

}  // namespace

void fill_move(VectorKernels& k) { k.transpose = transpose; }

void fill_vector(VectorKernels& k) {
  fill_elementwise(k);
  fill_reduce(k);
  fill_image(k);
  fill_move(k);
}

}  // namespace mnn::MNN_ISA
