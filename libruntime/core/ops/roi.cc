// Sampling of image regions at real positions: RoiAlign, MaxRoiPool, DeformConv.
#include <algorithm>
#include <cmath>

#include "libruntime/core/ops/macs.h"
#include "libruntime/core/ops/numeric.h"
#include "libruntime/core/ops/sampling.h"
#include "libruntime/core/ops/type_checks.h"
#include "libruntime/core/ops/window.h"

namespace mnn {
Corners clamped_corners(double y, double x, int64_t height, int64_t width) {
  if (!(y >= -1.0 && y <= static_cast<double>(height) && x >= -1.0 &&
        x <= static_cast<double>(width))) {
    return {};
  }
  y = std::min(std::max(y, 0.0), static_cast<double>(height - 1));
  x = std::min(std::max(x, 0.0), static_cast<double>(width - 1));
  const auto y0 = static_cast<int64_t>(y), x0 = static_cast<int64_t>(x);
  const int64_t y1 = std::min(y0 + 1, height - 1), x1 = std::min(x0 + 1, width - 1);
  const double dy = y - static_cast<double>(y0), dx = x - static_cast<double>(x0);
  return {{y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1},
          {(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx}};
}

Corners open_corners(double y, double x, int64_t height, int64_t width) {
  Corners c;
  if (!(y > -1.0 && y < static_cast<double>(height) && x > -1.0 &&
        x < static_cast<double>(width))) {
    return c;
  }
  const auto y0 = static_cast<int64_t>(std::floor(y)), x0 = static_cast<int64_t>(std::floor(x));
  const double dy = y - std::floor(y), dx = x - std::floor(x);
  for (int k = 0; k < 4; ++k) {
    const int64_t row = y0 + k / 2, column = x0 + k % 2;
    if (row < 0 || row >= height || column < 0 || column >= width) continue;
    c.at[k] = row * width + column;
    c.weight[k] = (k / 2 ? dy : 1 - dy) * (k % 2 ? dx : 1 - dx);
  }
  return c;
}

namespace {

// More sample points per bin only come from malformed regions.
constexpr int64_t kMaxSamples = int64_t{1} << 20;

Status infer_roi_align(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kFloats));
  MNN_RETURN_IF_ERROR(expect_like(c, 1, 0));
  MNN_RETURN_IF_ERROR(expect_input(c, 2, mask_of(DType::kI64)));
  MNN_RETURN_IF_ERROR(expect_rank(c, 0, 4));
  MNN_RETURN_IF_ERROR(expect_rank(c, 1, 2));
  MNN_RETURN_IF_ERROR(expect_rank(c, 2, 1));
  const std::string mode = c.attr_string("mode");
  if (mode != "avg" && mode != "max") return invalid("mode: expected avg or max, found " + mode);
  const std::string transform = c.attr_string("coordinate_transformation_mode");
  if (transform != "half_pixel" && transform != "output_half_pixel") {
    return invalid(
        "coordinate_transformation_mode: expected half_pixel or output_half_pixel, found " +
        transform);
  }
  for (const std::string_view name : {"output_height", "output_width"}) {
    if (c.attr_int(name) < 1) {
      return invalid(std::string(name) + ": expected at least 1, found " +
                     std::to_string(c.attr_int(name)));
    }
  }
  if (c.attr_int("sampling_ratio") < 0) {
    return invalid("sampling_ratio: expected at least 0, found " +
                   std::to_string(c.attr_int("sampling_ratio")));
  }
  if (c.rank_known(1))
    MNN_RETURN_IF_ERROR(expect_dim((*c.in[1].shape)[1], Dim(4), "size of a region"));
  if (c.rank_known(1) && c.rank_known(2)) {
    MNN_RETURN_IF_ERROR(
        expect_dim((*c.in[2].shape)[0], (*c.in[1].shape)[0], "number of batch indices"));
  }
  const Dim regions = c.rank_known(1) ? (*c.in[1].shape)[0] : Dim::unknown();
  const Dim channels = c.rank_known(0) ? (*c.in[0].shape)[1] : Dim::unknown();
  c.out[0].type = tensor_type(c.in[0].dtype, {regions, channels, Dim(c.attr_int("output_height")),
                                              Dim(c.attr_int("output_width"))});
  return {};
}

Result<int64_t> samples_per_bin(int64_t ratio, double size, int64_t bins) {
  const int64_t n =
      ratio > 0 ? ratio : saturate<int64_t>(std::ceil(size / static_cast<double>(bins)));
  if (n > kMaxSamples) return limit_exceeded("a region of size " + std::to_string(size));
  return std::max<int64_t>(n, 0);
}

// The sample points of one region, bin by bin, shared by all channels.
Result<std::vector<Corners>> region_samples(const KernelContext& c, const double* region,
                                            int64_t* per_bin) {
  const std::vector<int64_t>& x = c.in[0]->dims();
  const int64_t rows = c.attr_int("output_height"), columns = c.attr_int("output_width");
  const double scale = c.attr_float("spatial_scale");
  const bool half = c.attr_string("coordinate_transformation_mode") == "half_pixel";
  const double shift = half ? 0.5 : 0.0;
  const double left = region[0] * scale - shift, top = region[1] * scale - shift;
  double width = region[2] * scale - shift - left, height = region[3] * scale - shift - top;
  if (!half) {
    width = std::max(width, 1.0);
    height = std::max(height, 1.0);
  }
  const int64_t ratio = c.attr_int("sampling_ratio");
  MNN_ASSIGN_OR_RETURN(const int64_t grid_h, samples_per_bin(ratio, height, rows));
  MNN_ASSIGN_OR_RETURN(const int64_t grid_w, samples_per_bin(ratio, width, columns));
  *per_bin = grid_h * grid_w;
  const auto total = checked_elements({grid_h, grid_w, rows, columns});
  if (!total || *total > kMaxSamples * 64) return limit_exceeded("too many samples in a region");
  const double bin_h = height / static_cast<double>(rows),
               bin_w = width / static_cast<double>(columns);
  std::vector<Corners> samples;
  samples.reserve(static_cast<size_t>(*total));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t k = 0; k < columns; ++k) {
      for (int64_t i = 0; i < grid_h; ++i) {
        const double y = top + bin_h * (static_cast<double>(r) + (static_cast<double>(i) + 0.5) /
                                                                     static_cast<double>(grid_h));
        for (int64_t j = 0; j < grid_w; ++j) {
          const double at =
              left + bin_w * (static_cast<double>(k) +
                              (static_cast<double>(j) + 0.5) / static_cast<double>(grid_w));
          samples.push_back(clamped_corners(y, at, x[2], x[3]));
        }
      }
    }
  }
  return samples;
}

