// Convolutions, pooling, normalization, arithmetic.
#include "libconvert/frontends/caffe/layer.h"

namespace mnn::caffe {
namespace {

// "pad: 1", "pad: 1 pad: 2" or "pad_h: 1 pad_w: 2"; `otherwise` where nothing is said.
template <typename Repeated>
Ints pair_of(const Repeated& list, bool has_h, uint32_t h, bool has_w, uint32_t w,
             int64_t otherwise) {
  if (has_h || has_w) return {h, w};
  if (list.size() == 0) return {otherwise, otherwise};
  const int64_t first = list.Get(0);
  return {first, list.size() > 1 ? int64_t{list.Get(1)} : first};
}

bool check_positive(LayerNode& n, const Ints& values, const char* what) {
  for (const int64_t v : values) {
    if (v >= 1 && v <= INT32_MAX) continue;
    n.fail(invalid(std::string(what) + " must be positive, found " + std::to_string(v)));
    return false;
  }
  return true;
}

void convolution(LayerNode& n, bool transposed) {
  const ConvolutionParameter& p = n.layer.convolution_param();
  const Ints kernel =
      pair_of(p.kernel_size(), p.has_kernel_h(), p.kernel_h(), p.has_kernel_w(), p.kernel_w(), 0);
  const Ints stride =
      pair_of(p.stride(), p.has_stride_h(), p.stride_h(), p.has_stride_w(), p.stride_w(), 1);
  const Ints pad = pair_of(p.pad(), p.has_pad_h(), p.pad_h(), p.has_pad_w(), p.pad_w(), 0);
  const Ints dilation = pair_of(p.dilation(), false, 0, false, 0, 1);
  if (p.kernel_size_size() > 2 || p.axis() != 1) {
    return n.fail(unsupported("only two spatial axes behind axis 1 are supported"));
  }
  const Dim in = n.dim(0, 1);
  if (!in.known()) return n.fail(unsupported("the channels of its input must be known"));
  int64_t groups = p.group();
  const int64_t out = p.num_output();
  if (n.op == "DepthwiseConvolution" || n.op == "ConvolutionDepthwise") groups = in.value();
  if (!check_positive(n, kernel, "kernel sizes") || !check_positive(n, stride, "strides") ||
      !check_positive(n, dilation, "dilations") || !check_positive(n, {out, groups}, "counts")) {
    return;
  }
  if (in.value() % groups != 0 || out % groups != 0) {
    return n.fail(invalid("its channels do not divide into " + std::to_string(groups) + " groups"));
  }
  const Ints dims = transposed ? Ints{in.value(), out / groups, kernel[0], kernel[1]}
                               : Ints{out, in.value() / groups, kernel[0], kernel[1]};
  std::vector<ValueId> inputs = {n.in(0), n.blob_value(0, dims)};
  if (p.bias_term()) inputs.push_back(n.blob_value(1, {out}));
  n.results.clear();
  // One layer may run on several bottoms.
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    inputs[0] = n.in(i);
    n.results.push_back(n.emit(transposed ? "ConvTranspose" : "Conv", inputs,
                               {{"kernel_shape", kernel},
                                {"strides", stride},
                                {"dilations", dilation},
                                {"group", groups},
                                {"pads", Ints{pad[0], pad[1], pad[0], pad[1]}}}));
  }
}

}  // namespace

void convert_convolution(LayerNode& n) {
  if (n.expect_bottoms(1, 64)) convolution(n, false);
}
void convert_deconvolution(LayerNode& n) {
  if (n.expect_bottoms(1, 64)) convolution(n, true);
}

void convert_pooling(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const PoolingParameter& p = n.layer.pooling_param();
  if (p.pool() == PoolingParameter::STOCHASTIC) {
    return n.fail(unsupported("stochastic pooling is not supported"));
  }
  const bool max = p.pool() == PoolingParameter::MAX;
  if (p.global_pooling()) {
    n.results = {n.emit(max ? "GlobalMaxPool" : "GlobalAveragePool", {n.in(0)})};
    return;
  }
  const Ints kernel = p.has_kernel_h() || p.has_kernel_w() ? Ints{p.kernel_h(), p.kernel_w()}
                                                           : Ints{p.kernel_size(), p.kernel_size()};
  const Ints stride = p.has_stride_h() || p.has_stride_w() ? Ints{p.stride_h(), p.stride_w()}
                                                           : Ints{p.stride(), p.stride()};
  const Ints pad =
      p.has_pad_h() || p.has_pad_w() ? Ints{p.pad_h(), p.pad_w()} : Ints{p.pad(), p.pad()};
  if (!check_positive(n, kernel, "kernel sizes") || !check_positive(n, stride, "strides")) return;
  LayerNode::Attributes attrs = {{"kernel_shape", kernel},
                                 {"strides", stride},
                                 {"pads", Ints{pad[0], pad[1], pad[0], pad[1]}},
                                 {"ceil_mode", int64_t{p.round_mode() == PoolingParameter::CEIL}}};
  if (!max) attrs["count_include_pad"] = int64_t{1};
  n.results = {n.emit(max ? "MaxPool" : "AveragePool", {n.in(0)}, attrs)};
}

