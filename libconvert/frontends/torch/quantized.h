// What the rows of quantized tensors share.
#pragma once

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {

// The numbers of a scale or of zero points as that type; an error where one does not fit.
Result<Tensor> with_type(const Tensor& numbers, DType dtype);
// The type of a grid's codes.
DType storage_of(Call& c, const Grid& grid);
// The grid of the first quantized argument; null where none is. Packed weights don't count.
const Grid* first_grid(const Call& c);
// x in the codes of a grid and back.
TensorArg on_grid(Call& c, ValueId x, const Grid& grid);
// x in the codes of a grid of its own extremes, found at run time, and back.
ValueId on_dynamic_grid(Call& c, ValueId x);
// One scale for the whole tensor.
Grid constant_grid(Call& c, double scale, double zero_point, DType storage);

}  // namespace mnn::torch
