#include "apps/flows/reproduce.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/flows/check.h"
#include "apps/flows/recipe.h"
#include "apps/flows/run_facts.h"
#include "libruntime/core/io/file.h"
#include "libruntime/core/text.h"

namespace mnn::flows {
namespace {

using nlohmann::json;

constexpr size_t kMostDifferences = 5;

std::string text_at(const json& object, const char* key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string();
}

std::string short_digest(const std::string& digest) {
  return digest.empty() ? "none" : digest.substr(0, 16) + "…";
}

Status check_digest(const std::string& what, const std::string& want, const std::string& have) {
  if (want == have) return {};
  return usage_error(what + " other than the file's: expected SHA-256 " + short_digest(want) +
                     ", found " + short_digest(have));
}

// The samples as the file's recipe reads them.
Result<std::string> digest_of(const std::string& path, const LoadedModel& loaded,
                              const ImageOptions& images) {
  MNN_ASSIGN_OR_RETURN(const Samples samples,
                       open_samples(path, loaded.model.graph, loaded.source_inputs, images));
  MNN_ASSIGN_OR_RETURN(const std::string described, describe_data(samples, loaded.model.graph));
  return text_at(json::parse(described), "sha256");
}

// What differs between two models that should be the same, in words.
std::vector<std::string> differences(const Model& file, const Model& made) {
  std::vector<std::string> found;
  const json a = json::parse(file.metadata_json, nullptr, false),
             b = json::parse(made.metadata_json, nullptr, false);
  if (a.is_object() && b.is_object()) {
    json all = a;
    all.update(b);
    for (const auto& [key, value] : all.items()) {
      if (a.value(key, json()) != b.value(key, json())) found.push_back("metadata: " + key);
    }
  }
  const Graph &x = file.graph, &y = made.graph;
  if (x.nodes.size() != y.nodes.size() || x.values.size() != y.values.size()) {
    found.push_back("graph: " + std::to_string(x.nodes.size()) + " nodes, made again " +
                    std::to_string(y.nodes.size()));
    return found;
  }
  size_t constants = 0, grids = 0;
  std::string first;
  for (size_t v = 0; v < x.values.size(); ++v) {
    const Value &p = x.values[v], &q = y.values[v];
    const bool data = p.data.bytes() != q.data.bytes() ||
                      (p.data.bytes() > 0 &&
                       !std::equal(p.data.raw(), p.data.raw() + p.data.bytes(), q.data.raw()));
    const bool quant =
        p.quant.has_value() != q.quant.has_value() || (p.quant && *p.quant != *q.quant);
    constants += data ? 1 : 0;
    grids += quant ? 1 : 0;
    if ((data || quant) && first.empty()) first = p.name;
  }
  const std::string at = first.empty() ? "" : " (the first: " + first + ")";
  if (constants > 0) found.push_back(std::to_string(constants) + " constants" + at);
  if (grids > 0)
    found.push_back("scales or zero points of " + std::to_string(grids) + " values" + at);
  if (constants + grids == 0 && print_graph(x) != print_graph(y))
    found.push_back("graph: nodes or attributes");
  if (found.empty()) found.push_back("how the file is laid out");
  return found;
}

}  // namespace

Result<ReproduceOutcome> run_reproduce_flow(const ReproduceFlow& flow, const Events& events) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(flow.file));
  if (!is_model_file(file.bytes)) return usage_error(flow.file + ": expected a quantized .mnn");
  MNN_ASSIGN_OR_RETURN(const Model model, read_model(flow.file));
  const json meta = json::parse(model.metadata_json, nullptr, false);
  const bool recorded = meta.is_object() && meta.contains("recipe");
  if (!recorded) {
    return unsupported(
        flow.file + ": its metadata have no recipe: it was not made by mnn quant of this version");
  }
  QuantFlow quant;
  if (Status taken = take_recipe(meta["recipe"], quant); !taken.ok())
    return taken.context(flow.file);
  ReproduceOutcome done;
  done.made_by = text_at(meta, "tool");
  if (done.made_by != run_facts().tool) {
    done.notes.push_back("the file was made by " + done.made_by + ", this is " + run_facts().tool +
                         ": other bytes are no surprise");
  }
  if (quant.thresholds.max_latency)
    done.notes.push_back("the recipe measures times, which no two runs agree in");
  quant.model = flow.model;
  quant.calibration = flow.calibration;
  quant.holdout = flow.holdout;
  quant.import_scheme = flow.import_scheme;
  quant.stats = flow.stats;
  quant.eval = flow.eval;
  quant.threads = flow.threads;
  if (meta["recipe"].value("eval", json()) == true && flow.eval.command.empty())
    return usage_error("the recipe goes by --eval: give the command");
  // Before the long part: whether this is what the file was made from.
  LoadOptions load;
  load.shapes = quant.shapes;
  load.import_keys = quant.import_keys;
  MNN_ASSIGN_OR_RETURN(const LoadedModel loaded, load_any(flow.model, load));
  const json source = meta.value("source", json::object());
  MNN_RETURN_IF_ERROR(check_digest(flow.model + ": a model",
                                   source.is_object() ? text_at(source, "sha256") : "",
                                   loaded.source_sha256));
  const auto check_samples = [&](const std::string& what, const std::string& want,
                                 const std::string& path) -> Status {
    if (want.empty() && path.empty()) return {};
    std::string have;
    if (!path.empty()) {
      MNN_ASSIGN_OR_RETURN(have, digest_of(path, loaded, quant.images));
    }
    return check_digest(what + (path.empty() ? ": samples" : " " + path + ": samples"), want, have);
  };
  if (flow.import_scheme.empty()) {
    MNN_RETURN_IF_ERROR(
        check_samples("--calibration", text_at(meta, "calibration_sha256"), flow.calibration));
    MNN_RETURN_IF_ERROR(
        check_samples("--holdout", text_at(meta["recipe"], "holdout_sha256"), flow.holdout));
  }
  MNN_ASSIGN_OR_RETURN(const QuantOutcome made, run_quant_flow(quant, events));
  done.bytes = static_cast<int64_t>(file.bytes.size());
  done.made_bytes = static_cast<int64_t>(made.file.size());
  done.same = std::ranges::equal(file.bytes, made.file);
  if (!done.same) {
    MNN_ASSIGN_OR_RETURN(const Model again, parse_model(made.file, nullptr));
    done.differences = differences(model, again);
    if (done.differences.size() > kMostDifferences) done.differences.resize(kMostDifferences);
    std::string text;
    for (const std::string& d : done.differences) text += (text.empty() ? "" : "; ") + d;
    done.verdict = Status(Code::kThreshold, flow.file + ": made again it is another file: " + text);
  }
  if (!flow.output.empty()) {
    done.path = done.same ? flow.output : rejected_path(flow.output);
    MNN_ASSIGN_OR_RETURN(AtomicFile out, AtomicFile::create(done.path));
    MNN_RETURN_IF_ERROR(out.append(made.file));
    MNN_RETURN_IF_ERROR(out.commit());
  }
  return done;
}

}  // namespace mnn::flows
