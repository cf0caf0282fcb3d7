// Elements moved by computed indices: GatherElements, GatherND, ScatterElements, ScatterND.
#include <algorithm>
#include <cstring>

#include "libruntime/backends/cpu/rows.h"

namespace mnn::cpu {
namespace {

bool is_index(DType t) { return t == DType::kI32 || t == DType::kI64; }

// Reads indices of either type; a negative one counts from the end.
struct Indices {
  const int64_t* wide = nullptr;
  const int32_t* narrow = nullptr;
  Indices(const Run& run, const Array& a) {
    if (a.dtype == DType::kI64) {
      wide = run.data<int64_t>(a);
    } else {
      narrow = run.data<int32_t>(a);
    }
  }
  int64_t given(int64_t i) const { return wide != nullptr ? wide[i] : narrow[i]; }
  // In [0, extent); -1, with the run failed, where it is not.
  int64_t at(const Run& run, int64_t i, int64_t extent) const {
    const int64_t found = given(i), v = found < 0 ? found + extent : found;
    if (v >= 0 && v < extent) return v;
    run.fail_index("an index is out of range", i, found, extent);
    return -1;
  }
};

// Calls f with a value of the type that moves `bytes` bytes.
template <typename F>
void dispatch_bytes(int bytes, F&& f) {
  switch (bytes) {
    case 1: return f(uint8_t{});
    case 2: return f(uint16_t{});
    case 4: return f(uint32_t{});
    default: return f(uint64_t{});
  }
}

Result<Array> row_major_of(Lowering& l, ValueId v) {
  return l.real(v, row_major(l.dims(v).size()));
}

// What a node picks elements from, on the grid of its result: then bytes are picked.
Result<Array> picked_data(Lowering& l, const Node& node) {
  const auto grid = node.fused.empty() ? l.grid(node.outputs[0]) : std::nullopt;
  MNN_ASSIGN_OR_RETURN(Array x, l.on_grid(node.inputs[0], grid));
  if (is_dense(x, row_major(x.rank()))) return x;
  return l.copy(x, row_major(x.rank()));
}

// ---- along one axis ----

// The elements of `dims` (indices, or updates) one row of the last axis at a time, and where each
// row lies in an array of `strides`, with index 0 on `axis`.
struct RowWalk {
  Dims dims, strides;
  size_t axis = 0;

  int64_t rows() const { return product(dims) / dims.back(); }
  int64_t base(int64_t row) const {
    int64_t offset = 0;
    for (size_t d = dims.size() - 1; d-- > 0;) {
      if (d != axis) offset += row % dims[d] * strides[d];
      row /= dims[d];
    }
    return offset;
  }
  // Elements from one index of the row to the next.
  int64_t step() const { return axis + 1 == dims.size() ? 0 : 1; }
};

// Indices that fit the data on all other axes.
std::optional<std::string> check_axis_indices(const NodeView& n) {
  if (!is_index(n.in_type(1))) return "indices are not integers";
  const Dims x = n.in_dims(0), at = n.in_dims(1);
  if (x.empty()) return "a scalar";
  const size_t axis = n.axis("axis", x.size());
  for (size_t d = 0; d < x.size(); ++d) {
    if (d != axis && at[d] > x[d]) return "indices exceed the data";
  }
  return std::nullopt;
}

std::optional<std::string> supports_gather_elements(const Graph& graph, const Node& node) {
  return check_axis_indices(NodeView(graph, node));
}

Status lower_gather_elements(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Array x, picked_data(l, node));
  MNN_ASSIGN_OR_RETURN(const Array at, row_major_of(l, node.inputs[1]));
  const Array y = l.allocate(x.dtype, at.dims, row_major(at.rank()), x.grid);
  const RowWalk walk{at.dims, dense_strides(x.dims, row_major(x.rank())), n.axis("axis", x.rank())};
  const int64_t extent = x.dims[walk.axis], stride = walk.strides[walk.axis];
  const Array in[] = {x, at}, out[] = {y};
  Step& step = l.add_step("gather_elements", in, out, y.elements(), nullptr);
  step.run = [=, parts = step.parts](const Run& run, int, int part) {
    const Range r = part_of(walk.rows(), part, parts);
    const Indices indices(run, at);
    const int64_t length = walk.dims.back();
    dispatch_bytes(x.item_bytes(), [&]<typename T>(T) {
      const auto* data = reinterpret_cast<const T*>(run.bytes(x));
      auto* to = reinterpret_cast<T*>(run.bytes(y));
      for (int64_t row = r.begin; row < r.end; ++row) {
        const T* from = data + walk.base(row);
        for (int64_t j = 0; j < length; ++j, from += walk.step()) {
          const int64_t i = indices.at(run, row * length + j, extent);
          if (i < 0) return;
          to[row * length + j] = from[i * stride];
        }
      }
    });
  };
  return l.finish(node, y);
}

// How an update joins the element it goes to.
enum class Join : uint8_t { kReplace, kAdd, kMul, kMax, kMin };

std::optional<Join> join_of(const NodeView& n) {
  const std::string r = n.attr_string("reduction");
  if (r == "none") return Join::kReplace;
  const DType t = n.in_type(0);
  if (t != DType::kF32 && t != DType::kI32 && t != DType::kI64) return std::nullopt;
  if (r == "add") return Join::kAdd;
  if (r == "mul") return Join::kMul;
  if (r == "max") return Join::kMax;
  return Join::kMin;
}

template <typename T>
void join(Join how, T& to, T from) {
  if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;  // wraps
    if (how == Join::kAdd) to = static_cast<T>(static_cast<U>(to) + static_cast<U>(from));
    if (how == Join::kMul) to = static_cast<T>(static_cast<U>(to) * static_cast<U>(from));
  } else {
    if (how == Join::kAdd) to += from;
    if (how == Join::kMul) to *= from;
  }
  if (how == Join::kMax && to < from) to = from;
  if (how == Join::kMin && from < to) to = from;
  if (how == Join::kReplace) to = from;
}

