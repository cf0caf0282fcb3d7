// Joining, repeating, padding and rearranging tensors.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

// Tensors of shape [0] are left out, as PyTorch does.
void cat(Call& c) {
  std::vector<ValueId> parts = c.tensors("tensors");
  if (parts.empty()) return c.fail(invalid("nothing to join"));
  if (parts.size() > 1) {
    std::vector<ValueId> some;
    for (const ValueId p : parts) {
      const Type& type = c.type_of(p);
      const bool empty = type.shape && type.rank() == 1 && (*type.shape)[0].is(0);
      if (!empty) some.push_back(p);
    }
    if (!some.empty()) parts = some;
  }
  DType type = c.dtype_of(parts[0]);
  for (const ValueId p : parts) {
    const DType other = c.dtype_of(p);
    if (kind_of(other) > kind_of(type) ||
        (kind_of(other) == kind_of(type) && dtype_bits(other) > dtype_bits(type))) {
      type = other;
    }
  }
  for (ValueId& p : parts) p = c.cast(p, type);
  c.give(c.concat(parts, c.axis("dim", c.rank(parts[0]))));
}

void stack(Call& c) {
  std::vector<ValueId> parts = c.tensors("tensors");
  if (parts.empty()) return c.fail(invalid("nothing to join"));
  const int64_t axis = c.axis("dim", c.rank(parts[0]) + 1);
  for (ValueId& p : parts) p = c.expand_dims(p, {axis});
  c.give(c.concat(parts, axis));
}

// hstack, vstack, dstack: joined along a dim, after tensors of too low a rank got more dims.
void stack_as(Call& c) {
  std::vector<ValueId> parts = c.tensors("tensors");
  if (parts.empty()) return c.fail(invalid("nothing to join"));
  int64_t axis = 0;
  for (ValueId& p : parts) {
    const size_t rank = c.rank(p);
    if (c.op() == "aten::hstack") {
      if (rank == 0) p = c.expand_dims(p, {0});
      axis = rank < 2 ? 0 : 1;
    } else if (c.op() == "aten::vstack") {
      if (rank < 2)
        p = c.expand_dims(p, rank == 0 ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{0});
    } else {
      if (rank == 0) p = c.expand_dims(p, {0, 1, 2});
      if (rank == 1) p = c.expand_dims(p, {0, 2});
      if (rank == 2) p = c.expand_dims(p, {2});
      axis = 2;
    }
  }
  c.give(c.concat(parts, axis));
}

// Repeats in front make new dims.
void repeat(Call& c) {
  ValueId x = c.tensor("self");
  const std::vector<IntArg> repeats = c.int_args(c.has_param("repeats") ? "repeats" : "dims");
  const size_t rank = c.rank(x);
  std::vector<IntArg> all = repeats;
  if (c.op() == "aten::tile" && all.size() < rank)
    all.insert(all.begin(), rank - all.size(), IntArg{1});
  if (all.size() < rank) return c.fail(invalid("fewer repeats than dims"));
  std::vector<int64_t> fresh(all.size() - rank);
  std::iota(fresh.begin(), fresh.end(), 0);
  x = c.expand_dims(x, fresh);
  if (all.empty()) return c.give(x);
  c.give(c.emit("Tile", {x, c.list_of(all)}));
}

// Each element so often, one after the other.
void repeat_interleave(Call& c) {
  ValueId x = c.tensor("self");
  if (c.none("dim")) x = c.reshape(x, {-1});
  const size_t rank = c.rank(x);
  const int64_t axis = c.none("dim") ? 0 : c.axis("dim", rank);
  const IntArg times = c.int_arg("repeats");
  std::vector<IntArg> wide(rank + 1, IntArg{1});
  wide[static_cast<size_t>(axis) + 1] = times;
  std::vector<IntArg> shape = c.sizes(x);
  if (!c.status.ok()) return;
  const ValueId spread = c.emit("Tile", {c.expand_dims(x, {axis + 1}), c.list_of(wide)});
  IntArg& n = shape[static_cast<size_t>(axis)];
  n = n.known() && times.known() ? IntArg{n.value * times.value}
                                 : c.int_of(c.binary("Mul", c.value_of(n), c.value_of(times)));
  c.give(c.view(spread, shape));
}

