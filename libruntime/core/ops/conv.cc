// Conv and ConvTranspose over one to three spatial dimensions.
#include <algorithm>

#include "libruntime/core/ops/conv_kernel.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/macs.h"
#include "libruntime/core/ops/numeric.h"
#include "libruntime/core/ops/type_checks.h"
#include "libruntime/core/ops/window.h"

namespace mnn {
namespace {

Result<int64_t> read_group(const AttributeReader& c) {
  const int64_t group = c.attr_int("group");
  if (group < 1) return invalid("group: expected at least 1, found " + std::to_string(group));
  return group;
}

// The kernel's spatial dims, checked against kernel_shape when that is set.
Result<std::vector<Dim>> weight_kernel(const AttributeReader& c, const Shape& weight) {
  std::vector<Dim> kernel(weight.begin() + 2, weight.end());
  const std::vector<int64_t> given = c.attr_ints("kernel_shape");
  if (given.empty()) return kernel;
  if (given.size() != kernel.size()) {
    return invalid("kernel_shape: expected " + std::to_string(kernel.size()) + " numbers, found " +
                   std::to_string(given.size()));
  }
  for (size_t i = 0; i < given.size(); ++i) {
    MNN_RETURN_IF_ERROR(expect_dim(Dim(given[i]), kernel[i], "kernel_shape"));
  }
  return std::vector<Dim>(given.begin(), given.end());
}

// Ranks of a convolution's input and weight; false when one is unknown.
Result<bool> check_ranks(const OpContext& c, size_t x, size_t weight) {
  if (!c.rank_known(x) || !c.rank_known(weight)) return false;
  const size_t rank = c.in[x].rank();
  if (rank < 3 || rank > 2 + kMaxSpatial) {
    return unsupported("input " + std::to_string(x) +
                       ": expected one to three spatial dimensions, found " + c.in[x].str());
  }
  MNN_RETURN_IF_ERROR(expect_rank(c, weight, rank));
  return true;
}

}  // namespace

Plane make_plane(const Window& w, const std::vector<int64_t>& x, const std::vector<int64_t>& y) {
  std::vector<int64_t> pads;
  for (size_t i = 0; i < w.rank(); ++i) {
    pads.push_back(window_pad_begin(w, i, x[i + 2], y[i + 2]));
  }
  return {as_dims3({x.begin() + 2, x.end()}, 1),
          as_dims3({y.begin() + 2, y.end()}, 1),
          as_dims3(known_dims(w.kernel), 1),
          as_dims3(w.strides, 1),
          as_dims3(w.dilations, 1),
          as_dims3(pads, 0)};
}

Result<std::optional<Shape>> conv_shape(const OpContext& c, size_t ix, size_t iw) {
  MNN_ASSIGN_OR_RETURN(const int64_t group, read_group(c));
  MNN_ASSIGN_OR_RETURN(const bool known, check_ranks(c, ix, iw));
  if (!known) return std::optional<Shape>();
  const Shape &x = *c.in[ix].shape, &weight = *c.in[iw].shape;
  MNN_RETURN_IF_ERROR(expect_dim(x[1], weight[1] * Dim(group), "channels of the input"));
  if (weight[0].known() && weight[0].value() % group != 0) {
    return invalid("output channels: expected a multiple of group " + std::to_string(group) +
                   ", found " + weight[0].str());
  }
  MNN_ASSIGN_OR_RETURN(std::vector<Dim> kernel, weight_kernel(c, weight));
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(c, std::move(kernel)));
  Shape y = {x[0], weight[0]};
  for (size_t i = 0; i < w.rank(); ++i) {
    MNN_ASSIGN_OR_RETURN(const Dim d, window_output(w, i, x[i + 2]));
    y.push_back(d);
  }
  return std::optional<Shape>(std::move(y));
}

namespace {

// Checks what Conv and ConvTranspose share; false when a rank is unknown and nothing more is told.
Result<bool> check_operands(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kFloats));
  MNN_RETURN_IF_ERROR(expect_like(c, 1, 0));
  if (c.has_input(2)) {
    MNN_RETURN_IF_ERROR(expect_like(c, 2, 0));
    MNN_RETURN_IF_ERROR(expect_rank(c, 2, 1));
  }
  c.out[0].type.dtype = c.in[0].dtype;
  return check_ranks(c, 0, 1);
}

Status infer_conv(OpContext& c) {
  MNN_RETURN_IF_ERROR(check_operands(c).status());
  MNN_ASSIGN_OR_RETURN(c.out[0].type.shape, conv_shape(c, 0, 1));
  if (!c.rank_known(1) || !c.rank_known(2)) return {};
  return expect_dim((*c.in[2].shape)[0], (*c.in[1].shape)[0], "size of the bias");
}

