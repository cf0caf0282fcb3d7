// Measuring sessions: percentiles, interleaved rounds, ratios with confidence intervals.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "libruntime/session.h"

namespace mnn::flows {

double percentile(std::vector<double> values,
                  double p);  // p in 0…100, linear between ranks; 0 if empty
double median(const std::vector<double>& values);

struct Interval {
  double low = 0, middle = 0, high = 0;
};
// The median and its 95 % interval by the bootstrap over `values` (fixed seed: the same values give
// the same interval). Efron & Tibshirani, An Introduction to the Bootstrap, 1993.
Interval median_interval(const std::vector<double>& values);

struct BenchPlan {
  int iterations = 0;  // 0: about `seconds`, at least 5
  double seconds = 1.0;
  double warmup_seconds = 0.2;                 // at least 2 runs
  std::function<void(double share)> progress;  // called between rounds; may be empty
};
struct Timed {
  std::vector<double> ms;        // one per timed run
  std::vector<double> round_ms;  // medians of the rounds, in step with the other models
  double wall_ms = 0;            // of all timed runs, from the first call to the last return
};
double runs_per_second(const Timed& timed);
// Runs the sessions in turn, round by round, so that drift hits all alike. All take part in every
// round.
Result<std::vector<Timed>> time_sessions(const std::vector<Session*>& sessions,
                                         const BenchPlan& plan);
// a/b round by round.
Interval ratio_interval(const Timed& a, const Timed& b);

}  // namespace mnn::flows
