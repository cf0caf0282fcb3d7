#include "apps/flows/diff_report.h"

#include "apps/flows/run_facts.h"
#include "libruntime/report/format.h"
#include "libruntime/report/json_text.h"

namespace mnn::flows {
namespace {

using Json = nlohmann::ordered_json;

// max|b-a| / max|a|, the figure a reviewer reads first.
std::string figures(const ConstantChange& c) {
  if (!c.metrics) return "";
  const ErrorMetrics& m = *c.metrics;
  if (m.count == 0) return "";
  if (!m.failed && m.max_abs == 0) return "same values";
  return "max abs " + scientific(m.max_abs) + ", relative " + scientific(m.max_rel) + ", cosine " +
         format_number(m.cosine, 6);
}

std::string arrow(const std::string& before, const std::string& after) {
  return (before.empty() ? "none" : before) + " -> " + (after.empty() ? "none" : after);
}

// A heading and its rows, or nothing.
class Section {
 public:
  Section(std::string& out, const std::string& title, size_t count, size_t max_rows)
      : out_(out), left_(max_rows), hidden_(count > max_rows ? count - max_rows : 0) {
    if (count > 0) out_ += "\n" + title + " (" + std::to_string(count) + ")\n";
  }
  ~Section() {
    if (hidden_ > 0) {
      out_ += "  and " + std::to_string(hidden_) + " more (--max-rows or --json for all)\n";
    }
  }
  // False when the row is one too many.
  bool row(const std::string& text) {
    if (left_ == 0) return false;
    --left_;
    out_ += text + "\n";
    return true;
  }

 private:
  std::string& out_;
  size_t left_, hidden_;
};

}  // namespace

std::string diff_text(const GraphDiff& d, const std::string& a, const std::string& b,
                      size_t max_rows) {
  std::string out = a + " (A, " + std::to_string(d.nodes_a) + " nodes) and " + b + " (B, " +
                    std::to_string(d.nodes_b) + " nodes)\n";
  {
    Section s(out, "inputs and outputs", d.border.size(), max_rows);
    for (const BorderChange& c : d.border) {
      if (!s.row("~ " + c.side + " " + c.name + ": " + arrow(c.before, c.after))) break;
    }
  }
  {
    Section s(out, "nodes removed", d.removed.size(), max_rows);
    for (const NodeRef& n : d.removed) {
      if (!s.row("- " + n.name + " (" + n.op + ")")) break;
    }
  }
  {
    Section s(out, "nodes added", d.added.size(), max_rows);
    for (const NodeRef& n : d.added) {
      if (!s.row("+ " + n.name + " (" + n.op + ")")) break;
    }
  }
  {
    Section s(out, "nodes renamed", d.renamed.size(), max_rows);
    for (const NodeRename& n : d.renamed) {
      if (!s.row("~ " + n.before + " -> " + n.after + " (" + n.op + ")")) break;
    }
  }
  {
    Section s(out, "nodes changed", d.changed.size(), max_rows);
    for (const NodeChange& n : d.changed) {
      std::string text = "~ " + n.name + " (" + n.op + ")";
      for (const FieldChange& f : n.changes) {
        text += "\n    " + f.field + ": " + arrow(f.before, f.after);
      }
      if (!s.row(text)) break;
    }
  }
  {
    Section s(out, "constants changed", d.constant_changes.size(), max_rows);
    for (const ConstantChange& c : d.constant_changes) {
      std::string text = "~ " + c.name + " (of " + c.reader +
                         "): " + (c.before == c.after ? c.before : arrow(c.before, c.after));
      const std::string f = figures(c);
      if (!f.empty()) text += ": " + f;
      if (!s.row(text)) break;
    }
  }
  return out + "\n" + d.summary() + "\n";
}

std::string diff_json(const GraphDiff& d, const std::string& a, const std::string& b) {
  Json out;
  out["a"] = a;
  out["b"] = b;
  out["same"] = d.same();
  out["summary"] = {{"nodes_a", d.nodes_a},
                    {"nodes_b", d.nodes_b},
                    {"added", d.added.size()},
                    {"removed", d.removed.size()},
                    {"renamed", d.renamed.size()},
                    {"changed", d.changed.size()},
                    {"shape_changes", d.shape_changes},
                    {"constants_compared", d.constants},
                    {"constants_changed", d.constant_changes.size()},
                    {"border_changes", d.border.size()}};
  const auto nodes = [](const std::vector<NodeRef>& list) {
    Json rows = Json::array();
    for (const NodeRef& n : list) rows.push_back({{"name", n.name}, {"op", n.op}});
    return rows;
  };
  out["border"] = Json::array();
  for (const BorderChange& c : d.border) {
    out["border"].push_back(
        {{"side", c.side}, {"name", c.name}, {"before", c.before}, {"after", c.after}});
  }
  out["added"] = nodes(d.added);
  out["removed"] = nodes(d.removed);
  out["renamed"] = Json::array();
  for (const NodeRename& n : d.renamed) {
    out["renamed"].push_back({{"before", n.before}, {"after", n.after}, {"op", n.op}});
  }
  out["changed"] = Json::array();
  for (const NodeChange& n : d.changed) {
    Json fields = Json::array();
    for (const FieldChange& f : n.changes) {
      fields.push_back({{"field", f.field}, {"before", f.before}, {"after", f.after}});
    }
    out["changed"].push_back({{"name", n.name}, {"op", n.op}, {"changes", fields}});
  }
  out["constants"] = Json::array();
  for (const ConstantChange& c : d.constant_changes) {
    Json row = {{"name", c.name}, {"reader", c.reader}, {"before", c.before}, {"after", c.after}};
    if (c.metrics) {
      row["max_abs"] = c.metrics->max_abs;
      row["relative"] = c.metrics->max_rel;
      row["cosine"] = c.metrics->cosine;
      row["snr_db"] = c.metrics->snr_db;
    }
    out["constants"].push_back(row);
  }
  add_run_facts(out);
  return json_text(out);
}

}  // namespace mnn::flows
