// Binding the shapes of a graph: what prepare() does first.
#pragma once

#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

// Gives every input the dims asked for and replaces the symbols they bind all over the graph,
// sub-graphs included. Inputs that are no tensors keep their type. An error names the input, the
// dimension, what was expected and what was found.
Status bind_inputs(Graph& graph, const std::vector<std::vector<int64_t>>& input_dims);

// The input dims of a graph whose inputs are all static; an error names the first open dimension.
Result<std::vector<std::vector<int64_t>>> static_input_dims(const Graph& graph);

}  // namespace mnn
