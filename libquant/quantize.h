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

// What a scheme file says about its calibration data.
Result<std::string> scheme_calibration(const std::string& scheme_text);

// The SNR at all outputs together, or its mean, as the reports print it: "23.41 dB", "exact", and
// "constant" where no output ever changes, so that being exact says nothing.
std::string overall_text(const QuantReport& report, double snr_db);
std::string report_text(const QuantReport& report, size_t max_layers, bool color);
std::string report_json(const QuantReport& report);
std::string report_html(const QuantReport& report, const std::string& title);  // self-contained

}  // namespace mnn
