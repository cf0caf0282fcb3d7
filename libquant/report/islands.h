// What stays float in a quantized network, and why.
#pragma once

#include "libquant/quantize.h"

namespace mnn {

// MACs of every node for inputs like `sample`; ids stay.
Result<std::vector<int64_t>> node_macs(const Graph& graph, const std::vector<Tensor>& sample);

// Nodes of `graph`, quantized already, that compute in float, by operator and reason: those with
// the most MACs first, then the most frequent. `macs` per node.
std::vector<FloatIsland> float_islands(const Graph& graph, const std::vector<int64_t>& macs);

}  // namespace mnn
