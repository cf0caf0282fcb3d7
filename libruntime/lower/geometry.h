// The sizes of convolutions and poolings, decoded from their nodes.
#pragma once

#include <cstdint>
#include <vector>

#include "libruntime/core/status.h"

namespace mnn {

class NodeView;

// NHWC input [n, id, ih, iw, ic], output [n, od, oh, ow, oc]. 1-D convolution: h = 1; all but 3-D:
// d = 1. The output size is taken as given; taps that fall outside the input read zero. Strides of
// a pixel (in elements, 0: dense) let a kernel read or write a channel slice of a wider tensor; the
// residual is laid out like the output.
struct ConvGeometry {
  int64_t n = 1, ih = 1, iw = 1, ic = 1;
  int64_t oh = 1, ow = 1, oc = 1;
  int64_t groups = 1;
  int64_t kh = 1, kw = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;
  int64_t x_pixel_stride = 0, y_pixel_stride = 0;
  // Depth, of 3-D convolutions.
  int64_t id = 1, od = 1, kd = 1, stride_d = 1, dilation_d = 1, pad_front = 0;
  bool deep() const { return id > 1 || od > 1 || kd > 1; }
};

// Of a Conv or ConvTranspose with static shapes; pads, strides and dilations are the attributes,
// auto_pad and output_shape resolved. Both pixel strides are 0. An error says which attribute is
// wrong.
Result<ConvGeometry> conv_geometry(const NodeView& n);

// A window along one axis. `pad_end`: elements of padding that the last window may reach.
struct WindowAxis {
  int64_t in = 1, out = 1;
  int64_t kernel = 1, stride = 1, dilation = 1;
  int64_t pad_begin = 0, pad_end = 0;
};

// Input [n, c, d.in, h.in, w.in], output [n, c, d.out, h.out, w.out]; axes that the node has not,
// from d on, have the extent 1.
struct PoolGeometry {
  int64_t n = 1, c = 1;
  WindowAxis d, h, w;
  bool count_pads = false;  // AveragePool: pads count in the divisor
  bool deep() const { return d.in > 1 || d.out > 1 || d.kernel > 1; }
};

// Of a MaxPool or AveragePool with static shapes.
Result<PoolGeometry> pool_geometry(const NodeView& n);
// Of a node with the attributes of one, whose window slides over the dims `x` to make `y`.
Result<PoolGeometry> window_geometry(const NodeView& n, const std::vector<int64_t>& x,
                                     const std::vector<int64_t>& y);

}  // namespace mnn
