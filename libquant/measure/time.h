// How long networks and their layers take.
#pragma once

#include <map>

#include "libquant/measure/observe.h"

namespace mnn {

// The median time of a run on the sample, ms.
Result<double> median_ms(const Graph& graph, const std::vector<Tensor>& sample,
                         const std::shared_ptr<Engine>& engine);

// The mean time of each layer by its name, ms.
Result<std::map<std::string, double>> layer_ms(Graph graph, const std::vector<Tensor>& sample,
                                               const RunOptions& run);

}  // namespace mnn
