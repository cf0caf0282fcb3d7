#include "apps/flows/stats_flow.h"

#include <charconv>

#include "apps/flows/run_facts.h"
#include "libquant/report/stats_file.h"
#include "libruntime/core/io/file.h"

namespace mnn::flows {
namespace {

// What the statistics of a network depend on, beside the samples.
std::map<std::string, std::string> identity_of(const LoadedModel& loaded,
                                               const std::vector<std::string>& keep_float) {
  std::string layers;
  for (const std::string& pattern : keep_float)
    layers += std::to_string(pattern.size()) + ":" + pattern;
  const std::vector<std::byte> bytes = serialize_model(loaded.model);
  return {{"model", sha256_hex(bytes)},
          {"--keep-float", sha256_hex(std::as_bytes(std::span(layers)))},
          {"version", run_facts().tool}};
}

// "3:7" of so many samples.
Result<std::pair<size_t, size_t>> parse_part(const std::string& text, size_t count) {
  if (text.empty()) return std::pair(size_t{0}, count);
  size_t first = 0, last = 0;
  const char *begin = text.data(), *end = begin + text.size();
  const auto a = std::from_chars(begin, end, first);
  const bool colon = a.ec == std::errc() && a.ptr != end && *a.ptr == ':';
  const auto b = colon ? std::from_chars(a.ptr + 1, end, last) : a;
  if (!colon || b.ec != std::errc() || b.ptr != end || first >= last || last > count) {
    return usage_error("--samples " + text + ": expected FIRST:LAST, the last not included, of " +
                       std::to_string(count) + " samples");
  }
  return std::pair(first, last);
}

}  // namespace

Status check_stats_flags(const QuantFlow& flow) {
  if (flow.scheme != "int8" && flow.scheme != "mixed")
    return usage_error("statistics are of --scheme int8 and mixed, not of " + flow.scheme);
  if (!flow.layers.empty()) return usage_error("statistics are not of --layer");
  if (!flow.import_scheme.empty()) return usage_error("--import-scheme needs no statistics");
  return {};
}

Result<CalibrationStats> read_all_stats(const std::vector<std::string>& paths,
                                        const LoadedModel& model,
                                        const std::vector<std::string>& keep_float) {
  const auto identity = identity_of(model, keep_float);
  CalibrationStats all;
  for (size_t i = 0; i < paths.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(paths[i]));
    const std::string text(reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size());
    Result<CalibrationStats> one = read_stats(text, identity);
    if (!one.ok()) return one.status().context(paths[i]);
    if (i == 0) {
      all = std::move(one).value();
    } else if (Status merged = merge_stats(all, *one); !merged.ok()) {
      return merged.context(paths[i]);
    }
  }
  return all;
}

Result<StatsOutcome> run_stats_flow(const QuantFlow& flow, const std::string& path,
                                    const std::string& part, const Events& events) {
  MNN_RETURN_IF_ERROR(check_stats_flags(flow));
  if (flow.calibration.empty() && flow.stats.empty())
    return usage_error("--stats-only needs --calibration, or --stats to put together");
  LoadOptions load;
  load.shapes = flow.shapes;
  load.import_keys = flow.import_keys;
  MNN_ASSIGN_OR_RETURN(const LoadedModel loaded, load_any(flow.model, load));
  const Graph& graph = loaded.model.graph;
  CalibrationStats stats;
  size_t total = 0;
  if (!flow.stats.empty()) {
    MNN_ASSIGN_OR_RETURN(stats, read_all_stats(flow.stats, loaded, flow.keep_float));
  }
  if (!flow.calibration.empty()) {
    if (stats.counted)
      return usage_error("--stats has counts already; without --calibration they are put together");
    MNN_ASSIGN_OR_RETURN(const Samples samples,
                         open_samples(flow.calibration, graph, loaded.source_inputs, flow.images));
    tell_skipped(flow.calibration, samples, events);
    total = samples.names.size();
    MNN_ASSIGN_OR_RETURN(const auto range, parse_part(part, samples.names.size()));
    SampleSource source;
    source.count = range.second - range.first;
    source.load = [&, first = range.first](size_t i) { return samples.load(first + i); };
    source.names.assign(samples.names.begin() + static_cast<long>(range.first),
                        samples.names.begin() + static_cast<long>(range.second));
    QuantOptions options;
    options.keep_float = flow.keep_float;
    options.threads = flow.threads;
    options.progress = events.progress;
    if (!flow.stats.empty())
      options.stats = std::make_shared<const CalibrationStats>(std::move(stats));
    if (events.stages) events.stages({{flow.stats.empty() ? "ranges" : "histograms", 1.0}});
    Result<CalibrationStats> seen = collect_stats(graph, source, options);
    if (!seen.ok()) return seen.status().context(flow.model);
    stats = std::move(seen).value();
  } else if (!part.empty()) {
    return usage_error("--samples needs --calibration");
  }
  MNN_RETURN_IF_ERROR(write_file(path, stats_json(stats, identity_of(loaded, flow.keep_float))));
  return StatsOutcome{path, stats.samples, total, stats.counted};
}

}  // namespace mnn::flows
