#include "libruntime/core/expand.h"

#include <algorithm>

#include "libruntime/core/builder.h"
#include "libruntime/core/post_op.h"

namespace mnn {
namespace {

void add_identity(Graph& graph, ValueId from, ValueId to, const Node& node) {
  Node copy;
  copy.op = "Identity";
  copy.name = node.name;
  copy.origin = node.origin;
  copy.inputs = {from};
  copy.outputs = {to};
  graph.add_node(std::move(copy));
}

// Whether one of the nodes from `first` on makes the value.
NodeId maker_of(const Graph& graph, size_t first, ValueId v) {
  for (size_t n = first; n < graph.nodes.size(); ++n) {
    if (std::ranges::count(graph.nodes[n].outputs, v) > 0) return static_cast<NodeId>(n);
  }
  return -1;
}

}  // namespace

void hand_over(Graph& graph, size_t first, std::vector<ValueId> made, const Node& node) {
  std::vector<ValueId> done;  // outputs that have their maker
  for (size_t i = 0; i < node.outputs.size() && i < made.size(); ++i) {
    const ValueId wanted = node.outputs[i], old = made[i];
    if (wanted == kNoValue || old == kNoValue) continue;
    // An input handed through, or a value that already became another output.
    if (maker_of(graph, first, old) < 0 || std::ranges::count(done, old) > 0) {
      add_identity(graph, old, wanted, node);
      continue;
    }
    for (size_t n = first; n < graph.nodes.size(); ++n) {
      Node& part = graph.nodes[n];
      for (auto* list : {&part.inputs, &part.captures, &part.outputs}) {
        std::ranges::replace(*list, old, wanted);
      }
    }
    std::ranges::replace(made, old, wanted);
    done.push_back(wanted);
  }
}

Status expand_node(Graph& graph, DecomposeFn expand, const Node& node) {
  const size_t first = graph.nodes.size(), values = graph.values.size();
  Node named = node;
  named.name = display_name(graph, node);
  if (named.origin.empty()) named.origin = {named.name};
  Builder b(graph, named.origin);
  Result<std::vector<ValueId>> result = expand(b, node);
  if (!result.ok()) {
    // Nothing stays of what was built.
    graph.nodes.resize(first);
    graph.values.resize(values);
    return result.status();
  }
  std::vector<ValueId> made = std::move(result).value();
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i] != kNoValue && (i >= made.size() || made[i] == kNoValue))
      return internal_error("output " + std::to_string(i) + " of " + node.op + " is missing");
  }
  for (size_t n = first; n < graph.nodes.size(); ++n) {
    graph.nodes[n].name = named.name + "/" + graph.nodes[n].op;
  }
  hand_over(graph, first, std::move(made), named);
  if (!node.outputs.empty() && node.outputs[0] != kNoValue)
    graph.node(maker_of(graph, first, node.outputs[0])).name = named.name;
  return {};
}

void split_post_ops(Graph& graph, const Node& node) {
  const std::string name = display_name(graph, node);
  const std::vector<std::string> origin =
      node.origin.empty() ? std::vector<std::string>{name} : node.origin;
  Node core = node;
  core.fused.clear();
  core.inputs.resize(node.own_inputs());
  const ValueId wanted = node.outputs[0];
  ValueId x = graph.add_temporary();
  core.outputs[0] = x;
  core.origin = origin;
  core.name = name;
  graph.add_node(std::move(core));
  for (size_t f = 0; f < node.fused.size(); ++f) {
    const ValueId y = f + 1 == node.fused.size() ? wanted : graph.add_temporary();
    Node post = post_op(node, f, x, y);
    post.name = name;
    post.origin = origin;
    x = y;
    graph.add_node(std::move(post));
  }
}

}  // namespace mnn
