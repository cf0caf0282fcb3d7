// Elementwise trigonometric and hyperbolic functions and their inverses.
#include "libruntime/kernels/isa/map.h"
#include "libruntime/kernels/isa/simd_trig.h"
#include "libruntime/kernels/isa/vector_parts.h"

namespace mnn::MNN_ISA {
namespace {

// F on registers whose angles are all small, the C library's function on the others.
template <VF (*F)(VF), float (*Scalar)(float)>
MNN_INLINE VF of_angle(VF x) {
  if (!any_lane(~(vabs(x) <= splat(kMostRadians)))) return F(x);
  alignas(64) float t[kLanes];
  store(t, x);
  for (int i = 0; i < kLanes; ++i) t[i] = Scalar(t[i]);
  return load(t);
}
float sin_scalar(float x) { return __builtin_sinf(x); }
float cos_scalar(float x) { return __builtin_cosf(x); }
float tan_scalar(float x) { return __builtin_tanf(x); }

MNN_INLINE VF sin1(VF x, VF, VF) { return of_angle<vsin, sin_scalar>(x); }
MNN_INLINE VF cos1(VF x, VF, VF) { return of_angle<vcos, cos_scalar>(x); }
MNN_INLINE VF tan1(VF x, VF, VF) { return of_angle<vtan, tan_scalar>(x); }
MNN_INLINE VF asin1(VF x, VF, VF) { return vasin(x); }
MNN_INLINE VF acos1(VF x, VF, VF) { return vacos(x); }
MNN_INLINE VF atan1(VF x, VF, VF) { return vatan(x); }
MNN_INLINE VF sinh1(VF x, VF, VF) { return vsinh(x); }
MNN_INLINE VF cosh1(VF x, VF, VF) { return vcosh(x); }
MNN_INLINE VF asinh1(VF x, VF, VF) { return vasinh(x); }
MNN_INLINE VF acosh1(VF x, VF, VF) { return vacosh(x); }
MNN_INLINE VF atanh1(VF x, VF, VF) { return vatanh(x); }

}  // namespace

void fill_trigonometry(VectorKernels& k) {
  auto unary = [&](UnaryOp op) -> UnaryFn& { return k.unary[static_cast<int>(op)]; };
  unary(UnaryOp::kSin) = map1<sin1>;
  unary(UnaryOp::kCos) = map1<cos1>;
  unary(UnaryOp::kTan) = map1<tan1>;
  unary(UnaryOp::kAsin) = map1<asin1>;
  unary(UnaryOp::kAcos) = map1<acos1>;
  unary(UnaryOp::kAtan) = map1<atan1>;
  unary(UnaryOp::kSinh) = map1<sinh1>;
  unary(UnaryOp::kCosh) = map1<cosh1>;
  unary(UnaryOp::kAsinh) = map1<asinh1>;
  unary(UnaryOp::kAcosh) = map1<acosh1>;
  unary(UnaryOp::kAtanh) = map1<atanh1>;
}

}  // namespace mnn::MNN_ISA
