// Reading and writing at places: index, gather, scatter, masks.
#include <algorithm>
#include <limits>
#include <numeric>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

// index_select: 1-D places along a dim.
void index_select(Call& c) {
  const ValueId x = c.tensor("self");
  ValueId index = c.tensor("index");
  if (c.rank(index) == 0) index = c.expand_dims(index, {0});
  if (c.rank(x) == 0) return c.give(x);
  c.give(c.gather(x, index, c.axis("dim", c.rank(x))));
}

void gather(Call& c) {
  const ValueId x = c.tensor("self"), index = c.tensor("index");
  if (c.rank(x) == 0) return c.give(x);
  c.give(c.emit("GatherElements", {x, index}, {{"axis", c.axis("dim", c.rank(x))}}));
}

void take(Call& c) { c.give(c.gather(c.reshape(c.tensor("self"), {-1}), c.tensor("index"), 0)); }

void take_along_dim(Call& c) {
  ValueId x = c.tensor("self"), index = c.tensor("indices");
  int64_t axis = 0;
  if (c.none("dim")) {
    x = c.reshape(x, {-1});
    index = c.reshape(index, {-1});
  } else {
    axis = c.axis("dim", c.rank(x));
    // Both broadcast except along the dim.
    std::vector<IntArg> of_x = c.sizes(x), of_index = c.sizes(index);
    of_x[static_cast<size_t>(axis)] = of_index[static_cast<size_t>(axis)] = IntArg{1};
    x = c.expand(x, c.list_of(of_index));
    index = c.expand(index, c.list_of(of_x));
  }
  c.give(c.emit("GatherElements", {x, index}, {{"axis", axis}}));
}

// NonZero gives one row a dim; PyTorch one row an element.
ValueId places_of(Call& c, ValueId mask) { return c.transpose(c.unary("NonZero", mask), {1, 0}); }

void nonzero(Call& c) {
  const ValueId x = c.tensor("self");
  c.give(places_of(c, x));
}
void nonzero_numpy(Call& c) {
  const ValueId x = c.tensor(c.call.row->schema.params[0].name);
  const size_t rank = c.rank(x);
  const ValueId rows = c.unary("NonZero", x);
  std::vector<ValueId> results;
  for (size_t i = 0; i < rank; ++i) {
    results.push_back(c.select(rows, 0, IntArg{static_cast<int64_t>(i)}));
  }
  c.give_list(results);
}

// The tensor and mask in their common shape.
void masked_select(Call& c) {
  const ValueId x = c.tensor("self"), mask = c.tensor("mask");
  const ValueId wide = c.expand(x, c.shape_of(mask)), place = c.expand(mask, c.shape_of(x));
  c.give(
      c.emit("Compress", {c.reshape(wide, {-1}), c.reshape(place, {-1})}, {{"axis", int64_t{0}}}));
}

// What index and index_put have in common. Indices (masks are places of what is true) come to the
// front of the tensor, in their common shape and one beside the other: [*common, n] for GatherND.
struct Advanced {
  std::vector<int64_t> perm;  // of the tensor's dims: the indexed ones first
  size_t indexed = 0;         // dims that are indexed
  size_t common = 0;          // rank of the indices
  int64_t front = 0;          // where the common dims stand in PyTorch's result
  ValueId places = kNoValue;
};

