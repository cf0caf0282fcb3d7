#include "apps/common/failure.h"

#include "apps/common/exit_code.h"
#include "apps/flows/junit.h"
#include "apps/flows/model_io.h"
#include "libruntime/core/io/file.h"
#include "libruntime/report/html.h"
#include "libruntime/report/json_text.h"

namespace mnn::cli {
namespace {

using Json = nlohmann::ordered_json;

const char* kind_name(Code code) {
  switch (code) {
    case Code::kOk: return "ok";
    case Code::kInternal: return "failed";
    case Code::kUsage: return "usage";
    case Code::kThreshold: return "threshold";
    case Code::kInvalidArgument: return "malformed";
    case Code::kUnsupported: return "unsupported";
    case Code::kNotAccessible: return "file";
    case Code::kLimit: return "limit";
  }
  return "failed";
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// The errors of the import, or the message's own lines.
std::vector<Diagnostic> problems_of(const Status& status) {
  std::vector<Diagnostic> problems;
  const flows::FailedImport* failed_import = flows::last_failed_import();
  if (failed_import != nullptr) {
    for (const Diagnostic& d : failed_import->diagnostics.items()) {
      if (d.severity == Severity::kError) problems.push_back(d);
    }
  }
  if (!problems.empty()) return problems;
  const std::string& text = status.message();
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    problems.push_back({Severity::kError, status.code(), {}, {}, text.substr(at, end - at)});
    at = end + 1;
  }
  return problems;
}

std::vector<std::vector<std::string>> problem_rows(const Status& status) {
  std::vector<std::vector<std::string>> rows;
  for (const Diagnostic& d : problems_of(status)) rows.push_back({d.node, d.op, d.message});
  return rows;
}

std::string as_html(const std::string& command, const Status& status) {
  return html_page(command + " failed",
                   "<h1>" + html_escape(command) + " failed</h1><p>exit code " +
                       std::to_string(exit_code(status)) + ": " +
                       html_escape(first_line(status.message())) + "</p><h2>Problems</h2>" +
                       html_table({"node", "operator", "problem"}, problem_rows(status)));
}

std::string as_markdown(const std::string& command, const Status& status) {
  std::string out = "# " + command + " failed\n\nExit code " + std::to_string(exit_code(status)) +
                    ": " + first_line(status.message()) +
                    "\n\n## Problems\n\n| node | operator | problem |\n|---|---|---|\n";
  for (const auto& row : problem_rows(status)) {
    for (const std::string& cell : row) out += "| " + cell + " ";
    out += "|\n";
  }
  return out;
}

std::string as_junit(const std::string& command, const Status& status) {
  std::vector<flows::JUnitCase> cases;
  for (const Diagnostic& d : problems_of(status)) {
    std::string name = d.node;
    if (!d.op.empty()) name += (name.empty() ? "" : " ") + ("(" + d.op + ")");
    cases.push_back({"failed", name.empty() ? command : name, d.message, {}, {}});
  }
  return flows::junit_xml(command, cases);
}

}  // namespace

std::string failure_json(const Status& status) {
  Json problems = Json::array();
  for (const Diagnostic& d : problems_of(status)) {
    problems.push_back(
        {{"node", d.node}, {"op", d.op}, {"kind", kind_name(d.code)}, {"message", d.message}});
  }
  Json out;
  out["error"] = {{"exit_code", static_cast<int>(exit_code(status))},
                  {"kind", kind_name(status.code())},
                  {"message", first_line(status.message())},
                  {"problems", problems}};
  if (const flows::FailedImport* failed_import = flows::last_failed_import()) {
    out["model"] = failed_import->path;
    out["format"] = failed_import->format;
    out["facts"] = failed_import->facts;
    out["notes"] = Json::array();
    for (const Diagnostic& d : failed_import->diagnostics.items()) {
      if (d.severity == Severity::kError) continue;
      out["notes"].push_back((d.node.empty() ? "" : "node " + d.node + ": ") + d.message);
    }
  }
  return json_text(out);
}

Status write_failure_report(const std::string& path, const std::string& command,
                            const Status& status) {
  if (path.ends_with(".json")) return write_file(path, failure_json(status));
  if (path.ends_with(".html")) return write_file(path, as_html(command, status));
  if (path.ends_with(".md")) return write_file(path, as_markdown(command, status));
  if (path.ends_with(".xml")) return write_file(path, as_junit(command, status));
  return usage_error("--report " + path + ": expected a name ending in .json, .html, .md or .xml");
}

}  // namespace mnn::cli
