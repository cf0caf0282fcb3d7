#include "libconvert/exporters/onnx/unfold.h"

#include <algorithm>

#include "libruntime/core/builder.h"
#include "libruntime/core/post_op.h"

namespace mnn::onnx_export {

void split_post_ops(Graph& graph) {
  std::vector<Node> nodes = std::move(graph.nodes);
  graph.nodes.clear();
  for (Node& node : nodes) {
    for (Graph& inner : node.subgraphs) split_post_ops(inner);
    if (node.fused.empty()) {
      graph.nodes.push_back(std::move(node));
      continue;
    }
    const std::string name = display_name(graph, node);
    const size_t count = node.fused.size(), layers = node.origin.size();
    // Of the last `count` layers one each, but the first stays the operator's own.
    const auto layer_of = [&](size_t i) {
      const size_t from_end = count - i;
      if (from_end < layers) return node.origin[layers - from_end];
      return name + "/" + node.fused[i].op;
    };
    Node core = node;
    core.fused.clear();
    core.inputs.resize(node.own_inputs());
    core.name = layers > 0 ? node.origin.front() : name;
    const ValueId wanted = node.outputs[0];
    Type type = graph.value(wanted).type;
    ValueId x = graph.add_temporary({}, type);
    core.outputs[0] = x;
    graph.add_node(std::move(core));
    for (size_t i = 0; i < count; ++i) {
      const ValueId y = i + 1 == count ? wanted : graph.add_temporary({}, type);
      Node post = post_op(node, i, x, y);
      post.name = layer_of(i);
      graph.add_node(std::move(post));
      x = y;
    }
  }
}

namespace {

bool taken(const Graph& graph, const std::string& name) {
  return std::ranges::any_of(graph.values, [&](const Value& v) { return v.name == name; });
}

std::string free_name(const Graph& graph, const std::string& wanted) {
  std::string name = wanted;
  for (int i = 1; taken(graph, name); ++i) name = wanted + "_" + std::to_string(i);
  return name;
}

bool is_zero(const Tensor& t) {
  return !t.defined() ||
         std::all_of(t.raw(), t.raw() + t.bytes(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

std::vector<ExportedState> states_to_border(Graph& graph) {
  std::vector<ExportedState> states;
  for (size_t v = 0; v < graph.values.size(); ++v) {
    if (graph.values[v].kind != ValueKind::kState) continue;
    const auto id = static_cast<ValueId>(v);
    const std::string given = graph.values[v].name;
    const std::string name = given.empty() ? free_name(graph, "state") : given;
    const auto update = std::ranges::find(graph.updates, id, &StateUpdate::state);
    const ValueId next = update == graph.updates.end() ? id : update->next;
    const bool zeros = is_zero(graph.values[v].data);
    Value& value = graph.values[v];
    value.kind = ValueKind::kInput;
    value.data = {};
    value.name = name;
    graph.inputs.push_back(id);
    ValueId out = next;
    const Uses uses = index_uses(graph);
    const bool made = uses.producer[static_cast<size_t>(next)] >= 0;
    if (!made || graph.value(next).name.empty() || std::ranges::count(graph.outputs, next) > 0) {
      // Under a name of its own, also where it is another output or the state itself.
      Node copy;
      copy.op = "Identity";
      copy.name = free_name(graph, name + "_next");
      copy.inputs = {next};
      out = graph.add_temporary(copy.name, graph.value(next).type);
      copy.outputs = {out};
      graph.add_node(std::move(copy));
    }
    graph.outputs.push_back(out);
    states.push_back({name, graph.value(out).name, zeros});
  }
  graph.updates.clear();
  return states;
}

}  // namespace mnn::onnx_export
