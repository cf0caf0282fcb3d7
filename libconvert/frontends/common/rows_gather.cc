// What is picked by places or put there.
#include <algorithm>
#include <numeric>

#include "libconvert/frontends/common/rows.h"

namespace mnn::frontend {

void gather(TensorNode& n, int64_t along, int64_t batch_dims) {
  const size_t rank = n.need_rank(0), places = n.need_rank(1);
  const int64_t axis = n.need_axis(along, rank);
  const int64_t batch = batch_dims < 0 ? batch_dims + static_cast<int64_t>(places) : batch_dims;
  if (!n.status.ok()) return;
  if (batch == 0) {
    n.results = {n.move("Gather", n.in(0), {n.in(1)}, {{"axis", axis}})};
    return;
  }
  if (batch < 0 || batch > axis || batch > static_cast<int64_t>(places)) {
    return n.fail(invalid("batch_dims " + std::to_string(batch) + " does not fit axis " +
                          std::to_string(axis)));
  }
  // The gathered axis right behind the batch, and back to its place.
  ValueId x = n.in(0);
  Ints to(rank);
  std::iota(to.begin(), to.end(), int64_t{0});
  to.erase(to.begin() + axis);
  to.insert(to.begin() + batch, axis);
  if (axis != batch) x = n.transpose(x, to);
  const ValueId at = n.unsqueeze(n.cast(n.in(1), DType::kI64), {static_cast<int64_t>(places)});
  ValueId y = n.move("GatherND", x, {at}, {{"batch_dims", batch}});
  if (axis != batch) {
    const int64_t found = static_cast<int64_t>(places) - batch, moved = axis - batch;
    Ints back;
    const auto all = static_cast<int64_t>(rank) - 1 + found;
    for (int64_t d = 0; d < batch; ++d) back.push_back(d);
    for (int64_t d = 0; d < moved; ++d) back.push_back(batch + found + d);
    for (int64_t d = 0; d < found; ++d) back.push_back(batch + d);
    for (int64_t d = batch + found + moved; d < all; ++d) back.push_back(d);
    y = n.transpose(y, back);
  }
  n.results = {y};
}

void scatter_nd(TensorNode& n) {
  const ValueId empty = n.emit("Expand", {n.zero_of(n.dtype(1)), n.shape_operand(2)});
  n.results = {n.emit("ScatterND", {empty, n.cast(n.in(0), DType::kI64), n.in(1)},
                      {{"reduction", std::string("add")}})};
}

void sparse_to_dense(TensorNode& n) {
  const size_t rank = n.need_rank(0), values = n.need_rank(2);
  if (!n.status.ok()) return;
  ValueId at = n.cast(n.in(0), DType::kI64);
  // One number a place of a vector; one place.
  if (rank == 0) at = n.emit("Reshape", {at, n.add_ints({1, 1})});
  if (rank == 1) at = n.emit("Unsqueeze", {at, n.add_ints({1})});
  ValueId updates = n.in(2);
  if (values == 0) {
    const ValueId many = n.emit("Shape", {at}, {{"end", int64_t{1}}});
    updates = n.emit("Expand", {updates, many});
  }
  const ValueId base = n.emit("Expand", {n.in(3), n.shape_operand(1)});
  n.results = {n.emit("ScatterND", {base, at, updates})};
}

void one_hot(TensorNode& n, int64_t axis) {
  const ValueId on = n.emit("Reshape", {n.in(2), n.add_ints({1})});
  const ValueId off = n.emit("Reshape", {n.in(3), n.add_ints({1})});
  const ValueId values = n.emit("Concat", {off, on}, {{"axis", int64_t{0}}});
  // Negative places are of none, here they would count from the end: beyond the last is none too.
  const ValueId depth = n.shape_operand(1), at = n.cast(n.in(0), DType::kI64);
  const ValueId below = n.emit("Less", {at, n.add_constant(Tensor::scalar<int64_t>(0))});
  const ValueId none = n.emit("Reshape", {depth, n.add_ints({})});
  n.results = {
      n.emit("OneHot", {n.emit("Where", {below, none, at}), depth, values}, {{"axis", axis}})};
}

void select(TensorNode& n, bool along_first) {
  ValueId condition = n.in(0);
  const size_t rank = n.need_rank(0), data = n.need_rank(1);
  if (along_first && rank == 1 && data > 1) {
    Ints axes(data - 1);
    std::iota(axes.begin(), axes.end(), int64_t{1});
    condition = n.unsqueeze(condition, axes);
  }
  n.results = {n.emit("Where", {condition, n.in(1), n.in(2)})};
}

ValueId places_of(TensorNode& n, ValueId x) {
  return n.emit("Transpose", {n.emit("NonZero", {x})}, {{"perm", Ints{1, 0}}});
}

void unique(TensorNode& n, DType index) {
  const auto made = n.emit_n("Unique", {n.in(0)}, 3, {{"sorted", int64_t{0}}});
  n.results = {made[0], n.cast(made[2], index)};
}

void matrix_diag(TensorNode& n, bool onto) {
  const size_t at = onto ? 1 : 0, rank = n.need_rank(at);
  if (n.status.ok() && rank == 0) return n.fail(invalid("expected a vector, found a scalar"));
  if (!n.status.ok()) return;
  const auto last = static_cast<int64_t>(rank) - 1;
  ValueId rows = kNoValue, columns = kNoValue;
  const ValueId whole = n.emit("Shape", {n.in(0)});
  const auto one = [&](int64_t i) {
    const ValueId v = n.emit("Gather", {whole, n.add_constant(Tensor::scalar<int64_t>(i))});
    return n.emit("Range", {n.add_constant(Tensor::scalar<int64_t>(0)), v,
                            n.add_constant(Tensor::scalar<int64_t>(1))});
  };
  rows = n.unsqueeze(one(last), {1});
  columns = one(onto ? last + 1 : last);
  const ValueId on = n.emit("Equal", {rows, columns});
  const ValueId off = onto ? n.in(0) : n.zero_of(n.dtype(0));
  // A wide matrix has more columns than its diagonal is long: values stand along the rows.
  const ValueId diagonal = n.unsqueeze(n.in(at), {last + 1});
  if (onto) {
    const Dim height = n.dim(0, static_cast<size_t>(last));
    if (!height.same(n.dim(1, static_cast<size_t>(last)))) {
      return n.fail(unsupported("a matrix with more rows than columns is not supported"));
    }
  }
  n.results = {n.emit("Where", {on, diagonal, off})};
}

void segment(TensorNode& n, std::string_view how, bool sorted) {
  if (n.need_rank(1) != 1) return n.fail(unsupported("segments of more than one axis"));
  double start = 0;
  std::string reduction = "add";
  const bool real = is_float(n.dtype(0));
  if (how == "PROD") {
    reduction = "mul";
    start = 1;
  } else if (how == "MAX") {
    reduction = "max";
    start = real ? -3.4028234663852886e38 : INT32_MIN;
  } else if (how == "MIN") {
    reduction = "min";
    start = real ? 3.4028234663852886e38 : INT32_MAX;
  }
  const ValueId segments = n.cast(n.in(1), DType::kI64);
  ValueId many = kNoValue;
  if (sorted) {
    many = n.emit("Add", {n.emit("ReduceMax", {segments, n.add_ints({0})}), n.add_ints({1})});
  } else {
    many = n.shape_operand(2);
  }
  const ValueId rest = n.emit("Shape", {n.in(0)}, {{"start", int64_t{1}}});
  const ValueId shape = n.emit("Concat", {many, rest}, {{"axis", int64_t{0}}});
  const ValueId base = n.emit("Expand", {n.add_scalar(start, n.dtype(0)), shape});
  n.results = {
      n.emit("ScatterND", {base, n.unsqueeze(segments, {1}), n.in(0)}, {{"reduction", reduction}})};
}

}  // namespace mnn::frontend
