// The thresholds of a project that nobody has set: its first results set them, with a margin.
#pragma once

#include <string>
#include <vector>

#include "apps/flows/bench.h"
#include "apps/flows/project.h"
#include "libquant/quantize.h"

namespace mnn::flows {

// Commands whose first result in a project sets thresholds: what `mnn init` lists in
// thresholds.fill.
inline constexpr const char* kFillQuant = "quant";
inline constexpr const char* kFillBench = "bench";

// What was done, or why nothing was, to be told; empty where thresholds.fill does not name the
// command. What has a value keeps it. mnn.json is read anew and replaced whole.
//
// Of `mnn quant`: cosine and SNR of the worst slice of all outputs, the worst held-back sample, the
// size. Nothing is set while the result is below --gate normal: a bad one would become the rule.
Result<std::string> fill_from_quant(const std::string& folder, const QuantReport& report,
                                    int64_t file_bytes);
// Of `mnn bench`: peak memory of the last model, and its time over the first one's. Milliseconds
// are of a machine, and stay open.
Result<std::string> fill_from_bench(const std::string& folder,
                                    const std::vector<BenchModel>& models);

}  // namespace mnn::flows
