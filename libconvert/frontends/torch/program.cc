#include "libconvert/frontends/torch/program.h"

#include <algorithm>

namespace mnn::torch {
namespace {

constexpr std::string_view kOldGraph = "serialized_exported_program.json";
constexpr std::string_view kModels = "models/";

bool int_list(const Json* j, std::vector<int64_t>& out) {
  for (const Json& item : elements(j)) {
    int64_t n = 0;
    if (!int_of(member(&item, "as_int"), n)) return false;
    out.push_back(n);
  }
  return j != nullptr && j->is_array();
}

Result<StridedView> view_of(const Json* meta) {
  StridedView view;
  view.dtype = dtype_of_json(member(meta, "dtype"));
  if (view.dtype == DType::kUndefined) return unsupported("its element type is not supported");
  if (!int_list(member(meta, "sizes"), view.sizes) ||
      !int_list(member(meta, "strides"), view.strides) ||
      view.sizes.size() != view.strides.size()) {
    return invalid("its sizes or strides are no numbers");
  }
  const Json* offset = member(meta, "storage_offset");
  if (offset != nullptr && !int_of(member(offset, "as_int"), view.offset)) {
    return invalid("its offset is no number");
  }
  return view;
}

}  // namespace

bool is_program(const std::vector<std::string>& names) {
  return std::ranges::any_of(names, [](const std::string& n) {
    if (n == kOldGraph || n.ends_with("/" + std::string(kOldGraph))) return true;
    if (n.ends_with("/archive_format")) return true;
    const size_t at = n.find(kModels);
    return at != std::string::npos && (at == 0 || n[at - 1] == '/') && n.ends_with(".json");
  });
}

DType dtype_of_json(const Json* j) {
  int64_t n = 0;
  if (int_of(j, n)) {
    constexpr DType kTypes[] = {DType::kUndefined, DType::kU8,        DType::kI8,  DType::kI16,
                                DType::kI32,       DType::kI64,       DType::kF16, DType::kF32,
                                DType::kF64,       DType::kUndefined, DType::kC64, DType::kC128,
                                DType::kBool,      DType::kBF16};
    if (n >= 0 && n < static_cast<int64_t>(std::size(kTypes))) return kTypes[n];
    switch (n) {
      case 28: return DType::kU16;
      case 29: return DType::kF8E4M3FN;
      case 30: return DType::kF8E5M2;
      case 34: return DType::kU32;
      case 35: return DType::kU64;
      default: return DType::kUndefined;
    }
  }
  std::string name = text_of(j);
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  const size_t dot = name.rfind('.');
  return parse_torch_dtype(dot == std::string::npos ? name : name.substr(dot + 1))
      .value_or(DType::kUndefined);
}

Status Program::read_configured(const std::string& config, const std::string& folder) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, archive_.read(config));
  MNN_ASSIGN_OR_RETURN(const Json json, parse_json(file.bytes, config));
  const Json* entries = member(&json, "config");
  if (entries == nullptr || !entries->is_object()) return invalid(config + ": no weights in it");
  for (const auto& [name, entry] : entries->items()) {
    const std::string record = folder + text_of(member(&entry, "path_name"));
    const Json* pickled = member(&entry, "use_pickle");
    if (pickled != nullptr && pickled->is_boolean() && pickled->get<bool>()) {
      const Status read = read_pickled(record);
      if (!read.ok()) return read.context(name);
      continue;
    }
    const Json* meta = member(&entry, "tensor_meta");
    if (meta == nullptr || meta->is_null()) continue;  // no tensor: a script object
    Result<StridedView> view = view_of(meta);
    if (!view.ok()) return view.status().context("tensor " + name);
    stored_[name] = {record, std::move(*view)};
  }
  return {};
}

