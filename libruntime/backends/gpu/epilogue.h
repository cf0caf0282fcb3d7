// What the kernels of products apply while they store, as their last parameters and first
// constants.
#pragma once

#include "libruntime/backends/gpu/lowering.h"

namespace mnn::gpu {

struct DeviceEpilogue {
  FusedPart part;
  int residual = -1;  // storage
  // A buffer that is not read must be bound to something.
  int residual_or(int other) const { return residual >= 0 ? residual : other; }
  // ACT_BEFORE, ACT_AFTER, RESIDUAL; before_a, before_b, after_a, after_b.
  void add_to(Launch& launch) const {
    const Epilogue& e = part.epilogue;
    launch.constants = {static_cast<int>(e.before.kind), static_cast<int>(e.after.kind),
                        residual >= 0 ? 1 : 0};
    for (const float v : {e.before.a, e.before.b, e.after.a, e.after.b}) {
      launch.params.push_back(word(v));
    }
  }
};

// Post-ops from `from` on, as far as kernels have them.
inline Result<DeviceEpilogue> take_epilogue(Lowering& l, const Node& node, size_t from) {
  DeviceEpilogue e;
  e.part = fuse(l.graph(), node, from);
  if (e.part.residual == kNoValue) return e;
  MNN_ASSIGN_OR_RETURN(const Array residual, l.dense(e.part.residual));
  e.residual = residual.storage;
  return e;
}

// y, dense, becomes alpha a b + bias for matrices in the last two axes of any strides; leading axes
// are repeated to each other. `bias` is one number per column, or empty.
Launch& add_matmul(Lowering& l, Array a, Array b, float alpha, const std::vector<float>& bias,
                   const DeviceEpilogue& e, const Array& y);

inline void count_products(const Lowering& l, const Node& node, Launch& launch) {
  launch.info.macs = count_macs(l.graph(), node);
  launch.info.form = launch.info.macs > 0 ? ComputeForm::kF32 : ComputeForm::kNone;
}

}  // namespace mnn::gpu
