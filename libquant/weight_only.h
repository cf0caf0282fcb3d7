// Weight-only quantization: weights in 8 to 2 bits, everything computed in float.
#pragma once

#include "libquant/measure/observe.h"
#include "libquant/quantize.h"
#include "libquant/weights/group_codes.h"
#include "libquant/weights/weight_role.h"

namespace mnn {

// "w8", "w6", "w4", "w3", "w2": the bits; 0 for "int8" and "mixed". kUsage for what is no scheme.
Result<int> weight_only_bits(const std::string& scheme);

// Every float constant of 128 elements or more that a Conv, ConvTranspose, Gemm, MatMul, LSTM,
// GRU, RNN or Gather reads as weights, sub-graphs included, gets codes (group_codes.h). With
// samples the search weighs errors by the activations that meet the weights, and the result is
// measured; without, nothing is. The graph must be f32.
Result<QuantResult> quantize_weights_only(const Graph& graph, const SampleSource& calibration,
                                          const SampleSource& holdout, const QuantOptions& options);

// A weight of the main graph, the first layer that reads it, and codes for it.
struct CodedWeight {
  ValueId weight = kNoValue;
  NodeId node = -1;
  WeightRole role;
  GroupCodes codes;
};
// Codes of so many bits for every weight of the main graph, as the options say; none: an empty
// list. Options that keep layers in float have no say.
Result<std::vector<CodedWeight>> code_weights(const Graph& graph, const SampleSet& calibration,
                                              const QuantOptions& options, int bits);
// Puts codes in the place of `weight` wherever the main graph holds it.
void put_codes(Graph& graph, const Tensor& weight, const GroupCodes& codes);

}  // namespace mnn
