#include "libquant/search/mix.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

namespace mnn {
namespace {

constexpr int kBudgets = 4096;
// A promotion that gains less is taken back.
constexpr double kLeastGainDb = 0.01;
constexpr size_t kMostPruned = 24, kMostSwaps = 16;
constexpr int kMostCorrections = 4;  // of a budget whose mix turned out too large

class Searcher {
 public:
  explicit Searcher(const MixSearch& in) : in_(in) {}

  Result<MixResult> run() {
    MNN_RETURN_IF_ERROR(look());
    if (in_.goal && !reached(best_)) {
      plain_ = true;
      best_.clear();
      for (const auto& [mix, t] : result_.trials) {
        if (fits(t) && (best_.empty() || better(mix, best_))) best_ = mix;
      }
      MNN_RETURN_IF_ERROR(look());
    }
    result_.mix = best_;
    result_.trial = trial(best_);
    result_.fits = fits(result_.trial);
    return std::move(result_);
  }

 private:
  Status look() {
    for (const Mix& mix : in_.first) MNN_RETURN_IF_ERROR(consider(mix));
    for (const auto& [bytes, time] : prices()) {
      const MixFront front(in_.parts, [&, b = bytes, t = time](const MixOption& o) {
        return b * o.bytes + t * o.time;
      });
      MNN_RETURN_IF_ERROR(in_.goal ? cheapest_of(front) : last_of(front));
    }
    if (best_.empty()) {
      // Nothing fits: the smallest and fastest is the nearest miss.
      MNN_RETURN_IF_ERROR(consider(least()));
      if (best_.empty()) best_ = nearest_miss();
    } else if (in_.goal) {
      if (!reached(best_)) MNN_RETURN_IF_ERROR(repair());
      if (reached(best_)) MNN_RETURN_IF_ERROR(prune());
    } else {
      MNN_RETURN_IF_ERROR(swap());
    }
    return {};
  }

  bool reached(const Mix& mix) const {
    const GoalVerdict& goal = trial(mix).goal;
    return plain_ ? goal.reached : goal.with_margin;
  }
  const MixTrial& trial(const Mix& mix) const { return result_.trials.at(mix); }
  const MixOption& option(const Mix& mix, size_t part) const {
    return in_.parts[part].options[static_cast<size_t>(mix[part])];
  }
  double price(const MixOption& o) const {
    return in_.byte_price * o.bytes + in_.time_price * o.time;
  }
  double sum(const Mix& mix, double MixOption::*what) const {
    double all = 0;
    for (size_t p = 0; p < mix.size(); ++p) all += option(mix, p).*what;
    return all;
  }
  double price(const Mix& mix) const {
    return in_.byte_price * sum(mix, &MixOption::bytes) +
           in_.time_price * sum(mix, &MixOption::time);
  }

  bool fits(const MixTrial& t) const {
    return !(in_.most_bytes && t.bytes > *in_.most_bytes) &&
           !(in_.most_time && t.time > *in_.most_time);
  }
  // By what was measured of the last mix beyond the sum of its parts.
  bool should_fit(const Mix& mix) const {
    MixTrial t;
    t.bytes = sum(mix, &MixOption::bytes) + more_bytes_;
    t.time = sum(mix, &MixOption::time) + more_time_;
    return fits(t);
  }

  bool may_measure() const { return result_.trials.size() < in_.most_trials; }

  Status measure(const Mix& mix) {
    if (result_.trials.contains(mix)) return {};
    if (in_.progress) {
      in_.progress(static_cast<int64_t>(result_.trials.size()),
                   static_cast<int64_t>(in_.most_trials));
    }
    MNN_ASSIGN_OR_RETURN(const MixTrial t, in_.measure(mix));
    result_.trials.emplace(mix, t);
    more_bytes_ = t.bytes - sum(mix, &MixOption::bytes);
    more_time_ = t.time - sum(mix, &MixOption::time);
    return {};
  }

