#include "libruntime/kernels/conv_plan.h"

#include <algorithm>
#include <string>

#include "libruntime/kernels/plan.h"

namespace mnn {

Result<ConvGeometry> check_geometry(const ConvGeometry& geometry, int64_t element_bytes) {
  ConvGeometry g = geometry;
  const int64_t positive[] = {g.n,        g.ih,       g.iw,         g.ic,        g.oh,
                              g.ow,       g.oc,       g.kh,         g.groups,    g.kw,
                              g.stride_h, g.stride_w, g.dilation_h, g.id,        g.od,
                              g.kd,       g.stride_d, g.dilation_d, g.dilation_w};
  // With every factor below 2^31, pixel positions cannot overflow.
  constexpr int64_t kLargest = int64_t{1} << 31;
  for (const int64_t v : positive)
    if (v < 1 || v >= kLargest)
      return invalid("convolution sizes must be in [1, 2^31), found " + std::to_string(v));
  if (g.pad_top <= -kLargest || g.pad_top >= kLargest || g.pad_left <= -kLargest ||
      g.pad_left >= kLargest || g.pad_front <= -kLargest || g.pad_front >= kLargest)
    return invalid("convolution pads must be below 2^31, found " + std::to_string(g.pad_front) +
                   ", " + std::to_string(g.pad_top) + " and " + std::to_string(g.pad_left));
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
  if (!fits({g.n, g.id, g.ih, g.iw, g.x_pixel_stride, element_bytes}) ||
      !fits({g.n, g.od, g.oh, g.ow, g.y_pixel_stride, 4}) ||
      !fits({g.oc + 64 * g.groups, g.ic / g.groups + 4, g.kd, g.kh, g.kw, 64}) ||
      !fits({g.iw, g.oc, g.kh, 64}) || !fits({g.kh, g.dilation_h}) || !fits({g.kw, g.dilation_w}) ||
      !fits({g.kd, g.dilation_d}))
    return limit_exceeded("convolution too large");
  return g;
}

Result<GemmGeometry> check_product(const GemmGeometry& geometry) {
  GemmGeometry g = geometry;
  constexpr int64_t kLargest = int64_t{1} << 31;
  for (const int64_t v : {g.m, g.n, g.k, g.batch})
    if (v < 1 || v >= kLargest)
      return invalid("matrix sizes must be in [1, 2^31), found " + std::to_string(v));
  if (g.a_stride == 0) g.a_stride = g.k;
  if (g.b_stride == 0) g.b_stride = g.b_transposed ? g.k : g.n;
  if (g.c_stride == 0) g.c_stride = g.n;
  if (g.a_stride < g.k || g.b_stride < (g.b_transposed ? g.k : g.n) || g.c_stride < g.n)
    return invalid("matrix row strides must not be below the row");
  const auto fits = [](std::initializer_list<int64_t> factors) {
    int64_t product = 64;
    for (const int64_t f : factors)
      if (!checked_mul(&product, f)) return false;
    return true;
  };
  if (!fits({g.batch, g.m, g.a_stride}) || !fits({g.batch, g.m, g.c_stride}) ||
      !fits({g.batch, g.b_transposed ? g.n : g.k, g.b_stride}) || !fits({g.batch, g.n + 64, g.k}) ||
      !fits({g.m, g.n, g.k}))
    return limit_exceeded("matrix product too large");
  const auto fill = [&g](std::vector<int64_t>& offsets, int64_t step) {
    if (!offsets.empty()) return offsets.size() == static_cast<size_t>(g.batch);
    for (int64_t i = 0; i < g.batch; ++i) offsets.push_back(i * step);
    return true;
  };
  if (!fill(g.a_offsets, g.m * g.a_stride) ||
      !fill(g.b_offsets, (g.b_transposed ? g.n : g.k) * g.b_stride))
    return invalid("a product of " + std::to_string(g.batch) +
                   " batch items needs as many offsets");
  return g;
}

Range transposed_input_rows(const ConvGeometry& g, int64_t oy) {
  const int64_t last = oy + g.pad_top, reach = last - (g.kh - 1) * g.dilation_h;
  return {reach <= 0 ? 0 : ceil_div(reach, g.stride_h),
          last < 0 ? 0 : std::min(g.ih, last / g.stride_h + 1)};
}

}  // namespace mnn
