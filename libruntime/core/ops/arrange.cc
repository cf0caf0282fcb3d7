// Transpose, Concat, Split, Expand, Tile: whole tensors put together, taken apart, repeated.
#include <algorithm>

#include "libruntime/core/ops/broadcast.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

// y[i] = x[offset of i] over all of y's indices.
template <typename T>
void gather_strided(const Tensor& x, const std::vector<int64_t>& strides, int64_t start,
                    Tensor& y) {
  const T* from = elements<T>(x);
  T* to = elements<T>(y);
  walk(y.dims(), strides, start, [&](int64_t i, int64_t offset) { to[i] = from[offset]; });
}

// ---- Transpose ----

Result<std::vector<size_t>> permutation(const AttributeReader& c, size_t rank) {
  std::vector<size_t> perm(rank);
  if (!c.has("perm")) {
    for (size_t i = 0; i < rank; ++i) perm[i] = rank - 1 - i;
    return perm;
  }
  const std::vector<int64_t> given = c.attr_ints("perm");
  if (given.size() != rank) {
    return invalid("perm has " + std::to_string(given.size()) + " entries, expected " +
                   std::to_string(rank));
  }
  return normalize_axes(given, rank);
}

Status infer_transpose(OpContext& c) {
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  if (!c.rank_known(0)) {
    if (c.has("perm")) c.out[0].type.shape = unknown_shape(c.attr_ints("perm").size());
    return {};
  }
  const Shape& shape = *c.in[0].shape;
  MNN_ASSIGN_OR_RETURN(const auto perm, permutation(c, shape.size()));
  Shape out;
  for (const size_t p : perm) out.push_back(shape[p]);
  if (const auto v = shaped_values(c, 0)) {
    const auto strides = row_major_strides(known_dims(shape));
    std::vector<int64_t> moved;
    for (const size_t p : perm) moved.push_back(strides[p]);
    ShapeValues values(v->size());
    walk(known_dims(out), moved, 0, [&](int64_t i, int64_t offset) {
      values[static_cast<size_t>(i)] = (*v)[static_cast<size_t>(offset)];
    });
    c.out[0].values = std::move(values);
  }
  c.out[0].type.shape = std::move(out);
  return {};
}

Status reference_transpose(KernelContext& c) {
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(const auto perm, permutation(c, x.rank()));
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  const auto strides = row_major_strides(x.dims());
  std::vector<int64_t> moved;
  for (const size_t p : perm) moved.push_back(strides[p]);
  return dispatch_move(x.dtype(), [&]<typename T>() { gather_strided<T>(x, moved, 0, *y); });
}

// ---- Concat ----

Status infer_concat(OpContext& c) {
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  std::optional<Shape> out;
  size_t axis = 0;
  bool all_ranks_known = true;
  Dim sum(0);
  for (size_t i = 0; i < c.in.size(); ++i) {
    if (!c.has_input(i)) return invalid("input " + std::to_string(i) + " is missing");
    if (c.in[i].dtype != c.in[0].dtype) {
      return invalid("expected inputs of one type, found " + c.in[0].str() + " and " +
                     c.in[i].str());
    }
    if (!c.rank_known(i)) {
      all_ranks_known = false;
      continue;
    }
    const Shape& shape = *c.in[i].shape;
    if (!out) {
      MNN_ASSIGN_OR_RETURN(axis, c.attr_axis("axis", shape.size()));
      out = shape;
    } else if (out->size() != shape.size()) {
      return invalid("expected inputs of one rank, found " + shape_str(*out) + " and " +
                     shape_str(shape));
    }
    sum = sum + shape[axis];
    for (size_t d = 0; d < shape.size(); ++d) {
      Dim& o = (*out)[d];
      if (d == axis || o.same(shape[d])) continue;
      if (o.known() && shape[d].known()) {
        return invalid("inputs " + shape_str(*out) + " and " + shape_str(shape) +
                       " differ outside axis " + std::to_string(axis));
      }
      if (o.is_unknown() || shape[d].known()) o = shape[d];
    }
  }
  if (out) (*out)[axis] = all_ranks_known ? sum : Dim::unknown();
  c.out[0].type.shape = out;
  // Along axis 0 the elements simply follow each other.
  if (!out || axis != 0 || !all_ranks_known) return {};
  ShapeValues values;
  for (size_t i = 0; i < c.in.size(); ++i) {
    const auto v = values_or_unknown(c, i);
    if (!v || static_cast<int64_t>(values.size() + v->size()) > kMaxShapeValues) return {};
    values.insert(values.end(), v->begin(), v->end());
  }
  c.out[0].values = std::move(values);
  return {};
}

