// The equation of Einsum, read and checked.
#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "libruntime/core/op.h"

namespace mnn {

// Labels are letters; kEllipsis + k stands for the k-th dimension from the right of "...".
struct EinsumEquation {
  static constexpr int kEllipsis = 256;
  std::vector<std::vector<int>> terms;  // one per operand
  std::vector<int> output;
};

// `ranks` has the rank of every operand. An implicit output is made explicit.
Result<EinsumEquation> parse_einsum(std::string_view text, const std::vector<size_t>& ranks);

class Builder;
// Any equation without diagonals and without broadcast sums, of operands whose ranks are known.
Result<std::vector<ValueId>> decompose_einsum(Builder& b, const Node& node);

}  // namespace mnn
