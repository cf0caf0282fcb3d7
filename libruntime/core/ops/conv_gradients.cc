// The derivatives of convolutions and average poolings, and ConvWeightGradient: that of a
// convolution with respect to its weights.
#include <algorithm>
#include <limits>
#include <numeric>

#include "libruntime/core/ops/conv_kernel.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/macs.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {
namespace {

using Ints = std::vector<int64_t>;

// A window in numbers, with its padding resolved, of one or more spatial dims.
struct Geometry {
  Ints kernel, strides, dilations, begin, end;
  int64_t group = 1;

  Ints pads() const {
    Ints all = begin;
    all.insert(all.end(), end.begin(), end.end());
    return all;
  }
  // The attributes of a convolution of that window.
  Builder::Attributes attributes() const {
    return {{"dilations", dilations}, {"group", group}, {"pads", pads()}, {"strides", strides}};
  }
};

// Of an operator that slides a window over `x` (its dims) to make `y`.
Result<Geometry> geometry_of(const Node& n, const Ints& x, const Ints& y, const Ints& kernel) {
  const AttributeReader c(n, *find_op(n.op));
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(c, to_shape(kernel)));
  Geometry g{kernel, w.strides, w.dilations, {}, {}, 1};
  for (size_t i = 0; i < kernel.size(); ++i) {
    g.begin.push_back(window_pad_begin(w, i, x[i + 2], y[i + 2]));
    g.end.push_back(window_pad_end(w, i, x[i + 2], y[i + 2]));
  }
  return g;
}

// dx of a convolution by the window `g`: dy convolved back to the dims of x, whatever the window
// left over of it or reached beyond it.
ValueId convolve_back(Builder& b, ValueId dy, const Ints& y, ValueId w, const Ints& x,
                      const Geometry& g) {
  Geometry back = g;
  Ints rest;
  for (size_t i = 0; i < g.kernel.size(); ++i) {
    const int64_t full = (y[i + 2] - 1) * g.strides[i] + (g.kernel[i] - 1) * g.dilations[i] + 1;
    const int64_t over = full - g.begin[i] - x[i + 2];
    back.end[i] = std::max<int64_t>(over, 0);
    rest.push_back(std::max<int64_t>(-over, 0));
  }
  Builder::Attributes attributes = back.attributes();
  attributes["output_padding"] = rest;
  return b.op("ConvTranspose", {dy, w}, std::move(attributes));
}

// The same where every channel has a filter of its own: dy, its elements pulled apart by the
// strides, convolved with the filters turned round. kNoValue where that needs negative padding.
ValueId depthwise_back(Builder& b, ValueId dy, const Ints& y, ValueId w, const Ints& x,
                       const Geometry& g) {
  Geometry back = g;
  Ints apart = y, split, starts, axes, flips;
  bool spread = false;
  for (size_t i = 0; i < g.kernel.size(); ++i) {
    apart[i + 2] = (y[i + 2] - 1) * g.strides[i] + 1;
    spread = spread || g.strides[i] > 1;
    const int64_t reach = (g.kernel[i] - 1) * g.dilations[i];
    back.begin[i] = reach - g.begin[i];
    back.end[i] = x[i + 2] - apart[i + 2] - back.begin[i] + reach;
    if (back.begin[i] < 0 || back.end[i] < 0) return kNoValue;
    back.strides[i] = 1;
    starts.push_back(-1);
    flips.push_back(std::numeric_limits<int64_t>::min() + 1);
    axes.push_back(static_cast<int64_t>(i) + 2);
  }
  if (spread) {
    // [n, c, h, 1, w, 1], zeros behind each, then all but the last zeros.
    split = {y[0], y[1]};
    Ints merged = split, none(2 + 2 * g.kernel.size(), 0), behind = {0, 0};
    for (size_t i = 0; i < g.kernel.size(); ++i) {
      split.insert(split.end(), {y[i + 2], 1});
      behind.insert(behind.end(), {0, g.strides[i] - 1});
      merged.push_back(y[i + 2] * g.strides[i]);
    }
    none.insert(none.end(), behind.begin(), behind.end());
    dy = b.op("Pad", {b.op("Reshape", {dy, b.ints(split)}), b.ints(none)});
    dy = b.op("Slice", {b.op("Reshape", {dy, b.ints(merged)}), b.ints(Ints(axes.size(), 0)),
                        b.ints({apart.begin() + 2, apart.end()}), b.ints(axes)});
  }
  const ValueId turned = b.op(
      "Slice", {w, b.ints(starts), b.ints(flips), b.ints(axes), b.ints(Ints(axes.size(), -1))});
  return b.op("Conv", {dy, turned}, back.attributes());
}

