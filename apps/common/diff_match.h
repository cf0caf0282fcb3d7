// Which node of one graph is which of another.
#pragma once

#include <vector>

#include "libruntime/core/graph.h"

namespace mnn::cli {

struct NodeMatch {
  std::vector<NodeId> b_of_a, a_of_b;  // -1: no counterpart
};
// First nodes that compute the same from the same inputs and constants (by name where several do),
// then nodes with the same large constants, then nodes of one name, best those of one operator,
// then of one operator that come from the same first source layer.
NodeMatch match_nodes(const Graph& a, const Graph& b);

}  // namespace mnn::cli
