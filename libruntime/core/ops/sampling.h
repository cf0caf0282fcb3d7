// Which elements a real position of an image reads, and with what weights: GridSample, Resize,
// DeformConv and RoiAlign, for their reference kernels and for backends.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "libruntime/core/op.h"

namespace mnn {

// ---- GridSample ----

// Reads one axis: what the mode, padding and size of the axis make of a grid coordinate.
struct AxisReader {
  enum class Mode { kNearest, kLinear, kCubic } mode;
  enum class Padding { kZeros, kBorder, kReflection } padding;
  bool align_corners;
  int64_t size;
  double low, high;  // the borders that reflection mirrors at

  // Up to four elements with their weights; index -1 reads 0.
  struct Taps {
    size_t count = 0;
    int64_t index[4];
    double weight[4];
  };

  int64_t element(double at) const;
  Taps taps(double position) const;
};

AxisReader axis_reader(const AttributeReader& c, int64_t size);

// From [-1, 1] to element positions, rounded as the grid's own type (float or double) would: single
// precision decides which element is nearest.
template <typename C>
double grid_sample_position(C n, const AxisReader& axis) {
  const C size = static_cast<C>(axis.size);
  if (axis.align_corners) return static_cast<double>((n + C{1}) / C{2} * (size - C{1}));
  return static_cast<double>(((n + C{1}) * size - C{1}) / C{2});
}

// ---- DeformConv, RoiAlign ----

// The four neighbours of a real position and their weights.
struct Corners {
  int64_t at[4] = {0, 0, 0, 0};
  double weight[4] = {0, 0, 0, 0};
};

// Positions up to one pixel outside are moved to the border, others weigh nothing.
Corners clamped_corners(double y, double x, int64_t height, int64_t width);
// Neighbours outside the image weigh nothing.
Corners open_corners(double y, double x, int64_t height, int64_t width);

// ---- Resize ----

// The inputs that make one output of an axis.
struct ResizeTaps {
  bool outside = false;  // tf_crop_and_resize: gets the extrapolation value
  std::vector<int64_t> index;
  std::vector<double> weight;
};

// Per axis of x its outputs' taps, none for an axis that stays as it is. `scales` or `sizes` is
// null, `roi` where the node has none.
Result<std::vector<std::vector<ResizeTaps>>> resize_taps(const AttributeReader& c,
                                                         const std::vector<int64_t>& dims,
                                                         const Tensor* roi, const Tensor* scales,
                                                         const Tensor* sizes);

}  // namespace mnn
