// Mixed precision: a scheme for each layer, by hand or by search.
#pragma once

#include "libquant/quantize.h"

namespace mnn {

// With scheme "mixed" every layer gets one of int8, w8, w6, w4, w3, w2, f16 and float, as far as it
// can have it and options.layers does not say which, so that the limits (max_bytes, max_ms) and the
// goal (reached) hold; of those the cheapest, without a goal the one of the best score. Errors by
// layer and scheme are measured on calibration samples, choices on the held-back ones
// (search/mix.h). When nothing holds, the report says so and the graph is the best there was. With
// any other scheme that is what layers have where options.layers says nothing. Weights in
// sub-graphs stay as they are. The graph must be f32.
Result<QuantResult> quantize_mixed(const Graph& graph, const SampleSource& calibration,
                                   const SampleSource& holdout, const QuantOptions& options);

}  // namespace mnn