template <typename T>
double pool_samples(const T* plane, const Corners* samples, int64_t n, bool average) {
  double sum = 0, best = 0;
  for (int64_t i = 0; i < n; ++i) {
    double high = -std::numeric_limits<double>::infinity();
    for (int k = 0; k < 4; ++k) {
      const double v = samples[i].weight[k] * load_as_compute(plane[samples[i].at[k]]);
      sum += v;
      high = std::max(high, v);
    }
    best = i == 0 ? high : std::max(best, high);
  }
  return average ? sum / static_cast<double>(std::max<int64_t>(n, 1)) : best;
}

Status roi_align(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  if (y->elements() == 0) return {};
  const int64_t channels = x.dims()[1], size = x.dims()[2] * x.dims()[3];
  if (size == 0) return invalid("expected images with pixels, found " + x.type_str());
  const int64_t bins = y->dims()[2] * y->dims()[3];
  const bool average = c.attr_string("mode") == "avg";
  MNN_ASSIGN_OR_RETURN(const std::vector<double> regions, c.in[1]->to_doubles());
  for (int64_t r = 0; r < y->dims()[0]; ++r) {
    const int64_t image = c.in[2]->data<int64_t>()[r];
    if (image < 0 || image >= x.dims()[0]) {
      return invalid("batch index " + std::to_string(image) + " is not in [0, " +
                     std::to_string(x.dims()[0]) + ")");
    }
    int64_t per_bin = 0;
    MNN_ASSIGN_OR_RETURN(const std::vector<Corners> samples,
                         region_samples(c, regions.data() + r * 4, &per_bin));
    dispatch_float(x.dtype(), [&]<typename T>() {
      for (int64_t ch = 0; ch < channels; ++ch) {
        const T* const plane = x.data<T>() + (image * channels + ch) * size;
        T* const out = y->data<T>() + (r * channels + ch) * bins;
        for (int64_t b = 0; b < bins; ++b) {
          out[b] = store_from_compute<T>(
              pool_samples(plane, samples.data() + b * per_bin, per_bin, average));
        }
      }
    });
  }
  return {};
}

