// Slice and Pad: a tensor made smaller or larger along some axes.
#include <algorithm>
#include <limits>

#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

// ---- Slice ----

constexpr int64_t kFar = std::numeric_limits<int32_t>::max();  // at least: "to the end"

// One sliced axis with everything known.
struct AxisSlice {
  int64_t start = 0, step = 1, count = 0;
};

Result<AxisSlice> slice_range(int64_t dim, int64_t start, int64_t end, int64_t step) {
  if (step == 0) return invalid("steps has a 0");
  auto from_end = [&](int64_t v) { return v < 0 ? v + dim : v; };
  AxisSlice r;
  r.step = step;
  if (dim == 0) return r;
  if (step > 0) {
    r.start = std::clamp<int64_t>(from_end(start), 0, dim);
    const int64_t stop = std::clamp<int64_t>(from_end(end), 0, dim);
    if (stop > r.start) r.count = (stop - r.start - 1) / step + 1;
    return r;
  }
  r.start = std::clamp<int64_t>(from_end(start), 0, dim - 1);
  const int64_t stop = std::clamp<int64_t>(from_end(end), -1, dim - 1);
  if (step == std::numeric_limits<int64_t>::min()) ++r.step;  // its negation must exist
  if (stop < r.start) r.count = (r.start - stop - 1) / -r.step + 1;
  return r;
}

// The length of a sliced axis when some of it is symbolic: slice_range() in expressions.
Dim symbolic_slice(const Dim& dim, const Dim& start, const Dim& end, int64_t step) {
  // Where an entry points before it is clamped; far ones are outside whatever the dimension.
  auto position = [&](const Dim& v, const Dim& past_end) {
    if (v.known() && v.value() >= kFar) return past_end;
    if (v.known() && v.value() <= -kFar) return Dim(-1);
    if (at_least(v, 0)) return v;
    return at_least(-v, 1) ? v + dim : Dim::unknown();
  };
  const Dim first = position(start, dim), stop = position(end, dim);
  auto clamp = [](const Dim& v, const Dim& low, const Dim& high) {
    return larger_of(smaller_of(v, high), low);
  };
  if (step > 0) {
    const Dim length = clamp(stop, 0, dim) - clamp(first, 0, dim);
    return ceil_div(larger_of(length, 0), Dim(step));
  }
  const Dim last = dim - Dim(1);
  const Dim length = smaller_of(larger_of(first, 0), last) - clamp(stop, -1, last);
  return ceil_div(larger_of(length, 0), Dim(-std::max(step, -kFar)));
}

