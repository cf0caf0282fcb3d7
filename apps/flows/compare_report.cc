#include "apps/flows/compare_report.h"

#include <algorithm>
#include <cmath>

#include "apps/flows/junit.h"
#include "apps/flows/run_facts.h"
#include "libruntime/core/io/file.h"
#include "libruntime/report/format.h"
#include "libruntime/report/html.h"
#include "libruntime/report/json_text.h"

namespace mnn::flows {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

const char* by_name(AlignedLayers::By by) {
  return by == AlignedLayers::By::kName   ? "name"
         : by == AlignedLayers::By::kHand ? "hand"
                                          : "structure";
}

std::string ops_of(const ComparedTensor& t) {
  return t.ref_op == t.test_op ? t.test_op : t.ref_op + " / " + t.test_op;
}

// Both names where something else says that they are one.
std::string name_of(const ComparedTensor& t) {
  return t.by != AlignedLayers::By::kName && t.ref_name != t.name ? t.name + " = " + t.ref_name
                                                                  : t.name;
}

std::string verdict(const ComparedTensor& t, const CompareGate& gate) {
  const std::string why = failure_of(t, naming_gate(gate));
  if (why.empty()) return t.moved_channels ? "ok, channels moved" : "ok";
  return gate.given() || !failure_of(t, gate).empty() ? why : "low: " + why;
}

std::vector<std::string> figures(const ComparedTensor& t) {
  if (!t.problem.empty()) return {"", "", "", "", ""};
  const ErrorMetrics& m = t.metrics;
  return {format_number(m.cosine, 6), snr_text(m), scientific(m.max_abs), scientific(m.max_ref),
          scientific(m.mse)};
}

std::string figures_line(const ComparedTensor& t) {
  if (!t.problem.empty()) return t.problem;
  const std::vector<std::string> f = figures(t);
  return "cosine " + f[0] + ", SNR " + f[1] + " dB, max abs " + f[2] + " of " + f[3] + ", MSE " +
         f[4] + ", " + t.type;
}

const std::vector<std::string> kLayerHead = {"layer",   "op",      "type", "cosine", "SNR dB",
                                             "max abs", "largest", "MSE",  ""};
constexpr size_t kSnrColumn = 4;

std::vector<std::string> row_of(const ComparedTensor& t, const CompareGate& gate) {
  std::vector<std::string> row = {name_of(t), ops_of(t), t.type};
  for (std::string& f : figures(t)) row.push_back(std::move(f));
  row.push_back(verdict(t, gate));
  return row;
}

Rows output_rows(const Comparison& c, const CompareGate& gate) {
  Rows rows;
  for (const ComparedTensor& t : c.outputs) {
    std::vector<std::string> row = row_of(t, gate);
    row.erase(row.begin() + 1);
    if (t.slice) row[0] = "  slice " + row[0];
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<std::string> output_head() {
  std::vector<std::string> head = kLayerHead;
  head.erase(head.begin() + 1);
  head[0] = "output";
  return head;
}

std::string alignment_line(const Comparison& c) {
  size_t fused = 0, by_structure = 0, by_hand = 0;
  for (const Unaligned& u : c.unaligned) fused += u.why.starts_with("fused");
  for (const ComparedTensor& t : c.layers) {
    by_structure += t.by == AlignedLayers::By::kStructure;
    by_hand += t.by == AlignedLayers::By::kHand;
  }
  return std::to_string(c.layers.size() - by_structure - by_hand) + " layers aligned by name, " +
         (by_hand > 0 ? std::to_string(by_hand) + " by hand, " : "") +
         (by_structure > 0 ? std::to_string(by_structure) + " by structure, " : "") +
         std::to_string(fused) + " fused into another, " +
         std::to_string(c.unaligned.size() - fused) + " without a counterpart";
}

std::string first_bad_line(const Comparison& c, const CompareGate& gate) {
  const ComparedTensor* bad = first_bad(c, gate);
  if (c.layers.empty()) return "no layer was compared";
  if (bad == nullptr) return "no bad layer";
  return "first bad layer: " + bad->name + " (" + ops_of(*bad) +
         "): " + failure_of(*bad, naming_gate(gate));
}

// Of outputs together; a run that failed has none.
std::string outputs_snr(double snr_db) {
  if (!std::isfinite(snr_db)) return "FAIL";
  return snr_db >= kExactSnrDb ? "exact" : format_number(snr_db, 2);
}

// Layers without a counterpart that the text lists.
constexpr size_t kMostBetween = 8;

std::string bisect_text(const Comparison& c, size_t width) {
  const Bisection& b = *c.bisection;
  std::string out = bisect_line(c) + "\n";
  Rows rows;
  if (b.layer) {
    rows.push_back({"the layer as TEST runs", snr_text(c.layers[*b.layer].metrics)});
    rows.push_back({"the layer on REF's values", snr_text(b.alone)});
  }
  rows.push_back({"outputs as TEST runs", outputs_snr(b.output_snr_db)});
  if (b.lost) {
    rows.push_back({b.layer ? "outputs, all layers before it REF's" : "outputs, all layers REF's",
                    outputs_snr(b.before_snr_db)});
  }
  if (b.layer) {
    rows.push_back({"outputs, it REF's as well", outputs_snr(b.up_to_snr_db)});
    rows.push_back({"outputs, it alone REF's", outputs_snr(b.repaired_snr_db)});
  }
  rows.insert(rows.begin(), {"", "SNR dB"});
  out += format_table(rows, {.right = {1}, .head = true, .width = width});
  if (!b.between.empty()) {
    const size_t listed = std::min(b.between.size(), kMostBetween);
    out += std::string("between REF's values and ") + (b.layer ? "it" : "the outputs") + ": ";
    for (size_t i = 0; i < listed; ++i)
      out += (i > 0 ? ", " : "") + shorten_middle(b.between[i], kNameColumns);
    if (listed < b.between.size())
      out += " and " + std::to_string(b.between.size() - listed) + " more";
    out += "\n";
  }
  return out;
}

Json finite_json(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json bisect_json(const Comparison& c) {
  const Bisection& b = *c.bisection;
  Json out = {{"lost", b.lost}, {"outputs_snr_db", finite_json(b.output_snr_db)}};
  const ComparedTensor* t = b.layer ? &c.layers[*b.layer] : nullptr;
  out["layer"] = t ? Json(t->name) : Json();
  out["ref_layer"] = t ? Json(t->ref_name) : Json();
  out["test_op"] = t ? Json(t->test_op) : Json();
  out["ref_op"] = t ? Json(t->ref_op) : Json();
  out["layer_snr_db"] = t ? finite_json(t->metrics.snr_db) : Json();
  out["layer_alone_snr_db"] = t ? finite_json(b.alone.snr_db) : Json();
  out["before_snr_db"] = b.lost ? finite_json(b.before_snr_db) : Json();
  out["up_to_snr_db"] = t ? finite_json(b.up_to_snr_db) : Json();
  out["repaired_snr_db"] = t ? finite_json(b.repaired_snr_db) : Json();
  out["between"] = b.between;
  out["layers"] = b.layers;
  out["runs"] = b.runs;
  return out;
}

Json tensor_json(const ComparedTensor& t, const CompareGate& gate) {
  Json out = {{"name", t.name}};
  if (!t.test_op.empty()) {
    out["ref_name"] = t.ref_name;
    out["ref_op"] = t.ref_op;
    out["test_op"] = t.test_op;
  }
  out["type"] = t.type;
  out["cosine"] = t.metrics.cosine;
  out["snr_db"] = t.metrics.snr_db;
  out["max_abs"] = t.metrics.max_abs;
  out["max_rel"] = t.metrics.max_rel;
  out["max_ref"] = t.metrics.max_ref;
  out["mse"] = t.metrics.mse;
  out["elements"] = t.metrics.count;
  if (!t.test_op.empty()) out["aligned_by"] = by_name(t.by);
  if (t.test_op.empty()) out["slice"] = t.slice;
  out["channels_moved"] = t.moved_channels;
  const std::string why = failure_of(t, gate);
  out["passed"] = why.empty();
  out["low"] = !failure_of(t, naming_gate(gate)).empty();
  out["problem"] = why;
  return out;
}

// One sentence for both the thresholds and the first bad layer.
std::string verdict_line(const Comparison& c, const CompareGate& gate) {
  const Status judged = judge_comparison(c, gate);
  if (!judged.ok()) return "failed: " + judged.message();
  if (gate.given()) return "passed";
  return first_bad(c, gate) == nullptr ? first_bad_line(c, gate)
                                       : first_bad_line(c, gate) + " (no threshold was given)";
}

// Sortable, with the SNR as a coloured bar.
std::string layer_table(const Comparison& c, const CompareGate& gate) {
  std::string out =
      "<p>Green is 50 dB and more, red 10 dB and less. Click a heading to sort.</p>"
      "<table id=\"layers\"><tr>";
  for (const std::string& head : kLayerHead) out += "<th>" + html_escape(head) + "</th>";
  out += "</tr>";
  for (const ComparedTensor& t : c.layers) {
    const std::vector<std::string> row = row_of(t, gate);
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      const bool bar = i == kSnrColumn && t.problem.empty();
      out += (bar ? "<td data-v=\"" + format_number(t.metrics.snr_db, 3) + "\">" : "<td>") +
             (bar ? snr_bar(t.metrics) : html_escape(row[i])) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</table>";
}

std::string as_html(const Comparison& c, const CompareGate& gate, const CompareTitle& title,
                    size_t worst_samples, const std::function<std::string(size_t)>& picture) {
  Rows facts = {{"REF", title.ref},
                {"TEST", title.test},
                {"inputs", title.inputs + ", samples: " + std::to_string(c.samples)},
                {"layers", alignment_line(c)},
                {"verdict", verdict_line(c, gate)}};
  if (gate.min_cosine) facts.push_back({"min cosine", format_number(*gate.min_cosine, 6)});
  if (gate.min_snr) facts.push_back({"min SNR", format_number(*gate.min_snr, 2) + " dB"});
  if (gate.min_metric) facts.push_back({"min metric", format_number(*gate.min_metric, 4)});
  if (gate.min_eval) facts.push_back({"min eval", format_number(*gate.min_eval, 4)});
  if (c.bisection) facts.push_back({"bisect", bisect_line(c).substr(bisect_line(c).find(' ') + 1)});
  facts.push_back({"made by", run_facts().tool});
  if (!run_facts().command.empty()) facts.push_back({"command", run_facts().command});
  for (const TaskFigure& f : task_figures(c, gate)) facts.push_back({f.name, f.text()});
  for (const std::string& note : c.notes) facts.push_back({"note", note});
  std::string body = "<h1>Comparison</h1>" + html_table({}, facts) + "<h2>Outputs</h2>" +
                     html_table(output_head(), output_rows(c, gate)) +
                     samples_html(c.sample_errors, worst_samples, picture) +
                     "<h2>Layers, in order of execution</h2>";
  body += layer_table(c, gate);
  if (!c.unaligned.empty()) {
    Rows rows;
    for (const Unaligned& u : c.unaligned) rows.push_back({u.side, u.name, u.op, u.why});
    body += "<h2>Not aligned</h2>" + html_table({"in", "layer", "op", "why"}, rows);
  }
  return html_page("Comparison", body + sort_script("layers"));
}

std::string as_junit(const Comparison& c, const CompareGate& gate, const CompareTitle& title) {
  std::vector<JUnitCase> cases;
  const auto add = [&](const std::string& group, const ComparedTensor& t) {
    const std::string why = failure_of(t, gate);
    const std::string line = figures_line(t);
    std::string failure = why;
    if (!why.empty() && why != line) failure += " (" + line + ")";
    cases.push_back({group, t.name, failure, {}, line});
  };
  for (const ComparedTensor& t : c.outputs) add("outputs", t);
  for (const TaskFigure& f : task_figures(c, gate))
    cases.push_back({"metrics", f.name, f.failure(), {}, f.text()});
  for (const ComparedTensor& t : c.layers) add("layers", t);
  for (const Unaligned& u : c.unaligned) {
    cases.push_back({"unaligned." + u.side, u.name, {}, u.why, {}});
  }
  return junit_xml("mnn compare " + title.test.substr(title.test.rfind('/') + 1), cases);
}

}  // namespace

std::string bisect_line(const Comparison& c) {
  const Bisection& b = *c.bisection;
  if (!b.lost) return "bisect: nothing is lost at the outputs";
  if (!b.layer) return "bisect: the loss comes in behind the last layer of both models";
  const ComparedTensor& t = c.layers[*b.layer];
  return "bisect: first layer that explains the loss: " + t.name +
         (t.ref_name == t.name ? "" : " = " + t.ref_name) + " (" + ops_of(t) + ")";
}

std::string compare_text(const Comparison& c, const CompareGate& gate, const CompareTitle& title,
                         size_t max_layers, size_t worst_samples, size_t width) {
  std::string out = title.ref + " (REF) and " + title.test + " (TEST) on " + title.inputs +
                    ", samples: " + std::to_string(c.samples) + "\n\n";
  Rows outputs = output_rows(c, gate);
  outputs.insert(outputs.begin(), output_head());
  out += format_table(outputs, {.right = {2, 3, 4, 5, 6}, .head = true, .width = width});
  const std::string samples = samples_text(c.sample_errors, worst_samples, width);
  if (!samples.empty()) out += "\n" + samples;
  for (const TaskFigure& f : task_figures(c, gate)) out += f.name + ": " + f.text() + "\n";
  if (!c.layers.empty()) {
    const ComparedTensor* bad = first_bad(c, gate);
    // A window that holds the first bad layer.
    size_t begin = 0;
    if (bad != nullptr) {
      const auto at = static_cast<size_t>(bad - c.layers.data());
      if (at >= max_layers) begin = at - max_layers / 2;
    }
    const size_t end = std::min(c.layers.size(), begin + max_layers);
    Rows rows = {kLayerHead};
    for (size_t i = begin; i < end; ++i) rows.push_back(row_of(c.layers[i], gate));
    if (begin < end)
      out += "\n" + format_table(rows, {.right = {3, 4, 5, 6, 7}, .head = true, .width = width});
    if (end - begin < c.layers.size()) {
      out += (begin == end
                  ? "no layers shown of "
                  : "layers " + std::to_string(begin + 1) + " to " + std::to_string(end) + " of ") +
             std::to_string(c.layers.size()) + " (--max-layers, --report or --json for more)\n";
    }
    out += "\n" + alignment_line(c) + "\n";
  }
  size_t listed = 0;
  for (const Unaligned& u : c.unaligned) {
    if (u.why.starts_with("fused") || ++listed > max_layers) continue;
    out += "  " + u.side + ": " + u.name + " (" + u.op + "): " + u.why + "\n";
  }
  if (listed > max_layers) out += "  and " + std::to_string(listed - max_layers) + " more\n";
  for (const std::string& note : c.notes) out += "note: " + note + "\n";
  if (!c.layers.empty()) out += first_bad_line(c, gate) + "\n";
  if (c.bisection) out += "\n" + bisect_text(c, width);
  return wrap_text(out, width);
}

std::string compare_json(const Comparison& c, const CompareGate& gate, const CompareTitle& title) {
  const Status judged = judge_comparison(c, gate);
  const ComparedTensor* bad = first_bad(c, gate);
  Json out;
  out["ref"] = title.ref;
  out["test"] = title.test;
  out["inputs"] = title.inputs;
  out["samples"] = c.samples;
  out["passed"] = judged.ok();
  out["problem"] = judged.message();
  out["first_bad_layer"] = bad == nullptr ? Json() : Json(bad->name);
  if (c.bisection) out["bisect"] = bisect_json(c);
  out["min_cosine"] = gate.min_cosine ? Json(*gate.min_cosine) : Json();
  out["min_snr"] = gate.min_snr ? Json(*gate.min_snr) : Json();
  out["outputs"] = Json::array();
  for (const ComparedTensor& t : c.outputs) out["outputs"].push_back(tensor_json(t, gate));
  const SampleErrors& each = c.sample_errors;
  out["mean_sample_snr_db"] = each.samples.empty() ? Json() : Json(each.mean_snr_db());
  out["worst_sample_snr_db"] = each.samples.empty() ? Json() : Json(each.worst_snr_db());
  out["sample_errors"] = samples_json(each);
  out["metrics"] = Json::array();
  for (const auto& [name, value] : c.metrics)
    out["metrics"].push_back({{"name", name}, {"value", value}});
  out["eval"] = c.eval ? Json(*c.eval) : Json();
  out["layers"] = Json::array();
  for (const ComparedTensor& t : c.layers) out["layers"].push_back(tensor_json(t, gate));
  out["unaligned"] = Json::array();
  for (const Unaligned& u : c.unaligned) {
    out["unaligned"].push_back({{"in", u.side}, {"name", u.name}, {"op", u.op}, {"why", u.why}});
  }
  out["notes"] = c.notes;
  out["missed"] = missed_of(c, gate);
  add_run_facts(out);
  return json_text(out);
}

Status check_compare_report_name(const std::string& path) {
  if (path.ends_with(".json") || path.ends_with(".html") || path.ends_with(".xml")) return {};
  return usage_error("--report " + path + ": expected a name ending in .json, .html or .xml");
}

Status write_compare_report(const std::string& path, const Comparison& c, const CompareGate& gate,
                            const CompareTitle& title, size_t worst_samples,
                            const std::function<std::string(size_t)>& picture) {
  MNN_RETURN_IF_ERROR(check_compare_report_name(path));
  if (path.ends_with(".json")) return write_file(path, compare_json(c, gate, title));
  if (path.ends_with(".xml")) return write_file(path, as_junit(c, gate, title));
  return write_file(path, as_html(c, gate, title, worst_samples, picture));
}

}  // namespace mnn::flows