// A torch.save archive inside the archive: a dict of tensors, or one tensor under the record's
// name.
Status Program::read_pickled(const std::string& record) {
  MNN_ASSIGN_OR_RETURN(MappedFile file, archive_.read(record));
  if (file.bytes.empty()) return {};
  Result<Archive> inner = Archive::open(std::move(file));
  if (!inner.ok()) return inner.status().context(record);
  if (!inner->has("data.pkl")) return invalid(record + ": it was not written by torch.save");
  Result<Pickle> pickle = read_pickle(*inner, "data.pkl", "data/");
  if (!pickle.ok()) return pickle.status().context(record);
  const Pickled* root = pickle->root;
  if (root == nullptr || root->kind != Pickled::Kind::kDict) return {};
  for (size_t i = 0; i + 1 < root->items.size(); i += 2) {
    const Pickled *key = root->items[i], *value = root->items[i + 1];
    if (key->kind == Pickled::Kind::kString && value->kind == Pickled::Kind::kTensor) {
      unpickled_[key->text] = value->tensor;
    }
  }
  return {};
}

Result<Program> Program::open(MappedFile file, const std::string& model) {
  MNN_ASSIGN_OR_RETURN(Archive archive, Archive::open(std::move(file)));
  Program program(std::move(archive));
  Archive& a = program.archive_;
  std::string graph(kOldGraph), name;
  if (!a.has(graph)) {
    std::vector<std::string> models = a.list(kModels, ".json");
    if (models.empty()) {
      const bool compiled = !a.list("data/aotinductor/").empty();
      return unsupported(compiled ? "the archive holds compiled code (AOTInductor) and no graph"
                                  : "the archive holds no exported program");
    }
    const auto wanted = std::ranges::find(models, std::string(kModels) + model + ".json");
    if (!model.empty() && wanted == models.end()) {
      return usage_error("the archive holds no model named " + model);
    }
    const auto usual = std::ranges::find(models, std::string(kModels) + "model.json");
    graph = !model.empty() ? *wanted : usual != models.end() ? *usual : models[0];
    if (model.empty() && usual == models.end() && models.size() > 1) {
      std::string list;
      for (const std::string& m : models) {
        list +=
            (list.empty() ? "" : ", ") + m.substr(kModels.size(), m.size() - kModels.size() - 5);
      }
      return usage_error("the archive holds several models (" + list +
                         "); give one of them with --import model=NAME");
    }
    name = graph.substr(kModels.size(), graph.size() - kModels.size() - 5);
  }
  MNN_ASSIGN_OR_RETURN(const MappedFile text, a.read(graph));
  MNN_ASSIGN_OR_RETURN(program.json_, parse_json(text.bytes, graph));
  const Json* module = member(&program.json_, "graph_module");
  // Some writers put the program under a key of its own.
  if (module == nullptr)
    module = member(member(&program.json_, "exported_program"), "graph_module");
  if (module == nullptr || !module->is_object()) return invalid(graph + ": it has no graph_module");
  program.graph_module_ = *module;

  const auto pickled = [&](const std::string& record) {
    return a.has(record) ? program.read_pickled(record) : Status();
  };
  const auto configured = [&](const std::string& config, const std::string& folder) {
    return a.has(config) ? program.read_configured(config, folder) : Status();
  };
  if (name.empty()) {
    for (const char* record : {"serialized_state_dict.pt", "serialized_state_dict.json",
                               "serialized_constants.pt", "serialized_constants.json"}) {
      MNN_RETURN_IF_ERROR(pickled(record));
    }
    return program;
  }
  for (const std::string kind : {"weights", "constants"}) {
    const std::string folder = "data/" + kind + "/";
    MNN_RETURN_IF_ERROR(pickled(folder + name + ".pt"));
    MNN_RETURN_IF_ERROR(configured(folder + name + "_" + kind + "_config.json", folder));
  }
  return program;
}

Result<Tensor> Program::tensor(const std::string& name) {
  const auto done = unpickled_.find(name);
  if (done != unpickled_.end()) return done->second;
  const auto stored = stored_.find(name);
  if (stored == stored_.end()) return invalid("the archive holds no tensor named '" + name + "'");
  MNN_ASSIGN_OR_RETURN(const MappedFile storage, storages_.get(archive_, stored->second.record));
  Result<Tensor> tensor = tensor_from_storage(storage, stored->second.view);
  return tensor.ok() ? std::move(tensor) : tensor.status().context("tensor " + name);
}

}  // namespace mnn::torch
