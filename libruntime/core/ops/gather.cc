// Gather, GatherElements, GatherND, Compress: elements picked by index.
#include <algorithm>

#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

// `index` made non-negative, or an error that names it and the range.
Result<int64_t> checked_index(int64_t index, int64_t dim) {
  if (index < -dim || index >= dim) {
    return invalid("index " + std::to_string(index) + " is not in [" + std::to_string(-dim) + ", " +
                   std::to_string(dim) + ")");
  }
  return index < 0 ? index + dim : index;
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
  const int64_t outer = product(x.dims(), 0, axis);
  const int64_t inner = product(x.dims(), axis + 1, x.rank());
  return dispatch_move(x.dtype(), [&]<typename T>() {
    T* to = elements<T>(*y);
    for (int64_t o = 0; o < outer; ++o) {
      const T* from = elements<T>(x) + o * x.dims()[axis] * inner;
      for (const int64_t i : indices) to = std::copy_n(from + i * inner, inner, to);
    }
  });
}

}  // namespace

std::vector<OpDef> define_gather() {
  const AttrDef axis{"axis", int64_t{0}};
  return {
      {"Gather", 2, 2, {axis}, infer_gather, with_whole_bytes<reference_gather>},
  };
}

}  // namespace mnn
