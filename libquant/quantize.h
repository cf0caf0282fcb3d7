// The public face of libquant: post-training quantization with a report per source layer.
#pragma once

#include <string>

#include "libquant/types.h"
#include "libruntime/core/graph.h"

namespace mnn {

struct QuantResult {
  Graph graph;
  QuantReport report;
  std::string scheme_json;  // every decision, as import_scheme takes it
};
// `holdout` may be empty: then every fourth calibration sample is held back and the report says so.
// Deterministic for any thread count.
Result<QuantResult> quantize(const Graph& graph, const SampleSource& calibration,
                             const SampleSource& holdout, const QuantOptions& options);

// What is seen of the samples of a part of the calibration data, all of which calibrate, for scheme
// int8 and mixed: ranges, or with QuantOptions::stats, those of all parts, the counts inside them.
Result<CalibrationStats> collect_stats(const Graph& graph, const SampleSource& samples,
                                       const QuantOptions& options);

// What a scheme file says about its calibration data.
Result<std::string> scheme_calibration(const std::string& scheme_text);

// Task metrics, the user's program and promotions, a line each.
std::string task_text(const QuantReport& report);
// What would shrink the constants that stay float, and by how much; empty: nothing notable.
std::string size_suggestion(const QuantReport& report);
// In lines of at most `width` columns (0: any).
std::string report_text(const QuantReport& report, size_t max_layers, size_t worst_samples,
                        bool color, size_t width = 0);
std::string report_json(const QuantReport& report);  // docs/quantization-report.md
std::string report_csv(const QuantReport& report);   // the layers
// Self-contained; `facts` is HTML for its beginning. `picture` makes a small image of a sample by
// its position, as HTML; it may be null, and give nothing.
std::string report_html(const QuantReport& report, const std::string& title, size_t worst_samples,
                        const std::function<std::string(size_t)>& picture,
                        const std::string& facts = {});

}  // namespace mnn
