// Whether a quantized model reached its thresholds.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/flows/project.h"
#include "libquant/quantize.h"

namespace mnn::flows {

// One threshold held against one thing.
struct Judgement {
  std::string name;     // "min-snr of output output0[:,4:22]"
  std::string subject;  // "output output0[:,4:22]", for messages; may be empty
  std::string failure;  // "SNR 12.30 dB is below 15.00 dB"; empty: reached
  std::string figures;
  std::string limit;  // "15 dB"; empty where it has none
};

// All thresholds that were given; of an output with slices the worst slice counts. Without an
// accuracy threshold an output's figures stand alone, and only what cannot be compared fails.
std::vector<Judgement> judge_quant(const Thresholds& thresholds, const QuantReport& report,
                                   int64_t file_bytes);
// OK, or all failures, a line each: kThreshold, kInternal for NaN without an accuracy threshold.
Status verdict_of(const std::vector<Judgement>& judgements, const Thresholds& thresholds);
// "output y: SNR 12.30 dB is below 15.00 dB", of one that failed.
std::string missed_text(const Judgement& judgement);
// {"passed", "missed": […], "thresholds": [{"name", "limit", "passed", "figures"}]}.
nlohmann::ordered_json verdict_json(const std::vector<Judgement>& judgements);

// "cosine 0.999123, SNR 23.40 dB, max abs 1.2e-01 of 3.0e+00, MSE 1.0e-04"
std::string figures_of(const ErrorMetrics& metrics);
// Why `metrics` misses the accuracy thresholds; empty: it does not.
std::string missed_by(const ErrorMetrics& metrics, const Thresholds& thresholds);

}  // namespace mnn::flows
