// Attributes that became inputs, and Upsample, Resize.
#include <array>
#include <cmath>
#include <cstdio>

#include "libconvert/frontends/onnx/op_map.h"

namespace mnn::onnx {
namespace {

// Makes the attribute `key` the 1-D input `index` of a node that has no input there yet.
void ints_to_input(NodeUpgrade& u, std::string_view key, size_t index) {
  const std::optional<std::vector<int64_t>> values = u.take_ints(key);
  if (!values) return;
  if (u.has(index)) {
    return u.fail(invalid(std::string(key) + " is both an attribute and an input"));
  }
  u.set_input(index, u.add_ints(*values));
}

// An empty tensor stands for an absent input.
void drop_empty_input(NodeUpgrade& u, size_t index) {
  if (!u.has(index)) return;
  const Type& type = u.type_of(u.inputs[index]);
  if (type.shape && type.rank() == 1 && (*type.shape)[0].is(0)) u.inputs[index] = kNoValue;
}

// What makes the length of a resized axis no whole number; empty: nothing does.
std::string unrounded_length(NodeUpgrade& u) {
  if (!u.has(2)) {
    const std::string* const policy = u.find_attr<std::string>("keep_aspect_ratio_policy");
    return policy != nullptr && *policy != "stretch" ? "its keep_aspect_ratio_policy " + *policy
                                                     : std::string();
  }
  const Tensor* const scales = u.constant(2);
  if (scales == nullptr) return "its computed scales";
  const Result<std::vector<double>> values = scales->to_doubles();
  if (!values.ok()) return {};
  const std::vector<int64_t>* const axes = u.find_attr<std::vector<int64_t>>("axes");
  for (size_t i = 0; i < values->size(); ++i) {
    int64_t axis = axes && i < axes->size() ? (*axes)[i] : static_cast<int64_t>(i);
    if (axis < 0) axis += static_cast<int64_t>(u.rank(0).value_or(0));
    const Dim dim = axis < 0 ? Dim::unknown() : u.dim(0, static_cast<size_t>(axis));
    const double scale = (*values)[i];
    const double length = dim.known() ? scale * static_cast<double>(dim.value()) : scale;
    if (std::fabs(length - std::round(length)) <= 1e-6 * length) continue;
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "its scale %g", scale);
    return text.data() + (dim.known() ? " of a dimension of " + dim.str() : std::string());
  }
  return {};
}

// Coordinates that depend on the output's length come out another way in ONNX Runtime and PyTorch
// where that is no whole number.
void note_unrounded_length(NodeUpgrade& u) {
  const std::string* const transform = u.find_attr<std::string>("coordinate_transformation_mode");
  const std::string* const mode = u.find_attr<std::string>("mode");
  if (transform == nullptr || mode == nullptr || *mode == "nearest" ||
      (*transform != "align_corners" && *transform != "tf_crop_and_resize")) {
    return;
  }
  const std::string cause = unrounded_length(u);
  if (cause.empty()) return;
  u.notes.push_back(
      cause + " gives a length that may be no whole number: with " + *transform +
      " coordinates follow the unrounded length here, as in the ONNX node tests, and "
      "the rounded one in ONNX Runtime and PyTorch. The input sizes (with "
      "keep_aspect_ratio_policy stretch) in place of scales means the same everywhere");
}

}  // namespace

// Squeeze and Unsqueeze.
void upgrade_axes(NodeUpgrade& u) {
  if (u.version < 13) ints_to_input(u, "axes", 1);
}

void upgrade_dft(NodeUpgrade& u) {
  if (u.version >= 20) return;
  const int64_t axis = u.take_int("axis").value_or(1);
  u.set_input(2, u.add_constant(Tensor::scalar(axis)));
}

void upgrade_pad(NodeUpgrade& u) {
  if (u.version >= 11) return;
  const double value = u.take_float("value").value_or(0.0);
  ints_to_input(u, u.version < 2 ? "paddings" : "pads", 1);
  if (value != 0.0) u.set_input(2, u.add_scalar(value, u.dtype(0)));
}

