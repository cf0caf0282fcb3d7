// The summary of layers as text, JSON and a page.
#include <algorithm>
#include <cmath>

#include "apps/flows/layer_summary.h"
#include "apps/flows/run_facts.h"
#include "libruntime/report/format.h"
#include "libruntime/report/html.h"
#include "libruntime/report/json_text.h"

namespace mnn::flows {
namespace {

using Json = nlohmann::ordered_json;

ErrorMetrics metrics_with(double snr_db) {
  ErrorMetrics m;
  m.snr_db = snr_db;
  return m;
}

std::string mark(const LayerSummary& s, const SummaryRow& row) {
  if (is_slow(s, row) && is_sensitive(row)) return "slow and sensitive";
  return is_slow(s, row) ? "slow" : is_sensitive(row) ? "sensitive" : "";
}

const std::vector<std::string> kHead = {"layer",   "ms",     "time %", "contribution", "bytes",
                                        "bytes %", "MACs %", "form",   "op",           ""};

std::vector<std::string> cells(const LayerSummary& s, const SummaryRow& row) {
  const bool error = row.contribution_db.has_value();
  return {row.name,
          row.ms ? format_number(*row.ms, 3) : "",
          row.ms ? format_percent(s.time_share(row), 1) : "",
          error ? snr_text(metrics_with(*row.contribution_db)) : "",
          row.bytes > 0 ? format_bytes(row.bytes) : "",
          row.bytes > 0 ? format_percent(s.byte_share(row), 1) : "",
          row.macs && s.macs > 0 ? format_percent(s.mac_share(row), 1) : "",
          row.form,
          row.op,
          mark(s, row)};
}

std::string sources(const LayerSummary& s) {
  std::string text;
  const auto add = [&](const std::string& what, const std::string& file) {
    if (!file.empty()) text += (text.empty() ? "" : "; ") + what + file;
  };
  add("sizes of ", s.files.model.empty() ? s.files.quant : s.files.model);
  add("errors of ", s.files.quant);
  add("times of " + (s.timed.empty() ? "" : s.timed + " in "), s.files.bench);
  return text;
}

std::string totals(const LayerSummary& s) {
  std::string text = std::to_string(s.rows.size()) + " layers";
  if (s.ms > 0) text += ", " + format_number(s.ms, 3) + " ms";
  if (s.bytes > 0) text += ", " + format_bytes(s.bytes) + " of constants";
  if (s.macs > 0) text += ", " + format_count(s.macs) + " MACs";
  return text;
}

}  // namespace

std::string summary_verdict(const LayerSummary& s) {
  std::string names;
  for (const SummaryRow& row : s.rows) {
    if (is_slow(s, row) && is_sensitive(row))
      names += (names.empty() ? "" : ", ") + shorten_middle(row.name, kNameColumns);
  }
  return names.empty() ? "no layer is slow and sensitive" : "slow and sensitive: " + names;
}

std::string summary_text(const LayerSummary& s, size_t max_rows, size_t width) {
  std::string out = wrap_text(totals(s) + "\n" + sources(s) + "\n", width) + "\n";
  std::vector<std::vector<std::string>> rows = {kHead};
  for (size_t i = 0; i < std::min(max_rows, s.rows.size()); ++i) {
    const SummaryRow& row = s.rows[i];
    rows.push_back(cells(s, row));
    if (!row.suggestion.empty())
      rows.back().back() += (rows.back().back().empty() ? "-> " : "  -> ") + row.suggestion;
  }
  out += format_table(rows, {.right = {1, 2, 3, 4, 5, 6}, .head = true, .width = width});
  std::string end;
  if (s.rows.size() > max_rows)
    end = "and " + std::to_string(s.rows.size() - max_rows) + " more (--max-layers, --report)\n";
  return out + wrap_text(end + "\n" + summary_verdict(s) + "\n", width);
}

std::string summary_json(const LayerSummary& s) {
  Json out;
  out["model"] = s.files.model.empty() ? Json() : Json(s.files.model);
  out["quant"] = s.files.quant.empty() ? Json() : Json(s.files.quant);
  out["bench"] = s.files.bench.empty() ? Json() : Json(s.files.bench);
  out["timed_model"] = s.timed.empty() ? Json() : Json(s.timed);
  out["ms"] = s.ms;
  out["constant_bytes"] = s.bytes;
  out["macs"] = s.macs;
  out["slow_and_sensitive"] = Json::array();
  out["layers"] = Json::array();
  for (const SummaryRow& row : s.rows) {
    if (is_slow(s, row) && is_sensitive(row)) out["slow_and_sensitive"].push_back(row.name);
    out["layers"].push_back(
        {{"name", row.name},
         {"op", row.op},
         {"origin", row.origin},
         {"ms", row.ms ? Json(*row.ms) : Json()},
         {"time_share", row.ms ? Json(s.time_share(row)) : Json()},
         {"contribution_snr_db", row.contribution_db ? Json(*row.contribution_db) : Json()},
         {"bytes", row.bytes},
         {"byte_share", s.byte_share(row)},
         {"macs", row.macs ? Json(*row.macs) : Json()},
         {"mac_share", row.macs ? Json(s.mac_share(row)) : Json()},
         {"form", row.form},
         {"slow", is_slow(s, row)},
         {"sensitive", is_sensitive(row)},
         {"suggestion", row.suggestion}});
  }
  add_run_facts(out);
  return json_text(out);
}

std::string summary_html(const LayerSummary& s) {
  std::vector<std::vector<std::string>> facts = {{"layers", totals(s)},
                                                 {"figures", sources(s)},
                                                 {"at a glance", summary_verdict(s)},
                                                 {"made by", run_facts().tool}};
  if (!run_facts().command.empty()) facts.push_back({"command", run_facts().command});
  std::string body =
      "<h1>Layers</h1>" + html_table({}, facts) +
      "<p>Slow: 5 % of the time and more. Sensitive: a contribution (SNR in dB at the network's "
      "output with only this layer quantized) below 30 dB. Click a heading to sort.</p>"
      "<table id=\"layers\"><tr>";
  for (const std::string& name : kHead) body += "<th>" + html_escape(name) + "</th>";
  body += "<th>suggestion</th></tr>";
  for (const SummaryRow& row : s.rows) {
    const std::vector<std::string> text = cells(s, row);
    const bool both = is_slow(s, row) && is_sensitive(row);
    body += both ? "<tr style=\"background:#fdf3d0\">" : "<tr>";
    // Figures sort by themselves, what is not known comes first.
    const double keys[] = {row.ms.value_or(-1),
                           row.ms ? s.time_share(row) : -1,
                           row.contribution_db.value_or(-1000),
                           static_cast<double>(row.bytes),
                           s.byte_share(row),
                           row.macs ? s.mac_share(row) : -1};
    for (size_t i = 0; i < text.size(); ++i) {
      const bool figure = i >= 1 && i <= std::size(keys);
      body += figure ? "<td data-v=\"" + format_number(keys[i - 1], 9) + "\">" : "<td>";
      const bool bar = i == 3 && row.contribution_db;
      body += (bar ? snr_bar(metrics_with(*row.contribution_db)) : html_escape(text[i])) + "</td>";
    }
    body += "<td>" + html_escape(row.suggestion) + "</td></tr>\n";
  }
  return html_page("Layers", body + "</table>" + sort_script("layers"));
}

}  // namespace mnn::flows
