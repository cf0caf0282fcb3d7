#include "libquant/measure/node_graph.h"

#include <algorithm>

namespace mnn {

NodeGraph cut_out(const Graph& whole, NodeId id) {
  NodeGraph cut;
  Node node = whole.node(id);
  auto map = [&](ValueId& v) {
    if (v == kNoValue) return;
    const auto [it, fresh] = cut.inside.emplace(v, kNoValue);
    if (fresh) {
      Value value = whole.value(v);
      if (value.kind == ValueKind::kTemporary || value.kind == ValueKind::kInput) {
        value.kind = ValueKind::kInput;
        it->second = cut.graph.add_value(std::move(value));
        cut.graph.inputs.push_back(it->second);
        cut.reads.push_back(v);
      } else {
        it->second = cut.graph.add_value(std::move(value));
      }
    }
    v = it->second;
  };
  for (ValueId& v : node.inputs) map(v);
  for (ValueId& v : node.captures) map(v);
  for (ValueId& v : node.outputs) {
    if (v == kNoValue) continue;
    Value value = whole.value(v);
    value.kind = ValueKind::kTemporary;
    const ValueId inner = cut.graph.add_value(std::move(value));
    cut.inside[v] = inner;
    cut.graph.outputs.push_back(inner);
    v = inner;
  }
  cut.graph.add_node(std::move(node));
  return cut;
}

QuantLayer layer_inside(const NodeGraph& cut, const QuantLayer& layer) {
  QuantLayer l = layer;
  auto map = [&](ValueId& v) {
    if (v != kNoValue) v = cut.inside.at(v);
  };
  l.node = 0;
  map(l.input);
  map(l.weight);
  map(l.bias);
  map(l.second);
  map(l.output);
  return l;
}

void annotate_values(NodeGraph& cut, const QuantPlan& plan, const QuantDecisions& decisions,
                     bool outputs_too) {
  for (const auto& [outer, inner] : cut.inside) {
    if (!is_planned(plan, outer)) continue;
    const bool output = std::find(cut.graph.outputs.begin(), cut.graph.outputs.end(), inner) !=
                        cut.graph.outputs.end();
    if (!output || outputs_too) cut.graph.value(inner).quant = params_of(plan, decisions, outer);
  }
}

NodeGraph cut_out_sums(const Graph& whole, NodeId id) {
  NodeGraph cut = cut_out(whole, id);
  Node& node = cut.graph.nodes[0];
  const bool bias = node.op == "MatMul" && matmul_bias_operand(cut.graph, node) >= 0;
  const size_t own = node.own_inputs();
  node.fused.resize(bias ? 1 : 0);
  // Forgets inputs that only dropped post-ops read.
  node.inputs.resize(bias ? static_cast<size_t>(node.fused[0].operand()) + 1 : own);
  for (size_t i = cut.graph.inputs.size(); i-- > 0;) {
    if (std::find(node.inputs.begin(), node.inputs.end(), cut.graph.inputs[i]) != node.inputs.end())
      continue;
    cut.graph.inputs.erase(cut.graph.inputs.begin() + static_cast<long>(i));
    cut.reads.erase(cut.reads.begin() + static_cast<long>(i));
  }
  return cut;
}

}  // namespace mnn
