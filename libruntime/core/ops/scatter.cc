// ScatterElements, ScatterND, TensorScatter: elements written by index.
#include <algorithm>

#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

Status check_reduction(const AttributeReader& c) {
  const std::string r = c.attr_string("reduction");
  for (const char* known : {"none", "add", "mul", "max", "min"}) {
    if (r == known) return {};
  }
  return invalid("reduction: expected none, add, mul, max or min, found " + r);
}

Status check_updates(const OpContext& c, size_t i) {
  if (c.in[i].dtype == c.in[0].dtype) return {};
  return invalid("updates: expected " + std::string(dtype_name(c.in[0].dtype)) + ", found " +
                 c.in[i].str());
}

template <typename T>
T combine(const std::string& reduction, T a, T b) {
  using C = compute_t<T>;
  const C x = load_as_compute(a), y = load_as_compute(b);
  if constexpr (std::is_same_v<T, bool>) {
    const bool both = reduction == "mul" || reduction == "min";
    return both ? a && b : a || b;
  } else {
    if (reduction == "max") return x < y ? b : a;
    if (reduction == "min") return y < x ? b : a;
    if constexpr (std::is_integral_v<T>) {  // wraps, without signed overflow
      using U = std::make_unsigned_t<std::common_type_t<T, int>>;
      const U u = static_cast<U>(x), v = static_cast<U>(y);
      return static_cast<T>(reduction == "add" ? u + v : u * v);
    } else {
      return store_from_compute<T>(reduction == "add" ? x + y : x * y);
    }
  }
}

// each(write) calls write(source, target), which joins updates[source] into y[target].
template <typename Walk>
Status scatter(const std::string& reduction, const Tensor& updates, Tensor& y, Walk&& each) {
  if (reduction == "none") {
    return dispatch_move(y.dtype(), [&]<typename T>() {
      const T* from = elements<T>(updates);
      T* to = elements<T>(y);
      each([&](int64_t source, int64_t target) { to[target] = from[source]; });
    });
  }
  const bool done = dispatch_plain(y.dtype(), [&]<typename T>() {
    const T* from = updates.data<T>();
    T* to = y.data<T>();
    each([&](int64_t source, int64_t target) {
      to[target] = combine(reduction, to[target], from[source]);
    });
  });
  if (!done) return unsupported("reduction of " + std::string(dtype_name(y.dtype())));
  return {};
}

// ---- ScatterElements ----

Status infer_scatter_elements(OpContext& c) {
  MNN_RETURN_IF_ERROR(check_reduction(c));
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "indices"));
  MNN_RETURN_IF_ERROR(check_updates(c, 2));
  set_output(c, 0, c.in[0].dtype, c.in[0].shape);
  if (!c.rank_known(0)) return {};
  MNN_RETURN_IF_ERROR(c.attr_axis("axis", c.in[0].rank()).status());
  for (const size_t i : {size_t{1}, size_t{2}}) {
    if (c.rank_known(i) && c.in[i].rank() != c.in[0].rank()) {
      return invalid("expected indices and updates of rank " + std::to_string(c.in[0].rank()) +
                     ", found " + c.in[i].str());
    }
  }
  return {};
}

Status reference_scatter_elements(KernelContext& c) {
  const Tensor &x = *c.in[0], &indices = *c.in[1], &updates = *c.in[2];
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", x.rank()));
  if (indices.dims() != updates.dims()) {
    return invalid("expected updates of the shape of indices, found " + updates.type_str() +
                   " and " + indices.type_str());
  }
  for (size_t d = 0; d < x.rank(); ++d) {
    if (d != axis && indices.dims()[d] > x.dims()[d]) {
      return invalid("indices " + indices.type_str() + " exceed " + x.type_str() + " on axis " +
                     std::to_string(d));
    }
  }
  MNN_ASSIGN_OR_RETURN(auto at, read_ints(c, 1, "indices"));
  for (int64_t& i : at) {
    MNN_ASSIGN_OR_RETURN(i, checked_index(i, x.dims()[axis]));
  }
  MNN_ASSIGN_OR_RETURN(c.out[0], x.clone());
  auto strides = row_major_strides(x.dims());
  const int64_t step = strides[axis];
  strides[axis] = 0;
  return scatter(c.attr_string("reduction"), updates, c.out[0], [&](auto&& write) {
    walk(indices.dims(), strides, 0,
         [&](int64_t i, int64_t offset) { write(i, offset + at[static_cast<size_t>(i)] * step); });
  });
}

// ---- ScatterND ----

Status infer_scatter_nd(OpContext& c) {
  MNN_RETURN_IF_ERROR(check_reduction(c));
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "indices"));
  MNN_RETURN_IF_ERROR(check_updates(c, 2));
  set_output(c, 0, c.in[0].dtype, c.in[0].shape);
  if (!c.rank_known(0) || !c.rank_known(1)) return {};
  const Shape &data = *c.in[0].shape, &indices = *c.in[1].shape;
  if (data.empty() || indices.empty())
    return invalid("expected data and indices of rank 1 or more");
  if (!indices.back().known()) return {};
  const int64_t depth = indices.back().value();
  if (depth < 1 || depth > static_cast<int64_t>(data.size())) {
    return invalid("indices " + c.in[1].str() + " index " + std::to_string(depth) + " axes of " +
                   c.in[0].str());
  }
  if (!c.rank_known(2)) return {};
  Shape expected(indices.begin(), indices.end() - 1);
  expected.insert(expected.end(), data.begin() + depth, data.end());
  const Shape& updates = *c.in[2].shape;
  bool fits = expected.size() == updates.size();
  for (size_t d = 0; fits && d < updates.size(); ++d) {
    fits = !expected[d].known() || !updates[d].known() || expected[d].same(updates[d]);
  }
  if (fits) return {};
  return invalid("updates: expected shape " + shape_str(expected) + ", found " + c.in[2].str());
}

