// Gather, GatherElements, GatherND, Compress: elements picked by index.
#include <algorithm>

#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

// Copies the slices of `axis` that `picked` names, in that order.
template <typename T>
void copy_picked(const Tensor& x, size_t axis, const std::vector<int64_t>& picked, Tensor& y) {
  const int64_t outer = product(x.dims(), 0, axis);
  const int64_t inner = product(x.dims(), axis + 1, x.rank());
  T* to = elements<T>(y);
  for (int64_t o = 0; o < outer; ++o) {
    const T* from = elements<T>(x) + o * x.dims()[axis] * inner;
    for (const int64_t i : picked) to = std::copy_n(from + i * inner, inner, to);
  }
}

// ---- Gather ----

Status infer_gather(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "indices"));
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  if (!c.rank_known(0)) return {};
  const Shape& data = *c.in[0].shape;
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", data.size()));
  if (!c.rank_known(1)) return {};
  const Shape& indices = *c.in[1].shape;
  Shape out(data.begin(), data.begin() + static_cast<long>(axis));
  out.insert(out.end(), indices.begin(), indices.end());
  out.insert(out.end(), data.begin() + static_cast<long>(axis) + 1, data.end());
  c.out[0].type.shape = std::move(out);
  const auto values = c.values(0);
  const auto picked = c.values(1);
  if (!values || !picked || data.size() != 1) return {};
  const auto dim = static_cast<int64_t>(values->size());
  ShapeValues result;
  for (const Dim& d : *picked) {
    if (!d.known()) {
      result.push_back(Dim::unknown());
      continue;
    }
    MNN_ASSIGN_OR_RETURN(const int64_t at, checked_index(d.value(), dim));
    result.push_back((*values)[static_cast<size_t>(at)]);
  }
  c.out[0].values = std::move(result);
  return {};
}

Status reference_gather(KernelContext& c) {
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", x.rank()));
  MNN_ASSIGN_OR_RETURN(auto indices, read_ints(c, 1, "indices"));
  for (int64_t& i : indices) {
    MNN_ASSIGN_OR_RETURN(i, checked_index(i, x.dims()[axis]));
  }
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  if (y->elements() == 0) return {};
  return dispatch_move(x.dtype(), [&]<typename T>() { copy_picked<T>(x, axis, indices, *y); });
}

// ---- GatherElements ----

Status infer_gather_elements(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "indices"));
  set_output(c, 0, c.in[0].dtype, c.in[1].shape);
  if (!c.rank_known(0)) return {};
  MNN_RETURN_IF_ERROR(c.attr_axis("axis", c.in[0].rank()).status());
  if (c.rank_known(1) && c.in[1].rank() != c.in[0].rank()) {
    return invalid("indices: expected rank " + std::to_string(c.in[0].rank()) + ", found " +
                   c.in[1].str());
  }
  return {};
}

Status reference_gather_elements(KernelContext& c) {
  const Tensor &x = *c.in[0], &indices = *c.in[1];
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", x.rank()));
  MNN_ASSIGN_OR_RETURN(auto at, read_ints(c, 1, "indices"));
  for (size_t d = 0; d < x.rank(); ++d) {
    if (d != axis && indices.dims()[d] > x.dims()[d]) {
      return invalid("indices " + indices.type_str() + " exceed " + x.type_str() + " on axis " +
                     std::to_string(d));
    }
  }
  for (int64_t& i : at) {
    MNN_ASSIGN_OR_RETURN(i, checked_index(i, x.dims()[axis]));
  }
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0, x.dtype(), indices.dims()));
  auto strides = row_major_strides(x.dims());
  const int64_t step = strides[axis];
  strides[axis] = 0;
  return dispatch_move(x.dtype(), [&]<typename T>() {
    const T* from = elements<T>(x);
    T* to = elements<T>(*y);
    walk(indices.dims(), strides, 0, [&](int64_t i, int64_t offset) {
      to[i] = from[offset + at[static_cast<size_t>(i)] * step];
    });
  });
}

// ---- GatherND ----

