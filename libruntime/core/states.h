// States made from a model's border: what a source passes in and out by hand lives in the model.
#pragma once

#include <string>
#include <string_view>

#include "libruntime/core/graph.h"

namespace mnn {

// The input of that name becomes a state that starts with zeros and takes, after each run, the
// content of the output of that name; both leave the border, where the output is not read by
// others it is only the state's. An error (wrong usage) when a name is unknown or the types differ
// or are open.
Status make_state(Graph& graph, std::string_view input, std::string_view output);

}  // namespace mnn
