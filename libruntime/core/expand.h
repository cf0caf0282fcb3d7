// A node replaced by others that mean the same.
#pragma once

#include "libruntime/core/op.h"

namespace mnn {

// The values of `made` become the outputs of the node they stand for, kNoValue standing for none.
// `graph.nodes` from `first` on are the nodes that make them; what is handed through becomes an
// Identity with the node's name and origin.
void hand_over(Graph& graph, size_t first, std::vector<ValueId> made, const Node& node);

// Appends what `expand` builds for `node`, which is not in the graph (any more). Its outputs are
// made by the new nodes under their own ids. The maker of the first output gets the node's name,
// the others that name and their operator; all have its origin.
Status expand_node(Graph& graph, DecomposeFn expand, const Node& node);

// Appends the operator of `node`, which is not in the graph (any more), and its post-ops as nodes
// of their own. The last of them makes the first output under its own id; all have the node's name
// and origin.
void split_post_ops(Graph& graph, const Node& node);

}  // namespace mnn
