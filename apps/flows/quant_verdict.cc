#include "apps/flows/quant_verdict.h"

#include <nlohmann/json.hpp>

#include "libruntime/report/format.h"

namespace mnn::flows {

std::string figures_of(const ErrorMetrics& m) {
  const bool number = !m.failed && m.snr_db < kExactSnrDb;
  return "cosine " + format_number(m.cosine, 6) + ", SNR " +
         (number ? format_number(m.snr_db, 2) + " dB" : snr_text(m)) + ", max abs " +
         scientific(m.max_abs) + " of " + scientific(m.max_ref) + ", MSE " + scientific(m.mse);
}

std::string missed_by(const ErrorMetrics& m, const Thresholds& t) {
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

std::vector<Judgement> judge_quant(const Thresholds& t, const QuantReport& report,
                                   int64_t file_bytes) {
  std::vector<Judgement> all;
  for (const OutputError& o : report.outputs) {
    const auto [name, m] = o.worst();
    const auto judge = [&](const std::string& what, const Thresholds& one,
                           const std::string& limit) {
      all.push_back(
          {what + " of output " + name, "output " + name, missed_by(m, one), figures_of(m), limit});
    };
    Thresholds cosine, snr;
    cosine.min_cosine = t.min_cosine;
    snr.min_snr = t.min_snr;
    if (t.min_cosine) judge("min-cosine", cosine, format_significant(*t.min_cosine, 6));
    if (t.min_snr) judge("min-snr", snr, format_significant(*t.min_snr, 6) + " dB");
    if (!t.min_cosine && !t.min_snr) judge("figures", {}, "");
  }
  if (t.min_sample_snr && !report.samples.samples.empty()) {
    const SampleError worst = report.samples.worst_first()[0];
    const std::string figure = "SNR " + report.samples.snr(worst.snr_db);
    all.push_back({"min-sample-snr", "sample " + worst.name,
                   worst.snr_db >= *t.min_sample_snr
                       ? ""
                       : figure + " is below " + format_number(*t.min_sample_snr, 2) + " dB",
                   worst.name + ": " + figure, format_significant(*t.min_sample_snr, 6) + " dB"});
  }
  const auto at_least = [&](const std::string& name, const std::string& what, double value,
                            const std::optional<double>& least) {
    if (!least) return;
    const std::string figure = format_number(value, 4);
    all.push_back({name, what,
                   value >= *least ? "" : figure + " is below " + format_number(*least, 4), figure,
                   format_significant(*least, 6)});
  };
  for (const MetricValue& m : report.metrics)
    at_least("min-metric of " + m.name, "metric " + m.name, m.value, t.min_metric);
  if (report.eval) at_least("min-eval", "--eval", *report.eval, t.min_eval);
  if (t.max_size) {
    const std::string bytes = std::to_string(file_bytes) + " bytes";
    all.push_back({"max-size", "",
                   file_bytes > *t.max_size
                       ? "the file has " + bytes + ", more than " + std::to_string(*t.max_size)
                       : "",
                   bytes, std::to_string(*t.max_size) + " bytes"});
  }
  if (t.max_latency && report.latency_ms) {
    const std::string figure = format_number(*report.latency_ms, 3) + " ms";
    const std::string limit = format_significant(*t.max_latency, 6) + " ms";
    all.push_back({"max-latency", "",
                   *report.latency_ms > *t.max_latency
                       ? "the median run takes " + figure + ", more than " + limit
                       : "",
                   figure, limit});
  }
  if (t.sound_data) {
    const std::string figures = std::to_string(report.calibration_samples) + " calibration and " +
                                std::to_string(report.holdout_samples) + " held-back samples";
    for (const std::string& fault : report.data_faults)
      all.push_back({"sound-data", "samples", fault, figures, ""});
    if (report.data_faults.empty()) all.push_back({"sound-data", "samples", "", figures, ""});
  }
  return all;
}

Status verdict_of(const std::vector<Judgement>& judgements, const Thresholds& t) {
  std::string text;
  Code code = Code::kThreshold;
  for (const Judgement& j : judgements) {
    if (j.failure.empty()) continue;
    // Never a pass; without a threshold it is a failure of the run.
    if (text.empty() && !t.accuracy() && j.name.starts_with("figures")) code = Code::kInternal;
    text += (text.empty() ? "" : "\n") + missed_text(j);
  }
  return text.empty() ? Status() : Status(code, text);
}

std::string missed_text(const Judgement& j) {
  return (j.subject.empty() ? "" : j.subject + ": ") + j.failure;
}

nlohmann::ordered_json verdict_json(const std::vector<Judgement>& judgements) {
  nlohmann::ordered_json out;
  out["passed"] = true;
  out["missed"] = nlohmann::ordered_json::array();
  out["thresholds"] = nlohmann::ordered_json::array();
  for (const Judgement& j : judgements) {
    if (!j.failure.empty()) {
      out["passed"] = false;
      out["missed"].push_back(missed_text(j));
    }
    out["thresholds"].push_back({{"name", j.name},
                                 {"limit", j.limit},
                                 {"passed", j.failure.empty()},
                                 {"figures", j.figures}});
  }
  return out;
}

}  // namespace mnn::flows
