// Resize: separable interpolation, one axis after the other.
#include <algorithm>
#include <cmath>

#include "libruntime/core/ops/convert.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/movement.h"
#include "libruntime/core/ops/sampling.h"

namespace mnn {
namespace {

enum : size_t { kResizeX, kResizeRoi, kResizeScales, kResizeSizes };

// How one axis is resized.
struct AxisPlan {
  int64_t in = 0, out = 0;
  double scale = 1.0;
  // The output's length as coordinates see it. Scales whose product is no whole number leave it
  // unrounded for interpolation (the ONNX node tests say so); nearest takes the size itself.
  double length = 0.0;
  double roi_start = 0.0, roi_end = 1.0;
};

// An empty tensor stands for an absent input.
template <typename Context>
bool given(const Context& c, size_t i);
template <>
bool given(const KernelContext& c, size_t i) {
  return c.has_input(i) && c.in[i]->elements() > 0;
}
template <>
bool given(const OpContext& c, size_t i) {
  if (!c.has_input(i)) return false;
  return !(c.rank_known(i) && num_elements(*c.in[i].shape).is(0));
}

Result<std::vector<size_t>> resized_axes(const AttributeReader& c, size_t rank) {
  std::vector<size_t> axes;
  if (c.has("axes")) return normalize_axes(c.attr_ints("axes"), rank);
  for (size_t d = 0; d < rank; ++d) axes.push_back(d);
  return axes;
}

Status check_length(std::string_view what, size_t found, size_t expected) {
  if (found == expected) return {};
  return invalid(std::string(what) + " has " + std::to_string(found) + " entries, expected " +
                 std::to_string(expected));
}

Result<int64_t> checked_size(double size) {
  if (!(size >= 0.0 && size < 0x1p53)) {
    return invalid("a resized dimension of " + std::to_string(size) + " is out of range");
  }
  return static_cast<int64_t>(size);
}

// Sizes and scales of every axis for concrete dims. Exactly one of `scales`, `sizes` is given.
Result<std::vector<AxisPlan>> plan_sizes(const AttributeReader& c, const std::vector<int64_t>& dims,
                                         const Tensor* scales, const Tensor* sizes) {
  std::vector<AxisPlan> plan(dims.size());
  for (size_t d = 0; d < dims.size(); ++d) plan[d].in = plan[d].out = dims[d];
  MNN_ASSIGN_OR_RETURN(const std::vector<size_t> axes, resized_axes(c, dims.size()));
  if (scales != nullptr) {
    MNN_ASSIGN_OR_RETURN(const std::vector<double> values, scales->to_doubles());
    MNN_RETURN_IF_ERROR(check_length("scales", values.size(), axes.size()));
    for (size_t i = 0; i < axes.size(); ++i) {
      AxisPlan& p = plan[axes[i]];
      if (!(values[i] > 0.0) || std::isinf(values[i])) {
        return invalid("scales: expected positive numbers, found " + std::to_string(values[i]));
      }
      p.scale = values[i];
      MNN_ASSIGN_OR_RETURN(
          p.out, checked_size(std::floor(static_cast<float>(p.in) * static_cast<float>(p.scale))));
    }
    return plan;
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> values, sizes->to_ints());
  MNN_RETURN_IF_ERROR(check_length("sizes", values.size(), axes.size()));
  for (size_t i = 0; i < axes.size(); ++i) {
    AxisPlan& p = plan[axes[i]];
    if (values[i] < 0) return invalid("sizes has the negative entry " + std::to_string(values[i]));
    p.out = values[i];
    if (p.in != 0) p.scale = static_cast<double>(p.out) / static_cast<double>(p.in);
  }
  const std::string policy = c.attr_string("keep_aspect_ratio_policy");
  if (policy == "stretch" || axes.empty()) return plan;
  if (policy != "not_larger" && policy != "not_smaller") {
    return invalid("keep_aspect_ratio_policy: expected stretch, not_larger or not_smaller, found " +
                   policy);
  }
  double scale = plan[axes[0]].scale;
  for (const size_t d : axes) {
    scale =
        policy == "not_larger" ? std::min(scale, plan[d].scale) : std::max(scale, plan[d].scale);
  }
  for (const size_t d : axes) {
    plan[d].scale = scale;
    MNN_ASSIGN_OR_RETURN(plan[d].out,
                         checked_size(std::floor(scale * static_cast<double>(plan[d].in) + 0.5)));
  }
  return plan;
}

Result<std::vector<AxisPlan>> plan_axes(const AttributeReader& c, const std::vector<int64_t>& dims,
                                        const Tensor* scales, const Tensor* sizes) {
  MNN_ASSIGN_OR_RETURN(std::vector<AxisPlan> plan, plan_sizes(c, dims, scales, sizes));
  const bool nearest = c.attr_string("mode") == "nearest";
  for (AxisPlan& p : plan) {
    p.length = nearest ? static_cast<double>(p.out) : p.scale * static_cast<double>(p.in);
  }
  return plan;
}

// The same with the region of tf_crop_and_resize; roi null: there is none.
Result<std::vector<AxisPlan>> plan_with_roi(const AttributeReader& c,
                                            const std::vector<int64_t>& dims, const Tensor* roi,
                                            const Tensor* scales, const Tensor* sizes) {
  MNN_ASSIGN_OR_RETURN(auto plan, plan_axes(c, dims, scales, sizes));
  if (c.attr_string("coordinate_transformation_mode") != "tf_crop_and_resize") return plan;
  if (roi == nullptr) return invalid("tf_crop_and_resize needs the input roi");
  MNN_ASSIGN_OR_RETURN(const std::vector<size_t> axes, resized_axes(c, dims.size()));
  MNN_ASSIGN_OR_RETURN(const std::vector<double> values, roi->to_doubles());
  MNN_RETURN_IF_ERROR(check_length("roi", values.size(), 2 * axes.size()));
  for (size_t i = 0; i < axes.size(); ++i) {
    plan[axes[i]].roi_start = values[i];
    plan[axes[i]].roi_end = values[i + axes.size()];
  }
  return plan;
}

// floor(dim * scale) when the scale is a fraction of small power-of-two denominator: the product of
// a run, in floats, is exact then.
Dim scaled_dim(const Dim& dim, double scale) {
  for (int shift = 0; shift <= 8; ++shift) {
    const double numerator = std::ldexp(scale, shift);
    if (numerator > 0 && numerator <= 256 && numerator == std::floor(numerator)) {
      return floor_div(dim * Dim(static_cast<int64_t>(numerator)), Dim(int64_t{1} << shift));
    }
  }
  return Dim::unknown();
}

Status check_modes(const OpContext& c) {
  auto one_of = [&](std::string_view name, std::initializer_list<std::string_view> allowed) {
    const std::string value = c.attr_string(name);
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return Status();
    std::string list;
    for (const std::string_view a : allowed) list += (list.empty() ? "" : ", ") + std::string(a);
    return invalid(std::string(name) + ": expected one of " + list + "; found " + value);
  };
  MNN_RETURN_IF_ERROR(one_of("mode", {"nearest", "linear", "cubic"}));
  MNN_RETURN_IF_ERROR(one_of(
      "nearest_mode", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "simple"}));
  MNN_RETURN_IF_ERROR(one_of("keep_aspect_ratio_policy", {"stretch", "not_larger", "not_smaller"}));
  MNN_RETURN_IF_ERROR(
      one_of("coordinate_transformation_mode",
             {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
              "asymmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn"}));
  if (c.attr_int("antialias") != 0 && c.attr_string("mode") == "nearest") {
    return invalid("antialias does not go with mode nearest");
  }
  return {};
}

Status infer_resize(OpContext& c) {
  MNN_RETURN_IF_ERROR(check_modes(c));
  const bool by_scales = given(c, kResizeScales), by_sizes = given(c, kResizeSizes);
  if (by_scales == by_sizes) {
    return invalid(std::string("expected one of scales and sizes, found ") +
                   (by_scales ? "both" : "none"));
  }
  if (by_sizes) MNN_RETURN_IF_ERROR(expect_integers(c, kResizeSizes, "sizes"));
  set_output(c, 0, c.in[kResizeX].dtype, std::nullopt);
  if (!c.rank_known(kResizeX)) return {};
  const Shape& shape = *c.in[kResizeX].shape;
  MNN_ASSIGN_OR_RETURN(const std::vector<size_t> axes, resized_axes(c, shape.size()));
  const Tensor* scales = by_scales ? c.constants[kResizeScales] : nullptr;
  Tensor known_sizes;
  if (by_sizes) {
    if (const auto ints = c.ints(kResizeSizes)) known_sizes = Tensor::ints(*ints);
  }
  if (all_known(shape) && (scales != nullptr || known_sizes.defined())) {
    MNN_ASSIGN_OR_RETURN(
        const auto plan,
        plan_axes(c, known_dims(shape), scales, known_sizes.defined() ? &known_sizes : nullptr));
    Shape out;
    for (const AxisPlan& p : plan) out.push_back(p.out);
    c.out[0].type.shape = std::move(out);
    return {};
  }
  Shape out = shape;
  for (const size_t d : axes) out[d] = Dim::unknown();
  if (scales != nullptr) {
    MNN_ASSIGN_OR_RETURN(const std::vector<double> values, scales->to_doubles());
    MNN_RETURN_IF_ERROR(check_length("scales", values.size(), axes.size()));
    for (size_t i = 0; i < axes.size(); ++i) out[axes[i]] = scaled_dim(shape[axes[i]], values[i]);
  } else if (const auto sizes = by_sizes ? c.values(kResizeSizes) : std::nullopt;
             sizes && c.attr_string("keep_aspect_ratio_policy") == "stretch") {
    MNN_RETURN_IF_ERROR(check_length("sizes", sizes->size(), axes.size()));
    for (size_t i = 0; i < axes.size(); ++i) out[axes[i]] = (*sizes)[i];
  }
  c.out[0].type.shape = std::move(out);
  return {};
}

// ---- Coordinates and weights of one axis ----

// Where output index `y` lies on the input axis.
double source_coordinate(const std::string& mode, const AxisPlan& p, int64_t y) {
  const double in = static_cast<double>(p.in);
  const double i = static_cast<double>(y);
  if (mode == "align_corners") return p.length == 1.0 ? 0.0 : i * (in - 1) / (p.length - 1);
  if (mode == "asymmetric") return i / p.scale;
  if (mode == "tf_crop_and_resize") {
    const double extent = p.roi_end - p.roi_start;
    const double inside =
        p.length == 1.0 ? extent * (in - 1) / 2 : i * extent * (in - 1) / (p.length - 1);
    return inside + p.roi_start * (in - 1);
  }
  if (mode == "tf_half_pixel_for_nn") return (i + 0.5) / p.scale;
  if (mode == "pytorch_half_pixel" && p.length == 1.0) return -0.5;
  double x = (i + 0.5) / p.scale - 0.5;
  if (mode == "half_pixel_symmetric") {
    x += in / 2 * (1 - static_cast<double>(p.out) / (p.scale * in));
  }
  return x;
}

std::vector<double> cubic_weights(double ratio, double scale, double a, bool antialias) {
  auto weight = [&](double x) {
    x = std::fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    return 0.0;
  };
  if (!antialias) return {weight(ratio + 1), weight(ratio), weight(1 - ratio), weight(2 - ratio)};
  scale = std::min(scale, 1.0);
  const auto first = static_cast<int64_t>(std::floor(-2 / scale) + 1);
  std::vector<double> w;
  for (int64_t i = first; i < 2 - first; ++i) {
    w.push_back(weight(scale * (static_cast<double>(i) - ratio)));
  }
  return w;
}

std::vector<double> linear_weights(double ratio, double scale, bool antialias) {
  if (!antialias) return {1 - ratio, ratio};
  scale = std::min(scale, 1.0);
  const auto first = static_cast<int64_t>(std::floor(-1 / scale) + 1);
  std::vector<double> w;
  for (int64_t i = first; i < 2 - first; ++i) {
    w.push_back(std::clamp(1 - std::fabs((static_cast<double>(i) - ratio) * scale), 0.0, 1.0));
  }
  return w;
}

void normalize_weights(std::vector<double>& w) {
  double sum = 0;
  for (const double v : w) sum += v;
  if (sum == 0) return;
  for (double& v : w) v /= sum;
}

// The coordinate's fraction in (0, 1]: an integer coordinate counts as the right neighbour.
double fraction_of(double x) { return x == std::floor(x) ? 1.0 : x - std::floor(x); }

// A coordinate that is a multiple of one half but for its rounding: what is nearest to it is
// decided by the rule for ties.
double without_rounding(double x) {
  const double tie = std::round(2 * x) / 2;
  return std::fabs(x - tie) <= 1e-12 * std::max(1.0, std::fabs(x)) ? tie : x;
}

// "simple" is the rule of ONNX 10: ceil where the axis shrinks, else floor.
int64_t nearest_index(const std::string& mode, double coordinate, const AxisPlan& p) {
  const double x = without_rounding(coordinate);
  const double floor = std::floor(x), ratio = fraction_of(x);
  double index = floor;
  if (ratio != 1.0) {
    const bool up = mode == "ceil" || (mode == "round_prefer_floor" && ratio > 0.5) ||
                    (mode == "round_prefer_ceil" && ratio >= 0.5) ||
                    (mode == "simple" && p.scale < 1);
    index = floor + (up ? 1 : 0);
  }
  return static_cast<int64_t>(std::clamp(index, 0.0, static_cast<double>(p.in - 1)));
}

ResizeTaps taps_of(const AttributeReader& c, const AxisPlan& p, int64_t y) {
  const std::string transform = c.attr_string("coordinate_transformation_mode");
  const std::string mode = c.attr_string("mode");
  const double x = source_coordinate(transform, p, y);
  ResizeTaps t;
  t.outside = transform == "tf_crop_and_resize" && !(x >= 0 && x <= static_cast<double>(p.in - 1));
  if (t.outside) return t;
  if (mode == "nearest") {
    t.index = {nearest_index(c.attr_string("nearest_mode"), x, p)};
    t.weight = {1.0};
    return t;
  }
  const double ratio = fraction_of(x);
  const bool antialias = c.attr_int("antialias") != 0;
  t.weight = mode == "cubic"
                 ? cubic_weights(ratio, p.scale, c.attr_float("cubic_coeff_a"), antialias)
                 : linear_weights(ratio, p.scale, antialias);
  if (antialias) normalize_weights(t.weight);
  const auto n = static_cast<int64_t>(t.weight.size());
  // The window of n taps around x; an integer x is the right one of its middle pair.
  const auto first = static_cast<int64_t>(std::floor(x)) + (ratio == 1.0 ? -n / 2 : 1 - n / 2);
  const bool exclude = c.attr_int("exclude_outside") != 0;
  for (int64_t k = 0; k < n; ++k) {
    const int64_t at = first + k;
    if (exclude && (at < 0 || at >= p.in)) t.weight[static_cast<size_t>(k)] = 0;
    t.index.push_back(std::clamp<int64_t>(at, 0, p.in - 1));
  }
  if (exclude) normalize_weights(t.weight);
  return t;
}

bool is_identity(const AxisPlan& p) {
  return p.in == p.out && std::fabs(p.scale - 1.0) <= 1e-9 && p.roi_start == 0.0 &&
         p.roi_end == 1.0;
}

// ---- Kernels ----

// Whole elements are moved: any type.
Status resize_nearest(KernelContext& c, const std::vector<AxisPlan>& plan, Tensor& y) {
  const Tensor& x = *c.in[kResizeX];
  const auto strides = row_major_strides(x.dims());
  std::vector<std::vector<int64_t>> offset(plan.size());  // -1: extrapolated
  for (size_t d = 0; d < plan.size(); ++d) {
    for (int64_t i = 0; i < plan[d].out; ++i) {
      if (is_identity(plan[d])) {
        offset[d].push_back(i * strides[d]);
        continue;
      }
      const ResizeTaps t = taps_of(c, plan[d], i);
      offset[d].push_back(t.outside ? -1 : t.index[0] * strides[d]);
    }
  }
  Tensor fill;
  if (x.dtype() != DType::kString && c.attr_float("extrapolation_value") != 0.0) {
    MNN_ASSIGN_OR_RETURN(
        fill, convert_elements(Tensor::scalar(c.attr_float("extrapolation_value")), x.dtype()));
  }
  return dispatch_move(x.dtype(), [&]<typename T>() {
    const T outside = fill.defined() ? elements<T>(fill)[0] : T{};
    copy_by_offsets(elements<T>(x), offset, outside, y.dims(), elements<T>(y));
  });
}

std::vector<double> resize_axis(const KernelContext& c, const std::vector<double>& x,
                                const AxisPlan& p, int64_t outer, int64_t inner) {
  std::vector<double> y(static_cast<size_t>(outer * p.out * inner));
  const double extrapolation = c.attr_float("extrapolation_value");
  for (int64_t i = 0; i < p.out; ++i) {
    const ResizeTaps t = taps_of(c, p, i);
    for (int64_t o = 0; o < outer; ++o) {
      double* to = y.data() + (o * p.out + i) * inner;
      if (t.outside) {
        std::fill_n(to, inner, extrapolation);
        continue;
      }
      for (size_t k = 0; k < t.index.size(); ++k) {
        const double* from = x.data() + (o * p.in + t.index[k]) * inner;
        for (int64_t j = 0; j < inner; ++j) to[j] += t.weight[k] * from[j];
      }
    }
  }
  return y;
}

Status resize_interpolated(KernelContext& c, const std::vector<AxisPlan>& plan, Tensor& y) {
  MNN_ASSIGN_OR_RETURN(std::vector<double> values, c.in[kResizeX]->to_doubles());
  std::vector<int64_t> dims = c.in[kResizeX]->dims();
  for (size_t d = 0; d < plan.size(); ++d) {
    if (is_identity(plan[d])) continue;
    dims[d] = plan[d].out;
    if (!checked_elements(dims)) return limit_exceeded("an intermediate result is too large");
    const int64_t outer = product(dims, 0, d), inner = product(dims, d + 1, dims.size());
    values = resize_axis(c, values, plan[d], outer, inner);
  }
  const bool done = dispatch_numeric(y.dtype(), [&]<typename T>() {
    for (size_t i = 0; i < values.size(); ++i) {
      double v = values[i];
      if constexpr (std::is_integral_v<T>) {
        v = std::nearbyint(v);
        const IntegerRange range = integer_range(y.dtype());
        if (v >= static_cast<double>(range.high)) {
          y.data<T>()[i] = static_cast<T>(range.high);
          continue;
        }
        v = std::max(v, static_cast<double>(range.low));
      }
      y.data<T>()[i] = store_from_compute<T>(static_cast<compute_t<T>>(v));
    }
  });
  if (!done) return unsupported("element type " + std::string(dtype_name(y.dtype())));
  return {};
}

Status reference_resize(KernelContext& c) {
  const Tensor& x = *c.in[kResizeX];
  MNN_ASSIGN_OR_RETURN(const auto plan,
                       plan_with_roi(c, x.dims(), given(c, kResizeRoi) ? c.in[kResizeRoi] : nullptr,
                                     given(c, kResizeScales) ? c.in[kResizeScales] : nullptr,
                                     given(c, kResizeSizes) ? c.in[kResizeSizes] : nullptr));
  std::vector<int64_t> dims;
  for (const AxisPlan& p : plan) dims.push_back(p.out);
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0, x.dtype(), dims));
  if (y->elements() == 0) return {};
  if (x.elements() == 0) return invalid("cannot enlarge " + x.type_str() + ": it is empty");
  if (c.attr_string("mode") == "nearest") return resize_nearest(c, plan, *y);
  return resize_interpolated(c, plan, *y);
}

}  // namespace