void convert_inner_product(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const InnerProductParameter& p = n.layer.inner_product_param();
  const size_t rank = n.need_rank(0);
  const int64_t axis = n.need_axis(p.axis(), rank), out = p.num_output();
  if (!n.status.ok() || !check_positive(n, {out}, "num_output")) return;
  int64_t in = 1;
  for (size_t d = static_cast<size_t>(axis); d < rank; ++d) {
    const Dim dim = n.dim(0, d);
    if (!dim.known()) return n.fail(unsupported("the dims behind its axis must be known"));
    if (__builtin_mul_overflow(in, dim.value(), &in))
      return n.fail(invalid("its input is too large"));
  }
  const ValueId w = n.blob_value(0, p.transpose() ? Ints{in, out} : Ints{out, in});
  const ValueId bias = p.bias_term() ? n.blob_value(1, {out}) : kNoValue;
  ValueId x = n.in(0);
  if (axis == 1) {
    if (rank != 2) x = n.emit("Flatten", {x}, {{"axis", axis}});
    n.results = {n.emit("Gemm", {x, w, bias}, {{"transB", int64_t{!p.transpose()}}})};
    return;
  }
  Ints flat(static_cast<size_t>(axis), 0);
  flat.push_back(in);
  x = n.emit("Reshape", {x, n.add_ints(flat)});
  const ValueId turned = p.transpose() ? w : n.emit("Transpose", {w}, {{"perm", Ints{1, 0}}});
  x = n.emit("MatMul", {x, turned});
  n.results = {bias == kNoValue ? x : n.emit("Add", {x, bias})};
}

// Mean, variance and the factor both are stored with.
void convert_batch_norm(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const BatchNormParameter& p = n.layer.batch_norm_param();
  if (p.has_use_global_stats() && !p.use_global_stats()) {
    return n.fail(
        unsupported("statistics of the batch (use_global_stats: false) are not supported"));
  }
  const Dim channels = n.need_rank(0) == 1 ? n.dim(0, 0) : n.dim(0, 1);
  if (!channels.known()) return n.fail(unsupported("its channels must be known"));
  const int64_t c = channels.value();
  Tensor mean = n.blob(0, c), variance = n.blob(1, c), factor = n.blob(2, 1);
  if (!n.status.ok()) return;
  const float f = factor.data<float>()[0] == 0 ? 0 : 1 / factor.data<float>()[0];
  Tensor one = *mean.clone(), zero = *mean.clone();
  for (int64_t i = 0; i < c; ++i) {
    mean.data<float>()[i] *= f;
    variance.data<float>()[i] *= f;
    one.data<float>()[i] = 1;
    zero.data<float>()[i] = 0;
  }
  n.results = {n.emit("BatchNormalization",
                      {n.in(0), n.add_constant(one), n.add_constant(zero), n.add_constant(mean),
                       n.add_constant(variance)},
                      {{"epsilon", double{p.eps()}}})};
}

namespace {

// A blob, or the second bottom, along the axes from `axis` on.
ValueId operand_along(LayerNode& n, int64_t axis_given, int num_axes, int blob) {
  const size_t rank = n.need_rank(0);
  if (!n.status.ok()) return kNoValue;
  if (n.inputs.size() > 1 && blob == 0) {
    return n.along(n.in(1), n.need_axis(axis_given, rank), rank);
  }
  if (num_axes == 0) return n.blob_value(blob, {});
  const int64_t axis = n.need_axis(axis_given, rank);
  const auto last = num_axes < 0 ? static_cast<int64_t>(rank) : axis + num_axes;
  if (last > static_cast<int64_t>(rank)) {
    n.fail(invalid("it has more axes than its input"));
    return kNoValue;
  }
  Ints dims;
  for (int64_t d = axis; d < last; ++d) {
    const Dim dim = n.dim(0, static_cast<size_t>(d));
    if (!dim.known()) {
      n.fail(unsupported("the dims it works along must be known"));
      return kNoValue;
    }
    dims.push_back(dim.value());
  }
  return n.along(n.blob_value(blob, dims), axis, rank);
}

}  // namespace

