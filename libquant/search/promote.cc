#include "libquant/search/promote.h"

#include <algorithm>
#include <cmath>

namespace mnn {
namespace {

constexpr double kMostMacs = 0.5;
// Of more than this many none is tried once more.
constexpr size_t kMostPruned = 16;
// What a MAC in float takes compared with one in int8. A rough figure for the estimate alone: it
// differs between CPUs and layers.
constexpr double kFloatTime = 2.2;

struct Part {
  NodeId node = -1;
  ValueId value = kNoValue;  // between layers, where `node` is no layer
  std::string name;
  double noise = 0, macs = 0;
};

class Promoter {
 public:
  explicit Promoter(const PromotionSearch& in) : in_(in) {}

  Result<PromotionResult> run() {
    std::vector<Part> parts = candidates();
    PromotionResult best;
    best.told.tried = true;
    for (const bool by_macs : {false, true}) {
      std::stable_sort(parts.begin(), parts.end(), [&](const Part& a, const Part& b) {
        return by_macs ? a.noise * (b.macs + 1) > b.noise * (a.macs + 1) : a.noise > b.noise;
      });
      MNN_ASSIGN_OR_RETURN(std::vector<Part> some, least_of(parts));
      if (some.empty()) continue;
      MNN_RETURN_IF_ERROR(prune(some));
      PromotionResult found = told(some);
      if (!best.told.reached || found.told.mac_share < best.told.mac_share) best = std::move(found);
    }
    return best;
  }

 private:
  std::vector<Part> candidates() const {
    const QuantPlan& plan = in_.solution.plan;
    std::vector<Part> parts;
    for (const LayerError& e : in_.layers) {
      if (e.node < 0 || !std::isfinite(e.contribution.snr_db)) continue;
      Part part{e.node, kNoValue, e.name, std::pow(10.0, -e.contribution.snr_db / 10),
                static_cast<double>(e.macs)};
      const bool layer = std::any_of(plan.layers.begin(), plan.layers.end(),
                                     [&](const QuantLayer& l) { return l.node == e.node; });
      if (!layer) {
        part.value = in_.solution.graph.node(e.node).outputs[0];
        if (!std::binary_search(plan.between.begin(), plan.between.end(), part.value)) continue;
      }
      parts.push_back(std::move(part));
    }
    return parts;
  }

  // The shortest beginning of `parts` that reaches the goal, as far as more never hurts; empty:
  // none does.
  Result<std::vector<Part>> least_of(const std::vector<Part>& all) {
    std::vector<Part> parts;  // those that fit
    double macs = 0;
    for (const Part& part : all) {
      if (macs + part.macs > kMostMacs * in_.macs) continue;
      macs += part.macs;
      parts.push_back(part);
    }
    const size_t most = parts.size();
    size_t low = 0, high = 1;  // `low` parts are too few
    for (;; high = std::min(2 * high, most)) {
      if (high > most) return std::vector<Part>();
      MNN_ASSIGN_OR_RETURN(const bool enough, reached(first(parts, high)));
      if (enough) break;
      if (high == most) return std::vector<Part>();
      low = high;
    }
    while (high - low > 1) {
      const size_t middle = low + (high - low) / 2;
      MNN_ASSIGN_OR_RETURN(const bool enough, reached(first(parts, middle)));
      (enough ? high : low) = middle;
    }
    return first(parts, high);
  }

  static std::vector<Part> first(const std::vector<Part>& parts, size_t count) {
    return {parts.begin(), parts.begin() + static_cast<long>(count)};
  }

  Status prune(std::vector<Part>& some) {
    if (some.size() > kMostPruned) return {};
    std::vector<Part> dear = some;
    std::stable_sort(dear.begin(), dear.end(),
                     [](const Part& a, const Part& b) { return a.macs > b.macs; });
    for (const Part& part : dear) {
      if (some.size() == 1) break;
      std::vector<Part> less;
      std::copy_if(some.begin(), some.end(), std::back_inserter(less),
                   [&](const Part& p) { return p.node != part.node; });
      MNN_ASSIGN_OR_RETURN(const bool enough, reached(less));
      if (enough) some = std::move(less);
    }
    return {};
  }

  PromotionResult told(const std::vector<Part>& some) const {
    PromotionResult result;
    result.told.tried = result.told.reached = true;
    double macs = 0;
    for (const Part& p : some) {
      result.told.layers.push_back(p.name);
      macs += p.macs;
      if (p.value == kNoValue) {
        result.nodes.insert(p.node);
      } else {
        result.values.insert(p.value);
      }
    }
    result.told.mac_share = in_.macs > 0 ? macs / in_.macs : 0;
    result.told.time = 1 + (kFloatTime - 1) * result.told.mac_share;
    return result;
  }

  Result<bool> reached(const std::vector<Part>& some) {
    ++steps_;
    if (in_.progress) in_.progress(steps_, steps_ + 4);
    const PromotionResult result = told(some);
    const Solution& s = in_.solution;
    const auto [plan, decisions] =
        without(s.graph, s.plan, s.decisions, result.nodes, result.values);
    return in_.reached(annotate(s.graph, plan, decisions));
  }

  const PromotionSearch& in_;
  int64_t steps_ = 0;
};

}  // namespace

Result<PromotionResult> promote_layers(const PromotionSearch& search) {
  return Promoter(search).run();
}

}  // namespace mnn