ValueId weights_back(Builder& b, ValueId x, ValueId dy, const Geometry& g) {
  Builder::Attributes attributes = g.attributes();
  attributes["kernel_shape"] = g.kernel;
  return b.op("ConvWeightGradient", {x, dy}, std::move(attributes));
}

// Sums over the batch and space of [N, C, …].
ValueId per_channel_sum(Builder& b, ValueId v, size_t rank) {
  Ints axes = {0};
  for (size_t i = 2; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  return b.op("ReduceSum", {v, b.ints(axes)}, {{"keepdims", int64_t{0}}});
}

}  // namespace

Gradients conv_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const ValueId xv = n.inputs[0], w = n.inputs[1];
  MNN_ASSIGN_OR_RETURN(const Ints x, static_dims(b, xv));
  MNN_ASSIGN_OR_RETURN(const Ints wd, static_dims(b, w));
  MNN_ASSIGN_OR_RETURN(const Ints y, static_dims(b, n.outputs[0]));
  MNN_ASSIGN_OR_RETURN(Geometry g, geometry_of(n, x, y, {wd.begin() + 2, wd.end()}));
  g.group = AttributeReader(n, *find_op(n.op)).attr_int("group");
  const bool depthwise = g.group == x[1] && g.group == y[1];
  ValueId dx = depthwise ? depthwise_back(b, dy[0], y, w, x, g) : kNoValue;
  if (dx == kNoValue) dx = convolve_back(b, dy[0], y, w, x, g);
  std::vector<ValueId> result = {dx, weights_back(b, xv, dy[0], g)};
  if (n.own_inputs() > 2) result.push_back(per_channel_sum(b, dy[0], x.size()));
  return result;
}

// x is to y what y is to x in a convolution.
Gradients conv_transpose_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const AttributeReader c(n, *find_op(n.op));
  const ValueId xv = n.inputs[0], w = n.inputs[1];
  MNN_ASSIGN_OR_RETURN(const Ints x, static_dims(b, xv));
  MNN_ASSIGN_OR_RETURN(const Ints wd, static_dims(b, w));
  MNN_ASSIGN_OR_RETURN(const Ints y, static_dims(b, n.outputs[0]));
  MNN_ASSIGN_OR_RETURN(const Window window, read_window(c, to_shape({wd.begin() + 2, wd.end()})));
  Geometry g{{wd.begin() + 2, wd.end()}, window.strides, window.dilations, {}, {}, 1};
  g.group = c.attr_int("group");
  ValueId back = dy[0];
  Ints cut(2 * y.size(), 0);
  for (size_t i = 0; i < g.kernel.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(const int64_t begin, transposed_pad_begin(c, window, i, x[i + 2]));
    const int64_t full = (x[i + 2] - 1) * g.strides[i] + (g.kernel[i] - 1) * g.dilations[i] + 1;
    // What output_padding made behind the last window is no output of it.
    const int64_t over = full - begin - y[i + 2];
    g.begin.push_back(begin);
    g.end.push_back(std::max<int64_t>(over, 0));
    cut[y.size() + i + 2] = std::min<int64_t>(over, 0);
  }
  if (std::ranges::any_of(cut, [](int64_t v) { return v != 0; })) {
    back = b.op("Pad", {back, b.ints(cut)});
  }
  std::vector<ValueId> result = {b.op("Conv", {back, w}, g.attributes()),
                                 weights_back(b, back, xv, g)};
  if (n.own_inputs() > 2) result.push_back(per_channel_sum(b, dy[0], x.size()));
  return result;
}