void convert_scale(LayerNode& n) {
  if (!n.expect_bottoms(1, 2)) return;
  const ScaleParameter& p = n.layer.scale_param();
  ValueId y = n.emit("Mul", {n.in(0), operand_along(n, p.axis(), p.num_axes(), 0)});
  if (p.bias_term()) {
    const bool computed = n.inputs.size() > 1;
    if (computed) n.inputs.resize(1);
    const ValueId bias = operand_along(n, p.axis(), p.num_axes(), computed ? 0 : 1);
    y = n.emit("Add", {y, bias});
  }
  n.results = {y};
}

void convert_bias(LayerNode& n) {
  if (!n.expect_bottoms(1, 2)) return;
  const BiasParameter& p = n.layer.bias_param();
  n.results = {n.emit("Add", {n.in(0), operand_along(n, p.axis(), p.num_axes(), 0)})};
}

// A number per image and channel times an image, plus another one.
void convert_axpy(LayerNode& n) {
  if (!n.expect_bottoms(3, 3)) return;
  const ValueId a = n.need_rank(0) == 2 && n.status.ok() ? n.unsqueeze(n.in(0), {2, 3}) : n.in(0);
  n.results = {n.emit("Add", {n.emit("Mul", {a, n.in(1)}), n.in(2)})};
}

void convert_eltwise(LayerNode& n) {
  if (!n.expect_bottoms(1, 256)) return;
  const EltwiseParameter& p = n.layer.eltwise_param();
  if (p.coeff_size() != 0 && p.coeff_size() != static_cast<int>(n.inputs.size())) {
    return n.fail(invalid("it has " + std::to_string(p.coeff_size()) + " coefficients for " +
                          std::to_string(n.inputs.size()) + " bottoms"));
  }
  ValueId y = kNoValue;
  for (size_t i = 0; i < n.inputs.size(); ++i) {
    ValueId x = n.in(i);
    const bool sum = p.operation() == EltwiseParameter::SUM;
    if (sum && p.coeff_size() > 0 && p.coeff(static_cast<int>(i)) != 1.0f) {
      x = n.emit("Mul", {x, n.f32(p.coeff(static_cast<int>(i)))});
    }
    const char* op = sum ? "Add" : p.operation() == EltwiseParameter::PROD ? "Mul" : "Max";
    y = i == 0 ? x : n.emit(op, {y, x});
  }
  n.results = {y == n.in(0) ? n.emit("Identity", {y}) : y};
}

void convert_relu(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const double slope = n.layer.relu_param().negative_slope();
  n.results = {slope == 0 ? n.emit("Relu", {n.in(0)})
                          : n.emit("LeakyRelu", {n.in(0)}, {{"alpha", slope}})};
}

void convert_relu6(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  n.results = {n.emit("Clip", {n.in(0), n.f32(0), n.f32(n.layer.relu6_param().threshold())})};
}

void convert_clip(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const ClipParameter& p = n.layer.clip_param();
  n.results = {n.emit("Clip", {n.in(0), n.f32(p.min()), n.f32(p.max())})};
}

void convert_elu(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  n.results = {n.emit("Elu", {n.in(0)}, {{"alpha", double{n.layer.elu_param().alpha()}}})};
}

void convert_prelu(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const bool shared = n.layer.prelu_param().channel_shared();
  const Dim channels = n.dim(0, 1);
  if (!shared && !channels.known()) return n.fail(unsupported("its channels must be known"));
  const ValueId slope = shared ? n.blob_value(0, {1}) : n.blob_value(0, {channels.value()});
  n.results = {n.emit("PRelu", {n.in(0), shared ? slope : n.along(slope, 1, n.need_rank(0))})};
}

void convert_swish(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const double beta = n.layer.swish_param().beta();
  const ValueId x = beta == 1 ? n.in(0) : n.emit("Mul", {n.in(0), n.f32(beta)});
  n.results = {n.emit("Mul", {n.in(0), n.emit("Sigmoid", {x})})};
}

namespace {

// shift + scale * x
ValueId affine(LayerNode& n, double scale, double shift) {
  ValueId x = n.in(0);
  if (scale != 1) x = n.emit("Mul", {x, n.f32(scale)});
  if (shift != 0) x = n.emit("Add", {x, n.f32(shift)});
  return x;
}
ValueId own(LayerNode& n, ValueId v) { return v == n.in(0) ? n.emit("Identity", {v}) : v; }

}  // namespace

