#include "libruntime/report/html.h"

#include <algorithm>
#include <cstdio>

namespace mnn {

std::string html_escape(const std::string& text) {
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

std::string html_table(const std::vector<std::string>& head,
                       const std::vector<std::vector<std::string>>& rows) {
  std::string out = "<table>";
  if (!head.empty()) {
    out += "<tr>";
    for (const std::string& cell : head) out += "<th>" + html_escape(cell) + "</th>";
    out += "</tr>";
  }
  for (const auto& row : rows) {
    out += "<tr>";
    for (const std::string& cell : row) out += "<td>" + html_escape(cell) + "</td>";
    out += "</tr>\n";
  }
  return out + "</table>";
}

std::string html_page(const std::string& title, const std::string& body) {
  return "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>" +
         html_escape(title) +
         "</title><style>body{font:15px/1.5 sans-serif;margin:2em auto;max-width:70em;color:#222}"
         "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.25em "
         ".6em;"
         "text-align:left;vertical-align:top;overflow-wrap:anywhere}th{background:#f3f3f3}</"
         "style></head><body>" +
         body + "</body></html>\n";
}

std::string snr_color(const ErrorMetrics& m) {
  const double t = m.failed ? 0 : std::clamp((m.snr_db - 10) / 40, 0.0, 1.0);
  return "hsl(" + std::to_string(static_cast<int>(120 * t)) + ",70%,55%)";
}

std::string snr_bar(const ErrorMetrics& m) {
  const double width = m.failed ? 1 : std::clamp(m.snr_db / 60 * 90, 1.0, 90.0);
  char pixels[32];
  std::snprintf(pixels, sizeof pixels, "%.1f", width);
  const std::string text = snr_text(m);
  return "<svg width=\"92\" height=\"12\" role=\"img\" aria-label=\"" + text +
         " dB\"><rect width=\"92\" height=\"12\" fill=\"#eee\"/><rect width=\"" + pixels +
         "\" height=\"12\" fill=\"" + snr_color(m) + "\"/></svg> " + text;
}

std::string sort_script(const std::string& table_id) {
  return "<script>document.querySelectorAll('#" + table_id +
         " th').forEach((h,c)=>h.onclick=()=>{"
         "const t=document.getElementById('" +
         table_id +
         "').tBodies[0],r=[...t.rows].slice(1),"
         "v=x=>{const d=x.cells[c];return "
         "d.dataset.v!==undefined?+d.dataset.v:isNaN(parseFloat(d.textContent))?d.textContent:"
         "parseFloat(d.textContent)};"
         "h.up=!h.up;r.sort((a,b)=>{const p=v(a),q=v(b);return "
         "(p<q?-1:p>q?1:0)*(h.up?1:-1)});r.forEach(x=>t.appendChild(x))});</script>";
}

}  // namespace mnn
