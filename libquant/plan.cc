#include "libquant/plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>

#include "libruntime/core/op.h"

namespace mnn {
namespace {

bool is_float_activation(const Graph& g, ValueId v) {
  if (v == kNoValue) return false;
  const Value& value = g.value(v);
  return value.kind != ValueKind::kConstant && value.kind != ValueKind::kState && !value.quant &&
         value.type.kind == Type::Kind::kTensor && value.type.dtype == DType::kF32;
}

const Tensor* float_constant(const Graph& g, const Node& n, size_t i) {
  if (i >= n.own_inputs()) return nullptr;
  const Tensor* t = g.constant(n.inputs[i]);
  return t && t->dtype() == DType::kF32 ? t : nullptr;
}

// Fills `layer` when the node has an int8 kernel.
bool as_layer(const Graph& g, NodeId id, QuantLayer& layer) {
  const Node& n = g.node(id);
  if (n.op != "Conv" && n.op != "Gemm" && n.op != "MatMul") return false;
  if (n.own_inputs() < 2 || !is_float_activation(g, n.inputs[0])) return false;
  if (n.outputs[0] == kNoValue) return false;
  const AttributeReader attributes(n, *find_op(n.op));
  if (n.op == "Gemm" &&
      (attributes.attr_int("transA") != 0 || attributes.attr_float("alpha") != 1.0 ||
       attributes.attr_float("beta") != 1.0)) {
    return false;
  }
  layer = {id, n.inputs[0], kNoValue, kNoValue, n.outputs[0], 0, kNoValue};
  if (n.op != "Conv" && is_float_activation(g, n.inputs[1])) {
    layer.second = n.inputs[1];
    const Type &a = g.value(layer.input).type, &b = g.value(layer.second).type;
    return a.shape && b.shape && a.rank() >= 2 && b.rank() >= 2;
  }
  const Tensor* weight = float_constant(g, n, 1);
  if (weight == nullptr || weight->elements() == 0) return false;
  layer.weight = n.inputs[1];
  if (n.op == "Conv") {
    if (weight->rank() < 3) return false;
  } else if (n.op == "MatMul") {
    if (weight->rank() != 2) return false;
    layer.weight_axis = 1;
    return true;
  } else {
    layer.weight_axis = attributes.attr_int("transB") != 0 ? 0 : 1;
  }
  if (n.own_inputs() > 2 && n.inputs[2] != kNoValue) {
    if (float_constant(g, n, 2) == nullptr) return false;
    layer.bias = n.inputs[2];
  }
  return true;
}

// Operators whose outputs hold elements of their first input and nothing else, or averages of them
// that stay inside its range.
bool keeps_grid(const Node& n) {
  if (n.op == "Resize" && AttributeReader(n, *find_op(n.op)).attr_string("mode") == "cubic")
    return false;
  constexpr std::string_view kOps[] = {"MaxPool",   "Reshape",       "Flatten",      "Squeeze",
                                       "Unsqueeze", "Transpose",     "Slice",        "Split",
                                       "Identity",  "DepthToSpace",  "SpaceToDepth", "Expand",
                                       "Tile",      "GlobalMaxPool", "Resize"};
  return n.fused.empty() && std::find(std::begin(kOps), std::end(kOps), n.op) != std::end(kOps);
}

class Groups {
 public:
  explicit Groups(size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), 0); }
  size_t find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(ValueId a, ValueId b) {
    const size_t x = find(static_cast<size_t>(a)), y = find(static_cast<size_t>(b));
    parent_[std::max(x, y)] = std::min(x, y);
  }

 private:
  std::vector<size_t> parent_;
};

}  // namespace

QuantParams activation_params(double low, double high) {
  low = std::min(low, 0.0);
  high = std::max(high, 0.0);
  const double width = high - low;
  QuantParams p;
  p.storage = DType::kU8;
  // A tensor that is always zero still needs a scale; any will do.
  const float scale = width > 1e-30 ? static_cast<float>(width / 255.0) : 1.0f;
  p.scale = {scale};
  p.zero_point = {static_cast<int32_t>(std::clamp(std::nearbyint(-low / scale), 0.0, 255.0))};
  return p;
}

QuantPlan plan_quantization(const Graph& graph, const std::set<NodeId>& keep_float) {
  QuantPlan plan;
  std::vector<char> wanted(graph.values.size(), 0);
  Groups groups(graph.values.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    QuantLayer layer;
    const auto id = static_cast<NodeId>(n);
    if (keep_float.count(id) > 0 || !as_layer(graph, id, layer)) continue;
    plan.layers.push_back(layer);
    wanted[static_cast<size_t>(layer.input)] = 1;
    if (!layer.has_weight()) wanted[static_cast<size_t>(layer.second)] = 1;
  }
  auto can_store = [&](ValueId v) { return is_float_activation(graph, v) && !graph.is_output(v); };
  // Backwards: what only moves into a u8 value is u8 already, and on the same grid.
  for (size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    const ValueId out = node.outputs.empty() ? kNoValue : node.outputs[0];
    if (out == kNoValue || !wanted[static_cast<size_t>(out)]) continue;
    const bool concat = node.op == "Concat" && node.fused.empty();
    if (!concat && !keeps_grid(node)) continue;
    const size_t inputs = concat ? node.inputs.size() : 1;
    const bool all = std::all_of(node.inputs.begin(),
                                 node.inputs.begin() + static_cast<long>(inputs), can_store);
    if (!all) continue;
    for (size_t i = 0; i < inputs; ++i) {
      wanted[static_cast<size_t>(node.inputs[i])] = 1;
      groups.join(node.inputs[i], out);
    }
  }
  // Forwards: what only moves out of a u8 value loses nothing by staying u8.
  for (const Node& node : graph.nodes) {
    if (!keeps_grid(node) || node.inputs.empty() || node.inputs[0] == kNoValue) continue;
    if (!wanted[static_cast<size_t>(node.inputs[0])]) continue;
    for (const ValueId out : node.outputs) {
      if (out == kNoValue || !can_store(out)) continue;
      wanted[static_cast<size_t>(out)] = 1;
      groups.join(node.inputs[0], out);
    }
  }
  std::vector<int> number(graph.values.size(), -1);
  for (size_t v = 0; v < graph.values.size(); ++v) {
    if (!wanted[v]) continue;
    int& id = number[groups.find(v)];
    if (id < 0) id = plan.groups++;
    plan.values.push_back(static_cast<ValueId>(v));
    plan.group.push_back(id);
  }
  return plan;
}

}  // namespace mnn
