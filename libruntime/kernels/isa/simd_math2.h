// More elementary functions on registers: logarithm (1.5 ULP) and rounding.
#pragma once

#include "libruntime/kernels/isa/simd_math.h"

namespace mnn::MNN_ISA {

// To nearest, ties to even, over the whole range; keeps the sign of zero.
static MNN_INLINE VF vround(VF x) {
  const VF size = vabs(x);
  const VF rounded = copy_sign((size + splat(8388608.0f)) - splat(8388608.0f), x);
  return size < splat(8388608.0f) ? rounded : x;
}
static MNN_INLINE VF vfloor(VF x) {
  const VF r = vround(x);
  return copy_sign(vabs(r > x ? r - splat(1.0f) : r), x);
}
static MNN_INLINE VF vceil(VF x) {
  const VF r = vround(x);
  return copy_sign(vabs(r < x ? r + splat(1.0f) : r), x);
}

static MNN_INLINE VF vlog(VF x) {
  // Subnormals are scaled into the normal range first.
  const VI tiny = x < splat(1.17549435e-38f);
  const VF v = tiny ? x * splat(8388608.0f) : x;
  VI e = (bits(v) >> 23) - splat_int(127);
  VF m = from_bits((bits(v) & splat_int(0x007fffff)) | splat_int(0x3f800000));
  const VI high = m > splat(1.41421356f);
  m = high ? m * splat(0.5f) : m;
  e = e - high - (tiny & splat_int(23));
  const VF f = m - splat(1.0f);
  const VF s = f / (splat(2.0f) + f);
  const VF z = s * s;
  VF p = splat(2.358260243e-01f);
  p = madd(p, z, splat(2.853728617e-01f));
  p = madd(p, z, splat(4.000033552e-01f));
  p = madd(p, z, splat(6.666666564e-01f));
  // log(1 + f) = f - f^2/2 + s (f^2/2 + z P): the leading terms stay exact.
  const VF n = to_float(e);
  const VF half = splat(0.5f) * f * f;
  VF y = s * (half + p * z);
  y = madd(n, splat(-2.12194440e-4f), y) - half + f;
  y = madd(n, splat(0.693359375f), y);
  const VF infinity = splat(__builtin_inff());
  y = x == VF{} ? -infinity : y;
  y = x == infinity ? x : y;
  return (x < VF{}) | (x != x) ? splat(__builtin_nanf("")) : y;
}

}  // namespace mnn::MNN_ISA
