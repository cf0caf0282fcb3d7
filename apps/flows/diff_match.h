// Which node of one graph is which of another.
#pragma once

#include <vector>

#include "libruntime/core/graph.h"

namespace mnn::flows {

struct NodeMatch {
  std::vector<NodeId> b_of_a, a_of_b;  // -1: no counterpart
};
// What two exporters made of one network, names aside: nodes that compute the same from inputs at
// the same positions and the same constants, then nodes with the same operator, attributes and
// large constants. Attributes that say what their absence says do not count.
NodeMatch match_structure(const Graph& a, const Graph& b);

// First nodes that compute the same from the same inputs and constants (by name where several do),
// then those of match_structure(), then nodes of one name, best those of one operator,
// then of one operator that come from the same first source layer.
NodeMatch match_nodes(const Graph& a, const Graph& b);

}  // namespace mnn::flows
