// Shapes, slices, and what puts tensors together or takes them apart.
#include <climits>
#include <numeric>

#include "libconvert/frontends/tflite/op_map.h"

namespace mnn::tflite {
namespace {

using Ints = std::vector<int64_t>;

ValueId at_least_1d(OpNode& n, ValueId v) { return n.emit("Reshape", {v, n.add_ints({-1})}); }

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

// The shape two shapes broadcast to: that of a sum of tensors of them.
void convert_broadcast_args(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const ValueId zero = n.add_constant(Tensor::scalar<int32_t>(0));
  const ValueId a = n.emit("Expand", {zero, n.shape_operand(0)});
  const ValueId b = n.emit("Expand", {zero, n.shape_operand(1)});
  n.results = {n.cast(n.emit("Shape", {n.emit("Add", {a, b})}), n.output_dtype(0))};
}

// ---- Padding ----

namespace {

// [rank, 2] as all that goes before the axes, then all that goes behind.
ValueId pads_of(OpNode& n, bool first_channels) {
  if (const auto pads = n.ints(1)) {
    const size_t rank = pads->size() / 2;
    if (pads->size() != 2 * n.need_rank(0)) {
      n.fail(invalid("expected two numbers an axis, found " + std::to_string(pads->size())));
      return kNoValue;
    }
    Ints order(rank), out;
    std::iota(order.begin(), order.end(), int64_t{0});
    if (first_channels) {
      order.insert(order.begin() + 1, order.back());
      order.pop_back();
    }
    for (const size_t end : {size_t{0}, size_t{1}}) {
      for (const int64_t axis : order) out.push_back((*pads)[2 * static_cast<size_t>(axis) + end]);
    }
    return n.add_ints(out);
  }
  const ValueId turned = n.emit("Transpose", {n.cast(n.in(1), DType::kI64)});
  return at_least_1d(n, turned);
}

// An image is padded as convolutions want it: what reads it then takes the padding over.
bool is_image(OpNode& n) { return n.need_rank(0) == 4 && n.status.ok() && n.ints(1).has_value(); }

}  // namespace

// PAD, PADV2 with a value
void convert_pad(OpNode& n) {
  if (!n.expect_inputs(2, n.op == "PAD" ? 2 : 3)) return;
  const bool image = is_image(n);
  std::vector<ValueId> rest = {pads_of(n, image)};
  if (n.has(2)) {
    const ValueId value = n.real(n.in(2));
    rest.push_back(n.emit("Reshape", {value, n.add_ints({})}));
  }
  const ValueId y = n.move("Pad", image ? n.channels_first(n.in(0)) : n.in(0), rest);
  n.results = {image ? n.channels_last(y) : y};
}

void convert_mirror_pad(OpNode& n) {
  if (!n.expect_inputs(2, 2)) return;
  const bool symmetric = n.options<fb::MirrorPadOptions>(77).mode() == 1;
  if (!symmetric) {
    const bool image = is_image(n);
    const ValueId y = n.move("Pad", image ? n.channels_first(n.in(0)) : n.in(0),
                             {pads_of(n, image)}, {{"mode", std::string("reflect")}});
    n.results = {image ? n.channels_last(y) : y};
    return;
  }
  // The border itself is mirrored too: turned slices at both ends, axis by axis.
  const Ints pads = n.need_ints(1, "the padding");
  const size_t rank = n.need_rank(0);
  if (n.status.ok() && pads.size() != 2 * rank) return n.fail(invalid("expected two an axis"));
  ValueId x = n.in(0);
  for (size_t d = 0; d < rank && n.status.ok(); ++d) {
    const int64_t low = pads[2 * d], high = pads[2 * d + 1];
    if (low < 0 || high < 0) return n.fail(invalid("negative padding"));
    const ValueId axis = n.add_ints({static_cast<int64_t>(d)}), back = n.add_ints({-1});
    std::vector<ValueId> parts;
    if (low > 0) {
      parts.push_back(
          n.move("Slice", x, {n.add_ints({low - 1}), n.add_ints({INT64_MIN}), axis, back}));
    }
    parts.push_back(x);
    if (high > 0) {
      parts.push_back(n.move("Slice", x, {n.add_ints({-1}), n.add_ints({-high - 1}), axis, back}));
    }
    if (parts.size() == 1) continue;
    const ValueId first = parts[0];
    parts.erase(parts.begin());
    x = n.move("Concat", first, parts, {{"axis", static_cast<int64_t>(d)}});
  }
  n.results = {x == n.in(0) ? n.emit("Identity", {x}) : x};
}

// ---- Slices ----

// begin and size; a size of -1 goes to the end
void convert_slice(OpNode& n) {
  if (!n.expect_inputs(3, 3)) return;
  const auto begin = n.ints(1), size = n.ints(2);
  if (begin && size) {
    Ints ends, axes, starts;
    if (begin->size() != size->size()) return n.fail(invalid("begin and size differ in length"));
    for (size_t i = 0; i < begin->size(); ++i) {
      const int64_t b = (*begin)[i], s = (*size)[i];
      if (b < 0 || s < -1) return n.fail(invalid("negative begin or size"));
      if (b == 0 && s == -1) continue;
      axes.push_back(static_cast<int64_t>(i));
      starts.push_back(b);
      ends.push_back(s == -1 ? INT64_MAX : b + s);
    }
    n.results = {axes.empty() ? n.emit("Identity", {n.in(0)})
                              : n.move("Slice", n.in(0),
                                       {n.add_ints(starts), n.add_ints(ends), n.add_ints(axes)})};
    return;
  }
  const ValueId from = n.shape_operand(1), length = n.shape_operand(2);
  const ValueId open = n.emit("Equal", {length, n.add_ints({-1})});
  const ValueId to =
      n.emit("Where", {open, n.add_ints({INT64_MAX}), n.emit("Add", {from, length})});
  n.results = {n.move("Slice", n.in(0), {from, to})};
}

namespace {

// What a strided slice takes of each axis of the input, or that it adds one.
struct SliceAxis {
  bool added = false, dropped = false, from_start = false, to_end = false;
  int entry = -1;  // of begin, end and strides; -1: all of it
};

std::optional<std::vector<SliceAxis>> slice_axes(OpNode& n, size_t entries, size_t rank) {
  const auto& o = n.options<fb::StridedSliceOptions>(32);
  const auto bit = [](int32_t mask, size_t i) { return i < 32 && ((mask >> i) & 1) != 0; };
  size_t taken = 0;
  bool ellipsis = false;
  for (size_t i = 0; i < entries; ++i) {
    if (bit(o.ellipsis_mask(), i)) {
      ellipsis = true;
    } else if (!bit(o.new_axis_mask(), i)) {
      ++taken;
    }
  }
  if (taken > rank) {
    n.fail(invalid("it slices " + std::to_string(taken) + " axes of " + std::to_string(rank)));
    return std::nullopt;
  }
  std::vector<SliceAxis> axes;
  for (size_t i = 0; i < entries; ++i) {
    if (bit(o.ellipsis_mask(), i)) {
      axes.resize(axes.size() + (rank - taken));
      continue;
    }
    SliceAxis a;
    a.added = bit(o.new_axis_mask(), i);
    a.dropped = !a.added && bit(o.shrink_axis_mask(), i);
    a.from_start = bit(o.begin_mask(), i);
    a.to_end = bit(o.end_mask(), i);
    a.entry = static_cast<int>(i);
    axes.push_back(a);
  }
  if (!ellipsis) axes.resize(axes.size() + (rank - taken));
  return axes;
}

}  // namespace

void convert_strided_slice(OpNode& n) {
  if (!n.expect_inputs(4, 4)) return;
  const Ints strides = n.need_ints(3, "the strides");
  const size_t rank = n.need_rank(0);
  if (!n.status.ok()) return;
  if (strides.size() > 32) return n.fail(invalid("more than 32 axes"));
  const auto axes = slice_axes(n, strides.size(), rank);
  if (!axes) return;
  const bool from_begin = n.options<fb::StridedSliceOptions>(32).offset();
  const auto begin = n.ints(1), end = n.ints(2);
  for (const auto& entries : {begin, end}) {
    if (entries && entries->size() != strides.size()) {
      return n.fail(invalid("begin, end and strides differ in length"));
    }
  }
  // Entry i of begin or end as a 1-D tensor of one, known or not.
  const auto entry = [&](size_t input, int i) {
    const auto& known = input == 1 ? begin : end;
    if (known) return n.add_ints({(*known)[static_cast<size_t>(i)]});
    return n.emit("Slice", {n.shape_operand(input), n.add_ints({i}), n.add_ints({i + 1})});
  };
  std::vector<ValueId> starts, ends;
  Ints sliced, steps, dropped, added;
  int64_t axis = 0, out = 0;
  for (const SliceAxis& a : *axes) {
    if (a.added) {
      added.push_back(out++);
      continue;
    }
    if (!a.dropped) ++out;
    const int64_t here = axis++;
    if (a.entry < 0) continue;
    const int64_t step = strides[static_cast<size_t>(a.entry)];
    if (step == 0) return n.fail(invalid("a stride is 0"));
    if (a.dropped) {
      // One element: the end counts from it; behind the last one is the end of the axis.
      const ValueId from = entry(1, a.entry);
      const ValueId last = n.emit("Equal", {from, n.add_ints({-1})});
      starts.push_back(from);
      ends.push_back(
          n.emit("Where", {last, n.add_ints({INT64_MAX}), n.emit("Add", {from, n.add_ints({1})})}));
      steps.push_back(1);
      sliced.push_back(here);
      dropped.push_back(here);
      continue;
    }
    if (a.from_start && a.to_end && step == 1) continue;
    const ValueId from = a.from_start ? n.add_ints({step > 0 ? 0 : INT64_MAX}) : entry(1, a.entry);
    ValueId to = a.to_end ? n.add_ints({step > 0 ? INT64_MAX : INT64_MIN}) : entry(2, a.entry);
    if (from_begin && !a.to_end) to = n.emit("Add", {from, to});
    starts.push_back(from);
    ends.push_back(to);
    steps.push_back(step);
    sliced.push_back(here);
  }
  ValueId x = n.in(0);
  const auto joined = [&](const std::vector<ValueId>& parts) {
    Ints all;
    for (const ValueId p : parts) {
      const Tensor* t = n.graph.constant(p);
      const auto values = t != nullptr ? t->to_ints() : Result<Ints>(invalid(""));
      if (!values.ok()) return n.emit("Concat", parts, {{"axis", int64_t{0}}});
      all.insert(all.end(), values->begin(), values->end());
    }
    return n.add_ints(all);
  };
  if (!sliced.empty()) {
    x = n.move("Slice", x, {joined(starts), joined(ends), n.add_ints(sliced), n.add_ints(steps)});
  }
  if (!dropped.empty()) x = n.move("Squeeze", x, {n.add_ints(dropped)});
  if (!added.empty()) x = n.move("Unsqueeze", x, {n.add_ints(added)});
  n.results = {x == n.in(0) ? n.emit("Identity", {x}) : x};
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
  if (!n.expect_inputs(3, 3)) return;
  Ints sizes = n.need_ints(1, "the sizes");
  const Ints axis = n.need_ints(2, "the axis");
  if (n.status.ok() && axis.size() != 1) return n.fail(invalid("expected one axis"));
  if (!n.status.ok()) return;
  const int64_t at = n.need_axis(axis[0], n.need_rank(0));
  const auto open = std::ranges::find(sizes, -1);
  if (open != sizes.end()) {
    const Dim whole = n.dim(0, static_cast<size_t>(at));
    if (!whole.known()) return n.fail(unsupported("a size of -1 along an open dim"));
    *open = 0;
    *open = whole.value() - std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  }
  n.results = n.emit_n("Split", {n.in(0), n.add_ints(sizes)}, n.output_count(), {{"axis", at}});
}

// ---- Batches and blocks ----

namespace {

std::optional<std::pair<Ints, Ints>> blocks_of(OpNode& n) {
  Ints block = n.need_ints(1, "the block"), edges = n.need_ints(2, "the edges");
  const size_t rank = n.need_rank(0);
  if (!n.status.ok()) return std::nullopt;
  bool fits = block.size() + 2 <= rank + 1 && edges.size() == 2 * block.size() && rank >= 2;
  for (const int64_t b : block) fits = fits && b >= 1;
  for (const int64_t e : edges) fits = fits && e >= 0;
  if (!fits) {
    n.fail(invalid("block and edges do not fit the input"));
    return std::nullopt;
  }
  return std::pair(block, edges);
}

}  // namespace

void convert_space_to_batch(OpNode& n) {
  if (!n.expect_inputs(3, 3)) return;
  const auto found = blocks_of(n);
  if (!found) return;
  const auto& [block, edges] = *found;
  const auto m = static_cast<int64_t>(block.size()), rank = static_cast<int64_t>(n.need_rank(0));
  Ints pads(static_cast<size_t>(2 * rank));
  for (int64_t i = 0; i < m; ++i) {
    pads[static_cast<size_t>(1 + i)] = edges[static_cast<size_t>(2 * i)];
    pads[static_cast<size_t>(rank + 1 + i)] = edges[static_cast<size_t>(2 * i + 1)];
  }
  const ValueId x = n.move("Pad", n.in(0), {n.add_ints(pads)});
  if (!n.status.ok()) return;
  // [b, s1 / k1, k1, …, rest] -> [k1, …, b, s1 / k1, …, rest]
  const Shape shape = *n.type_of(x).shape;
  if (!n.type_of(x).is_static()) return n.fail(unsupported("open dims are not supported"));
  const Ints dims = known_dims(shape);
  Ints split = {dims[0]}, perm, out = {dims[0]};
  for (int64_t i = 0; i < m; ++i) {
    const int64_t k = block[static_cast<size_t>(i)], d = dims[static_cast<size_t>(i + 1)];
    if (d % k != 0) return n.fail(invalid("a block does not divide its axis"));
    split.insert(split.end(), {d / k, k});
    perm.push_back(2 * i + 2);
    out[0] *= k;
    out.push_back(d / k);
  }
  perm.push_back(0);
  for (int64_t i = 0; i < m; ++i) perm.push_back(2 * i + 1);
  for (int64_t i = m + 1; i < rank; ++i) {
    split.push_back(dims[static_cast<size_t>(i)]);
    out.push_back(dims[static_cast<size_t>(i)]);
    perm.push_back(2 * m + (i - m));
  }
  const ValueId v = n.transpose(n.move("Reshape", x, {n.add_ints(split)}), perm);
  n.results = {n.move("Reshape", v, {n.add_ints(out)})};
}

void convert_batch_to_space(OpNode& n) {
  if (!n.expect_inputs(3, 3)) return;
  const auto found = blocks_of(n);
  if (!found) return;
  const auto& [block, edges] = *found;
  const auto m = static_cast<int64_t>(block.size()), rank = static_cast<int64_t>(n.need_rank(0));
  const auto known = n.known_dims_of(n.in(0));
  if (!known) return n.fail(unsupported("open dims are not supported"));
  const Ints dims = *known;
  int64_t all = 1;
  for (const int64_t b : block) all *= b;
  if (all <= 0 || dims[0] % all != 0) return n.fail(invalid("the block does not divide the batch"));
  // [k1, …, b, s1, …, rest] -> [b, s1, k1, …, rest]
  Ints split = block, perm = {m}, out = {dims[0] / all};
  split.push_back(dims[0] / all);
  split.insert(split.end(), dims.begin() + 1, dims.end());
  for (int64_t i = 0; i < m; ++i) {
    perm.insert(perm.end(), {m + 1 + i, i});
    out.push_back(dims[static_cast<size_t>(i + 1)] * block[static_cast<size_t>(i)]);
  }
  for (int64_t i = m + 1; i < rank; ++i) {
    perm.push_back(m + i);
    out.push_back(dims[static_cast<size_t>(i)]);
  }
  ValueId v = n.transpose(n.move("Reshape", n.in(0), {n.add_ints(split)}), perm);
  v = n.move("Reshape", v, {n.add_ints(out)});
  Ints starts, ends, axes;
  for (int64_t i = 0; i < m; ++i) {
    const int64_t low = edges[static_cast<size_t>(2 * i)],
                  high = edges[static_cast<size_t>(2 * i + 1)];
    starts.push_back(low);
    ends.push_back(out[static_cast<size_t>(i + 1)] - high);
    axes.push_back(i + 1);
  }
  n.results = {n.move("Slice", v, {n.add_ints(starts), n.add_ints(ends), n.add_ints(axes)})};
}

}  // namespace mnn::tflite
