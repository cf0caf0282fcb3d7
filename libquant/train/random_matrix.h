// What weights start with.
#pragma once

#include "libruntime/core/tensor.h"

namespace mnn {

// f32 [rows, columns], uniform in [-most, most); the same for a seed on every machine.
Result<Tensor> random_matrix(int64_t rows, int64_t columns, double most, uint64_t seed);

}  // namespace mnn