Status infer_max_roi_pool(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kFloats));
  MNN_RETURN_IF_ERROR(expect_like(c, 1, 0));
  MNN_RETURN_IF_ERROR(expect_rank(c, 0, 4));
  MNN_RETURN_IF_ERROR(expect_rank(c, 1, 2));
  const std::vector<int64_t> pooled = c.attr_ints("pooled_shape");
  if (pooled.size() != 2 || pooled[0] < 1 || pooled[1] < 1) {
    return invalid("pooled_shape: expected two positive sizes, found " +
                   shape_str(to_shape(pooled)));
  }
  if (c.rank_known(1))
    MNN_RETURN_IF_ERROR(expect_dim((*c.in[1].shape)[1], Dim(5), "size of a region"));
  const Dim regions = c.rank_known(1) ? (*c.in[1].shape)[0] : Dim::unknown();
  const Dim channels = c.rank_known(0) ? (*c.in[0].shape)[1] : Dim::unknown();
  c.out[0].type = tensor_type(c.in[0].dtype, {regions, channels, Dim(pooled[0]), Dim(pooled[1])});
  return {};
}

// The pixels [first, last) of bin `i` out of `bins` over `extent` pixels from `start` on.
OutputRange bin_pixels(int64_t i, int64_t bins, int64_t start, int64_t extent, int64_t size) {
  const double step = static_cast<double>(extent) / static_cast<double>(bins);
  const auto first = saturate<int32_t>(std::floor(static_cast<double>(i) * step));
  const auto last = saturate<int32_t>(std::ceil(static_cast<double>(i + 1) * step));
  return {std::clamp<int64_t>(first + start, 0, size), std::clamp<int64_t>(last + start, 0, size)};
}

Status max_roi_pool(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  const int64_t channels = x.dims()[1], height = x.dims()[2], width = x.dims()[3];
  const int64_t rows = y->dims()[2], columns = y->dims()[3];
  const double scale = c.attr_float("spatial_scale");
  MNN_ASSIGN_OR_RETURN(const std::vector<double> regions, c.in[1]->to_doubles());
  for (int64_t r = 0; r < y->dims()[0]; ++r) {
    const double* const region = regions.data() + r * 5;
    const auto image = saturate<int64_t>(region[0]);
    if (image < 0 || image >= x.dims()[0]) {
      return invalid("batch index " + std::to_string(image) + " is not in [0, " +
                     std::to_string(x.dims()[0]) + ")");
    }
    auto pixel = [&](int k) -> int64_t { return saturate<int32_t>(std::round(region[k] * scale)); };
    const int64_t left = pixel(1), top = pixel(2);
    const int64_t extent_w = std::max<int64_t>(pixel(3) - left + 1, 1);
    const int64_t extent_h = std::max<int64_t>(pixel(4) - top + 1, 1);
    dispatch_float(x.dtype(), [&]<typename T>() {
      for (int64_t ch = 0; ch < channels; ++ch) {
        const T* const plane = x.data<T>() + (image * channels + ch) * height * width;
        T* out = y->data<T>() + (r * channels + ch) * rows * columns;
        for (int64_t i = 0; i < rows; ++i) {
          const OutputRange v = bin_pixels(i, rows, top, extent_h, height);
          for (int64_t j = 0; j < columns; ++j) {
            const OutputRange h = bin_pixels(j, columns, left, extent_w, width);
            // An empty bin is 0.
            bool any = false;
            double best = 0;
            for (int64_t a = v.first; a < v.last; ++a) {
              for (int64_t b = h.first; b < h.last; ++b) {
                const double value = load_as_compute(plane[a * width + b]);
                if (!any || value > best) best = value;
                any = true;
              }
            }
            *out++ = store_from_compute<T>(best);
          }
        }
      }
    });
  }
  return {};
}

