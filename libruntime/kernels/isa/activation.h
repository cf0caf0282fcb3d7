// Every activation on a register. Those up to HardSwish use no fused multiply-add, so they give the
// same floats on every instruction set, which int8 results rely on.
#pragma once

#include "libruntime/kernels/isa/simd_math.h"
#include "libruntime/lower/epilogue.h"

namespace mnn::MNN_ISA {

struct Relu {
  static MNN_INLINE VF at(VF x, VF, VF) { return vmax(splat(0.0f), x); }
};
struct Clip {
  static MNN_INLINE VF at(VF x, VF a, VF b) { return vmin(b, vmax(a, x)); }
};
struct LeakyRelu {
  static MNN_INLINE VF at(VF x, VF a, VF) { return x < splat(0.0f) ? x * a : x; }
};
struct HardSigmoid {
  static MNN_INLINE VF at(VF x, VF a, VF b) {
    return vmin(splat(1.0f), vmax(splat(0.0f), x * a + b));
  }
};
struct HardSwish {
  static MNN_INLINE VF at(VF x, VF, VF) {
    return x * HardSigmoid::at(x, splat(1.0f / 6), splat(0.5f));
  }
};

struct Sigmoid {
  static MNN_INLINE VF at(VF x, VF, VF) { return vsigmoid(x); }
};
// -infinity times zero would be NaN; below -100 the product is zero to within float.
struct Swish {
  static MNN_INLINE VF at(VF x, VF, VF) { return vmax(splat(-200.0f), x) * vsigmoid(x); }
};
struct Tanh {
  static MNN_INLINE VF at(VF x, VF, VF) { return vtanh(x); }
};
struct Gelu {
  static MNN_INLINE VF at(VF x, VF, VF) {
    const VF y = vmax(splat(-200.0f), x);
    return y * splat(0.5f) * (splat(1.0f) + verf(y * splat(0.70710678f)));
  }
};
// tanh(u) + 1 = 2 sigmoid(2u)
struct GeluTanh {
  static MNN_INLINE VF at(VF x, VF, VF) {
    const VF y = vmax(splat(-200.0f), x);
    const VF u = y * madd(y * y, splat(0.0713548163f), splat(1.5957691216f));
    return y * vsigmoid(u);
  }
};
struct Elu {
  static MNN_INLINE VF at(VF x, VF a, VF) { return x > splat(0.0f) ? x : a * vexpm1(x); }
};
// With w = e^x: tanh(log(1 + w)) = w (w + 2) / (w (w + 2) + 2); from 20 on that is 1.
struct Mish {
  static MNN_INLINE VF at(VF x, VF, VF) {
    const VF y = vmax(splat(-200.0f), x);
    const VF w = vexp(vmin(splat(20.0f), y));
    const VF t = w * (w + splat(2.0f));
    return y * (t / (t + splat(2.0f)));
  }
};
static MNN_INLINE VF activate(const PostOp& op, VF x) {
  const VF a = splat(op.a), b = splat(op.b);
  switch (op.kind) {
    case Activation::kNone: return x;
    case Activation::kRelu: return Relu::at(x, a, b);
    case Activation::kClip: return Clip::at(x, a, b);
    case Activation::kLeakyRelu: return LeakyRelu::at(x, a, b);
    case Activation::kHardSigmoid: return HardSigmoid::at(x, a, b);
    case Activation::kHardSwish: return HardSwish::at(x, a, b);
    case Activation::kSigmoid: return Sigmoid::at(x, a, b);
    case Activation::kSwish: return Swish::at(x, a, b);
    case Activation::kTanh: return Tanh::at(x, a, b);
    case Activation::kGelu: return Gelu::at(x, a, b);
    case Activation::kGeluTanh: return GeluTanh::at(x, a, b);
    case Activation::kElu: return Elu::at(x, a, b);
    case Activation::kMish: return Mish::at(x, a, b);
  }
  return x;
}

}  // namespace mnn::MNN_ISA