void repeat_interleave_tensor(Call& c) {
  const TensorArg* t = c.arg("repeats").get<TensorArg>();
  const Tensor* constant = t == nullptr ? nullptr : c.graph.constant(t->id);
  ValueId x = c.tensor("self");
  if (c.none("dim")) x = c.reshape(x, {-1});
  const int64_t axis = c.none("dim") ? 0 : c.axis("dim", c.rank(x));
  if (constant == nullptr) {
    return c.refuse("repeats that are known at run time only are not supported");
  }
  Result<std::vector<int64_t>> counts = constant->to_ints();
  if (!counts.ok()) return c.fail(counts.status());
  const int64_t n = c.known_dim(x, static_cast<size_t>(axis));
  if (counts->size() == 1)
    counts->assign(static_cast<size_t>(std::max<int64_t>(n, 0)), (*counts)[0]);
  std::vector<int64_t> places;
  constexpr size_t kMost = size_t{1} << 26;
  for (size_t i = 0; i < counts->size(); ++i) {
    if ((*counts)[i] < 0) return c.fail(invalid("a negative repeat"));
    if (static_cast<uint64_t>((*counts)[i]) > kMost - places.size())
      return c.refuse("too many elements");
    places.insert(places.end(), static_cast<size_t>((*counts)[i]), static_cast<int64_t>(i));
  }
  c.give(c.gather(x, c.add_ints(places), axis));
}

void flip(Call& c) {
  ValueId x = c.tensor("self");
  std::vector<int64_t> axes = c.axes("dims", c.rank(x));
  if (axes.empty()) return c.give(x);
  constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
  const size_t n = axes.size();
  const auto all = [&](int64_t v) { return c.add_ints(std::vector<int64_t>(n, v)); };
  c.give(c.emit("Slice", {x, all(-1), all(kLowest), c.add_ints(axes), all(-1)}));
}

ValueId rolled(Call& c, ValueId x, int64_t axis, int64_t shift) {
  const Dim d = c.dim(x, static_cast<size_t>(axis));
  if (d.known() && d.value() > 0) shift = ((shift % d.value()) + d.value()) % d.value();
  if (shift == 0) return x;
  constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  return c.concat(
      {c.slice(x, axis, IntArg{-shift}, IntArg{kEnd}), c.slice(x, axis, IntArg{0}, IntArg{-shift})},
      axis);
}

void roll(Call& c) {
  const ValueId x = c.tensor("self");
  const std::vector<int64_t> shifts = c.ints("shifts"), dims = c.ints("dims");
  if (dims.empty() && shifts.size() == 1) {
    return c.give(c.view(rolled(c, c.reshape(x, {-1}), 0, shifts[0]), c.sizes(x)));
  }
  if (dims.size() != shifts.size()) return c.fail(invalid("shifts and dims do not match"));
  ValueId y = x;
  for (size_t i = 0; i < dims.size(); ++i) {
    y = rolled(c, y, c.normalized(dims[i], c.rank(x)), shifts[i]);
  }
  c.give(y);
}

// PyTorch lists (before, after) from the last dim on; ONNX all befores, then all afters.
ValueId padded(Call& c, ValueId x, std::vector<IntArg> pads, const std::string& mode,
               ValueId value) {
  const size_t rank = c.rank(x);
  if (pads.size() % 2 != 0 || pads.size() / 2 > rank) {
    c.fail(invalid("bad number of pads"));
    return x;
  }
  if (std::ranges::all_of(pads, [](const IntArg& p) { return p == IntArg{0}; })) return x;
  std::vector<IntArg> before, after;
  std::vector<int64_t> axes;
  for (size_t i = 0; i < pads.size() / 2; ++i) {
    const size_t from_last = pads.size() / 2 - 1 - i;
    before.push_back(pads[2 * from_last]);
    after.push_back(pads[2 * from_last + 1]);
    axes.push_back(static_cast<int64_t>(rank - 1 - from_last));
  }
  before.insert(before.end(), after.begin(), after.end());
  const bool constant = mode == "constant";
  return c.emit("Pad", {x, c.list_of(before), constant ? value : kNoValue, c.add_ints(axes)},
                {{"mode", mode}});
}

