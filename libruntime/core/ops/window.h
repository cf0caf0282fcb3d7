// Sliding windows over spatial dimensions: what convolutions and poolings share. Tensors are
// [N, C, spatial…].
#pragma once

#include <array>
#include <string>
#include <vector>

#include "libruntime/core/op.h"

namespace mnn {

// The attributes of one window, one entry per spatial dimension, defaults filled in.
struct Window {
  enum class AutoPad { kNotSet, kValid, kSameUpper, kSameLower };
  std::vector<Dim> kernel;
  std::vector<int64_t> strides, dilations, pads_begin, pads_end;
  AutoPad auto_pad = AutoPad::kNotSet;
  bool ceil_mode = false;

  size_t rank() const { return kernel.size(); }
};

// Reads auto_pad, strides, dilations, pads and ceil_mode for `kernel` (its spatial dims) and checks
// them: as many entries as dims, strides and dilations positive, pads not negative.
Result<Window> read_window(const AttributeReader& attributes, std::vector<Dim> kernel);
// kernel_shape as dims; an error unless it is set and positive.
Result<std::vector<Dim>> read_kernel_shape(const AttributeReader& attributes);
// Output size along spatial dimension i of an input of size `in`.
Result<Dim> window_output(const Window& w, size_t i, const Dim& in);
// Padding before dimension i of known size `in` (auto_pad resolved), given the output size.
int64_t window_pad_begin(const Window& w, size_t i, int64_t in, int64_t out);
int64_t window_pad_end(const Window& w, size_t i, int64_t in, int64_t out);

// Up to three spatial dimensions as exactly three, leading ones of size 1: for plain loops.
using Dims3 = std::array<int64_t, 3>;
Dims3 as_dims3(const std::vector<int64_t>& values, int64_t fill);
inline constexpr size_t kMaxSpatial = 3;

// The range [first, last) of output positions o with 0 <= o * stride + offset < size.
struct OutputRange {
  int64_t first, last;
};
OutputRange valid_outputs(int64_t out, int64_t stride, int64_t offset, int64_t size);

}  // namespace mnn
