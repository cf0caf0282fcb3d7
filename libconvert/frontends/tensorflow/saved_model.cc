#include "libconvert/frontends/tensorflow/saved_model.h"

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <new>

#include "libconvert/frontends/common/border.h"
#include "libconvert/frontends/common/options.h"
#include "libconvert/frontends/common/side_files.h"
#include "libconvert/frontends/tensorflow/limits.h"
#include "libconvert/frontends/tensorflow/tensor_proto.h"
#include "libconvert/frontends/tensorflow/text.h"
#include "libconvert/frontends/tensorflow/types.h"
#include "libconvert/frontends/tensorflow/variables.h"
#include "libconvert/sniff.h"

namespace mnn {
namespace tensorflow {
namespace {

constexpr const char* kBinary = "saved_model.pb";
constexpr const char* kText = "saved_model.pbtxt";
constexpr const char* kVariables = "variables/variables";
constexpr const char* kObjectGraph = "_CHECKPOINTABLE_OBJECT_GRAPH";
constexpr const char* kInitSignature = "__saved_model_init_op";

constexpr const char* kSignatureKey = "signature";
constexpr const char* kTagsKey = "tags";
constexpr const char* kDefaultSignature = "serving_default";
constexpr const char* kDefaultTags = "serve";

template <typename Names>
std::string joined(const Names& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

// The tags of a graph as the key for them spells it: "serve,gpu".
std::string tags_of(const MetaGraphDef& meta) {
  std::vector<std::string> tags(meta.meta_info_def().tags().begin(),
                                meta.meta_info_def().tags().end());
  std::ranges::sort(tags);
  std::string list;
  for (const std::string& tag : tags) list += (list.empty() ? "" : ",") + tag;
  return list;
}

// The graph with the tags asked for, the one for serving, or the only one.
Result<MetaGraphDef*> choose_graph(SavedModel& model, const ImportOptions& options) {
  if (model.meta_graphs_size() == 0) return invalid("it holds no graph");
  const std::string wanted = frontend::text_key(options, kTagsKey, "");
  std::vector<std::string> there;
  for (MetaGraphDef& meta : *model.mutable_meta_graphs()) {
    there.push_back("'" + tags_of(meta) + "'");
    if (tags_of(meta) == (wanted.empty() ? kDefaultTags : wanted)) return &meta;
  }
  if (wanted.empty() && model.meta_graphs_size() == 1) return model.mutable_meta_graphs(0);
  return usage_error(
      "the model has no graph with the tags '" + (wanted.empty() ? kDefaultTags : wanted) +
      "', it has " + joined(there) +
      (wanted.empty() ? std::string("; choose one with --import ") + kTagsKey + "=TAGS" : ""));
}

// What is there to be called, without the one that only initializes.
std::map<std::string, const SignatureDef*> signatures_of(const MetaGraphDef& meta) {
  std::map<std::string, const SignatureDef*> all;
  for (const auto& [name, signature] : meta.signature_def()) {
    if (name != kInitSignature && signature.outputs_size() > 0) all.emplace(name, &signature);
  }
  return all;
}

Result<std::string> choose_signature(const std::map<std::string, const SignatureDef*>& all,
                                     const ImportOptions& options) {
  const std::string wanted = frontend::text_key(options, kSignatureKey, "");
  std::vector<std::string> names;
  for (const auto& [name, signature] : all) names.push_back(name);
  if (!wanted.empty()) {
    if (all.contains(wanted)) return wanted;
    return usage_error("the model has no signature '" + wanted + "', " +
                       (names.empty() ? "it has none" : "it has " + joined(names)));
  }
  if (all.contains(kDefaultSignature)) return std::string(kDefaultSignature);
  if (names.size() == 1) return names[0];
  if (names.empty()) {
    return invalid(
        "it has no signature, so nothing says what goes in and what comes out; save it with one: "
        "tf.saved_model.save(model, FOLDER, "
        "signatures=model.FUNCTION.get_concrete_function(tf.TensorSpec(SHAPE, tf.float32)))");
  }
  return usage_error(std::string("the model has several signatures and no ") + kDefaultSignature +
                     " among them; choose one with --import " + kSignatureKey +
                     "=NAME: " + joined(names));
}

using Infos = google::protobuf::Map<std::string, TensorInfo>;

// In the order of their names, as the source's functions take them.
Result<std::vector<Feed>> read_border(const Infos& infos, const char* what) {
  std::map<std::string, const TensorInfo*> sorted;
  for (const auto& [name, info] : infos) sorted.emplace(name, &info);
  std::vector<Feed> feeds;
  for (const auto& [name, info] : sorted) {
    const std::string where = std::string(what) + " " + name;
    if (info->encoding_case() != TensorInfo::kName) {
      return unsupported(where +
                         " is a sparse or composite tensor, which is not supported; save a "
                         "signature that takes and gives dense ones");
    }
    Result<Type> type = type_of(info->dtype(), info->tensor_shape());
    if (!type.ok()) return type.status().context(where);
    feeds.push_back({name, info->name(), std::move(type).value()});
  }
  return feeds;
}

// "x = serving_default_x:0": what the border's names are called in the graph.
std::string tensors_of(const std::vector<Feed>& feeds) {
  std::string list;
  for (const Feed& f : feeds) list += (list.empty() ? "" : ", ") + f.name + " = " + f.tensor;
  return list;
}

// A variable's node says its type, where it says it all.
Status check_variable(const GraphDef& graph, std::map<std::string, Tensor>& variables) {
  for (const NodeDef& node : graph.node()) {
    const auto at = variables.find(node.name());
    if (at == variables.end()) continue;
    const auto dtype = node.attr().find("dtype"), shape = node.attr().find("shape");
    const Tensor& t = at->second;
    bool fits = dtype == node.attr().end() || dtype_of(dtype->second.type()) == t.dtype();
    if (fits && shape != node.attr().end() && !shape->second.shape().unknown_rank()) {
      const auto& dims = shape->second.shape().dim();
      fits = static_cast<size_t>(dims.size()) == t.rank();
      for (int i = 0; fits && i < dims.size(); ++i) {
        fits = dims[i].size() < 0 || dims[i].size() == t.dims()[static_cast<size_t>(i)];
      }
    }
    if (!fits) {
      return invalid("variable " + node.name() + " is " + t.type_str() + " in " + kVariables +
                     ".index and something else in the graph: they are of two models");
    }
  }
  return {};
}

// The contents of the variables that the outputs depend on.
Status read_variables(const MetaGraphDef& meta, const OpenFile& open, Program& program) {
  std::set<std::string> outputs;
  for (const Feed& f : program.outputs) outputs.insert(f.tensor);
  const std::set<std::string> needed = needed_variables(meta.graph_def(), outputs);
  if (needed.empty()) return {};
  Result<Bundle> bundle = Bundle::open(open, kVariables);
  if (bundle.status().code() == Code::kNotAccessible) {
    return not_accessible(bundle.status().message() + ": it lists the " +
                          std::to_string(needed.size()) +
                          " variables of the model; copy the whole folder");
  }
  MNN_RETURN_IF_ERROR(bundle.status());
  TrackableObjectGraph objects;
  if (bundle->find(kObjectGraph) != nullptr) {
    MNN_ASSIGN_OR_RETURN(const std::string text, bundle->read_string(kObjectGraph));
    if (!objects.ParseFromString(text)) return invalid(std::string(kObjectGraph) + " is damaged");
  }
  const std::map<std::string, SavedAs> saved = saved_variables(meta, objects);
  for (const std::string& name : needed) {
    const auto at = saved.find(name);
    if (at == saved.end()) continue;  // it starts as the graph says, or is missed by who reads it
    const SavedAs& as = at->second;
    Result<Tensor> content = as.part ? bundle->read(as.key, *as.part) : bundle->read(as.key);
    if (!content.ok()) return content.status().context("variable " + name);
    if (content->dtype() == DType::kC64 || content->dtype() == DType::kC128) {
      return unsupported("variable " + name + " holds complex numbers, which is not supported");
    }
    program.variables.emplace(name, std::move(content).value());
  }
  return check_variable(meta.graph_def(), program.variables);
}

Result<Program> read_program(SavedModel& model, const OpenFile& open, const ImportOptions& options,
                             ImportedModel& known) {
  MNN_ASSIGN_OR_RETURN(MetaGraphDef* const meta, choose_graph(model, options));
  const auto signatures = signatures_of(*meta);
  std::vector<std::string> names;
  for (const auto& [name, signature] : signatures) names.push_back(name);
  auto& facts = known.facts;
  facts["tensorflow_version"] = meta->meta_info_def().tensorflow_version();
  facts["tags"] = tags_of(*meta);
  facts["signatures"] = joined(names);
  MNN_ASSIGN_OR_RETURN(const std::string name, choose_signature(signatures, options));
  const SignatureDef& signature = *signatures.at(name);
  facts["signature"] = name;
  Program program;
  MNN_ASSIGN_OR_RETURN(program.inputs, read_border(signature.inputs(), "input"));
  MNN_ASSIGN_OR_RETURN(program.outputs, read_border(signature.outputs(), "output"));
  facts["metadata.inputs"] = tensors_of(program.inputs);
  facts["metadata.outputs"] = tensors_of(program.outputs);
  program.facts = facts;
  MNN_RETURN_IF_ERROR(read_variables(*meta, open, program));
  program.graph = std::move(*meta->mutable_graph_def());
  return program;
}

Result<ImportedModel> read_model(SavedModel& model, const OpenFile& open,
                                 const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(const Limits limits, read_limits(options));
  ImportedModel known;
  known.format = "savedmodel";
  Result<Program> program = read_program(model, open, options, known);
  if (!program.ok()) {
    if (options.failed != nullptr) *options.failed = std::move(known);
    return program.status();
  }
  Result<ImportedModel> out = import_program(std::move(program).value(), options, limits);
  if (out.ok()) out->format = known.format;
  if (!out.ok() && options.failed != nullptr) options.failed->format = known.format;
  return out;
}

bool is_text(std::span<const std::byte> bytes) { return has_text_block(bytes, {"meta_graphs"}); }

Result<ImportedModel> read_bytes(std::span<const std::byte> bytes, const OpenFile& open,
                                 const ImportOptions& options) {
  if (bytes.size() > INT_MAX) return limit_exceeded("a graph over 2 GiB cannot be read");
  try {
    SavedModel model;
    const google::protobuf::LogSilencer silent;
    if (is_text(bytes)) {
      MNN_RETURN_IF_ERROR(parse_text(bytes, model));
    } else if (!model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return invalid("expected a SavedModel, found damaged or foreign bytes");
    }
    return read_model(model, open, options);
  } catch (const std::bad_alloc&) {
    return limit_exceeded("out of memory");
  }
}

// Where in a folder the model lies: in it, or in its only sub-folder that holds one.
std::string model_in(const frontend::SourceFiles& source) {
  namespace fs = std::filesystem;
  std::error_code ec;
  for (const char* name : {kBinary, kText}) {
    if (fs::exists(fs::path(source.path()) / name, ec)) return name;
  }
  std::string found;
  for (fs::directory_iterator it(source.path(), ec), end; !ec && it != end; it.increment(ec)) {
    for (const char* name : {kBinary, kText}) {
      std::error_code none;
      if (!fs::exists(it->path() / name, none)) continue;
      if (!found.empty()) return {};
      found = it->path().filename().string() + "/" + name;
      break;
    }
  }
  return found;
}

bool recognizes(std::span<const std::byte> bytes, const frontend::SourceFiles& source) {
  if (source.is_folder()) return !model_in(source).empty();
  return is_saved_model(bytes, source.path()) || is_text(bytes);
}

Result<ImportedModel> import(frontend::SourceFiles& source, const ImportOptions& options) {
  const std::string name = source.is_folder() ? model_in(source) : "";
  MNN_ASSIGN_OR_RETURN(const MappedFile file, source.open_main(name));
  return read_bytes(
      file.bytes, [&](const std::string& n) { return source.open(n); }, options);
}

}  // namespace
}  // namespace tensorflow

Frontend saved_model_frontend() {
  using namespace tensorflow;
  return {"savedmodel",
          "a folder with saved_model.pb and its variables",
          recognizes,
          import,
          supported_operators,
          with_limit_keys(
              {{kSignatureKey,
                "The signature to read; default: serving_default, or the only one there is"},
               {kTagsKey, "The tags of the graph to read, with commas; default: serve"}})};
}

Result<ImportedModel> import_saved_model(std::span<const std::byte> bytes,
                                         const tensorflow::OpenFile& open,
                                         const ImportOptions& options) {
  return tensorflow::read_bytes(bytes, open, options);
}

}  // namespace mnn
