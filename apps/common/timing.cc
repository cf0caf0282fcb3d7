#include "apps/common/timing.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace mnn::cli {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

constexpr int kResamples = 1000;
constexpr double kRoundMs = 50.0;
constexpr int kMinRounds = 5;

}  // namespace

double percentile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = p / 100.0 * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (values[high] - values[low]) * (at - static_cast<double>(low));
}

double median(const std::vector<double>& values) { return percentile(values, 50); }

Interval median_interval(const std::vector<double>& values) {
  Interval interval;
  interval.middle = median(values);
  if (values.size() < 2) {
    interval.low = interval.high = interval.middle;
    return interval;
  }
  uint64_t state = 0x2545f4914f6cdd1dULL;
  std::vector<double> medians, sample(values.size());
  for (int r = 0; r < kResamples; ++r) {
    for (double& s : sample) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      s = values[state % values.size()];
    }
    medians.push_back(median(sample));
  }
  interval.low = percentile(medians, 2.5);
  interval.high = percentile(medians, 97.5);
  return interval;
}

Result<std::vector<Timed>> time_sessions(const std::vector<Session*>& sessions,
                                         const BenchPlan& plan) {
  std::vector<int> per_round;
  for (Session* s : sessions) {
    const Clock::time_point start = Clock::now();
    int runs = 0;
    double last = 0;
    do {
      const Clock::time_point one = Clock::now();
      MNN_RETURN_IF_ERROR(s->run());
      last = ms_since(one);
      ++runs;
    } while (runs < 2 || ms_since(start) < plan.warmup_seconds * 1e3);
    per_round.push_back(std::clamp(static_cast<int>(kRoundMs / std::max(last, 1e-3)), 1, 10000));
  }
  std::vector<Timed> timed(sessions.size());
  const Clock::time_point start = Clock::now();
  const double budget_ms = plan.seconds * 1e3 * static_cast<double>(sessions.size());
  for (int round = 0;; ++round) {
    bool more = false;
    for (size_t i = 0; i < sessions.size(); ++i) {
      int runs = per_round[i];
      if (plan.iterations > 0) {
        runs = std::min(runs, plan.iterations - static_cast<int>(timed[i].ms.size()));
        // All models take part in every round, however fast one is.
        if (runs <= 0) continue;
      }
      std::vector<double> batch;
      for (int r = 0; r < runs; ++r) {
        const Clock::time_point one = Clock::now();
        MNN_RETURN_IF_ERROR(sessions[i]->run());
        batch.push_back(ms_since(one));
      }
      timed[i].round_ms.push_back(median(batch));
      timed[i].ms.insert(timed[i].ms.end(), batch.begin(), batch.end());
      more |= plan.iterations > 0 && static_cast<int>(timed[i].ms.size()) < plan.iterations;
    }
    if (plan.iterations > 0 ? !more : (round + 1 >= kMinRounds && ms_since(start) >= budget_ms))
      break;
  }
  return timed;
}

Interval ratio_interval(const Timed& a, const Timed& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(a.round_ms.size(), b.round_ms.size()); ++i) {
    ratios.push_back(a.round_ms[i] / b.round_ms[i]);
  }
  return median_interval(ratios);
}

}  // namespace mnn::cli