Status infer_deform_conv(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kFloats));
  for (size_t i = 1; i < c.in.size(); ++i) {
    if (i < 3 || c.has_input(i)) MNN_RETURN_IF_ERROR(expect_like(c, i, 0));
  }
  const int64_t group = c.attr_int("group"), offset_group = c.attr_int("offset_group");
  if (group < 1 || offset_group < 1) return invalid("group and offset_group: expected at least 1");
  c.out[0].type.dtype = c.in[0].dtype;
  if (!c.rank_known(0) || !c.rank_known(1)) return {};
  if (c.in[0].rank() != 4) {
    return unsupported("input 0: expected two spatial dimensions, found " + c.in[0].str());
  }
  for (const size_t i : {1, 2, 4}) MNN_RETURN_IF_ERROR(expect_rank(c, i, 4));
  const Shape &x = *c.in[0].shape, &weight = *c.in[1].shape;
  MNN_RETURN_IF_ERROR(expect_dim(x[1], weight[1] * Dim(group), "channels of the input"));
  if (weight[0].known() && weight[0].value() % group != 0) {
    return invalid("output channels: expected a multiple of group " + std::to_string(group));
  }
  if (x[1].known() && x[1].value() % offset_group != 0) {
    return invalid("channels of the input: expected a multiple of offset_group " +
                   std::to_string(offset_group));
  }
  const std::vector<int64_t> given = c.attr_ints("kernel_shape");
  std::vector<Dim> kernel(weight.begin() + 2, weight.end());
  for (size_t i = 0; i < given.size() && i < 2; ++i) {
    MNN_RETURN_IF_ERROR(expect_dim(Dim(given[i]), kernel[i], "kernel_shape"));
  }
  const Dim taps = kernel[0] * kernel[1] * Dim(offset_group);
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(c, std::move(kernel)));
  Shape y = {x[0], weight[0]};
  for (size_t i = 0; i < 2; ++i) {
    MNN_ASSIGN_OR_RETURN(const Dim d, window_output(w, i, x[i + 2]));
    y.push_back(d);
  }
  // Offsets and mask have one plane per tap (and coordinate), of the output's size.
  for (const size_t i : {2, 4}) {
    if (!c.rank_known(i)) continue;
    const Shape& s = *c.in[i].shape;
    const std::string what = "dimension of input " + std::to_string(i);
    MNN_RETURN_IF_ERROR(expect_dim(s[0], x[0], what));
    MNN_RETURN_IF_ERROR(expect_dim(s[1], i == 2 ? taps * Dim(2) : taps, what));
    MNN_RETURN_IF_ERROR(expect_dim(s[2], y[2], what));
    MNN_RETURN_IF_ERROR(expect_dim(s[3], y[3], what));
  }
  if (c.has_input(3)) {
    MNN_RETURN_IF_ERROR(expect_rank(c, 3, 1));
    if (c.rank_known(3)) {
      MNN_RETURN_IF_ERROR(expect_dim((*c.in[3].shape)[0], weight[0], "size of the bias"));
    }
  }
  c.out[0].type.shape = std::move(y);
  return {};
}

