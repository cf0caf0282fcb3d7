// What a network's activations look like on calibration samples.
#pragma once

#include <optional>

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

// What was seen of the values that `part`, a plan without some layers of `plan`, stores as well.
Calibration restricted(const Calibration& all, const QuantPlan& plan, const QuantPlan& part);

}  // namespace mnn