// Calls f with a value of the type elements are joined in: of their own, or of their width when
// they are replaced.
template <typename F>
void dispatch_join(Join how, const Array& a, F&& f) {
  if (how == Join::kReplace) return dispatch_bytes(a.item_bytes(), f);
  switch (a.dtype) {
    case DType::kF32: return f(float{});
    case DType::kI32: return f(int32_t{});
    default: return f(int64_t{});
  }
}

// A copy of the data that updates may be written into.
Result<Array> own_copy(Lowering& l, ValueId v) {
  MNN_ASSIGN_OR_RETURN(const Array x, l.real(v));
  const Array y = l.allocate(x.dtype, x.dims, row_major(x.rank()));
  l.copy_into(x, y);
  return y;
}

std::optional<std::string> supports_scatter_elements(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_dims(1) != n.in_dims(2)) return "updates and indices differ";
  if (!join_of(n)) return "reduction of this type";
  return check_axis_indices(n);
}

// One part: later updates of an element win, or are added in their order.
Status lower_scatter_elements(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Array y, own_copy(l, node.inputs[0]));
  MNN_ASSIGN_OR_RETURN(const Array at, row_major_of(l, node.inputs[1]));
  MNN_ASSIGN_OR_RETURN(const Array updates, row_major_of(l, node.inputs[2]));
  const RowWalk walk{at.dims, y.strides, n.axis("axis", y.rank())};
  const int64_t extent = y.dims[walk.axis], stride = walk.strides[walk.axis];
  const Join how = *join_of(n);
  const Array in[] = {y, at, updates}, out[] = {y};
  l.add_step("scatter_elements", in, out, 0, [=](const Run& run, int, int) {
    const Indices indices(run, at);
    const int64_t length = walk.dims.back(), rows = walk.rows();
    dispatch_join(how, y, [&]<typename T>(T) {
      const auto* from = reinterpret_cast<const T*>(run.bytes(updates));
      auto* data = reinterpret_cast<T*>(run.bytes(y));
      for (int64_t row = 0; row < rows; ++row) {
        T* to = data + walk.base(row);
        for (int64_t j = 0; j < length; ++j, to += walk.step(), ++from) {
          const int64_t i = indices.at(run, row * length + j, extent);
          if (i < 0) return;
          join(how, to[i * stride], *from);
        }
      }
    });
  });
  return l.finish(node, y);
}

// ---- by tuples of indices ----

// Tuples of `depth` indices into the axes of `data` behind its batch axes; each names a slice.
struct Tuples {
  Array at;
  Dims dims, strides;  // of the indexed axes
  int64_t count = 0, per_batch = 1, batch_stride = 0, slice = 1;

  int64_t depth() const { return static_cast<int64_t>(dims.size()); }
  // The slice's first element; -1, with the run failed: an index is out of range.
  int64_t offset(const Run& run, const Indices& indices, int64_t tuple) const {
    int64_t offset = tuple / per_batch * batch_stride;
    for (int64_t d = 0; d < depth(); ++d) {
      const auto axis = static_cast<size_t>(d);
      const int64_t i = indices.at(run, tuple * depth() + d, dims[axis]);
      if (i < 0) return -1;
      offset += i * strides[axis];
    }
    return offset;
  }
};

