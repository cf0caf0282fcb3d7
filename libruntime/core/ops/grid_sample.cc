// GridSample and AffineGrid: an image read at computed positions, of any number of axes.
#include <algorithm>
#include <cmath>

#include "libruntime/core/ops/movement.h"
#include "libruntime/core/ops/sampling.h"

namespace mnn {
namespace {

constexpr size_t kMaxAxes = 4;  // a cubic sample reads 4^axes elements

// ---- GridSample ----

Status infer_grid_sample(OpContext& c) {
  const std::string mode = c.attr_string("mode"), padding = c.attr_string("padding_mode");
  if (mode != "linear" && mode != "nearest" && mode != "cubic") {
    return invalid("mode: expected linear, nearest or cubic, found " + mode);
  }
  if (padding != "zeros" && padding != "border" && padding != "reflection") {
    return invalid("padding_mode: expected zeros, border or reflection, found " + padding);
  }
  if (!is_float(c.in[1].dtype)) return invalid("grid: expected floats, found " + c.in[1].str());
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  if (!c.rank_known(0) || !c.rank_known(1)) return {};
  const Shape &x = *c.in[0].shape, &grid = *c.in[1].shape;
  if (x.size() < 3 || x.size() > 2 + kMaxAxes || grid.size() != x.size()) {
    return invalid("expected x of rank 3 to 6 and a grid of the same rank, found " + c.in[0].str() +
                   " and " + c.in[1].str());
  }
  const auto axes = static_cast<int64_t>(x.size()) - 2;
  if (grid.back().known() && !grid.back().is(axes)) {
    return invalid("grid: expected " + std::to_string(axes) + " coordinates, found " +
                   c.in[1].str());
  }
  if (x[0].known() && grid[0].known() && x[0].value() != grid[0].value()) {
    return invalid("x " + c.in[0].str() + " and grid " + c.in[1].str() + " differ in batch");
  }
  Shape out = {x[0].known() ? x[0] : grid[0], x[1]};
  out.insert(out.end(), grid.begin() + 1, grid.end() - 1);
  c.out[0].type.shape = std::move(out);
  return {};
}

double reflect(double x, double low, double high) {
  const double range = high - low;
  if (!(range > 0)) return low;
  const double distance = x < low ? low - x : x - high;
  if (distance <= 0) return x;
  const double turns = std::floor(distance / range), rest = distance - turns * range;
  const bool even = std::fmod(turns, 2.0) == 0;
  return (x < low) == even ? low + rest : high - rest;
}

}  // namespace

int64_t AxisReader::element(double at) const {
  if (at >= 0 && at < static_cast<double>(size)) return static_cast<int64_t>(at);
  if (padding == Padding::kZeros || std::isnan(at)) return -1;
  if (padding == Padding::kReflection) at = std::trunc(reflect(at, low, high));
  return static_cast<int64_t>(std::clamp(at, 0.0, static_cast<double>(size - 1)));
}

AxisReader::Taps AxisReader::taps(double position) const {
  Taps t;
  double x = mode == Mode::kNearest ? std::nearbyint(position) : position;
  if (std::isnan(x) || std::isinf(x)) x = std::isnan(x) ? -2.0 : std::copysign(0x1p40, x);
  if (x < low || x > high) {
    // A cubic sample clamps its elements one by one, as PyTorch does.
    if (padding == Padding::kBorder && mode != Mode::kCubic) {
      x = std::clamp(x, 0.0, static_cast<double>(size - 1));
    }
    if (padding == Padding::kReflection) x = reflect(x, low, high);
  }
  if (mode == Mode::kNearest) {
    t.count = 1;
    t.index[0] = element(std::trunc(x));
    t.weight[0] = 1;
    return t;
  }
  const double floor = std::floor(x), r = x - floor;
  if (mode == Mode::kLinear) {
    t.count = 2;
    t.weight[0] = 1 - r;
    t.weight[1] = r;
  } else {
    constexpr double a = -0.75;
    auto near = [](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
    auto far = [](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
    t.count = 4;
    t.weight[0] = far(r + 1);
    t.weight[1] = near(r);
    t.weight[2] = near(1 - r);
    t.weight[3] = far(2 - r);
  }
  for (size_t k = 0; k < t.count; ++k) {
    t.index[k] = element(floor + static_cast<double>(k) - (t.count == 4 ? 1 : 0));
  }
  return t;
}

AxisReader axis_reader(const AttributeReader& c, int64_t size) {
  using R = AxisReader;
  const std::string mode = c.attr_string("mode"), padding = c.attr_string("padding_mode");
  const bool aligned = c.attr_int("align_corners") != 0;
  R r{mode == "nearest"  ? R::Mode::kNearest
      : mode == "linear" ? R::Mode::kLinear
                         : R::Mode::kCubic,
      padding == "zeros"    ? R::Padding::kZeros
      : padding == "border" ? R::Padding::kBorder
                            : R::Padding::kReflection,
      aligned,
      size,
      aligned ? 0.0 : -0.5,
      static_cast<double>(size) - (aligned ? 1.0 : 0.5)};
  return r;
}

namespace {

// In double where the grid is, else in float.
template <typename T>
auto load_as_grid(T coordinate) {
  using C = std::conditional_t<std::is_same_v<T, double>, double, float>;
  return static_cast<C>(load_as_compute(coordinate));
}

// Calls f(point, taps per axis) for every point of one batch entry's grid.
template <typename F>
bool for_each_point(const Tensor& grid, int64_t batch, const std::vector<AxisReader>& axes, F&& f) {
  const auto count = static_cast<int64_t>(axes.size());
  const int64_t points = product(grid.dims(), 1, grid.rank() - 1);
  return dispatch_float(grid.dtype(), [&]<typename T>() {
    std::vector<AxisReader::Taps> taps(axes.size());
    const T* coordinates = grid.data<T>() + batch * points * count;
    for (int64_t p = 0; p < points; ++p) {
      for (size_t d = 0; d < axes.size(); ++d) {  // the grid names the last axis first
        const T g = coordinates[p * count + count - 1 - static_cast<int64_t>(d)];
        taps[d] = axes[d].taps(grid_sample_position(load_as_grid(g), axes[d]));
      }
      f(p, taps);
    }
  });
}

// Calls f(offset, weight) for all combinations of the axes' taps that lie inside.
template <typename F>
void for_each_tap(const std::vector<AxisReader::Taps>& taps, const std::vector<int64_t>& strides,
                  size_t axis, int64_t offset, double weight, F&& f) {
  if (axis == taps.size()) {
    f(offset, weight);
    return;
  }
  for (size_t k = 0; k < taps[axis].count; ++k) {
    if (taps[axis].index[k] < 0) continue;
    for_each_tap(taps, strides, axis + 1, offset + taps[axis].index[k] * strides[axis],
                 weight * taps[axis].weight[k], f);
  }
}

Status reference_grid_sample(KernelContext& c) {
  const Tensor &x = *c.in[0], &grid = *c.in[1];
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  if (y->elements() == 0) return {};
  if (x.elements() == 0) return invalid("cannot sample " + x.type_str() + ": it is empty");
  const std::vector<int64_t> image(x.dims().begin() + 2, x.dims().end());
  std::vector<AxisReader> axes;
  for (const int64_t size : image) axes.push_back(axis_reader(c, size));
  const auto strides = row_major_strides(image);
  const int64_t in = product(x.dims(), 2, x.rank()), out = product(y->dims(), 2, y->rank());
  const int64_t channels = x.dims()[1];
  bool sampled = true;
  auto sample = [&]<typename T>(auto&& pixel) {
    for (int64_t b = 0; b < x.dims()[0] && sampled; ++b) {
      const T* from = elements<T>(x) + b * channels * in;
      T* to = elements<T>(*y) + b * channels * out;
      sampled = for_each_point(grid, b, axes, [&](int64_t p, const auto& taps) {
        for (int64_t k = 0; k < channels; ++k) to[k * out + p] = pixel(from + k * in, taps);
      });
    }
  };
  bool typed = true;
  if (c.attr_string("mode") == "nearest") {
    MNN_RETURN_IF_ERROR(dispatch_move(x.dtype(), [&]<typename T>() {
      sample.template operator()<T>([&](const T* from, const auto& taps) {
        T value{};
        for_each_tap(taps, strides, 0, 0, 1.0, [&](int64_t at, double) { value = from[at]; });
        return value;
      });
    }));
  } else {
    typed = dispatch_float(x.dtype(), [&]<typename T>() {
      sample.template operator()<T>([&](const T* from, const auto& taps) {
        double sum = 0;
        for_each_tap(taps, strides, 0, 0, 1.0,
                     [&](int64_t at, double w) { sum += w * load_as_compute(from[at]); });
        return store_from_compute<T>(sum);
      });
    });
  }
  if (!typed || !sampled) {
    return unsupported("sampling " + x.type_str() + " by a grid of " + grid.type_str());
  }
  return {};
}

// ---- AffineGrid ----

Status infer_affine_grid(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_integers(c, 1, "size"));
  set_output(c, 0, c.in[0].dtype, std::nullopt);
  const auto size = values_or_unknown(c, 1);
  if (!size) return {};
  if (size->size() != 4 && size->size() != 5) {
    return invalid("size: expected 4 or 5 entries, found " + shape_str(*size));
  }
  const auto axes = static_cast<int64_t>(size->size()) - 2;
  if (c.rank_known(0)) {
    const Shape& theta = *c.in[0].shape;
    if (theta.size() != 3 || (theta[1].known() && !theta[1].is(axes)) ||
        (theta[2].known() && !theta[2].is(axes + 1))) {
      return invalid("theta: expected [n," + std::to_string(axes) + "," + std::to_string(axes + 1) +
                     "], found " + c.in[0].str());
    }
  }
  Shape out = {(*size)[0]};
  out.insert(out.end(), size->begin() + 2, size->end());
  out.push_back(axes);
  for (const Dim& d : out) {
    if (d.known() && d.value() < 0) return invalid("size has the negative entry " + d.str());
  }
  c.out[0].type.shape = std::move(out);
  return {};
}

// The position of element `i` of an axis in [-1, 1].
double grid_position(int64_t i, int64_t size, bool align_corners) {
  const double at = static_cast<double>(i), n = static_cast<double>(size);
  if (!align_corners) return (2 * at + 1) / n - 1;
  return size == 1 ? 0.0 : 2 * at / (n - 1) - 1;
}

Status reference_affine_grid(KernelContext& c) {
  const Tensor& theta = *c.in[0];
  MNN_ASSIGN_OR_RETURN(Tensor * y, c.make(0));
  if (y->elements() == 0) return {};
  const std::vector<int64_t> image(y->dims().begin() + 1, y->dims().end() - 1);
  const size_t axes = image.size();
  if (theta.dims()[0] != y->dims()[0]) {
    return invalid("theta " + theta.type_str() + " and size differ in batch");
  }
  const bool aligned = c.attr_int("align_corners") != 0;
  const bool done = dispatch_float(theta.dtype(), [&]<typename T>() {
    T* to = y->data<T>();
    for (int64_t b = 0; b < y->dims()[0]; ++b) {
      const T* matrix = theta.data<T>() + b * static_cast<int64_t>(axes * (axes + 1));
      walk(image, row_major_strides(image), 0, [&](int64_t, int64_t offset) {
        double position[kMaxAxes + 1];
        int64_t rest = offset;
        for (size_t d = axes; d-- > 0;
             rest /= image[d]) {  // the last axis is x, the first of a row
          position[axes - 1 - d] = grid_position(rest % image[d], image[d], aligned);
        }
        position[axes] = 1;
        for (size_t r = 0; r < axes; ++r) {
          double sum = 0;
          for (size_t k = 0; k <= axes; ++k) {
            sum += load_as_compute(matrix[r * (axes + 1) + k]) * position[k];
          }
          *to++ = store_from_compute<T>(sum);
        }
      });
    }
  });
  if (!done) return unsupported("element type " + std::string(dtype_name(theta.dtype())));
  return {};
}

}  // namespace

std::vector<OpDef> define_grid_sample() {
  const AttrDef align{"align_corners", int64_t{0}}, mode{"mode", std::string("linear")};
  const AttrDef padding{"padding_mode", std::string("zeros")};
  return {
      {"GridSample", 2, 2, {}, {align, mode, padding}, infer_grid_sample, reference_grid_sample},
      {"AffineGrid", 2, 2, shape_inputs(1), {align}, infer_affine_grid, reference_affine_grid},
  };
}

}  // namespace mnn
