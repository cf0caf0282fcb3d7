// Slices, padding, blocks: what takes tensors apart by places known from their axes.
#include <algorithm>
#include <climits>
#include <numeric>

#include "libconvert/frontends/common/rows.h"

namespace mnn::frontend {

ValueId slice(TensorNode& n) {
  const auto begin = n.known_ints(1), size = n.known_ints(2);
  if (begin && size) {
    Ints ends, axes, starts;
    if (begin->size() != size->size()) {
      n.fail(invalid("begin and size differ in length"));
      return kNoValue;
    }
    for (size_t i = 0; i < begin->size(); ++i) {
      const int64_t b = (*begin)[i], s = (*size)[i];
      int64_t end = INT64_MAX;
      if (b < 0 || s < -1 || (s >= 0 && __builtin_add_overflow(b, s, &end))) {
        n.fail(invalid("negative begin or size"));
        return kNoValue;
      }
      if (b == 0 && s == -1) continue;
      axes.push_back(static_cast<int64_t>(i));
      starts.push_back(b);
      ends.push_back(end);
    }
    if (axes.empty()) return n.emit("Identity", {n.in(0)});
    return n.move("Slice", n.in(0), {n.add_ints(starts), n.add_ints(ends), n.add_ints(axes)});
  }
  const ValueId from = n.shape_operand(1), length = n.shape_operand(2);
  const ValueId open = n.emit("Equal", {length, n.add_ints({-1})});
  const ValueId to =
      n.emit("Where", {open, n.add_ints({INT64_MAX}), n.emit("Add", {from, length})});
  return n.move("Slice", n.in(0), {from, to});
}

namespace {

// What a strided slice takes of each axis of the input, or that it adds one.
struct SliceAxis {
  bool added = false, dropped = false, from_start = false, to_end = false;
  int entry = -1;  // of begin, end and strides; -1: all of it
};

std::optional<std::vector<SliceAxis>> slice_axes(TensorNode& n, const SliceMasks& o, size_t entries,
                                                 size_t rank) {
  const auto bit = [](int64_t mask, size_t i) { return i < 32 && ((mask >> i) & 1) != 0; };
  size_t taken = 0;
  bool ellipsis = false;
  for (size_t i = 0; i < entries; ++i) {
    if (bit(o.ellipsis, i)) {
      ellipsis = true;
    } else if (!bit(o.new_axis, i)) {
      ++taken;
    }
  }
  if (taken > rank) {
    n.fail(invalid("it slices " + std::to_string(taken) + " axes of " + std::to_string(rank)));
    return std::nullopt;
  }
  std::vector<SliceAxis> axes;
  for (size_t i = 0; i < entries; ++i) {
    if (bit(o.ellipsis, i)) {
      axes.resize(axes.size() + (rank - taken));
      continue;
    }
    SliceAxis a;
    a.added = bit(o.new_axis, i);
    a.dropped = !a.added && bit(o.shrink_axis, i);
    a.from_start = bit(o.begin, i);
    a.to_end = bit(o.end, i);
    a.entry = static_cast<int>(i);
    axes.push_back(a);
  }
  if (!ellipsis) axes.resize(axes.size() + (rank - taken));
  return axes;
}

}  // namespace

void strided_slice(TensorNode& n, const SliceMasks& masks, size_t hidden) {
  const Ints strides = n.need_ints(3, "the strides");
  const size_t rank = n.need_rank(0);
  if (!n.status.ok()) return;
  if (strides.size() > 32) return n.fail(invalid("more than 32 axes"));
  if (rank < hidden) return n.fail(invalid("expected more axes"));
  const auto axes = slice_axes(n, masks, strides.size(), rank - hidden);
  if (!axes) return;
  const auto begin = n.known_ints(1), end = n.known_ints(2);
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
    if (masks.end_from_begin && !a.to_end) to = n.emit("Add", {from, to});
    starts.push_back(from);
    ends.push_back(to);
    steps.push_back(step);
    sliced.push_back(here);
  }
  ValueId x = n.in(0);
  if (!sliced.empty()) {
    x = n.move("Slice", x,
               {n.joined(starts), n.joined(ends), n.add_ints(sliced), n.add_ints(steps)});
  }
  if (!dropped.empty()) x = n.move("Squeeze", x, {n.add_ints(dropped)});
  if (!added.empty()) x = n.move("Unsqueeze", x, {n.add_ints(added)});
  n.results = {x == n.in(0) ? n.emit("Identity", {x}) : x};
}