Status infer_slice(OpContext& c) {
  for (size_t i = 1; i < c.in.size(); ++i) {
    constexpr std::string_view kNames[] = {"", "starts", "ends", "axes", "steps"};
    if (i < 3 || c.node.inputs[i] != kNoValue) {
      MNN_RETURN_IF_ERROR(expect_integers(c, i, kNames[i]));
    }
  }
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  if (!c.rank_known(0)) return {};
  const Shape& shape = *c.in[0].shape;
  const size_t rank = shape.size();
  std::optional<std::vector<int64_t>> axes;
  if (c.has_input(3)) {
    axes = c.ints(3);
  } else if (const auto n = known_length(c, 1)) {
    if (*n > static_cast<int64_t>(rank)) {
      return invalid("starts has " + std::to_string(*n) + " entries for rank " +
                     std::to_string(rank));
    }
    axes.emplace();
    for (int64_t i = 0; i < *n; ++i) axes->push_back(i);
  }
  if (!axes) {
    c.out[0].type.shape = unknown_shape(rank);
    return {};
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<size_t> list, normalize_axes(*axes, rank));
  auto starts = values_or_unknown(c, 1), ends = values_or_unknown(c, 2);
  std::optional<ShapeValues> steps = ShapeValues(list.size(), Dim(1));
  if (c.has_input(4)) steps = values_or_unknown(c, 4);
  for (const auto* v : {&starts, &ends, &steps}) {
    if (*v && (*v)->size() != list.size()) {
      return invalid("starts, ends, axes and steps must have one length: expected " +
                     std::to_string(list.size()) + ", found " + std::to_string((*v)->size()));
    }
  }
  Shape out = shape;
  bool exact = true;
  std::vector<AxisSlice> ranges(rank);
  for (size_t d = 0; d < rank; ++d) ranges[d].count = shape[d].known() ? shape[d].value() : 0;
  for (size_t i = 0; i < list.size(); ++i) {
    const Dim start = starts ? (*starts)[i] : Dim::unknown();
    const Dim end = ends ? (*ends)[i] : Dim::unknown();
    const Dim step = steps ? (*steps)[i] : Dim::unknown();
    const Dim& dim = shape[list[i]];
    if (dim.known() && start.known() && end.known() && step.known()) {
      MNN_ASSIGN_OR_RETURN(const AxisSlice r,
                           slice_range(dim.value(), start.value(), end.value(), step.value()));
      ranges[list[i]] = r;
      out[list[i]] = r.count;
      continue;
    }
    exact = false;
    if (step.is(0)) return invalid("steps has a 0");
    out[list[i]] = step.known() ? symbolic_slice(dim, start, end, step.value()) : Dim::unknown();
  }
  if (const auto v = shaped_values(c, 0); v && exact) {
    const auto strides = row_major_strides(known_dims(shape));
    std::vector<int64_t> moved(rank);
    int64_t first = 0;
    for (size_t d = 0; d < rank; ++d) {
      moved[d] = strides[d] * (ranges[d].count > 1 ? ranges[d].step : 1);
      first += strides[d] * ranges[d].start;
    }
    ShapeValues values;
    walk(known_dims(out), moved, first,
         [&](int64_t, int64_t offset) { values.push_back((*v)[static_cast<size_t>(offset)]); });
    c.out[0].values = std::move(values);
  }
  c.out[0].type.shape = std::move(out);
  return {};
}

Status reference_slice(KernelContext& c) {
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(const auto starts, read_ints(c, 1, "starts"));
  MNN_ASSIGN_OR_RETURN(const auto ends, read_ints(c, 2, "ends"));
  std::vector<int64_t> axes(starts.size()), steps(starts.size(), 1);
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
  if (c.has_input(3)) {
    MNN_ASSIGN_OR_RETURN(axes, read_ints(c, 3, "axes"));
  }
  if (c.has_input(4)) {
    MNN_ASSIGN_OR_RETURN(steps, read_ints(c, 4, "steps"));
  }
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size()) {
    return invalid("starts, ends, axes and steps must have one length");
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<size_t> list, normalize_axes(axes, x.rank()));
  auto moved = row_major_strides(x.dims());
  std::vector<int64_t> dims = x.dims();
  int64_t first = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    const size_t d = list[i];
    MNN_ASSIGN_OR_RETURN(const AxisSlice r, slice_range(x.dims()[d], starts[i], ends[i], steps[i]));
    dims[d] = r.count;
    first += moved[d] * r.start;
    moved[d] *= r.count > 1 ? r.step : 1;
  }
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0, x.dtype(), dims));
  return dispatch_move(x.dtype(), [&]<typename T>() {
    const T* from = elements<T>(x);
    T* to = elements<T>(*y);
    walk(dims, moved, first, [&](int64_t i, int64_t offset) { to[i] = from[offset]; });
  });
}

// ---- Pad ----

Status infer_pad(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "pads"));
  const std::string mode = c.attr_string("mode");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap") {
    return invalid("mode: expected constant, reflect, edge or wrap, found " + mode);
  }
  if (c.has_input(2) && c.in[2].dtype != c.in[0].dtype) {
    return invalid("constant_value: expected " + std::string(dtype_name(c.in[0].dtype)) +
                   ", found " + c.in[2].str());
  }
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  if (!c.rank_known(0)) return {};
  const Shape& shape = *c.in[0].shape;
  const size_t rank = shape.size();
  const auto pads = c.values(1);
  std::vector<size_t> axes(rank);
  for (size_t i = 0; i < rank; ++i) axes[i] = i;
  if (c.has_input(3)) {
    MNN_RETURN_IF_ERROR(expect_integers(c, 3, "axes"));
    const auto given = c.ints(3);
    if (!given) {
      c.out[0].type.shape = unknown_shape(rank);
      return {};
    }
    MNN_ASSIGN_OR_RETURN(axes, normalize_axes(*given, rank));
  }
  Shape out = shape;
  if (pads && pads->size() != 2 * axes.size()) {
    return invalid("pads has " + std::to_string(pads->size()) + " entries, expected " +
                   std::to_string(2 * axes.size()));
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim& d = out[axes[i]];
    d = pads ? d + (*pads)[i] + (*pads)[i + axes.size()] : Dim::unknown();
    if (d.known() && d.value() < 0) {
      return invalid("pads make dimension " + std::to_string(axes[i]) + " negative: " + d.str());
    }
  }
  c.out[0].type.shape = std::move(out);
  return {};
}

