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

static void transpose_words(const uint32_t* x, uint32_t* y, int64_t rows, int64_t cols, int64_t xs,
                            int64_t ys) {
  const int64_t full_rows = rows / 4 * 4, full_cols = cols / 4 * 4;
  // Bands of 32 columns of x: their rows of y stay in the first cache level.
  for (int64_t band = 0; band < full_cols; band += 32) {
    const int64_t band_end = band + 32 < full_cols ? band + 32 : full_cols;
    for (int64_t r = 0; r < full_rows; r += 4) {
      for (int64_t c = band; c < band_end; c += 4) tile4(x + r * xs + c, y + c * ys + r, xs, ys);
    }
  }
  transpose_plain(x + full_cols, y + full_cols * ys, full_rows, cols - full_cols, xs, ys);
  transpose_plain(x + full_rows * xs, y + full_rows, rows - full_rows, cols, xs, ys);
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
