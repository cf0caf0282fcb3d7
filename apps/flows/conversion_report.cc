#include "apps/flows/conversion_report.h"

#include "apps/flows/run_facts.h"
#include "libruntime/core/half.h"
#include "libruntime/core/io/file.h"
#include "libruntime/report/format.h"
#include "libruntime/report/html.h"
#include "libruntime/report/json_text.h"

namespace mnn::flows {
namespace {

struct OpRow {
  int64_t nodes = 0, fused = 0;
};

void collect(const Graph& graph, std::map<std::string, OpRow>& rows) {
  const std::vector<char> storage = storage_nodes(graph);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (storage[n]) continue;
    ++rows[node.op].nodes;
    for (const FusedOp& f : node.fused) ++rows[f.op].fused;
    for (const Graph& g : node.subgraphs) collect(g, rows);
  }
}

std::map<std::string, OpRow> op_rows(const Graph& graph) {
  std::map<std::string, OpRow> rows;
  collect(graph, rows);
  return rows;
}

// What runs the nodes of a row of the table.
std::string runs_on(const Placement& placement, const std::string& op, const OpRow& row) {
  if (row.nodes == 0) return "epilogue";
  if (!placement.planned) return "known once shapes are";
  const auto it = placement.ops.find(op);
  return it == placement.ops.end() ? "" : it->second.text();
}

int64_t macs_of(const Placement& placement, const std::string& op) {
  const auto it = placement.ops.find(op);
  return it == placement.ops.end() ? 0 : it->second.macs;
}

std::string percent_less(int64_t before, int64_t after) {
  if (before == 0) return "0 %";
  return format_number(100.0 * static_cast<double>(after - before) / static_cast<double>(before),
                       1) +
         " %";
}

std::vector<std::vector<std::string>> op_table(const Graph& graph, const Placement& placement) {
  std::vector<std::vector<std::string>> table = {
      {"operator", "nodes", "fused into others", "MACs", "runs on"}};
  for (const auto& [op, row] : op_rows(graph)) {
    const int64_t macs = macs_of(placement, op);
    table.push_back({op, std::to_string(row.nodes), std::to_string(row.fused),
                     macs ? format_count(static_cast<double>(macs)) : "",
                     runs_on(placement, op, row)});
  }
  return table;
}

std::vector<std::pair<std::string, std::string>> headline(const LoadedModel& loaded,
                                                          const Placement& placement,
                                                          int64_t bytes) {
  std::vector<std::pair<std::string, std::string>> rows;
  std::string source = loaded.format;
  for (const auto& [key, value] : loaded.facts) {
    // Labels and other texts of the source's own are in the metadata, not in a headline.
    if (!value.empty() && key.rfind("metadata.", 0) != 0) source += ", " + key + " " + value;
  }
  rows.emplace_back("source", source);
  if (loaded.format != "mnn") {
    rows.emplace_back("plan steps",
                      std::to_string(loaded.counts.imported) + " imported, " +
                          std::to_string(loaded.counts.unfused) + " without fusion, " +
                          std::to_string(loaded.counts.fused) + " fused (" +
                          percent_less(loaded.counts.unfused, loaded.counts.fused) + ")");
  }
  const Graph& graph = loaded.model.graph;
  auto border = [&](const std::vector<ValueId>& ids) {
    std::string text;
    for (const ValueId v : ids) {
      text += (text.empty() ? "" : ", ") + graph.value(v).name + " " + graph.value(v).type.str();
    }
    return text;
  };
  rows.emplace_back("inputs", border(graph.inputs));
  rows.emplace_back("outputs", border(graph.outputs));
  rows.emplace_back("parameters", format_count(static_cast<double>(count_parameters(graph))));
  rows.emplace_back("file", format_bytes(bytes));
  if (!placement.assumed.empty()) rows.emplace_back("planned for", placement.assumed);
  if (placement.planned) rows.emplace_back("reference", reference_text(placement));
  return rows;
}

std::string verdict_of(const std::vector<OutputCheck>& checks) {
  const Status status = checks_status(checks);
  return status.ok() ? "passed" : "failed: " + status.message();
}

std::string as_json(const LoadedModel& loaded, const Placement& placement, int64_t bytes,
                    const std::vector<OutputCheck>& checks) {
  nlohmann::ordered_json out;
  out["format"] = loaded.format;
  out["facts"] = loaded.facts;
  out["source_sha256"] = loaded.source_sha256;
  out["bytes"] = bytes;
  if (!checks.empty()) {
    out["passed"] = checks_status(checks).ok();
    out["checks"] = checks_json(checks);
  }
  out["plan_steps"] = {{"imported", loaded.counts.imported},
                       {"unfused", loaded.counts.unfused},
                       {"fused", loaded.counts.fused}};
  out["operators"] = nlohmann::ordered_json::array();
  for (const auto& [op, row] : op_rows(loaded.model.graph)) {
    out["operators"].push_back({{"op", op},
                                {"nodes", row.nodes},
                                {"fused", row.fused},
                                {"macs", macs_of(placement, op)},
                                {"runs_on", runs_on(placement, op, row)}});
  }
  out["reference"] = reference_json(placement);
  out["passes"] = nlohmann::ordered_json::array();
  for (const auto& [pass, n] : loaded.counts.changes)
    out["passes"].push_back({{"pass", pass}, {"changes", n}});
  out["notes"] = loaded.notes;
  add_run_facts(out);
  return json_text(out);
}

std::string as_markdown(const LoadedModel& loaded, const Placement& placement, int64_t bytes,
                        const std::vector<OutputCheck>& checks) {
  std::string out = "# Conversion report\n\n";
  for (const auto& [key, value] : headline(loaded, placement, bytes))
    out += "- **" + key + "**: " + value + "\n";
  if (!checks.empty()) out += "- **verdict**: " + verdict_of(checks) + "\n";
  out += "\n## Operators\n\n";
  const auto table = op_table(loaded.model.graph, placement);
  for (size_t r = 0; r < table.size(); ++r) {
    out += "|";
    for (const std::string& cell : table[r]) out += " " + cell + " |";
    out += "\n";
    if (r == 0) out += "|---|---:|---:|---:|---|\n";
  }
  out += "\n## Passes\n\n| pass | changes |\n|---|---:|\n";
  for (const auto& [pass, n] : loaded.counts.changes)
    out += "| " + pass + " | " + std::to_string(n) + " |\n";
  if (!loaded.notes.empty()) out += "\n## Notes\n\n";
  for (const std::string& note : loaded.notes) out += "- " + note + "\n";
  return out;
}

std::string as_html(const LoadedModel& loaded, const Placement& placement, int64_t bytes,
                    const std::vector<OutputCheck>& checks) {
  std::string body = "<h1>Conversion report</h1>";
  std::vector<std::vector<std::string>> facts;
  for (const auto& [key, value] : headline(loaded, placement, bytes)) facts.push_back({key, value});
  if (!checks.empty()) facts.push_back({"verdict", verdict_of(checks)});
  body += html_table({}, facts);
  auto table = op_table(loaded.model.graph, placement);
  const std::vector<std::string> head = table.front();
  table.erase(table.begin());
  body += "<h2>Operators</h2>" + html_table(head, table);
  std::vector<std::vector<std::string>> passes;
  for (const auto& [pass, n] : loaded.counts.changes) passes.push_back({pass, std::to_string(n)});
  body += "<h2>Passes</h2>" + html_table({"pass", "changes"}, passes);
  if (!loaded.notes.empty()) {
    body += "<h2>Notes</h2><ul>";
    for (const std::string& note : loaded.notes) body += "<li>" + html_escape(note) + "</li>";
    body += "</ul>";
  }
  return html_page("Conversion report", body);
}

}  // namespace

