#include "libquant/search/promote.h"

#include <algorithm>

namespace mnn {

Result<PromotionResult> promote_layers(const PromotionSearch& in) {
  std::vector<MixPart> parts;
  for (const Promotable& layer : in.layers) {
    parts.push_back({layer.name, {{"", layer.noise, 0, 0}, {"float", 0, 0, layer.cost}}});
  }
  const auto promoted = [](const Mix& mix) {
    std::set<size_t> some;
    for (size_t i = 0; i < mix.size(); ++i) {
      if (mix[i] != 0) some.insert(i);
    }
    return some;
  };
  MixSearch search{parts};
  search.time_price = 1;
  search.most_time = in.most_cost;
  search.goal = true;
  search.progress = in.progress;
  search.measure = [&](const Mix& mix) -> Result<MixTrial> {
    MNN_ASSIGN_OR_RETURN(MixTrial trial, in.measure(promoted(mix)));
    for (const size_t i : promoted(mix)) trial.time += in.layers[i].cost;
    return trial;
  };
  MNN_ASSIGN_OR_RETURN(const MixResult found, search_mix(search));
  PromotionResult result;
  result.reached = found.trial.goal.reached;
  if (!result.reached) return result;
  if (found.trial.goal.with_margin) result.margin_db = found.trial.goal.margin_db;
  const std::set<size_t> some = promoted(found.mix);
  result.promoted.assign(some.begin(), some.end());
  std::ranges::stable_sort(
      result.promoted, [&](size_t a, size_t b) { return in.layers[a].noise > in.layers[b].noise; });
  return result;
}

}  // namespace mnn
