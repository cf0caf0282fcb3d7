// y[i] = act(x[i]) for every PostOp.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/simd_math.h"
#include "libruntime/kernels/isa/simple_activation.h"

namespace mnn::MNN_ISA {
namespace {

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
struct Identity {
  static MNN_INLINE VF at(VF x, VF, VF) { return x; }
};

template <typename Op>
void apply(const float* x, float* y, int64_t n, float a, float b) {
  const VF va = splat(a), vb = splat(b);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, Op::at(load(x + i), va, vb));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_tail(y + i, Op::at(load_tail(x + i, rest), va, vb), rest);
  }
}

}  // namespace

void fill_activation_f32(KernelTable& table) {
  const auto set = [&table](Activation kind, UnaryF32Fn fn) {
    table.activation_f32[static_cast<int>(kind)] = fn;
  };
  set(Activation::kNone, apply<Identity>);
  set(Activation::kRelu, apply<Relu>);
  set(Activation::kClip, apply<Clip>);
  set(Activation::kLeakyRelu, apply<LeakyRelu>);
  set(Activation::kHardSigmoid, apply<HardSigmoid>);
  set(Activation::kHardSwish, apply<HardSwish>);
  set(Activation::kSigmoid, apply<Sigmoid>);
  set(Activation::kSwish, apply<Swish>);
  set(Activation::kTanh, apply<Tanh>);
  set(Activation::kGelu, apply<Gelu>);
  set(Activation::kGeluTanh, apply<GeluTanh>);
  set(Activation::kElu, apply<Elu>);
  set(Activation::kMish, apply<Mish>);
}

}  // namespace mnn::MNN_ISA
