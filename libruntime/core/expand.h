// A node replaced by others that mean the same.
#pragma once

#include "libruntime/core/op.h"

namespace mnn {

// Appends what `expand` builds for `node`, which is not in the graph (any more). Its outputs are
// made by the new nodes under their own ids. The maker of the first output gets the node's name,
// the others that name and their operator; all have its origin.
Status expand_node(Graph& graph, DecomposeFn expand, const Node& node);

}  // namespace mnn
