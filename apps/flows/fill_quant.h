// Thresholds of a project from its first quantization.
#pragma once

#include <string>

#include "libquant/quantize.h"

namespace mnn::flows {

// Cosine and SNR of the worst slice of all outputs, the worst held-back sample, the size. Nothing
// is set while the result is below --gate normal: a bad one would become the rule. What was done,
// or why nothing was, to be told; empty where thresholds.fill does not name `quant`.
Result<std::string> fill_from_quant(const std::string& folder, const QuantReport& report,
                                    int64_t file_bytes);

}  // namespace mnn::flows
