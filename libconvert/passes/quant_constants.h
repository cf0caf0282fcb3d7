// Quantized constants in another layout: their codes and scales move, nothing is rounded again.
#pragma once

#include "libruntime/core/builder.h"
#include "libruntime/core/graph.h"

namespace mnn {

// Transposes and views of quantized constants become constants. Those that only operators other
// than matrix products and Gather read, and that save little, become ordinary constants, which
// other passes understand. Returns the number of both.
Result<int> move_quantized_constants(Graph& graph);

// MatMulNBits with constant weights as MatMul with a constant in groups along its rows: [K, N]
// codes. kNoValue when weights are computed.
ValueId unpack_matmul_n_bits(Builder& builder, const Node& node);

}  // namespace mnn