Status infer_gather_nd(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "indices"));
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  if (!c.rank_known(0) || !c.rank_known(1)) return {};
  const Shape &data = *c.in[0].shape, &indices = *c.in[1].shape;
  const int64_t batch = c.attr_int("batch_dims");
  if (indices.empty() || data.empty())
    return invalid("expected data and indices of rank 1 or more");
  const auto least = static_cast<int64_t>(std::min(indices.size(), data.size()));
  if (batch < 0 || batch >= least) {
    return invalid("batch_dims " + std::to_string(batch) + " is not in [0, " +
                   std::to_string(least) + ")");
  }
  if (!indices.back().known()) return {};
  const int64_t depth = indices.back().value();
  if (depth < 1 || depth > static_cast<int64_t>(data.size()) - batch) {
    return invalid("indices " + c.in[1].str() + " index " + std::to_string(depth) + " axes after " +
                   std::to_string(batch) + " batch axes of " + c.in[0].str());
  }
  for (size_t d = 0; d < static_cast<size_t>(batch); ++d) {
    if (data[d].known() && indices[d].known() && data[d].value() != indices[d].value()) {
      return invalid("batch axes differ: " + c.in[0].str() + " and " + c.in[1].str());
    }
  }
  Shape out(indices.begin(), indices.end() - 1);
  out.insert(out.end(), data.begin() + batch + depth, data.end());
  c.out[0].type.shape = std::move(out);
  return {};
}

Status reference_gather_nd(KernelContext& c) {
  const Tensor &x = *c.in[0], &indices = *c.in[1];
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  if (y->elements() == 0) return {};
  const auto batch = static_cast<size_t>(c.attr_int("batch_dims"));
  MNN_ASSIGN_OR_RETURN(const auto offsets, index_tuple_offsets(x.dims(), indices, batch));
  const size_t depth = static_cast<size_t>(indices.dims().back());
  const int64_t slice = product(x.dims(), batch + depth, x.rank());
  return dispatch_move(x.dtype(), [&]<typename T>() {
    T* to = elements<T>(*y);
    for (const int64_t offset : offsets) to = std::copy_n(elements<T>(x) + offset, slice, to);
  });
}

// ---- Compress ----

Status infer_compress(OpContext& c) {
  if (c.in[1].dtype != DType::kBool)
    return invalid("condition: expected bool, found " + c.in[1].str());
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  if (!c.has("axis")) {
    c.out[0].type.shape = unknown_shape(1);
    return {};
  }
  if (!c.rank_known(0)) return {};
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", c.in[0].rank()));
  c.out[0].type.shape = c.in[0].shape;
  (*c.out[0].type.shape)[axis] = Dim::unknown();
  return {};
}

Status reference_compress(KernelContext& c) {
  Tensor x = *c.in[0];
  size_t axis = 0;
  if (c.has("axis")) {
    MNN_ASSIGN_OR_RETURN(axis, c.attr_axis("axis", x.rank()));
  } else {
    x = x.reshaped({x.elements()});
  }
  const Tensor& condition = *c.in[1];
  std::vector<int64_t> picked;
  for (int64_t i = 0; i < condition.elements(); ++i) {
    if (!condition.data<bool>()[i]) continue;
    MNN_ASSIGN_OR_RETURN(const int64_t at, checked_index(i, x.dims()[axis]));
    picked.push_back(at);
  }
  std::vector<int64_t> dims = x.dims();
  dims[axis] = static_cast<int64_t>(picked.size());
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0, x.dtype(), dims));
  if (y->elements() == 0) return {};
  return dispatch_move(x.dtype(), [&]<typename T>() { copy_picked<T>(x, axis, picked, *y); });
}

}  // namespace

std::vector<OpDef> define_gather() {
  const AttrDef axis{"axis", int64_t{0}};
  return {
      with_gradient(gather_elements_gradient, {"GatherElements",
                                               2,
                                               2,
                                               kMoves | index_inputs(1),
                                               {axis},
                                               infer_gather_elements,
                                               with_whole_bytes<reference_gather_elements>}),
      with_gradient(gather_nd_gradient, {"GatherND",
                                         2,
                                         2,
                                         kMoves | index_inputs(1),
                                         {{"batch_dims", int64_t{0}}},
                                         infer_gather_nd,
                                         with_whole_bytes<reference_gather_nd>}),
      {"Compress",
       2,
       2,
       kMoves | kDataSized | index_inputs(1),
       {axis},
       infer_compress,
       with_whole_bytes<reference_compress>},
      with_gradient(gather_gradient, {"Gather",
                                      2,
                                      2,
                                      kMoves | index_inputs(1),
                                      {axis},
                                      infer_gather,
                                      with_whole_bytes<reference_gather>}),
  };
}

}  // namespace mnn
