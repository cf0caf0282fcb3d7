// What a report says of each layer beside its errors.
#pragma once

#include "libquant/measure/observe.h"
#include "libruntime/core/graph.h"

namespace mnn {

inline constexpr int kDistributionBins = 64;

// Codes of a quantized tensor that occur.
int64_t levels_used(const Tensor& stored, const QuantParams& params);
// Of finite numbers; none are: nothing.
std::optional<Distribution> distribution_of(std::span<const float> numbers);

// Bits, levels and sensitivity of the layers of `report`, by their names in `quantized`, and, where
// the options ask for it, their distributions in `graph`, the float network, and times on
// `samples`.
Status add_layer_facts(const Graph& graph, const Graph& quantized, const SampleSet& samples,
                       const QuantOptions& options, QuantReport& report);

}  // namespace mnn
