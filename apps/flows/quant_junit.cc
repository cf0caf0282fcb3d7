#include "apps/flows/quant_junit.h"

#include "apps/flows/junit.h"
#include "libruntime/report/format.h"

namespace mnn::flows {
namespace {

std::string figures(const ErrorMetrics& m) {
  const bool number = !m.failed && m.snr_db < kExactSnrDb;
  return "cosine " + format_number(m.cosine, 6) + ", SNR " +
         (number ? format_number(m.snr_db, 2) + " dB" : snr_text(m)) + ", max abs " +
         scientific(m.max_abs) + " of " + scientific(m.max_ref) + ", MSE " + scientific(m.mse);
}

// Why `m` misses the accuracy thresholds; empty: it does not.
std::string missed(const ErrorMetrics& m, const Thresholds& t) {
  if (m.failed) return "NaN, infinity or nothing compared";
  if (t.min_cosine && m.cosine < *t.min_cosine) {
    return "cosine " + format_number(m.cosine, 6) + " is below " + format_number(*t.min_cosine, 6);
  }
  if (t.min_snr && m.snr_db < *t.min_snr) {
    return "SNR " + format_number(m.snr_db, 2) + " dB is below " + format_number(*t.min_snr, 2) +
           " dB";
  }
  return {};
}

JUnitCase make_case(const std::string& group, const std::string& name, const std::string& why,
                    const std::string& line) {
  return {group, name, why.empty() ? "" : why + " (" + line + ")", {}, line};
}

}  // namespace

std::string quant_junit(const QuantReport& report, const Thresholds& thresholds,
                        int64_t file_bytes) {
  std::vector<JUnitCase> cases;
  bool all_reached = true;
  for (const auto& [name, m] : report.outputs) {
    const auto judge = [&](const std::string& what, const Thresholds& one) {
      cases.push_back(
          make_case("thresholds", what + " of output " + name, missed(m, one), figures(m)));
      all_reached &= cases.back().failure.empty();
    };
    if (thresholds.min_cosine) judge("min-cosine", {.min_cosine = thresholds.min_cosine});
    if (thresholds.min_snr) judge("min-snr", {.min_snr = thresholds.min_snr});
    if (!thresholds.min_cosine && !thresholds.min_snr) judge("figures", {});
  }
  if (thresholds.max_size) {
    const std::string line = std::to_string(file_bytes) + " bytes";
    const std::string why = file_bytes > *thresholds.max_size
                                ? "more than " + std::to_string(*thresholds.max_size) + " bytes"
                                : "";
    cases.push_back(make_case("thresholds", "max-size", why, line));
  }
  if (thresholds.sound_data) {
    std::string faults;
    for (const std::string& fault : report.data_faults)
      faults += (faults.empty() ? "" : "; ") + fault;
    const std::string line = std::to_string(report.calibration_samples) + " calibration and " +
                             std::to_string(report.holdout_samples) + " held-back samples";
    cases.push_back(make_case("thresholds", "sound-data", faults, line));
  }
  for (const LayerError& layer : report.layers) {
    std::string why;
    const std::pair<const char*, const ErrorMetrics*> parts[] = {
        {"isolated", &layer.isolated},
        {"accumulated", &layer.accumulated},
        {"contribution", &layer.contribution}};
    for (const auto& [what, m] : parts) {
      if (why.empty() && m->failed) why = std::string(what) + ": " + missed(*m, {});
    }
    if (why.empty() && !all_reached) {
      why = missed(layer.contribution, thresholds);
      if (!why.empty()) why = "contribution: " + why;
    }
    const std::string line = layer.op + "; contribution " + figures(layer.contribution) +
                             "; isolated " + figures(layer.isolated) + "; accumulated " +
                             figures(layer.accumulated);
    cases.push_back(make_case("layers", layer.name, why, line));
  }
  return junit_xml("mnn quant", cases);
}

}  // namespace mnn::flows
