#include "apps/flows/layers.h"

#include <unordered_map>

#include "apps/flows/tensors.h"
#include "libruntime/core/half.h"
#include "libruntime/core/quant.h"

namespace mnn::flows {
namespace {

// File systems take 255 bytes a name; this leaves room for "~12345" and an ending.
constexpr size_t kLongestStem = 240;

}  // namespace

std::string op_label(const Node& node) {
  std::string label = node.op;
  for (const FusedOp& f : node.fused) label += "+" + f.op;
  return label;
}

std::vector<Layer> list_layers(const Graph& graph) {
  std::vector<Layer> layers;
  const std::vector<char> storage = storage_nodes(graph);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (storage[n]) continue;
    std::string op = op_label(node);
    if (ends_in_smoothing(graph, node)) op.resize(op.rfind('+'));
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      const ValueId v = node.outputs[k];
      if (v == kNoValue || graph.value(v).type.kind != Type::Kind::kTensor) continue;
      std::string name = display_name(graph, node);
      if (k > 0) name += ":" + std::to_string(k);
      layers.push_back({std::move(name), op, node.origin, v});
    }
  }
  return layers;
}

Result<Tensor> source_tensor(const Graph& graph, ValueId v, const Tensor& made) {
  const auto& smoothing = graph.value(v).smoothing;
  return smoothing && made.defined() ? without_smoothing(made, *smoothing) : made;
}

std::vector<std::string> layer_stems(const std::vector<Layer>& layers) {
  std::unordered_map<std::string, int> used;
  std::vector<std::string> stems;
  for (const Layer& layer : layers) {
    std::string stem = percent_encode(layer.name).substr(0, kLongestStem);
    const int times = ++used[stem];
    // '~' is never in an encoded name, so this is a new one.
    if (times > 1) stem += "~" + std::to_string(times);
    stems.push_back(std::move(stem));
  }
  return stems;
}

std::vector<size_t> expose(Graph& graph, const std::vector<ValueId>& values) {
  std::unordered_map<ValueId, size_t> position;
  for (size_t i = 0; i < graph.outputs.size(); ++i) position.emplace(graph.outputs[i], i);
  std::vector<size_t> where;
  for (const ValueId v : values) {
    const auto [it, added] = position.emplace(v, graph.outputs.size());
    if (added) graph.outputs.push_back(v);
    where.push_back(it->second);
  }
  return where;
}

}  // namespace mnn::flows
