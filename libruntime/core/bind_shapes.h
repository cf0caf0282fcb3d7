// Binding the shapes of a graph's inputs: the one place where shapes that are given meet declared
// ones, for front ends, for .mnn files and for Session::prepare.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

// Input name -> dims; -1 keeps a dim as it is.
using ShapeMap = std::map<std::string, std::vector<int64_t>>;

// The symbol when `dim` is one and nothing else.
std::optional<std::string> plain_symbol(const Dim& dim);

// Replaces symbols by their numbers in what goes into the graph and its sub-graphs. The open dims
// of what nodes make are forgotten: they follow, and inference tells them better then.
void bind_symbols(Graph& graph, const Bindings& bindings);

// Gives every input the dims asked for and binds the symbols they stand for. Inputs that are no
// tensors keep their type. An error (kInvalidArgument) names the input, the dimension, what was
// expected and what was found; the graph is as it was.
Status bind_inputs(Graph& graph, const std::vector<std::vector<int64_t>>& input_dims);

// What becomes of a declared number that contradicts the given one.
enum class DeclaredDims { kHold, kYield };
// The same for the inputs that are named; errors are kUsage. True when a declared number gave way.
// Inference is up to the caller.
Result<bool> bind_named_inputs(Graph& graph, const ShapeMap& shapes, DeclaredDims declared);

// The input dims of a graph whose inputs are all static; an error names the first open dimension.
Result<std::vector<std::vector<int64_t>>> static_input_dims(const Graph& graph);

}  // namespace mnn
