// One self-contained page: figures, plots and tables; layers_html.cc has those of the layers.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "libquant/quantize.h"
#include "libquant/report/layers_html.h"
#include "libquant/report/mix_report.h"
#include "libruntime/report/format.h"
#include "libruntime/report/html.h"

namespace mnn {
namespace {

std::string fixed(double v, int decimals) {
  return std::isfinite(v) ? format_number(v, decimals) : "–";
}

// How many constants a page lists.
constexpr size_t kMostRows = 20;

std::string percent(double share, int decimals) {
  return html_escape(format_percent(share, decimals));
}

std::string candidates_html(const QuantReport& r) {
  if (r.candidates.size() < 2) return {};
  std::string out =
      "<h2>Candidates</h2><table><tr><th>method</th><th>mean SNR</th><th>worst SNR</th>"
      "<th></th></tr>";
  for (const TriedRecipe& tried : r.candidates) {
    out += "<tr><td>" + html_escape(tried.name) + "</td><td>" +
           r.samples.snr(tried.mean_sample_snr_db) + "</td><td>" +
           r.samples.snr(tried.worst_sample_snr_db) + "</td><td>" + (tried.chosen ? "chosen" : "") +
           "</td></tr>";
  }
  return out + "</table>";
}

std::string float_html(const QuantReport& r) {
  std::string out;
  if (!r.islands.empty()) {
    out +=
        "<h2>In float</h2><table><tr><th>operator</th><th>layers</th><th>MACs %</th>"
        "<th>constants</th><th>why</th></tr>";
    for (const FloatIsland& island : r.islands) {
      std::string names;
      for (const std::string& name : island.layers) names += (names.empty() ? "" : ", ") + name;
      out += "<tr><td>" + html_escape(island.op) + "</td><td title=\"" + html_escape(names) +
             "\">" + std::to_string(island.layers.size()) + "</td><td>" +
             percent(island.mac_share, 2) + "</td><td>" + format_bytes(island.constants) +
             "</td><td>" + html_escape(island.why) + "</td></tr>";
    }
    out += "</table>";
  }
  if (!r.float_constants.empty()) {
    out +=
        "<h2>Constants that stay as they were, largest first</h2><table><tr><th>constant</th>"
        "<th>layer</th><th>operator</th><th>size</th></tr>";
    for (size_t i = 0; i < std::min(kMostRows, r.float_constants.size()); ++i) {
      const FloatConstant& c = r.float_constants[i];
      out += "<tr><td>" + html_escape(c.name) + "</td><td>" + html_escape(c.layer) + "</td><td>" +
             html_escape(c.op) + "</td><td>" + format_bytes(c.bytes) + "</td></tr>";
    }
    out += "</table>";
    const std::string remedy = size_suggestion(r);
    if (!remedy.empty()) out += "<p>" + html_escape(remedy) + "</p>";
  }
  return out;
}

}  // namespace

std::string report_html(const QuantReport& r, const std::string& title, size_t worst_samples,
                        const std::function<std::string(size_t)>& picture,
                        const std::string& facts) {
  std::string out =
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>" +
      html_escape(title) +
      " – quantization report</title><style>body{font:14px/1.5 sans-serif;margin:2em;color:#222}"
      "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.2em "
      ".5em;text-align:left;overflow-wrap:anywhere}"
      "th{background:#f3f3f3;cursor:pointer}.mark{background:#f7c948;border-radius:3px;padding:0 "
      ".3em}"
      ".cards td{font-size:120%}" +
      layers_style() + "</style></head><body><h1>" + html_escape(title) + "</h1>" + facts;
  out += "<p>Scheme <b>" + html_escape(r.scheme) + "</b>, method <b>" + html_escape(r.method) +
         "</b>, " + std::to_string(r.calibration_samples) + " calibration and " +
         std::to_string(r.holdout_samples) + " held-back samples. " + html_escape(r.holdout_note) +
         "</p>";
  for (const std::string& w : r.warnings) out += "<p class=\"mark\">" + html_escape(w) + "</p>";
  out +=
      "<table class=\"cards\"><tr><th>int8 share of MACs</th><th>constants "
      "before</th><th>after</th><th>argmax agreement</th></tr><tr><td>" +
      percent(r.int8_mac_share, 1) + " %</td><td>" + format_bytes(r.bytes_before) + "</td><td>" +
      format_bytes(r.bytes_after) + "</td><td>" +
      (r.argmax_agreement >= 0 ? percent(r.argmax_agreement, 2) + " %" : "–") +
      "</td></tr></table>";
  out +=
      "<h2>Outputs</h2><p>Slices are the parts of an output that differ in scale; thresholds apply "
      "to "
      "the worst.</p><table><tr><th>output</th><th>pooled SNR, dB</th><th>cosine</th>"
      "<th>MSE</th><th>max abs</th><th>largest</th><th></th></tr>";
  const auto row = [&](const std::string& name, const ErrorMetrics& m, const char* note) {
    char mse[96];
    std::snprintf(mse, sizeof mse, "%.4g</td><td>%.4g</td><td>%.4g", m.mse, m.max_abs, m.max_ref);
    out += "<tr><td>" + html_escape(name) + "</td><td>" + snr_bar(m) + "</td><td>" +
           fixed(m.cosine, 6) + "</td><td>" + mse + "</td><td>" + note + "</td></tr>\n";
  };
  for (const OutputError& o : r.outputs) {
    row(o.name, o.whole, "");
    for (const SliceError& slice : o.slices)
      row(slice.name, slice.metrics, slice.name == o.worst().name ? "slice, the worst" : "slice");
  }
  out += "</table>";
  if (const std::string task = task_text(r); !task.empty())
    out += "<h2>Task</h2><pre>" + html_escape(task) + "</pre>";
  out += samples_html(r.samples, worst_samples, picture) + mix_html(r) + candidates_html(r) +
         float_html(r);
  out += layers_html(r);
  return out + "</body></html>\n";
}

}  // namespace mnn
