// Reverse mode: the derivatives of a value with respect to others, as nodes of the same graph. They
// are made of ordinary operators, so whatever compiles and runs a graph runs its backward pass too.
#pragma once

#include <span>
#include <vector>

#include "libruntime/core/op.h"

namespace mnn {

// Appends nodes that compute the derivative of the sum of the elements of `y` with respect to each
// of `xs` (inputs, states, constants or temporaries of the graph); returns one value per x with its
// type, kNoValue where y does not depend on it through floats. The graph is sorted; its types are
// inferred here. Between xs and y post-ops become nodes, and operators that have only a
// decomposition become that. Nodes nobody needs may stay: remove_dead() takes them. An error names
// the first node that has no derivative.
Result<std::vector<ValueId>> differentiate(Graph& graph, ValueId y, std::span<const ValueId> xs);

// For the `gradient` of a row: the derivatives of what `expand` builds for the node, which is built
// once more for them. Their dims must be static where `expand` asks for that.
Result<std::vector<ValueId>> gradient_through(Builder& b, const Node& node,
                                              std::span<const ValueId> outputs, DecomposeFn expand);
template <DecomposeFn expand>
Result<std::vector<ValueId>> gradient_by(Builder& b, const Node& node,
                                         std::span<const ValueId> outputs) {
  return gradient_through(b, node, outputs, expand);
}

}  // namespace mnn
