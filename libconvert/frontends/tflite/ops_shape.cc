// Shapes, slices, and what puts tensors together or takes them apart.
#include <climits>
#include <numeric>

#include "libconvert/frontends/common/rows.h"
#include "libconvert/frontends/tflite/op_map.h"

namespace mnn::tflite {
namespace {

using Ints = std::vector<int64_t>;

// Of complex numbers the last axis is the pair.
int64_t own_rank(OpNode& n, size_t i) {
  const auto rank = static_cast<int64_t>(n.need_rank(i));
  const fb::Tensor* t = n.input_tensor(i);
  return t != nullptr && dtype_of(t->type()) == DType::kC64 ? rank - 1 : rank;
}

}  // namespace

void convert_reshape(OpNode& n) {
  if (!n.expect_inputs(1, 2)) return;
  const auto listed = list(n.options<fb::ReshapeOptions>(17).new_shape());
  ValueId shape = kNoValue;
  bool has_zero = false;
  auto known = n.has(1) ? n.ints(1) : std::optional(Ints(listed.begin(), listed.end()));
  if (known) {
    // Old files spell a scalar so.
    if (!n.has(1) && *known == Ints{0}) known->clear();
    if (own_rank(n, 0) != static_cast<int64_t>(n.need_rank(0))) known->push_back(2);
    has_zero = std::ranges::find(*known, 0) != known->end();
    shape = n.add_ints(*known);
  } else {
    shape = n.shape_operand(1);
  }
  OpNode::Attributes attrs;
  if (has_zero) attrs["allowzero"] = int64_t{1};
  n.results = {n.move("Reshape", n.in(0), {shape}, attrs)};
}

void convert_squeeze(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const auto dims = list(n.options<fb::SqueezeOptions>(30).squeeze_dims());
  const int64_t rank = own_rank(n, 0);
  Ints axes;
  for (const int32_t d : dims) axes.push_back(n.need_axis(d, static_cast<size_t>(rank)));
  for (int64_t d = 0; d < rank && dims.empty(); ++d) {
    const Dim dim = n.dim(0, static_cast<size_t>(d));
    if (dim.is(1)) axes.push_back(d);
  }
  if (!n.status.ok()) return;
  n.results = {axes.empty() ? n.emit("Identity", {n.in(0)})
                            : n.move("Squeeze", n.in(0), {n.add_ints(axes)})};
}

void convert_expand_dims(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const Ints axis = n.need_ints(1, "the axis");
  if (n.status.ok() && axis.size() != 1) return n.fail(invalid("expected one axis"));
  if (!n.status.ok()) return;
  const int64_t at = n.need_axis(axis[0], static_cast<size_t>(own_rank(n, 0)) + 1);
  n.results = {n.move("Unsqueeze", n.in(0), {n.add_ints({at})})};
}

void convert_transpose(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const Ints perm = n.need_ints(1, "the permutation");
  if (n.status.ok()) n.results = {n.transpose(n.in(0), perm)};
}

void convert_shape(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  n.results = {n.cast(n.emit("Shape", {n.in(0)}), n.output_dtype(0))};
}

void convert_rank(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const auto rank = static_cast<int32_t>(n.need_rank(0));
  n.results = {n.emit("Identity", {n.add_constant(Tensor::scalar(rank))})};
}

void convert_fill(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  n.results = {n.move("Expand", n.in(1), {n.shape_operand(0)})};
}

void convert_zeros_like(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  Result<Tensor> zero = Tensor::allocate(n.dtype(0), {});
  if (!zero.ok()) return n.fail(zero.status());
  n.results = {n.emit("Expand", {n.add_constant(*zero), n.emit("Shape", {n.in(0)})})};
}

void convert_range(OpNode& n) {
  if (n.expect_inputs(3, 3)) n.results = {n.emit("Range", {n.in(0), n.in(1), n.in(2)})};
}

void convert_tile(OpNode& n) {
  if (n.expect_inputs(2, 2)) n.results = {n.move("Tile", n.in(0), {n.shape_operand(1)})};
}

void convert_broadcast_to(OpNode& n) {
  if (n.expect_inputs(2, 2)) n.results = {n.move("Expand", n.in(0), {n.shape_operand(1)})};
}

// The shape two shapes broadcast to.
void convert_broadcast_args(OpNode& n) {
  if (n.expect_inputs(2, 2)) n.results = {n.cast(broadcast_shapes(n), n.output_dtype(0))};
}

// ---- Padding ----

// PAD, PADV2 with a value
void convert_pad(OpNode& n) {
  if (!n.expect_inputs(2, n.op == "PAD" ? 2 : 3)) return;
  if (n.has(2)) n.set_input(2, n.real(n.in(2)));
  pad(n, "constant");
}

void convert_mirror_pad(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const bool symmetric = n.options<fb::MirrorPadOptions>(77).mode() == 1;
  if (!symmetric) return pad(n, "reflect");
  mirror_pad(n, n.in(0), n.need_ints(1, "the padding"));
}

// ---- Slices ----

// begin and size; a size of -1 goes to the end
void convert_strided_slice(OpNode& n) {
  if (!n.expect_inputs(4, 4)) return;
  const auto& o = n.options<fb::StridedSliceOptions>(32);
  strided_slice(n, {o.begin_mask(), o.end_mask(), o.ellipsis_mask(), o.new_axis_mask(),
                    o.shrink_axis_mask(), o.offset()});
}

// Writes an update into a copy; places beyond the ends are drawn in.
void convert_dynamic_update_slice(OpNode& n) {
  if (!n.expect_inputs(3, 3)) return;
  const auto dims = n.known_dims_of(n.in(0)), part = n.known_dims_of(n.in(1));
  if (!dims || !part || dims->size() != part->size() || dims->empty()) {
    return n.fail(unsupported("open shapes are not supported"));
  }
  Ints room;
  int64_t elements = 1;
  for (size_t d = 0; d < dims->size(); ++d) {
    room.push_back((*dims)[d] - (*part)[d]);
    if (room.back() < 0) return n.fail(invalid("the update is larger than what it goes into"));
    if (__builtin_mul_overflow(elements, (*part)[d], &elements)) elements = INT64_MAX;
  }
  constexpr int64_t kMost = 1 << 20;
  if (elements > kMost) return n.fail(limit_exceeded("an update of more than 2^20 elements"));
  // The place of each element of the update, from its first.
  const auto rank = static_cast<int64_t>(dims->size());
  Result<Tensor> offsets = Tensor::allocate(DType::kI64, {elements, rank});
  if (!offsets.ok()) return n.fail(offsets.status());
  for (int64_t i = 0; i < elements; ++i) {
    int64_t rest = i;
    for (int64_t d = rank; d-- > 0;) {
      offsets->data<int64_t>()[i * rank + d] = rest % (*part)[static_cast<size_t>(d)];
      rest /= (*part)[static_cast<size_t>(d)];
    }
  }
  ValueId start = n.emit("Max", {n.shape_operand(2), n.add_ints({0})});
  start = n.emit("Min", {start, n.add_ints(room)});
  const ValueId at = n.emit("Add", {n.add_constant(*offsets), start});
  const ValueId updates = n.emit("Reshape", {n.in(1), n.add_ints({elements})});
  n.results = {n.emit("ScatterND", {n.in(0), at, updates})};
}

// ---- Joining and splitting ----

void convert_concat(OpNode& n) {
  const auto& o = n.options<fb::ConcatenationOptions>(10);
  if (n.inputs.empty()) return n.fail(invalid("expected inputs, found none"));
  const ValueId y = n.emit("Concat", n.inputs, {{"axis", int64_t{o.axis()}}});
  n.results = {n.activate(y, o.activation())};
}

void convert_pack(OpNode& n) {
  if (n.inputs.empty()) return n.fail(invalid("expected inputs, found none"));
  const size_t rank = n.need_rank(0);
  const int64_t axis = n.need_axis(n.options<fb::PackOptions>(59).axis(), rank + 1);
  std::vector<ValueId> parts;
  for (const ValueId v : n.inputs) {
    if (v == kNoValue) return n.fail(invalid("an input is missing"));
    parts.push_back(n.status.ok() ? n.unsqueeze(n.real(v), {axis}) : v);
  }
  n.results = {n.emit("Concat", parts, {{"axis", axis}})};
}

void convert_unpack(OpNode& n) {
  if (!n.expect_inputs(1, 1)) return;
  const size_t rank = n.need_rank(0);
  const int64_t axis = n.need_axis(n.options<fb::UnpackOptions>(64).axis(), rank);
  if (!n.status.ok()) return;
  const auto parts =
      n.emit_n("Split", {n.in(0)}, n.output_count(),
               {{"axis", axis}, {"num_outputs", static_cast<int64_t>(n.output_count())}});
  for (const ValueId p : parts) n.results.push_back(n.emit("Squeeze", {p, n.add_ints({axis})}));
}

// axis, x
void convert_split(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const Ints axis = n.need_ints(0, "the axis");
  if (n.status.ok() && axis.size() != 1) return n.fail(invalid("expected one axis"));
  if (!n.status.ok()) return;
  n.results =
      n.emit_n("Split", {n.in(1)}, n.output_count(),
               {{"axis", axis[0]}, {"num_outputs", static_cast<int64_t>(n.output_count())}});
}

// x, sizes (one may be -1), axis
void convert_split_v(OpNode& n) {
  if (n.expect_inputs(3, 3)) split_v(n, n.output_count());
}

// ---- Batches and blocks ----

void convert_space_to_batch(OpNode& n) {
  if (n.expect_inputs(3, 3)) space_to_batch(n);
}

void convert_batch_to_space(OpNode& n) {
  if (n.expect_inputs(3, 3)) batch_to_space(n);
}

}  // namespace mnn::tflite
