// The first layer that explains the loss between two models.
#pragma once

#include "apps/flows/compare.h"

namespace mnn::flows {

// Outputs as close as that differ by the order of additions.
inline constexpr double kNoLossDb = 100;

// Feeds TEST with REF's values of all layers up to a cut, and halves the layers of `comparison` (of
// the same models, inputs and options) to the first one up to which more than half of the noise at
// the outputs comes in. Values are fed as TEST has them: channels moved, smoothing applied, before
// no rounding. Layers without numbers, of an unknown rank, or that could not be compared stay
// TEST's. An error means that a model could not be run.
Result<Bisection> bisect_models(const Graph& ref, const Graph& test, const CompareInputs& inputs,
                                const CompareOptions& options, const Comparison& comparison);

}  // namespace mnn::flows
