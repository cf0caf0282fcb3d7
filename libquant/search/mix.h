// The choice of a scheme for each part of a network under limits on size, time and error. Knows no
// graph: whoever calls it measures what a choice amounts to.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libquant/types.h"

namespace mnn {

// One way to store and compute a part.
struct MixOption {
  std::string scheme;  // "int8", "w4", "f16", "float"
  double noise = 0;    // over the signal at the outputs, everything else in float
  double bytes = 0, time = 0;
};
struct MixPart {
  std::string name;
  std::vector<MixOption> options;  // 255 at most
};
using Mix = std::vector<int>;  // per part the index of its option

// What a MAC in float takes compared with one in int8. A rough figure for estimates alone: it
// differs between CPUs and layers.
inline constexpr double kFloatTime = 2.2;
// Noise over signal of an SNR in dB.
double noise_of(double snr_db);

// What a mix turned out to be.
struct MixTrial {
  double score = -std::numeric_limits<double>::infinity();  // dB, what mixes are compared by
  double mean_snr_db = 0, worst_snr_db = 0;                 // of the held-back samples
  double pooled_snr_db = 0;                                 // of the worst slice over all of them
  GoalVerdict goal;
  double bytes = 0, time = 0;
};

// The mixes of least summed noise for every budget of cost, by dynamic programming over costs that
// are rounded up to a 4096th of the range: exact where costs are few whole numbers, else off by
// less than a step a part, never above a budget.
class MixFront {
 public:
  // `cost` of an option; only differences within a part count.
  MixFront(const std::vector<MixPart>& parts, const std::function<double(const MixOption&)>& cost);
  // Budgets that buy less noise than the one before, the cheapest first; never empty.
  size_t size() const { return steps_.size(); }
  Mix at(size_t step) const;

 private:
  std::vector<std::vector<int>> costs_;      // in steps of the range
  std::vector<std::vector<uint8_t>> taken_;  // per part and budget
  std::vector<int> steps_;                   // budgets
};

struct MixSearch {
  explicit MixSearch(const std::vector<MixPart>& all) : parts(all) {}
  const std::vector<MixPart>& parts;
  double byte_price = 0, time_price = 0;  // what is to be low where a goal is reached
  std::optional<double> most_bytes, most_time;
  // With a goal the cheapest mix that reaches it is sought, with the margin for samples nobody has
  // seen where that can be, else the one of the best score.
  bool goal = false;
  size_t most_trials = 100;
  std::vector<Mix> first;  // measured before all others
  std::function<Result<MixTrial>(const Mix&)> measure;
  std::function<void(int64_t done, int64_t total)> progress;
};

struct MixResult {
  Mix mix;
  MixTrial trial;
  bool fits = false;                // within the limits
  std::map<Mix, MixTrial> trials;   // all that were measured
  std::vector<std::string> undone;  // promotions that were taken back: they did not help
};

// Knapsack by predicted noise, then what was predicted is measured: of the front the cheapest mix
// that reaches the goal is found by bisection (without a goal: the last within the limits). Where
// none does, single parts are promoted, the most noise for its price first, and each promotion is
// taken back unless the score is better with it; without a goal others pay for it. A goal reached
// is then held with as few promotions as do. Where sizes and times turn out other than the parts'
// sums, the difference is kept in mind. Deterministic, and at most `most_trials` are measured.
Result<MixResult> search_mix(const MixSearch& search);

// Of the trials those that no other beats in score at no more bytes and time, by bytes, then time.
std::vector<std::pair<Mix, MixTrial>> pareto_front(const std::map<Mix, MixTrial>& trials);

}  // namespace mnn
