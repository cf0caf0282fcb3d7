// Dot products of groups of four bytes: what the sets have for them.
#pragma once

#include "libruntime/kernels/isa/simd.h"

// Whether four products are added to int32 at once. Elsewhere x86 adds them by pairs in int16.
#if defined(__AVX512VNNI__) || defined(MNN_EMULATE_VNNI)
#define MNN_BYTE_DOT 1
#else
#define MNN_BYTE_DOT 0
#endif

namespace mnn::MNN_ISA {

// Four bytes at any address.
static MNN_INLINE int32_t group_at(const void* p) {
  int32_t group;
  __builtin_memcpy(&group, p, 4);
  return group;
}

#if defined(MNN_SIMD_GENERIC)
// u[i] * s[i] for the byte i of each lane, without and with a sign.
static MNN_INLINE VI byte_product(VI u, VI s, int i) {
  return to_signed((to_unsigned(u) >> (8 * i)) & 255u) * ((s << (24 - 8 * i)) >> 24);
}
#endif

#if MNN_BYTE_DOT && !defined(MNN_SIMD_GENERIC)
// sum + the four products of each lane. One instruction in asm with the sum in place: from the
// intrinsic GCC 12 makes register copies and spills.
static MNN_INLINE VI dot_bytes(VI sum, VI u, VI s) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(u), "v"(s));
  return sum;
}
#endif

}  // namespace mnn::MNN_ISA
