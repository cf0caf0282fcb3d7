// What the tests of passes share: inputs made up for a graph, and agreement of two graphs on them.
#pragma once

#include <string>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

// Every symbol bound to some small number, the same for equal names.
Graph with_bound_symbols(Graph graph);
// Made-up data for every input; unknown dims become 2.
Result<std::vector<Tensor>> made_up_inputs(const Graph& graph, uint64_t seed);
// Runs both with the reference kernels on the same inputs. Empty when every output agrees to
// `tolerance` relative to its largest magnitude, or to `least` where that is more, and has the same
// type; else what is wrong.
std::string disagreement(const Graph& before, const Graph& after, uint64_t seed,
                         double tolerance = 1e-5, double least = 0);
// The text of a graph with values named by their order and without names, origins and the types of
// temporaries: equal for graphs that are the same but for those.
std::string shape_of(Graph graph);

}  // namespace mnn