void upgrade_reduce(NodeUpgrade& u) {
  if (u.version < 18) ints_to_input(u, "axes", 1);
}

void upgrade_reduce_sum(NodeUpgrade& u) {
  if (u.version < 13) ints_to_input(u, "axes", 1);
}

void upgrade_reshape(NodeUpgrade& u) {
  if (u.version >= 5) return;
  u.drop_attr("consumed_inputs");
  ints_to_input(u, "shape", 1);
}

// Version 10 sampled at x * scale; the pixel-centre rules came with version 11.
void upgrade_resize(NodeUpgrade& u) {
  if (u.version < 11) {
    if (u.inputs.size() == 2) u.inputs.insert(u.inputs.begin() + 1, kNoValue);
    u.attributes["coordinate_transformation_mode"] = std::string("asymmetric");
    u.attributes["nearest_mode"] = std::string("simple");
    return;
  }
  for (size_t i = 1; i < 4; ++i) drop_empty_input(u, i);
  note_unrounded_length(u);
  // Versions 11 and 12 had no absent scales: beside sizes they are empty, known to be so or not.
  if (u.version < 13 && u.has(3) && u.constant(2) == nullptr) u.set_input(2, kNoValue);
  // Version 11 had one rule more: (x + 0.5) / scale, which is half_pixel moved by a half.
  std::string* mode = u.find_attr<std::string>("coordinate_transformation_mode");
  if (mode == nullptr || *mode != "tf_half_pixel_for_nn") return;
  const std::string rounding = u.take_string("nearest_mode").value_or("round_prefer_floor");
  if (rounding != "floor" && rounding != "round_prefer_floor") {
    return u.fail(unsupported("tf_half_pixel_for_nn with nearest_mode " + rounding));
  }
  *mode = "half_pixel";
  u.attributes["nearest_mode"] = std::string(rounding == "floor" ? "round_prefer_ceil" : "ceil");
}

void upgrade_slice(NodeUpgrade& u) {
  if (u.version >= 10) return;
  ints_to_input(u, "starts", 1);
  ints_to_input(u, "ends", 2);
  ints_to_input(u, "axes", 3);
}

void upgrade_split(NodeUpgrade& u) {
  if (u.version < 2) u.default_attr("axis", int64_t{0});
  if (u.version < 13) ints_to_input(u, "split", 1);
  if (!u.has(1)) u.default_attr("num_outputs", static_cast<int64_t>(u.wanted.size()));
}

void upgrade_topk(NodeUpgrade& u) {
  if (u.version >= 10) return;
  const std::optional<int64_t> k = u.take_int("k");
  if (!k) return u.fail(invalid("attribute k is missing"));
  u.set_input(1, u.add_ints({*k}));
}

void upgrade_upsample(NodeUpgrade& u) {
  std::string mode = u.take_string("mode").value_or("nearest");
  if (mode == "bilinear" || mode == "trilinear") mode = "linear";
  std::vector<double> scales;
  if (u.version < 7 && u.has_attr("height_scale")) {
    const double height = u.take_float("height_scale").value_or(1.0);
    scales = {1.0, 1.0, height, u.take_float("width_scale").value_or(1.0)};
  } else {
    scales = u.take_floats("scales").value_or(std::vector<double>());
  }
  ValueId input = u.in(1);
  if (!scales.empty()) {
    const std::vector<float> values(scales.begin(), scales.end());
    input = u.add_constant(Tensor::of<float>({static_cast<int64_t>(values.size())}, values));
  }
  if (input == kNoValue) return u.fail(invalid("scales are missing"));
  u.inputs = {u.in(0), kNoValue, input};
  u.attributes["mode"] = mode;
  u.attributes["coordinate_transformation_mode"] = std::string("asymmetric");
  u.attributes["nearest_mode"] = std::string("floor");
}

}  // namespace mnn::onnx