void convert_power(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const PowerParameter& p = n.layer.power_param();
  const ValueId x = affine(n, p.scale(), p.shift());
  n.results = {p.power() == 1 ? own(n, x) : n.emit("Pow", {x, n.f32(p.power())})};
}

void convert_exp(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const ExpParameter& p = n.layer.exp_param();
  const ValueId x = affine(n, p.scale(), p.shift());
  if (p.base() != -1 && !(p.base() > 0)) return n.fail(invalid("the base must be positive"));
  n.results = {p.base() == -1 ? n.emit("Exp", {x}) : n.emit("Pow", {n.f32(p.base()), x})};
}

void convert_log(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const LogParameter& p = n.layer.log_param();
  const ValueId y = n.emit("Log", {affine(n, p.scale(), p.shift())});
  if (p.base() != -1 && !(p.base() > 0)) return n.fail(invalid("the base must be positive"));
  n.results = {p.base() == -1 ? y : n.emit("Div", {y, n.emit("Log", {n.f32(p.base())})})};
}

void convert_threshold(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const ValueId above = n.emit("Greater", {n.in(0), n.f32(n.layer.threshold_param().threshold())});
  n.results = {n.cast(above, DType::kF32)};
}

void convert_softmax(LayerNode& n) {
  if (!n.expect_bottoms(1, 2)) return;
  n.results = {n.emit("Softmax", {n.in(0)}, {{"axis", int64_t{n.layer.softmax_param().axis()}}})};
}

void convert_sigmoid_loss(LayerNode& n) {
  if (n.expect_bottoms(1, 2)) n.results = {n.emit("Sigmoid", {n.in(0)})};
}

void convert_lrn(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const LRNParameter& p = n.layer.lrn_param();
  const int64_t size = p.local_size();
  if (size < 1 || size % 2 == 0) return n.fail(invalid("local_size must be odd"));
  if (p.norm_region() == LRNParameter::ACROSS_CHANNELS) {
    n.results = {n.emit("LRN", {n.in(0)},
                        {{"size", size},
                         {"alpha", double{p.alpha()}},
                         {"beta", double{p.beta()}},
                         {"bias", double{p.k()}}})};
    return;
  }
  const int64_t pad = (size - 1) / 2;
  const ValueId mean = n.emit("AveragePool", {n.emit("Mul", {n.in(0), n.in(0)})},
                              {{"kernel_shape", Ints{size, size}},
                               {"strides", Ints{1, 1}},
                               {"pads", Ints{pad, pad, pad, pad}},
                               {"count_include_pad", int64_t{1}}});
  const ValueId sum = n.emit("Add", {n.emit("Mul", {mean, n.f32(p.alpha())}), n.f32(1)});
  n.results = {n.emit("Div", {n.in(0), n.emit("Pow", {sum, n.f32(p.beta())})})};
}

void convert_mvn(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const MVNParameter& p = n.layer.mvn_param();
  Ints axes;
  for (size_t d = p.across_channels() ? 1 : 2; d < n.need_rank(0); ++d) {
    axes.push_back(static_cast<int64_t>(d));
  }
  const ValueId where = n.add_ints(axes);
  ValueId x = n.emit("Sub", {n.in(0), n.emit("ReduceMean", {n.in(0), where})});
  if (p.normalize_variance()) {
    const ValueId variance = n.emit("ReduceMean", {n.emit("Mul", {x, x}), where});
    x = n.emit("Div", {x, n.emit("Add", {n.emit("Sqrt", {variance}), n.f32(p.eps())})});
  }
  n.results = {x};
}

// Each pixel, or the whole, divided by its length, times a factor per channel.
void convert_normalize(LayerNode& n) {
  if (!n.expect_bottoms(1, 1)) return;
  const NormalizeParameter& p = n.layer.norm_param();
  const Dim channels = n.dim(0, 1);
  if (!channels.known()) return n.fail(unsupported("its channels must be known"));
  Ints axes = {1};
  for (size_t d = 2; p.across_spatial() && d < n.need_rank(0); ++d) {
    axes.push_back(static_cast<int64_t>(d));
  }
  const ValueId sum = n.emit("ReduceSum", {n.emit("Mul", {n.in(0), n.in(0)}), n.add_ints(axes)});
  const ValueId length = n.emit("Sqrt", {n.emit("Add", {sum, n.f32(p.eps())})});
  const ValueId scale =
      p.channel_shared() ? n.blob_value(0, {1}) : n.blob_value(0, {channels.value()});
  n.results = {n.emit("Mul", {n.emit("Div", {n.in(0), length}),
                              p.channel_shared() ? scale : n.along(scale, 1, n.need_rank(0))})};
}

}  // namespace mnn::caffe
