// Bytes as numbers and back.
#pragma once

#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {

typedef uint8_t VBytes __attribute__((vector_size(kLanes)));

static MNN_INLINE VI load_some_bytes(const uint8_t* p, int64_t n) {
  uint8_t bytes[kLanes] = {};
  __builtin_memcpy(bytes, p, static_cast<size_t>(n));
  return load_bytes(bytes);
}
static MNN_INLINE VF widen(const uint8_t* p) { return to_float(load_bytes(p)); }
static MNN_INLINE VF widen_some(const uint8_t* p, int64_t n) {
  return to_float(load_some_bytes(p, n));
}
static MNN_INLINE void store_some_bytes(uint8_t* p, VBytes v, int64_t n) {
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}
// Of numbers in [0, 255]. In words of its own, because GCC 12 converts element by element.
static MNN_INLINE VBytes narrow(VF v) {
  const VI r = round_to_int(v);
#if defined(MNN_SIMD_GENERIC)
  return __builtin_convertvector(r, VBytes);
#elif MNN_VECTOR_BYTES == 64
  return reinterpret_cast<VBytes>(_mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(r)));
#else
#if MNN_VECTOR_BYTES == 32
  const __m256i x = reinterpret_cast<__m256i>(r);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
#else
  const __m128i x = reinterpret_cast<__m128i>(r), words = _mm_packs_epi32(x, x);
#endif
  const __m128i bytes = _mm_packus_epi16(words, words);
  VBytes y;
  __builtin_memcpy(&y, &bytes, sizeof(y));
  return y;
#endif
}

static MNN_INLINE VF clamp_byte(VF v) { return vmin(splat(255.0f), vmax(VF{}, v)); }
// kLanes numbers, rounded half to even and saturated.
static MNN_INLINE void store_byte_values(uint8_t* p, VF v) {
  const VBytes b = narrow(clamp_byte(v));
  __builtin_memcpy(p, &b, sizeof(b));
}

}  // namespace mnn::MNN_ISA
