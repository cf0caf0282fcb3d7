// Schemas of ATen operators in PyTorch's own notation, and the arguments of a call put to their
// parameters.
#pragma once

#include <string_view>

#include "libconvert/frontends/torch/aten.h"

namespace mnn::torch {

// "conv1d.padding(Tensor input, Tensor weight, Tensor? bias=None, int[1] stride=1, str
// padding=\"valid\", int[1] dilation=1, int groups=1) -> Tensor". A name without a namespace is
// aten's. Our own rows are written soundly: a slip is kInternal.
Result<Schema> parse_schema(std::string_view text);

// How freely arguments fit: kExact takes tensors for Tensor; kLoose also takes numbers there, and
// 0-d tensors for numbers, as PyTorch's implicit conversions do.
enum class Fit { kExact, kLoose };
// One value per parameter, or why the arguments do not fit. `out` arguments are left aside.
Result<std::vector<Arg>> match_arguments(const Schema& schema, const AtenCall& call, Fit fit);

}  // namespace mnn::torch
