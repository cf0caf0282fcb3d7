// f16 and bf16 to f32 and back, rounded half to even. Plain loops without branches: compilers turn
// them into vector code of every width.
#include "libruntime/kernels/isa/simd.h"
#include "libruntime/kernels/isa/vector_parts.h"

namespace mnn::MNN_ISA {
namespace {

static MNN_INLINE float as_float(uint32_t u) {
  float f;
  __builtin_memcpy(&f, &u, 4);
  return f;
}
static MNN_INLINE uint32_t as_bits(float f) {
  uint32_t u;
  __builtin_memcpy(&u, &f, 4);
  return u;
}

void from_f16(const uint16_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t u = x[i], magnitude = u & 0x7fffu;
    // The product moves the exponent, and makes normal numbers of subnormal ones.
    const uint32_t finite = as_bits(as_float(magnitude << 13) * 0x1p112f);
    const uint32_t beyond = magnitude >= 0x7c00u ? 0x7f800000u : 0u;
    y[i] = as_float(finite | beyond | (u & 0x8000u) << 16);
  }
}

void to_f16(const float* x, uint16_t* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t u = as_bits(x[i]), magnitude = u & 0x7fffffffu;
    const uint32_t normal = (magnitude + 0xc8000fffu + (magnitude >> 13 & 1u)) >> 13;
    // Next to 0.5 a float has the steps of subnormal halves.
    const uint32_t subnormal = as_bits(as_float(magnitude) + 0.5f) - 0x3f000000u;
    const uint32_t beyond = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
    const uint32_t finite = magnitude < 0x38800000u ? subnormal : normal;
    const uint32_t half = magnitude >= 0x47800000u ? beyond : finite;
    y[i] = static_cast<uint16_t>(half | (u >> 16 & 0x8000u));
  }
}

void from_bf16(const uint16_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = as_float(static_cast<uint32_t>(x[i]) << 16);
}

void to_bf16(const float* x, uint16_t* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t u = as_bits(x[i]);
    const uint32_t number = (u + 0x7fffu + (u >> 16 & 1u)) >> 16, nan = u >> 16 | 0x40u;
    y[i] = static_cast<uint16_t>((u & 0x7fffffffu) > 0x7f800000u ? nan : number);
  }
}

}  // namespace

void fill_half(VectorKernels& k) {
  k.from_f16 = from_f16;
  k.to_f16 = to_f16;
  k.from_bf16 = from_bf16;
  k.to_bf16 = to_bf16;
}

}  // namespace mnn::MNN_ISA