std::optional<Advanced> advanced_indices(Call& c, ValueId x, std::string_view name) {
  const size_t rank = c.rank(x);
  std::vector<ValueId> given = c.tensors(name);
  std::vector<std::pair<int64_t, ValueId>> indices;  // dim -> places along it
  int64_t dim = 0;
  for (const ValueId i : given) {
    if (i == kNoValue) {
      ++dim;
      continue;
    }
    const DType type = c.dtype_of(i);
    if (type != DType::kBool && type != DType::kU8) {
      indices.emplace_back(dim++, c.cast(i, DType::kI64));
      continue;
    }
    const size_t dims = c.rank(i);
    const ValueId rows = c.unary("NonZero", i);
    for (size_t d = 0; d < dims; ++d) {
      indices.emplace_back(dim++, c.select(rows, 0, IntArg{static_cast<int64_t>(d)}));
    }
  }
  if (!c.status.ok()) return std::nullopt;
  if (dim > static_cast<int64_t>(rank)) {
    c.fail(invalid("more indices than dims"));
    return std::nullopt;
  }
  Advanced a;
  a.indexed = indices.size();
  if (indices.empty()) return a;
  for (const auto& [d, id] : indices) a.perm.push_back(d);
  const bool adjacent = a.perm.back() - a.perm.front() + 1 == static_cast<int64_t>(a.perm.size());
  a.front = adjacent ? a.perm.front() : 0;
  for (int64_t d = 0; d < static_cast<int64_t>(rank); ++d) {
    if (std::ranges::find(a.perm, d) == a.perm.end()) a.perm.push_back(d);
  }
  for (const auto& [d, id] : indices) a.common = std::max(a.common, c.rank(id));
  std::vector<ValueId> columns;
  for (const auto& [d, id] : indices) {
    ValueId wide = id;
    for (const auto& [e, other] : indices) {
      if (other == id) continue;
      const Type &one = c.type_of(wide), &two = c.type_of(other);
      if (one.is_static() && two.is_static() && same_shape(*one.shape, *two.shape)) continue;
      wide = c.expand(wide, c.shape_of(other));
    }
    columns.push_back(c.emit("Unsqueeze", {wide, c.add_ints({-1})}));
  }
  a.places = c.concat(columns, -1);
  return a;
}

// The order that puts the `common` first dims behind `front` others.
std::vector<int64_t> back_in_place(size_t common, int64_t front, size_t rank) {
  std::vector<int64_t> perm;
  const auto n = static_cast<int64_t>(common);
  for (int64_t i = 0; i < front; ++i) perm.push_back(n + i);
  for (int64_t i = 0; i < n; ++i) perm.push_back(i);
  for (int64_t i = n + front; i < static_cast<int64_t>(rank); ++i) perm.push_back(i);
  return perm;
}

void index(Call& c) {
  const ValueId x = c.tensor("self");
  // One index of whole numbers is a plain gather.
  const std::vector<ValueId> given = c.tensors("indices");
  if (!c.status.ok()) return;
  const auto absent = std::ranges::count(given, kNoValue);
  if (absent + 1 == static_cast<int64_t>(given.size())) {
    const auto at = std::ranges::find_if(given, [](ValueId v) { return v != kNoValue; });
    const DType type = c.dtype_of(*at);
    if (type != DType::kBool && type != DType::kU8)
      return c.give(c.gather(x, *at, at - given.begin()));
  }
  const std::optional<Advanced> a = advanced_indices(c, x, "indices");
  if (!a) return;
  if (a->indexed == 0) return c.give(x);
  const ValueId y = c.emit("GatherND", {c.transpose(x, a->perm), a->places});
  const size_t rank = c.rank(x) - a->indexed + a->common;
  c.give(c.transpose(y, back_in_place(a->common, a->front, rank)));
}

