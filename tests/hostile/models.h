// Small models that together use every field of the file format.
#pragma once

#include <vector>

#include "libruntime/core/io/mnn_file.h"

namespace mnn {

// With golden data, metadata and weights outside the graph section where the graph has some.
std::vector<Model> hostile_seeds();

}  // namespace mnn
