// OneHot, NonZero, Unique, TopK: elements found by their values.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "libruntime/core/ops/convert.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

// ---- OneHot ----

Result<int64_t> one_hot_depth(const Tensor& depth) {
  if (depth.elements() != 1)
    return invalid("depth: expected one number, found " + depth.type_str());
  MNN_ASSIGN_OR_RETURN(const Tensor number, convert_elements(depth, DType::kI64));
  const int64_t value = number.data<int64_t>()[0];
  if (value < 0) return invalid("depth is negative: " + std::to_string(value));
  return value;
}

Status infer_one_hot(OpContext& c) {
  if (c.in[2].is_static() && !num_elements(*c.in[2].shape).is(2)) {
    return invalid("values: expected the two numbers [off, on], found " + c.in[2].str());
  }
  set_output(c, 0, c.in[2].dtype, std::nullopt);
  if (!c.rank_known(0)) return {};
  Shape out = *c.in[0].shape;
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", out.size() + 1));
  Dim depth = Dim::unknown();
  if (c.constants[1] != nullptr) {
    MNN_ASSIGN_OR_RETURN(depth, one_hot_depth(*c.constants[1]));
  } else if (const auto v = c.values(1); v && v->size() == 1) {
    depth = (*v)[0];
  }
  out.insert(out.begin() + static_cast<long>(axis), depth);
  c.out[0].type.shape = std::move(out);
  return {};
}

Status reference_one_hot(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(const int64_t depth, one_hot_depth(*c.in[1]));
  MNN_ASSIGN_OR_RETURN(const Tensor indices, convert_elements(*c.in[0], DType::kI64));
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  if (y->elements() == 0) return {};
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", y->rank()));
  const int64_t inner = product(y->dims(), axis + 1, y->rank());
  return dispatch_move(c.in[2]->dtype(), [&]<typename T>() {
    const T off = elements<T>(*c.in[2])[0], on = elements<T>(*c.in[2])[1];
    T* to = elements<T>(*y);
    std::fill_n(to, y->elements(), off);
    for (int64_t i = 0; i < indices.elements(); ++i) {
      int64_t at = indices.data<int64_t>()[i];
      if (at < -depth || at >= depth) continue;  // no class: all off
      if (at < 0) at += depth;
      to[(i / inner * depth + at) * inner + i % inner] = on;
    }
  });
}

// ---- NonZero ----

Status infer_non_zero(OpContext& c) {
  set_output(c, 0, DType::kI64, unknown_shape(2));
  if (c.rank_known(0)) {
    (*c.out[0].type.shape)[0] = std::max<int64_t>(static_cast<int64_t>(c.in[0].rank()), 1);
  }
  return {};
}

Status reference_non_zero(KernelContext& c) {
  const Tensor& x = *c.in[0];
  std::vector<int64_t> found;
  if (x.dtype() == DType::kString) {
    for (int64_t i = 0; i < x.elements(); ++i) {
      if (!x.string_values()[static_cast<size_t>(i)].empty()) found.push_back(i);
    }
  } else {
    MNN_ASSIGN_OR_RETURN(const Tensor truth, convert_elements(x, DType::kBool));
    for (int64_t i = 0; i < x.elements(); ++i) {
      if (truth.data<bool>()[i]) found.push_back(i);
    }
  }
  const std::vector<int64_t> dims = x.rank() == 0 ? std::vector<int64_t>{1} : x.dims();
  const auto count = static_cast<int64_t>(found.size());
  MNN_ASSIGN_OR_RETURN(Tensor * y,
                       c.make(0, DType::kI64, {static_cast<int64_t>(dims.size()), count}));
  const auto strides = row_major_strides(dims);
  for (size_t d = 0; d < dims.size(); ++d) {
    int64_t* row = y->data<int64_t>() + static_cast<int64_t>(d) * count;
    for (size_t i = 0; i < found.size(); ++i) row[i] = found[i] / strides[d] % dims[d];
  }
  return {};
}

// ---- Ordering of elements ----

