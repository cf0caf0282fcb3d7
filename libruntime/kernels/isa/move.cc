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

typedef uint8_t B16 __attribute__((vector_size(16)));
typedef uint16_t W8 __attribute__((vector_size(16)));
typedef uint32_t D4 __attribute__((vector_size(16)));
typedef uint64_t Q2 __attribute__((vector_size(16)));

static MNN_INLINE B16 load16(const uint8_t* p) {
  B16 v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
static MNN_INLINE void store16(uint8_t* p, B16 v) { __builtin_memcpy(p, &v, sizeof(v)); }
static MNN_INLINE B16 load8(const uint8_t* p) {
  uint64_t bytes;
  __builtin_memcpy(&bytes, p, sizeof(bytes));
  return reinterpret_cast<B16>(Q2{bytes, 0});
}

static MNN_INLINE B16 low_bytes(B16 a, B16 b) {
  return __builtin_shuffle(a, b, B16{0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23});
}
static MNN_INLINE B16 high_bytes(B16 a, B16 b) {
  return __builtin_shuffle(a, b, B16{8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31});
}
static MNN_INLINE W8 low_words(B16 a, B16 b) {
  return __builtin_shuffle(reinterpret_cast<W8>(a), reinterpret_cast<W8>(b),
                           W8{0, 8, 1, 9, 2, 10, 3, 11});
}
static MNN_INLINE W8 high_words(B16 a, B16 b) {
  return __builtin_shuffle(reinterpret_cast<W8>(a), reinterpret_cast<W8>(b),
                           W8{4, 12, 5, 13, 6, 14, 7, 15});
}

// Eight rows and columns of bytes.
static MNN_INLINE void tile8(const uint8_t* x, uint8_t* y, int64_t xs, int64_t ys) {
  B16 pairs[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    pairs[i] = low_bytes(load8(x + 2 * i * xs), load8(x + (2 * i + 1) * xs));
  const W8 fours[4] = {low_words(pairs[0], pairs[1]), low_words(pairs[2], pairs[3]),
                       high_words(pairs[0], pairs[1]), high_words(pairs[2], pairs[3])};
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const auto a = reinterpret_cast<D4>(fours[i / 2 * 2]);
    const auto b = reinterpret_cast<D4>(fours[i / 2 * 2 + 1]);
    const auto columns = reinterpret_cast<Q2>(i % 2 == 0 ? __builtin_shuffle(a, b, D4{0, 4, 1, 5})
                                                         : __builtin_shuffle(a, b, D4{2, 6, 3, 7}));
    const uint64_t first = columns[0], second = columns[1];
    __builtin_memcpy(y + 2 * i * ys, &first, sizeof(first));
    __builtin_memcpy(y + (2 * i + 1) * ys, &second, sizeof(second));
  }
}

// 16 columns of two to four rows, one behind the other.
template <int kRows>
static MNN_INLINE void interleave16(const uint8_t* x, uint8_t* y, int64_t xs) {
  const B16 a = load16(x), b = load16(x + xs);
  if constexpr (kRows == 2) {
    store16(y, low_bytes(a, b));
    store16(y + 16, high_bytes(a, b));
  } else if constexpr (kRows == 3) {
    const B16 c = load16(x + 2 * xs);
    // The places of c are filled afterwards.
    const B16 u = __builtin_shuffle(a, b, B16{0, 16, 0, 1, 17, 0, 2, 18, 0, 3, 19, 0, 4, 20, 0, 5});
    const B16 v =
        __builtin_shuffle(a, b, B16{21, 0, 6, 22, 0, 7, 23, 0, 8, 24, 0, 9, 25, 0, 10, 26});
    const B16 w =
        __builtin_shuffle(a, b, B16{0, 11, 27, 0, 12, 28, 0, 13, 29, 0, 14, 30, 0, 15, 31, 0});
    store16(y,
            __builtin_shuffle(u, c, B16{0, 1, 16, 3, 4, 17, 6, 7, 18, 9, 10, 19, 12, 13, 20, 15}));
    store16(y + 16,
            __builtin_shuffle(v, c, B16{0, 21, 2, 3, 22, 5, 6, 23, 8, 9, 24, 11, 12, 25, 14, 15}));
    store16(y + 32,
            __builtin_shuffle(w, c, B16{26, 1, 2, 27, 4, 5, 28, 7, 8, 29, 10, 11, 30, 13, 14, 31}));
  } else {
    const B16 c = load16(x + 2 * xs), d = load16(x + 3 * xs);
    const B16 ab[2] = {low_bytes(a, b), high_bytes(a, b)};
    const B16 cd[2] = {low_bytes(c, d), high_bytes(c, d)};
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      store16(y + 32 * i, reinterpret_cast<B16>(low_words(ab[i], cd[i])));
      store16(y + 32 * i + 16, reinterpret_cast<B16>(high_words(ab[i], cd[i])));
    }
  }
}

template <int kRows>
static void interleave(const uint8_t* x, uint8_t* y, int64_t cols, int64_t xs) {
  for (int64_t c = 0; c < cols; c += 16) {
    const int64_t at = c + 16 <= cols ? c : cols - 16;
    interleave16<kRows>(x + at, y + at * kRows, xs);
  }
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

// The last tiles overlap those before them. Whole cache lines of the side whose lines are far
// apart, as above.
static void transpose_bytes(const uint8_t* x, uint8_t* y, int64_t rows, int64_t cols, int64_t xs,
                            int64_t ys) {
  if (cols >= 16 && ys == rows) {
    if (rows == 2) return interleave<2>(x, y, cols, xs);
    if (rows == 3) return interleave<3>(x, y, cols, xs);
    if (rows == 4) return interleave<4>(x, y, cols, xs);
  }
  if (rows < 8 || cols < 8) return transpose_plain(x, y, rows, cols, xs, ys);
  constexpr int64_t kTile = 8, kLine = 64;
  const auto inside = [](int64_t at, int64_t n) { return at + kTile <= n ? at : n - kTile; };
  for (int64_t r0 = 0; r0 < rows; r0 += kLine) {
    const int64_t r1 = r0 + kLine < rows ? r0 + kLine : rows;
    for (int64_t c0 = 0; c0 < cols; c0 += kLine) {
      const int64_t c1 = c0 + kLine < cols ? c0 + kLine : cols;
      for (int64_t c = c0; c < c1; c += kTile)
        for (int64_t r = r0; r < r1; r += kTile) {
          const int64_t i = inside(r, rows), j = inside(c, cols);
          tile8(x + i * xs + j, y + j * ys + i, xs, ys);
        }
    }
  }
}

void transpose(const void* x, void* y, int64_t rows, int64_t cols, int64_t xs, int64_t ys,
               int bytes) {
  switch (bytes) {
    case 1:
      return transpose_bytes(static_cast<const uint8_t*>(x), static_cast<uint8_t*>(y), rows, cols,
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
  fill_trigonometry(k);
  fill_reduce(k);
  fill_half(k);
  fill_scan(k);
  fill_image(k);
  fill_window_gradient(k);
  fill_move(k);
}

}  // namespace mnn::MNN_ISA
