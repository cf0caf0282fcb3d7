#include "libconvert/frontends/caffe/layer.h"

#include <algorithm>

namespace mnn::caffe {
namespace {

constexpr LayerRow kRows[] = {
    {"AbsVal", nullptr, "Abs"},
    {"ArgMax", convert_argmax},
    {"Axpy", convert_axpy},
    {"BNLL", nullptr, "Softplus"},
    {"BatchNorm", convert_batch_norm},
    {"BatchReindex", convert_batch_reindex},
    {"Bias", convert_bias},
    {"Clip", convert_clip},
    {"Concat", convert_concat},
    {"Convolution", convert_convolution},
    {"ConvolutionDepthwise", convert_convolution},
    {"Crop", convert_crop},
    {"Deconvolution", convert_deconvolution},
    {"DepthwiseConvolution", convert_convolution},
    {"DetectionOutput", convert_detection_output},
    {"Dropout", convert_same},
    {"ELU", convert_elu},
    {"Eltwise", convert_eltwise},
    {"Embed", convert_embed},
    {"Exp", convert_exp},
    {"Flatten", convert_flatten},
    {"InnerProduct", convert_inner_product},
    {"Interp", convert_interp},
    {"LRN", convert_lrn},
    {"Log", convert_log},
    {"MVN", convert_mvn},
    {"Mish", nullptr, "Mish"},
    {"Normalize", convert_normalize},
    {"PReLU", convert_prelu},
    {"Permute", convert_permute},
    {"Pooling", convert_pooling},
    {"Power", convert_power},
    {"PriorBox", convert_prior_box},
    {"ReLU", convert_relu},
    {"ReLU6", convert_relu6},
    {"Reduction", convert_reduction},
    {"Reshape", convert_reshape},
    {"Scale", convert_scale},
    {"ShuffleChannel", convert_shuffle_channel},
    {"Sigmoid", nullptr, "Sigmoid"},
    {"SigmoidCrossEntropyLoss", convert_sigmoid_loss},
    {"Slice", convert_slice},
    {"Softmax", convert_softmax},
    {"SoftmaxWithLoss", convert_softmax},
    {"Split", convert_split},
    {"Swish", convert_swish},
    {"TanH", nullptr, "Tanh"},
    {"Threshold", convert_threshold},
    {"Tile", convert_tile},
    {"Upsample", convert_upsample},
};
constexpr std::string_view kData[] = {"AnnotatedData", "Data",  "DummyData",  "HDF5Data",
                                      "ImageData",     "Input", "MemoryData", "WindowData"};
constexpr std::string_view kDropped[] = {
    "Accuracy",    "ContrastiveLoss", "DetectionEvaluate", "EuclideanLoss",           "HDF5Output",
    "HingeLoss",   "InfogainLoss",    "MultiBoxLoss",      "MultinomialLogisticLoss", "Silence",
    "SmoothL1Loss"};

}  // namespace

const LayerRow* find_layer(std::string_view type) {
  const auto* row = std::ranges::find(kRows, type, &LayerRow::name);
  return row == std::end(kRows) ? nullptr : row;
}
bool is_data(std::string_view type) { return std::ranges::find(kData, type) != std::end(kData); }
bool is_dropped(std::string_view type) {
  return std::ranges::find(kDropped, type) != std::end(kDropped);
}

std::vector<std::string> supported_layers() {
  std::vector<std::string> names;
  for (const LayerRow& row : kRows) names.emplace_back(row.name);
  names.insert(names.end(), std::begin(kData), std::end(kData));
  names.insert(names.end(), std::begin(kDropped), std::end(kDropped));
  std::ranges::sort(names);
  return names;
}

bool LayerNode::expect_bottoms(int least, int most) {
  const auto found = static_cast<int>(inputs.size());
  if (found >= least && found <= most) return true;
  fail(invalid("expected " + std::to_string(least) +
               (least == most ? "" : " to " + std::to_string(most)) + " bottoms, found " +
               std::to_string(found)));
  return false;
}

Tensor LayerNode::blob(int i, int64_t elements) {
  if (!status.ok()) return Tensor::scalar(0.0f);
  if (i >= blobs()) {
    fail(invalid("the weights have " + std::to_string(blobs()) + " blobs for layer " +
                 layer.name() + ", it needs " + std::to_string(i + 1) +
                 "; give those that were trained with this network: --import weights=FILE"));
    return Tensor::scalar(0.0f);
  }
  const BlobProto& b = weights->blobs(i);
  const bool wide = b.double_data_size() > 0;
  const int64_t found = wide ? b.double_data_size() : b.data_size();
  if (elements >= 0 && found != elements) {
    fail(invalid("blob " + std::to_string(i) + " of layer " + layer.name() + " has " +
                 std::to_string(found) + " numbers, expected " + std::to_string(elements) +
                 ": the weights belong to another network; give the right ones: --import "
                 "weights=FILE"));
    return Tensor::scalar(0.0f);
  }
  Result<Tensor> t = Tensor::allocate(DType::kF32, {found});
  if (!t.ok()) {
    fail(t.status());
    return Tensor::scalar(0.0f);
  }
  for (int64_t k = 0; k < found; ++k) {
    const auto at = static_cast<int>(k);
    t->data<float>()[k] = wide ? static_cast<float>(b.double_data(at)) : b.data(at);
  }
  return std::move(t).value();
}

ValueId LayerNode::blob_value(int i, Ints dims) {
  const std::optional<int64_t> elements = checked_elements(dims);
  if (!elements) fail(invalid("its weights have a shape that no memory holds"));
  const Tensor t = blob(i, elements.value_or(0));
  return status.ok() ? add_constant(t.reshaped(std::move(dims))) : kNoValue;
}

Ints LayerNode::known_shape(size_t i) {
  if (!status.ok()) return {};
  const Type& type = type_of(in(i));
  if (type.is_static()) return known_dims(*type.shape);
  fail(unsupported("the shape of bottom " + std::to_string(i) +
                   " must be known: bind it with --shape"));
  return {};
}

ValueId LayerNode::along(ValueId v, int64_t axis, size_t rank) {
  if (v == kNoValue || !status.ok()) return kNoValue;
  const size_t own = type_of(v).rank();
  if (own == 0) return v;
  const int64_t behind =
      static_cast<int64_t>(rank) - need_axis(axis, rank) - static_cast<int64_t>(own);
  if (behind < 0)
    fail(invalid("it has more axes than there are behind axis " + std::to_string(axis)));
  Ints axes;
  for (int64_t i = 0; i < behind; ++i) axes.push_back(static_cast<int64_t>(own) + i);
  return axes.empty() || !status.ok() ? v : unsqueeze(v, axes);
}

}  // namespace mnn::caffe
