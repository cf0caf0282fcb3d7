// Every decision about a quantized network as a file that a person can read, edit and hand back
// (docs/quantization-scheme.md).
#pragma once

#include "libquant/search/search.h"

namespace mnn {

// `graph` is the float network the solution was found for. `calibration` is JSON that is kept as it
// is: which data the decisions come from.
std::string scheme_json(const Graph& graph, const Solution& solution, const std::string& scheme,
                        const std::string& calibration);

// The solution a file describes, without any search; errors name the key and the tensor or layer.
Result<Solution> read_scheme(const Graph& graph, const std::string& text);
}  // namespace mnn
