// Weight-only quantization: weights in 8 to 2 bits, everything computed in float.
#pragma once

#include "libquant/quantize.h"

namespace mnn {

// "w8", "w6", "w4", "w3", "w2": the bits; 0 for "int8". kUsage for what is no scheme.
Result<int> weight_only_bits(const std::string& scheme);

// Every float constant of 128 elements or more that a Conv, ConvTranspose, Gemm, MatMul, LSTM,
// GRU, RNN or Gather reads as weights, sub-graphs included, gets codes (group_codes.h). With
// samples the search weighs errors by the activations that meet the weights, and the result is
// measured; without, nothing is. The graph must be f32.
Result<QuantResult> quantize_weights_only(const Graph& graph, const SampleSource& calibration,
                                          const SampleSource& holdout, const QuantOptions& options);

}  // namespace mnn
