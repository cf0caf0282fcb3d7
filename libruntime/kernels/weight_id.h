// What the numbers of a constant are, for those who keep them in a layout of their own.
#pragma once

#include "libruntime/core/graph.h"
#include "libruntime/kernels/weights.h"

namespace mnn {

// Of the real numbers: of the bytes, and of the grid, codebook and rotation that make them real.
WeightId weight_id(const WeightsCache& weights, const Value& value);

}  // namespace mnn
