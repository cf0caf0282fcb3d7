// Which node of one graph is which of another.
#pragma once

#include <vector>

#include "apps/flows/align.h"
#include "libruntime/core/graph.h"

namespace mnn::flows {

struct NodeMatch {
  std::vector<NodeId> b_of_a, a_of_b;  // -1: no counterpart
};
// What two exporters made of one network, names aside: nodes that compute the same from inputs at
// the same positions and the same constants, then nodes with the same operator, attributes and
// large constants. Attributes that say what their absence says do not count.
NodeMatch match_structure(const Graph& a, const Graph& b);

// Nodes of a and of b that are the same.
using NodePairs = std::vector<std::pair<NodeId, NodeId>>;
// Those of these display names. kUsage for one that is not there.
Result<NodePairs> find_nodes(const Graph& a, const Graph& b, const NamePairs& names);

// As told, then nodes that compute the same from the same inputs and constants (by name where
// several do), then those of match_structure(), then nodes of one name, best those of one operator,
// then of one operator that come from the same first source layer.
NodeMatch match_nodes(const Graph& a, const Graph& b, const NodePairs& told = {});

}  // namespace mnn::flows
