// Shape arithmetic: elementwise operators on the known elements of small integer tensors.
#pragma once

#include <optional>

#include "libruntime/core/op.h"

namespace mnn {

// One result element; unknown() when it cannot be told. Comparisons give 0 or 1.
using DimFn = Dim (*)(const Dim& a, const Dim& b);

Dim dim_add(const Dim& a, const Dim& b);
Dim dim_sub(const Dim& a, const Dim& b);
Dim dim_mul(const Dim& a, const Dim& b);
Dim dim_div(const Dim& a, const Dim& b);
Dim dim_floor_mod(const Dim& a, const Dim& b);
Dim dim_truncated_mod(const Dim& a, const Dim& b);
Dim dim_max(const Dim& a, const Dim& b);
Dim dim_min(const Dim& a, const Dim& b);
Dim dim_equal(const Dim& a, const Dim& b);
Dim dim_less(const Dim& a, const Dim& b);
Dim dim_less_or_equal(const Dim& a, const Dim& b);

// The elements of input i when they are known and the input is an integer or bool tensor of rank 0
// or 1.
std::optional<ShapeValues> shape_operand(const OpContext& c, size_t i);
// f over two lists that broadcast (equal sizes, or one of size 1); nullopt when they do not.
std::optional<ShapeValues> combine_values(const ShapeValues& a, const ShapeValues& b, DimFn f);
// Fills out[0].values with f folded over all inputs, when they are all known.
void combine_inputs(OpContext& c, DimFn f);

}  // namespace mnn
