// What is picked by places or put there, diagonals and segments.
#include <algorithm>
#include <numeric>

#include "libconvert/frontends/tensorflow/op_map.h"

namespace mnn::tensorflow {

// x, places; V2: axis
void convert_gather(OpNode& n) {
  const bool v2 = n.op == "GatherV2";
  if (!n.expect_inputs(v2 ? 3 : 2, v2 ? 3 : 2)) return;
  const int64_t axis = v2 ? n.need_int(2, "the axis") : 0;
  if (n.status.ok()) gather(n, axis, n.attr_int("batch_dims"));
}

void convert_gather_nd(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  n.results = {n.emit("GatherND", {n.in(0), n.cast(n.in(1), DType::kI64)})};
}

void convert_scatter_nd(OpNode& n) {
  if (n.expect_inputs(3, 3)) scatter_nd(n);
}

// x, places, updates
void convert_tensor_scatter(OpNode& n) {
  if (!n.expect_inputs(3, 3)) return;
  constexpr std::pair<std::string_view, const char*> kHow[] = {{"TensorScatterUpdate", "none"},
                                                               {"TensorScatterAdd", "add"},
                                                               {"TensorScatterSub", "add"},
                                                               {"TensorScatterMax", "max"},
                                                               {"TensorScatterMin", "min"}};
  const auto* how = std::ranges::find(kHow, n.op, &std::pair<std::string_view, const char*>::first);
  const ValueId updates = n.op == "TensorScatterSub" ? n.emit("Neg", {n.in(2)}) : n.in(2);
  n.results = {n.emit("ScatterND", {n.in(0), n.cast(n.in(1), DType::kI64), updates},
                      {{"reduction", std::string(how->second)}})};
}

void convert_one_hot(OpNode& n) {
  if (n.expect_inputs(4, 4)) one_hot(n, n.attr_int("axis", -1));
}

// x, k
void convert_top_k(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const ValueId many = n.shape_operand(1);
  const auto made =
      n.emit_n("TopK", {n.in(0), many}, 2, {{"sorted", int64_t{n.attr_bool("sorted", true)}}});
  n.results = {made[0], n.cast(made[1], n.attr_type("index_type", DType::kI32))};
}

// UniqueV2: x, axes
void convert_unique(OpNode& n) {
  if (!n.expect_inputs(1, n.op == "UniqueV2" ? 2 : 1)) return;
  if (n.has(1)) {
    const Ints axes = n.need_ints(1, "the axes");
    if (n.status.ok() && !axes.empty() && (axes[0] != 0 || n.need_rank(0) != 1)) {
      return n.fail(unsupported("other axes than that of a vector are not supported"));
    }
  }
  unique(n, n.attr_type("out_idx", DType::kI32));
}

void convert_unique_counts(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const DType index = n.attr_type("out_idx", DType::kI32);
  const auto made = n.emit_n("Unique", {n.in(0)}, 4, {{"sorted", int64_t{0}}});
  n.results = {made[0], n.cast(made[2], index), n.cast(made[3], index)};
}

void convert_where(OpNode& n) {
  if (n.expect_inputs(1, 1)) n.results = {places_of(n, n.in(0))};
}

void convert_select(OpNode& n) {
  if (n.expect_inputs(3, 3)) select(n, n.op == "Select");
}

void convert_sparse_to_dense(OpNode& n) {
  if (n.expect_inputs(4, 4)) sparse_to_dense(n);
}

namespace {

// The other operands of the newer diagonals: the main one of a matrix that fits it, zeros around.
bool is_plain_diagonal(OpNode& n, size_t first) {
  if (!n.has(first)) return true;
  const Ints k = n.need_ints(first, "the diagonal");
  for (const int64_t d : k) {
    if (d != 0 && n.status.ok()) {
      n.fail(unsupported("other diagonals than the main one are not supported"));
    }
  }
  return n.status.ok();
}

// Places [rows, columns] where row and column are the same; of the last two axes of x.
ValueId main_diagonal(OpNode& n, ValueId x, size_t rank) {
  const ValueId whole = n.emit("Shape", {x});
  const auto places = [&](size_t axis) {
    const ValueId many = n.emit("Gather", {whole, n.scalar_i64(static_cast<int64_t>(axis))});
    return n.emit("Range", {n.scalar_i64(0), many, n.scalar_i64(1)});
  };
  return n.emit("Equal", {n.unsqueeze(places(rank - 2), {1}), places(rank - 1)});
}

// The main diagonal of the last two axes of input 0.
void take_diagonal(OpNode& n) {
  const size_t rank = n.need_rank(0);
  if (n.status.ok() && rank < 2) return n.fail(invalid("expected a matrix"));
  if (!n.status.ok()) return;
  const Dim rows = n.dim(0, rank - 2), columns = n.dim(0, rank - 1);
  const auto last = static_cast<int64_t>(rank) - 1;
  const ValueId on = main_diagonal(n, n.in(0), rank);
  const ValueId kept = n.emit("Where", {on, n.in(0), n.zero_of(n.dtype(0))});
  // As long as the shorter side: the sum along the longer one has one element each.
  if (!rows.same(columns) && !(rows.known() && columns.known())) {
    return n.fail(unsupported("a matrix of open sizes is not supported"));
  }
  const bool wide = rows.same(columns) || rows.value() <= columns.value();
  n.results = {n.emit("ReduceSum", {kept, n.add_ints({wide ? last : last - 1})},
                      {{"keepdims", int64_t{0}}})};
}

}  // namespace

// MatrixDiag…: vectors; MatrixSetDiag…: matrices, vectors. V2 and V3: which diagonal.
void convert_matrix_diag(OpNode& n) {
  const bool onto = n.op.starts_with("MatrixSet");
  const size_t own = onto ? 2 : 1;
  const bool newer = n.op.ends_with("V2") || n.op.ends_with("V3");
  if (!n.expect_inputs(own, newer ? (onto ? 3 : 5) : own) || !is_plain_diagonal(n, own)) return;
  if (newer && !onto) {
    for (const size_t i : {size_t{2}, size_t{3}}) {
      const int64_t size = n.has(i) ? n.need_int(i, "the size of the matrix") : -1;
      if (n.status.ok() && size != -1 && !n.dim(0, n.need_rank(0) - 1).is(size)) {
        return n.fail(unsupported("a matrix larger than its diagonal is not supported"));
      }
    }
  }
  matrix_diag(n, onto);
}

// V2 and V3: which diagonal, what stands where there is none.
void convert_diag_part(OpNode& n) {
  if (!n.expect_inputs(1, n.op == "MatrixDiagPart" ? 1 : 3)) return;
  if (is_plain_diagonal(n, 1)) take_diagonal(n);
}

// Diag, DiagPart: of tensors of any rank, here of vectors and matrices.
void convert_diag(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const bool part = n.op == "DiagPart";
  if (n.need_rank(0) != (part ? 2u : 1u)) {
    return n.fail(unsupported("diagonals of more axes are not supported"));
  }
  if (part) return take_diagonal(n);
  matrix_diag(n, false);
}

// x, how many diagonals below and above the main one are kept; negative: all
void convert_band_part(OpNode& n) {
  if (!n.expect_inputs(3, 3)) return;
  const int64_t low = n.need_int(1, "the number of diagonals"),
                high = n.need_int(2, "the number of diagonals");
  if (!n.status.ok()) return;
  ValueId x = n.in(0);
  if (high >= 0) x = n.emit("Trilu", {x, n.scalar_i64(high)}, {{"upper", int64_t{0}}});
  if (low >= 0) x = n.emit("Trilu", {x, n.scalar_i64(-low)}, {{"upper", int64_t{1}}});
  n.results = {x == n.in(0) ? n.emit("Identity", {x}) : x};
}

void convert_segment(OpNode& n) {
  const bool sorted = !n.op.starts_with("Unsorted");
  if (!n.expect_inputs(sorted ? 2 : 3, sorted ? 2 : 3)) return;
  std::string how = n.op.substr(n.op.find("Segment") + 7);
  std::ranges::transform(how, how.begin(), [](unsigned char c) { return std::toupper(c); });
  segment(n, how, sorted);
}

// Sums over how many there are of each.
void convert_segment_mean(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const size_t rank = n.need_rank(0);
  segment(n, "SUM", true);
  if (!n.status.ok()) return;
  const ValueId sums = n.results[0];
  const ValueId places = n.in(1);
  n.inputs[0] = n.emit("Expand", {n.add_scalar(1, n.dtype(0)), n.emit("Shape", {places})});
  segment(n, "SUM", true);
  if (!n.status.ok()) return;
  ValueId many = n.emit("Max", {n.results[0], n.add_scalar(1, n.dtype(0))});
  Ints after(rank > 0 ? rank - 1 : 0);
  std::iota(after.begin(), after.end(), int64_t{1});
  if (!after.empty()) many = n.unsqueeze(many, after);
  n.results = {n.emit("Div", {sums, many})};
}

// As many places as tensors: element j of tensor i goes where element j of its places says.
void convert_dynamic_stitch(OpNode& n) {
  if (n.inputs.empty() || n.inputs.size() % 2 != 0) {
    return n.fail(invalid("expected as many places as tensors"));
  }
  const size_t count = n.inputs.size() / 2;
  std::vector<ValueId> places, values;
  for (size_t i = 0; i < count; ++i) {
    const size_t rank = n.need_rank(i);
    places.push_back(n.emit("Reshape", {n.cast(n.in(i), DType::kI64), n.add_ints({-1})}));
    const ValueId rest =
        n.emit("Shape", {n.in(count + i)}, {{"start", static_cast<int64_t>(rank)}});
    const ValueId shape = n.emit("Concat", {n.add_ints({-1}), rest}, {{"axis", int64_t{0}}});
    values.push_back(n.emit("Reshape", {n.in(count + i), shape}));
  }
  const ValueId at = n.emit("Concat", places, {{"axis", int64_t{0}}});
  const ValueId updates = n.emit("Concat", values, {{"axis", int64_t{0}}});
  const ValueId many = n.emit("Add", {n.emit("ReduceMax", {at, n.add_ints({0})}), n.add_ints({1})});
  const ValueId rest = n.emit("Shape", {updates}, {{"start", int64_t{1}}});
  const ValueId shape = n.emit("Concat", {many, rest}, {{"axis", int64_t{0}}});
  const ValueId room = n.emit("Expand", {n.zero_of(n.dtype(count)), shape});
  n.results = {n.emit("ScatterND", {room, n.unsqueeze(at, {1}), updates})};
}

// x, the part each element along the first axes belongs to
void convert_dynamic_partition(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const int64_t many = n.attr_int("num_partitions");
  if (many < 1 || many > 1 << 16) return n.fail(invalid("its number of outputs is out of range"));
  const size_t rank = n.need_rank(1);
  ValueId x = n.in(0), part = n.in(1);
  if (rank != 1) {
    part = n.emit("Reshape", {part, n.add_ints({-1})});
    const ValueId rest = n.emit("Shape", {x}, {{"start", static_cast<int64_t>(rank)}});
    x = n.emit("Reshape", {x, n.emit("Concat", {n.add_ints({-1}), rest}, {{"axis", int64_t{0}}})});
  }
  for (int64_t i = 0; i < many && n.status.ok(); ++i) {
    const ValueId own =
        n.emit("Equal", {part, n.add_constant(Tensor::scalar(static_cast<int32_t>(i)))});
    n.results.push_back(n.emit("Compress", {x, own}, {{"axis", int64_t{0}}}));
  }
}

// sorted rows [b, n], values [b, m]: how many of the row are less (LowerBound) or not greater
void convert_bound(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const ValueId rows = n.unsqueeze(n.in(0), {1}), values = n.unsqueeze(n.in(1), {2});
  const ValueId before = n.emit(n.op == "LowerBound" ? "Less" : "LessOrEqual", {rows, values});
  n.results = {n.cast(n.emit("ReduceSum", {n.cast(before, DType::kI64), n.add_ints({2})},
                             {{"keepdims", int64_t{0}}}),
                      n.attr_type("out_type", DType::kI32))};
}

}  // namespace mnn::tensorflow
