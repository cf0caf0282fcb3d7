// Reductions, softmax and normalizations.
#include <algorithm>

#include "libruntime/backends/gpu/lower_bytes.h"
#include "libruntime/lower/view.h"

namespace mnn::gpu {
namespace {

// A group sums a row of at least so many elements; shorter ones are an item's.
constexpr int64_t kLeastRow = 64;

struct ReduceKind {
  std::string_view op;
  int kind;  // KIND and AFTER of the kernels
  int after = 0;
  bool mean = false;
};
constexpr ReduceKind kReduce[] = {
    {"ReduceSum", 0},     {"ReduceMean", 0, 0, true}, {"ReduceMax", 1},
    {"ReduceMin", 2},     {"ReduceSumSquare", 3},     {"ReduceL1", 4},
    {"ReduceL2", 3, 1},   {"ReduceLogSum", 0, 2},     {"GlobalAveragePool", 0, 0, true},
    {"GlobalMaxPool", 1},
};

std::optional<std::string> why_not_reduce(const NodeView& n) {
  if (n.in_type(0) != DType::kF32) return "input is not f32";
  return why_no_axes(n);
}

// Whether the axes that are true are neighbours, extents of 1 left out.
bool are_neighbours(const std::vector<bool>& gone, const Dims& dims) {
  int turns = 0;
  bool before = false;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 1) continue;
    turns += gone[d] && !before;
    before = gone[d];
  }
  return turns <= 1;
}

Status lower_reduce(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const ReduceKind& row = *std::find_if(std::begin(kReduce), std::end(kReduce),
                                        [&](const ReduceKind& r) { return r.op == node.op; });
  const std::vector<bool> gone = reduced_axes(n);
  if (row.mean && averages_bytes(l, node, gone)) return lower_byte_mean(l, node);
  const Dims dims = l.dims(node.inputs[0]);
  int64_t outer = 1, count = 1, inner = 1;
  Array x;
  if (are_neighbours(gone, dims)) {
    MNN_ASSIGN_OR_RETURN(x, l.dense(node.inputs[0]));
    for (size_t d = 0; d < dims.size(); ++d) {
      (gone[d] ? count : count == 1 ? outer : inner) *= dims[d];
    }
  } else {
    std::vector<int> perm;
    for (const bool which : {false, true}) {
      for (size_t d = 0; d < dims.size(); ++d) {
        if (gone[d] == which) perm.push_back(static_cast<int>(d));
        if (gone[d] == which) (which ? count : outer) *= dims[d];
      }
    }
    MNN_ASSIGN_OR_RETURN(const Array from, l.array(node.inputs[0]));
    MNN_ASSIGN_OR_RETURN(x, l.dense(transposed(from, perm)));
  }
  const Array y = l.allocate(DType::kF32, l.dims(node.outputs[0]));
  const bool rows = inner == 1 && count >= kLeastRow;
  Launch& launch = rows ? l.launch_groups("mnn_reduce_row", outer)
                        : l.launch("mnn_reduce_column", outer * inner);
  launch.buffers = {x.storage, y.storage};
  launch.params = {word(outer), word(count)};
  if (!rows) launch.params.push_back(word(inner));
  launch.params.push_back(word(row.mean ? static_cast<float>(count) : 1.0f));
  launch.constants = {row.kind, row.after};
  return l.finish(node, y);
}

std::optional<std::string> why_not_softmax(const NodeView& n) {
  if (n.in_type(0) != DType::kF32) return "input is not f32";
  if (n.in(0).type.rank() == 0) return "a scalar";
  return std::nullopt;
}

Status lower_softmax(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[0]));
  return l.finish(node,
                  add_softmax(l, x, n.axis("axis", x.rank()),
                              node.op == "LogSoftmax" ? SoftmaxForm::kLog : SoftmaxForm::kPlain));
}

std::optional<std::string> why_not_norm(const NodeView& n) {
  for (size_t i = 0; i < n.node.own_inputs(); ++i) {
    if (n.has_input(i) && n.in_type(i) != DType::kF32) return "input is not f32";
  }
  for (size_t i = 1; i < n.node.outputs.size(); ++i) {
    if (n.has_output(i)) return "statistics as outputs";
  }
  return std::nullopt;
}

