// Convolutions on channels-last data. Weights are given in ONNX order and packed at once, unless
// KernelOptions::weights has them packed already; the caller's copies may be freed after a make
// function has returned. Where there are no weights, they come with each run in KernelArgs::b, in
// the same order, and the bias in KernelArgs::bias.
#pragma once

#include <optional>

#include "libruntime/kernels/kernel.h"

namespace mnn {

// NHWC input [n, id, ih, iw, ic], output [n, od, oh, ow, oc]. 1-D convolution: h = 1; all but 3-D:
// d = 1. The output size is taken as given; taps that fall outside the input read zero. Strides of
// a pixel (in elements, 0: dense) let a kernel read or write a channel slice of a wider tensor; the
// residual is laid out like the output.
struct ConvGeometry {
  int64_t n = 1, ih = 1, iw = 1, ic = 1;
  int64_t oh = 1, ow = 1, oc = 1;
  int64_t groups = 1;
  int64_t kh = 1, kw = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;
  int64_t x_pixel_stride = 0, y_pixel_stride = 0;
  // Depth: the fp32 kernels only.
  int64_t id = 1, od = 1, kd = 1, stride_d = 1, dilation_d = 1, pad_front = 0;
  bool deep() const { return id > 1 || od > 1 || kd > 1; }
};

// weights [oc, ic / groups, kd, kh, kw]; bias [oc] or null. x, residual, y: float.
Result<MatrixKernelPtr> make_conv_f32(const ConvGeometry& geometry, const Weights<float>& weights,
                                      const float* bias, const Epilogue& epilogue,
                                      const KernelOptions& options);

// Strides of a transposed convolution multiply to at most this.
constexpr int64_t kMostTransposedStrides = 4096;

// Transposed convolution: weights [ic, oc / groups, kd, kh, kw] as in ONNX; pads and strides are
// the attributes of ConvTranspose, od, oh and ow its output size.
Result<MatrixKernelPtr> make_conv_transpose_f32(const ConvGeometry& geometry,
                                                const Weights<float>& weights, const float* bias,
                                                const Epilogue& epilogue,
                                                const KernelOptions& options);

// real = (q - zero_point) * scale, q an unsigned byte. Signed models add 128 to both.
struct QuantU8 {
  float scale = 1;
  int zero_point = 0;
};

enum class ResidualType : uint8_t { kU8, kF32 };

struct ConvQuant {
  QuantU8 in;
  // Depthwise only (groups == ic): one scale and zero point per input channel, or null for `in`.
  const float* in_scales = nullptr;
  const int* in_zero_points = nullptr;
  const float* weight_scales = nullptr;  // [oc], symmetric weights
  std::optional<QuantU8> out;            // nullopt: y is float
  // With `out`: one scale and zero point per output channel instead, or null.
  const float* out_scales = nullptr;
  const int* out_zero_points = nullptr;
  ResidualType residual_type = ResidualType::kU8;
  QuantU8 residual;  // of a kU8 residual
};

// Why bytes of that geometry, whatever the weights, have no kernel here; nullopt when they have
// one, and then the make function below fails for nothing but what it is given (scales, memory).
std::optional<std::string> why_not_int8(const ConvGeometry& geometry, bool transposed);

// u8 activations, s8 weights [oc, ic / groups, kh, kw], real bias [oc] or null. With acc the exact
// int32 sum of (x - zero_point) * w, all in float without contraction:
//   v = before(float(acc) * (in_scale * weight_scale) + bias) [+ (r - r_zp) * r_scale], v =
//   after(v), q = saturate(round_half_even(v * (1 / out_scale)) + out_zp)
// The bytes are the same for any number of parts, and on every instruction set with the activations
// kNone, kRelu, kClip, kLeakyRelu, kHardSigmoid, kHardSwish; with others to within rounding.
Result<MatrixKernelPtr> make_conv_int8(const ConvGeometry& geometry, const Weights<int8_t>& weights,
                                       const float* bias, const ConvQuant& quant,
                                       const Epilogue& epilogue, const KernelOptions& options);

// Transposed, without groups: weights [ic, oc, kh, kw] and geometry as of make_conv_transpose_f32,
// the rest as above.
Result<MatrixKernelPtr> make_conv_transpose_int8(const ConvGeometry& geometry,
                                                 const Weights<int8_t>& weights, const float* bias,
                                                 const ConvQuant& quant, const Epilogue& epilogue,
                                                 const KernelOptions& options);

}  // namespace mnn
