// The plain convolution that Conv and its integer relatives share.
#pragma once

#include <vector>

#include "libruntime/core/ops/window.h"

namespace mnn {

// The geometry of one convolution over spatial dims widened to three.
struct Plane {
  Dims3 in, out, kernel, stride, dilation, pad;
};

Plane make_plane(const Window& w, const std::vector<int64_t>& x, const std::vector<int64_t>& y);
inline int64_t volume(const Dims3& d) { return d[0] * d[1] * d[2]; }

// The type of output 0 from the shapes of input `x` [N, C, spatial…] and `weight` [M, C/group, …];
// checks group, channels and kernel_shape. nullopt when a rank is unknown.
Result<std::optional<Shape>> conv_shape(const OpContext& c, size_t x, size_t weight);

// Padding of a ConvTranspose before dimension i of an input of size `in`.
Result<int64_t> transposed_pad_begin(const AttributeReader& c, const Window& w, size_t i,
                                     int64_t in);

// One image, one output channel, the channels of its group: calls store(value) for every output in
// row-major order. Sums gather in Sum; load_x and load_w give an element as Sum.
template <typename Sum, typename X, typename W, typename LoadX, typename LoadW, typename Store>
void convolve(const Plane& p, int64_t channels, const X* x, const W* weight, Sum start,
              LoadX load_x, LoadW load_w, Store store, std::vector<Sum>& row) {
  for (int64_t od = 0; od < p.out[0]; ++od) {
    for (int64_t oh = 0; oh < p.out[1]; ++oh) {
      row.assign(static_cast<size_t>(p.out[2]), start);
      const W* w = weight;
      for (int64_t ch = 0; ch < channels; ++ch) {
        for (int64_t kd = 0; kd < p.kernel[0]; ++kd) {
          const int64_t id = od * p.stride[0] - p.pad[0] + kd * p.dilation[0];
          for (int64_t kh = 0; kh < p.kernel[1]; ++kh, w += p.kernel[2]) {
            const int64_t ih = oh * p.stride[1] - p.pad[1] + kh * p.dilation[1];
            if (id < 0 || id >= p.in[0] || ih < 0 || ih >= p.in[1]) continue;
            const X* const line = x + ((ch * p.in[0] + id) * p.in[1] + ih) * p.in[2];
            for (int64_t kw = 0; kw < p.kernel[2]; ++kw) {
              const int64_t offset = kw * p.dilation[2] - p.pad[2];
              const OutputRange r = valid_outputs(p.out[2], p.stride[2], offset, p.in[2]);
              const Sum factor = load_w(w[kw]);
              Sum* const sum = row.data();
              for (int64_t o = r.first; o < r.last; ++o) {
                sum[o] += factor * load_x(line[o * p.stride[2] + offset]);
              }
            }
          }
        }
      }
      for (const Sum v : row) store(v);
    }
  }
}

}  // namespace mnn
