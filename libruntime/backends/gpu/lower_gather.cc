// Elements picked by computed indices. An index out of range sets the error word.
#include <algorithm>

#include "libruntime/backends/gpu/lower_codes.h"

namespace mnn::gpu {
namespace {

std::optional<std::string> why_not_indices(const NodeView& n) {
  const DType t = n.in_type(1);
  if (t != DType::kI32 && t != DType::kI64) return "indices are not integers";
  if (n.in(0).type.rank() == 0) return "a scalar";
  return std::nullopt;
}

Status lower_gather(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Array at, l.dense(node.inputs[1]));
  const Dims table = l.dims(node.inputs[0]);
  const size_t axis = n.axis("axis", table.size());
  const Array y = l.allocate(l.dtype(node.inputs[0]), l.dims(node.outputs[0]));
  if (axis == 0) {
    if (const auto codes = table_codes(l, node.inputs[0])) {
      const int error = l.error();
      Launch& launch = l.launch("mnn_gather_codes", y.elements());
      launch.buffers = {codes->words, codes->scales, at.storage, error, y.storage};
      for (const int64_t v : {y.elements(), product(std::span(table).subspan(1)), table[0],
                              int64_t{words_per(at.dtype)}, codes->per_row, codes->group}) {
        launch.params.push_back(word(v));
      }
      launch.constants = {codes->bits, codes->offset ? 1 : 0};
      return l.finish(node, y);
    }
  }
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[0]));
  const int64_t inner = product(std::span(x.dims).subspan(axis + 1)) * words_per(x.dtype);
  const int error = l.error();
  Launch& launch = l.launch("mnn_gather", words_of(y));
  launch.buffers = {x.storage, at.storage, error, y.storage};
  launch.params = {word(words_of(y)), word(at.elements()), word(inner), word(x.dims[axis]),
                   word(int64_t{words_per(at.dtype)})};
  return l.finish(node, y);
}

std::optional<std::string> why_not_elements(const NodeView& n) {
  if (auto why = why_not_indices(n)) return why;
  const Dims x = n.in_dims(0), at = n.in_dims(1);
  const size_t axis = n.axis("axis", x.size());
  for (size_t d = 0; d < x.size(); ++d) {
    if (d != axis && at[d] > x[d]) return "indices exceed the data";
  }
  return std::nullopt;
}

Status lower_gather_elements(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[0]));
  MNN_ASSIGN_OR_RETURN(const Array at, l.dense(node.inputs[1]));
  const size_t axis = n.axis("axis", x.rank());
  const Array y = l.allocate(x.dtype, at.dims);
  std::vector<int> t;
  for (const int64_t d : at.dims) t.push_back(static_cast<int>(d));
  for (size_t d = 0; d < x.rank(); ++d) {
    t.push_back(d == axis ? 0 : static_cast<int>(x.strides[d]));
  }
  const int table = l.table(std::move(t)), error = l.error();
  Launch& launch = l.launch("mnn_gather_elements", words_of(y));
  launch.buffers = {x.storage, at.storage, table, error, y.storage};
  launch.params = {word(words_of(y)),
                   word(static_cast<int64_t>(x.rank())),
                   word(int64_t{words_per(x.dtype)}),
                   word(x.strides[axis]),
                   word(x.dims[axis]),
                   word(int64_t{words_per(at.dtype)})};
  return l.finish(node, y);
}

Status lower_gather_nd(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Array x, l.dense(node.inputs[0]));
  MNN_ASSIGN_OR_RETURN(const Array at, l.dense(node.inputs[1]));
  const auto lead = static_cast<size_t>(n.attr_int("batch_dims"));
  const auto depth = static_cast<size_t>(at.dims.back());
  const int64_t batch = product(std::span(x.dims).first(lead));
  const int64_t size = product(std::span(x.dims).subspan(lead, depth));
  const int64_t inner = product(std::span(x.dims).subspan(lead + depth)) * words_per(x.dtype);
  std::vector<int> t, strides;
  for (size_t d = lead; d < lead + depth; ++d) {
    t.push_back(static_cast<int>(x.dims[d]));
    strides.push_back(
        static_cast<int>(product(std::span(x.dims).subspan(d + 1, lead + depth - d - 1))));
  }
  t.insert(t.end(), strides.begin(), strides.end());
  if (t.empty()) t.push_back(0);
  const Array y = l.allocate(x.dtype, l.dims(node.outputs[0]));
  const int table = l.table(std::move(t)), error = l.error();
  Launch& launch = l.launch("mnn_gather_nd", words_of(y));
  launch.buffers = {x.storage, at.storage, table, error, y.storage};
  launch.params = {word(words_of(y)),
                   word(at.elements() / std::max<int64_t>(1, at.dims.back()) / batch),
                   word(static_cast<int64_t>(depth)),
                   word(inner),
                   word(size),
                   word(int64_t{words_per(at.dtype)})};
  return l.finish(node, y);
}

constexpr OpRow kGatherRows[] = {
    {"Gather", why_not_indices, lower_gather},
    {"GatherElements", why_not_elements, lower_gather_elements},
    {"GatherND", why_not_indices, lower_gather_nd},
};

}  // namespace

std::span<const OpRow> gather_rows() { return kGatherRows; }

}  // namespace mnn::gpu
