// One layer of a Caffe network on its way into the graph.
#pragma once

#include "caffe.pb.h"
#include "libconvert/frontends/common/scope.h"

namespace mnn::caffe {

using Ints = std::vector<int64_t>;

class LayerNode : public frontend::SourceNode {
 public:
  LayerNode(frontend::GraphDraft& d, int64_t& node_budget, const LayerParameter& l,
            const LayerParameter* w)
      : SourceNode(d, node_budget), layer(l), weights(w) {}

  const LayerParameter& layer;
  const LayerParameter* weights;  // of the same name in the weights; null: none

  // At least `least` bottoms that are there.
  bool expect_bottoms(int least, int most);
  int blobs() const { return weights == nullptr ? 0 : weights->blobs_size(); }
  // Weights number `i`; an error where there are none, or others than `elements` (-1: any number).
  Tensor blob(int i, int64_t elements = -1);
  ValueId blob_value(int i, Ints dims);
  // Dims of a bottom that must all be known.
  Ints known_shape(size_t i);
  size_t need_rank(size_t i) { return SourceNode::need_rank(i, "bottom"); }
  ValueId f32(double v) { return add_scalar(v, DType::kF32); }
  // What goes along `axis` on of a tensor of rank `rank`, shaped to broadcast.
  ValueId along(ValueId v, int64_t axis, size_t rank);
};

using RowFn = void (*)(LayerNode&);
struct LayerRow {
  std::string_view name;
  RowFn convert = nullptr;
  std::string_view target = {};  // the IR's operator of one input where names differ alone
};
// Null where no row knows the type.
const LayerRow* find_layer(std::string_view type);
// Layers that feed a network in training: their tops are inputs.
bool is_data(std::string_view type);
// Layers without meaning for what a network computes: losses, statistics, sinks.
bool is_dropped(std::string_view type);
std::vector<std::string> supported_layers();

#define MNN_CAFFE(function) void function(LayerNode& n);
#include "libconvert/frontends/caffe/layer_list.inc"
#undef MNN_CAFFE

}  // namespace mnn::caffe
