// The layers as a table for spreadsheets (RFC 4180).
#include <cmath>
#include <cstdio>

#include "libquant/quantize.h"

namespace mnn {
namespace {

// In quotes where it has to be; what a spreadsheet would run as a formula is text.
std::string cell(const std::string& text) {
  const bool formula = !text.empty() && std::string("=+-@\t\r").find(text[0]) != std::string::npos;
  const std::string safe = (formula ? "'" : "") + text;
  if (safe.find_first_of(",\"\r\n") == std::string::npos) return safe;
  std::string quoted = "\"";
  for (const char c : safe) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

// Empty for what is no number.
std::string cell(double v) {
  if (!std::isfinite(v)) return {};
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", v);
  return text;
}

std::string snr(const ErrorMetrics& m) { return m.failed ? std::string() : cell(m.snr_db); }

}  // namespace

std::string report_csv(const QuantReport& r) {
  std::string out =
      "layer,op,scheme,int8,weight_bits,weight_bytes_before,weight_bytes_after,levels,levels_used,"
      "noise_share,contribution_snr_db,isolated_snr_db,accumulated_snr_db,contribution_cosine,"
      "weight_snr_db,macs,time_ms,clipped_share,amplified,suggestion\r\n";
  for (const LayerError& e : r.layers) {
    const bool weights = e.weight_bits > 0;
    const auto number = [](int64_t v) { return std::to_string(v); };
    const std::vector<std::string> cells = {cell(e.name),
                                            cell(e.op),
                                            e.scheme,
                                            e.int8 ? "1" : "0",
                                            weights ? number(e.weight_bits) : "",
                                            weights ? number(e.weight_bytes_before) : "",
                                            weights ? number(e.weight_bytes_after) : "",
                                            e.levels > 0 ? number(e.levels) : "",
                                            e.levels > 0 ? number(e.levels_used) : "",
                                            cell(e.noise_share),
                                            snr(e.contribution),
                                            snr(e.isolated),
                                            snr(e.accumulated),
                                            cell(e.contribution.cosine),
                                            weights ? cell(e.weight_snr_db) : "",
                                            number(e.macs),
                                            e.time_ms ? cell(*e.time_ms) : "",
                                            cell(e.clipped_share),
                                            e.amplified ? "1" : "0",
                                            cell(e.suggestion)};
    for (size_t i = 0; i < cells.size(); ++i) out += (i == 0 ? "" : ",") + cells[i];
    out += "\r\n";
  }
  return out;
}

}  // namespace mnn
