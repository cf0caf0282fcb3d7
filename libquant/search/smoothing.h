// Smoothing: where some channels of an activation are far wider than others, the channels are
// divided by factors before they are rounded and the weights that read them are multiplied by the
// same factors. The float network stays what it was (Xiao et al., SmoothQuant, 2023).
#pragma once

#include "libquant/annotate.h"
#include "libquant/calibrate/channels.h"
#include "libquant/measure/observe.h"

namespace mnn {

struct Smoothing {
  ValueId value = kNoValue;
  double alpha = 0;
  std::vector<float> divisors;  // per channel, geometric mean 1
};

// Whether the maker of the value can take a factor per channel into its weights, its scale and
// bias, or its epilogue, so that no pass over the data is added.
bool can_smooth(const Graph& graph, const ChannelValue& value);

// Divides the value's channels, which the value then says, and multiplies the weights of its
// readers. Node and value ids stay.
void apply_smoothing(Graph& graph, const QuantPlan& plan, const ChannelValue& value,
                     const Smoothing& smoothing);

struct SmoothingSearch {
  const Graph& graph;
  const QuantPlan& plan;
  const std::vector<ChannelValue>& values;
  const std::vector<ChannelStats>& stats;  // per entry of `values`
  const SampleSet& samples;
  RunOptions run;
  WeightScale weight_scale = WeightScale::kAbsMax;
  std::function<void(int64_t done, int64_t total)> progress;
};
// For each value that can be smoothed and is not read by depthwise layers alone: divisors
// xmax^alpha / wmax^(1-alpha), xmax the 99.9 % quantile of |x|, with alpha of least error at the
// outputs of its readers, both quantizers active. Values that gain less than 0.5 dB are left out.
Result<std::vector<Smoothing>> search_smoothing(const SmoothingSearch& search);

}  // namespace mnn