Status conv_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor &x = *c.in[0], &weight = *c.in[1];
  if (y->elements() == 0) return {};
  const Shape weight_dims = to_shape(weight.dims());
  MNN_ASSIGN_OR_RETURN(const Window w,
                       read_window(c, {weight_dims.begin() + 2, weight_dims.end()}));
  const Plane p = make_plane(w, x.dims(), y->dims());
  const int64_t group = c.attr_int("group"), channels = weight.dims()[1];
  const int64_t outputs = weight.dims()[0], per_group = outputs / group;
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    std::vector<double> row;
    for (int64_t n = 0; n < x.dims()[0]; ++n) {
      for (int64_t o = 0; o < outputs; ++o) {
        const int64_t first = (n * group + o / per_group) * channels;
        const double bias = c.has_input(2) ? load_as_compute(c.in[2]->data<T>()[o]) : 0.0;
        T* out = y->data<T>() + (n * outputs + o) * volume(p.out);
        convolve<double>(
            p, channels, x.data<T>() + first * volume(p.in),
            weight.data<T>() + o * channels * volume(p.kernel), bias, load_as_compute<T>,
            load_as_compute<T>, [&](double v) { *out++ = store_from_compute<T>(v); }, row);
      }
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

// Output size and padding of ConvTranspose along one dimension.
struct Transposed {
  Dim out;
  int64_t pad_begin = 0;  // only when `in` is known or nothing depends on it
};

Result<Transposed> transposed_size(const AttributeReader& c, const Window& w, size_t i,
                                   const Dim& in) {
  const std::vector<int64_t> output_padding = c.attr_ints("output_padding");
  const std::vector<int64_t> output_shape = c.attr_ints("output_shape");
  const int64_t extra = output_padding.empty() ? 0 : output_padding[i];
  const Dim stride(w.strides[i]);
  const Dim full =
      stride * (in - Dim(1)) + Dim(extra) + (w.kernel[i] - Dim(1)) * Dim(w.dilations[i]) + Dim(1);
  const bool same =
      w.auto_pad == Window::AutoPad::kSameUpper || w.auto_pad == Window::AutoPad::kSameLower;
  if (output_shape.empty() && !same) {
    const Dim out = full - Dim(w.pads_begin[i]) - Dim(w.pads_end[i]);
    if (out.known() && out.value() < 0) {
      return invalid("spatial dimension " + std::to_string(i) + ": the output would have size " +
                     out.str());
    }
    return Transposed{out, w.pads_begin[i]};
  }
  const Dim out = output_shape.empty() ? in * stride : Dim(output_shape[i]);
  const Dim total = full - out;
  Transposed t{out, 0};
  if (total.known()) {
    const int64_t padding = std::max<int64_t>(0, total.value());
    t.pad_begin = w.auto_pad == Window::AutoPad::kSameUpper ? padding / 2 : (padding + 1) / 2;
  }
  return t;
}

}  // namespace

Result<int64_t> transposed_pad_begin(const AttributeReader& c, const Window& w, size_t i,
                                     int64_t in) {
  MNN_ASSIGN_OR_RETURN(const Transposed t, transposed_size(c, w, i, Dim(in)));
  return t.pad_begin;
}

