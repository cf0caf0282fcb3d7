// An executable that interprets its segment node by node with the reference kernels.
#pragma once

#include <memory>
#include <string>

#include "libruntime/compile/backend.h"

namespace mnn {

// Computes what run_reference computes: constants dequantized, every value with QuantParams rounded
// to its grid. Keeps a copy of the graph (weights shared). Shapes may be open.
Result<std::unique_ptr<Executable>> make_interpreter(const Graph& segment, std::string backend);

}  // namespace mnn
