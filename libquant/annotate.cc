#include "libquant/annotate.h"

#include <algorithm>
#include <map>

#include "libruntime/core/op.h"

namespace mnn {
namespace {

// Which weights of a layer are neighbours in products of bytes; nullopt where its kernel has none.
std::optional<WeightRuns> weight_runs_of(const Graph& graph, const QuantLayer& layer) {
  const Node& node = graph.node(layer.node);
  if (node.op == "ConvTranspose") return std::nullopt;
  const std::vector<int64_t>& dims = graph.value(layer.weight).data.dims();
  ConvGeometry g;
  if (node.op != "Conv") {
    g.ic = dims[static_cast<size_t>(1 - layer.weight_axis)];
    return weight_runs(g);
  }
  const AttributeReader attributes(node, *find_op("Conv"));
  g.groups = attributes.attr_int("group");
  g.ic = dims[1] * g.groups;
  if (g.groups > 1 && dims[1] == 1) return std::nullopt;
  g.kw = dims.back();
  for (size_t d = 2; d + 1 < dims.size(); ++d) g.kh *= dims[d];
  const std::vector<int64_t> dilations = attributes.attr_ints("dilations");
  if (!dilations.empty()) g.dilation_w = dilations.back();
  return weight_runs(g);
}

}  // namespace

int matmul_bias_operand(const Graph& g, const Node& n) {
  if (n.op != "MatMul" || n.fused.empty() || n.fused[0].op != "Add") return -1;
  const int operand = n.fused[0].operand();
  if (operand < 0) return -1;
  const Tensor* t = g.constant(n.inputs[static_cast<size_t>(operand)]);
  if (g.value(n.inputs[1]).kind != ValueKind::kConstant) return -1;
  const int64_t channels = g.value(n.inputs[1]).data.dims().back();
  return t && t->dtype() == DType::kF32 && t->rank() == 1 && t->elements() == channels ? operand
                                                                                       : -1;
}

size_t group_of(const QuantPlan& plan, ValueId v) {
  const auto at = std::lower_bound(plan.values.begin(), plan.values.end(), v) - plan.values.begin();
  return static_cast<size_t>(plan.group[static_cast<size_t>(at)]);
}

const QuantParams& params_of(const QuantPlan& plan, const QuantDecisions& d, ValueId v) {
  return d.params[group_of(plan, v)];
}

bool is_planned(const QuantPlan& plan, ValueId v) {
  return std::binary_search(plan.values.begin(), plan.values.end(), v);
}

Result<Tensor> bias_of(const Graph& graph, const QuantLayer& layer) {
  const Node& node = graph.node(layer.node);
  if (!layer.has_weight()) return Tensor();
  if (node.op == "MatMul") {
    const int operand = matmul_bias_operand(graph, node);
    return operand < 0 ? Tensor() : *graph.constant(node.inputs[static_cast<size_t>(operand)]);
  }
  const int64_t channels =
      graph.value(layer.weight).data.dims()[static_cast<size_t>(layer.weight_axis)];
  if (layer.bias == kNoValue) return Tensor::allocate(DType::kF32, {channels});
  const Tensor& bias = graph.value(layer.bias).data;
  // Gemm's C may have any shape that broadcasts; only one value per channel can be corrected.
  return bias.elements() == channels ? bias : Tensor();
}

void set_bias(Graph& graph, const QuantLayer& layer, const Tensor& bias) {
  const ValueId id = graph.add_constant(bias);
  Node& node = graph.node(layer.node);
  if (node.op == "MatMul") {
    node.inputs[static_cast<size_t>(matmul_bias_operand(graph, node))] = id;
    return;
  }
  if (node.own_inputs() > 2) {
    node.inputs[2] = id;
    return;
  }
  node.inputs.insert(node.inputs.begin() + 2, id);
  for (FusedOp& f : node.fused) {
    for (int& operand : f.operands) {
      if (operand >= 2) ++operand;
    }
  }
}

Result<QuantizedWeights> quantize_layer(const Graph& graph, const QuantLayer& layer,
                                        WeightScale scale, bool overflow_fix) {
  if (!layer.has_weight()) return QuantizedWeights();
  return quantize_weights(graph.value(layer.weight).data, layer.weight_axis, scale,
                          overflow_fix ? weight_runs_of(graph, layer) : std::nullopt);
}

void apply_layer(Graph& graph, const QuantLayer& layer, const QuantDecisions& decisions,
                 size_t index) {
  if (!layer.has_weight()) return;
  Value value = graph.value(layer.weight);
  value.data = decisions.weights[index].stored;
  value.quant = decisions.weights[index].params;
  const ValueId id = graph.add_value(std::move(value));
  graph.node(layer.node).inputs[1] = id;
  if (decisions.bias[index].defined()) set_bias(graph, layer, decisions.bias[index]);
}

Graph annotate_in_place(const Graph& graph, const QuantPlan& plan,
                        const QuantDecisions& decisions) {
  Graph g = graph;
  for (const ValueId v : plan.values) g.value(v).quant = params_of(plan, decisions, v);
  std::map<ValueId, std::vector<ValueId>> made;  // of the float weights -> the quantized ones
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    const QuantLayer& layer = plan.layers[i];
    apply_layer(g, layer, decisions, i);
    if (!layer.has_weight()) continue;
    // Layers that shared their weights go on sharing them.
    ValueId& own = g.node(layer.node).inputs[1];
    std::vector<ValueId>& before = made[layer.weight];
    const auto twin = std::find_if(before.begin(), before.end(), [&](ValueId v) {
      const Value &a = g.value(v), &b = g.value(own);
      return a.quant == b.quant && identical(a.data, b.data);
    });
    if (twin == before.end()) {
      before.push_back(own);
    } else {
      own = *twin;
    }
  }
  return g;
}

