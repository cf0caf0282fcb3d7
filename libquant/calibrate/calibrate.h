// What a network's activations look like on calibration samples.
#pragma once

#include "libquant/calibrate/channels.h"
#include "libquant/observe.h"

namespace mnn {

struct Calibration {
  std::vector<Histogram> histograms;   // per group of the plan
  std::vector<ChannelValue> channels;  // of channel_values()
  std::vector<ChannelStats> stats;     // per entry of `channels`
};

// Two passes over the samples. An activation that becomes NaN or infinite is an error that names
// it. Without `per_channel`, channels and stats stay empty.
Result<Calibration> calibrate(const Graph& graph, const QuantPlan& plan, const SampleSet& samples,
                              const QuantOptions& options, bool per_channel);

}  // namespace mnn
