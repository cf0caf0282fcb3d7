// The activations without transcendental functions: no fused multiply-add, so they give the same
// floats on every instruction set, which int8 results rely on.
#pragma once

#include "libruntime/kernels/isa/simd.h"
#include "libruntime/kernels/post_op.h"

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

static MNN_INLINE VF simple_activation(const PostOp& op, VF x) {
  const VF a = splat(op.a), b = splat(op.b);
  switch (op.kind) {
    case Activation::kRelu: return Relu::at(x, a, b);
    case Activation::kClip: return Clip::at(x, a, b);
    case Activation::kLeakyRelu: return LeakyRelu::at(x, a, b);
    case Activation::kHardSigmoid: return HardSigmoid::at(x, a, b);
    case Activation::kHardSwish: return HardSwish::at(x, a, b);
    default: return x;
  }
}

}  // namespace mnn::MNN_ISA
