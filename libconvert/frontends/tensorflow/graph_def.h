// The front end of a frozen TensorFlow graph, in binary or text form.
#pragma once

#include <span>

#include "libconvert/convert.h"

namespace mnn {

Frontend graph_def_frontend();
// A graph that is in memory.
Result<ImportedModel> import_graph_def(std::span<const std::byte> bytes,
                                       const ImportOptions& options = {});

}  // namespace mnn
