// Trigonometric and hyperbolic functions and their inverses on registers, within 4 ULP where the
// argument's own rounding allows it (sin, cos and tan near their zeros: 1e-10 of absolute error).
// The polynomials are those of S. Moshier's Cephes library, single precision.
#pragma once

#include "libruntime/kernels/isa/simd_math2.h"

namespace mnn::MNN_ISA {

constexpr float kHalfPi = 1.5707963267948966f, kQuarterPi = 0.7853981633974483f;
constexpr float kPi = 3.141592653589793f, kLog2 = 0.6931471805599453f;
// Larger arguments of sin, cos and tan are reduced by the C library.
constexpr float kMostRadians = 8192.0f;

// c[0] z^(n-1) + … + c[n-1]
template <int kCount>
static MNN_INLINE VF polynomial(VF z, const float (&c)[kCount]) {
  VF p = splat(c[0]);
#pragma GCC unroll 8
  for (int i = 1; i < kCount; ++i) p = madd(p, z, splat(c[i]));
  return p;
}

// x = quarter * pi / 2 + the result, which is in [-pi / 4, pi / 4].
static MNN_INLINE VF reduce_angle(VF x, VI* quarter) {
  *quarter = round_to_int(x * splat(0.6366197723675814f));
  const VF q = to_float(*quarter);
  // pi / 2 in three parts, the first with so few bits that its product is exact.
  x = madd(q, splat(-1.5703125f), x);
  x = madd(q, splat(-4.837512969970703125e-4f), x);
  return madd(q, splat(-7.54978995489188216e-8f), x);
}

static MNN_INLINE VF sin_of_quarter(VF r, VI quarter) {
  constexpr float kSin[] = {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f};
  constexpr float kCos[] = {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f};
  const VF z = r * r;
  const VF s = madd(polynomial(z, kSin) * z, r, r);
  const VF c = madd(polynomial(z, kCos) * z, z, splat(1.0f) - splat(0.5f) * z);
  const VF y = (quarter & splat_int(1)) != VI{} ? c : s;
  return from_bits(bits(y) ^ ((quarter & splat_int(2)) << 30));
}
static MNN_INLINE VF vsin(VF x) {
  VI quarter;
  const VF r = reduce_angle(x, &quarter);
  return sin_of_quarter(r, quarter);
}
static MNN_INLINE VF vcos(VF x) {
  VI quarter;
  const VF r = reduce_angle(x, &quarter);
  return sin_of_quarter(r, quarter + splat_int(1));
}
static MNN_INLINE VF vtan(VF x) {
  constexpr float kTan[] = {9.38540185543e-3f, 3.11992232697e-3f, 2.44301354525e-2f,
                            5.34112807005e-2f, 1.33387994085e-1f, 3.33331568548e-1f};
  VI quarter;
  const VF r = reduce_angle(x, &quarter), z = r * r;
  const VF t = madd(polynomial(z, kTan) * z, r, r);
  return (quarter & splat_int(1)) != VI{} ? splat(-1.0f) / t : t;
}

static MNN_INLINE VF vatan(VF x) {
  constexpr float kAtan[] = {8.05374449538e-2f, -1.38776856032e-1f, 1.99777106478e-1f,
                             -3.33329491539e-1f};
  const VF a = vabs(x), one = splat(1.0f);
  const VI large = a > splat(2.414213562373095f), medium = a > splat(0.4142135623730950f);
  const VF t = large ? -one / a : medium ? (a - one) / (a + one) : a;
  const VF base = large ? splat(kHalfPi) : medium ? splat(kQuarterPi) : VF{};
  const VF z = t * t;
  return copy_sign(base + madd(polynomial(z, kAtan) * z, t, t), x);
}

// For a in [0, 0.5].
static MNN_INLINE VF asin_small(VF a, VF z) {
  constexpr float kAsin[] = {4.2163199048e-2f, 2.4181311049e-2f, 4.5470025998e-2f, 7.4953002686e-2f,
                             1.6666752422e-1f};
  return madd(polynomial(z, kAsin) * z, a, a);
}
static MNN_INLINE VF vasin(VF x) {
  const VF a = vabs(x);
  const VI large = a > splat(0.5f);
  const VF half = splat(0.5f) * (splat(1.0f) - a);
  const VF s = asin_small(large ? vsqrt(half) : a, large ? half : a * a);
  const VF y = copy_sign(large ? splat(kHalfPi) - (s + s) : s, x);
  return a <= splat(1.0f) ? y : splat(__builtin_nanf(""));
}
static MNN_INLINE VF vacos(VF x) {
  const VF a = vabs(x);
  const VI large = a > splat(0.5f);
  const VF half = splat(0.5f) * (splat(1.0f) - a);
  const VF s = asin_small(large ? vsqrt(half) : a, large ? half : a * a);
  const VF y = large ? (x < VF{} ? splat(kPi) - (s + s) : s + s) : splat(kHalfPi) - copy_sign(s, x);
  return a <= splat(1.0f) ? y : splat(__builtin_nanf(""));
}

// exp(|x|) as the product of two halves, the second of which is half as large: neither overflows
// before the result does.
static MNN_INLINE VF vsinh(VF x) {
  const VF a = vabs(x), t = vexpm1(vmin(a, splat(80.0f)));
  const VF h = vexp(splat(0.5f) * a);
  const VF small = splat(0.5f) * (t + t / (t + splat(1.0f)));
  return copy_sign(a > splat(10.0f) ? splat(0.5f) * h * h : small, x);
}
static MNN_INLINE VF vcosh(VF x) {
  const VF h = vexp(splat(0.5f) * vabs(x));
  return splat(0.5f) * h * h + splat(0.5f) / h / h;
}

static MNN_INLINE VF vasinh(VF x) {
  constexpr float kAsinh[] = {2.0122003309e-2f, -4.2699340972e-2f, 7.4847586088e-2f,
                              -1.6666288134e-1f};
  const VF a = vabs(x), z = a * a;
  const VI huge = a > splat(1e4f);
  const VF sum = huge ? a : a + vsqrt(z + splat(1.0f));
  const VF large = vlog(sum) + (huge ? splat(kLog2) : VF{});
  return copy_sign(a < splat(0.5f) ? madd(polynomial(z, kAsinh) * z, a, a) : large, x);
}
static MNN_INLINE VF vacosh(VF x) {
  constexpr float kAcosh[] = {1.7596881071e-3f, -7.5272886713e-3f, 2.6454905019e-2f,
                              -1.1784741703e-1f, 1.4142135263f};
  const VF z = x - splat(1.0f);
  const VI huge = x > splat(1e4f);
  const VF sum = huge ? x : x + vsqrt(z * (x + splat(1.0f)));
  const VF large = vlog(sum) + (huge ? splat(kLog2) : VF{});
  const VF y = z < splat(0.5f) ? vsqrt(z) * polynomial(z, kAcosh) : large;
  return x >= splat(1.0f) ? y : splat(__builtin_nanf(""));
}
static MNN_INLINE VF vatanh(VF x) {
  constexpr float kAtanh[] = {1.81740078349e-1f, 8.24370301058e-2f, 1.46691431730e-1f,
                              1.99782164500e-1f, 3.33337300303e-1f};
  const VF a = vabs(x), z = a * a, one = splat(1.0f);
  const VF large = splat(0.5f) * vlog((one + a) / (one - a));
  return copy_sign(a < splat(0.5f) ? madd(polynomial(z, kAtanh) * z, a, a) : large, x);
}

}  // namespace mnn::MNN_ISA
