// What differs between two graphs, in source names. Linear in nodes and constants.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/flows/diff_match.h"
#include "libruntime/core/graph.h"
#include "libruntime/core/metrics.h"

namespace mnn::flows {

struct FieldChange {
  std::string field;          // "op", "attribute pads", "fused", "input 1", "quantization"…
  std::string before, after;  // as text; empty: absent
};
struct NodeRef {
  std::string name, op;  // op with the fused ones
};
struct NodeChange {
  std::string name, op;
  std::vector<FieldChange> changes;
};
struct NodeRename {
  std::string before, after, op;
};
struct ConstantChange {
  std::string name;           // its own, or "input 1 of conv"
  std::string reader;         // the first node that reads it
  std::string before, after;  // type and quantization, with the elements when they are few
  std::optional<ErrorMetrics> metrics;  // where the elements can be compared
};
struct BorderChange {
  std::string side;  // "input", "output"
  std::string name;
  std::string before, after;  // empty: added, removed
};

struct GraphDiff {
  int64_t nodes_a = 0, nodes_b = 0, constants = 0;  // constants: compared ones
  std::vector<NodeRef> added, removed;
  std::vector<NodeRename> renamed;
  std::vector<NodeChange> changed;
  std::vector<ConstantChange> constant_changes;
  std::vector<BorderChange> border;
  int64_t shape_changes = 0;  // matched nodes whose outputs have another shape

  bool same() const;
  std::string summary() const;  // "1 node added, 2 changed, 1 constant changed"
};

// Nodes are matched by what they compute, then by weights, then by name. A constant stored as f16
// counts as a constant, its Cast as no node. Nodes inside sub-graphs
// are called "if_1/then_branch/relu".
// `align`: nodes of the main graphs that are the same whatever they look like.
GraphDiff diff_graphs(const Graph& a, const Graph& b, const NodePairs& align = {});

}  // namespace mnn::flows
