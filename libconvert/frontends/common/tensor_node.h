// A node of a source whose images have their channels last: its operands as the IR wants them, and
// the transposes between both layouts, which passes sink and cancel.
#pragma once

#include <map>

#include "libconvert/frontends/common/source_node.h"

namespace mnn::frontend {

using Ints = std::vector<int64_t>;

// What belongs to one graph that is being built, beside its names.
struct Layouts {
  // A value [n, space…, c] -> the same as [n, c, space…], and back.
  std::map<ValueId, ValueId> first, last;
};

class TensorNode : public SourceNode {
 public:
  TensorNode(GraphDraft& d, int64_t& node_budget, Layouts& l)
      : SourceNode(d, node_budget), layouts(l) {}

  Layouts& layouts;

  // Wants `least` to `most` inputs, of which the first `least` are there; an error where not.
  bool expect_inputs(size_t least, size_t most);
  const QuantParams* quant(ValueId v) const {
    return v != kNoValue && graph.value(v).quant ? &*graph.value(v).quant : nullptr;
  }
  // What only moves elements of `x` stays on its grid.
  ValueId move(std::string_view type, ValueId x, std::vector<ValueId> rest = {},
               Attributes attrs = {});
  ValueId transpose(ValueId x, const Ints& perm);
  // Channels after the batch, and last. Of a value that was made the other way round: that one.
  ValueId channels_first(ValueId x);
  ValueId channels_last(ValueId y);
  ValueId scalar_f32(double value) { return add_scalar(value, DType::kF32); }
  ValueId scalar_i64(int64_t value) { return add_constant(Tensor::scalar(value)); }
  // A scalar 0 (false) of any type but strings.
  ValueId zero_of(DType dtype);
  // Integer operands of shapes and axes as a 1-D i64 tensor.
  ValueId shape_operand(size_t i);
  // Input i as a scalar.
  ValueId scalar_operand(size_t i) { return emit("Reshape", {in(i), add_ints({})}); }
  // The elements of integer input i, known before a run; an error where they are not.
  std::optional<Ints> known_ints(size_t i) const;
  Ints need_ints(size_t i, const char* what);
  int64_t need_int(size_t i, const char* what);
  std::optional<Ints> known_dims_of(ValueId v) const;
  // 1-D i64 tensors one behind the other; a constant when all are.
  ValueId joined(const std::vector<ValueId>& parts);
};

}  // namespace mnn::frontend
