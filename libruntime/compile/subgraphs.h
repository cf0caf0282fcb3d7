// Control flow as planning and counting see it: what its sub-graphs are fed with, how often they
// run.
#pragma once

#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

// What the first trip of a Loop or Scan, or a branch of an If, is fed with: its inputs, then its
// captures. A Scan's scanned inputs lose the axis they are scanned along. Types may be open.
std::vector<Type> first_trip_types(const Graph& graph, const Node& node);

// Sub-graph `which` of `node` with those types, and what follows from them. Where they contradict
// the sub-graph, as it came.
Graph first_trip(const Graph& graph, const Node& node, size_t which);

// How often a run of `node` runs its body: the trip count of a Loop where that is a constant, the
// length a Scan scans. 1 where the graph does not tell.
int64_t trip_count(const Graph& graph, const Node& node);

}  // namespace mnn
