#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "libquant/quantize.h"
#include "libquant/report/mix_report.h"

namespace mnn {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kReportFormat = "mnn-quant-report";
// Raised when a key goes or changes its meaning, not when one is added.
constexpr int kReportVersion = 1;

// JSON has no NaN and no infinity: null says that there is no number.
Json number(double v) { return std::isfinite(v) ? Json(v) : Json(); }

Json metrics(const ErrorMetrics& m) {
  return {{"cosine", number(m.cosine)},   {"snr_db", number(m.snr_db)},
          {"mse", number(m.mse)},         {"max_abs", number(m.max_abs)},
          {"max_rel", number(m.max_rel)}, {"max_ref", number(m.max_ref)},
          {"constant", m.constant},       {"failed", m.failed}};
}

}  // namespace

std::string report_json(const QuantReport& r) {
  Json out;
  out["format"] = kReportFormat;
  out["version"] = kReportVersion;
  out["scheme"] = r.scheme;
  out["method"] = r.method;
  out["calibration_samples"] = r.calibration_samples;
  out["holdout_samples"] = r.holdout_samples;
  out["holdout_note"] = r.holdout_note;
  out["macs"] = static_cast<int64_t>(std::min(r.macs, 9e18));
  out["int8_mac_share"] = r.int8_mac_share;
  out["constant_bytes_before"] = r.bytes_before;
  out["constant_bytes_after"] = r.bytes_after;
  out["argmax_agreement"] = r.argmax_agreement >= 0 ? Json(r.argmax_agreement) : Json();
  out["candidates"] = Json::array();
  for (const TriedRecipe& tried : r.candidates) {
    out["candidates"].push_back({{"method", tried.name},
                                 {"mean_sample_snr_db", number(tried.mean_sample_snr_db)},
                                 {"worst_sample_snr_db", number(tried.worst_sample_snr_db)},
                                 {"chosen", tried.chosen}});
  }
  out["outputs"] = Json::array();
  for (const OutputError& o : r.outputs) {
    Json row = {{"name", o.name}};
    row.update(metrics(o.whole));
    row["slices"] = Json::array();
    for (const SliceError& slice : o.slices) {
      Json part = {{"name", slice.name}};
      part.update(metrics(slice.metrics));
      row["slices"].push_back(std::move(part));
    }
    row["worst"] = o.worst().name;
    out["outputs"].push_back(std::move(row));
  }
  const bool measured = !r.samples.samples.empty();
  out["mean_sample_snr_db"] = measured ? number(r.samples.mean_snr_db()) : Json();
  out["worst_sample_snr_db"] = measured ? number(r.samples.worst_snr_db()) : Json();
  out["samples"] = samples_json(r.samples);
  out["metrics"] = Json::array();
  for (const MetricValue& m : r.metrics)
    out["metrics"].push_back({{"name", m.name}, {"value", number(m.value)}});
  out["eval"] = r.eval ? number(*r.eval) : Json();
  out["promotions"] = Json();
  if (r.promotions.tried) {
    out["promotions"] = {{"reached", r.promotions.reached},
                         {"layers", r.promotions.layers},
                         {"mac_share", r.promotions.mac_share},
                         {"time", r.promotions.time},
                         {"margin_db", r.promotions.margin_db}};
  }
  out["fixes"] = Json();
  if (r.fixes.tried) {
    out["fixes"] = {{"layers", r.fixes.layers},
                    {"helped", r.fixes.helped},
                    {"together_db", number(r.fixes.together_db)}};
  }
  out["mix"] = mix_json(r);
  out["latency_ms"] = r.latency_ms ? number(*r.latency_ms) : Json();
  out["layers"] = Json::array();
  for (const LayerError& e : r.layers) {
    out["layers"].push_back(
        {{"name", e.name},
         {"op", e.op},
         {"scheme", e.scheme},
         {"origin", e.origin},
         {"shape", e.shape},
         {"macs", e.macs},
         {"int8", e.int8},
         {"weight_bytes_before", e.weight_bytes_before},
         {"weight_bytes_after", e.weight_bytes_after},
         {"weight_share", r.bytes_after > 0 ? static_cast<double>(e.weight_bytes_after) /
                                                  static_cast<double>(r.bytes_after)
                                            : 0.0},
         {"weight_snr_db", number(e.weight_snr_db)},
         {"weight_bits", e.weight_bits},
         {"levels", e.levels},
         {"levels_used", e.levels_used},
         {"noise_share", number(e.noise_share)},
         {"time_ms", e.time_ms ? number(*e.time_ms) : Json()},
         {"isolated", metrics(e.isolated)},
         {"accumulated", metrics(e.accumulated)},
         {"contribution", metrics(e.contribution)},
         {"clipped_share", e.clipped_share},
         {"amplified", e.amplified},
         {"suggestion", e.suggestion}});
  }
  out["float_islands"] = Json::array();
  for (const FloatIsland& island : r.islands) {
    out["float_islands"].push_back({{"op", island.op},
                                    {"why", island.why},
                                    {"mac_share", island.mac_share},
                                    {"constant_bytes", island.constants},
                                    {"layers", island.layers}});
  }
  out["float_constants"] = Json::array();
  for (const FloatConstant& c : r.float_constants) {
    out["float_constants"].push_back({{"name", c.name},
                                      {"layer", c.layer},
                                      {"op", c.op},
                                      {"bytes", c.bytes},
                                      {"fp16_saves", c.fp16_saves},
                                      {"w8_saves", c.w8_saves}});
  }
  out["size_suggestion"] = size_suggestion(r);
  out["data_faults"] = r.data_faults;
  out["warnings"] = r.warnings;
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mnn
