#include "apps/flows/model_io.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/flows/file_roles.h"
#include "libruntime/core/bind_shapes.h"
#include "libruntime/core/io/file.h"
#include "libruntime/core/op.h"
#ifdef MNN_WITH_CONVERT
#include "libconvert/convert.h"
#endif

namespace mnn::flows {
namespace {

thread_local std::optional<FailedImport> failed_import;

using nlohmann::json;

Result<bool> has_mnn_magic(const std::string& path) {
#ifdef MNN_WITH_CONVERT
  std::error_code ec;  // some source models are folders
  if (std::filesystem::is_directory(path, ec)) return false;
#endif
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  constexpr size_t kHead = 64;
  return is_model_file(file.bytes.first(std::min(kHead, file.bytes.size())));
}

// Fills what the metadata of a .mnn tells; an odd object is not an error: the graph is what counts.
void read_metadata(LoadedModel& loaded) {
  const json meta = json::parse(loaded.model.metadata_json, nullptr, false);
  if (!meta.is_object()) return;
  const auto source = meta.find("source");
  if (source != meta.end() && source->is_object()) {
    loaded.source_format = source->value("format", "");
    loaded.source_sha256 = source->value("sha256", "");
  }
  const auto inputs = meta.find("source_inputs");
  if (inputs == meta.end() || !inputs->is_array()) return;
  for (const json& row : *inputs) {
    if (row.is_array() && row.size() == 2 && row[0].is_string() && row[1].is_number_integer()) {
      loaded.source_inputs.emplace_back(row[0].get<std::string>(), row[1].get<int>());
    }
  }
}

#ifdef MNN_WITH_CONVERT
Result<LoadedModel> import_source(const std::string& path, const LoadOptions& options) {
  LoadedModel loaded;
  loaded.path = path;
  ImportOptions import_options;
  import_options.shapes = options.shapes;
  import_options.keys = options.import_keys;
  ImportedModel failed;
  import_options.failed = &failed;
  Result<ImportedModel> read = import_model(path, import_options);
  if (!read.ok()) {
    failed_import = {path, failed.format, failed.facts, failed.diagnostics};
    return read.status();
  }
  ImportedModel imported = std::move(read).value();
  OptimizeOptions optimize_options;
  optimize_options.fuse = options.fuse;
  optimize_options.passes = options.passes;
  Result<OptimizeReport> report = optimize(imported.graph, optimize_options);
  if (!report.ok()) return report.status().context(path);
  loaded.model.graph = std::move(imported.graph);
  loaded.format = loaded.source_format = imported.format;
  loaded.facts = std::move(imported.facts);
  loaded.source_inputs = std::move(imported.source_inputs);
  loaded.counts = {report->nodes_before, report->nodes_unfused, report->nodes_after,
                   report->changes};
  for (const Diagnostic& d : imported.diagnostics.items()) {
    loaded.notes.push_back((d.node.empty() ? "" : "node " + d.node + ": ") + d.message);
    if (d.severity == Severity::kWarning && d.code == Code::kOk) {
      loaded.warnings.push_back(d.message);
    }
  }
  loaded.source_sha256 = source_sha256(imported.files);
  for (const SourceFile& file : imported.files) loaded.source_files.push_back(file.name);
  return loaded;
}
#endif

}  // namespace

const FailedImport* last_failed_import() { return failed_import ? &*failed_import : nullptr; }

Status bind_shapes(Graph& graph, const ShapeMap& shapes) {
  if (shapes.empty()) return {};
  MNN_RETURN_IF_ERROR(bind_named_inputs(graph, shapes, DeclaredDims::kHold).status());
  return infer_types(graph);
}

Result<LoadedModel> load_any(const std::string& path, const LoadOptions& options) {
  MNN_ASSIGN_OR_RETURN(const bool ours, has_mnn_magic(path));
  if (!ours) {
#ifdef MNN_WITH_CONVERT
    return import_source(path, options);
#else
    return unsupported(path + ": this build reads .mnn files only");
#endif
  }
  if (!options.import_keys.empty()) {
    return usage_error(path + ": is a .mnn; " + options.import_keys.begin()->first +
                       " is a key for models of other frameworks");
  }
  LoadedModel loaded;
  loaded.path = path;
  loaded.format = "mnn";
  MNN_ASSIGN_OR_RETURN(loaded.model, read_model(path));
  read_metadata(loaded);
  if (loaded.source_inputs.empty()) {
    for (size_t i = 0; i < loaded.model.graph.inputs.size(); ++i) {
      loaded.source_inputs.emplace_back(loaded.model.graph.value(loaded.model.graph.inputs[i]).name,
                                        static_cast<int>(i));
    }
  }
  const Status bound = bind_shapes(loaded.model.graph, options.shapes);
  if (!bound.ok()) return bound.context(path);
  return loaded;
}

Result<std::vector<std::vector<int64_t>>> concrete_input_dims(const Graph& graph) {
  std::vector<std::vector<int64_t>> all;
  Bindings bindings;
  for (const ValueId v : graph.inputs) {
    const Value& value = graph.value(v);
    if (value.type.kind != Type::Kind::kTensor) {
      return unsupported("input " + value.name + " is of type " + value.type.str() +
                         "; only tensors can be made up");
    }
    if (!value.type.shape) {
      return usage_error("input " + value.name + " has unknown rank: give --shape " + value.name +
                         "=…");
    }
    std::vector<int64_t> dims;
    for (size_t i = 0; i < value.type.rank(); ++i) {
      const Dim& dim = (*value.type.shape)[i];
      const Dim bound = dim.bind(bindings);
      if (bound.known()) {
        dims.push_back(bound.value());
      } else if (i == 0) {
        dims.push_back(1);
        if (const auto symbol = plain_symbol(dim)) bindings[*symbol] = 1;
      } else {
        return usage_error("input " + value.name + " has an unbound dim " + std::to_string(i) +
                           " (" + dim.str() + "): give --shape " + value.name +
                           "=… for its shape " + shape_str(*value.type.shape));
      }
    }
    all.push_back(std::move(dims));
  }
  return all;
}

std::string make_metadata(const LoadedModel& loaded,
                          const std::map<std::string, std::string>& options) {
  json meta;
  const json old = json::parse(loaded.model.metadata_json, nullptr, false);
  if (old.is_object()) meta = old;
  meta["tool"] = std::string("mnn-toolbox ") + MNN_VERSION;
  meta["source"] = {{"format", loaded.source_format}, {"sha256", loaded.source_sha256}};
  if (loaded.source_files.size() > 1) meta["source"]["files"] = loaded.source_files;
  for (const auto& [key, value] : loaded.facts) meta["source"][key] = value;
  json inputs = json::array();
  for (const auto& [name, index] : loaded.source_inputs) inputs.push_back({name, index});
  meta["source_inputs"] = inputs;
  for (const auto& [key, value] : options) meta["options"][key] = value;
  return meta.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::map<std::string, std::string> shape_options(const ShapeMap& shapes) {
  std::map<std::string, std::string> options;
  for (const auto& [name, dims] : shapes) {
    std::string text;
    for (const int64_t d : dims) {
      text += (text.empty() ? "" : ",") + (d < 0 ? "?" : std::to_string(d));
    }
    options["shape." + name] = text;
  }
  return options;
}

Result<std::vector<std::map<std::string, std::string>>> share_import_keys(
    const std::vector<std::string>& paths, const std::map<std::string, std::string>& keys) {
  std::vector<std::map<std::string, std::string>> shares(paths.size());
  if (keys.empty()) return shares;
  std::map<std::string, std::string> left = keys;
  std::string formats;
#ifdef MNN_WITH_CONVERT
  for (size_t i = 0; i < paths.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(const bool ours, has_mnn_magic(paths[i]));
    if (ours) continue;
    MNN_ASSIGN_OR_RETURN(const Frontend* frontend, detect_frontend(paths[i]));
    formats += (formats.empty() ? "" : ", ") + frontend->format;
    for (const ImportKey& key : frontend->keys) {
      const auto it = keys.find(key.name);
      if (it == keys.end()) continue;
      shares[i].insert(*it);
      left.erase(key.name);
    }
  }
#endif
  if (left.empty()) return shares;
  return usage_error("--import " + left.begin()->first + ": no model is read by a front end with " +
                     "that key" + (formats.empty() ? "" : " (there are " + formats + ")") +
                     "; mnn inspect --ops lists them");
}

Result<std::vector<LoadedModel>> load_each(const std::vector<std::string>& paths,
                                           const LoadOptions& options) {
  MNN_ASSIGN_OR_RETURN(const auto shares, share_import_keys(paths, options.import_keys));
  std::vector<LoadedModel> all;
  for (size_t i = 0; i < paths.size(); ++i) {
    LoadOptions own = options;
    own.import_keys = shares[i];
    MNN_ASSIGN_OR_RETURN(LoadedModel loaded, load_any(paths[i], own));
    all.push_back(std::move(loaded));
  }
  return all;
}

std::map<std::string, std::string> import_options(const std::map<std::string, std::string>& keys) {
  std::map<std::string, std::string> options;
  for (const auto& [key, value] : keys) options["import." + key] = value;
  return options;
}

Status check_target(const std::string& target) {
  if (target == "cpu") return {};
  return unsupported("--target " + target + ": this version knows the target cpu");
}

std::string rejected_path(const std::string& out) { return out + ".rejected"; }

std::string settle_earlier(const std::string& out, const Status& verdict) {
  std::error_code ec;
  if (!verdict.ok()) return std::filesystem::exists(out, ec) ? out : std::string();
  const std::string rejected = rejected_path(out);
  if (std::filesystem::is_regular_file(rejected, ec) && !file_roles().is_input(rejected)) {
    std::filesystem::remove(rejected, ec);
  }
  return {};
}

std::string file_name(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

int64_t count_parameters(const Graph& graph) {
  int64_t count = 0;
  for (const Value& v : graph.values) {
    if (v.kind == ValueKind::kConstant && is_float(v.type.dtype)) count += v.data.elements();
  }
  for (const Node& node : graph.nodes) {
    for (const Graph& g : node.subgraphs) count += count_parameters(g);
  }
  return count;
}

}  // namespace mnn::flows
