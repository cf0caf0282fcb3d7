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

Result<CalibrationStats> collect_ranges(const Graph& graph, const QuantPlan& plan,
                                        const SampleSet& samples, const QuantOptions& options) {
  CalibrationStats s;
  s.samples = samples.size();
  const std::vector<ChannelValue> channels = channel_values(graph, plan);
  std::vector<ChannelStats> stats(channels.begin(), channels.end());
  const std::vector<int> entries = channel_entries(plan, channels);
  s.ranges.resize(plan.values.size());
  s.first.resize(plan.values.size());
  s.changes.assign(plan.values.size(), 0);
  MNN_RETURN_IF_ERROR(observe(
      graph, plan.values, samples, {options.engine},
      [&](size_t v, size_t sample, const Tensor& t) {
        const std::string key = content_key(t);
        s.changes[v] = s.changes[v] || (sample > 0 && key != s.first[v]);
        if (sample == 0) s.first[v] = key;
        s.ranges[v].add(t.span<float>());
        if (entries[v] >= 0) stats[static_cast<size_t>(entries[v])].add_range(t);
        return Status();
      },
      progress(options, "ranges")));
  for (const ChannelStats& c : stats) s.channels.push_back({c.ranges(), {}});
  return s;
}

Result<CalibrationStats> collect_counts(const Graph& graph, const QuantPlan& plan,
                                        const SampleSet& samples, const QuantOptions& options,
                                        const CalibrationStats& all) {
  MNN_ASSIGN_OR_RETURN(Calibration c, calibration_of(graph, plan, all));
  MNN_RETURN_IF_ERROR(add_histograms(graph, plan, samples, options, c));
  CalibrationStats s = all;
  s.samples = samples.size();
  s.counted = true;
  for (const Histogram& h : c.histograms) s.bins.emplace_back(h.bins.begin(), h.bins.end());
  for (size_t i = 0; i < c.stats.size(); ++i) s.channels[i].bins = c.stats[i].bins();
  return s;
}

Status merge_stats(CalibrationStats& into, const CalibrationStats& part) {
  const auto differ = [](const char* what) {
    return invalid(std::string("statistics that are no parts of one calibration: ") + what);
  };
  if (into.counted != part.counted) return differ("ranges and counts; make counts of all parts");
  if (into.ranges.size() != part.ranges.size() || into.channels.size() != part.channels.size() ||
      into.bins.size() != part.bins.size())
    return differ("of other tensors");
  into.samples += part.samples;
  const auto add = [](std::vector<int64_t>& sum, const std::vector<int64_t>& more) {
    sum.resize(std::max(sum.size(), more.size()));
    for (size_t i = 0; i < more.size(); ++i) sum[i] += more[i];
  };
  if (into.counted) {
    if (into.ranges != part.ranges) return differ("counts inside other ranges");
    for (size_t g = 0; g < into.bins.size(); ++g) add(into.bins[g], part.bins[g]);
    for (size_t i = 0; i < into.channels.size(); ++i) {
      if (into.channels[i].ranges != part.channels[i].ranges)
        return differ("counts inside other ranges");
      add(into.channels[i].bins, part.channels[i].bins);
    }
    return {};
  }
  for (size_t v = 0; v < into.ranges.size(); ++v) {
    into.ranges[v].merge(part.ranges[v]);
    into.changes[v] = into.changes[v] || part.changes[v] || into.first[v] != part.first[v];
    // Whichever is known to all who merge the same parts in another order.
    into.first[v] = std::min(into.first[v], part.first[v]);
  }
  for (size_t i = 0; i < into.channels.size(); ++i) {
    auto& ranges = into.channels[i].ranges;
    if (ranges.size() != part.channels[i].ranges.size()) return differ("of other channels");
    for (size_t c = 0; c < ranges.size(); ++c) ranges[c].merge(part.channels[i].ranges[c]);
  }
  return {};
}

Result<Calibration> calibration_of(const Graph& graph, const QuantPlan& plan,
                                   const CalibrationStats& s) {
  Calibration c;
  c.channels = channel_values(graph, plan);
  if (s.ranges.size() != plan.values.size() || s.channels.size() != c.channels.size() ||
      (s.counted && s.bins.size() != static_cast<size_t>(plan.groups)))
    return invalid("the statistics are of another network: " + std::to_string(s.ranges.size()) +
                   " tensors, expected " + std::to_string(plan.values.size()));
  for (size_t i = 0; i < c.channels.size(); ++i) {
    c.stats.emplace_back(c.channels[i]);
    MNN_RETURN_IF_ERROR(c.stats[i].set(s.channels[i].ranges, s.channels[i].bins));
  }
  std::vector<RangeStats> ranges(static_cast<size_t>(plan.groups));
  for (size_t v = 0; v < plan.values.size(); ++v) {
    const RangeStats& r = s.ranges[v];
    if (r.not_finite > 0) {
      return invalid("value '" + graph.value(plan.values[v]).name +
                     "' becomes NaN or infinite in " + std::to_string(r.not_finite) +
                     " elements on the calibration samples");
    }
    ranges[static_cast<size_t>(plan.group[v])].merge(r);
    const bool number = r.count > 1 && r.low == r.high;
    if (number || (s.samples > 1 && !s.changes[v]))
      c.constants.push_back({plan.values[v], number ? std::optional(r.low) : std::nullopt});
  }
  c.histograms = std::vector<Histogram>(ranges.begin(), ranges.end());
  for (size_t g = 0; g < s.bins.size(); ++g) {
    Histogram& h = c.histograms[g];
    if (s.bins[g].size() != h.bins.size()) return invalid("statistics of another number of bins");
    std::ranges::copy(s.bins[g], h.bins.begin());
    for (const int64_t n : s.bins[g]) h.count += n;
  }
  return c;
}

Result<Calibration> calibrate_ranges(const Graph& graph, const QuantPlan& plan,
                                     const SampleSet& samples, const QuantOptions& options) {
  MNN_ASSIGN_OR_RETURN(const CalibrationStats stats, collect_ranges(graph, plan, samples, options));
  return calibration_of(graph, plan, stats);
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
