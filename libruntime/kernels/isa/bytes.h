// Bytes as numbers and back.
#pragma once

#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {

static MNN_INLINE VI load_some_bytes(const uint8_t* p, int64_t n) {
  uint8_t bytes[kLanes] = {};
  __builtin_memcpy(bytes, p, static_cast<size_t>(n));
  return load_bytes(bytes);
}
static MNN_INLINE VF widen(const uint8_t* p) { return to_float(load_bytes(p)); }
static MNN_INLINE VF widen_some(const uint8_t* p, int64_t n) {
  return to_float(load_some_bytes(p, n));
}

constexpr int kWords = 2 * kLanes;  // int16 in a register

// kWords bytes as int16. In words of its own, because GCC 12 converts half registers.
static MNN_INLINE VS load_words(const uint8_t* p) {
#if defined(MNN_SIMD_GENERIC)
  typedef uint8_t Bytes __attribute__((vector_size(kWords)));
  Bytes b;
  __builtin_memcpy(&b, p, kWords);
  return __builtin_convertvector(b, VS);
#elif MNN_VECTOR_BYTES == 64
  return reinterpret_cast<VS>(
      _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#elif MNN_VECTOR_BYTES == 32
  return reinterpret_cast<VS>(
      _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  return reinterpret_cast<VS>(
      _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#endif
}

// Stores kLanes values in [0, 255] as bytes.
static MNN_INLINE void store_bytes(uint8_t* p, VI v) {
#if defined(MNN_SIMD_GENERIC)
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<uint8_t>(v[i]);
#elif MNN_VECTOR_BYTES == 64
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(v)));
#elif MNN_VECTOR_BYTES == 32
  const __m256i x = reinterpret_cast<__m256i>(v);
  const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
#else
  const __m128i x = reinterpret_cast<__m128i>(v);
  const __m128i words = _mm_packs_epi32(x, x);
  const int four = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  __builtin_memcpy(p, &four, 4);
#endif
}

// Two registers to neighbouring bytes.
static MNN_INLINE void store_bytes(uint8_t* p, VI v, VI w) {
#if defined(MNN_SIMD_GENERIC) || MNN_VECTOR_BYTES == 64
  store_bytes(p, v);
  store_bytes(p + kLanes, w);
#elif MNN_VECTOR_BYTES == 32
  // The pack works in halves: 0-3 of v, 0-3 of w, 4-7 of v, 4-7 of w.
  const __m256i words = _mm256_permute4x64_epi64(
      _mm256_packs_epi32(reinterpret_cast<__m256i>(v), reinterpret_cast<__m256i>(w)), 0xd8);
  const __m128i bytes =
      _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
#else
  const __m128i words = _mm_packs_epi32(reinterpret_cast<__m128i>(v), reinterpret_cast<__m128i>(w));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
#endif
}

static MNN_INLINE void store_bytes_part(uint8_t* p, VI v, int64_t n) {
  if (n >= kLanes) {
    store_bytes(p, v);
    return;
  }
  uint8_t bytes[kLanes];
  store_bytes(bytes, v);
  for (int64_t i = 0; i < n; ++i) p[i] = bytes[i];
}

// The first n of kLanes numbers in [0, 255], rounded half to even.
static MNN_INLINE void store_rounded(uint8_t* p, VF v, int64_t n) {
  store_bytes_part(p, round_to_int(v), n);
}
static MNN_INLINE VF clamp_byte(VF v) { return vmin(splat(255.0f), vmax(VF{}, v)); }

}  // namespace mnn::MNN_ISA
