#include "apps/flows/assume_shapes.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "apps/flows/check.h"
#include "apps/flows/tensors.h"
#include "libruntime/core/op.h"

namespace mnn::flows {
namespace {

constexpr int64_t kUsualStride = 32, kLongestSide = 640;
constexpr size_t kOwnSizes = 3;
constexpr int64_t kLongestInner = 1024;  // squared, that is a tensor of some size

bool is_open(const Graph& graph) {
  const auto dims = concrete_input_dims(graph);
  return !dims.ok() && dims.status().code() == Code::kUsage;
}

struct Size {
  int64_t height = 0, width = 0;
};

// Where height and width of an image input are.
struct Axes {
  size_t height = 2, width = 3;
};
Axes axes_of(const std::string& layout) { return layout == "nhwc" ? Axes{1, 2} : Axes{2, 3}; }

bool takes_images(const Type& type) {
  return is_float(type.dtype) && type.shape && type.rank() == 4;
}

// Convolutions and pooling.
bool slides_window(const Node& node) {
  return std::ranges::any_of(find_op(node.op)->attributes,
                             [](const AttrDef& a) { return a.name == "kernel_shape"; });
}

// By how much the smallest feature map of convolutions and pooling is smaller than the image, along
// its open axes, measured with 1024 there. Maps of some few pixels are averages over all of them.
int64_t total_stride(const Graph& graph, const Value& image, const Axes& axes) {
  constexpr int64_t kSide = 1024, kSmallestMap = 8;
  const std::array<size_t, 2> in_image = {axes.height, axes.width}, in_map = {2, 3};
  std::vector<int64_t> dims(image.type.rank(), -1);
  for (const size_t axis : in_image) {
    if (!(*image.type.shape)[axis].known()) dims[axis] = kSide;
  }
  Graph bound = graph;
  if (!bind_shapes(bound, {{image.name, dims}}).ok()) return kUsualStride;
  int64_t stride = 1;
  for (const Node& node : bound.nodes) {
    if (!slides_window(node)) continue;
    const Type& type = bound.value(node.outputs[0]).type;
    if (!type.shape || type.rank() != 4) continue;
    for (size_t k = 0; k < 2; ++k) {
      const Dim& d = (*type.shape)[in_map[k]];
      if (dims[in_image[k]] != kSide || !d.known()) continue;
      if (d.value() >= kSmallestMap && kSide % d.value() == 0) {
        stride = std::max(stride, kSide / d.value());
      }
    }
  }
  return stride;
}

int64_t rounded(double size, int64_t multiple) {
  return std::max<int64_t>(1, std::llround(size / static_cast<double>(multiple))) * multiple;
}

// The median height and width of some of the images.
Result<Size> median_size(const Samples& samples) {
  constexpr size_t kMost = 16;
  std::vector<int64_t> heights, widths;
  const size_t step = std::max<size_t>(1, samples.names.size() / kMost);
  for (size_t i = 0; i < samples.names.size(); i += step) {
    if (!is_image_name(samples.names[i])) continue;
    MNN_ASSIGN_OR_RETURN(const auto size, read_image_size(samples.names[i]));
    heights.push_back(size.first);
    widths.push_back(size.second);
  }
  const auto median = [](std::vector<int64_t>& list) {
    std::nth_element(list.begin(), list.begin() + static_cast<int64_t>(list.size() / 2),
                     list.end());
    return list[list.size() / 2];
  };
  return Size{median(heights), median(widths)};
}

// Whether the model runs on random inputs of these dims.
bool runs(const Graph& graph, const ShapeMap& shapes, int threads) {
  Graph bound = graph;
  if (!bind_shapes(bound, shapes).ok()) return false;
  const auto dims = concrete_input_dims(bound);
  if (!dims.ok()) return false;
  const auto inputs = random_inputs(bound, *dims, 1);
  if (!inputs.ok()) return false;
  auto session = open_session(bound, threads);
  return session.ok() && (*session)->run(*inputs).ok();
}

// What the open dims are to be: height and width of an image, the last dim of other inputs, and
// those between the first, which is 1, and the last.
struct Sizes {
  Size image;
  int64_t last = 1, inner = 1;
};

// Full dims of every input that has open ones. Dims of one symbol are the same everywhere.
ShapeMap filled(const Graph& graph, const Axes& axes, const Sizes& sizes) {
  Bindings bindings;
  const auto fill = [&](const Dim& dim, int64_t value) {
    const Dim bound = dim.bind(bindings);
    if (bound.known()) return bound.value();
    std::vector<std::string> symbols;
    dim.collect_symbols(symbols);
    if (symbols.size() == 1 && dim.str() == symbols[0]) bindings[symbols[0]] = value;
    return value;
  };
  // A batch is known by its place as the first dim, and may come again in another one.
  for (const ValueId v : graph.inputs) {
    const Type& type = graph.value(v).type;
    if (type.shape && type.rank() > 0) (void)fill((*type.shape)[0], 1);
  }
  ShapeMap shapes;
  for (const ValueId v : graph.inputs) {
    const Value& value = graph.value(v);
    if (!value.type.shape) continue;
    const bool image = takes_images(value.type);
    std::vector<int64_t> dims;
    bool open = false;
    for (size_t i = 0; i < value.type.rank(); ++i) {
      const Dim& d = (*value.type.shape)[i];
      open |= !d.known();
      dims.push_back(fill(d, i == 0                       ? 1
                             : image && i == axes.height  ? sizes.image.height
                             : image && i == axes.width   ? sizes.image.width
                             : image                      ? 3
                             : i + 1 == value.type.rank() ? sizes.last
                                                          : sizes.inner));
    }
    if (open) shapes[value.name] = std::move(dims);
  }
  return shapes;
}

// Sizes of images to try in turn, first kOwnSizes of the images' own where there are some. One that
// is known binds the other by the images' shape.
std::vector<Size> image_sizes(const Shape& shape, const Axes& axes, const std::optional<Size>& seen,
                              int64_t stride) {
  const Dim &h = shape[axes.height], &w = shape[axes.width];
  std::vector<Size> sizes;
  if (seen) {
    double scale = std::min(1.0, static_cast<double>(kLongestSide) /
                                     static_cast<double>(std::max(seen->height, seen->width)));
    if (h.known()) scale = static_cast<double>(h.value()) / static_cast<double>(seen->height);
    if (w.known()) scale = static_cast<double>(w.value()) / static_cast<double>(seen->width);
    const std::array<int64_t, kOwnSizes> multiples = {stride, kUsualStride, 2 * kUsualStride};
    for (const int64_t multiple : multiples) {
      sizes.push_back({rounded(scale * static_cast<double>(seen->height), multiple),
                       rounded(scale * static_cast<double>(seen->width), multiple)});
    }
  }
  for (const Size size : {Size{320, 320}, Size{224, 224}, Size{640, 640}, Size{48, 320},
                          Size{32, 320}, Size{64, 256}, Size{112, 112}}) {
    sizes.push_back(size);
  }
  for (Size& size : sizes) {
    if (h.known()) size.height = h.value();
    if (w.known()) size.width = w.value();
  }
  return sizes;
}

Status ask_for_shape(const Graph& graph) {
  const auto dims = concrete_input_dims(graph);
  return usage_error(dims.status().message() + "; the model runs on none of the usual sizes");
}

// Of tensors: the first sample's own dims.
Result<AssumedShapes> from_sample(const Graph& graph, const Samples& samples) {
  MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> first, samples.load(0));
  AssumedShapes out;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    out.shapes[graph.value(graph.inputs[i]).name] = first[i].dims();
  }
  out.why = "from the first sample, " + samples.names[0];
  return out;
}

}  // namespace

