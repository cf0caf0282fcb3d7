#include "libconvert/frontends/caffe/network.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <climits>

#include "libconvert/frontends/common/proto_text.h"

namespace mnn::caffe {
namespace {

constexpr size_t kMostText = size_t{1} << 26;
constexpr int kMostDepth = 32;

const char* type_name(V1LayerParameter::LayerType type) {
  switch (type) {
    case V1LayerParameter::NONE: return "";
    case V1LayerParameter::ACCURACY: return "Accuracy";
    case V1LayerParameter::BNLL: return "BNLL";
    case V1LayerParameter::CONCAT: return "Concat";
    case V1LayerParameter::CONVOLUTION: return "Convolution";
    case V1LayerParameter::DATA: return "Data";
    case V1LayerParameter::DROPOUT: return "Dropout";
    case V1LayerParameter::EUCLIDEAN_LOSS: return "EuclideanLoss";
    case V1LayerParameter::FLATTEN: return "Flatten";
    case V1LayerParameter::HDF5_DATA: return "HDF5Data";
    case V1LayerParameter::HDF5_OUTPUT: return "HDF5Output";
    case V1LayerParameter::IM2COL: return "Im2col";
    case V1LayerParameter::IMAGE_DATA: return "ImageData";
    case V1LayerParameter::INFOGAIN_LOSS: return "InfogainLoss";
    case V1LayerParameter::INNER_PRODUCT: return "InnerProduct";
    case V1LayerParameter::LRN: return "LRN";
    case V1LayerParameter::MULTINOMIAL_LOGISTIC_LOSS: return "MultinomialLogisticLoss";
    case V1LayerParameter::POOLING: return "Pooling";
    case V1LayerParameter::RELU: return "ReLU";
    case V1LayerParameter::SIGMOID: return "Sigmoid";
    case V1LayerParameter::SOFTMAX: return "Softmax";
    case V1LayerParameter::SOFTMAX_LOSS: return "SoftmaxWithLoss";
    case V1LayerParameter::SPLIT: return "Split";
    case V1LayerParameter::TANH: return "TanH";
    case V1LayerParameter::WINDOW_DATA: return "WindowData";
    case V1LayerParameter::ELTWISE: return "Eltwise";
    case V1LayerParameter::POWER: return "Power";
    case V1LayerParameter::SIGMOID_CROSS_ENTROPY_LOSS: return "SigmoidCrossEntropyLoss";
    case V1LayerParameter::HINGE_LOSS: return "HingeLoss";
    case V1LayerParameter::MEMORY_DATA: return "MemoryData";
    case V1LayerParameter::ARGMAX: return "ArgMax";
    case V1LayerParameter::THRESHOLD: return "Threshold";
    case V1LayerParameter::DUMMY_DATA: return "DummyData";
    case V1LayerParameter::SLICE: return "Slice";
    case V1LayerParameter::MVN: return "MVN";
    case V1LayerParameter::ABSVAL: return "AbsVal";
    case V1LayerParameter::SILENCE: return "Silence";
    case V1LayerParameter::CONTRASTIVE_LOSS: return "ContrastiveLoss";
    case V1LayerParameter::EXP: return "Exp";
    case V1LayerParameter::DECONVOLUTION: return "Deconvolution";
  }
  return "";
}

// A layer of the first version says the same in other fields.
void upgrade(V1LayerParameter& old, LayerParameter& layer) {
  layer.set_name(old.name());
  layer.set_type(type_name(old.type()));
  layer.mutable_bottom()->Swap(old.mutable_bottom());
  layer.mutable_top()->Swap(old.mutable_top());
  layer.mutable_blobs()->Swap(old.mutable_blobs());
  layer.mutable_include()->Swap(old.mutable_include());
  layer.mutable_exclude()->Swap(old.mutable_exclude());
#define MNN_TAKE(field) \
  if (old.has_##field()) layer.mutable_##field()->Swap(old.mutable_##field())
  MNN_TAKE(argmax_param);
  MNN_TAKE(concat_param);
  MNN_TAKE(convolution_param);
  MNN_TAKE(eltwise_param);
  MNN_TAKE(exp_param);
  MNN_TAKE(inner_product_param);
  MNN_TAKE(lrn_param);
  MNN_TAKE(mvn_param);
  MNN_TAKE(pooling_param);
  MNN_TAKE(power_param);
  MNN_TAKE(relu_param);
  MNN_TAKE(slice_param);
  MNN_TAKE(softmax_param);
  MNN_TAKE(threshold_param);
#undef MNN_TAKE
}

Status upgrade_layers(NetParameter& net) {
  for (V1LayerParameter& old : *net.mutable_layers()) {
    if (old.has_layer()) {
      return unsupported(
          "a network of Caffe's first format of 2013 (V0) is not supported; upgrade_net_proto_text "
          "and upgrade_net_proto_binary of Caffe rewrite it");
    }
    upgrade(old, *net.add_layer());
  }
  net.clear_layers();
  return {};
}

// Whether a layer takes part when the network is used.
bool is_used(const LayerParameter& layer) {
  const auto meets = [](const NetStateRule& rule) {
    const bool phase = !rule.has_phase() || rule.phase() == TEST;
    return phase && (!rule.has_min_level() || rule.min_level() <= 0) &&
           (!rule.has_max_level() || rule.max_level() >= 0) && rule.stage_size() == 0;
  };
  if (layer.has_phase() && layer.phase() != TEST) return false;
  for (const NetStateRule& rule : layer.exclude()) {
    if (meets(rule)) return false;
  }
  if (layer.include_size() == 0) return true;
  return std::any_of(layer.include().begin(), layer.include().end(), meets);
}

}  // namespace

Result<NetParameter> read_network(std::span<const std::byte> text, Diagnostics& diagnostics) {
  if (text.size() > kMostText) return limit_exceeded("a network of more than 64 MiB of text");
  NetParameter net;
  frontend::SkippedFields skipped;
  MNN_RETURN_IF_ERROR(
      frontend::parse_proto_text(text, kMostDepth, "its text is no Caffe network", net, &skipped));
  if (skipped.count > 0) {
    diagnostics.add({Severity::kWarning,
                     Code::kOk,
                     {},
                     {},
                     std::to_string(skipped.count) +
                         " fields are not known and left out, first: " + skipped.first});
  }
  MNN_RETURN_IF_ERROR(upgrade_layers(net));
  NetParameter used;
  for (LayerParameter& layer : *net.mutable_layer()) {
    if (is_used(layer)) used.add_layer()->Swap(&layer);
  }
  net.mutable_layer()->Swap(used.mutable_layer());
  if (net.layer_size() == 0) return invalid("the network has no layers");
  return net;
}

Result<NetParameter> read_weights(std::span<const std::byte> bytes) {
  if (bytes.size() > INT_MAX) return limit_exceeded("weights of more than 2 GiB");
  const google::protobuf::LogSilencer silent;
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream input(&stream);
  input.SetTotalBytesLimit(INT_MAX);
  input.SetRecursionLimit(kMostDepth);
  NetParameter net;
  if (!net.ParseFromCodedStream(&input) || !input.ConsumedEntireMessage()) {
    return invalid("expected the weights of a Caffe network, found damaged or foreign bytes");
  }
  MNN_RETURN_IF_ERROR(upgrade_layers(net));
  return net;
}

}  // namespace mnn::caffe