namespace {

Status infer_conv_transpose(OpContext& c) {
  MNN_ASSIGN_OR_RETURN(const int64_t group, read_group(c));
  MNN_ASSIGN_OR_RETURN(const bool known, check_operands(c));
  if (!known) return {};
  const Shape &x = *c.in[0].shape, &weight = *c.in[1].shape;
  MNN_RETURN_IF_ERROR(expect_dim(x[1], weight[0], "channels of the input"));
  if (weight[0].known() && weight[0].value() % group != 0) {
    return invalid("input channels: expected a multiple of group " + std::to_string(group) +
                   ", found " + weight[0].str());
  }
  const Dim outputs = weight[1] * Dim(group);
  if (c.rank_known(2)) {
    MNN_RETURN_IF_ERROR(expect_dim((*c.in[2].shape)[0], outputs, "size of the bias"));
  }
  MNN_ASSIGN_OR_RETURN(std::vector<Dim> kernel, weight_kernel(c, weight));
  MNN_ASSIGN_OR_RETURN(const Window w, read_window(c, std::move(kernel)));
  for (const std::string_view name : {"output_padding", "output_shape"}) {
    const std::vector<int64_t> v = c.attr_ints(name);
    const bool bad =
        std::any_of(v.begin(), v.end(), [](int64_t d) { return d < 0 || d > (int64_t{1} << 31); });
    if (bad || (!v.empty() && v.size() != w.rank())) {
      return invalid(std::string(name) + ": expected " + std::to_string(w.rank()) +
                     " numbers of at least 0, found " + shape_str(to_shape(v)));
    }
  }
  Shape y = {x[0], outputs};
  for (size_t i = 0; i < w.rank(); ++i) {
    MNN_ASSIGN_OR_RETURN(const Transposed t, transposed_size(c, w, i, x[i + 2]));
    y.push_back(t.out);
  }
  c.out[0].type.shape = std::move(y);
  return {};
}

// Adds one input channel's part to one output channel.
template <typename T>
void scatter(const Plane& p, const T* x, const T* weight, double* sum) {
  for (int64_t id = 0; id < p.in[0]; ++id) {
    for (int64_t ih = 0; ih < p.in[1]; ++ih, x += p.in[2]) {
      const T* w = weight;
      for (int64_t kd = 0; kd < p.kernel[0]; ++kd) {
        const int64_t od = id * p.stride[0] - p.pad[0] + kd * p.dilation[0];
        for (int64_t kh = 0; kh < p.kernel[1]; ++kh, w += p.kernel[2]) {
          const int64_t oh = ih * p.stride[1] - p.pad[1] + kh * p.dilation[1];
          if (od < 0 || od >= p.out[0] || oh < 0 || oh >= p.out[1]) continue;
          double* const line = sum + (od * p.out[1] + oh) * p.out[2];
          for (int64_t kw = 0; kw < p.kernel[2]; ++kw) {
            const int64_t offset = kw * p.dilation[2] - p.pad[2];
            const OutputRange r = valid_outputs(p.in[2], p.stride[2], offset, p.out[2]);
            const double factor = load_as_compute(w[kw]);
            for (int64_t i = r.first; i < r.last; ++i) {
              line[i * p.stride[2] + offset] += factor * load_as_compute(x[i]);
            }
          }
        }
      }
    }
  }
}

Status conv_transpose_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor &x = *c.in[0], &weight = *c.in[1];
  if (y->elements() == 0) return {};
  const Shape weight_dims = to_shape(weight.dims());
  MNN_ASSIGN_OR_RETURN(const Window w,
                       read_window(c, {weight_dims.begin() + 2, weight_dims.end()}));
  Plane p = make_plane(w, x.dims(), y->dims());
  std::vector<int64_t> pads;
  for (size_t i = 0; i < w.rank(); ++i) {
    MNN_ASSIGN_OR_RETURN(const Transposed t, transposed_size(c, w, i, Dim(x.dims()[i + 2])));
    pads.push_back(t.pad_begin);
  }
  p.pad = as_dims3(pads, 0);
  const int64_t group = c.attr_int("group"), inputs = x.dims()[1] / group;
  const int64_t per_group = weight.dims()[1], outputs = per_group * group;
  MNN_ASSIGN_OR_RETURN(Tensor plane, Tensor::allocate(DType::kF64, {volume(p.out)}));
  double* const sum = plane.data<double>();
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    T* out = y->data<T>();
    for (int64_t n = 0; n < x.dims()[0]; ++n) {
      for (int64_t o = 0; o < outputs; ++o, out += volume(p.out)) {
        const double bias = c.has_input(2) ? load_as_compute(c.in[2]->data<T>()[o]) : 0.0;
        std::fill(sum, sum + volume(p.out), bias);
        const int64_t first = o / per_group * inputs;
        for (int64_t ch = first; ch < first + inputs; ++ch) {
          scatter(p, x.data<T>() + (n * x.dims()[1] + ch) * volume(p.in),
                  weight.data<T>() + (ch * per_group + o % per_group) * volume(p.kernel), sum);
        }
        for (int64_t i = 0; i < volume(p.out); ++i) out[i] = store_from_compute<T>(sum[i]);
      }
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

// Every input of a transposed convolution feeds one filter.
int64_t macs_of_conv_transpose(const MacsContext& c) {
  const auto *x = c.in(0), *w = c.in(1);
  if (x == nullptr || w == nullptr || w->empty()) return 0;
  return saturating_product(saturating_product(*x), saturating_product(*w, 1));
}

}  // namespace

std::vector<OpDef> define_conv() {
  using Ints = std::vector<int64_t>;
  return {
      {.name = "Conv",
       .min_inputs = 2,
       .max_inputs = 3,
       .traits = kLinear | kConvolves,
       .attributes = {{"auto_pad", "NOTSET"},
                      {"dilations", Ints()},
                      {"group", int64_t{1}},
                      {"kernel_shape", Ints()},
                      {"pads", Ints()},
                      {"strides", Ints()}},
       .infer = infer_conv,
       .reference = conv_reference,
       .macs = macs_of_conv<>,
       .gradient = conv_gradient},
      {.name = "ConvTranspose",
       .min_inputs = 2,
       .max_inputs = 3,
       .traits = kLinear | kConvolves,
       .attributes = {{"auto_pad", "NOTSET"},
                      {"dilations", Ints()},
                      {"group", int64_t{1}},
                      {"kernel_shape", Ints()},
                      {"output_padding", Ints()},
                      {"output_shape", Ints()},
                      {"pads", Ints()},
                      {"strides", Ints()}},
       .infer = infer_conv_transpose,
       .reference = conv_transpose_reference,
       .macs = macs_of_conv_transpose,
       .gradient = conv_transpose_gradient},
  };
}

}  // namespace mnn