void reverse(TensorNode& n, const Ints& axes) {
  if (!n.status.ok()) return;
  const Ints back(axes.size(), -1);
  n.results = {n.move("Slice", n.in(0),
                      {n.add_ints(back), n.add_ints(Ints(axes.size(), INT64_MIN)), n.add_ints(axes),
                       n.add_ints(back)})};
}

void reverse_sequence(TensorNode& n, int64_t time_axis, int64_t batch_axis) {
  const size_t rank = n.need_rank(0);
  const int64_t time = n.need_axis(time_axis, rank), batch = n.need_axis(batch_axis, rank);
  if (!n.status.ok()) return;
  // The operator wants the two axes in front.
  Ints perm = {time, batch};
  for (size_t d = 0; d < rank; ++d) {
    const auto axis = static_cast<int64_t>(d);
    if (axis != time && axis != batch) perm.push_back(axis);
  }
  Ints back(rank);
  for (size_t d = 0; d < perm.size(); ++d)
    back[static_cast<size_t>(perm[d])] = static_cast<int64_t>(d);
  const ValueId x = n.transpose(n.in(0), perm);
  const ValueId y = n.move("ReverseSequence", x, {n.cast(n.in(1), DType::kI64)},
                           {{"time_axis", int64_t{0}}, {"batch_axis", int64_t{1}}});
  n.results = {n.transpose(y, back)};
}

namespace {

// [rank, 2] as all that goes before the axes, then all that goes behind.
ValueId pads_of(TensorNode& n, bool first_channels) {
  if (const auto pads = n.known_ints(1)) {
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
  return n.emit("Reshape", {turned, n.add_ints({-1})});
}

// An image is padded as convolutions want it: what reads it then takes the padding over.
bool is_image(TensorNode& n) {
  return n.need_rank(0) == 4 && n.status.ok() && n.known_ints(1).has_value();
}

}  // namespace

void pad(TensorNode& n, const char* mode) {
  const bool image = is_image(n);
  std::vector<ValueId> rest = {pads_of(n, image)};
  if (n.has(2)) rest.push_back(n.scalar_operand(2));
  TensorNode::Attributes attrs;
  if (std::string_view(mode) != "constant") attrs["mode"] = std::string(mode);
  const ValueId y = n.move("Pad", image ? n.channels_first(n.in(0)) : n.in(0), rest, attrs);
  n.results = {image ? n.channels_last(y) : y};
}

void mirror_pad(TensorNode& n, ValueId x, const Ints& pads) {
  const std::optional<size_t> rank =
      n.type_of(x).shape ? std::optional(n.type_of(x).rank()) : std::nullopt;
  if (!n.status.ok()) return;
  if (!rank || pads.size() != 2 * *rank) return n.fail(invalid("expected two an axis"));
  for (size_t d = 0; d < *rank && n.status.ok(); ++d) {
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

void split_v(TensorNode& n, size_t outputs) {
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
  n.results = n.emit_n("Split", {n.in(0), n.add_ints(sizes)}, outputs, {{"axis", at}});
}

ValueId broadcast_shapes(TensorNode& n) {
  // That of a sum of tensors of them.
  const ValueId zero = n.add_constant(Tensor::scalar<int32_t>(0));
  const ValueId a = n.emit("Expand", {zero, n.shape_operand(0)});
  const ValueId b = n.emit("Expand", {zero, n.shape_operand(1)});
  return n.emit("Shape", {n.emit("Add", {a, b})});
}

}  // namespace mnn::frontend
