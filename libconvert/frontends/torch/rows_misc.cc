// Asserts, quantization, vision operators and what fits nowhere else.
#include <algorithm>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

void nothing(Call&) {}

// PT2E: numbers to codes and back. `fold_qdq` makes QuantParams of the pair.
ValueId zero_point(Call& c, DType storage) {
  const Arg& a = c.arg(c.has_param("zero_point") ? "zero_point" : "zero_points");
  if (const IntArg* n = a.get<IntArg>(); n != nullptr && n->known()) {
    return c.number(static_cast<double>(n->value), storage);
  }
  if (a.is_none()) return kNoValue;
  return c.cast(c.tensor(c.has_param("zero_point") ? "zero_point" : "zero_points"), storage);
}
ValueId scale(Call& c) {
  const std::string_view name = c.has_param("scale") ? "scale" : "scales";
  return c.cast(c.as(name, DType::kF32), DType::kF32);
}

// Codes limited to less than their type: kept when the bounds are the type's own.
bool whole_range(Call& c, DType storage) {
  const int64_t low = c.integer("quant_min"), high = c.integer("quant_max");
  const int bits = dtype_bits(storage);
  const bool with_sign = is_signed_integer(storage);
  const int64_t least = with_sign ? -(int64_t{1} << (bits - 1)) : 0;
  const int64_t most = with_sign ? (int64_t{1} << (bits - 1)) - 1 : (int64_t{1} << bits) - 1;
  return low == least && high == most;
}

Call::Attributes axis_attribute(Call& c, ValueId x) {
  if (!c.has_param("axis")) return {};
  return {{"axis", c.axis("axis", c.rank(x))}};
}

void quantize(Call& c) {
  const ValueId x = c.cast(c.tensor("input"), DType::kF32);
  const DType storage = c.dtype("dtype", DType::kI8);
  if (!is_integer(storage) || dtype_bits(storage) > 16)
    return c.refuse("quantization to this element type");
  const Call::Attributes axis = axis_attribute(c, x);
  ValueId y = c.emit("QuantizeLinear", {x, scale(c), zero_point(c, storage)}, axis);
  if (!whole_range(c, storage)) {
    // Narrow ranges (-127…127): clipped as numbers, which pairs still fold over.
    const auto wide = [&](int64_t v) { return c.number(static_cast<double>(v), DType::kI32); };
    y = c.cast(c.emit("Clip", {c.cast(y, DType::kI32), wide(c.integer("quant_min")),
                               wide(c.integer("quant_max"))}),
               storage);
  }
  c.give(y);
}

void dequantize(Call& c) {
  const ValueId x = c.tensor("input");
  const DType storage = c.dtype_of(x);
  const ValueId y =
      c.emit("DequantizeLinear", {x, scale(c), zero_point(c, storage)}, axis_attribute(c, x));
  c.give(c.has_param("out_dtype") ? c.cast(y, c.dtype("out_dtype", DType::kF32)) : y);
}

void fake_quantize(Call& c) {
  const ValueId x = c.tensor("self");
  const int64_t low = c.integer("quant_min");
  const DType storage = low < 0 ? DType::kI8 : DType::kU8;
  const Call::Attributes axis = axis_attribute(c, x);
  if (!whole_range(c, storage) && !(low == -127 && c.integer("quant_max") == 127)) {
    return c.refuse("fake quantization to fewer than 8 bits");
  }
  const ValueId s = scale(c), z = zero_point(c, storage);
  c.give(c.emit("DequantizeLinear", {c.emit("QuantizeLinear", {x, s, z}, axis), s, z}, axis));
}

// Boxes [n, 4] as corners, best first; the kept ones' places.
void nms(Call& c) {
  const ValueId boxes = c.tensor("dets"), scores = c.tensor("scores");
  const ValueId b = c.expand_dims(boxes, {0}), s = c.expand_dims(scores, {0, 1});
  const ValueId most = c.reshape(c.unary("Size", scores), {1});
  const std::vector<float> threshold = {static_cast<float>(c.real("iou_threshold"))};
  const ValueId y =
      c.emit("NonMaxSuppression", {b, s, most, c.add_constant(Tensor::of<float>({1}, threshold))});
  c.give(c.squeeze(c.slice(y, 1, IntArg{2}, IntArg{3}), {1}));
}

void roi_align(Call& c) {
  const ValueId rois = c.tensor("rois");
  const ValueId batch = c.cast(c.squeeze(c.slice(rois, 1, IntArg{0}, IntArg{1}), {1}), DType::kI64);
  const ValueId boxes = c.slice(rois, 1, IntArg{1}, IntArg{5});
  c.give(c.emit("RoiAlign", {c.tensor("input"), boxes, batch},
                {{"coordinate_transformation_mode",
                  std::string(c.flag("aligned") ? "half_pixel" : "output_half_pixel")},
                 {"output_height", c.integer("pooled_height")},
                 {"output_width", c.integer("pooled_width")},
                 {"sampling_ratio", std::max<int64_t>(0, c.integer("sampling_ratio"))},
                 {"spatial_scale", c.real("spatial_scale")}}));
}

