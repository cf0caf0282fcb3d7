// What stays float in a quantized network, and why.
#pragma once

#include "libquant/measure/observe.h"
#include "libruntime/core/graph.h"

namespace mnn {

// Nodes of `graph` that compute in float, by operator and reason: those with the most MACs first,
// then those with the most constants, then the most frequent. Layers of sub-graphs are among them.
// `graph` is quantized, its inputs are bound and its types inferred.
std::vector<FloatIsland> float_islands(const Graph& graph);

// MACs of a run, the int8 share of them and what stays float, with a warning where that is much:
// `samples` (one or more) say the shapes.
Status measure_macs(const Graph& graph, const SampleSet& samples, const RunOptions& run,
                    QuantReport& report);

// Constants of a quantized graph and its sub-graphs that are stored as they were, largest first;
// each once, with the first layer that reads it.
std::vector<FloatConstant> float_constants(const Graph& graph);

}  // namespace mnn
