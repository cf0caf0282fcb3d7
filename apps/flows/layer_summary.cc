#include "apps/flows/layer_summary.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/flows/layers.h"
#include "apps/flows/model_io.h"
#include "libruntime/compile/backend.h"
#include "libruntime/core/io/file.h"

namespace mnn::flows {
namespace {

using nlohmann::json;

Result<json> read_json(const std::string& path, const std::string& what) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  const auto* text = reinterpret_cast<const char*>(file.bytes.data());
  json parsed = json::parse(text, text + file.bytes.size(), nullptr, false);
  if (parsed.is_discarded()) return invalid(path + ": is not JSON; expected " + what);
  return parsed;
}

// Fields of any type; one of another type counts as missing.
std::string text_of(const json& row, const char* key) {
  const auto it = row.find(key);
  return it != row.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::optional<double> number_of(const json& row, const char* key) {
  const auto it = row.find(key);
  if (it == row.end() || !it->is_number()) return std::nullopt;
  return it->get<double>();
}

// Counts in JSON may be anything; as an int64_t they are at most 2^62.
int64_t count_of(const json& row, const char* key) {
  constexpr double kMost = 4.6e18;
  return static_cast<int64_t>(std::clamp(number_of(row, key).value_or(0), 0.0, kMost));
}

std::vector<std::string> texts_of(const json& row, const char* key) {
  std::vector<std::string> all;
  const auto it = row.find(key);
  if (it == row.end() || !it->is_array()) return all;
  for (const json& text : *it) {
    if (text.is_string()) all.push_back(text.get<std::string>());
  }
  return all;
}

class Summarizer {
 public:
  explicit Summarizer(const SummaryFiles& files) { out_.files = files; }

  Result<LayerSummary> run() {
    if (!out_.files.model.empty()) MNN_RETURN_IF_ERROR(add_model());
    if (!out_.files.quant.empty()) MNN_RETURN_IF_ERROR(add_quant());
    if (!out_.files.bench.empty()) MNN_RETURN_IF_ERROR(add_bench());
    for (const SummaryRow& row : out_.rows) {
      out_.ms += row.ms.value_or(0);
      out_.bytes += row.bytes;
      out_.macs += static_cast<double>(row.macs.value_or(0));
    }
    std::stable_sort(out_.rows.begin(), out_.rows.end(),
                     [](const SummaryRow& a, const SummaryRow& b) {
                       if (a.ms.value_or(0) != b.ms.value_or(0))
                         return a.ms.value_or(0) > b.ms.value_or(0);
                       constexpr double kNone = std::numeric_limits<double>::infinity();
                       return a.contribution_db.value_or(kNone) < b.contribution_db.value_or(kNone);
                     });
    return std::move(out_);
  }

 private:
  SummaryRow& row_of(const std::string& name, const std::string& op) {
    const auto [it, added] = at_.emplace(name, out_.rows.size());
    if (added) {
      out_.rows.emplace_back();
      out_.rows.back().name = name;
    }
    SummaryRow& row = out_.rows[it->second];
    if (row.op.empty()) row.op = op;
    return row;
  }

  Status add_model() {
    MNN_ASSIGN_OR_RETURN(const LoadedModel loaded, load_any(out_.files.model));
    const Graph& graph = loaded.model.graph;
    std::set<const std::byte*> seen;
    for (const Node& node : graph.nodes) {
      SummaryRow& row = row_of(display_name(graph, node), op_label(node));
      row.origin = node.origin;
      const int64_t macs = count_macs(graph, node);
      if (macs > 0) row.macs = row.macs.value_or(0) + macs;
      for (const ValueId v : node.inputs) {
        if (v == kNoValue || graph.value(v).kind != ValueKind::kConstant) continue;
        const Tensor& data = graph.value(v).data;
        if (data.bytes() > 0 && seen.insert(data.raw()).second) row.bytes += data.bytes();
      }
    }
    sized_ = true;
    return {};
  }

  Status add_quant() {
    const std::string& path = out_.files.quant;
    const std::string what = "a report of mnn quant (--report R.json)";
    MNN_ASSIGN_OR_RETURN(const json report, read_json(path, what));
    if (!report.is_object() || !report.contains("layers") || !report["layers"].is_array() ||
        !report.contains("float_constants") || !report["float_constants"].is_array()) {
      return invalid(path + ": expected " + what);
    }
    for (const json& layer : report["layers"]) {
      const std::string name = layer.is_object() ? text_of(layer, "name") : "";
      if (name.empty()) return invalid(path + ": a layer without a name; expected " + what);
      SummaryRow& row = row_of(name, text_of(layer, "op"));
      if (row.origin.empty()) row.origin = texts_of(layer, "origin");
      const auto contribution = layer.find("contribution");
      if (contribution != layer.end() && contribution->is_object())
        row.contribution_db = number_of(*contribution, "snr_db");
      if (!row.macs && number_of(layer, "macs")) row.macs = count_of(layer, "macs");
      if (!sized_) row.bytes += count_of(layer, "weight_bytes_after");
      row.suggestion = text_of(layer, "suggestion");
    }
    for (const json& constant : report["float_constants"]) {
      if (sized_ || !constant.is_object() || text_of(constant, "layer").empty()) continue;
      row_of(text_of(constant, "layer"), text_of(constant, "op")).bytes +=
          count_of(constant, "bytes");
    }
    return {};
  }

  Status add_bench() {
    const std::string& path = out_.files.bench;
    const std::string what = "what mnn bench --profile P.json writes, or its --json with --profile";
    MNN_ASSIGN_OR_RETURN(const json file, read_json(path, what));
    std::vector<const json*> models;
    if (file.is_object() && file.contains("models") && file["models"].is_array()) {
      for (const json& m : file["models"]) models.push_back(&m);
    } else if (file.is_array()) {
      for (const json& m : file) models.push_back(&m);
    } else {
      models.push_back(&file);
    }
    std::erase_if(models, [](const json* m) {
      return !m->is_object() || !m->contains("layers") || !(*m)["layers"].is_array();
    });
    if (models.empty()) return invalid(path + ": has no times of layers; expected " + what);
    const json* chosen = models.back();
    for (const json* m : models) {
      if (!out_.files.model.empty() &&
          file_name(text_of(*m, "model")) == file_name(out_.files.model))
        chosen = m;
    }
    out_.timed = text_of(*chosen, "model");
    std::map<std::string, int64_t> most;  // MACs of the step whose form is told
    for (const json& step : (*chosen)["layers"]) {
      if (!step.is_object() || !step.contains("name"))
        return invalid(path + ": a step without a name; expected " + what);
      std::string name = text_of(step, "name");
      if (name.empty()) name = "(" + text_of(step, "kernel") + ")";
      SummaryRow& row = row_of(name, text_of(step, "op"));
      row.ms = row.ms.value_or(0) + std::max(0.0, number_of(step, "ms").value_or(0));
      if (row.origin.empty()) row.origin = texts_of(step, "origin");
      const int64_t macs = count_of(step, "macs");
      if (macs <= most[name]) continue;
      most[name] = macs;
      row.form = text_of(step, "form");
      if (!row.macs) row.macs = macs;
    }
    return {};
  }

  LayerSummary out_;
  std::map<std::string, size_t> at_;
  bool sized_ = false;  // bytes are the model's
};

double share(double part, double all) { return all > 0 ? part / all : 0; }

}  // namespace

double LayerSummary::time_share(const SummaryRow& row) const {
  return share(row.ms.value_or(0), ms);
}
double LayerSummary::byte_share(const SummaryRow& row) const {
  return share(static_cast<double>(row.bytes), static_cast<double>(bytes));
}
double LayerSummary::mac_share(const SummaryRow& row) const {
  return share(static_cast<double>(row.macs.value_or(0)), macs);
}

bool is_slow(const LayerSummary& summary, const SummaryRow& row) {
  return row.ms && summary.time_share(row) >= kSlowShare;
}
bool is_sensitive(const SummaryRow& row) {
  return row.contribution_db && *row.contribution_db < kSensitiveDb;
}

Result<LayerSummary> summarize_layers(const SummaryFiles& files) { return Summarizer(files).run(); }

}  // namespace mnn::flows
