// From int32 sums to outputs; see Int8Post.
#pragma once

#include "libruntime/kernels/isa/simple_activation.h"
#include "libruntime/kernels/kernel_table.h"

namespace mnn::MNN_ISA {

// Stores kLanes values in [0, 255] as bytes.
static MNN_INLINE void store_bytes(uint8_t* p, VI v) {
#if defined(MNN_SIMD_GENERIC)
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<uint8_t>(v[i]);
#elif MNN_VECTOR_BYTES == 64
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p),
                   _mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(v)));
#elif MNN_VECTOR_BYTES == 32
  const __m256i x = reinterpret_cast<__m256i>(v);
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
#else
  const __m128i x = reinterpret_cast<__m128i>(v);
  const __m128i words = _mm_packus_epi32(x, x);
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

static MNN_INLINE VF load_bytes_part(const uint8_t* p, int64_t n, int32_t zero) {
  uint8_t bytes[kLanes] = {};
  __builtin_memcpy(bytes, p, static_cast<size_t>(n < kLanes ? n : kLanes));
  typedef uint8_t Bytes __attribute__((vector_size(kLanes)));
  Bytes x;
  __builtin_memcpy(&x, bytes, sizeof(x));
  return to_float(__builtin_convertvector(x, VI) - splat_int(zero));
}

static MNN_INLINE VI to_byte(VF v, const Int8Post& post) {
  const VF low = splat(static_cast<float>(-post.y_zero));
  const VF high = splat(static_cast<float>(255 - post.y_zero));
  return round_to_int(vmin(high, vmax(low, v * splat(post.y_inverse)))) + splat_int(post.y_zero);
}

// The clamp-only form: low and high are scaled already and inside what a byte holds. In registers,
// because after a store of bytes the compiler would load everything again.
struct Clamp {
  VF inverse, low, high;
  VI zero;
  MNN_INLINE explicit Clamp(const Int8Post& post)
      : inverse(splat(post.y_inverse)),
        low(splat(post.low)),
        high(splat(post.high)),
        zero(splat_int(post.y_zero)) {}
  MNN_INLINE VI operator()(VI sum, VF scale, VF bias) const {
    return round_to_int(vmin(high, vmax(low, (to_float(sum) * scale + bias) * inverse))) + zero;
  }
};

// Channels [c, c + lanes) of one pixel; n: how many of them exist. `y` and `residual` point at the
// first channel.
static MNN_INLINE void finish_sums(VI sum, VF scale, VF bias, const Int8Post& post,
                                   const void* residual, void* y, int64_t n) {
  if (post.clamp_only) {
    store_bytes_part(static_cast<uint8_t*>(y), Clamp(post)(sum, scale, bias), n);
    return;
  }
  VF v = simple_activation(post.before, to_float(sum) * scale + bias);
  if (post.residual == ByteOrFloat::kByte) {
    v += load_bytes_part(static_cast<const uint8_t*>(residual), n, post.r_zero) *
         splat(post.r_scale);
  } else if (post.residual == ByteOrFloat::kFloat) {
    v += load_part(static_cast<const float*>(residual), n);
  }
  v = simple_activation(post.after, v);
  if (post.output == ByteOrFloat::kFloat) {
    store_part(static_cast<float*>(y), v, n);
  } else {
    store_bytes_part(static_cast<uint8_t*>(y), to_byte(v, post), n);
  }
}

// p + count elements of the kind.
static MNN_INLINE void* advance(void* p, ByteOrFloat kind, int64_t count) {
  return static_cast<uint8_t*>(p) + (kind == ByteOrFloat::kFloat ? 4 * count : count);
}
static MNN_INLINE const void* advance(const void* p, ByteOrFloat kind, int64_t count) {
  return static_cast<const uint8_t*>(p) + (kind == ByteOrFloat::kFloat ? 4 * count : count);
}

}  // namespace mnn::MNN_ISA
