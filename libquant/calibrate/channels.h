// Activations looked at channel by channel: which may have a grid per channel, which may be scaled
// per channel before they are rounded, and the statistics both need.
#pragma once

#include "libquant/calibrate/histogram.h"
#include "libquant/plan.h"

namespace mnn {

// A value of the plan, alone in its group, that only layers with int8 weights read.
struct ChannelValue {
  ValueId value = kNoValue;
  int64_t channels = 0;
  bool conv = false;            // the channels are axis 1, else the last axis
  size_t behind = 0;            // axes behind that of the channels
  std::vector<size_t> readers;  // layers of the plan
  // Every reader is a depthwise Conv: an output channel reads one input channel, so that each may
  // have a scale and zero point of its own.
  bool depthwise = false;
  size_t axis(size_t rank) const { return conv ? 1 : rank - 1; }
};
// In the order of the plan's values.
std::vector<ChannelValue> channel_values(const Graph& graph, const QuantPlan& plan);

// The input channel that weight `index` (row-major) of a layer multiplies.
struct WeightChannels {
  int64_t inner = 1, outputs_per_group = 1, inputs_per_group = 1;
  bool conv = false;
  int64_t columns = 1;
  bool by_row = false;  // of a matrix: rows are input channels
  int64_t input_of(int64_t index) const {
    if (!conv) return by_row ? index / columns : index % columns;
    const int64_t pair = index / inner;
    const int64_t output = pair / inputs_per_group;
    return output / outputs_per_group * inputs_per_group + pair % inputs_per_group;
  }
};
WeightChannels weight_channels(const Graph& graph, const QuantLayer& layer);

// Pass 1 and pass 2 over one value; merges exactly as RangeStats and Histogram do.
class ChannelStats {
 public:
  ChannelStats() = default;
  explicit ChannelStats(const ChannelValue& value)
      : value_(value), ranges_(static_cast<size_t>(value.channels)) {}

  void add_range(const Tensor& t);
  // After all ranges.
  void add_magnitudes(const Tensor& t);
  const RangeStats& range(size_t channel) const { return ranges_[channel]; }
  // What a file keeps: a range per channel, and counts of so many bins each where magnitudes were
  // added. set() takes them back; kInvalidArgument for another number of either.
  static constexpr int kBins = 512;
  const std::vector<RangeStats>& ranges() const { return ranges_; }
  const std::vector<int64_t>& bins() const { return bins_; }
  Status set(std::vector<RangeStats> ranges, std::vector<int64_t> bins);
  // The `quantile` of |x| per channel.
  std::vector<double> magnitudes(double quantile) const;

 private:
  template <typename F>
  void each_run(const Tensor& t, F&& f) const;  // f(channel, elements)
  double largest(size_t channel) const;

  ChannelValue value_;
  std::vector<RangeStats> ranges_;
  std::vector<int64_t> bins_;  // [channels][kBins] of |x| up to the largest
};

// A grid per channel. A channel that was quiet on the calibration samples may be louder elsewhere:
// its range is taken `margin` times as wide and at least an eighth as wide as the tensor's, but
// never reaches beyond the tensor's.
QuantParams channel_params(const ChannelStats& stats, size_t channels, RealRange tensor,
                           double margin);

}  // namespace mnn