std::string conversion_summary(const LoadedModel& loaded, const Placement& placement,
                               const std::string& output, int64_t bytes, size_t width) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [key, value] : headline(loaded, placement, bytes))
    rows.push_back({"  " + key, value});
  return loaded.path + " -> " + output + "\n" +
         format_table(rows, {.right = {}, .head = false, .width = width});
}

std::string operator_summary(const LoadedModel& loaded, const Placement& placement, size_t width) {
  return format_table(op_table(loaded.model.graph, placement),
                      {.right = {1, 2, 3}, .head = true, .width = width});
}

Status check_report_name(const std::string& path) {
  if (path.ends_with(".json") || path.ends_with(".html") || path.ends_with(".md")) return {};
  return usage_error("--report " + path + ": expected a name ending in .json, .html or .md");
}

Status write_conversion_report(const std::string& path, const LoadedModel& loaded,
                               const Placement& placement, int64_t bytes,
                               const std::vector<OutputCheck>& checks) {
  MNN_RETURN_IF_ERROR(check_report_name(path));
  if (path.ends_with(".json")) return write_file(path, as_json(loaded, placement, bytes, checks));
  if (path.ends_with(".md")) return write_file(path, as_markdown(loaded, placement, bytes, checks));
  return write_file(path, as_html(loaded, placement, bytes, checks));
}

}  // namespace mnn::flows
