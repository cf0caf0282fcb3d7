#include "libquant/calibrate/calibrate.h"

#include <algorithm>

#include "libquant/annotate.h"

namespace mnn {
namespace {

// Per value of the plan: its entry in `channels`, -1 without one.
std::vector<int> channel_entries(const QuantPlan& plan, const std::vector<ChannelValue>& channels) {
  std::vector<int> entries(plan.values.size(), -1);
  for (size_t i = 0, v = 0; i < channels.size(); ++i) {
    while (plan.values[v] != channels[i].value) ++v;
    entries[v] = static_cast<int>(i);
  }
  return entries;
}

std::function<void(int64_t, int64_t)> progress(const QuantOptions& options, const char* phase) {
  return [&options, phase](int64_t done, int64_t total) {
    if (options.progress) options.progress(phase, done, total);
  };
}

}  // namespace

Result<Calibration> calibrate_ranges(const Graph& graph, const QuantPlan& plan,
                                     const SampleSet& samples, const QuantOptions& options) {
  Calibration c;
  c.channels = channel_values(graph, plan);
  for (const ChannelValue& value : c.channels) c.stats.emplace_back(value);
  const std::vector<int> entries = channel_entries(plan, c.channels);
  std::vector<RangeStats> value_ranges(plan.values.size());
  std::vector<std::string> first(plan.values.size());  // content on the first sample
  std::vector<char> changes(plan.values.size(), 0);
  MNN_RETURN_IF_ERROR(observe(
      graph, plan.values, samples, {options.engine},
      [&](size_t v, size_t sample, const Tensor& t) {
        const std::string key = content_key(t);
        changes[v] = changes[v] || (sample > 0 && key != first[v]);
        if (sample == 0) first[v] = key;
        value_ranges[v].add(t.span<float>());
        if (entries[v] >= 0) c.stats[static_cast<size_t>(entries[v])].add_range(t);
        return Status();
      },
      progress(options, "ranges")));
  std::vector<RangeStats> ranges(static_cast<size_t>(plan.groups));
  for (size_t v = 0; v < plan.values.size(); ++v) {
    if (value_ranges[v].not_finite > 0) {
      return invalid("value '" + graph.value(plan.values[v]).name +
                     "' becomes NaN or infinite in " + std::to_string(value_ranges[v].not_finite) +
                     " elements on the calibration samples");
    }
    ranges[static_cast<size_t>(plan.group[v])].merge(value_ranges[v]);
    const RangeStats& r = value_ranges[v];
    const bool number = r.count > 1 && r.low == r.high;
    if (number || (samples.size() > 1 && !changes[v]))
      c.constants.push_back({plan.values[v], number ? std::optional(r.low) : std::nullopt});
  }
  c.histograms = std::vector<Histogram>(ranges.begin(), ranges.end());
  return c;
}

Status add_histograms(const Graph& graph, const QuantPlan& plan, const SampleSet& samples,
                      const QuantOptions& options, Calibration& c) {
  const std::vector<int> entries = channel_entries(plan, c.channels);
  return observe(
      graph, plan.values, samples, {options.engine},
      [&](size_t v, size_t, const Tensor& t) {
        c.histograms[static_cast<size_t>(plan.group[v])].add(t.span<float>());
        if (entries[v] >= 0) c.stats[static_cast<size_t>(entries[v])].add_magnitudes(t);
        return Status();
      },
      progress(options, "histograms"));
}

Calibration restricted(const Calibration& all, const QuantPlan& plan, const QuantPlan& part) {
  Calibration c;
  c.histograms.resize(static_cast<size_t>(part.groups));
  for (size_t i = 0, v = 0; i < part.values.size(); ++i) {
    while (plan.values[v] != part.values[i]) ++v;
    c.histograms[static_cast<size_t>(part.group[i])] =
        all.histograms[static_cast<size_t>(plan.group[v])];
  }
  for (size_t i = 0; i < all.channels.size(); ++i) {
    if (!std::binary_search(part.values.begin(), part.values.end(), all.channels[i].value))
      continue;
    c.channels.push_back(all.channels[i]);
    c.stats.push_back(all.stats[i]);
  }
  for (const Calibration::Constant& constant : all.constants) {
    if (is_planned(part, constant.value)) c.constants.push_back(constant);
  }
  return c;
}

}  // namespace mnn
