#include "apps/flows/timing.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace mnn::flows {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

constexpr int kResamples = 1000;
constexpr double kRoundMs = 50.0;
constexpr int kMinRounds = 5;
constexpr int kFixedRounds = 20;  // at least, where there are as many runs

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

double runs_per_second(const Timed& timed) {
  return timed.wall_ms > 0 ? 1e3 * static_cast<double>(timed.ms.size()) / timed.wall_ms : 0;
}

namespace {

// Runs the session for a while; returns how many of its runs make a round.
Result<int> warm_up(Session& session, double seconds) {
  const Clock::time_point start = Clock::now();
  int runs = 0;
  double last = 0;
  do {
    const Clock::time_point one = Clock::now();
    MNN_RETURN_IF_ERROR(session.run());
    last = ms_since(one);
    ++runs;
  } while (runs < 2 || ms_since(start) < seconds * 1e3);
  return std::clamp(static_cast<int>(kRoundMs / std::max(last, 1e-3)), 1, 10000);
}

Status run_batch(Session& session, int runs, Timed& timed) {
  std::vector<double> batch;
  batch.reserve(static_cast<size_t>(runs));
  const Clock::time_point start = Clock::now();
  for (int r = 0; r < runs; ++r) {
    const Clock::time_point one = Clock::now();
    MNN_RETURN_IF_ERROR(session.run());
    batch.push_back(ms_since(one));
  }
  timed.wall_ms += ms_since(start);
  timed.round_ms.push_back(median(batch));
  timed.ms.insert(timed.ms.end(), batch.begin(), batch.end());
  return {};
}

}  // namespace

Result<std::vector<Timed>> time_sessions(const std::vector<Session*>& sessions,
                                         const BenchPlan& plan) {
  std::vector<int> per_round;
  // With a fixed number of runs every model has as many rounds, however fast it is.
  int rounds = std::min(plan.iterations, kFixedRounds);
  for (Session* s : sessions) {
    MNN_ASSIGN_OR_RETURN(const int runs, warm_up(*s, plan.warmup_seconds));
    per_round.push_back(runs);
    rounds = std::max(rounds, (plan.iterations + runs - 1) / runs);
  }
  std::vector<Timed> timed(sessions.size());
  const Clock::time_point start = Clock::now();
  const double budget_ms = plan.seconds * 1e3 * static_cast<double>(sessions.size());
  for (int round = 0;; ++round) {
    if (plan.iterations > 0 ? round >= rounds
                            : round >= kMinRounds && ms_since(start) >= budget_ms) {
      return timed;
    }
    for (size_t k = 0; k < sessions.size(); ++k) {
      // Every other round backwards, so that drift inside a round favours nobody.
      const size_t i = round % 2 == 0 ? k : sessions.size() - 1 - k;
      // Rounds of equal size but for one run.
      const auto upto = [&](int r) {
        return static_cast<int>(int64_t{plan.iterations} * r / rounds);
      };
      const int runs = plan.iterations > 0 ? upto(round + 1) - upto(round) : per_round[i];
      MNN_RETURN_IF_ERROR(run_batch(*sessions[i], runs, timed[i]));
    }
    if (plan.progress) {
      plan.progress(plan.iterations > 0 ? (round + 1.0) / rounds
                                        : std::min(1.0, ms_since(start) / budget_ms));
    }
  }
}

Interval ratio_interval(const Timed& a, const Timed& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(a.round_ms.size(), b.round_ms.size()); ++i) {
    ratios.push_back(a.round_ms[i] / b.round_ms[i]);
  }
  return median_interval(ratios);
}

}  // namespace mnn::flows