  // Whether `a` is a better result than `b`; both fit.
  bool better(const Mix& a, const Mix& b) const {
    const bool x = reached(a), y = reached(b);
    if (!in_.goal || (!x && !y)) return trial(a).score > trial(b).score;
    if (x != y) return x;
    return price(a) < price(b);
  }

  Status consider(const Mix& mix) {
    MNN_RETURN_IF_ERROR(measure(mix));
    if (fits(trial(mix)) && (best_.empty() || better(mix, best_))) best_ = mix;
    return {};
  }

  // The costs whose fronts are looked at.
  std::vector<std::pair<double, double>> prices() const {
    std::vector<std::pair<double, double>> all;
    if (in_.goal) all.emplace_back(in_.byte_price, in_.time_price);
    const bool both = in_.most_bytes && in_.most_time;
    if (both) all.emplace_back(1 / *in_.most_bytes, 1 / *in_.most_time);
    if (in_.most_bytes) all.emplace_back(1, 0);
    if (in_.most_time) all.emplace_back(0, 1);
    return all;
  }

  // The first step of the front, as far as more never hurts, that reaches the goal.
  Status cheapest_of(const MixFront& front) {
    std::vector<Mix> steps;
    for (size_t i = 0; i < front.size(); ++i) {
      Mix mix = front.at(i);
      if (should_fit(mix)) steps.push_back(std::move(mix));
    }
    if (steps.empty()) return {};
    const auto enough = [&](size_t i) -> Result<bool> {
      MNN_RETURN_IF_ERROR(consider(steps[i]));
      return reached(steps[i]) && fits(trial(steps[i]));
    };
    size_t low = 0, high = 0;  // steps below `low` are too cheap
    for (;;) {
      MNN_ASSIGN_OR_RETURN(const bool found, enough(high));
      if (found) break;
      if (high + 1 == steps.size() || !may_measure()) return {};
      low = high + 1;
      high = std::min(2 * high + 1, steps.size() - 1);
    }
    while (low < high && may_measure()) {
      const size_t middle = low + (high - low) / 2;
      MNN_ASSIGN_OR_RETURN(const bool found, enough(middle));
      if (found) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return {};
  }

  // The dearest step within the limits.
  Status last_of(const MixFront& front) {
    for (int i = 0; i < kMostCorrections; ++i) {
      size_t low = 0, high = front.size();  // steps before `low` fit
      while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (should_fit(front.at(middle))) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      if (low == 0) return {};
      const Mix mix = front.at(low - 1);
      const bool known = result_.trials.contains(mix);
      MNN_RETURN_IF_ERROR(consider(mix));
      if (known || fits(trial(mix))) return {};
    }
    return {};
  }

  Mix least() const {
    Mix mix;
    for (const MixPart& part : in_.parts) {
      const auto relative = [&](const MixOption& o) {
        return (in_.most_bytes ? o.bytes / std::max(1.0, *in_.most_bytes) : 0) +
               (in_.most_time ? o.time / std::max(1e-9, *in_.most_time) : 0);
      };
      const auto at = std::ranges::min_element(
          part.options, [&](const auto& a, const auto& b) { return relative(a) < relative(b); });
      mix.push_back(static_cast<int>(at - part.options.begin()));
    }
    return mix;
  }

  // Of what was measured the one that is beyond the limits by the least factor.
  Mix nearest_miss() const {
    const auto excess = [&](const MixTrial& t) {
      return std::max(in_.most_bytes ? t.bytes / std::max(1.0, *in_.most_bytes) : 0,
                      in_.most_time ? t.time / std::max(1e-9, *in_.most_time) : 0);
    };
    return std::ranges::min_element(
               result_.trials,
               [&](const auto& a, const auto& b) { return excess(a.second) < excess(b.second); })
        ->first;
  }

  struct Move {
    size_t part = 0;
    int to = 0;
    double noise = 0;  // that goes away
    double price = 0;
  };
  // Every change of one part that has less noise, the most noise for its price first.
  std::vector<Move> promotions() const {
    std::vector<Move> moves;
    for (size_t p = 0; p < in_.parts.size(); ++p) {
      const auto& options = in_.parts[p].options;
      for (size_t o = 0; o < options.size(); ++o) {
        const double less = option(best_, p).noise - options[o].noise;
        if (less <= 0) continue;
        moves.push_back({p, static_cast<int>(o), less,
                         std::max(price(options[o]) - price(option(best_, p)), 0.0)});
      }
    }
    const double least = 1e-6 * std::max(price(best_), 1e-300);
    std::ranges::stable_sort(moves, [&](const Move& a, const Move& b) {
      return a.noise * (b.price + least) > b.noise * (a.price + least);
    });
    return moves;
  }

  // Takes `mix` where it is better than the best; else the promotion of `part` is undone.
  Result<bool> keep(const Mix& mix, size_t part) {
    MNN_RETURN_IF_ERROR(measure(mix));
    const MixTrial &t = trial(mix), &before = trial(best_);
    const bool better =
        fits(t) && (reached(mix) > reached(best_) ||
                    (reached(mix) == reached(best_) && t.score > before.score + kLeastGainDb));
    if (!better) {
      result_.undone.push_back(in_.parts[part].name + " as " + option(mix, part).scheme);
      return false;
    }
    best_ = mix;
    return true;
  }

  Status repair() {
    std::vector<char> moved(in_.parts.size(), 0);
    for (const Move& m : promotions()) {
      if (reached(best_) || !may_measure()) break;
      // The order is that of the beginning; what was promoted since stays so.
      if (moved[m.part] != 0) continue;
      Mix mix = best_;
      mix[m.part] = m.to;
      if (!should_fit(mix) || result_.trials.contains(mix)) continue;
      MNN_ASSIGN_OR_RETURN(const bool kept, keep(mix, m.part));
      moved[m.part] = kept;
    }
    return {};
  }

  // What was promoted and is not needed for the goal goes back, the dearest first.
  Status prune() {
    size_t tried = 0;
    std::vector<size_t> parts(in_.parts.size());
    std::iota(parts.begin(), parts.end(), size_t{0});
    const auto cheapest = [&](size_t p) {
      const auto& options = in_.parts[p].options;
      return static_cast<int>(
          std::ranges::min_element(
              options, [&](const auto& a, const auto& b) { return price(a) < price(b); }) -
          options.begin());
    };
    const auto saved = [&](size_t p) {
      return price(option(best_, p)) -
             price(in_.parts[p].options[static_cast<size_t>(cheapest(p))]);
    };
    std::ranges::stable_sort(parts, [&](size_t a, size_t b) { return saved(a) > saved(b); });
    for (const size_t p : parts) {
      if (saved(p) <= 0) continue;
      if (tried++ == kMostPruned || !may_measure()) break;
      Mix mix = best_;
      mix[p] = cheapest(p);
      MNN_RETURN_IF_ERROR(consider(mix));
    }
    return {};
  }

  // Parts that cost most get better; others, those that lose least by it, pay.
  Status swap() {
    std::vector<Move> moves = promotions();
    std::ranges::stable_sort(moves, [](const Move& a, const Move& b) { return a.noise > b.noise; });
    size_t tried = 0;
    for (const Move& m : moves) {
      if (tried == kMostSwaps || !may_measure()) break;
      Mix mix = best_;
      if (option(mix, m.part).noise <= in_.parts[m.part].options[static_cast<size_t>(m.to)].noise)
        continue;
      mix[m.part] = m.to;
      if (!pay(mix, m.part) || result_.trials.contains(mix)) continue;
      ++tried;
      MNN_RETURN_IF_ERROR(keep(mix, m.part).status());
    }
    return {};
  }

  // Makes parts but `spared` cheaper until the mix should fit.
  bool pay(Mix& mix, size_t spared) const {
    const auto relative = [&](const MixOption& o) {
      return (in_.most_bytes ? o.bytes / *in_.most_bytes : 0) +
             (in_.most_time ? o.time / *in_.most_time : 0);
    };
    while (!should_fit(mix)) {
      size_t part = in_.parts.size();
      int to = 0;
      double least = std::numeric_limits<double>::infinity();
      for (size_t p = 0; p < in_.parts.size(); ++p) {
        if (p == spared) continue;
        const auto& options = in_.parts[p].options;
        for (size_t o = 0; o < options.size(); ++o) {
          const double freed = relative(option(mix, p)) - relative(options[o]);
          if (freed <= 0) continue;
          const double loss = std::max(options[o].noise - option(mix, p).noise, 0.0) / freed;
          if (loss >= least) continue;
          least = loss;
          part = p;
          to = static_cast<int>(o);
        }
      }
      if (part == in_.parts.size()) return false;
      mix[part] = to;
    }
    return true;
  }

  const MixSearch& in_;
  MixResult result_;
  Mix best_;  // of what fits; empty: nothing does
  double more_bytes_ = 0, more_time_ = 0;
  bool plain_ = false;  // the goal without a margin does
};

}  // namespace

MixFront::MixFront(const std::vector<MixPart>& parts,
                   const std::function<double(const MixOption&)>& cost) {
  double range = 0;
  std::vector<std::vector<double>> exact;
  bool whole = true;
  for (const MixPart& part : parts) {
    std::vector<double>& row = exact.emplace_back();
    for (const MixOption& o : part.options) row.push_back(cost(o));
    const double least = *std::ranges::min_element(row);
    for (double& c : row) {
      c -= least;
      whole = whole && c == std::floor(c);
    }
    range += *std::ranges::max_element(row);
  }
  const double unit = whole && range <= kBudgets ? 1 : std::max(range, 1e-300) / kBudgets;
  int most = 0;
  for (const auto& row : exact) {
    std::vector<int>& steps = costs_.emplace_back();
    for (const double c : row) steps.push_back(static_cast<int>(std::ceil(c / unit * (1 - 1e-12))));
    most += *std::ranges::max_element(steps);
  }
  const auto budgets = static_cast<size_t>(most) + 1;
  std::vector<double> noise(budgets, 0), next(budgets);
  for (size_t p = 0; p < parts.size(); ++p) {
    std::vector<uint8_t>& taken = taken_.emplace_back(budgets, 0);
    std::ranges::fill(next, std::numeric_limits<double>::infinity());
    for (size_t o = 0; o < parts[p].options.size(); ++o) {
      const auto c = static_cast<size_t>(costs_[p][o]);
      const double own = parts[p].options[o].noise;
      for (size_t b = c; b < budgets; ++b) {
        if (noise[b - c] + own >= next[b]) continue;
        next[b] = noise[b - c] + own;
        taken[b] = static_cast<uint8_t>(o);
      }
    }
    noise.swap(next);
  }
  for (size_t b = 0; b < budgets; ++b) {
    if (b == 0 || noise[b] < noise[static_cast<size_t>(steps_.back())] * (1 - 1e-9))
      steps_.push_back(static_cast<int>(b));
  }
}

Mix MixFront::at(size_t step) const {
  Mix mix(taken_.size());
  auto budget = static_cast<size_t>(steps_[step]);
  for (size_t p = mix.size(); p-- > 0;) {
    mix[p] = taken_[p][budget];
    budget -= static_cast<size_t>(costs_[p][static_cast<size_t>(mix[p])]);
  }
  return mix;
}

double noise_of(double snr_db) { return std::pow(10.0, -snr_db / 10); }

Result<MixResult> search_mix(const MixSearch& search) { return Searcher(search).run(); }

std::vector<std::pair<Mix, MixTrial>> pareto_front(const std::map<Mix, MixTrial>& trials) {
  std::vector<std::pair<Mix, MixTrial>> all(trials.begin(), trials.end()), front;
  std::ranges::stable_sort(all, [](const auto& a, const auto& b) {
    const MixTrial &x = a.second, &y = b.second;
    return std::tuple(x.bytes, x.time, -x.score) < std::tuple(y.bytes, y.time, -y.score);
  });
  for (auto& one : all) {
    const bool beaten = std::ranges::any_of(front, [&](const auto& f) {
      return f.second.time <= one.second.time && f.second.score >= one.second.score;
    });
    if (!beaten) front.push_back(std::move(one));
  }
  return front;
}

}  // namespace mnn