void constant_pad(Call& c) {
  const ValueId x = c.tensor("self");
  c.give(padded(c, x, c.int_args("pad"), "constant", c.as("value", c.dtype_of(x))));
}

void pad(Call& c) {
  const ValueId x = c.tensor("self");
  const std::string mode = c.text("mode");
  const double value = c.none("value") ? 0 : c.real("value");
  const char* ours = mode == "constant"    ? "constant"
                     : mode == "reflect"   ? "reflect"
                     : mode == "replicate" ? "edge"
                     : mode == "circular"  ? "wrap"
                                           : nullptr;
  if (ours == nullptr) return c.fail(invalid("pad mode '" + mode + "'"));
  const DType type = c.dtype_of(x);
  const ValueId fill =
      type == DType::kBool ? c.add_constant(Tensor::scalar(value != 0)) : c.number(value, type);
  c.give(padded(c, x, c.int_args("pad"), ours, fill));
}

void reflect_pad(Call& c) {
  c.give(padded(c, c.tensor("self"), c.int_args("padding"),
                c.form() == "Pad reflect" ? "reflect" : "edge", kNoValue));
}

// Channels of the last three dims [C, H, W] to blocks, or back.
void move_blocks(Call& c, std::string_view op, std::string_view factor) {
  const ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  const int64_t r = c.integer(factor);
  if (rank < 3 || r < 1) return c.fail(invalid("expected [*, C, H, W] and a positive factor"));
  const bool four = rank == 4;
  std::vector<IntArg> shape = c.sizes(x);
  if (!c.status.ok()) return;
  ValueId y = four ? x : c.view(x, {IntArg{-1}, shape[rank - 3], shape[rank - 2], shape[rank - 1]});
  y = c.emit(op, {y}, {{"blocksize", r}, {"mode", std::string("CRD")}});
  if (!four) {
    std::vector<IntArg> back(shape.begin(), shape.end() - 3);
    for (size_t i = 1; i < 4; ++i) back.push_back(c.size(y, i));
    y = c.view(y, back);
  }
  c.give(y);
}

void pixel_shuffle(Call& c) { move_blocks(c, "DepthToSpace", "upscale_factor"); }
void pixel_unshuffle(Call& c) { move_blocks(c, "SpaceToDepth", "downscale_factor"); }

void channel_shuffle(Call& c) {
  const ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  const int64_t groups = c.integer("groups");
  if (rank < 2 || groups < 1) return c.fail(invalid("expected [N, C, *] and groups"));
  const int64_t channels = c.known_dim(x, 1);
  if (channels % groups != 0) return c.fail(invalid("the channels are no multiple of groups"));
  const std::vector<IntArg> shape = c.sizes(x);
  if (!c.status.ok()) return;
  std::vector<IntArg> split = shape;
  split[1] = IntArg{groups};
  split.insert(split.begin() + 2, IntArg{channels / groups});
  c.give(c.view(c.swap_axes(c.view(x, split), 1, 2), shape));
}

void triangle(Call& c) {
  const ValueId x = c.tensor("self");
  const IntArg k = c.int_arg("diagonal");
  const bool upper = c.op() == "aten::triu";
  c.give(c.emit("Trilu", {x, c.value_of(k)}, {{"upper", int64_t{upper}}}));
}

void meshgrid(Call& c) {
  std::vector<ValueId> axes = c.tensors("tensors");
  const bool xy = c.has_param("indexing") && c.text("indexing") == "xy" && axes.size() > 1;
  std::vector<IntArg> shape;
  for (const ValueId a : axes) {
    shape.push_back(c.rank(a) == 0 ? IntArg{1} : c.size(a, 0));
  }
  if (!c.status.ok()) return;
  std::vector<size_t> place(axes.size());
  std::iota(place.begin(), place.end(), 0);
  if (xy) {
    std::swap(shape[0], shape[1]);
    std::swap(place[0], place[1]);
  }
  const ValueId whole = c.list_of(shape);
  std::vector<ValueId> results;
  for (size_t i = 0; i < axes.size(); ++i) {
    std::vector<int64_t> column(axes.size(), 1);
    column[place[i]] = -1;
    results.push_back(c.expand(c.reshape(axes[i], column), whole));
  }
  c.give_list(results);
}

