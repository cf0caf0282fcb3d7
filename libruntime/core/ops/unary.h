// Elementwise operators of one operand: what their rows share.
#pragma once

#include <functional>

#include "libruntime/core/ops/type_checks.h"

namespace mnn {

// Output 0 = f over the float tensor input 0.
Status map_floats(KernelContext& c, const std::function<double(double)>& f);

template <double (*f)(double)>
Status map_floats_with(KernelContext& c) {
  return map_floats(c, f);
}

// A row without attributes for a function of one float; `more` of its traits than kElementwise.
template <double (*f)(double)>
OpDef float_unary(const char* name, OpTraits more = {}) {
  return {name, 1, 1, kElementwise | more, {}, infer_same_type<kFloats>, map_floats_with<f>};
}

}  // namespace mnn
