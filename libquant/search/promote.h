// Layers back to float until a quantized network is good enough.
#pragma once

#include "libquant/search/search.h"
#include "libquant/types.h"

namespace mnn {

struct PromotionSearch {
  const Solution& solution;
  const std::vector<LayerError>& layers;  // with their contributions
  double macs = 0;                        // of one run
  // Whether such a network is good enough.
  std::function<Result<bool>(const Graph& quantized)> reached;
  std::function<void(int64_t done, int64_t total)> progress;
};

struct PromotionResult {
  Promotions told;
  std::set<NodeId> nodes;
  std::set<ValueId> values;
};

// Tries layers in order of their contribution, and of their contribution for each MAC, until the
// goal is reached; then whether it is without some of them, those with the most MACs first. Of both
// orders the one with fewer MACs in float wins. At most half of the MACs go to float:
// `told.reached` is false when that does not do, and nothing is promoted.
Result<PromotionResult> promote_layers(const PromotionSearch& search);

}  // namespace mnn