template <typename T>
Status deform_conv_typed(const KernelContext& c, Tensor& y) {
  const Tensor &x = *c.in[0], &weight = *c.in[1];
  const Shape dims = to_shape(weight.dims());
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(c, {dims.begin() + 2, dims.end()}));
  const int64_t group = c.attr_int("group"), offset_group = c.attr_int("offset_group");
  const int64_t channels = x.dims()[1], height = x.dims()[2], width = x.dims()[3];
  const int64_t outputs = y.dims()[1], rows = y.dims()[2], columns = y.dims()[3];
  const int64_t inner = weight.dims()[1], kernel_w = weight.dims()[3];
  const int64_t taps = weight.dims()[2] * kernel_w, size = rows * columns;
  const int64_t per_group = outputs / group, per_offset = channels / offset_group;
  std::vector<double> sums(static_cast<size_t>(outputs));
  for (int64_t n = 0; n < x.dims()[0]; ++n) {
    for (int64_t p = 0; p < size; ++p) {
      for (int64_t o = 0; o < outputs; ++o) {
        sums[static_cast<size_t>(o)] =
            c.has_input(3) ? load_as_compute(c.in[3]->data<T>()[o]) : 0.0;
      }
      for (int64_t og = 0; og < offset_group; ++og) {
        for (int64_t t = 0; t < taps; ++t) {
          const int64_t tap = (n * offset_group + og) * taps + t;
          const T* const offset = c.in[2]->data<T>() + tap * 2 * size + p;
          const double at_y = static_cast<double>(p / columns * w.strides[0] - w.pads_begin[0] +
                                                  t / kernel_w * w.dilations[0]) +
                              load_as_compute(offset[0]);
          const double at_x = static_cast<double>(p % columns * w.strides[1] - w.pads_begin[1] +
                                                  t % kernel_w * w.dilations[1]) +
                              load_as_compute(offset[size]);
          const double mask =
              c.has_input(4) ? load_as_compute(c.in[4]->data<T>()[tap * size + p]) : 1.0;
          const Corners corners = open_corners(at_y, at_x, height, width);
          for (int64_t ch = og * per_offset; ch < (og + 1) * per_offset; ++ch) {
            const T* const plane = x.data<T>() + (n * channels + ch) * height * width;
            double value = 0;
            for (int k = 0; k < 4; ++k) {
              if (corners.weight[k] == 0) continue;
              value += corners.weight[k] * load_as_compute(plane[corners.at[k]]);
            }
            const int64_t g = ch / inner;
            for (int64_t o = g * per_group; o < (g + 1) * per_group; ++o) {
              const double factor =
                  load_as_compute(weight.data<T>()[(o * inner + ch % inner) * taps + t]);
              sums[static_cast<size_t>(o)] += factor * mask * value;
            }
          }
        }
      }
      for (int64_t o = 0; o < outputs; ++o) {
        y.data<T>()[(n * outputs + o) * size + p] =
            store_from_compute<T>(sums[static_cast<size_t>(o)]);
      }
    }
  }
  return {};
}

Status deform_conv(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  if (y->elements() == 0) return {};
  Status status;
  const bool done =
      dispatch_float(y->dtype(), [&]<typename T>() { status = deform_conv_typed<T>(c, *y); });
  return done ? status : no_kernel_for(c, y->dtype());
}

}  // namespace

std::vector<OpDef> define_roi() {
  using Ints = std::vector<int64_t>;
  return {
      {"RoiAlign",
       3,
       3,
       {},
       {{"coordinate_transformation_mode", "half_pixel"},
        {"mode", "avg"},
        {"output_height", int64_t{1}},
        {"output_width", int64_t{1}},
        {"sampling_ratio", int64_t{0}},
        {"spatial_scale", 1.0}},
       infer_roi_align,
       roi_align},
      {"MaxRoiPool",
       2,
       2,
       {},
       {{"pooled_shape", Ints(), true}, {"spatial_scale", 1.0}},
       infer_max_roi_pool,
       max_roi_pool},
      {.name = "DeformConv",
       .min_inputs = 3,
       .max_inputs = 5,
       .traits = kConvolves,
       .attributes = {{"dilations", Ints()},
                      {"group", int64_t{1}},
                      {"kernel_shape", Ints()},
                      {"offset_group", int64_t{1}},
                      {"pads", Ints()},
                      {"strides", Ints()}},
       .infer = infer_deform_conv,
       .reference = deform_conv,
       .macs = macs_of_conv<>},
  };
}

}  // namespace mnn
