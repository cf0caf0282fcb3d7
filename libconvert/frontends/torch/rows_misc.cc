// Asserts, vision operators and what fits nowhere else.
#include <algorithm>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

void nothing(Call&) {}

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
