// One self-contained page: figures, a heat strip of the layers, and a table of the layers.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "libquant/quantize.h"
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

// An open cell that sorts by the share itself.
std::string percent_cell(double share, int decimals) {
  return "<td data-v=\"" + fixed(share, 9) + "\">" + percent(share, decimals);
}

std::string layer_row(const LayerError& e, const QuantReport& r) {
  std::string origin;
  for (const std::string& o : e.origin) origin += (origin.empty() ? "" : ", ") + o;
  std::string shape;
  for (const int64_t d : e.shape) shape += (shape.empty() ? "" : "×") + std::to_string(d);
  std::string row = "<tr><td title=\"" + html_escape(origin) + "\">" + html_escape(e.name) +
                    (e.amplified ? " <span class=\"mark\">amplified</span>" : "") + "</td><td>" +
                    html_escape(e.op) + "</td><td>" + e.scheme + "</td><td>" + shape + "</td>";
  for (const ErrorMetrics* m : {&e.contribution, &e.isolated, &e.accumulated}) {
    row += "<td data-v=\"" + fixed(m->failed ? -999 : m->snr_db, 3) + "\">" + snr_bar(*m) + "</td>";
  }
  row +=
      "<td>" + fixed(e.contribution.cosine, 6) + "</td><td>" +
      (e.weight_snr_db >= kExactSnrDb ? std::string() : fixed(e.weight_snr_db, 1)) + "</td>" +
      (r.macs > 0 ? percent_cell(static_cast<double>(e.macs) / r.macs, 2) : "<td>") +
      "</td><td data-v=\"" + std::to_string(e.weight_bytes_after) + "\">" +
      (e.weight_bytes_after > 0 ? format_bytes(e.weight_bytes_after) : "") + "</td>" +
      (e.weight_bytes_after > 0 && r.bytes_after > 0
           ? percent_cell(
                 static_cast<double>(e.weight_bytes_after) / static_cast<double>(r.bytes_after), 2)
           : "<td>") +
      "</td>" + percent_cell(e.clipped_share, 3) + "</td><td>" + html_escape(e.suggestion) +
      "</td></tr>\n";
  return row;
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
      ".strip span{display:inline-block;width:9px;height:22px}.cards "
      "td{font-size:120%}</style></head><body><h1>" +
      html_escape(title) + "</h1>" + facts;
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
  if (!r.layers.empty()) {
    out +=
        "<h2>Layers, worst contribution first</h2><p>Contribution: at the network's output, only "
        "this layer "
        "quantized. Isolated: at the layer's own output, float inputs. Accumulated: at the same "
        "place, the whole "
        "prefix quantized. SNR in dB; green is 50 dB and more, red 10 dB and less. Click a heading "
        "to sort.</p>"
        "<p class=\"strip\">";
    for (const LayerError& e : r.layers) {
      out += "<span style=\"background:" + snr_color(e.contribution) + "\" title=\"" +
             html_escape(e.name) + ": " + snr_text(e.contribution) + " dB\"></span>";
    }
    out +=
        "</p><table "
        "id=\"layers\"><tr><th>layer</th><th>operator</th><th>scheme</th><th>output</"
        "th><th>contribution</th>"
        "<th>isolated</th><th>accumulated</th><th>cosine (contr.)</th><th>weights dB</th><th>MACs "
        "%</th><th>bytes</th><th>bytes %</th>"
        "<th>clipped %</th><th>suggestion</th></tr>\n";
    for (const LayerError& e : r.layers) out += layer_row(e, r);
    out += "</table>" + sort_script("layers");
  }
  return out + "</body></html>\n";
}

}  // namespace mnn
