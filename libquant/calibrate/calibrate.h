// What a network's activations look like on calibration samples.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libquant/calibrate/channels.h"
#include "libquant/measure/observe.h"

namespace mnn {

struct Calibration {
  std::vector<Histogram> histograms;   // per group of the plan
  std::vector<ChannelValue> channels;  // of channel_values()
  std::vector<ChannelStats> stats;     // per entry of `channels`
  // Values of the plan that were the same in all samples, of two or more.
  struct Constant {
    ValueId value = kNoValue;
    std::optional<double> number;  // when that is all it holds
  };
  std::vector<Constant> constants;
};

// The first pass over the samples: ranges. An activation that becomes NaN or infinite is an error
// that names it.
Result<Calibration> calibrate_ranges(const Graph& graph, const QuantPlan& plan,
                                     const SampleSet& samples, const QuantOptions& options);
// The second: what lies where inside them. Only methods other than min-max, and smoothing, need it.
Status add_histograms(const Graph& graph, const QuantPlan& plan, const SampleSet& samples,
                      const QuantOptions& options, Calibration& calibration);

// What was seen of some samples. Parts merge exactly: in two rounds, ranges and then counts inside
// the ranges of all, they come to what one run over all samples finds.
struct CalibrationStats {
  struct Channels {
    std::vector<RangeStats> ranges;
    std::vector<int64_t> bins;  // ChannelStats::bins(), once counted
  };
  size_t samples = 0;              // of the ranges, or, once counted, of the counts
  bool counted = false;            // ranges are those of all parts, counts those of this one
  std::vector<RangeStats> ranges;  // per value of the plan
  std::vector<std::string> first;  // content of each on some sample
  std::vector<char> changes;       // whether another sample's differs
  std::vector<Channels> channels;  // per entry of channel_values()
  std::vector<std::vector<int64_t>> bins;  // per group of the plan, once counted
};
Result<CalibrationStats> collect_ranges(const Graph& graph, const QuantPlan& plan,
                                        const SampleSet& samples, const QuantOptions& options);
// `all` has the ranges of all parts.
Result<CalibrationStats> collect_counts(const Graph& graph, const QuantPlan& plan,
                                        const SampleSet& samples, const QuantOptions& options,
                                        const CalibrationStats& all);
// kInvalidArgument where they are not parts of one thing.
Status merge_stats(CalibrationStats& into, const CalibrationStats& part);
// Errors as of calibrate_ranges(); kInvalidArgument for those of another network.
Result<Calibration> calibration_of(const Graph& graph, const QuantPlan& plan,
                                   const CalibrationStats& stats);

// What was seen of the values that `part`, a plan without some layers of `plan`, stores as well.
Calibration restricted(const Calibration& all, const QuantPlan& plan, const QuantPlan& part);

}  // namespace mnn