Status reference_concat(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", y->rank()));
  if (y->elements() == 0) return {};
  const int64_t outer = product(y->dims(), 0, axis);
  const int64_t row = product(y->dims(), axis, y->rank());
  return dispatch_move(y->dtype(), [&]<typename T>() {
    int64_t offset = 0;
    for (const Tensor* x : c.in) {
      const int64_t part = product(x->dims(), axis, x->rank());
      for (int64_t o = 0; o < outer; ++o) {
        std::copy_n(elements<T>(*x) + o * part, part, elements<T>(*y) + o * row + offset);
      }
      offset += part;
    }
  });
}

// ---- Split ----

Status infer_split(OpContext& c) {
  const size_t count = c.out.size();
  for (size_t i = 0; i < count; ++i) set_output(c, i, c.in[0].dtype, std::nullopt);
  const bool has_sizes = c.node.inputs.size() > 1 && c.node.inputs[1] != kNoValue;
  if (has_sizes) MNN_RETURN_IF_ERROR(expect_integers(c, 1, "split"));
  if (c.has("num_outputs")) {
    if (has_sizes) return invalid("expected one of split and num_outputs, found both");
    if (c.attr_int("num_outputs") != static_cast<int64_t>(count)) {
      return invalid("num_outputs is " + std::to_string(c.attr_int("num_outputs")) +
                     ", found outputs: " + std::to_string(count));
    }
  }
  if (!c.rank_known(0)) return {};
  const Shape& shape = *c.in[0].shape;
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", shape.size()));
  const Dim& whole = shape[axis];
  std::vector<Dim> sizes(count, Dim::unknown());
  if (has_sizes) {
    if (const auto v = c.values(1)) {
      if (v->size() != count) {
        return invalid("split has " + std::to_string(v->size()) +
                       " sizes, found outputs: " + std::to_string(count));
      }
      Dim sum(0);
      for (const Dim& d : *v) {
        if (d.known() && d.value() < 0) return invalid("split has the negative size " + d.str());
        sum = sum + d;
      }
      if (sum.known() && whole.known() && sum.value() != whole.value()) {
        return invalid("split sizes add up to " + sum.str() + ", the dimension is " + whole.str());
      }
      sizes = *v;
    }
  } else {
    const auto n = static_cast<int64_t>(count);
    const Dim chunk = ceil_div(whole, Dim(n));
    std::fill(sizes.begin(), sizes.end(), chunk);
    sizes.back() = whole - chunk * Dim(n - 1);
    if (sizes.back().known() && sizes.back().value() < 0) {
      return invalid("a dimension of " + whole.str() + " cannot be split into " +
                     std::to_string(n) + " parts of " + chunk.str());
    }
  }
  for (size_t i = 0; i < count; ++i) {
    Shape out = shape;
    out[axis] = sizes[i];
    c.out[i].type.shape = std::move(out);
  }
  const auto values = c.values(0);
  if (!values || shape.size() != 1) return {};
  size_t begin = 0;
  for (size_t i = 0; i < count && sizes[i].known(); ++i) {
    const size_t end = begin + static_cast<size_t>(sizes[i].value());
    if (end > values->size()) break;
    c.out[i].values = ShapeValues(values->begin() + static_cast<long>(begin),
                                  values->begin() + static_cast<long>(end));
    begin = end;
  }
  return {};
}

Status reference_split(KernelContext& c) {
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", x.rank()));
  const int64_t outer = product(x.dims(), 0, axis);
  const int64_t row = product(x.dims(), axis, x.rank());
  int64_t offset = 0;
  for (size_t i = 0; i < c.out.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(i));
    const int64_t part = product(y->dims(), axis, y->rank());
    if (offset + part > row) return invalid("split sizes exceed the dimension");
    const int64_t rows = part == 0 ? 0 : outer;
    MNN_RETURN_IF_ERROR(dispatch_move(x.dtype(), [&]<typename T>() {
      for (int64_t o = 0; o < rows; ++o) {
        std::copy_n(elements<T>(x) + o * row + offset, part, elements<T>(*y) + o * part);
      }
    }));
    offset += part;
  }
  return {};
}

// ---- Expand ----

Status infer_expand(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "shape"));
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  const auto target = values_or_unknown(c, 1);
  if (!c.rank_known(0) || !target) return {};
  const Shape& shape = *c.in[0].shape;
  const size_t rank = std::max(shape.size(), target->size());
  Shape out(rank);
  for (size_t i = 0; i < rank; ++i) {
    const Dim a = i + shape.size() < rank ? Dim(1) : shape[i + shape.size() - rank];
    const Dim b = i + target->size() < rank ? Dim(1) : (*target)[i + target->size() - rank];
    if (b.known() && b.value() < 0) return invalid("shape has the negative dimension " + b.str());
    const auto dim = broadcast_dim(a, b);
    if (!dim.ok()) {
      return dim.status().context("cannot expand " + shape_str(shape) + " to " +
                                  shape_str(*target));
    }
    out[i] = *dim;
  }
  // One element repeated stays known.
  if (const auto v = c.values(0); v && v->size() == 1 && all_known(out)) {
    const auto count = checked_elements(known_dims(out));
    if (count && *count <= kMaxShapeValues) {
      c.out[0].values = ShapeValues(static_cast<size_t>(*count), (*v)[0]);
    }
  } else if (v && all_known(shape) && same_shape(shape, out)) {
    c.out[0].values = v;
  }
  c.out[0].type.shape = std::move(out);
  return {};
}

