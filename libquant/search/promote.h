// Layers back to float until a quantized network is good enough.
#pragma once

#include <set>

#include "libquant/search/mix.h"

namespace mnn {

struct Promotable {
  std::string name;
  double noise = 0;  // over the signal at the outputs, with nothing else quantized
  double cost = 0;   // in float, of what is to be low
};

struct PromotionSearch {
  std::vector<Promotable> layers;
  double most_cost = 0;
  // The network with these of `layers` in float.
  std::function<Result<MixTrial>(const std::set<size_t>& promoted)> measure;
  std::function<void(int64_t done, int64_t total)> progress;
};

struct PromotionResult {
  bool reached = false;
  double margin_db = 0;          // that the goal was raised by
  std::vector<size_t> promoted;  // the one that costs most first
};

// The mix (search_mix) of each layer as it is and in float that reaches the goal at the least cost.
Result<PromotionResult> promote_layers(const PromotionSearch& search);

}  // namespace mnn
