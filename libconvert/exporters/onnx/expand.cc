// Normalizations, recurrent layers and shapes from operators that older opsets have.
#include <numeric>

#include "libconvert/exporters/onnx/rows.h"

namespace mnn::onnx_export {
namespace {

AttributeReader read(const Node& node) { return {node, *find_op(node.op)}; }

ValueId cast(Builder& b, ValueId x, DType to) {
  return b.op("Cast", {x}, {{"to", static_cast<int64_t>(to)}});
}

ValueId transpose(Builder& b, ValueId x, std::vector<int64_t> perm) {
  return b.op("Transpose", {x}, {{"perm", std::move(perm)}});
}

}  // namespace

Result<Values> expand_cast_like(Builder& b, const Node& node) {
  const DType to = b.type(node.inputs[1]).dtype;
  if (to == DType::kUndefined) return unsupported("a type that is not known");
  return Values{cast(b, node.inputs[0], to)};
}

Result<Values> expand_layer_norm(Builder& b, const Node& node) {
  const AttributeReader a = read(node);
  const Type type = b.type(node.inputs[0]);
  if (!type.shape) return unsupported("an input of unknown rank");
  MNN_ASSIGN_OR_RETURN(const size_t axis, a.attr_axis("axis", type.rank()));
  std::vector<int64_t> axes(type.rank() - axis);
  std::iota(axes.begin(), axes.end(), static_cast<int64_t>(axis));
  // The statistics are computed in stash_type.
  const DType stash =
      a.attr_int("stash_type") == 0 ? type.dtype : static_cast<DType>(a.attr_int("stash_type"));
  const bool widened = stash != type.dtype;
  const ValueId x = widened ? cast(b, node.inputs[0], stash) : node.inputs[0];
  const ValueId over = b.ints(axes);
  const ValueId mean = b.op("ReduceMean", {x, over});
  const ValueId centered = b.op("Sub", {x, mean});
  const ValueId variance = b.op("ReduceMean", {b.op("Mul", {centered, centered}), over});
  const ValueId shifted = b.op("Add", {variance, b.scalar(a.attr_float("epsilon"), stash)});
  const ValueId deviation = b.op("Sqrt", {shifted});
  ValueId y = b.op("Div", {centered, deviation});
  if (widened) y = cast(b, y, type.dtype);
  y = b.op("Mul", {y, node.inputs[1]});
  if (has(node, 2)) y = b.op("Add", {y, node.inputs[2]});
  Values out = {y, kNoValue, kNoValue};
  if (node.outputs.size() > 1) out[1] = mean;
  if (node.outputs.size() > 2) out[2] = b.op("Reciprocal", {deviation});
  return out;
}

// Batches first become steps first, which is the layout that other runtimes have.
Result<Values> expand_recurrent(Builder& b, const Node& node) {
  Node inner = node;
  inner.attributes.erase("layout");
  inner.inputs[0] = transpose(b, node.inputs[0], {1, 0, 2});
  for (const size_t i : {size_t{5}, size_t{6}}) {
    if (has(node, i)) inner.inputs[i] = transpose(b, node.inputs[i], {1, 0, 2});
  }
  Values made = b.op_n(node.op, inner.inputs, node.outputs.size(), inner.attributes);
  Values out;
  for (size_t i = 0; i < made.size(); ++i) {
    if (node.outputs[i] == kNoValue) {
      out.push_back(kNoValue);
      continue;
    }
    out.push_back(i == 0 ? transpose(b, made[i], {2, 0, 1, 3}) : transpose(b, made[i], {1, 0, 2}));
  }
  return out;
}

Result<Values> expand_shape(Builder& b, const Node& node) {
  const AttributeReader a = read(node);
  const ValueId all = b.op("Shape", {node.inputs[0]});
  const int64_t end = a.has("end") ? a.attr_int("end") : INT64_MAX;
  return Values{b.op("Slice", {all, b.ints({a.attr_int("start")}), b.ints({end}), b.ints({0})})};
}

}  // namespace mnn::onnx_export
