// Products whose rows are quantized as they come.
#pragma once

#include "libruntime/core/graph.h"

namespace mnn {

// Sets activation_bits of every MatMul and Gemm, those of sub-graphs too, to 8 where its weights
// are codes that such a product reads and its rows floats, and away where not. Returns how many
// have it.
int set_activation_bits(Graph& graph);

}  // namespace mnn
