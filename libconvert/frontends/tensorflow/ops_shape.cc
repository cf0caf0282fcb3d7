// Shapes, slices, and what puts tensors together or takes them apart.
#include <algorithm>
#include <numeric>

#include "libconvert/frontends/tensorflow/op_map.h"

namespace mnn::tensorflow {
namespace {

// Complex numbers have a last axis of two that the source does not count.
size_t own_rank(OpNode& n, size_t i) {
  const size_t rank = n.need_rank(i);
  return n.is_complex() && rank > 0 ? rank - 1 : rank;
}

}  // namespace

void convert_reshape(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  if (auto dims = n.ints(1)) {
    if (n.is_complex()) dims->push_back(2);
    OpNode::Attributes attrs;
    if (std::ranges::find(*dims, 0) != dims->end()) attrs["allowzero"] = int64_t{1};
    n.results = {n.emit("Reshape", {n.in(0), n.add_ints(*dims)}, attrs)};
    return;
  }
  ValueId shape = n.shape_operand(1);
  if (n.is_complex()) shape = n.emit("Concat", {shape, n.add_ints({2})}, {{"axis", int64_t{0}}});
  // A computed 0 is a dim of none.
  n.results = {n.emit("Reshape", {n.in(0), shape}, {{"allowzero", int64_t{1}}})};
}

void convert_squeeze(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  Ints axes;
  const Ints given = n.attr_ints("squeeze_dims");
  const size_t rank = own_rank(n, 0);
  for (const int64_t a : given) axes.push_back(n.need_axis(a, rank));
  for (size_t d = 0; d < rank && given.empty(); ++d) {
    const Dim dim = n.dim(0, d);
    if (!dim.known() && n.status.ok()) {
      n.notes.push_back("axis " + std::to_string(d) +
                        " of open size is kept, a run with one element there would differ");
    }
    if (dim.is(1)) axes.push_back(static_cast<int64_t>(d));
  }
  if (!n.status.ok()) return;
  n.results = {axes.empty() ? n.emit("Identity", {n.in(0)})
                            : n.emit("Squeeze", {n.in(0), n.add_ints(axes)})};
}

void convert_expand_dims(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const int64_t axis = n.need_int(1, "the axis");
  const int64_t at = n.need_axis(axis, own_rank(n, 0) + 1);
  if (n.status.ok()) n.results = {n.unsqueeze(n.in(0), {at})};
}

void convert_transpose(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  if (n.op == "ConjugateTranspose" && n.is_complex()) {
    return n.fail(unsupported("complex numbers are not supported here"));
  }
  Ints perm = n.need_ints(1, "the permutation");
  for (int64_t& p : perm) p += p < 0 ? static_cast<int64_t>(perm.size()) : 0;
  if (n.is_complex()) perm.push_back(static_cast<int64_t>(perm.size()));
  if (n.status.ok()) n.results = {n.transpose(n.in(0), perm)};
}

// Shape, Size, Rank
void convert_shape(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const DType to = n.attr_type("out_type", DType::kI32);
  if (n.op == "Rank") {
    const auto rank = static_cast<int32_t>(own_rank(n, 0));
    n.results = {n.add_constant(Tensor::scalar(rank))};
    return;
  }
  OpNode::Attributes attrs;
  if (n.is_complex() && n.op == "Shape") attrs["end"] = int64_t{-1};
  n.results = {n.cast(n.emit(n.op, {n.in(0)}, attrs), to)};
}

void convert_shape_n(OpNode& n) {
  const DType to = n.attr_type("out_type", DType::kI32);
  for (const ValueId v : n.inputs) n.results.push_back(n.cast(n.emit("Shape", {v}), to));
}

void convert_fill(OpNode& n) {
  if (n.expect_inputs(2, 2)) n.results = {n.emit("Expand", {n.in(1), n.shape_operand(0)})};
}

// ZerosLike, OnesLike
void convert_like(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  ValueId value = n.zero_of(n.dtype(0));
  if (n.op == "OnesLike") {
    value = n.dtype(0) == DType::kBool ? n.add_constant(Tensor::scalar(true))
                                       : n.add_scalar(1, n.dtype(0));
  }
  n.results = {n.emit("Expand", {value, n.shape_of(n.in(0))})};
}

void convert_empty(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  n.results = {
      n.emit("Expand", {n.zero_of(n.attr_type("dtype", DType::kF32)), n.shape_operand(0)})};
}

void convert_range(OpNode& n) {
  if (n.expect_inputs(3, 3)) n.results = {n.emit("Range", n.inputs)};
}

// start, stop, how many
void convert_lin_space(OpNode& n) {
  if (!n.expect_inputs(3, 3)) return;
  const DType dtype = n.dtype(0);
  const ValueId many = n.cast(n.scalar_operand(2), DType::kI64);
  const ValueId places = n.cast(n.emit("Range", {n.scalar_i64(0), many, n.scalar_i64(1)}), dtype);
  const ValueId gaps = n.emit("Max", {n.emit("Sub", {many, n.scalar_i64(1)}), n.scalar_i64(1)});
  const ValueId step = n.emit("Div", {n.emit("Sub", {n.in(1), n.in(0)}), n.cast(gaps, dtype)});
  n.results = {n.emit("Add", {n.emit("Mul", {places, step}), n.in(0)})};
}

void convert_tile(OpNode& n) {
  if (n.expect_inputs(2, 2)) n.results = {n.emit("Tile", {n.in(0), n.shape_operand(1)})};
}

void convert_broadcast_to(OpNode& n) {
  if (n.expect_inputs(2, 2)) n.results = {n.emit("Expand", {n.in(0), n.shape_operand(1)})};
}

void convert_broadcast_args(OpNode& n) {
  if (n.expect_inputs(2, 2)) n.results = {n.cast(broadcast_shapes(n), n.dtype(0))};
}

void convert_pad(OpNode& n) {
  if (n.expect_inputs(2, n.op == "Pad" ? 2 : 3)) pad(n, "constant");
}

void convert_mirror_pad(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const std::string mode = n.attr_text("mode");
  if (mode == "REFLECT") return pad(n, "reflect");
  if (mode != "SYMMETRIC") return n.fail(invalid("mode " + mode + " is not known"));
  mirror_pad(n, n.in(0), n.need_ints(1, "the padding"));
}

void convert_strided_slice(OpNode& n) {
  if (!n.expect_inputs(4, 4)) return;
  strided_slice(n,
                {n.attr_int("begin_mask"), n.attr_int("end_mask"), n.attr_int("ellipsis_mask"),
                 n.attr_int("new_axis_mask"), n.attr_int("shrink_axis_mask"), false},
                n.is_complex() ? 1 : 0);
}

// ConcatV2 has the axis last, Concat first.
void convert_concat(OpNode& n) {
  if (n.inputs.size() < 2) return n.fail(invalid("expected tensors and an axis"));
  const size_t at = n.op == "ConcatV2" ? n.inputs.size() - 1 : 0;
  const int64_t axis = n.need_int(at, "the axis");
  if (!n.status.ok()) return;
  std::vector<ValueId> parts = n.inputs;
  parts.erase(parts.begin() + static_cast<int64_t>(at));
  n.results = {n.emit("Concat", parts, {{"axis", axis}})};
}

void convert_pack(OpNode& n) {
  if (n.inputs.empty()) return n.fail(invalid("expected inputs, found none"));
  const int64_t axis = n.need_axis(n.attr_int("axis"), n.need_rank(0) + 1);
  std::vector<ValueId> parts;
  for (const ValueId v : n.inputs) {
    parts.push_back(n.status.ok() ? n.unsqueeze(v, {axis}) : v);
  }
  n.results = {n.emit("Concat", parts, {{"axis", axis}})};
}

void convert_unpack(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const int64_t many = n.attr_int("num");
  const int64_t axis = n.need_axis(n.attr_int("axis"), n.need_rank(0));
  if (!n.status.ok()) return;
  if (many < 1 || many > 1 << 16) return n.fail(invalid("its number of outputs is out of range"));
  const auto parts = n.emit_n("Split", {n.in(0)}, static_cast<size_t>(many),
                              {{"axis", axis}, {"num_outputs", many}});
  for (const ValueId p : parts) n.results.push_back(n.emit("Squeeze", {p, n.add_ints({axis})}));
}

// axis, x
void convert_split(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const int64_t many = n.attr_int("num_split"), axis = n.need_int(0, "the axis");
  if (!n.status.ok()) return;
  if (many < 1 || many > 1 << 16) return n.fail(invalid("its number of outputs is out of range"));
  n.results = n.emit_n("Split", {n.in(1)}, static_cast<size_t>(many),
                       {{"axis", axis}, {"num_outputs", many}});
}

// x, sizes (one may be -1), axis
void convert_split_v(OpNode& n) {
  if (!n.expect_inputs(3, 3)) return;
  const int64_t many = n.attr_int("num_split");
  if (many < 1 || many > 1 << 16) return n.fail(invalid("its number of outputs is out of range"));
  split_v(n, static_cast<size_t>(many));
}

// ReverseV2 has axes, Reverse a bool for each.
void convert_reverse(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  Ints axes = n.need_ints(1, "the axes");
  if (n.op == "Reverse") {
    const Ints flags = axes;
    axes.clear();
    for (size_t d = 0; d < flags.size(); ++d) {
      if (flags[d] != 0) axes.push_back(static_cast<int64_t>(d));
    }
  }
  if (!n.status.ok()) return;
  if (axes.empty()) {
    n.results = {n.emit("Identity", {n.in(0)})};
    return;
  }
  reverse(n, axes);
}

void convert_reverse_sequence(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  reverse_sequence(n, n.attr_int("seq_dim"), n.attr_int("batch_dim"));
}

// x, shifts, axes
void convert_roll(OpNode& n) {
  if (!n.expect_inputs(3, 3)) return;
  const Ints shifts = n.need_ints(1, "the shift"), axes = n.need_ints(2, "the axis");
  const size_t rank = n.need_rank(0);
  if (n.status.ok() && shifts.size() != axes.size()) {
    n.fail(invalid("expected a shift an axis"));
  }
  ValueId x = n.in(0);
  for (size_t i = 0; i < axes.size() && n.status.ok(); ++i) {
    const int64_t axis = n.need_axis(axes[i], rank);
    const Dim dim = n.dim(0, static_cast<size_t>(axis));
    int64_t shift = shifts[i];
    if (dim.known() && dim.value() > 0) shift = ((shift % dim.value()) + dim.value()) % dim.value();
    if (shift == 0 || dim.is(0)) continue;
    // What goes over one end comes in at the other.
    const ValueId at = n.add_ints({-shift}), along = n.add_ints({axis});
    const ValueId end = n.emit("Slice", {x, at, n.add_ints({INT64_MAX}), along});
    const ValueId front = n.emit("Slice", {x, n.add_ints({0}), at, along});
    x = n.emit("Concat", {end, front}, {{"axis", axis}});
  }
  n.results = {x == n.in(0) ? n.emit("Identity", {x}) : x};
}

void convert_invert_permutation(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const DType dtype = n.dtype(0);
  const ValueId many = n.emit("Size", {n.in(0)});
  const ValueId places = n.cast(n.emit("Range", {n.scalar_i64(0), many, n.scalar_i64(1)}), dtype);
  n.results = {n.emit("ScatterElements", {places, n.cast(n.in(0), DType::kI64), places})};
}

void convert_block(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const ValueId x = n.image(0);
  n.results = {n.result_image(n.emit(n.op, {x}, {{"blocksize", n.attr_int("block_size", 2)}}))};
}

namespace {

// The old operators have one block for both axes, and no list of it.
void take_block(OpNode& n) {
  const int64_t block = n.attr_int("block_size", 2);
  n.inputs.insert(n.inputs.begin() + 1, n.add_ints({block, block}));
}

}  // namespace

void convert_space_to_batch(OpNode& n) {
  const bool nd = n.op == "SpaceToBatchND";
  if (!n.expect_inputs(nd ? 3 : 2, nd ? 3 : 2)) return;
  if (!nd) take_block(n);
  space_to_batch(n);
}

void convert_batch_to_space(OpNode& n) {
  const bool nd = n.op == "BatchToSpaceND";
  if (!n.expect_inputs(nd ? 3 : 2, nd ? 3 : 2)) return;
  if (!nd) take_block(n);
  batch_to_space(n);
}

}  // namespace mnn::tensorflow
