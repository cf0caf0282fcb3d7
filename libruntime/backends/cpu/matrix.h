// What convolutions and products have in common: epilogues, and steps around a MatrixKernel.
#pragma once

#include "libruntime/backends/cpu/lowering.h"
#include "libruntime/kernels/conv.h"

namespace mnn::cpu {

// How far a node's post-ops go into a kernel's epilogue.
struct FusedPart {
  Epilogue epilogue;
  ValueId residual = kNoValue;
  size_t count = 0;  // post-ops taken, those before `from` included
};
// `bytes`: the result is stored as bytes, `int8`: by an int8 kernel.
FusedPart fuse(const Lowering& l, const Node& node, size_t from, bool int8, bool bytes);

// Takes leading post-ops that add a constant number per index of the result's axis `axis` into
// `bias` (empty: none so far). Returns how many.
size_t fuse_bias(Lowering& l, const Node& node, size_t axis, std::vector<float>& bias);

// Why the node's post-ops cannot run; nullopt when they can.
std::optional<std::string> check_post_ops(const Graph& graph, const Node& node);

// Symmetric signed weights of a quantized constant: one scale per index of `axis` or one for all.
struct ByteWeights {
  Tensor values;  // i8
  WeightId id;
  Weights<int8_t> weights() const {
    using Elements = Weights<int8_t>::Elements;
    return {id,
            [t = values]() { return Result<Elements>(Elements(Elements(), t.data<int8_t>())); }};
  }
  std::vector<float> scales;  // one per output
};
std::optional<ByteWeights> byte_weights(const Lowering& l, ValueId weights, int axis);

// What quantized byte kernels ask of weights before they are quantized; `what`: "weights".
std::optional<std::string> why_not_constant(const NodeView& n, size_t input, const char* what);

QuantU8 quant_of(const Grid& grid);

// How an int8 kernel stores the output of a node: as bytes when the value has a grid and the
// kernel can apply all post-ops in front of it, else as floats. A constant factor per index of the
// result's axis `axis` that comes last goes into the grid.
class ByteOutput {
 public:
  ByteOutput(const Lowering& l, const Node& node, size_t axis);
  // The post-ops of the kernel; those before `from` are done.
  FusedPart fuse_from(size_t from);
  bool stored() const { return stored_; }
  // Bytes on a grid per channel of the value.
  bool channels() const { return stored_ && channels_; }
  // `quant` points into this object.
  void put(ConvQuant& quant) const;

 private:
  const Lowering& l_;
  const Node& node_;
  const size_t axis_;
  bool channels_ = false, stored_ = false;
  std::optional<Grid> grid_;
  ChannelGrid grids_;  // empty: one grid for all
};

// Element offsets of every matrix [.., rows, columns] of `a` for the batch dims of a product.
std::vector<int64_t> batch_offsets(const Array& a, const Dims& batch);

// A step that runs `kernel` on x (and b, the residual and a computed bias) into y.
void add_matrix_step(Lowering& l, const Node& node, MatrixKernelPtr kernel, const Array& x,
                     const Array* b, const Array* residual, const Array& y, ComputeForm form,
                     int64_t weight_bytes, const Epilogue& epilogue, const Array* bias = nullptr);

}  // namespace mnn::cpu
