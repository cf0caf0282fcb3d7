#include "libruntime/backends/cpu/matrix.h"

namespace mnn::cpu {

QuantU8 quant_of(const Grid& grid) { return {grid.scale, grid.zero}; }

Weights<int8_t> kernel_weights(const Lowering& l, ValueId v, const ByteWeights& bytes) {
  using Elements = Weights<int8_t>::Elements;
  return {l.weight_id(v).derived("bytes"),
          [t = bytes.values]() { return Result<Elements>(read_once<int8_t>(t)); }};
}

void set_output(const ByteOutput& out, ConvQuant& quant) {
  if (!out.stored()) return;
  quant.out = out.grid() ? quant_of(*out.grid()) : QuantU8{};
  if (out.grids().scales.empty()) return;
  quant.out_scales = out.grids().scales.data();
  quant.out_zero_points = out.grids().zeros.data();
}

std::vector<int64_t> batch_offsets(const Array& a, const Dims& batch) {
  Array lead = a;
  lead.dims.resize(a.rank() - 2);
  lead.strides.resize(a.rank() - 2);
  const Array wide = broadcast_to(lead, batch);
  std::vector<int64_t> offsets = {0};
  for (size_t d = 0; d < batch.size(); ++d) {
    std::vector<int64_t> next;
    for (const int64_t o : offsets) {
      for (int64_t i = 0; i < batch[d]; ++i) next.push_back(o + i * wide.strides[d]);
    }
    offsets = std::move(next);
  }
  return offsets;
}

void add_matrix_step(Lowering& l, const Node& node, MatrixKernelPtr kernel, const Array& x,
                     const Array* b, const Array* residual, const Array& y, ComputeForm form,
                     int64_t weight_bytes, const Epilogue& epilogue, const Array* bias) {
  const bool early_residual = epilogue.before.kind == Activation::kNone;
  std::shared_ptr<const MatrixKernel> k = std::move(kernel);
  l.count_weights(*k);
  std::vector<Array> in = {x};
  if (b != nullptr) in.push_back(*b);
  if (residual != nullptr) in.push_back(*residual);
  if (bias != nullptr) in.push_back(*bias);
  const Array out[] = {y};
  Step& step = l.add_step(k->name(), in, out, 0, nullptr);
  step.info.bytes += weight_bytes;
  step.info.macs = count_macs(l.graph(), node);
  step.info.form = step.info.macs > 0 ? form : ComputeForm::kNone;
  step.phases = k->phases();
  step.parts = k->parts();
  // An activation in front of the residual may be applied to y before the residual is read.
  if (residual != nullptr && early_residual && residual->offset == 0 &&
      residual->strides == y.strides && residual->item_bytes() == y.item_bytes() &&
      residual->storage != x.storage && (b == nullptr || residual->storage != b->storage)) {
    step.in_place = residual->storage;
  }
  const int scratch = k->scratch_bytes() > 0 ? l.add_scratch(k->scratch_bytes()) : -1;
  const Array second = b != nullptr ? *b : Array();
  const Array added = residual != nullptr ? *residual : Array();
  const Array shift = bias != nullptr ? *bias : Array();
  l.last_step().run = [k, x, second, added, shift, y, scratch](const Run& run, int phase,
                                                               int part) {
    KernelArgs args;
    args.x = run.bytes(x);
    if (second.storage >= 0) args.b = run.bytes(second);
    if (added.storage >= 0) args.residual = run.bytes(added);
    if (shift.storage >= 0) args.bias = run.bytes(shift);
    args.y = run.bytes(y);
    if (scratch >= 0) args.scratch = run.storage(scratch);
    k->run(phase, part, args);
  };
}

}  // namespace mnn::cpu