void diff(Call& c) {
  ValueId x = c.tensor("self");
  const int64_t axis = c.axis("dim", c.rank(x)), n = c.integer("n");
  if (n < 0 || n > 64) return c.fail(invalid("bad order of differences"));
  std::vector<ValueId> parts;
  for (const std::string_view name : {"prepend", "self", "append"}) {
    if (!c.none(name)) parts.push_back(c.tensor(name));
  }
  x = c.concat(parts, axis);
  constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  for (int64_t i = 0; i < n; ++i) {
    x = c.binary("Sub", c.slice(x, axis, IntArg{1}, IntArg{kEnd}),
                 c.slice(x, axis, IntArg{0}, IntArg{-1}));
  }
  c.give(x);
}

// Columns of patches back to an image, overlapping ones added.
void col2im(Call& c) {
  ValueId x = c.tensor("self");
  const bool batched = c.rank(x) == 3;
  if (!batched) x = c.expand_dims(x, {0});
  const std::vector<int64_t> p = c.ints("padding");
  std::vector<int64_t> pads = p;
  pads.insert(pads.end(), p.begin(), p.end());
  const ValueId y =
      c.emit("Col2Im", {x, c.list_of(c.int_args("output_size")), c.add_ints(c.ints("kernel_size"))},
             {{"dilations", c.ints("dilation")}, {"pads", pads}, {"strides", c.ints("stride")}});
  c.give(batched ? y : c.squeeze(y, {0}));
}

// Patches as columns [N, C * kernel, places]: a gather from the padded image.
void im2col(Call& c) {
  ValueId x = c.tensor("self");
  const bool batched = c.rank(x) == 4;
  if (!batched) x = c.expand_dims(x, {0});
  const std::vector<int64_t> k = c.ints("kernel_size"), d = c.ints("dilation"),
                             p = c.ints("padding"), s = c.ints("stride");
  if (!c.status.ok()) return;
  if (c.rank(x) != 4 || k.size() != 2 || d.size() != 2 || p.size() != 2 || s.size() != 2) {
    return c.fail(invalid("expected an image and two numbers each"));
  }
  const int64_t h = c.known_dim(x, 2) + 2 * p[0], w = c.known_dim(x, 3) + 2 * p[1];
  const int64_t rows = s[0] < 1 ? 0 : (h - d[0] * (k[0] - 1) - 1) / s[0] + 1;
  const int64_t columns = s[1] < 1 ? 0 : (w - d[1] * (k[1] - 1) - 1) / s[1] + 1;
  const auto count = checked_elements({k[0], k[1], rows, columns});
  constexpr int64_t kMost = int64_t{1} << 26;
  if (!count || *count < 1 || *count > kMost)
    return c.fail(invalid("bad kernel, stride or padding"));
  x = padded(c, x, {IntArg{p[1]}, IntArg{p[1]}, IntArg{p[0]}, IntArg{p[0]}}, "constant",
             c.number(0, c.dtype_of(x)));
  std::vector<int64_t> places;
  places.reserve(static_cast<size_t>(*count));
  for (int64_t ky = 0; ky < k[0]; ++ky) {
    for (int64_t kx = 0; kx < k[1]; ++kx) {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t q = 0; q < columns; ++q) {
          places.push_back((r * s[0] + ky * d[0]) * w + q * s[1] + kx * d[1]);
        }
      }
    }
  }
  const IntArg batch = c.size(x, 0);
  const int64_t channels = c.known_dim(x, 1);
  const ValueId flat = c.view(x, {batch, IntArg{channels}, IntArg{h * w}});
  const ValueId y = c.view(c.gather(flat, c.add_ints(places), 2),
                           {batch, IntArg{channels * k[0] * k[1]}, IntArg{rows * columns}});
  c.give(batched ? y : c.squeeze(y, {0}));
}

void rot90(Call& c) {
  const ValueId x = c.tensor("self");
  const size_t rank = c.rank(x);
  std::vector<int64_t> dims = c.ints("dims");
  if (dims.size() != 2) return c.fail(invalid("expected two dims"));
  const int64_t a = c.normalized(dims[0], rank), b = c.normalized(dims[1], rank);
  const auto flipped = [&](ValueId v, int64_t axis) {
    constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
    return c.slice(v, axis, IntArg{-1}, IntArg{kLowest}, -1);
  };
  switch (((c.integer("k") % 4) + 4) % 4) {
    case 1: return c.give(c.swap_axes(flipped(x, b), a, b));
    case 2: return c.give(flipped(flipped(x, a), b));
    case 3: return c.give(flipped(c.swap_axes(x, a, b), b));
    default: return c.give(x);
  }
}

}  // namespace

