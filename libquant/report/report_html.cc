// One self-contained page: figures, a heat strip of the layers, and a table of the layers.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "libquant/quantize.h"

namespace mnn {
namespace {

std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string fixed(double v, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, v);
  return std::isfinite(v) ? text : "–";
}

std::string db(const ErrorMetrics& m) {
  if (m.failed) return "FAIL";
  return m.snr_db >= kExactSnrDb ? "exact" : fixed(m.snr_db, 1);
}

// Red at 10 dB and below, green at 50 dB and above.
std::string heat(const ErrorMetrics& m) {
  const double t = m.failed ? 0 : std::clamp((m.snr_db - 10) / 40, 0.0, 1.0);
  return "hsl(" + std::to_string(static_cast<int>(120 * t)) + ",70%,55%)";
}

// A bar whose length is the SNR, 0 to 60 dB.
std::string bar(const ErrorMetrics& m) {
  const double width = m.failed ? 0 : std::clamp(m.snr_db / 60 * 90, 1.0, 90.0);
  return "<svg width=\"92\" height=\"12\" role=\"img\" aria-label=\"" + db(m) +
         " dB\"><rect width=\"92\" height=\"12\" fill=\"#eee\"/><rect width=\"" + fixed(width, 1) +
         "\" height=\"12\" fill=\"" + heat(m) + "\"/></svg> " + db(m);
}

std::string layer_row(const LayerError& e, double total_macs) {
  std::string origin;
  for (const std::string& o : e.origin) origin += (origin.empty() ? "" : ", ") + o;
  std::string shape;
  for (const int64_t d : e.shape) shape += (shape.empty() ? "" : "×") + std::to_string(d);
  std::string row = "<tr><td title=\"" + escape(origin) + "\">" + escape(e.name) +
                    (e.amplified ? " <span class=\"mark\">amplified</span>" : "") + "</td><td>" +
                    escape(e.op) + "</td><td>" + shape + "</td>";
  for (const ErrorMetrics* m : {&e.contribution, &e.isolated, &e.accumulated}) {
    row += "<td data-v=\"" + fixed(m->failed ? -999 : m->snr_db, 3) + "\">" + bar(*m) + "</td>";
  }
  row +=
      "<td>" + fixed(e.contribution.cosine, 6) + "</td><td>" +
      (e.weight_snr_db >= kExactSnrDb ? std::string() : fixed(e.weight_snr_db, 1)) + "</td><td>" +
      fixed(total_macs > 0 ? 100 * static_cast<double>(e.macs) / total_macs : 0, 2) + "</td><td>" +
      fixed(100 * e.clipped_share, 3) + "</td><td>" + escape(e.suggestion) + "</td></tr>\n";
  return row;
}

}  // namespace

std::string report_html(const QuantReport& r, const std::string& title) {
  double macs = 0;
  for (const LayerError& e : r.layers) macs += static_cast<double>(e.macs);
  std::string out =
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>" + escape(title) +
      " – quantization report</title><style>body{font:14px/1.5 sans-serif;margin:2em;color:#222}"
      "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.2em "
      ".5em;text-align:left;overflow-wrap:anywhere}"
      "th{background:#f3f3f3;cursor:pointer}.mark{background:#f7c948;border-radius:3px;padding:0 "
      ".3em}"
      ".strip span{display:inline-block;width:9px;height:22px}.cards "
      "td{font-size:120%}</style></head><body><h1>" +
      escape(title) + "</h1>";
  out += "<p>Scheme <b>" + escape(r.scheme) + "</b>, method <b>" + escape(r.method) + "</b>, " +
         std::to_string(r.calibration_samples) + " calibration and " +
         std::to_string(r.holdout_samples) + " held-back samples. " + escape(r.holdout_note) +
         "</p>";
  for (const std::string& w : r.warnings) out += "<p class=\"mark\">" + escape(w) + "</p>";
  out +=
      "<table class=\"cards\"><tr><th>int8 share of MACs</th><th>constants "
      "before</th><th>after</th><th>argmax agreement</th></tr><tr><td>" +
      fixed(100 * r.int8_mac_share, 1) + " %</td><td>" +
      fixed(static_cast<double>(r.bytes_before) / 1e6, 2) + " MB</td><td>" +
      fixed(static_cast<double>(r.bytes_after) / 1e6, 2) + " MB</td><td>" +
      (r.argmax_agreement >= 0 ? fixed(100 * r.argmax_agreement, 2) + " %" : "–") +
      "</td></tr></table>";
  out +=
      "<h2>Outputs</h2><table><tr><th>output</th><th>SNR dB</th><th>cosine</th><th>MSE</th><th>max "
      "abs</th></tr>";
  for (const auto& [name, m] : r.outputs) {
    char mse[64];
    std::snprintf(mse, sizeof mse, "%.4g</td><td>%.4g", m.mse, m.max_abs);
    out += "<tr><td>" + escape(name) + "</td><td>" + bar(m) + "</td><td>" + fixed(m.cosine, 6) +
           "</td><td>" + mse + "</td></tr>";
  }
  out += "</table>";
  if (r.candidates.size() > 1) {
    out += "<h2>Candidates</h2><table><tr><th>method</th><th>output SNR dB</th></tr>";
    for (const auto& [name, snr] : r.candidates)
      out += "<tr><td>" + escape(name) + "</td><td>" + fixed(snr, 2) + "</td></tr>";
    out += "</table>";
  }
  if (!r.islands.empty()) {
    out +=
        "<h2>In float</h2><table><tr><th>operator</th><th>layers</th><th>MACs %</th><th>why</th>"
        "</tr>";
    for (const FloatIsland& island : r.islands) {
      std::string names;
      for (const std::string& name : island.layers) names += (names.empty() ? "" : ", ") + name;
      out += "<tr><td>" + escape(island.op) + "</td><td title=\"" + escape(names) + "\">" +
             std::to_string(island.layers.size()) + "</td><td>" + fixed(100 * island.mac_share, 2) +
             "</td><td>" + escape(island.why) + "</td></tr>";
    }
    out += "</table>";
  }
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
      out += "<span style=\"background:" + heat(e.contribution) + "\" title=\"" + escape(e.name) +
             ": " + db(e.contribution) + " dB\"></span>";
    }
    out +=
        "</p><table "
        "id=\"layers\"><tr><th>layer</th><th>operator</th><th>output</th><th>contribution</th>"
        "<th>isolated</th><th>accumulated</th><th>cosine (contr.)</th><th>weights dB</th><th>MACs "
        "%</th>"
        "<th>clipped %</th><th>suggestion</th></tr>\n";
    for (const LayerError& e : r.layers) out += layer_row(e, macs);
    out +=
        "</table><script>document.querySelectorAll('#layers th').forEach((h,c)=>h.onclick=()=>{"
        "const t=document.getElementById('layers').tBodies[0],r=[...t.rows].slice(1),"
        "v=x=>{const d=x.cells[c];return "
        "d.dataset.v!==undefined?+d.dataset.v:isNaN(parseFloat(d.textContent))?d.textContent:"
        "parseFloat(d.textContent)};"
        "h.up=!h.up;r.sort((a,b)=>{const p=v(a),q=v(b);return "
        "(p<q?-1:p>q?1:0)*(h.up?1:-1)});r.forEach(x=>t.appendChild(x))});</script>";
  }
  return out + "</body></html>\n";
}

}  // namespace mnn
