#include "apps/common/html.h"

namespace mnn::cli {

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

}  // namespace mnn::cli
