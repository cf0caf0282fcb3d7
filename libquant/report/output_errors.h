// The errors of layers at their own outputs.
#pragma once

#include "libquant/measure/observe.h"

namespace mnn {

// Fills `isolated` and `accumulated` of the layers, which their `node` names: what a node of `test`
// makes of what `reference` gives it, and what it makes in its place. The graphs have the same
// nodes and values, `test` with other constants and annotations. Holds what 16 layers read of one
// sample at once.
Status measure_layer_outputs(const Graph& reference, const Graph& test, const SampleSet& samples,
                             const RunOptions& run, std::vector<LayerError>& layers,
                             const std::function<void(size_t done)>& progress);

}  // namespace mnn