// Each output gives its share to what it is the mean of: a convolution back with ones.
Gradients average_pool_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  const AttributeReader c(n, *find_op(n.op));
  MNN_ASSIGN_OR_RETURN(const Ints x, static_dims(b, n.inputs[0]));
  MNN_ASSIGN_OR_RETURN(const Ints y, static_dims(b, n.outputs[0]));
  MNN_ASSIGN_OR_RETURN(Geometry g, geometry_of(n, x, y, c.attr_ints("kernel_shape")));
  g.group = x[1];
  const bool with_pads = c.attr_int("count_include_pad") != 0;
  const DType dtype = b.type(n.inputs[0]).dtype;
  Ints share_dims = {1, 1};
  share_dims.insert(share_dims.end(), y.begin() + 2, y.end());
  MNN_ASSIGN_OR_RETURN(Tensor shares, Tensor::allocate(DType::kF64, share_dims));
  for (int64_t o = 0; o < shares.elements(); ++o) {
    int64_t rest = o, count = 1;
    for (size_t i = g.kernel.size(); i-- > 0;) {
      const int64_t start = rest % y[i + 2] * g.strides[i] - g.begin[i];
      rest /= y[i + 2];
      int64_t inside = 0;
      for (int64_t k = 0; k < g.kernel[i]; ++k) {
        const int64_t at = start + k * g.dilations[i];
        inside += with_pads ? at < x[i + 2] + g.end[i] : at >= 0 && at < x[i + 2];
      }
      count *= inside;
    }
    shares.data<double>()[o] = count == 0 ? 0.0 : 1.0 / static_cast<double>(count);
  }
  Ints ones_dims = {x[1], 1};
  ones_dims.insert(ones_dims.end(), g.kernel.begin(), g.kernel.end());
  MNN_ASSIGN_OR_RETURN(Tensor own, Tensor::allocate(dtype, share_dims));
  MNN_ASSIGN_OR_RETURN(Tensor ones, Tensor::allocate(dtype, ones_dims));
  dispatch_float(dtype, [&]<typename T>() {
    for (int64_t i = 0; i < own.elements(); ++i) {
      own.data<T>()[i] = store_from_compute<T>(shares.data<double>()[i]);
    }
    std::fill_n(ones.data<T>(), ones.elements(), store_from_compute<T>(1.0));
  });
  const ValueId shared = b.op("Mul", {dy[0], b.constant(std::move(own))});
  return std::vector<ValueId>{convolve_back(b, shared, y, b.constant(std::move(ones)), x, g)};
}

// ---- ConvWeightGradient: x [N, C, …], dy [N, O, …] -> [O, C / group, kernel…] ----

