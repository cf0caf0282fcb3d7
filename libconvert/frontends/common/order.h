// The order of the nodes of one source graph, by the names they read and make.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "libruntime/core/status.h"

namespace mnn::frontend {

// The names one node reads (its sub-graphs' free names among them) and makes. They outlive it.
struct NodeNames {
  std::vector<std::string_view> reads, makes;
};

struct NodeOrder {
  std::vector<int> sequence;                  // each node after the makers of what it reads
  std::vector<char> live;                     // per node: an output depends on it
  std::unordered_set<std::string_view> read;  // names that a node, a sub-graph or an output reads
};

// Stable: sorted nodes stay as they are. An error names the nodes of a cycle, or the two that make
// one name, as `display` calls the node with an index. Linear time.
Result<NodeOrder> order_nodes(std::span<const NodeNames> nodes,
                              std::span<const std::string_view> outputs,
                              const std::function<std::string(size_t)>& display);

}  // namespace mnn::frontend
