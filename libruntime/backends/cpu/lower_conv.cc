// Conv and ConvTranspose on channels-last arrays.
#include "libruntime/backends/cpu/matrix.h"
#include "libruntime/backends/cpu/rows.h"
#include "libruntime/kernels/code_panels.h"
#include "libruntime/kernels/gemm.h"

namespace mnn::cpu {
namespace {

std::optional<std::string> supports_conv(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  if (n.in_type(0) != DType::kF32) return "input is not f32";
  const size_t rank = n.in(0).type.rank();
  if (rank < 3 || rank > 5) return std::to_string(rank) + "-dimensional input";
  if (node.op == "ConvTranspose") {
    int64_t all = 1;
    for (const int64_t s : n.attr_ints("strides")) {
      if (s > kMostTransposedStrides || (all *= s) > kMostTransposedStrides) return "strides";
    }
  }
  return check_post_ops(graph, node, kDevice);
}

// Elements from one pixel to the next when `a` is a channels-last image, perhaps a slice of the
// channels of a wider one; nullopt when it is not.
std::optional<int64_t> pixel_stride(const Array& a) {
  const size_t rank = a.rank();
  if (a.dims[1] != 1 && a.strides[1] != 1) return std::nullopt;
  std::optional<int64_t> pixel;
  int64_t pixels = 1;
  for (size_t d = rank; d-- > 0;) {
    if (d == 1 || a.dims[d] == 1) continue;
    if (!pixel) {
      if (a.strides[d] % pixels != 0) return std::nullopt;
      pixel = a.strides[d] / pixels;
    }
    if (a.strides[d] != *pixel * pixels) return std::nullopt;
    pixels *= a.dims[d];
  }
  if (!pixel) return a.dims[1];
  // Less: the pixels of a repeated axis are one and the same.
  return *pixel >= a.dims[1] ? pixel : std::nullopt;
}

Result<Array> image(Lowering& l, ValueId v, bool bytes) {
  const Array* form = l.find_form(
      v, [&](const Array& a) { return a.grid.has_value() == bytes && pixel_stride(a); });
  if (form != nullptr) return *form;
  const Order order = channels_last(l.dims(v).size());
  return bytes ? l.stored(v, order) : l.real(v, order);
}

// Where the kernel writes; a residual must be laid out alike, so that goes with dense results only.
Array output_of(Lowering& l, ValueId v, const FusedPart& part, const std::optional<Grid>& grid) {
  const Order order = channels_last(l.dims(v).size());
  if (part.residual != kNoValue) return l.allocate(DType::kF32, l.dims(v), order, grid);
  return l.allocate_output(v, order, grid);
}

// The form is u8 x s8; of a graph that is not quantized yet, or is.
std::optional<std::string> why_not_window_bytes(const Graph& graph, const Node& node,
                                                ComputeForm form) {
  const NodeView n(graph, node);
  const bool transposed = node.op == "ConvTranspose";
  if (form != ComputeForm::kU8xS8) return "there is no int8 kernel for computed weights";
  if (n.in_type(0) != DType::kF32) return "the input is not f32";
  if (auto why = why_not_constant(n, 1, "the weights")) return why;
  if (n.has_input(2)) {
    if (auto why = why_not_constant(n, 2, "the bias")) return why;
  }
  if (transposed && n.attr_int("group") != 1) return "there is no int8 kernel with groups";
  if (!n.in(0).type.is_static() || !n.out().type.is_static()) return std::nullopt;
  if (auto why = check_post_ops(graph, node, kDevice)) return why;
  const Result<ConvGeometry> g = conv_geometry(n);
  if (!g.ok()) return g.status().message();
  return why_not_int8(*g, transposed);
}

// Weights or bias are computed: both come with each run.
Status lower_computed(Lowering& l, const Node& node, ConvGeometry g, bool transposed) {
  const NodeView n(l.graph(), node);
  const FusedPart part = fuse(l.graph(), node, 0);
  MNN_ASSIGN_OR_RETURN(const Array x, image(l, node.inputs[0], false));
  g.x_pixel_stride = *pixel_stride(x);
  MNN_ASSIGN_OR_RETURN(const Array w,
                       l.real(node.inputs[1], row_major(l.dims(node.inputs[1]).size())));
  std::optional<Array> bias, residual;
  if (n.has_input(2)) {
    MNN_ASSIGN_OR_RETURN(bias, l.real(node.inputs[2], row_major(1)));
  }
  if (part.residual != kNoValue) {
    MNN_ASSIGN_OR_RETURN(residual, l.real(part.residual, channels_last(x.rank())));
  }
  const Array y = output_of(l, node.outputs[0], part, std::nullopt);
  g.y_pixel_stride = *pixel_stride(y);
  const auto make = transposed ? make_conv_transpose_f32 : make_conv_f32;
  MNN_ASSIGN_OR_RETURN(MatrixKernelPtr kernel,
                       make(g, nullptr, nullptr, part.epilogue, l.kernel_options()));
  add_matrix_step(l, node, std::move(kernel), x, &w, residual ? &*residual : nullptr, y,
                  ComputeForm::kF32, 0, part.epilogue, bias ? &*bias : nullptr);
  return l.finish(node, y, part.count);
}

// The weights of a convolution of single pixels, where they are codes that a product reads.
std::optional<WeightCodes> pointwise_codes(Lowering& l, ValueId v, const ConvGeometry& g) {
  const Value& w = l.graph().value(v);
  const auto one_by_one = [](int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t pad) {
    return kernel == 1 && in == out && pad == 0 && (stride == 1 || out == 1);
  };
  const bool pixels = g.groups == 1 && one_by_one(g.id, g.od, g.kd, g.stride_d, g.pad_front) &&
                      one_by_one(g.ih, g.oh, g.kh, g.stride_h, g.pad_top) &&
                      one_by_one(g.iw, g.ow, g.kw, g.stride_w, g.pad_left);
  if (!w.quant || !pixels || !takes_row_codes(*w.quant, {g.oc, g.ic})) return std::nullopt;
  return WeightCodes{l.weight_id(v), w.data.reshaped({g.oc, g.ic}), *w.quant, true};
}
// A row a pixel.
GemmGeometry pixel_product(const ConvGeometry& g) {
  GemmGeometry product;
  product.m = g.n * g.od * g.oh * g.ow;
  product.k = g.ic;
  product.n = g.oc;
  product.a_stride = g.x_pixel_stride;
  product.c_stride = g.y_pixel_stride;
  product.b_transposed = true;
  return product;
}

Status lower_conv_any(Lowering& l, const Node& node, bool transposed) {
  const NodeView n(l.graph(), node);
  MNN_ASSIGN_OR_RETURN(ConvGeometry g, conv_geometry(n));
  if (!n.is_constant(1) || (n.has_input(2) && !n.is_constant(2))) {
    return lower_computed(l, node, g, transposed);
  }
  const ValueId xv = node.inputs[0], yv = node.outputs[0];
  std::vector<float> sum;
  if (n.has_input(2)) {
    const Tensor* t = l.constant(node.inputs[2]);
    if (t == nullptr) return internal_error("the bias cannot be read");
    sum.assign(t->data<float>(), t->data<float>() + t->elements());
  }
  const size_t from = fuse_bias(l.graph(), node, 1, l.reader(), sum);
  const float* bias = sum.empty() ? nullptr : sum.data();
  const Order order = channels_last(l.dims(xv).size());
  const std::optional<Grid> in_grid = l.grid(xv), out_grid = l.grid(yv);
  const bool depthwise = g.groups == g.ic && g.groups > 1;
  const std::optional<ChannelGrid> in_channels =
      depthwise && l.channel_bytes(xv) ? l.channel_grid(xv) : std::nullopt;
  std::optional<ByteWeights> bytes;
  if ((in_grid || in_channels) && !why_not_window_bytes(l.graph(), node, ComputeForm::kU8xS8))
    bytes = byte_weights(n.in(1), transposed ? 1 : 0);
  if (bytes) {
    ByteOutput out(l.graph(), node, 1);
    const FusedPart part = out.fuse_from(from);
    const bool store_bytes = out.stored();
    Array x;
    if (in_channels) {
      x = *l.channel_bytes(xv);
    } else {
      MNN_ASSIGN_OR_RETURN(x, image(l, xv, true));
    }
    g.x_pixel_stride = *pixel_stride(x);
    ConvQuant quant;
    if (in_grid) quant.in = quant_of(*in_grid);
    if (in_channels) {
      quant.in_scales = in_channels->scales.data();
      quant.in_zero_points = in_channels->zeros.data();
    }
    quant.weight_scales = bytes->scales.data();
    set_output(out, quant);
    std::optional<Array> residual;
    if (part.residual != kNoValue) {
      const auto residual_grid = l.grid(part.residual);
      quant.residual_type = residual_grid ? ResidualType::kU8 : ResidualType::kF32;
      if (residual_grid) quant.residual = quant_of(*residual_grid);
      MNN_ASSIGN_OR_RETURN(
          residual, residual_grid ? l.stored(part.residual, order) : l.real(part.residual, order));
    }
    const Array y = out.channels() ? l.allocate(DType::kU8, l.dims(yv), order)
                                   : output_of(l, yv, part, store_bytes ? out_grid : std::nullopt);
    g.y_pixel_stride = *pixel_stride(y);
    const auto make = transposed ? make_conv_transpose_int8 : make_conv_int8;
    MNN_ASSIGN_OR_RETURN(MatrixKernelPtr kernel,
                         make(g, kernel_weights(l, node.inputs[1], *bytes), bias, quant,
                              part.epilogue, l.kernel_options()));
    add_matrix_step(l, node, std::move(kernel), x, nullptr, residual ? &*residual : nullptr, y,
                    ComputeForm::kU8xS8, bytes->values.bytes(), part.epilogue);
    if (out.channels()) {
      l.define_channel_bytes(yv, y);
      return {};
    }
    return l.finish(node, y, part.count);
  }
  const FusedPart part = fuse(l.graph(), node, from);
  MNN_ASSIGN_OR_RETURN(const Array x, image(l, xv, false));
  g.x_pixel_stride = *pixel_stride(x);
  std::optional<Array> residual;
  if (part.residual != kNoValue) {
    MNN_ASSIGN_OR_RETURN(residual, l.real(part.residual, order));
  }
  const Array y = output_of(l, yv, part, std::nullopt);
  g.y_pixel_stride = *pixel_stride(y);
  MatrixKernelPtr kernel;
  int64_t weight_bytes = product(l.dims(node.inputs[1])) * 4;
  if (const auto codes = transposed ? std::nullopt : pointwise_codes(l, node.inputs[1], g)) {
    weight_bytes = codes->stored.bytes();
    MNN_ASSIGN_OR_RETURN(
        kernel, make_gemm_codes(pixel_product(g), *codes, bias, part.epilogue, l.kernel_options()));
  } else {
    const auto make = transposed ? make_conv_transpose_f32 : make_conv_f32;
    MNN_ASSIGN_OR_RETURN(
        kernel, make(g, l.weights(node.inputs[1]), bias, part.epilogue, l.kernel_options()));
  }
  add_matrix_step(l, node, std::move(kernel), x, nullptr, residual ? &*residual : nullptr, y,
                  ComputeForm::kF32, weight_bytes, part.epilogue);
  return l.finish(node, y, part.count);
}

Status lower_conv(Lowering& l, const Node& node) { return lower_conv_any(l, node, false); }
Status lower_conv_transpose(Lowering& l, const Node& node) { return lower_conv_any(l, node, true); }

constexpr OpRow kConvRows[] = {
    {"Conv", supports_conv, lower_conv, true, why_not_window_bytes},
    {"ConvTranspose", supports_conv, lower_conv_transpose, true, why_not_window_bytes},
};

}  // namespace

std::span<const OpRow> conv_rows() { return kConvRows; }

}  // namespace mnn::cpu