Tuples tuples_of(const Dims& data, const Array& at, size_t batch) {
  const Dims strides = dense_strides(data, row_major(data.size()));
  const auto depth = static_cast<size_t>(at.dims.back());
  Tuples t;
  t.at = at;
  t.count = at.elements() / at.dims.back();
  for (size_t d = batch; d < batch + depth; ++d) {
    t.dims.push_back(data[d]);
    t.strides.push_back(strides[d]);
  }
  t.slice = product(std::span(data).subspan(batch + depth));
  t.per_batch = t.count / product(std::span(data).first(batch));
  t.batch_stride = batch == 0 ? 0 : strides[batch - 1];
  return t;
}

std::optional<std::string> supports_gather_nd(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (!is_index(n.in_type(1))) return "indices are not integers";
  const Dims x = n.in_dims(0), at = n.in_dims(1);
  const auto batch = static_cast<size_t>(n.attr_int("batch_dims"));
  for (size_t d = 0; d < batch; ++d) {
    if (x[d] != at[d]) return "batch axes differ";
  }
  return std::nullopt;
}

Status lower_gather_nd(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Array x, picked_data(l, node));
  MNN_ASSIGN_OR_RETURN(const Array at, row_major_of(l, node.inputs[1]));
  const Dims dims = l.dims(node.outputs[0]);
  const Array y = l.allocate(x.dtype, dims, row_major(dims.size()), x.grid);
  const Tuples tuples = tuples_of(x.dims, at, static_cast<size_t>(n.attr_int("batch_dims")));
  const Array in[] = {x, at}, out[] = {y};
  Step& step = l.add_step("gather_nd", in, out, y.bytes() / 8 + tuples.count, nullptr);
  step.run = [=, parts = step.parts](const Run& run, int, int part) {
    const Range r = part_of(tuples.count, part, parts);
    const Indices indices(run, at);
    const int64_t bytes = tuples.slice * x.item_bytes();
    for (int64_t t = r.begin; t < r.end; ++t) {
      const int64_t from = tuples.offset(run, indices, t);
      if (from < 0) return;
      std::memcpy(run.bytes(y) + t * bytes, run.bytes(x) + from * x.item_bytes(),
                  static_cast<size_t>(bytes));
    }
  };
  return l.finish(node, y);
}

std::optional<std::string> supports_scatter_nd(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (!is_index(n.in_type(1))) return "indices are not integers";
  if (!join_of(n)) return "reduction of this type";
  return std::nullopt;
}

Status lower_scatter_nd(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(const Array y, own_copy(l, node.inputs[0]));
  MNN_ASSIGN_OR_RETURN(const Array at, row_major_of(l, node.inputs[1]));
  MNN_ASSIGN_OR_RETURN(const Array updates, row_major_of(l, node.inputs[2]));
  const Tuples tuples = tuples_of(y.dims, at, 0);
  const Join how = *join_of(n);
  const Array in[] = {y, at, updates}, out[] = {y};
  l.add_step("scatter_nd", in, out, 0, [=](const Run& run, int, int) {
    const Indices indices(run, at);
    dispatch_join(how, y, [&]<typename T>(T) {
      const auto* from = reinterpret_cast<const T*>(run.bytes(updates));
      auto* data = reinterpret_cast<T*>(run.bytes(y));
      for (int64_t t = 0; t < tuples.count; ++t) {
        const int64_t offset = tuples.offset(run, indices, t);
        if (offset < 0) return;
        if (how == Join::kReplace) {
          std::copy_n(from, tuples.slice, data + offset);
        } else {
          for (int64_t j = 0; j < tuples.slice; ++j) join(how, data[offset + j], from[j]);
        }
        from += tuples.slice;
      }
    });
  });
  return l.finish(node, y);
}

constexpr OpRow kIndexRows[] = {
    {"GatherElements", supports_gather_elements, lower_gather_elements},
    {"GatherND", supports_gather_nd, lower_gather_nd},
    {"ScatterElements", supports_scatter_elements, lower_scatter_elements},
    {"ScatterND", supports_scatter_nd, lower_scatter_nd},
};

}  // namespace

std::span<const OpRow> index_rows() { return kIndexRows; }

}  // namespace mnn::cpu
