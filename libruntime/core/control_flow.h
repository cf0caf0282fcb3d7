// If, Loop, Scan and SequenceMap over any way of running a sub-graph: the reference runner and the
// session share this.
#pragma once

#include <functional>

#include "libruntime/core/op.h"

namespace mnn {

// Runs `graph` on its inputs followed by its captures; returns its outputs.
using RunSubgraph =
    std::function<Result<std::vector<Tensor>>(const Graph& graph, std::span<const Tensor> feeds)>;

// One result per output of `node`. `inputs` holds null for absent inputs.
Result<std::vector<Tensor>> run_control_flow(const Node& node,
                                             std::span<const Tensor* const> inputs,
                                             std::span<const Tensor> captures,
                                             const RunSubgraph& run);

}  // namespace mnn