std::vector<RowText> join_rows() {
  return {
      {"cat(Tensor[] tensors, int dim=0) -> Tensor", "Concat", cat},
      {"stack(Tensor[] tensors, int dim=0) -> Tensor", "Unsqueeze, Concat", stack},
      {"hstack(Tensor[] tensors) -> Tensor", "Concat", stack_as},
      {"vstack(Tensor[] tensors) -> Tensor", "Concat", stack_as},
      {"dstack(Tensor[] tensors) -> Tensor", "Concat", stack_as},
      {"repeat(Tensor self, int[] repeats) -> Tensor", "Tile", repeat},
      {"tile(Tensor self, int[] dims) -> Tensor", "Tile", repeat},
      {"repeat_interleave.self_int(Tensor self, int repeats, int? dim=None, *, int? "
       "output_size=None) -> Tensor",
       "Unsqueeze, Tile, Reshape", repeat_interleave},
      {"repeat_interleave.self_Tensor(Tensor self, Tensor repeats, int? dim=None, *, int? "
       "output_size=None) -> Tensor",
       "Gather", repeat_interleave_tensor},
      {"flip(Tensor self, int[] dims) -> Tensor", "Slice", flip},
      {"roll(Tensor self, int[1] shifts, int[1] dims=[]) -> Tensor", "Slice, Concat", roll},
      {"rot90(Tensor self, int k=1, int[] dims=[0,1]) -> Tensor", "Slice, Transpose", rot90},
      {"constant_pad_nd(Tensor self, int[] pad, Scalar value=0) -> Tensor", "Pad", constant_pad},
      {"pad(Tensor self, int[] pad, str mode=\"constant\", float? value=None) -> Tensor", "Pad",
       pad},
      {"reflection_pad1d(Tensor self, int[2] padding) -> Tensor", "Pad reflect", reflect_pad},
      {"reflection_pad2d(Tensor self, int[4] padding) -> Tensor", "Pad reflect", reflect_pad},
      {"reflection_pad3d(Tensor self, int[6] padding) -> Tensor", "Pad reflect", reflect_pad},
      {"replication_pad1d(Tensor self, int[2] padding) -> Tensor", "Pad edge", reflect_pad},
      {"replication_pad2d(Tensor self, int[4] padding) -> Tensor", "Pad edge", reflect_pad},
      {"replication_pad3d(Tensor self, int[6] padding) -> Tensor", "Pad edge", reflect_pad},
      {"pixel_shuffle(Tensor self, int upscale_factor) -> Tensor", "DepthToSpace", pixel_shuffle},
      {"pixel_unshuffle(Tensor self, int downscale_factor) -> Tensor", "SpaceToDepth",
       pixel_unshuffle},
      {"channel_shuffle(Tensor self, int groups) -> Tensor", "Reshape, Transpose", channel_shuffle},
      {"tril(Tensor self, int diagonal=0) -> Tensor", "Trilu", triangle},
      {"triu(Tensor self, int diagonal=0) -> Tensor", "Trilu", triangle},
      {"meshgrid(Tensor[] tensors) -> Tensor[]", "Reshape, Expand", meshgrid},
      {"meshgrid.indexing(Tensor[] tensors, *, str indexing) -> Tensor[]", "Reshape, Expand",
       meshgrid},
      {"diff(Tensor self, int n=1, int dim=-1, Tensor? prepend=None, Tensor? append=None) -> "
       "Tensor",
       "Slice, Sub", diff},
      {"col2im(Tensor self, int[2] output_size, int[2] kernel_size, int[2] dilation, int[2] "
       "padding, int[2] stride) -> Tensor",
       "Col2Im", col2im},
      {"im2col(Tensor self, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] stride) -> "
       "Tensor",
       "Pad, Gather, Reshape", im2col},
  };
}

}  // namespace mnn::torch
