#include "libruntime/core/ops/window.h"

#include <algorithm>

namespace mnn {
namespace {

// Larger windows only come from malformed files; below, no sum of the arithmetic here overflows.
constexpr int64_t kMaxExtent = int64_t{1} << 31;

Status check_extents(const std::vector<int64_t>& values, size_t rank, int64_t least,
                     std::string_view name) {
  if (values.size() != rank) {
    return invalid(std::string(name) + ": expected " + std::to_string(rank) + " numbers, found " +
                   std::to_string(values.size()));
  }
  for (const int64_t v : values) {
    if (v < least || v > kMaxExtent) {
      return invalid(std::string(name) + ": expected numbers of at least " + std::to_string(least) +
                     ", found " + std::to_string(v));
    }
  }
  return {};
}

Dim effective_kernel(const Window& w, size_t i) {
  return (w.kernel[i] - Dim(1)) * Dim(w.dilations[i]) + Dim(1);
}

int64_t same_padding(const Window& w, size_t i, int64_t in, int64_t out) {
  return std::max<int64_t>(0, (out - 1) * w.strides[i] + effective_kernel(w, i).value() - in);
}

}  // namespace

Result<Window> read_window(const AttributeReader& attributes, std::vector<Dim> kernel) {
  Window w;
  const size_t rank = kernel.size();
  w.kernel = std::move(kernel);
  for (const Dim& k : w.kernel) {
    if (k.known() && (k.value() < 1 || k.value() > kMaxExtent)) {
      return invalid("kernel: expected positive sizes, found " + shape_str(w.kernel));
    }
  }
  auto or_ones = [&](std::string_view name) {
    std::vector<int64_t> v = attributes.attr_ints(name);
    return v.empty() ? std::vector<int64_t>(rank, 1) : v;
  };
  w.strides = or_ones("strides");
  w.dilations = or_ones("dilations");
  MNN_RETURN_IF_ERROR(check_extents(w.strides, rank, 1, "strides"));
  MNN_RETURN_IF_ERROR(check_extents(w.dilations, rank, 1, "dilations"));
  std::vector<int64_t> pads = attributes.attr_ints("pads");
  if (pads.empty()) pads.assign(2 * rank, 0);
  MNN_RETURN_IF_ERROR(check_extents(pads, 2 * rank, 0, "pads"));
  const auto middle = pads.begin() + static_cast<int64_t>(rank);
  w.pads_begin.assign(pads.begin(), middle);
  w.pads_end.assign(middle, pads.end());
  const std::string mode = attributes.attr_string("auto_pad");
  if (mode == "VALID") {
    w.auto_pad = Window::AutoPad::kValid;
  } else if (mode == "SAME_UPPER") {
    w.auto_pad = Window::AutoPad::kSameUpper;
  } else if (mode == "SAME_LOWER") {
    w.auto_pad = Window::AutoPad::kSameLower;
  } else if (!mode.empty() && mode != "NOTSET") {
    return invalid("auto_pad: expected NOTSET, VALID, SAME_UPPER or SAME_LOWER, found " + mode);
  }
  if (w.auto_pad != Window::AutoPad::kNotSet) {
    w.pads_begin.assign(rank, 0);
    w.pads_end.assign(rank, 0);
  }
  w.ceil_mode = attributes.attr_int("ceil_mode") != 0;
  return w;
}

Result<std::vector<Dim>> read_kernel_shape(const AttributeReader& attributes) {
  const std::vector<int64_t> k = attributes.attr_ints("kernel_shape");
  if (k.empty())
    return invalid("kernel_shape: expected one size per spatial dimension, found none");
  return std::vector<Dim>(k.begin(), k.end());
}

Result<Dim> window_output(const Window& w, size_t i, const Dim& in) {
  const Dim stride(w.strides[i]);
  if (w.auto_pad == Window::AutoPad::kSameUpper || w.auto_pad == Window::AutoPad::kSameLower) {
    return ceil_div(in, stride);
  }
  const Dim padded = in + Dim(w.pads_begin[i]) + Dim(w.pads_end[i]);
  const Dim extent = effective_kernel(w, i);
  const Dim room = padded - extent;
  if (room.known() && room.value() < 0) {
    return invalid("spatial dimension " + std::to_string(i) + ": a window of " + extent.str() +
                   " does not fit into a padded input of " + padded.str());
  }
  if (!w.ceil_mode) return floor_div(room, stride) + Dim(1);
  // A last window that would start in the right padding is dropped.
  const Dim out = ceil_div(room, stride) + Dim(1);
  const Dim last_start = (out - Dim(1)) * stride;
  if (last_start.known() && in.known()) {
    return last_start.value() >= in.value() + w.pads_begin[i] ? out - Dim(1) : out;
  }
  if (extent.known() && w.pads_end[i] + w.strides[i] <= extent.value()) return out;
  return Dim::unknown();
}

int64_t window_pad_begin(const Window& w, size_t i, int64_t in, int64_t out) {
  if (w.auto_pad == Window::AutoPad::kSameUpper) return same_padding(w, i, in, out) / 2;
  if (w.auto_pad == Window::AutoPad::kSameLower) return (same_padding(w, i, in, out) + 1) / 2;
  return w.pads_begin[i];
}

int64_t window_pad_end(const Window& w, size_t i, int64_t in, int64_t out) {
  if (w.auto_pad == Window::AutoPad::kSameUpper) return (same_padding(w, i, in, out) + 1) / 2;
  if (w.auto_pad == Window::AutoPad::kSameLower) return same_padding(w, i, in, out) / 2;
  return w.pads_end[i];
}

Dims3 as_dims3(const std::vector<int64_t>& values, int64_t fill) {
  Dims3 d = {fill, fill, fill};
  std::copy(values.begin(), values.end(), d.end() - static_cast<int64_t>(values.size()));
  return d;
}

OutputRange valid_outputs(int64_t out, int64_t stride, int64_t offset, int64_t size) {
  const int64_t first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  const int64_t room = size - 1 - offset;
  const int64_t last = room < 0 ? 0 : std::min(out, room / stride + 1);
  return {std::min(first, last), last};
}

}  // namespace mnn