void deform_conv(Call& c) {
  const auto pair = [&](const char* h, const char* w) {
    return std::vector<int64_t>{c.integer(h), c.integer(w)};
  };
  std::vector<int64_t> pads = pair("pad_h", "pad_w");
  pads.insert(pads.end(), {pads[0], pads[1]});
  const ValueId w = c.tensor("weight");
  if (c.rank(w) != 4) return c.fail(invalid("expected a weight of rank 4"));
  const ValueId mask = c.flag("use_mask") ? c.tensor("mask") : kNoValue;
  c.give(c.emit("DeformConv", {c.tensor("input"), w, c.tensor("offset"), c.tensor("bias"), mask},
                {{"dilations", pair("dilation_h", "dilation_w")},
                 {"group", c.integer("groups")},
                 {"kernel_shape", std::vector<int64_t>{c.known_dim(w, 2), c.known_dim(w, 3)}},
                 {"offset_group", c.integer("offset_groups")},
                 {"pads", pads},
                 {"strides", pair("stride_h", "stride_w")}}));
}

}  // namespace

std::vector<RowText> misc_rows() {
  return {
      {"_assert_async(Tensor self) -> ()", "none", nothing},
      {"_assert_async.msg(Tensor self, str assert_msg) -> ()", "none", nothing},
      {"_assert_scalar(Scalar self, str assert_msg) -> ()", "none", nothing},
      {"_assert_tensor_metadata(Tensor a, int[]? size=None, int[]? stride=None, ScalarType? "
       "dtype=None, *, Device? device=None, Layout? layout=None) -> ()",
       "none", nothing},
      {"sym_constrain_range(Scalar size, *, int? min=None, int? max=None) -> ()", "none", nothing},
      {"sym_constrain_range_for_size(Scalar size, *, int? min=None, int? max=None) -> ()", "none",
       nothing},
      {"warn(str message, int stacklevel=2) -> ()", "none", nothing},
      {"quantized_decomposed::quantize_per_tensor(Tensor input, float scale, int zero_point, int "
       "quant_min, int quant_max, ScalarType dtype) -> Tensor",
       "QuantizeLinear", quantize},
      {"quantized_decomposed::quantize_per_tensor.tensor(Tensor input, Tensor scale, Tensor "
       "zero_point, int quant_min, int quant_max, ScalarType dtype) -> Tensor",
       "QuantizeLinear", quantize},
      {"quantized_decomposed::quantize_per_tensor.tensor2(Tensor input, Tensor scale, Tensor "
       "zero_point, Scalar quant_min, Scalar quant_max, ScalarType dtype) -> Tensor",
       "QuantizeLinear", quantize},
      {"quantized_decomposed::dequantize_per_tensor(Tensor input, float scale, int zero_point, int "
       "quant_min, int quant_max, ScalarType dtype, *, ScalarType? out_dtype=None) -> Tensor",
       "DequantizeLinear", dequantize},
      {"quantized_decomposed::dequantize_per_tensor.tensor(Tensor input, Tensor scale, Tensor "
       "zero_point, int quant_min, int quant_max, ScalarType dtype, *, ScalarType? "
       "out_dtype=None) -> Tensor",
       "DequantizeLinear", dequantize},
      {"quantized_decomposed::dequantize_per_tensor.tensor2(Tensor input, Tensor scale, Tensor "
       "zero_point, Scalar quant_min, Scalar quant_max, ScalarType dtype, *, ScalarType? "
       "out_dtype=None) -> Tensor",
       "DequantizeLinear", dequantize},
      {"quantized_decomposed::quantize_per_channel(Tensor input, Tensor scales, Tensor "
       "zero_points, int axis, int quant_min, int quant_max, ScalarType dtype) -> Tensor",
       "QuantizeLinear", quantize},
      {"quantized_decomposed::dequantize_per_channel(Tensor input, Tensor scales, Tensor? "
       "zero_points, int axis, int quant_min, int quant_max, ScalarType dtype, *, ScalarType? "
       "out_dtype=None) -> Tensor",
       "DequantizeLinear", dequantize},
      {"fake_quantize_per_tensor_affine(Tensor self, float scale, int zero_point, int quant_min, "
       "int quant_max) -> Tensor",
       "QuantizeLinear, DequantizeLinear", fake_quantize},
      {"fake_quantize_per_channel_affine(Tensor self, Tensor scale, Tensor zero_point, int axis, "
       "int quant_min, int quant_max) -> Tensor",
       "QuantizeLinear, DequantizeLinear", fake_quantize},
      {"torchvision::nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
       "NonMaxSuppression", nms},
      {"torchvision::roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, "
       "int pooled_width, int sampling_ratio, bool aligned) -> Tensor",
       "RoiAlign", roi_align},
      {"torchvision::deform_conv2d(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor "
       "bias, int stride_h, int stride_w, int pad_h, int pad_w, int dilation_h, int dilation_w, "
       "int groups, int offset_groups, bool use_mask) -> Tensor",
       "DeformConv", deform_conv},
  };
}

}  // namespace mnn::torch