Status reference_expand(KernelContext& c) {
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  const auto strides = row_major_strides(x.dims());
  std::vector<int64_t> repeated(y->rank(), 0);
  for (size_t d = 0; d < x.rank(); ++d) {
    if (x.dims()[d] != 1) repeated[y->rank() - x.rank() + d] = strides[d];
  }
  return dispatch_move(x.dtype(), [&]<typename T>() { gather_strided<T>(x, repeated, 0, *y); });
}

// ---- Tile ----

Status infer_tile(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "repeats"));
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  if (!c.rank_known(0)) {
    if (const auto n = known_length(c, 1); n && *n <= kMaxShapeValues) {
      c.out[0].type.shape = unknown_shape(static_cast<size_t>(*n));
    }
    return {};
  }
  const Shape& shape = *c.in[0].shape;
  const auto repeats = c.values(1);
  if (!repeats) {
    c.out[0].type.shape = unknown_shape(shape.size());
    return {};
  }
  if (repeats->size() != shape.size()) {
    return invalid("repeats has " + std::to_string(repeats->size()) + " entries, expected " +
                   std::to_string(shape.size()));
  }
  Shape out;
  for (size_t i = 0; i < shape.size(); ++i) {
    const Dim& r = (*repeats)[i];
    if (r.known() && r.value() < 0) return invalid("repeats has the negative entry " + r.str());
    out.push_back(shape[i] * r);
  }
  if (const auto v = c.values(0); v && shape.size() == 1 && all_known(out)) {
    const int64_t count = out[0].value();
    if (count <= kMaxShapeValues && !v->empty()) {
      ShapeValues values;
      for (int64_t i = 0; i < count; ++i) {
        values.push_back((*v)[static_cast<size_t>(i) % v->size()]);
      }
      c.out[0].values = std::move(values);
    }
  }
  c.out[0].type.shape = std::move(out);
  return {};
}

Status reference_tile(KernelContext& c) {
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  if (y->elements() == 0) return {};
  // Dim d of y is (repeat, index): index moves through x, repeat does not.
  const auto strides = row_major_strides(x.dims());
  std::vector<int64_t> dims, split;
  for (size_t d = 0; d < x.rank(); ++d) {
    dims.insert(dims.end(), {y->dims()[d] / x.dims()[d], x.dims()[d]});
    split.insert(split.end(), {0, strides[d]});
  }
  return dispatch_move(x.dtype(), [&]<typename T>() {
    const T* from = elements<T>(x);
    T* to = elements<T>(*y);
    walk(dims, split, 0, [&](int64_t i, int64_t offset) { to[i] = from[offset]; });
  });
}

}  // namespace

std::vector<OpDef> define_arrange() {
  const AttrDef split_axis{"axis", int64_t{0}}, num_outputs{"num_outputs", int64_t{0}};
  return {
      with_gradient(transpose_gradient, {"Transpose",
                                         1,
                                         1,
                                         kMoves,
                                         {{"perm", std::vector<int64_t>{}}},
                                         infer_transpose,
                                         with_whole_bytes<reference_transpose>}),
      with_gradient(concat_gradient, {"Concat",
                                      1,
                                      kVariadic,
                                      kMoves,
                                      {{"axis", int64_t{0}, true}},
                                      infer_concat,
                                      with_whole_bytes<reference_concat>}),
      with_gradient(split_gradient, {"Split",
                                     1,
                                     2,
                                     kMoves | shape_inputs(1),
                                     {split_axis, num_outputs},
                                     infer_split,
                                     with_whole_bytes<reference_split>,
                                     nullptr,
                                     1,
                                     kVariadic}),
      with_gradient(expand_gradient, {"Expand",
                                      2,
                                      2,
                                      kMoves | shape_inputs(1),
                                      {},
                                      infer_expand,
                                      with_whole_bytes<reference_expand>}),
      with_gradient(tile_gradient, {"Tile",
                                    2,
                                    2,
                                    kMoves | shape_inputs(1),
                                    {},
                                    infer_tile,
                                    with_whole_bytes<reference_tile>}),
  };
}

}  // namespace mnn
