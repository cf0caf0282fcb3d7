// Operators that only look at their input in another way: reshapes, transposes, slices. They move
// nothing; a later reader that wants another layout does.
#include <algorithm>
#include <numeric>

#include "libruntime/backends/cpu/rows.h"

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
  const Array& a = l.stored(node.inputs[0]);
  std::vector<int> perm;
  for (const int64_t p : n.attr_ints("perm")) perm.push_back(static_cast<int>(p));
  if (perm.empty()) {
    perm = row_major(a.rank());
    std::reverse(perm.begin(), perm.end());
  }
  return l.define_view(node, transposed(a, perm));
}

std::optional<std::string> supports_slice(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  for (size_t i = 1; i < 5; ++i) {
    if (n.has_input(i) && !n.ints(i)) return "bounds are not constant";
  }
  return std::nullopt;
}

Status lower_slice(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  Array a = l.stored(node.inputs[0]);
  const std::vector<int64_t> starts = *n.ints(1);
  std::vector<int64_t> axes(starts.size());
  std::iota(axes.begin(), axes.end(), 0);
  if (n.has_input(3)) axes = *n.ints(3);
  const std::vector<int64_t> steps = n.ints(4).value_or(std::vector<int64_t>(starts.size(), 1));
  const auto rank = static_cast<int64_t>(a.rank());
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i] < 0 ? axes[i] + rank : axes[i]);
    const int64_t dim = a.dims[axis];
    const int64_t start = starts[i] < 0 ? starts[i] + dim : starts[i];
    a.offset += std::clamp<int64_t>(start, 0, dim - 1) * a.strides[axis];
    a.strides[axis] *= steps[i];
  }
  a.dims = l.dims(node.outputs[0]);
  return l.define_view(node, std::move(a));
}

Status lower_split(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const Array a = l.stored(node.inputs[0]);
  const size_t axis = n.axis("axis", a.rank());
  Node alone = node;
  Array part = a;
  for (const ValueId v : node.outputs) {
    if (v == kNoValue) return internal_error("a split without one of its outputs");
    part.dims = l.dims(v);
    alone.outputs = {v};
    MNN_RETURN_IF_ERROR(l.define_view(alone, part));
    part.offset += part.dims[axis] * part.strides[axis];
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
Status shuffle_blocks(Lowering& l, const Node& node, const Dims& split,
                      const std::vector<int>& perm, const Order& order) {
  const std::optional<Array> blocks = reshaped(l.stored(node.inputs[0]), split);
  if (!blocks) return internal_error("an axis cannot be split");
  MNN_ASSIGN_OR_RETURN(const Array moved, l.copy(transposed(*blocks, perm), order));
  const std::optional<Array> view = reshaped(moved, l.dims(node.outputs[0]));
  if (!view) return internal_error("blocks cannot be merged");
  return l.define_view(node, *view);
}

Status lower_depth_to_space(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const Dims d = n.in_dims(0);
  const int64_t b = n.attr_int("blocksize"), c = d[1] / (b * b);
  const Order order = {0, 2, 3, 4, 5, 1};
  if (n.attr_string("mode") == "CRD") {
    return shuffle_blocks(l, node, {d[0], c, b, b, d[2], d[3]}, {0, 1, 4, 2, 5, 3}, order);
  }
  return shuffle_blocks(l, node, {d[0], b, b, c, d[2], d[3]}, {0, 3, 4, 1, 5, 2}, order);
}

Status lower_space_to_depth(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const Dims d = n.in_dims(0);
  const int64_t b = n.attr_int("blocksize");
  const bool columns = n.attr_string("mode") == "CRD";
  const std::vector<int> perm =
      columns ? std::vector<int>{0, 1, 3, 5, 2, 4} : std::vector<int>{0, 3, 5, 1, 2, 4};
  return shuffle_blocks(l, node, {d[0], d[1], d[2] / b, b, d[3] / b, b}, perm, {0, 4, 5, 1, 2, 3});
}

constexpr OpRow kRows[] = {
    {"Identity", supports_view, lower_identity},
    {"Reshape", supports_view, lower_reshape},
    {"Flatten", supports_view, lower_reshape},
    {"Squeeze", supports_view, lower_reshape},
    {"Unsqueeze", supports_view, lower_reshape},
    {"Transpose", supports_view, lower_transpose},
    {"Slice", supports_slice, lower_slice},
    {"Split", supports_split, lower_split},
    {"Expand", supports_view, lower_expand},
    {"DepthToSpace", supports_view, lower_depth_to_space},
    {"SpaceToDepth", supports_view, lower_space_to_depth},
};

}  // namespace

std::span<const OpRow> view_rows() { return kRows; }

}  // namespace mnn::cpu
