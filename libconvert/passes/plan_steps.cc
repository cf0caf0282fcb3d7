// How many steps a plan of this graph would have.
#include <algorithm>

#include "libconvert/convert.h"
#include "libconvert/passes/conditions.h"
#include "libruntime/core/half.h"

namespace mnn {
namespace {

int64_t count_steps(const Graph& graph) {
  // Forwards: what depends on constants and on shapes alone. Backwards: what is wanted as data.
  std::vector<char> from_shapes(graph.values.size(), 0), wanted(graph.values.size(), 0);
  for (size_t v = 0; v < graph.values.size(); ++v) {
    from_shapes[v] = graph.values[v].kind == ValueKind::kConstant;
  }
  std::vector<char> computes_shapes(graph.nodes.size(), 0);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const OpDef* def = find_op(node.op);
    bool all = def && def->is(kReadsShape);
    if (!all && node.subgraphs.empty() && def && def->deterministic) {
      all = std::ranges::all_of(node.inputs, [&](ValueId v) {
        return v == kNoValue || from_shapes[static_cast<size_t>(v)];
      });
    }
    computes_shapes[n] = all;
    for (const ValueId v : node.outputs) {
      if (v != kNoValue && all) from_shapes[static_cast<size_t>(v)] = 1;
    }
  }
  for (const ValueId v : graph.results()) wanted[static_cast<size_t>(v)] = 1;
  int64_t steps = 0;
  for (size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    const bool as_data = node.outputs.empty() || std::ranges::any_of(node.outputs, [&](ValueId v) {
                           return v != kNoValue && wanted[static_cast<size_t>(v)];
                         });
    const bool is_step = as_data && !computes_shapes[n];
    // Another view of the same bytes takes no step.
    const OpDef* def = find_op(node.op);
    if (is_step && !(def && def->is(kView)) && !is_storage_cast(graph, node)) ++steps;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const bool is_data = i >= node.own_inputs() || !def || !def->traits.shape_input(i);
      if (node.inputs[i] == kNoValue || !is_step || !is_data) continue;
      wanted[static_cast<size_t>(node.inputs[i])] = 1;
    }
    for (const ValueId v : node.captures) wanted[static_cast<size_t>(v)] = 1;
    for (const Graph& g : node.subgraphs) steps += count_steps(g);
  }
  return steps;
}

}  // namespace

int64_t count_plan_steps(const Graph& graph) { return count_steps(graph); }

}  // namespace mnn
