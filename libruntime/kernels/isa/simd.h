// The vector words the kernels are written in. Compiled once per instruction set: MNN_ISA names the
// namespace, MNN_VECTOR_BYTES the register width. With MNN_SIMD_GENERIC every word falls back to
// plain vector extensions of the compiler (other CPUs, and tests of wide registers on narrow ones).
// Files that include this may not include <vector>, <string>, <algorithm> or other templates: the
// linker could merge them into code that runs on lesser CPUs.
#pragma once

#include <stddef.h>
#include <stdint.h>

// MNN_XSIMD: the words are xsimd's. x86 has intrinsics beside them, AArch64 has not yet
// (MNN_SIMD_GENERIC there for what xsimd does not say).
#if !defined(MNN_SIMD_GENERIC)
#define MNN_XSIMD
#include <immintrin.h>
#elif defined(__aarch64__) && MNN_VECTOR_BYTES == 16
#define MNN_XSIMD
#endif
#if defined(MNN_XSIMD)
#include <xsimd/xsimd.hpp>
#endif

#define MNN_INLINE inline __attribute__((always_inline))

namespace mnn::MNN_ISA {

#if defined(MNN_XSIMD)
#if defined(__aarch64__)
using Arch = xsimd::neon64;
#elif MNN_VECTOR_BYTES == 64
using Arch = xsimd::avx512f;
#elif MNN_VECTOR_BYTES == 32
using Arch = xsimd::fma3<xsimd::avx2>;
#else
using Arch = xsimd::sse4_1;
#endif
#endif

constexpr int kLanes = MNN_VECTOR_BYTES / 4;  // floats or int32 in a register

typedef float VF __attribute__((vector_size(MNN_VECTOR_BYTES)));
typedef int32_t VI __attribute__((vector_size(MNN_VECTOR_BYTES)));
typedef uint32_t VU __attribute__((vector_size(MNN_VECTOR_BYTES)));
typedef int16_t VS __attribute__((vector_size(MNN_VECTOR_BYTES)));
typedef uint8_t VB __attribute__((vector_size(MNN_VECTOR_BYTES)));
// The same at any address and over any type.
typedef float VFAny __attribute__((vector_size(MNN_VECTOR_BYTES), aligned(1), may_alias));
typedef int32_t VIAny __attribute__((vector_size(MNN_VECTOR_BYTES), aligned(1), may_alias));

static MNN_INLINE VF load(const float* p) { return *reinterpret_cast<const VFAny*>(p); }
static MNN_INLINE void store(float* p, VF v) { *reinterpret_cast<VFAny*>(p) = v; }
static MNN_INLINE VI load_int(const void* p) { return *reinterpret_cast<const VIAny*>(p); }
static MNN_INLINE void store_int(void* p, VI v) { *reinterpret_cast<VIAny*>(p) = v; }
static MNN_INLINE VI bits(VF v) { return reinterpret_cast<VI>(v); }
static MNN_INLINE VF from_bits(VI v) { return reinterpret_cast<VF>(v); }
static MNN_INLINE VI to_signed(VU v) { return reinterpret_cast<VI>(v); }
static MNN_INLINE VU to_unsigned(VI v) { return reinterpret_cast<VU>(v); }
static MNN_INLINE VF to_float(VI v) { return __builtin_convertvector(v, VF); }

#if defined(MNN_SIMD_GENERIC)

// Either operand NaN: the second, as the x86 instructions do.
static MNN_INLINE VF vmax(VF a, VF b) { return a > b ? a : b; }
static MNN_INLINE VF vmin(VF a, VF b) { return a < b ? a : b; }
static MNN_INLINE VF load_tail(const float* p, int n) {
  VF v{};
  __builtin_memcpy(&v, p, static_cast<size_t>(n) * 4);
  return v;
}
static MNN_INLINE void store_tail(float* p, VF v, int n) {
  __builtin_memcpy(p, &v, static_cast<size_t>(n) * 4);
}

#endif
#if !defined(MNN_XSIMD)

static MNN_INLINE VF splat(float x) { return x - VF{}; }
static MNN_INLINE VI splat_int(int32_t x) { return x - VI{}; }
static MNN_INLINE VF madd(VF a, VF b, VF c) { return a * b + c; }
// Nearest, ties to even; |v| < 2^31.
static MNN_INLINE VI round_to_int(VF v) {
  VI r;
  for (int i = 0; i < kLanes; ++i) r[i] = static_cast<int32_t>(__builtin_rintf(v[i]));
  return r;
}
static MNN_INLINE VF vsqrt(VF v) {
  for (int i = 0; i < kLanes; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
}

#else

// Words that xsimd has are its batches; what lacks them there is written in intrinsics.
using FloatBatch = xsimd::batch<float, Arch>;
using IntBatch = xsimd::batch<int32_t, Arch>;
static MNN_INLINE FloatBatch batch(VF v) { return FloatBatch(v); }
static MNN_INLINE VF vector(const FloatBatch& b) { return b.data; }
static MNN_INLINE VI vector(const IntBatch& b) { return reinterpret_cast<VI>(b.data); }

static MNN_INLINE VF splat(float x) { return vector(FloatBatch(x)); }
static MNN_INLINE VI splat_int(int32_t x) { return vector(IntBatch(x)); }
// One rounding where the set has a fused multiply-add, else two. xsimd 8 has none for AVX-512.
static MNN_INLINE VF madd(VF a, VF b, VF c) {
#if MNN_VECTOR_BYTES == 64
  return _mm512_fmadd_ps(a, b, c);
#else
  return vector(xsimd::fma(batch(a), batch(b), batch(c)));
#endif
}
// Nearest, ties to even; |v| < 2^31.
static MNN_INLINE VI round_to_int(VF v) { return vector(xsimd::nearbyint_as_int(batch(v))); }
static MNN_INLINE VF vsqrt(VF v) { return vector(xsimd::sqrt(batch(v))); }

#endif
#if !defined(MNN_SIMD_GENERIC)

// Either operand NaN: the second.
static MNN_INLINE VF vmax(VF a, VF b) { return vector(xsimd::max(batch(a), batch(b))); }
static MNN_INLINE VF vmin(VF a, VF b) { return vector(xsimd::min(batch(a), batch(b))); }

#if MNN_VECTOR_BYTES == 64

static MNN_INLINE __mmask16 tail_mask(int n) { return static_cast<__mmask16>((1u << n) - 1); }
static MNN_INLINE VF load_tail(const float* p, int n) {
  return _mm512_maskz_loadu_ps(tail_mask(n), p);
}
static MNN_INLINE void store_tail(float* p, VF v, int n) {
  _mm512_mask_storeu_ps(p, tail_mask(n), v);
}

#elif MNN_VECTOR_BYTES == 32

static MNN_INLINE __m256i tail_mask(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static MNN_INLINE VF load_tail(const float* p, int n) {
  return _mm256_maskload_ps(p, tail_mask(n));
}
// In pieces: a masked store takes some forty steps on AMD CPUs.
static MNN_INLINE void store_tail(float* p, VF v, int n) {
  __m128 rest = _mm256_castps256_ps128(v);
  if (n & 4) {
    _mm_storeu_ps(p, rest);
    rest = _mm256_extractf128_ps(v, 1);
    p += 4;
  }
  if (n & 2) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), rest);
    rest = _mm_movehl_ps(rest, rest);
    p += 2;
  }
  if (n & 1) _mm_store_ss(p, rest);
}