std::optional<std::string> why_not_layer_norm(const NodeView& n) {
  const Dims x = n.in_dims(0);
  const Dims tail(x.begin() + static_cast<long>(n.axis("axis", x.size())), x.end());
  for (size_t i = 1; i < 3; ++i) {
    if (n.has_input(i) && n.in_dims(i) != tail) return "scale or bias of other dims";
  }
  return why_not_norm(n);
}

Status lower_norm(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[0]));
  const bool rms = node.op == "RMSNormalization";
  int64_t groups = 1, channels = 0, space = 1;
  if (rms || node.op == "LayerNormalization") {
    channels = product(std::span(x.dims).subspan(n.axis("axis", x.rank())));
  } else {
    groups = node.op == "InstanceNormalization" ? x.dims[1] : n.attr_int("num_groups");
    channels = x.dims[1] / groups;
    space = product(std::span(x.dims).subspan(2));
  }
  int parameters[2] = {x.storage, x.storage};
  for (size_t i = 1; i < 3; ++i) {
    if (!n.has_input(i)) continue;
    MNN_ASSIGN_OR_RETURN(const Array p, l.dense(node.inputs[i]));
    parameters[i - 1] = p.storage;
  }
  const Array y = l.allocate(DType::kF32, x.dims);
  const int64_t size = channels * space;
  Launch& launch = l.launch_groups("mnn_norm_row", x.elements() / size);
  launch.buffers = {x.storage, parameters[0], parameters[1], y.storage};
  launch.params = {word(x.elements() / size),
                   word(size),
                   word(groups),
                   word(channels),
                   word(space),
                   word(static_cast<float>(n.attr_float("epsilon")))};
  launch.constants = {rms ? 1 : 0, n.has_input(1) ? 1 : 0, n.has_input(2) ? 1 : 0};
  return l.finish(node, y);
}

constexpr OpRow kRowsRows[] = {
    {"ReduceSum", why_not_reduce, lower_reduce},
    {"ReduceMean", why_not_reduce, lower_reduce},
    {"ReduceMax", why_not_reduce, lower_reduce},
    {"ReduceMin", why_not_reduce, lower_reduce},
    {"ReduceSumSquare", why_not_reduce, lower_reduce},
    {"ReduceL1", why_not_reduce, lower_reduce},
    {"ReduceL2", why_not_reduce, lower_reduce},
    {"ReduceLogSum", why_not_reduce, lower_reduce},
    {"GlobalAveragePool", why_not_reduce, lower_reduce},
    {"GlobalMaxPool", why_not_reduce, lower_reduce},
    {"Softmax", why_not_softmax, lower_softmax},
    {"LogSoftmax", why_not_softmax, lower_softmax},
    {"LayerNormalization", why_not_layer_norm, lower_norm},
    {"RMSNormalization", why_not_layer_norm, lower_norm},
    {"InstanceNormalization", why_not_norm, lower_norm},
    {"GroupNormalization", why_not_norm, lower_norm},
};

}  // namespace

Array add_softmax(Lowering& l, const Array& x, size_t axis, SoftmaxForm form) {
  const int64_t inner = product(std::span(x.dims).subspan(axis + 1));
  const int64_t outer = product(std::span(x.dims).first(axis));
  const Array y = l.allocate(DType::kF32, x.dims);
  const bool rows = inner == 1 && x.dims[axis] >= kLeastRow;
  Launch& launch = rows ? l.launch_groups("mnn_softmax_row", outer)
                        : l.launch("mnn_softmax_column", outer * inner);
  launch.buffers = {x.storage, y.storage};
  launch.params = {word(outer), word(x.dims[axis])};
  if (!rows) launch.params.push_back(word(inner));
  launch.constants = {static_cast<int>(form)};
  return y;
}

std::span<const OpRow> row_rows() { return kRowsRows; }

}  // namespace mnn::gpu
