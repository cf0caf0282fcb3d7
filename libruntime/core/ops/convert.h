// Conversion between all element types, the small floats and packed integers included.
#pragma once

#include <string_view>

#include "libruntime/core/tensor.h"

namespace mnn {

enum class RoundMode { kUp, kDown, kNearest };  // of powers of two (f8e8m0)

// The value of an 8- or 4-bit float's code.
double small_float_value(DType dtype, uint8_t code);
// The code nearest to `value`, ties to even. Beyond the largest finite value: that value when
// `saturate`, else infinity or NaN, whichever the type has.
uint8_t small_float_code(DType dtype, double value, bool saturate, RoundMode mode);
// Rounds to the nearest value of a float type without a detour over another width.
float round_to_odd_float(double value);

struct IntegerRange {
  int64_t low, high;
};
// The values of an integer type; kU64 is cut at INT64_MAX.
IntegerRange integer_range(DType dtype);

// Cast's meaning: floats to integers truncate (NaN gives 0), integers wrap, anything to bool tests
// for zero; strings parse and print.
Result<Tensor> convert_elements(const Tensor& x, DType to, bool saturate = true,
                                RoundMode mode = RoundMode::kUp);

}  // namespace mnn