Status reference_scatter_nd(KernelContext& c) {
  const Tensor &x = *c.in[0], &indices = *c.in[1], &updates = *c.in[2];
  const auto depth = static_cast<size_t>(indices.dims().back());
  MNN_ASSIGN_OR_RETURN(c.out[0], x.clone());
  if (updates.elements() == 0) return {};
  MNN_ASSIGN_OR_RETURN(const auto offsets, index_tuple_offsets(x.dims(), indices, 0));
  const int64_t slice = product(x.dims(), depth, x.rank());
  return scatter(c.attr_string("reduction"), updates, c.out[0], [&](auto&& write) {
    int64_t source = 0;
    for (const int64_t offset : offsets) {
      for (int64_t j = 0; j < slice; ++j) write(source++, offset + j);
    }
  });
}

// ---- TensorScatter ----

Status infer_tensor_scatter(OpContext& c) {
  MNN_RETURN_IF_ERROR(check_updates(c, 1));
  if (c.has_input(2)) MNN_RETURN_IF_ERROR(expect_integers(c, 2, "write_indices"));
  const std::string mode = c.attr_string("mode");
  if (mode != "linear" && mode != "circular") {
    return invalid("mode: expected linear or circular, found " + mode);
  }
  set_output(c, 0, c.in[0].dtype, c.in[0].shape);
  if (!c.rank_known(0) || !c.rank_known(1)) return {};
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", c.in[0].rank()));
  if (axis == 0) return invalid("axis 0 is the batch axis");
  bool fits = c.in[0].rank() == c.in[1].rank();
  for (size_t d = 0; fits && d < c.in[0].rank(); ++d) {
    const Dim &cache = (*c.in[0].shape)[d], &update = (*c.in[1].shape)[d];
    if (!cache.known() || !update.known()) continue;
    fits = d == axis ? update.value() <= cache.value() : update.value() == cache.value();
  }
  if (!fits) return invalid("update " + c.in[1].str() + " does not fit into " + c.in[0].str());
  return {};
}

Status reference_tensor_scatter(KernelContext& c) {
  const Tensor &past = *c.in[0], &update = *c.in[1];
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", past.rank()));
  const int64_t batches = past.dims()[0], room = past.dims()[axis], steps = update.dims()[axis];
  std::vector<int64_t> start(static_cast<size_t>(batches), 0);
  if (c.has_input(2)) {
    MNN_ASSIGN_OR_RETURN(start, read_ints(c, 2, "write_indices"));
    if (static_cast<int64_t>(start.size()) != batches) {
      return invalid("write_indices has " + std::to_string(start.size()) +
                     " entries for a batch of " + std::to_string(batches));
    }
  }
  const bool circular = c.attr_string("mode") == "circular";
  for (const int64_t s : start) {
    if (s < 0 || (circular ? s >= room && room > 0 : s > room - steps)) {
      return invalid("write index " + std::to_string(s) + " with " + std::to_string(steps) +
                     " steps is outside a cache of " + std::to_string(room));
    }
  }
  MNN_ASSIGN_OR_RETURN(c.out[0], past.clone());
  if (update.elements() == 0) return {};
  const int64_t rows = product(past.dims(), 1, axis);
  const int64_t inner = product(past.dims(), axis + 1, past.rank());
  return dispatch_move(past.dtype(), [&]<typename T>() {
    const T* from = elements<T>(update);
    T* to = elements<T>(c.out[0]);
    for (int64_t b = 0; b < batches; ++b) {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t s = 0; s < steps; ++s) {
          const int64_t at = (start[static_cast<size_t>(b)] + s) % room;
          std::copy_n(from, inner, to + ((b * rows + r) * room + at) * inner);
          from += inner;
        }
      }
    }
  });
}

}  // namespace

std::vector<OpDef> define_scatter() {
  const AttrDef reduction{"reduction", std::string("none")};
  return {
      with_gradient(scatter_elements_gradient, {"ScatterElements",
                                                3,
                                                3,
                                                index_inputs(1),
                                                {{"axis", int64_t{0}}, reduction},
                                                infer_scatter_elements,
                                                with_whole_bytes<reference_scatter_elements>}),
      with_gradient(scatter_nd_gradient, {"ScatterND",
                                          3,
                                          3,
                                          index_inputs(1),
                                          {reduction},
                                          infer_scatter_nd,
                                          with_whole_bytes<reference_scatter_nd>}),
      {"TensorScatter",
       2,
       3,
       kMoves | index_inputs(2),
       {{"axis", int64_t{-2}}, {"mode", std::string("linear")}},
       infer_tensor_scatter,
       with_whole_bytes<reference_tensor_scatter>},
  };
}

}  // namespace mnn
