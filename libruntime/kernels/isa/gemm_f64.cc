// Register tiles of products in double.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {
namespace {

constexpr int kDoubles = MNN_VECTOR_BYTES / 8;
constexpr int kVectors = 2, kRows = 6;

typedef double VD __attribute__((vector_size(MNN_VECTOR_BYTES)));
typedef double VDAny __attribute__((vector_size(MNN_VECTOR_BYTES), aligned(1), may_alias));

MNN_INLINE VD load_doubles(const double* p) { return *reinterpret_cast<const VDAny*>(p); }
MNN_INLINE VD madd_doubles(VD a, VD b, VD c) {
#if defined(MNN_SIMD_GENERIC) || MNN_VECTOR_BYTES == 16
  return a * b + c;
#elif MNN_VECTOR_BYTES == 64
  return _mm512_fmadd_pd(a, b, c);
#else
  return _mm256_fmadd_pd(a, b, c);
#endif
}

template <int kCount>
MNN_INLINE void tile(const TileF64& t, int64_t row) {
  VD acc[kCount][kVectors] = {};
  const double* a = t.a + row * t.a_stride;
  const double* w = t.w;
  for (int64_t k = 0; k < t.k; ++k, ++a, w += t.w_stride) {
    VD column[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) column[v] = load_doubles(w + v * kDoubles);
#pragma GCC unroll 6
    for (int r = 0; r < kCount; ++r) {
      const VD x = a[r * t.a_stride] - VD{};
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) acc[r][v] = madd_doubles(x, column[v], acc[r][v]);
    }
  }
  for (int r = 0; r < kCount; ++r) {
    double sums[kVectors * kDoubles];
    __builtin_memcpy(sums, acc[r], sizeof(sums));
    double* y = t.y + (row + r) * t.y_stride;
    for (int64_t j = 0; j < t.n; ++j) y[j] = t.alpha * sums[j];
  }
}

void product(const TileF64& t) {
  int64_t row = 0;
  for (; row + kRows <= t.rows; row += kRows) tile<kRows>(t, row);
  switch (t.rows - row) {
    case 5: return tile<5>(t, row);
    case 4: return tile<4>(t, row);
    case 3: return tile<3>(t, row);
    case 2: return tile<2>(t, row);
    case 1: return tile<1>(t, row);
    default: return;
  }
}

}  // namespace

void fill_gemm_f64(KernelTable& table) {
  table.columns_f64 = kVectors * kDoubles;
  table.tile_f64 = product;
}

}  // namespace mnn::MNN_ISA
