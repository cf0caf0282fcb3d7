#include "libquant/report/layers_html.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <vector>

#include "libruntime/report/format.h"
#include "libruntime/report/html.h"

namespace mnn {
namespace {

constexpr size_t kBars = 40;
constexpr double kPlotWidth = 128, kPlotHeight = 28;

std::string fixed(double v, int decimals) {
  return std::isfinite(v) ? format_number(v, decimals) : "–";
}
std::string percent(double share, int decimals) {
  return html_escape(format_percent(share, decimals));
}
// A whole cell that sorts by the number itself.
std::string cell(double v, const std::string& text) {
  return "<td data-v=\"" + (std::isfinite(v) ? format_significant(v, 9) : std::string("-1")) +
         "\">" + text + "</td>";
}
std::string row_id(size_t row) { return "l" + std::to_string(row); }

// Counts as an area, high counts flattened by their root; red where the grid does not reach.
std::string plot(const std::optional<Distribution>& d, const char* what) {
  if (!d || d->bins.empty()) return {};
  const int64_t most = *std::ranges::max_element(d->bins);
  if (most <= 0) return {};
  const double step = kPlotWidth / static_cast<double>(d->bins.size());
  std::string path = "M0 " + format_number(kPlotHeight, 0);
  for (size_t i = 0; i < d->bins.size(); ++i) {
    const double share = static_cast<double>(d->bins[i]) / static_cast<double>(most);
    path +=
        "V" + format_number(kPlotHeight * (1 - std::sqrt(share)), 1) + "h" + format_number(step, 1);
  }
  path += "V" + format_number(kPlotHeight, 0) + "z";
  const auto text = [](double v) { return format_significant(v, 3); };
  std::string title = std::string(what) + " from " + text(d->low) + " to " + text(d->high);
  std::string lines;
  if (d->grid) {
    title += "; the grid reaches from " + text(d->grid->first) + " to " + text(d->grid->second);
    for (const double threshold : {d->grid->first, d->grid->second}) {
      if (!(threshold > d->low && threshold < d->high)) continue;
      const std::string x =
          format_number((threshold - d->low) / (d->high - d->low) * kPlotWidth, 1);
      lines += "<path class=\"cut\" d=\"M" + x + " 0V" + format_number(kPlotHeight, 0) + "\"/>";
    }
  }
  return "<svg class=\"dist\" viewBox=\"0 0 128 28\" role=\"img\"><title>" + html_escape(title) +
         "</title><path d=\"" + path + "\"/>" + lines + "</svg>";
}

std::string layer_row(const LayerError& e, const QuantReport& r, size_t index) {
  std::string origin;
  for (const std::string& o : e.origin) origin += (origin.empty() ? "" : ", ") + o;
  std::string shape;
  for (const int64_t d : e.shape) shape += (shape.empty() ? "" : "×") + std::to_string(d);
  const bool weights = e.weight_bytes_after > 0;
  std::string row = "<tr id=\"" + row_id(index) + "\"><td title=\"" + html_escape(origin) + "\">" +
                    html_escape(e.name) +
                    (e.amplified ? " <span class=\"mark\">amplified</span>" : "") + "</td><td>" +
                    html_escape(e.op) + "</td><td>" + html_escape(e.scheme) + "</td>";
  row += cell(e.weight_bits, e.weight_bits > 0 ? std::to_string(e.weight_bits) : "");
  row += "<td>" + shape + "</td>";
  row += cell(e.noise_share, e.noise_share > 0 ? percent(e.noise_share, 2) : "");
  for (const ErrorMetrics* m : {&e.contribution, &e.isolated, &e.accumulated})
    row += cell(m->failed ? -999 : m->snr_db, snr_bar(*m));
  row += cell(e.contribution.cosine, fixed(e.contribution.cosine, 6));
  row += cell(e.weight_snr_db,
              e.weight_snr_db >= kExactSnrDb ? std::string() : fixed(e.weight_snr_db, 1));
  row +=
      cell(e.levels > 0 ? static_cast<double>(e.levels_used) : -1,
           e.levels > 0 ? std::to_string(e.levels_used) + " of " + std::to_string(e.levels) : "");
  const double macs = r.macs > 0 ? static_cast<double>(e.macs) / r.macs : 0;
  row += cell(macs, r.macs > 0 ? percent(macs, 2) : "");
  row += cell(e.time_ms.value_or(-1), e.time_ms ? fixed(*e.time_ms, 3) : "");
  row += cell(static_cast<double>(e.weight_bytes_after),
              weights ? format_bytes(e.weight_bytes_after) : "");
  const double share = r.bytes_after > 0 ? static_cast<double>(e.weight_bytes_after) /
                                               static_cast<double>(r.bytes_after)
                                         : 0;
  row += cell(share, weights && r.bytes_after > 0 ? percent(share, 2) : "");
  row += cell(e.clipped_share, percent(e.clipped_share, 3));
  return row + "<td>" + plot(e.weights, "weights") + "</td><td>" + plot(e.activations, "inputs") +
         "</td><td>" + html_escape(e.suggestion) + "</td></tr>\n";
}

// The layers that make most of the noise, each bar as long as its share.
std::string bars(const QuantReport& r) {
  std::vector<size_t> order(r.layers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(
      order, [&](size_t a, size_t b) { return r.layers[a].noise_share > r.layers[b].noise_share; });
  const double most = r.layers[order[0]].noise_share;
  if (!(most > 0)) return {};
  std::string out = "<h2>Noise at the outputs, by layer</h2><div id=\"bars\">";
  double rest = 1;
  for (size_t i = 0; i < std::min(kBars, order.size()); ++i) {
    const LayerError& e = r.layers[order[i]];
    if (!(e.noise_share > 0)) break;
    rest -= e.noise_share;
    out += "<a class=\"bar\" href=\"#" + row_id(order[i]) +
           "\"><i style=\"width:" + format_number(100 * e.noise_share / most, 1) +
           "%;background:" + snr_color(e.contribution) + "\"></i><b>" + percent(e.noise_share, 1) +
           " % " + html_escape(e.name) + "</b></a>";
  }
  out += "</div>";
  if (order.size() > kBars)
    out += "<p>The other " + std::to_string(order.size() - kBars) +
           " layers: " + percent(std::max(rest, 0.0), 1) + " %.</p>";
  return out;
}

// In the order of the graph.
std::string strip(const QuantReport& r) {
  std::vector<size_t> order(r.layers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order,
                           [&](size_t a, size_t b) { return r.layers[a].node < r.layers[b].node; });
  std::string out = "<h2>Layers along the graph</h2><p class=\"strip\" id=\"strip\">";
  for (const size_t i : order) {
    const LayerError& e = r.layers[i];
    out += "<a href=\"#" + row_id(i) + "\" style=\"background:" + snr_color(e.contribution) +
           "\" title=\"" + html_escape(e.name) + ": " + snr_text(e.contribution) + " dB\"></a>";
  }
  return out + "</p>";
}

// Sorts without touching the page between rows; hides what has none of the words.
constexpr const char* kScript =
    "<script>(()=>{const t=document.getElementById('layers'),b=t.tBodies[0],"
    "f=document.getElementById('filter'),n=document.getElementById('shown');"
    "const rows=[...b.rows],text=rows.map(r=>[0,1,2,19].map(c=>r.cells[c].textContent).join(' ')"
    ".toLowerCase());"
    "const show=()=>{const w=f.value.toLowerCase().split(/\\s+/).filter(x=>x);let k=0;"
    "rows.forEach((r,i)=>{const y=w.every(x=>text[i].includes(x));r.hidden=!y;k+=y});"
    "n.textContent=k+' of '+rows.length};"
    "f.oninput=show;show();"
    "const v=(r,c)=>{const d=r.cells[c];return d.dataset.v!==undefined?+d.dataset.v:d.textContent};"
    "[...t.tHead.rows[0].cells].forEach((h,c)=>h.onclick=()=>{h.up=!h.up;const s=h.up?1:-1;"
    "const p=document.createDocumentFragment();"
    "rows.map(r=>[v(r,c),r]).sort((x,y)=>(x[0]<y[0]?-1:x[0]>y[0]?1:0)*s)"
    ".forEach(x=>p.appendChild(x[1]));b.appendChild(p)});})();</script>";

}  // namespace

std::string layers_style() {
  return ".strip{line-height:0}.strip a{display:inline-block;width:9px;height:22px}"
         ".bar{display:block;position:relative;height:18px;margin:1px 0;max-width:60em;color:#222;"
         "text-decoration:none;white-space:nowrap;overflow:hidden}.bar i{position:absolute;left:0;"
         "top:0;bottom:0;opacity:.6}.bar b{position:relative;padding-left:.3em;font-weight:normal;"
         "font-size:12px}.dist{width:128px;height:28px;background:#f3f3f3}.dist path{fill:#58a}"
         ".dist .cut{stroke:#c30;fill:none}#layers tr{content-visibility:auto}"
         "#layers thead th{position:sticky;top:0}tr:target{background:#ffe}";
}

std::string layers_html(const QuantReport& r) {
  if (r.layers.empty()) return {};
  std::string out = bars(r) + strip(r);
  out +=
      "<h2>Layers, worst contribution first</h2><p>Contribution: at the network's output, only "
      "this layer quantized. Noise: its share of the noise of all layers so measured. Isolated: at "
      "the layer's own output, float inputs. Accumulated: at the same place, the whole prefix "
      "quantized. SNR in dB; green is 50 dB and more, red 10 dB and less. Levels: codes that "
      "occur. The curves are the numbers of the float network, the root of their counts; red lines "
      "are where the grid ends. Click a heading to sort.</p>"
      "<p><label>Filter by name, operator, scheme or suggestion: <input id=\"filter\" size=\"30\">"
      "</label> <span id=\"shown\"></span></p><table id=\"layers\"><thead><tr>";
  for (const char* head :
       {"layer",      "operator",     "scheme",   "bits",        "output",
        "noise %",    "contribution", "isolated", "accumulated", "cosine (contr.)",
        "weights dB", "levels",       "MACs %",   "ms",          "bytes",
        "bytes %",    "clipped %",    "weights",  "inputs",      "suggestion"})
    out += "<th>" + std::string(head) + "</th>";
  out += "</tr></thead><tbody>\n";
  for (size_t i = 0; i < r.layers.size(); ++i) out += layer_row(r.layers[i], r, i);
  return out + "</tbody></table>" + kScript;
}

}  // namespace mnn
