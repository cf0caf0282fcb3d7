// What stays float in a quantized network, and why.
#pragma once

#include "libquant/quantize.h"

namespace mnn {

// Nodes of `graph`, quantized already, that compute in float, by operator and reason: those with
// the most MACs first, then the most frequent. `macs` per node.
std::vector<FloatIsland> float_islands(const Graph& graph, const std::vector<int64_t>& macs);

}  // namespace mnn
