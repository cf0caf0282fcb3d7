// Cutting a graph into segments that one backend each can run.
#pragma once

#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

struct Segment {
  int lane = 0;
  std::vector<NodeId> nodes;  // in the order they run
  // Values made elsewhere (inputs, states, other segments) in order of first use, and values others
  // need in the order they are made. Constants are neither: they go with the segment.
  std::vector<ValueId> inputs, outputs;
};

// Schedules the nodes so that those of one lane stay together as long as any of them is ready.
// `lanes` has one entry a node. Nodes of lane `alone` get a segment each; those of lane `last`,
// which no others may depend on, are the last segment. Time n log n.
std::vector<Segment> partition(const Graph& graph, const std::vector<int>& lanes, int alone,
                               int last);

// The nodes of a segment as a graph of its own. Weights are shared, names and annotations kept;
// states become inputs.
Graph extract(const Graph& graph, const Segment& segment);

}  // namespace mnn