// A total order: NaN equals NaN and is above everything.
template <typename T>
int compare(const T& a, const T& b) {
  if constexpr (std::is_same_v<T, std::string>) {
    return a < b ? -1 : b < a ? 1 : 0;
  } else {
    const auto x = load_as_compute(a), y = load_as_compute(b);
    if constexpr (!std::is_integral_v<T>) {
      if (std::isnan(x) || std::isnan(y)) {
        return static_cast<int>(std::isnan(x)) - static_cast<int>(std::isnan(y));
      }
    }
    return x < y ? -1 : y < x ? 1 : 0;
  }
}

template <typename F>
Status dispatch_ordered(DType dtype, F&& f) {
  if (dtype == DType::kString) {
    f.template operator()<std::string>();
    return {};
  }
  if (dispatch_plain(dtype, f)) return {};
  return unsupported("element type " + std::string(dtype_name(dtype)));
}

// ---- Unique ----

Status infer_unique(OpContext& c) {
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  for (size_t i = 1; i < 4; ++i) set_output(c, i, DType::kI64, unknown_shape(1));
  if (!c.has("axis")) {
    c.out[0].type.shape = unknown_shape(1);
    if (c.out.size() > 2 && c.rank_known(0)) {
      c.out[2].type.shape = Shape{num_elements(*c.in[0].shape)};
    }
    return {};
  }
  if (!c.rank_known(0)) return {};
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", c.in[0].rank()));
  Shape out = *c.in[0].shape;
  if (c.out.size() > 2) c.out[2].type.shape = Shape{out[axis]};
  out[axis] = Dim::unknown();
  c.out[0].type.shape = std::move(out);
  return {};
}

Status reference_unique(KernelContext& c) {
  Tensor x = *c.in[0];
  size_t axis = 0;
  if (c.has("axis")) {
    MNN_ASSIGN_OR_RETURN(axis, c.attr_axis("axis", x.rank()));
  } else {
    x = x.reshaped({x.elements()});
  }
  const int64_t outer = product(x.dims(), 0, axis), along = x.dims()[axis];
  const int64_t inner = product(x.dims(), axis + 1, x.rank());
  const int64_t slice = x.elements() == 0 ? 0 : outer * inner;
  auto offset = [&](int64_t i, int64_t k) { return (k / inner * along + i) * inner + k % inner; };
  // Slices with no elements are all equal; there may be more of them than memory can index.
  if (x.elements() == 0 && along > 0)
    return invalid("cannot find unique slices of " + x.type_str());

  std::vector<int64_t> order(static_cast<size_t>(along)), group(order.size()), first, count;
  std::iota(order.begin(), order.end(), 0);
  MNN_RETURN_IF_ERROR(dispatch_ordered(x.dtype(), [&]<typename T>() {
    const T* p = elements<T>(x);
    auto compare_slices = [&](int64_t a, int64_t b) {
      for (int64_t k = 0; k < slice; ++k) {
        const int r = compare(p[offset(a, k)], p[offset(b, k)]);
        if (r != 0) return r;
      }
      return 0;
    };
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return compare_slices(a, b) < 0; });
    for (size_t i = 0; i < order.size(); ++i) {
      if (i == 0 || compare_slices(order[i - 1], order[i]) != 0) {
        first.push_back(order[i]);
        count.push_back(0);
      }
      ++count.back();
      group[static_cast<size_t>(order[i])] = static_cast<int64_t>(first.size()) - 1;
    }
  }));
  if (c.attr_int("sorted") == 0) {  // groups in the order of their first members
    std::vector<size_t> rank(first.size());
    std::iota(rank.begin(), rank.end(), size_t{0});
    std::sort(rank.begin(), rank.end(), [&](size_t a, size_t b) { return first[a] < first[b]; });
    std::vector<int64_t> new_first, new_count, renamed(first.size());
    for (const size_t g : rank) {
      renamed[g] = static_cast<int64_t>(new_first.size());
      new_first.push_back(first[g]);
      new_count.push_back(count[g]);
    }
    for (int64_t& g : group) g = renamed[static_cast<size_t>(g)];
    first = std::move(new_first);
    count = std::move(new_count);
  }
  std::vector<int64_t> dims = x.dims();
  dims[axis] = static_cast<int64_t>(first.size());
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0, x.dtype(), dims));
  MNN_RETURN_IF_ERROR(dispatch_move(x.dtype(), [&]<typename T>() {
    T* to = elements<T>(*y);
    for (int64_t o = 0; o < (y->elements() == 0 ? 0 : outer); ++o) {
      for (const int64_t i : first) {
        to = std::copy_n(elements<T>(x) + (o * along + i) * inner, inner, to);
      }
    }
  }));
  if (c.has_output(1)) c.out[1] = Tensor::ints(first);
  if (c.has_output(2)) c.out[2] = Tensor::ints(group);
  if (c.has_output(3)) c.out[3] = Tensor::ints(count);
  return {};
}