constexpr int64_t kMaxPad = int64_t{1} << 60;

// Where index `i` (counted from the first kept element) of an axis with `n` kept elements reads
// from; -1: nowhere.
int64_t pad_source(int64_t i, int64_t n, const std::string& mode) {
  if (i >= 0 && i < n) return i;
  if (mode == "edge") return i < 0 ? 0 : n - 1;
  if (mode == "wrap") return ((i % n) + n) % n;
  if (mode == "reflect") {
    if (n == 1) return 0;
    const int64_t period = 2 * (n - 1);
    const int64_t r = ((i % period) + period) % period;
    return r < n ? r : period - r;
  }
  return -1;
}

Status reference_pad(KernelContext& c) {
  const Tensor& x = *c.in[0];
  MNN_ASSIGN_OR_RETURN(const auto pads, read_ints(c, 1, "pads"));
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  if (y->elements() == 0) return {};
  const std::string mode = c.attr_string("mode");
  std::vector<size_t> axes(x.rank());
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = i;
  if (c.has_input(3)) {
    MNN_ASSIGN_OR_RETURN(const auto given, read_ints(c, 3, "axes"));
    MNN_ASSIGN_OR_RETURN(axes, normalize_axes(given, x.rank()));
  }
  for (const int64_t p : pads) {
    if (p < -kMaxPad || p > kMaxPad) return limit_exceeded("pads has " + std::to_string(p));
  }
  // Per axis and output index the offset of the source, -1 for padding.
  const auto strides = row_major_strides(x.dims());
  std::vector<int64_t> before(x.rank(), 0), after(x.rank(), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    before[axes[i]] = pads[i];
    after[axes[i]] = pads[i + axes.size()];
  }
  std::vector<std::vector<int64_t>> source(x.rank());
  for (size_t d = 0; d < x.rank(); ++d) {
    const int64_t crop = std::max<int64_t>(-before[d], 0);
    const int64_t kept = x.dims()[d] - crop - std::max<int64_t>(-after[d], 0);
    for (int64_t i = 0; i < y->dims()[d]; ++i) {
      const int64_t at = i - std::max<int64_t>(before[d], 0);
      if (kept <= 0 && mode != "constant") {
        return invalid("axis " + std::to_string(d) + " has no element to pad with in mode " + mode);
      }
      const int64_t from = kept <= 0 ? -1 : pad_source(at, kept, mode);
      source[d].push_back(from < 0 ? -1 : (from + crop) * strides[d]);
    }
  }
  if (c.has_input(2) && c.in[2]->elements() != 1) {
    return invalid("constant_value: expected one element, found " + c.in[2]->type_str());
  }
  return dispatch_move(x.dtype(), [&]<typename T>() {
    const T fill = c.has_input(2) ? elements<T>(*c.in[2])[0] : T{};
    copy_by_offsets(elements<T>(x), source, fill, y->dims(), elements<T>(*y));
  });
}

}  // namespace

std::vector<OpDef> define_slice_pad() {
  return {
      with_gradient(slice_gradient, {"Slice",
                                     3,
                                     5,
                                     kMoves | shape_inputs(1, 2, 3, 4),
                                     {},
                                     infer_slice,
                                     with_whole_bytes<reference_slice>}),
      with_gradient(pad_gradient, {"Pad",
                                   2,
                                   4,
                                   shape_inputs(1, 3),
                                   {{"mode", std::string("constant")}},
                                   infer_pad,
                                   with_whole_bytes<reference_pad>}),
  };
}

}  // namespace mnn