Result<std::vector<std::vector<ResizeTaps>>> resize_taps(const AttributeReader& c,
                                                         const std::vector<int64_t>& dims,
                                                         const Tensor* roi, const Tensor* scales,
                                                         const Tensor* sizes) {
  MNN_ASSIGN_OR_RETURN(const auto plan, plan_with_roi(c, dims, roi, scales, sizes));
  std::vector<std::vector<ResizeTaps>> taps(dims.size());
  for (size_t d = 0; d < dims.size(); ++d) {
    if (is_identity(plan[d])) continue;
    for (int64_t i = 0; i < plan[d].out; ++i) taps[d].push_back(taps_of(c, plan[d], i));
  }
  return taps;
}

std::vector<OpDef> define_resize() {
  const std::vector<AttrDef> attributes = {
      {"antialias", int64_t{0}},
      {"axes", std::vector<int64_t>{}},
      {"coordinate_transformation_mode", std::string("half_pixel")},
      {"cubic_coeff_a", -0.75},
      {"exclude_outside", int64_t{0}},
      {"extrapolation_value", 0.0},
      {"keep_aspect_ratio_policy", std::string("stretch")},
      {"mode", std::string("nearest")},
      {"nearest_mode", std::string("round_prefer_floor")},
  };
  return {with_gradient(resize_gradient, {"Resize", 1, 4, shape_inputs(1, 2, 3), attributes,
                                          infer_resize, reference_resize})};
}

}  // namespace mnn
