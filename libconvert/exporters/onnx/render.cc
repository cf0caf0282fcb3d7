// Operators in the form of an older opset: inputs that were attributes, modes under other names.
#include <algorithm>
#include <numeric>

#include "libconvert/exporters/onnx/rows.h"

namespace mnn::onnx_export {
namespace {

AttributeReader read(const NodeForm& form) { return {form.node, *find_op(form.node.op)}; }

// The elements of the constant input i as doubles; nullopt when it is computed.
std::optional<std::vector<double>> doubles(const NodeForm& form, size_t i) {
  const Tensor* data = form.has(i) ? form.graph.constant(form.node.inputs[i]) : nullptr;
  if (data == nullptr) return std::nullopt;
  Result<std::vector<double>> values = data->to_doubles();
  return values.ok() ? std::optional(std::move(values).value()) : std::nullopt;
}

// `axes` of a tensor of rank `rank`, non-negative; fails the node when one is out of range.
std::vector<size_t> normalized(NodeForm& form, const std::vector<int64_t>& axes, size_t rank) {
  std::vector<size_t> out;
  for (const int64_t axis : axes) {
    const Result<size_t> at = normalize_axis(axis, rank);
    if (!at.ok()) {
      form.fail(at.status().message());
      return {};
    }
    out.push_back(*at);
  }
  return out;
}

}  // namespace

void render_dft(NodeForm& form) {
  // The axis was an attribute, and its default another one.
  int64_t axis = -2;
  if (form.has(2)) {
    const auto given = form.ints(2, "the axis");
    if (!given || given->size() != 1) return;
    axis = given->front();
  }
  form.drop_input(2);
  form.node.attributes["axis"] = axis;
}

void render_grid_sample(NodeForm& form) {
  const std::string mode = read(form).attr_string("mode");
  if (form.rank(0) != std::optional<size_t>(4)) {
    return form.fail("volumes came with opset 20");
  }
  form.node.attributes["mode"] = std::string(mode == "linear"  ? "bilinear"
                                             : mode == "cubic" ? "bicubic"
                                                               : mode);
}

void render_pad(NodeForm& form) {
  if (read(form).attr_string("mode") == "wrap") return form.fail("mode wrap came with opset 19");
  if (!form.has(3)) return form.drop_input(3);
  const auto axes = form.ints(3, "the axes"), pads = form.ints(1, "the pads");
  const auto rank = form.rank(0);
  if (!axes || !pads) return;
  if (!rank) return form.fail("axes of an input of unknown rank");
  const std::vector<size_t> at = normalized(form, *axes, *rank);
  if (!form.status.ok() || pads->size() != 2 * at.size()) return;
  std::vector<int64_t> all(2 * *rank, 0);
  for (size_t i = 0; i < at.size(); ++i) {
    all[at[i]] = (*pads)[i];
    all[*rank + at[i]] = (*pads)[at.size() + i];
  }
  form.node.inputs[1] = form.add(Tensor::ints(all));
  form.drop_input(3);
}

void render_quantize(NodeForm& form) {
  const int64_t type = read(form).attr_int("output_dtype");
  form.node.attributes.erase("output_dtype");
  if (type == 0 || form.has(2)) return;
  // The zero point says the type.
  const Tensor* scale = form.graph.constant(form.node.inputs[1]);
  Result<Tensor> zero = scale == nullptr
                            ? unsupported("a computed scale without a zero point")
                            : Tensor::allocate(static_cast<DType>(type), scale->dims());
  if (!zero.ok()) return form.fail(zero.status().message());
  form.node.inputs.resize(3, kNoValue);
  form.node.inputs[2] = form.add(std::move(zero).value());
}

void render_reduce(NodeForm& form) {
  if (!form.has(1)) return form.drop_input(1);
  const auto axes = form.ints(1, "the axes");
  if (!axes) return;
  form.drop_input(1);
  if (axes->empty()) return;  // all, or none where noop_with_empty_axes says so
  form.node.attributes.erase("noop_with_empty_axes");
  form.node.attributes["axes"] = *axes;
}

void render_reshape(NodeForm& form) {
  if (read(form).attr_int("allowzero") == 0) return;
  const auto dims = form.ints(1, "the dims");
  if (!dims) return;
  if (std::ranges::find(*dims, 0) != dims->end()) return;  // not neutral: refused by its name
  form.node.attributes.erase("allowzero");
}

void render_resize(NodeForm& form) {
  const AttributeReader a = read(form);
  if (a.attr_string("coordinate_transformation_mode") == "half_pixel_symmetric") {
    return form.fail("half_pixel_symmetric came with opset 19");
  }
  const std::vector<int64_t> axes = a.attr_ints("axes");
  if (axes.empty()) return;
  const auto rank = form.rank(0);
  if (!rank) return form.fail("axes of an input of unknown rank");
  const std::vector<size_t> at = normalized(form, axes, *rank);
  if (!form.status.ok()) return;
  if (form.has(1) && a.attr_string("coordinate_transformation_mode") == "tf_crop_and_resize") {
    return form.fail("a region along some axes came with opset 18");
  }
  if (form.has(3)) {
    const auto sizes = form.ints(3, "the sizes");
    const Type& type = form.graph.value(form.node.inputs[0]).type;
    if (!sizes || sizes->size() != at.size()) return;
    std::vector<int64_t> all(*rank, 0);
    for (size_t d = 0; d < *rank; ++d) {
      const auto i = std::ranges::find(at, d) - at.begin();
      const bool given = i < static_cast<std::ptrdiff_t>(at.size());
      if (!given && !(*type.shape)[d].known()) return form.fail("sizes beside an open dimension");
      all[d] = given ? (*sizes)[static_cast<size_t>(i)] : (*type.shape)[d].value();
    }
    form.node.inputs[3] = form.add(Tensor::ints(all));
  } else {
    const auto scales = doubles(form, 2);
    if (!scales || scales->size() != at.size()) {
      return form.fail("the scales are computed, which opset " + std::to_string(form.opset) +
                       " cannot spread over the axes");
    }
    std::vector<float> all(*rank, 1.0f);
    for (size_t i = 0; i < at.size(); ++i) all[at[i]] = static_cast<float>((*scales)[i]);
    form.node.inputs[2] =
        form.add(Tensor::of<float>({static_cast<int64_t>(*rank)}, std::span<const float>(all)));
  }
  form.node.attributes.erase("axes");
}

void render_roi_align(NodeForm& form) {
  if (read(form).attr_string("coordinate_transformation_mode") != "output_half_pixel") {
    return form.fail("coordinates shifted by half a pixel came with opset 16");
  }
  form.node.attributes.erase("coordinate_transformation_mode");
}

void render_scatter(NodeForm& form) {
  const std::string reduction = read(form).attr_string("reduction");
  if (reduction == "min" || reduction == "max") {
    form.fail("reduction " + reduction + " came with opset 18");
  }
}

void render_split(NodeForm& form) {
  form.node.attributes.erase("num_outputs");
  if (form.has(1)) return;
  const auto parts = static_cast<int64_t>(form.node.outputs.size());
  const Type& type = form.graph.value(form.node.inputs[0]).type;
  if (!type.shape) return;
  const Result<size_t> axis = normalize_axis(read(form).attr_int("axis"), type.rank());
  if (!axis.ok() || !(*type.shape)[*axis].known()) return;  // equal parts, or an error of the run
  const int64_t length = (*type.shape)[*axis].value(), each = (length + parts - 1) / parts;
  if (length % parts == 0) return;
  std::vector<int64_t> sizes(static_cast<size_t>(parts), each);
  sizes.back() = length - each * (parts - 1);
  form.node.inputs.resize(2, kNoValue);
  form.node.inputs[1] = form.add(Tensor::ints(sizes));
}

}  // namespace mnn::onnx_export