// ---- TopK ----

Status infer_top_k(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "K"));
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  set_output(c, 1, DType::kI64, std::nullopt);
  if (!c.rank_known(0)) return {};
  Shape out = *c.in[0].shape;
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", out.size()));
  Dim k = Dim::unknown();
  if (const auto v = c.values(1)) {
    if (v->size() != 1) return invalid("K: expected one number, found " + c.in[1].str());
    k = (*v)[0];
  }
  if (k.known() && (k.value() < 0 || (out[axis].known() && k.value() > out[axis].value()))) {
    return invalid("K " + k.str() + " is not in [0, " + out[axis].str() + "]");
  }
  out[axis] = k;
  for (auto& o : c.out) o.type.shape = out;
  return {};
}

Status reference_top_k(KernelContext& c) {
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(const size_t axis, c.attr_axis("axis", x.rank()));
  MNN_ASSIGN_OR_RETURN(Tensor * values, c.make(0));
  const int64_t k = values->dims()[axis], along = x.dims()[axis];
  MNN_ASSIGN_OR_RETURN(Tensor indices, Tensor::allocate(DType::kI64, values->dims()));
  const bool largest = c.attr_int("largest") != 0;
  const int64_t inner = product(x.dims(), axis + 1, x.rank());
  const int64_t outer = values->elements() == 0 ? 0 : product(x.dims(), 0, axis);
  std::vector<int64_t> order(static_cast<size_t>(outer == 0 ? 0 : along));
  MNN_RETURN_IF_ERROR(dispatch_ordered(x.dtype(), [&]<typename T>() {
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t j = 0; j < inner; ++j) {
        const T* row = elements<T>(x) + o * along * inner + j;
        std::iota(order.begin(), order.end(), 0);
        // Among equals the lower index comes first.
        std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
          const int r = compare(row[a * inner], row[b * inner]);
          return r == 0 ? a < b : (largest ? r > 0 : r < 0);
        });
        for (int64_t i = 0; i < k; ++i) {
          const int64_t to = (o * k + i) * inner + j;
          const int64_t from = order[static_cast<size_t>(i)];
          elements<T>(*values)[to] = row[from * inner];
          indices.data<int64_t>()[to] = from;
        }
      }
    }
  }));
  if (c.has_output(1)) c.out[1] = std::move(indices);
  return {};
}

}  // namespace

std::vector<OpDef> define_select() {
  const AttrDef axis{"axis", int64_t{0}}, last{"axis", int64_t{-1}}, sorted{"sorted", int64_t{1}};
  return {
      {"OneHot",
       3,
       3,
       kMoves | index_inputs(0) | shape_inputs(1),
       {last},
       infer_one_hot,
       with_whole_bytes<reference_one_hot>},
      {"NonZero", 1, 1, kDataSized, {}, infer_non_zero, reference_non_zero},
      {"Unique", 1, 1, kDataSized, {axis, sorted}, infer_unique, reference_unique, nullptr, 1, 4},
      with_gradient(top_k_gradient, {"TopK",
                                     2,
                                     2,
                                     shape_inputs(1),
                                     {last, {"largest", int64_t{1}}, sorted},
                                     infer_top_k,
                                     reference_top_k,
                                     nullptr,
                                     1,
                                     2}),
  };
}

}  // namespace mnn
