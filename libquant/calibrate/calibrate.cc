#include "libquant/calibrate/calibrate.h"

namespace mnn {

Result<Calibration> calibrate(const Graph& graph, const QuantPlan& plan, const SampleSet& samples,
                              const QuantOptions& options, bool per_channel) {
  const RunOptions run{options.threads, options.isa};
  auto progress = [&](const std::string& phase) {
    return [&, phase](int64_t done, int64_t total) {
      if (options.progress) options.progress(phase, done, total);
    };
  };
  Calibration c;
  std::vector<int> channel_at(plan.values.size(), -1);
  if (per_channel) c.channels = channel_values(graph, plan);
  for (size_t i = 0, v = 0; i < c.channels.size(); ++i) {
    c.stats.emplace_back(c.channels[i]);
    while (plan.values[v] != c.channels[i].value) ++v;
    channel_at[v] = static_cast<int>(i);
  }
  std::vector<RangeStats> value_ranges(plan.values.size());
  MNN_RETURN_IF_ERROR(observe(
      graph, plan.values, samples, run,
      [&](size_t v, size_t, const Tensor& t) {
        value_ranges[v].add(t.span<float>());
        if (channel_at[v] >= 0) c.stats[static_cast<size_t>(channel_at[v])].add_range(t);
        return Status();
      },
      progress("ranges")));
  std::vector<RangeStats> ranges(static_cast<size_t>(plan.groups));
  for (size_t v = 0; v < plan.values.size(); ++v) {
    if (value_ranges[v].not_finite > 0) {
      return invalid("value '" + graph.value(plan.values[v]).name +
                     "' becomes NaN or infinite in " + std::to_string(value_ranges[v].not_finite) +
                     " elements on the calibration samples");
    }
    ranges[static_cast<size_t>(plan.group[v])].merge(value_ranges[v]);
  }
  c.histograms = std::vector<Histogram>(ranges.begin(), ranges.end());
  MNN_RETURN_IF_ERROR(observe(
      graph, plan.values, samples, run,
      [&](size_t v, size_t, const Tensor& t) {
        c.histograms[static_cast<size_t>(plan.group[v])].add(t.span<float>());
        if (channel_at[v] >= 0) c.stats[static_cast<size_t>(channel_at[v])].add_magnitudes(t);
        return Status();
      },
      progress("histograms")));
  return c;
}

}  // namespace mnn
