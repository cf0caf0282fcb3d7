// y[i] = act(x[i]) for every PostOp.
#include "libruntime/kernels/isa/activation.h"
#include "libruntime/kernels/isa/families.h"

namespace mnn::MNN_ISA {
namespace {

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
