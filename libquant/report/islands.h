// What stays float in a quantized network, and why.
#pragma once

#include "libquant/types.h"
#include "libruntime/core/graph.h"

namespace mnn {

// Nodes of `graph` that compute in float, by operator and reason: those with the most MACs first,
// then those with the most constants, then the most frequent. Layers of sub-graphs are among them.
// `graph` is quantized, its inputs are bound and its types inferred.
std::vector<FloatIsland> float_islands(const Graph& graph);

// Constants of a quantized graph and its sub-graphs that are stored as they were, largest first;
// each once, with the first layer that reads it.
std::vector<FloatConstant> float_constants(const Graph& graph);

}  // namespace mnn
