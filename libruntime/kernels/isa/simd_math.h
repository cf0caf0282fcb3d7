// Elementary functions on registers. Errors against the true value, over the whole range: exp 1.5
// ULP, sigmoid 3.5, tanh 4, erf 3, expm1 3. NaN gives NaN, infinities their limits.
#pragma once

#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {

// 2^n * value for n in [-252, 254], in two exact steps so that results may be subnormal.
static MNN_INLINE VF scale_by_power(VF value, VI n) {
  const VI half = n >> 1;
  const VI bias = splat_int(127);
  return value * from_bits((half + bias) << 23) * from_bits((n - half + bias) << 23);
}

// exp(x) = 2^n * (1 + q), |q| < 0.42, for x within [low, high].
static MNN_INLINE void exp_parts(VF x, float low, float high, VI* n, VF* q) {
  x = vmin(splat(high), vmax(splat(low), x));
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
  exp_parts(x, -105.0f, 89.0f, &n, &q);
  return scale_by_power(q + splat(1.0f), n);
}

// 2^n, n in [-126, 127]; infinity for 128.
static MNN_INLINE VF power_of_two(VI n) { return from_bits((n + splat_int(127)) << 23); }

// exp(x) where small results do not matter: those below 1.6e-38 are that; above 1.7e38 infinity.
static MNN_INLINE VF vexp_normal(VF x) {
  VI n;
  VF q;
  exp_parts(x, -87.0f, 89.0f, &n, &q);
  return (q + splat(1.0f)) * power_of_two(n);
}

static MNN_INLINE VF vexpm1(VF x) {
  VI n;
  VF q;
  exp_parts(x, -60.0f, 89.0f, &n, &q);
  const VF power = scale_by_power(splat(1.0f), n);
  return madd(power, q, power - splat(1.0f));
}

static MNN_INLINE VF vsigmoid(VF x) { return splat(1.0f) / (splat(1.0f) + vexp_normal(-x)); }

static MNN_INLINE VF vabs(VF x) { return from_bits(bits(x) & splat_int(0x7fffffff)); }
// |magnitude| with the sign of `sign`.
static MNN_INLINE VF copy_sign(VF magnitude, VF sign) {
  return from_bits(bits(magnitude) | (bits(sign) & splat_int(INT32_MIN)));
}

// t / (t + 2) with t = exp(2 |x|) - 1.
static MNN_INLINE VF vtanh(VF x) {
  const VF size = vabs(x);
  VI n;
  VF q;
  exp_parts(size + size, 0.0f, 88.0f, &n, &q);
  const VF power = power_of_two(n);
  const VF t = madd(power, q, power - splat(1.0f));
  return copy_sign(t / (t + splat(2.0f)), x);
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
  const VF large = splat(1.0f) - vexp_normal(e);
  return copy_sign(size < splat(1.0f) ? p * size : large, x);
}

}  // namespace mnn::MNN_ISA