void index_put(Call& c) {
  const ValueId x = c.tensor("self");
  const DType type = c.dtype_of(x);
  ValueId values = c.as("values", type);
  const bool add = c.flag("accumulate");
  const std::vector<ValueId> given = c.tensors("indices");
  if (!c.status.ok()) return;
  // One number where a mask is true.
  if (given.size() == 1 && given[0] != kNoValue && c.dtype_of(given[0]) == DType::kBool && !add &&
      c.rank(values) == 0) {
    ValueId mask = given[0];
    const size_t extra = c.rank(x) - std::min(c.rank(x), c.rank(mask));
    std::vector<int64_t> behind(extra);
    std::iota(behind.begin(), behind.end(), static_cast<int64_t>(c.rank(mask)));
    return c.give(c.where(c.expand_dims(mask, behind), values, x));
  }
  const std::optional<Advanced> a = advanced_indices(c, x, "indices");
  if (!a) return;
  if (a->indexed == 0) {
    const ValueId whole = c.expand(values, c.shape_of(x));
    return c.give(add ? c.binary("Add", x, whole) : whole);
  }
  const ValueId data = c.transpose(x, a->perm);
  const size_t rank = c.rank(x) - a->indexed + a->common;
  // What the values are written to: [*common, rest]; PyTorch has the common dims at `front`.
  const ValueId target = c.emit("GatherND", {data, a->places});
  const std::vector<int64_t> there = back_in_place(a->common, a->front, rank);
  std::vector<int64_t> back(there.size());
  for (size_t i = 0; i < there.size(); ++i)
    back[static_cast<size_t>(there[i])] = static_cast<int64_t>(i);
  const ValueId shape = c.shape_of(c.transpose(target, there));
  const ValueId updates = c.transpose(c.expand(values, shape), back);
  const ValueId y = c.emit("ScatterND", {data, a->places, updates},
                           {{"reduction", std::string(add ? "add" : "none")}});
  std::vector<int64_t> inverse(a->perm.size());
  for (size_t i = 0; i < a->perm.size(); ++i)
    inverse[static_cast<size_t>(a->perm[i])] = static_cast<int64_t>(i);
  c.give(c.transpose(y, inverse));
}

void masked_scatter(Call& c) {
  const ValueId x = c.tensor("self");
  const ValueId mask = c.expand(c.tensor("mask"), c.shape_of(x));
  // The n-th true place gets the n-th element of the source.
  const ValueId flat_mask = c.reshape(mask, {-1});
  const ValueId source = c.reshape(c.as("source", c.dtype_of(x)), {-1});
  const ValueId count = c.emit(
      "CumSum", {c.cast(flat_mask, DType::kI64), c.add_constant(Tensor::scalar(int64_t{0}))});
  const ValueId place =
      c.binary("Max", c.binary("Sub", count, c.number(1, DType::kI64)), c.number(0, DType::kI64));
  const ValueId taken = c.emit("Reshape", {c.gather(source, place, 0), c.shape_of(x)});
  c.give(c.where(mask, taken, x));
}

}  // namespace

std::vector<RowText> index_rows() {
  return {
      {"index_select(Tensor self, int dim, Tensor index) -> Tensor", "Gather", index_select},
      {"gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor",
       "GatherElements", gather},
      {"take(Tensor self, Tensor index) -> Tensor", "Reshape, Gather", take},
      {"take_along_dim(Tensor self, Tensor indices, int? dim=None) -> Tensor", "GatherElements",
       take_along_dim},
      {"nonzero(Tensor self) -> Tensor", "NonZero, Transpose", nonzero},
      {"nonzero_numpy(Tensor self) -> Tensor[]", "NonZero, Gather", nonzero_numpy},
      {"argwhere(Tensor self) -> Tensor", "NonZero, Transpose", nonzero},
      {"masked_select(Tensor self, Tensor mask) -> Tensor", "Compress", masked_select},
      {"index.Tensor(Tensor self, Tensor?[] indices) -> Tensor", "Gather, GatherND", index},
      {"_unsafe_index.Tensor(Tensor self, Tensor?[] indices) -> Tensor", "Gather, GatherND", index},
      {"index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor",
       "ScatterND, Where", index_put},
      {"_unsafe_index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) "
       "-> Tensor",
       "ScatterND, Where", index_put},
      {"_index_put_impl(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False, "
       "bool unsafe=False) -> Tensor",
       "ScatterND, Where", index_put},
      {"masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor", "CumSum, Gather, Where",
       masked_scatter},
      {"where(Tensor condition) -> Tensor[]", "NonZero, Gather", nonzero_numpy},
  };
}

}  // namespace mnn::torch
