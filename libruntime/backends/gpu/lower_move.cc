// Operators that move elements: views where strides can say it, copies where not.
#include <algorithm>
#include <cstring>

#include "libruntime/backends/gpu/lower_bytes.h"
#include "libruntime/core/ops/sampling.h"
#include "libruntime/lower/view.h"

namespace mnn::gpu {
namespace {

std::optional<std::string> takes_any(const NodeView&) { return std::nullopt; }

Status lower_identity(Lowering& l, const Node& node) {
  MNN_ASSIGN_OR_RETURN(const Array a, l.array(node.inputs[0]));
  return l.finish(node, a);
}

Status lower_reshape(Lowering& l, const Node& node) {
  if (lower_byte_reshape(l, node)) return {};
  const Dims dims = l.dims(node.outputs[0]);
  MNN_ASSIGN_OR_RETURN(const Array a, l.array(node.inputs[0]));
  std::optional<Array> view = reshaped(a, dims);
  if (!view) {
    MNN_ASSIGN_OR_RETURN(const Array moved, l.dense(node.inputs[0]));
    view = reshaped(moved, dims);
  }
  if (!view) return internal_error("a dense array cannot be reshaped");
  return l.finish(node, *view);
}

Status lower_transpose(Lowering& l, const Node& node) {
  MNN_ASSIGN_OR_RETURN(const Array a, l.array(node.inputs[0]));
  return l.finish(node, transposed(a, transpose_axes(NodeView(l.graph(), node))));
}

Status lower_slice(Lowering& l, const Node& node) {
  MNN_ASSIGN_OR_RETURN(const Array a, l.array(node.inputs[0]));
  return l.finish(node, sliced(NodeView(l.graph(), node), a));
}

std::optional<std::string> why_not_split(const NodeView& n) {
  if (!n.node.fused.empty()) return "post-ops";
  for (const ValueId v : n.node.outputs) {
    if (v == kNoValue) return "an output nobody wants";
  }
  return std::nullopt;
}

Status lower_split(Lowering& l, const Node& node) {
  MNN_ASSIGN_OR_RETURN(const Array a, l.array(node.inputs[0]));
  const std::vector<Array> parts = split_parts(NodeView(l.graph(), node), a);
  Node alone = node;
  for (size_t i = 0; i < parts.size(); ++i) {
    alone.outputs = {node.outputs[i]};
    MNN_RETURN_IF_ERROR(l.finish(alone, parts[i]));
  }
  return {};
}

Status lower_expand(Lowering& l, const Node& node) {
  MNN_ASSIGN_OR_RETURN(const Array a, l.array(node.inputs[0]));
  return l.finish(node, broadcast_to(a, l.dims(node.outputs[0])));
}

Status lower_blocks(Lowering& l, const Node& node) {
  const BlockShuffle shuffle = block_shuffle(NodeView(l.graph(), node));
  MNN_ASSIGN_OR_RETURN(const Array a, l.dense(node.inputs[0]));
  const std::optional<Array> blocks = reshaped(a, shuffle.split);
  if (!blocks) return internal_error("an axis cannot be split");
  MNN_ASSIGN_OR_RETURN(const Array moved, l.dense(transposed(*blocks, shuffle.perm)));
  const std::optional<Array> view = reshaped(moved, l.dims(node.outputs[0]));
  if (!view) return internal_error("blocks cannot be merged");
  return l.finish(node, *view);
}

Status lower_concat(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const ValueId yv = node.outputs[0];
  const size_t axis = n.axis("axis", l.dims(yv).size());
  MNN_ASSIGN_OR_RETURN(const bool done, lower_byte_concat(l, node, axis));
  if (done) return {};
  const Array y = l.allocate(l.dtype(yv), l.dims(yv));
  Array place = y;
  for (size_t i = 0; i < node.own_inputs(); ++i) {
    if (product(l.dims(node.inputs[i])) == 0) continue;
    MNN_ASSIGN_OR_RETURN(const Array x, l.array(node.inputs[i]));
    place.dims = x.dims;
    l.copy(x, place);
    place.offset += x.dims[axis] * place.strides[axis];
  }
  return l.finish(node, y);
}

// Along the indices of each axis; `fill` where one lies outside.
Result<Array> add_table_copy(Lowering& l, const Array& x, const AxisIndices& indices,
                             uint64_t fill) {
  Dims dims;
  std::vector<int> t;
  for (const Dims& axis : indices) {
    dims.push_back(static_cast<int64_t>(axis.size()));
    t.push_back(static_cast<int>(axis.size()));
  }
  auto start = static_cast<int>(2 * indices.size());
  for (const Dims& axis : indices) {
    t.push_back(start);
    start += static_cast<int>(axis.size());
  }
  for (size_t d = 0; d < indices.size(); ++d) {
    for (const int64_t i : indices[d]) {
      t.push_back(i == kOutside ? -1 : static_cast<int>(i * x.strides[d]));
    }
  }
  const Array y = l.allocate(x.dtype, dims);
  const int at = l.table(std::move(t));
  Launch& launch = l.launch("mnn_table_copy", words_of(y));
  launch.buffers = {x.storage, at, y.storage};
  launch.params = {word(words_of(y)),
                   word(static_cast<int64_t>(dims.size())),
                   word(int64_t{0}),
                   word(int64_t{words_per(x.dtype)}),
                   static_cast<uint32_t>(fill),
                   static_cast<uint32_t>(fill >> 32)};
  return y;
}

Status lower_pad(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  uint64_t fill = 0;
  if (n.has_input(2)) {
    const Tensor* value = l.constant(node.inputs[2]);
    if (value == nullptr) return internal_error("the value cannot be read");
    std::memcpy(&fill, value->raw(), static_cast<size_t>(dtype_bits(value->dtype()) / 8));
  }
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[0]));
  MNN_ASSIGN_OR_RETURN(const Array y, add_table_copy(l, x, padded_indices(n), fill));
  return l.finish(node, y);
}