Graph annotate(const Graph& graph, const QuantPlan& plan, const QuantDecisions& decisions) {
  Graph g = annotate_in_place(graph, plan, decisions);
  remove_dead(g);
  return g;
}

Graph annotate_only(const Graph& graph, const QuantPlan& plan, const QuantDecisions& decisions,
                    size_t index) {
  Graph g = graph;
  const QuantLayer& layer = plan.layers[index];
  for (const size_t i : {0, 1}) {
    const ValueId v = i == 0 ? layer.input : layer.second;
    if (v == kNoValue) continue;
    // The others go on reading the float input.
    Value copy;
    copy.type = g.value(v).type;
    copy.quant = params_of(plan, decisions, v);
    Node identity;
    identity.op = "Identity";
    identity.inputs = {v};
    identity.outputs = {g.add_value(std::move(copy))};
    g.node(layer.node).inputs[i] = identity.outputs[0];
    g.add_node(std::move(identity));
  }
  apply_layer(g, layer, decisions, index);
  if (is_planned(plan, layer.output))
    g.value(layer.output).quant = params_of(plan, decisions, layer.output);
  // The new nodes must stand before their reader; the graph was sorted, so this cannot fail.
  (void)sort_nodes(g);
  remove_dead(g);
  return g;
}

Graph annotate_value_only(const Graph& graph, const QuantPlan& plan,
                          const QuantDecisions& decisions, ValueId v) {
  Graph g = graph;
  g.value(v).quant = params_of(plan, decisions, v);
  return g;
}

std::pair<QuantPlan, QuantDecisions> without(const Graph& graph, const QuantPlan& plan,
                                             const QuantDecisions& decisions,
                                             std::set<NodeId> float_nodes,
                                             std::set<ValueId> float_values) {
  float_nodes.insert(plan.float_nodes.begin(), plan.float_nodes.end());
  float_values.insert(plan.float_values.begin(), plan.float_values.end());
  QuantPlan rest = plan_quantization(graph, float_nodes, float_values);
  // Only what the whole plan stores has parameters.
  std::vector<ValueId> values;
  std::vector<int> group;
  for (size_t i = 0; i < rest.values.size(); ++i) {
    if (!is_planned(plan, rest.values[i])) continue;
    values.push_back(rest.values[i]);
    group.push_back(rest.group[i]);
  }
  rest.values = std::move(values);
  rest.group = std::move(group);
  QuantDecisions d;
  d.params.resize(static_cast<size_t>(rest.groups));
  for (const ValueId v : rest.values) d.params[group_of(rest, v)] = params_of(plan, decisions, v);
  for (size_t i = 0, next = 0; i < plan.layers.size() && next < rest.layers.size(); ++i) {
    if (plan.layers[i].node != rest.layers[next].node) continue;
    d.weights.push_back(decisions.weights[i]);
    d.bias.push_back(decisions.bias[i]);
    ++next;
  }
  return {std::move(rest), std::move(d)};
}

Graph annotate_without(const Graph& graph, const QuantPlan& plan, const QuantDecisions& decisions,
                       size_t index) {
  const auto [rest, d] = without(graph, plan, decisions, {plan.layers[index].node});
  return annotate(graph, rest, d);
}

}  // namespace mnn
