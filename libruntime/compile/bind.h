// Binding the shapes of a graph: what prepare() does first.
#pragma once

#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

// Replaces symbols by their numbers in what goes into the graph and its sub-graphs. The open dims
// of what nodes make are forgotten: they follow, and inference tells them better then.
void bind_symbols(Graph& graph, const Bindings& bindings);

// Gives every input the dims asked for and binds the symbols they stand for. Inputs that are no
// tensors keep their type. An error names the input, the dimension, what was expected and what was
// found.
Status bind_inputs(Graph& graph, const std::vector<std::vector<int64_t>>& input_dims);

// The input dims of a graph whose inputs are all static; an error names the first open dimension.
Result<std::vector<std::vector<int64_t>>> static_input_dims(const Graph& graph);

}  // namespace mnn