Status lower_tile(Lowering& l, const Node& node) {
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[0]));
  MNN_ASSIGN_OR_RETURN(const Array y,
                       add_table_copy(l, x, tiled_indices(x.dims, l.dims(node.outputs[0])), 0));
  return l.finish(node, y);
}

// ---- Resize ----

bool given(const NodeView& n, size_t i) {
  return n.has_input(i) && !(n.is_constant(i) && n.in(i).data.elements() == 0);
}

std::optional<std::string> why_not_resize(const NodeView& n) {
  if (n.in_type(0) != DType::kF32) return "input is not f32";
  for (size_t i = 1; i < 4; ++i) {
    if (given(n, i) && (!n.is_constant(i) || n.in(i).quant)) {
      return "scales, sizes or roi are not constant";
    }
  }
  return std::nullopt;
}

// Weighted sums along axis `d`.
Result<Array> add_mix(Lowering& l, const Array& x, size_t d, const std::vector<ResizeTaps>& taps,
                      float outside) {
  std::vector<int> starts, indices, weights;
  for (const ResizeTaps& tap : taps) {
    const auto begin = static_cast<int>(indices.size());
    starts.push_back(tap.outside ? -1 - begin : begin);
    for (size_t k = 0; !tap.outside && k < tap.index.size(); ++k) {
      if (tap.weight[k] == 0) continue;
      indices.push_back(static_cast<int>(tap.index[k]));
      weights.push_back(std::bit_cast<int>(static_cast<float>(tap.weight[k])));
    }
  }
  const auto count = static_cast<int64_t>(indices.size());
  std::vector<int> t = std::move(starts);
  t.push_back(static_cast<int>(count));
  t.insert(t.end(), indices.begin(), indices.end());
  t.insert(t.end(), weights.begin(), weights.end());
  Dims dims = x.dims;
  dims[d] = static_cast<int64_t>(taps.size());
  const Array y = l.allocate(DType::kF32, dims);
  const int at = l.table(std::move(t));
  Launch& launch = l.launch("mnn_mix", y.elements());
  launch.buffers = {x.storage, at, y.storage};
  launch.params = {word(y.elements()), word(x.dims[d]),
                   word(dims[d]),      word(product(std::span(dims).subspan(d + 1))),
                   word(count),        word(outside)};
  return y;
}

Status lower_resize(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  auto input = [&](size_t i) { return given(n, i) ? &n.in(i).data : nullptr; };
  MNN_ASSIGN_OR_RETURN(const auto taps, resize_taps(n, n.in_dims(0), input(1), input(2), input(3)));
  const auto fill = static_cast<float>(n.attr_float("extrapolation_value"));
  MNN_ASSIGN_OR_RETURN(Array x, l.dense(node.inputs[0]));
  if (n.attr_string("mode") == "nearest") {
    AxisIndices indices = straight_indices(x.dims);
    for (size_t d = 0; d < taps.size(); ++d) {
      if (taps[d].empty()) continue;
      indices[d].clear();
      for (const ResizeTaps& t : taps[d]) indices[d].push_back(t.outside ? kOutside : t.index[0]);
    }
    MNN_ASSIGN_OR_RETURN(x, add_table_copy(l, x, indices, word(fill)));
    return l.finish(node, x);
  }
  // What lies outside on any axis is outside.
  for (size_t d = 0; d < taps.size(); ++d) {
    if (taps[d].empty()) continue;
    MNN_ASSIGN_OR_RETURN(x, add_mix(l, x, d, taps[d], fill));
  }
  return l.finish(node, x);
}

constexpr OpRow kMoveRows[] = {
    {"Identity", takes_any, lower_identity},   {"Reshape", takes_any, lower_reshape},
    {"Flatten", takes_any, lower_reshape},     {"Squeeze", takes_any, lower_reshape},
    {"Unsqueeze", takes_any, lower_reshape},   {"Transpose", takes_any, lower_transpose},
    {"Slice", why_no_slice, lower_slice},      {"Split", why_not_split, lower_split},
    {"Expand", takes_any, lower_expand},       {"DepthToSpace", takes_any, lower_blocks},
    {"SpaceToDepth", takes_any, lower_blocks}, {"Concat", takes_any, lower_concat},
    {"Pad", why_no_pads, lower_pad},           {"Tile", takes_any, lower_tile},
    {"Resize", why_not_resize, lower_resize},
};

}  // namespace

std::span<const OpRow> move_rows() { return kMoveRows; }

}  // namespace mnn::gpu