std::string guess_layout(const Graph& graph) {
  if (graph.inputs.size() != 1) return "nchw";
  const Type& type = graph.value(graph.inputs[0]).type;
  if (!takes_images(type)) return "nchw";
  const auto channels = [&](size_t i) {
    const Dim& d = (*type.shape)[i];
    return d.known() && (d.value() == 1 || d.value() == 3);
  };
  return channels(3) && !channels(1) ? "nhwc" : "nchw";
}

Result<AssumedShapes> assume_shapes(const Graph& graph, const Samples* samples,
                                    const ImageOptions& images, int threads) {
  AssumedShapes out;
  if (!is_open(graph)) return out;
  const bool pictures = samples != nullptr && is_image_name(samples->names[0]);
  if (samples != nullptr && !pictures) return from_sample(graph, *samples);
  const Axes axes = axes_of(images.layout);
  std::optional<Size> seen;
  if (pictures) {
    MNN_ASSIGN_OR_RETURN(seen, median_size(*samples));
  }
  const Value* image = nullptr;
  for (const ValueId v : graph.inputs) {
    if (image == nullptr && takes_images(graph.value(v).type)) image = &graph.value(v);
  }
  if (image != nullptr) {
    const int64_t stride = total_stride(graph, *image, axes);
    const bool given = images.height > 0;
    const std::vector<Size> sizes = given ? std::vector{Size{images.height, images.width}}
                                          : image_sizes(*image->type.shape, axes, seen, stride);
    for (size_t i = 0; i < sizes.size(); ++i) {
      out.shapes = filled(graph, axes, {sizes[i], kUsualStride, kUsualStride});
      if (!runs(graph, out.shapes, threads)) continue;
      out.height = sizes[i].height;
      out.width = sizes[i].width;
      out.why = given ? "from --image-size"
                : seen && i < kOwnSizes
                    ? "the images' median size in multiples of the model's total stride, " +
                          std::to_string(stride)
                    : "a usual size on which the model runs";
      return out;
    }
    return ask_for_shape(graph);
  }
  out.why = "a usual length on which the model runs";
  for (const int64_t length : {128, 64, 32, 512, 256, 16, 8, 4, 1, 1024, 16000}) {
    for (const int64_t inner : {std::min(length, kLongestInner), int64_t{1}}) {
      out.shapes = filled(graph, axes, {{length, length}, length, inner});
      if (runs(graph, out.shapes, threads)) return out;
    }
  }
  return ask_for_shape(graph);
}

}  // namespace mnn::flows