namespace {

Status infer_weight_gradient(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kFloats));
  MNN_RETURN_IF_ERROR(expect_like(c, 1, 0));
  MNN_ASSIGN_OR_RETURN(std::vector<Dim> kernel, read_kernel_shape(c));
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(c, std::move(kernel)));
  const int64_t group = c.attr_int("group");
  if (group < 1) return invalid("group: expected at least 1, found " + std::to_string(group));
  if (w.rank() > kMaxSpatial) return unsupported("more than three spatial dimensions");
  MNN_RETURN_IF_ERROR(expect_rank(c, 0, w.rank() + 2));
  MNN_RETURN_IF_ERROR(expect_rank(c, 1, w.rank() + 2));
  Shape out(2, Dim::unknown());
  if (c.rank_known(1)) {
    const Dim& outputs = (*c.in[1].shape)[1];
    if (outputs.known() && outputs.value() % group != 0) {
      return invalid("output channels: expected a multiple of group " + std::to_string(group) +
                     ", found " + outputs.str());
    }
    out[0] = outputs;
  }
  if (c.rank_known(0)) {
    const Shape& x = *c.in[0].shape;
    if (x[1].known() && x[1].value() % group != 0) {
      return invalid("input channels: expected a multiple of group " + std::to_string(group) +
                     ", found " + x[1].str());
    }
    out[1] = floor_div(x[1], Dim(group));
    for (size_t i = 0; c.rank_known(1) && i < w.rank(); ++i) {
      MNN_ASSIGN_OR_RETURN(const Dim d, window_output(w, i, x[i + 2]));
      MNN_RETURN_IF_ERROR(expect_dim((*c.in[1].shape)[i + 2], d,
                                     "spatial dimension " + std::to_string(i) + " of input 1"));
    }
    if (c.rank_known(1)) MNN_RETURN_IF_ERROR(expect_dim((*c.in[1].shape)[0], x[0], "batch"));
  }
  out.insert(out.end(), w.kernel.begin(), w.kernel.end());
  c.out[0].type = tensor_type(c.in[0].dtype, std::move(out));
  return {};
}

