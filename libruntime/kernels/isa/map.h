// Loops over arrays of floats. Tails run through the same vector code as the rest, so that no
// element's value depends on where its array was cut.
#pragma once

#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {
namespace {

using Function1 = VF (*)(VF x, VF a, VF b);
using Function2 = VF (*)(VF a, VF b);

template <Function1 F>
void map1(const float* x, float* y, int64_t n, float a, float b) {
  const VF va = splat(a), vb = splat(b);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, F(load(x + i), va, vb));
  if (i < n)
    store_tail(y + i, F(load_tail(x + i, static_cast<int>(n - i)), va, vb),
               static_cast<int>(n - i));
}

template <Function2 F>
void map2(const float* a, const float* b, float* y, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, F(load(a + i), load(b + i)));
  if (i < n)
    store_tail(
        y + i,
        F(load_tail(a + i, static_cast<int>(n - i)), load_tail(b + i, static_cast<int>(n - i))),
        static_cast<int>(n - i));
}

MNN_INLINE VF truth(VI mask) { return from_bits(mask & bits(splat(1.0f))); }

MNN_INLINE bool any_lane(VI mask) {
#if defined(MNN_SIMD_GENERIC)
  int32_t any = 0;
  for (int i = 0; i < kLanes; ++i) any |= mask[i];
  return any != 0;
#elif MNN_VECTOR_BYTES == 64
  return _mm512_movepi32_mask(reinterpret_cast<__m512i>(mask)) != 0;
#elif MNN_VECTOR_BYTES == 32
  return _mm256_movemask_ps(reinterpret_cast<__m256>(mask)) != 0;
#else
  return _mm_movemask_ps(reinterpret_cast<__m128>(mask)) != 0;
#endif
}

}  // namespace
}  // namespace mnn::MNN_ISA