#else

static MNN_INLINE VF load_tail(const float* p, int n) {
  VF v{};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
static MNN_INLINE void store_tail(float* p, VF v, int n) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}

#endif
#endif

// kLanes bytes as int32. In words of its own, because GCC 12 converts element by element.
static MNN_INLINE VI load_bytes(const uint8_t* p) {
#if defined(MNN_SIMD_GENERIC)
  typedef uint8_t Bytes __attribute__((vector_size(kLanes)));
  Bytes b;
  __builtin_memcpy(&b, p, kLanes);
  return __builtin_convertvector(b, VI);
#elif MNN_VECTOR_BYTES == 64
  return reinterpret_cast<VI>(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#elif MNN_VECTOR_BYTES == 32
  return reinterpret_cast<VI>(
      _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#else
  int four;
  __builtin_memcpy(&four, p, 4);
  return reinterpret_cast<VI>(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four)));
#endif
}

// n >= kLanes: the whole register.
static MNN_INLINE VF load_part(const float* p, int64_t n) {
  return n >= kLanes ? load(p) : load_tail(p, static_cast<int>(n));
}
static MNN_INLINE void store_part(float* p, VF v, int64_t n) {
  if (n >= kLanes) {
    store(p, v);
  } else {
    store_tail(p, v, static_cast<int>(n));
  }
}
static MNN_INLINE VF round_even(VF v) { return to_float(round_to_int(v)); }

}  // namespace mnn::MNN_ISA
