// The source layers of a graph as something that can be looked at, dumped and compared.
#pragma once

#include <string>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn::flows {

// One tensor that a node makes.
struct Layer {
  std::string name;  // display_name of the node; ":1", ":2"… for its further outputs
  std::string op;    // with the fused ones: "Conv+Relu"; without what smoothing appended
  std::vector<std::string> origin;
  ValueId value = kNoValue;
};
std::string op_label(const Node& node);
// Every tensor that a node of `graph` makes, in execution order. Sequences and optionals, and what
// is inside sub-graphs, are left out. Names may repeat.
std::vector<Layer> list_layers(const Graph& graph);

// What a run made of value `v` as its source layer made it: with the divisors of smoothing taken
// back.
Result<Tensor> source_tensor(const Graph& graph, ValueId v, const Tensor& made);

// File stems for `layers`, percent-encoded, repeated names told apart by "~2", "~3"…
std::vector<std::string> layer_stems(const std::vector<Layer>& layers);

// Makes `values` further outputs of the graph where they are none yet; returns the position of each
// among its outputs.
std::vector<size_t> expose(Graph& graph, const std::vector<ValueId>& values);

}  // namespace mnn::flows