Status weight_gradient_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const dw, c.make(0));
  const Tensor &x = *c.in[0], &dy = *c.in[1];
  MNN_ASSIGN_OR_RETURN(std::vector<Dim> kernel, read_kernel_shape(c));
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(c, std::move(kernel)));
  if (dw->elements() == 0) return {};
  const Plane p = make_plane(w, x.dims(), dy.dims());
  const int64_t group = c.attr_int("group"), outputs = dy.dims()[1], per_group = outputs / group;
  const int64_t channels = dw->dims()[1];
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    T* out = dw->data<T>();
    for (int64_t o = 0; o < outputs; ++o) {
      for (int64_t ch = 0; ch < channels; ++ch) {
        const int64_t from = o / per_group * channels + ch;
        for (int64_t k = 0; k < volume(p.kernel); ++k) {
          const int64_t kd = k / (p.kernel[1] * p.kernel[2]), kh = k / p.kernel[2] % p.kernel[1],
                        kw = k % p.kernel[2];
          double sum = 0;
          for (int64_t n = 0; n < x.dims()[0]; ++n) {
            const T* const plane = x.data<T>() + (n * x.dims()[1] + from) * volume(p.in);
            const T* g = dy.data<T>() + (n * outputs + o) * volume(p.out);
            for (int64_t od = 0; od < p.out[0]; ++od) {
              const int64_t id = od * p.stride[0] - p.pad[0] + kd * p.dilation[0];
              for (int64_t oh = 0; oh < p.out[1]; ++oh, g += p.out[2]) {
                const int64_t ih = oh * p.stride[1] - p.pad[1] + kh * p.dilation[1];
                if (id < 0 || id >= p.in[0] || ih < 0 || ih >= p.in[1]) continue;
                const int64_t offset = kw * p.dilation[2] - p.pad[2];
                const OutputRange r = valid_outputs(p.out[2], p.stride[2], offset, p.in[2]);
                const T* const line = plane + (id * p.in[1] + ih) * p.in[2];
                for (int64_t i = r.first; i < r.last; ++i) {
                  sum += load_as_compute(g[i]) * load_as_compute(line[i * p.stride[2] + offset]);
                }
              }
            }
          }
          *out++ = store_from_compute<T>(sum);
        }
      }
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

// x is convolved with dy, which steps by the dilation and is dilated by the stride: the batch takes
// the place of the channels.
Result<std::vector<ValueId>> decompose_weight_gradient(Builder& b, const Node& n) {
  const AttributeReader c(n, *find_op(n.op));
  MNN_ASSIGN_OR_RETURN(const Ints x, static_dims(b, n.inputs[0]));
  MNN_ASSIGN_OR_RETURN(const Ints y, static_dims(b, n.inputs[1]));
  const Ints kernel = c.attr_ints("kernel_shape");
  MNN_ASSIGN_OR_RETURN(Geometry g, geometry_of(n, x, y, kernel));
  const int64_t group = c.attr_int("group"), in = x[1] / group;
  const size_t spatial = kernel.size();
  auto all_are = [](const Ints& v, int64_t what) {
    return std::ranges::all_of(v, [&](int64_t i) { return i == what; });
  };
  if (group == 1 && all_are(kernel, 1) && all_are(g.pads(), 0)) {
    // One product over all pixels, which lie in rows where channels come last.
    ValueId taken = n.inputs[0];
    if (!all_are(g.strides, 1)) {
      Ints axes(spatial);
      std::iota(axes.begin(), axes.end(), 2);
      taken = b.op("Slice", {taken, b.ints(Ints(spatial, 0)), b.ints({x.begin() + 2, x.end()}),
                             b.ints(axes), b.ints(g.strides)});
    }
    auto rows = [&](ValueId v, int64_t channels) {
      Ints perm = {0};
      for (size_t i = 0; i < spatial; ++i) perm.push_back(static_cast<int64_t>(i) + 2);
      perm.push_back(1);
      return b.op("Reshape", {transpose(b, v, perm), b.ints({-1, channels})});
    };
    const ValueId w =
        b.op("Gemm", {rows(n.inputs[1], y[1]), rows(taken, x[1])}, {{"transA", int64_t{1}}});
    Ints dims = {y[1], x[1]};
    dims.insert(dims.end(), kernel.begin(), kernel.end());
    return std::vector<ValueId>{b.op("Reshape", {w, b.ints(dims)})};
  }
  // [N, G, I, …] -> [I, G, N, …] -> [I, G N, …]
  Ints apart = {x[0], group, in}, perm = {2, 1, 0}, merged = {in, group * x[0]}, swap = {1, 0};
  for (size_t i = 0; i < spatial; ++i) {
    apart.push_back(x[i + 2]);
    merged.push_back(x[i + 2]);
    perm.push_back(static_cast<int64_t>(i) + 3);
    swap.push_back(static_cast<int64_t>(i) + 2);
  }
  const ValueId rows =
      b.op("Reshape",
           {transpose(b, b.op("Reshape", {n.inputs[0], b.ints(apart)}), perm), b.ints(merged)});
  Geometry crossed = g;
  crossed.strides = g.dilations;
  crossed.dilations = g.strides;
  crossed.group = group;
  ValueId w = b.op("Conv", {rows, transpose(b, n.inputs[1], swap)}, crossed.attributes());
  // Rows that the stride left over give more than the kernel has.
  Ints starts(spatial, 0), axes;
  bool more = false;
  for (size_t i = 0; i < spatial; ++i) {
    axes.push_back(static_cast<int64_t>(i) + 2);
    const int64_t extent = x[i + 2] + g.begin[i] + g.end[i] - (y[i + 2] - 1) * g.strides[i] - 1;
    more = more || extent / g.dilations[i] + 1 != kernel[i];
  }
  if (more) w = b.op("Slice", {w, b.ints(starts), b.ints(kernel), b.ints(axes)});
  return std::vector<ValueId>{transpose(b, w, swap)};
}

int64_t macs_of_weight_gradient(const MacsContext& c) {
  const auto *dy = c.in(1), *dw = c.out(0);
  if (dy == nullptr || dw == nullptr || dw->empty()) return 0;
  return saturating_product(saturating_product(*dy), saturating_product(*dw, 1));
}

}  // namespace

std::vector<OpDef> define_conv_gradients() {
  return {{.name = "ConvWeightGradient",
           .min_inputs = 2,
           .max_inputs = 2,
           .attributes = {{"dilations", Ints()},
                          {"group", int64_t{1}},
                          {"kernel_shape", Ints(), true},
                          {"pads", Ints()},
                          {"strides", Ints()}},
           .infer = infer_weight_gradient,
           .reference = weight_gradient_reference,
           .decompose = decompose_weight_gradient,
           .macs = macs_of_weight_gradient}};
}

}  // namespace mnn
