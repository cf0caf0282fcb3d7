// Operators that only look at their input in another way: reshapes, transposes, slices. They move
// nothing; a later reader that wants another layout does.
#include "libruntime/backends/cpu/rows.h"
#include "libruntime/lower/view.h"

namespace mnn::cpu {
namespace {

std::optional<std::string> supports_view(const Graph&, const Node&) { return std::nullopt; }

Status lower_identity(Lowering& l, const Node& node) {
  return l.define_view(node, l.stored(node.inputs[0]));
}

Status lower_reshape(Lowering& l, const Node& node) {
  const Dims dims = l.dims(node.outputs[0]);
  const ValueId v = node.inputs[0];
  if (const Array* form =
          l.find_form(v, [&](const Array& a) { return reshaped(a, dims).has_value(); })) {
    return l.define_view(node, *reshaped(*form, dims));
  }
  const Array a = l.stored(v);
  const Order order = order_for_reshape(a, dims);
  MNN_ASSIGN_OR_RETURN(const Array moved, a.grid ? l.stored(v, order) : l.real(v, order));
  const std::optional<Array> view = reshaped(moved, dims);
  if (!view) return internal_error("a dense array cannot be reshaped");
  return l.define_view(node, *view);
}

Status lower_transpose(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  return l.define_view(node, transposed(l.stored(node.inputs[0]), transpose_axes(n)));
}

std::optional<std::string> supports_slice(const Graph& graph, const Node& node) {
  return why_no_slice(NodeView(graph, node));
}

Status lower_slice(Lowering& l, const Node& node) {
  return l.define_view(node, sliced(NodeView(l.graph(), node), l.stored(node.inputs[0])));
}

Status lower_split(Lowering& l, const Node& node) {
  const std::vector<Array> parts = split_parts(NodeView(l.graph(), node), l.stored(node.inputs[0]));
  Node alone = node;
  for (size_t i = 0; i < parts.size(); ++i) {
    alone.outputs = {node.outputs[i]};
    MNN_RETURN_IF_ERROR(l.define_view(alone, parts[i]));
  }
  return {};
}

std::optional<std::string> supports_split(const Graph&, const Node& node) {
  for (const ValueId v : node.outputs) {
    if (v == kNoValue) return "an output nobody wants";
  }
  if (!node.fused.empty()) return "post-ops";
  return std::nullopt;
}

Status lower_expand(Lowering& l, const Node& node) {
  return l.define_view(node, broadcast_to(l.stored(node.inputs[0]), l.dims(node.outputs[0])));
}

// Splits axes into blocks, permutes, moves into channels-last order, and merges.
Status lower_blocks(Lowering& l, const Node& node) {
  const BlockShuffle shuffle = block_shuffle(NodeView(l.graph(), node));
  const std::optional<Array> blocks = reshaped(l.stored(node.inputs[0]), shuffle.split);
  if (!blocks) return internal_error("an axis cannot be split");
  const Order order = node.op == "DepthToSpace" ? Order{0, 2, 3, 4, 5, 1} : Order{0, 4, 5, 1, 2, 3};
  MNN_ASSIGN_OR_RETURN(const Array moved, l.copy(transposed(*blocks, shuffle.perm), order));
  const std::optional<Array> view = reshaped(moved, l.dims(node.outputs[0]));
  if (!view) return internal_error("blocks cannot be merged");
  return l.define_view(node, *view);
}

constexpr OpRow kViewRows[] = {
    {"Identity", supports_view, lower_identity},   {"Reshape", supports_view, lower_reshape},
    {"Flatten", supports_view, lower_reshape},     {"Squeeze", supports_view, lower_reshape},
    {"Unsqueeze", supports_view, lower_reshape},   {"Transpose", supports_view, lower_transpose},
    {"Slice", supports_slice, lower_slice},        {"Split", supports_split, lower_split},
    {"Expand", supports_view, lower_expand},       {"DepthToSpace", supports_view, lower_blocks},
    {"SpaceToDepth", supports_view, lower_blocks},
};

}  // namespace

std::span<const OpRow> view_rows() { return kViewRows; }

}  // namespace mnn::cpu
