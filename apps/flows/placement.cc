#include "apps/flows/placement.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "libruntime/compile/backend.h"
#include "libruntime/report/format.h"
#include "libruntime/session.h"

namespace mnn::flows {
namespace {

// From this share of the time on the reference back end is worth a warning.
constexpr double kConsiderable = 0.1;

// Open dims of images and of everything else, as models may want them: enough for windows and
// strides, multiples of 32 first, no more than short position tables have.
struct Guess {
  int64_t image, other;
};
constexpr std::array<Guess, 7> kGuesses = {
    {{224, 64}, {320, 128}, {64, 64}, {256, 256}, {32, 32}, {48, 16}, {1, 1}}};

// Every node gets a number for its origin, by which its steps are known again.
void number_nodes(Graph& graph, std::vector<std::string>& ops) {
  for (Node& node : graph.nodes) {
    node.origin = {std::to_string(ops.size())};
    ops.push_back(node.op);
    for (Graph& g : node.subgraphs) number_nodes(g, ops);
  }
}

bool has_open_dims(const Graph& graph) {
  return std::ranges::any_of(graph.inputs, [&](ValueId v) {
    const Type& type = graph.value(v).type;
    return type.kind == Type::Kind::kTensor && !type.is_static();
  });
}

// Dims for every input; a symbol is the same number everywhere. Leading dims are batches of one.
std::vector<std::vector<int64_t>> guess_dims(const Graph& graph, const Guess& guess) {
  std::vector<std::vector<int64_t>> all;
  Bindings bindings;
  for (const ValueId v : graph.inputs) {
    const Type& type = graph.value(v).type;
    std::vector<int64_t> dims;
    for (size_t i = 0; type.shape && i < type.rank(); ++i) {
      const Dim& dim = (*type.shape)[i];
      const Dim bound = dim.bind(bindings);
      int64_t size = i == 0 ? 1 : type.rank() == 4 ? guess.image : guess.other;
      if (bound.known()) size = bound.value();
      std::vector<std::string> symbols;
      dim.collect_symbols(symbols);
      if (!bound.known() && symbols.size() == 1 && dim.str() == symbols[0])
        bindings[symbols[0]] = size;
      dims.push_back(size);
    }
    all.push_back(std::move(dims));
  }
  return all;
}

std::string dims_text(const Graph& graph, const std::vector<std::vector<int64_t>>& dims) {
  std::string text;
  for (size_t i = 0; i < dims.size(); ++i) {
    const Value& value = graph.value(graph.inputs[i]);
    if (value.type.is_static() || value.type.kind != Type::Kind::kTensor) continue;
    text += (text.empty() ? "" : " ") + value.name + "=";
    for (size_t d = 0; d < dims[i].size(); ++d) text += (d ? "," : "") + std::to_string(dims[i][d]);
  }
  return text;
}

std::string percent(double share) { return format_number(100 * share, share < 0.1 ? 1 : 0) + " %"; }

// Operators with steps on the reference, those that take longest first.
std::vector<std::pair<std::string, const OpPlacement*>> on_reference(const Placement& placement) {
  std::vector<std::pair<std::string, const OpPlacement*>> rows;
  for (const auto& [op, row] : placement.ops) {
    if (row.nodes.contains("reference")) rows.emplace_back(op, &row);
  }
  std::ranges::stable_sort(rows, [](const auto& a, const auto& b) {
    return a.second->reference_share > b.second->reference_share;
  });
  return rows;
}

}  // namespace

std::string OpPlacement::text() const {
  if (nodes.empty()) return "before the run: depends on shapes alone";
  std::string out;
  for (const auto& [backend, count] : nodes) {
    out += out.empty() ? "" : ", ";
    out += backend == "session"    ? "control flow"
           : backend == kUnplanned ? "known when its shapes are"
                                   : backend;
    if (nodes.size() > 1) out += " (" + std::to_string(count) + ")";
  }
  return why.empty() ? out : out + ": " + why;
}

Placement place(const Graph& graph) {
  Placement placement;
  Graph numbered = graph;
  std::vector<std::string> ops;
  number_nodes(numbered, ops);
  for (const std::string& op : ops) placement.ops[op];
  const bool open = has_open_dims(graph);
  std::vector<StepInfo> steps;
  for (const Guess& guess : kGuesses) {
    const auto dims = guess_dims(graph, guess);
    auto outline = Session::outline(numbered, dims, {});
    placement.planned = outline.ok();
    if (!placement.planned && open) continue;
    if (!placement.planned) return placement;
    steps = std::move(outline).value();
    if (open) placement.assumed = dims_text(graph, dims);
    break;
  }
  double all = 0;
  std::map<std::string, std::set<size_t>> counted;  // by back end: nodes
  for (const StepInfo& step : steps) {
    all += step.seconds;
    const bool reference = step.backend == "reference";
    if (reference) placement.reference_share += step.seconds;
    for (const std::string& origin : step.origin) {
      const size_t n = static_cast<size_t>(std::strtoull(origin.c_str(), nullptr, 10));
      if (origin != std::to_string(n) || n >= ops.size()) continue;
      OpPlacement& row = placement.ops[ops[n]];
      row.nodes[step.backend] += counted[step.backend].insert(n).second;
      row.macs += step.macs;
      if (!reference) continue;
      row.reference_share += step.seconds;
      if (row.why.empty()) row.why = step.why;
    }
  }
  if (all > 0) {
    placement.reference_share /= all;
    for (auto& [op, row] : placement.ops) row.reference_share /= all;
  }
  return placement;
}

std::string reference_text(const Placement& placement) {
  const auto rows = on_reference(placement);
  if (rows.empty()) return "nothing";
  std::string text = percent(placement.reference_share) + " of the estimated time";
  std::string sep = ": ";
  for (const auto& [op, row] : rows) {
    text += sep + op + " " + percent(row->reference_share);
    sep = ", ";
  }
  return text;
}

std::string reference_warning(const Placement& placement) {
  if (placement.reference_share < kConsiderable) return {};
  std::string text = "about " + percent(placement.reference_share) +
                     " of the time will go to the reference back end (plain loops)";
  if (!placement.assumed.empty()) text += ", estimated for " + placement.assumed;
  std::string sep = ": ";
  bool types = false;
  for (const auto& [op, row] : on_reference(placement)) {
    if (row->reference_share < kConsiderable / 10) continue;
    text += sep + op + " " + percent(row->reference_share);
    if (!row->why.empty()) text += " (" + row->why + ")";
    types |=
        row->why.find("f32") != std::string::npos || row->why.find("types") != std::string::npos;
    sep = ", ";
  }
  return text + "; " +
         (types ? "export the model in float32, or with other operators in their place"
                : "export the model with other operators in their place");
}

nlohmann::ordered_json reference_json(const Placement& placement) {
  nlohmann::ordered_json out = {{"time_share", placement.reference_share},
                                {"operators", nlohmann::ordered_json::array()}};
  if (!placement.assumed.empty()) out["assumed"] = placement.assumed;
  for (const auto& [op, row] : on_reference(placement)) {
    out["operators"].push_back({{"op", op},
                                {"nodes", row->nodes.at("reference")},
                                {"time_share", row->reference_share},
                                {"why", row->why}});
  }
  return out;
}

}  // namespace mnn::flows
