// One node of a graph as a graph of its own, for measuring it alone.
#pragma once

#include <map>

#include "libquant/annotate.h"
#include "libquant/measure/observe.h"

namespace mnn {

struct NodeGraph {
  Graph graph;                        // what the node reads are its inputs, constants are shared
  std::vector<ValueId> reads;         // values of the whole graph, one per input
  std::map<ValueId, ValueId> inside;  // of the whole graph -> of this one
};
NodeGraph cut_out(const Graph& whole, NodeId id);
// The same without fused post-ops, except that a MatMul keeps the Add that is its bias.
NodeGraph cut_out_sums(const Graph& whole, NodeId id);

// Where the layer stands inside its own little graph.
QuantLayer layer_inside(const NodeGraph& cut, const QuantLayer& layer);

// Puts the plan's parameters on the values the node reads, and on what it makes if `outputs_too`.
void annotate_values(NodeGraph& cut, const QuantPlan& plan, const QuantDecisions& decisions,
                     bool outputs_too);

}  // namespace mnn
