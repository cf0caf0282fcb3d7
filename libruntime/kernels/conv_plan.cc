#include "libruntime/kernels/conv_plan.h"

#include <string>

#include "libruntime/kernels/plan.h"

namespace mnn {

Result<ConvGeometry> check_geometry(const ConvGeometry& geometry, int64_t element_bytes) {
  ConvGeometry g = geometry;
  const int64_t positive[] = {g.n,        g.ih,       g.iw,         g.ic,        g.oh,
                              g.ow,       g.oc,       g.kh,         g.groups,    g.kw,
                              g.stride_h, g.stride_w, g.dilation_h, g.dilation_w};
  // With every factor below 2^31, pixel positions cannot overflow.
  constexpr int64_t kLargest = int64_t{1} << 31;
  for (const int64_t v : positive)
    if (v < 1 || v >= kLargest)
      return invalid("convolution sizes must be in [1, 2^31), found " + std::to_string(v));
  if (g.pad_top <= -kLargest || g.pad_top >= kLargest || g.pad_left <= -kLargest ||
      g.pad_left >= kLargest)
    return invalid("convolution pads must be below 2^31, found " + std::to_string(g.pad_top) +
                   " and " + std::to_string(g.pad_left));
  if (g.ic % g.groups != 0 || g.oc % g.groups != 0)
    return invalid("channels must be multiples of the groups, found " + std::to_string(g.ic) +
                   " inputs and " + std::to_string(g.oc) + " outputs in " +
                   std::to_string(g.groups) + " groups");
  if (g.x_pixel_stride == 0) g.x_pixel_stride = g.ic;
  if (g.y_pixel_stride == 0) g.y_pixel_stride = g.oc;
  if (g.x_pixel_stride < g.ic || g.y_pixel_stride < g.oc)
    return invalid("pixel strides must not be below the channels");
  constexpr int64_t kMaxBytes = int64_t{1} << 62;
  const auto fits = [](std::initializer_list<int64_t> factors) {
    int64_t product = 1;
    for (const int64_t f : factors)
      if (!checked_mul(&product, f)) return false;
    return product <= kMaxBytes;
  };
  if (!fits({g.n, g.ih, g.iw, g.x_pixel_stride, element_bytes}) ||
      !fits({g.n, g.oh, g.ow, g.y_pixel_stride, 4}) ||
      !fits({g.oc + 64 * g.groups, g.ic / g.groups + 4, g.kh, g.kw, 64}) ||
      !fits({g.iw, g.oc, g.kh, 64}) || !fits({g.kh, g.dilation_h}) || !fits({g.kw, g.dilation_w}))
    return limit_exceeded("convolution too large");
  return g;
}

}  // namespace mnn
