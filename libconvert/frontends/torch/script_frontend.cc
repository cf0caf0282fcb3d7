#include "libconvert/frontends/torch/script_frontend.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "libconvert/frontends/common/border.h"
#include "libconvert/frontends/common/options.h"
#include "libconvert/frontends/common/side_files.h"
#include "libconvert/frontends/torch/script_border.h"
#include "libconvert/frontends/torch/script_operators.h"
#include "libconvert/sniff.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace torch {
namespace {

using frontend::SourceFiles;

constexpr const char* kNodesKey = "max_nodes";
constexpr const char* kArgumentsKey = "arguments";
constexpr const char* kTypesKey = "types";
constexpr const char* kMethodKey = "method";
constexpr const char* kShapesKey = "shapes";
constexpr int64_t kDefaultNodes = 1 << 20;
// Each attempt finds something out that it could not go on without.
constexpr int kMaxAttempts = 64;

bool recognizes(std::span<const std::byte> bytes, const SourceFiles& source) {
  if (source.is_folder() || !begins(bytes, "PK\x03\x04")) return false;
  const Result<std::vector<std::string>> names = zip_names(bytes);
  if (!names.ok()) return false;
  const auto any = [&](std::string_view part) {
    return std::ranges::any_of(*names, [&](const std::string& name) {
      return name.ends_with(part) &&
             (name.size() == part.size() || name[name.size() - part.size() - 1] == '/');
    });
  };
  const bool code = std::ranges::any_of(*names, [](const std::string& name) {
    return name.find("code/__torch__") != std::string::npos;
  });
  return code && any("data.pkl");
}

// "steps=4,mode=max" by name.
Result<std::map<std::string, std::string>> pairs_key(const ImportOptions& options,
                                                     const std::string& key) {
  std::map<std::string, std::string> pairs;
  const std::string text = frontend::text_key(options, key, "");
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string one = text.substr(at, end - at);
    const size_t equals = one.find('=');
    if (equals == std::string::npos || equals == 0) {
      return usage_error("key " + key + ": expected NAME=VALUE, found " + one);
    }
    pairs.insert_or_assign(one.substr(0, equals), one.substr(equals + 1));
    at = end + 1;
  }
  return pairs;
}

// One attempt at the conversion of a model.
class Importer {
 public:
  Importer(ScriptProgram& program, const ScriptSettings& settings, Hints& hints, int64_t budget)
      : program_(program),
        settings_(settings),
        hints_(hints),
        budget_(budget),
        draft_(out_.graph),
        scope_(draft_, nullptr),
        log_(out_.diagnostics),
        interpreter_(program, draft_, scope_, log_, budget_, hints) {}

  Result<ImportedModel> run() {
    out_.format = "torchscript";
    out_.facts["archive_version"] = std::to_string(program_.version());
    out_.facts["class"] = program_.module().text;
    const Status status = convert();
    if (wants_retry()) return status.ok() ? Status(Code::kInternal, "retry") : status;
    if (status.ok()) return std::move(out_);
    if (status.code() != Code::kUsage && status.code() != Code::kLimit) report_failures(true);
    return with_advice(out_.diagnostics.has_errors() ? out_.diagnostics.status() : status);
  }
  bool wants_retry() const { return retry_ || interpreter_.wants_retry(); }
  ImportedModel& model() { return out_; }
  const std::string& unranked() const { return interpreter_.unranked(); }
  // The attributes that have states, in the order of the graph's updates.
  const std::vector<std::string>& state_paths() const { return state_paths_; }
  // Converts what the file says of attributes, as it is in the first run; what they become follows
  // the outputs.
  void first_run(const std::vector<std::string>& paths) { first_run_ = &paths; }

 private:
  ScriptValue attribute_now(const std::string& path) const {
    const auto attribute = interpreter_.file_attributes().find(path);
    if (attribute != interpreter_.file_attributes().end()) {
      return attribute->second.object->attributes.at(attribute->second.name);
    }
    const auto tensor = interpreter_.file_tensors().find(path);
    return tensor != interpreter_.file_tensors().end() ? tensor->second.tensor
                                                       : ScriptValue(Undefined{"nothing", {}});
  }

  Status convert() {
    MNN_RETURN_IF_ERROR(interpreter_.from_pickle(program_.module(), "").status());
    ObjectValue& module = interpreter_.module();
    if (module.type == nullptr) return invalid("the archive has no code of " + module.class_name);
    const auto method = module.type->methods.find(settings_.method);
    if (method == module.type->methods.end()) {
      return usage_error("the model has no method " + settings_.method);
    }
    MNN_ASSIGN_OR_RETURN(const std::vector<ScriptValue> values,
                         add_arguments(interpreter_, method->second, settings_, hints_,
                                       program_.traced_inputs(), out_.source_inputs));
    for (const auto& [name, dims] : settings_.shapes) {
      const auto same = [&name = name](const auto& input) { return input.first == name; };
      if (std::ranges::any_of(out_.source_inputs, same)) continue;
      return usage_error("the model has no input " + name + " to give a shape to");
    }
    // Arguments that were not made are left to their defaults.
    std::vector<std::pair<std::string, ScriptValue>> keywords;
    for (size_t i = 0; i < values.size(); ++i) {
      if (as<Undefined>(values[i]) != nullptr) continue;
      keywords.emplace_back(method->second.parameters[i + 1].name, values[i]);
    }
    MNN_ASSIGN_OR_RETURN(const ScriptValue result,
                         interpreter_.run(settings_.method, {}, std::move(keywords)));
    if (wants_retry()) return {};
    std::vector<ScriptValue> outputs;
    MNN_RETURN_IF_ERROR(flatten(interpreter_, result, outputs));
    if (first_run_ == nullptr) MNN_RETURN_IF_ERROR(add_states());
    if (wants_retry()) return {};
    for (const ScriptValue& output : outputs) MNN_RETURN_IF_ERROR(add_result(output));
    if (first_run_ != nullptr) {
      for (const std::string& path : *first_run_) {
        MNN_RETURN_IF_ERROR(add_result(attribute_now(path)));
      }
    }
    if (out_.graph.outputs.empty() && needed_.empty())
      return invalid("the model returns no tensor");
    report_failures(false);
    MNN_RETURN_IF_ERROR(out_.diagnostics.status());
    return verify(out_.graph);
  }

  Status add_result(const ScriptValue& value) {
    if (const auto* undefined = as<Undefined>(value)) {
      if (undefined->failures.empty()) return invalid("an output is " + undefined->why);
      needed_.insert(undefined->failures.begin(), undefined->failures.end());
      return {};
    }
    const std::string name = "output_" + std::to_string(index_++);
    MNN_ASSIGN_OR_RETURN(const ValueId id, value_of(value));
    return frontend::add_output(draft_, name, id, budget_);
  }

  Result<ValueId> value_of(const ScriptValue& value) {
    Graph& graph = out_.graph;
    if (const auto* number = as<int64_t>(value)) {
      return graph.add_constant(Tensor::scalar<int64_t>(*number));
    }
    if (const auto* number = as<double>(value)) {
      return graph.add_constant(Tensor::scalar<float>(static_cast<float>(*number)));
    }
    if (const auto* flag = as<bool>(value)) return graph.add_constant(Tensor::scalar<bool>(*flag));
    TensorRef ref;
    if (const auto* tensor = as<TensorRef>(value)) ref = *tensor;
    if (const auto* symbolic = as<SymbolicNumber>(value)) ref = symbolic->tensor;
    if (ref.id < 0) return unsupported("an output that is " + kind_of(value));
    MNN_ASSIGN_OR_RETURN(const TensorArg tensor, interpreter_.read(ref));
    return tensor.id;
  }

  // What a run changes of the module becomes states: the next run starts from it.
  Status add_states() {
    std::set<std::string> replaced;
    for (const auto& [path, attribute] : interpreter_.file_attributes()) {
      const ScriptValue& now = attribute.object->attributes.at(attribute.name);
      if (now == attribute.value) continue;
      if (as<TensorRef>(attribute.value) != nullptr) {
        replaced.insert(path);
        MNN_RETURN_IF_ERROR(add_state(path, now));
        continue;
      }
      const bool known = as<int64_t>(now) != nullptr || as<double>(now) != nullptr ||
                         as<bool>(now) != nullptr || as<std::string>(now) != nullptr;
      if (!known || !hints_.numbers.emplace(path, now).second) {
        return unsupported("the attribute " + path + ", which a run changes, is " +
                           kind_of(attribute.value));
      }
      retry_ = true;
    }
    for (const auto& [path, tensor] : interpreter_.file_tensors()) {
      if (!replaced.contains(path)) MNN_RETURN_IF_ERROR(add_state(path, tensor.tensor));
    }
    for (const auto& [path, value] : hints_.numbers) {
      note(path, "each run leaves it at the same value, which it is taken to have from the start");
    }
    return {};
  }

  Status add_state(const std::string& path, const ScriptValue& now) {
    if (const auto* undefined = as<Undefined>(now)) {
      needed_.insert(undefined->failures.begin(), undefined->failures.end());
      return {};
    }
    MNN_ASSIGN_OR_RETURN(const ValueId next, value_of(now));
    const auto before = interpreter_.file_tensors().find(path);
    if (before == interpreter_.file_tensors().end() || before->second.value == next) return {};
    Graph& graph = out_.graph;
    const Value& state = graph.value(before->second.value);
    const Type& type = graph.value(next).type;
    if (state.kind != ValueKind::kState) {
      std::vector<int64_t> dims;
      const bool empty = state.data.elements() == 0;
      if (empty && type.is_static()) dims = known_dims(*type.shape);
      if (empty && !type.is_static()) {
        return unsupported("the attribute " + path +
                           ", which a run changes, has a shape that depends on the input; give the "
                           "inputs' shapes: --shape NAME=…");
      }
      hints_.states.emplace(path, std::move(dims));
      retry_ = true;
      return {};
    }
    if (type.dtype != state.type.dtype || !type.shape ||
        !same_shape(*type.shape, *state.type.shape)) {
      return unsupported("the attribute " + path + " is " + state.type.str() + ", and " +
                         type.str() + " after a run");
    }
    graph.updates.push_back({before->second.value, next});
    state_paths_.push_back(path);
    return {};
  }

  void note(const std::string& what, std::string message) {
    log_.note(what, {}, std::move(message));
  }

  // Inputs without a shape may be why.
  Status with_advice(const Status& status) const {
    if (status.code() != Code::kUnsupported && status.code() != Code::kInvalidArgument)
      return status;
    const std::string& asked = interpreter_.unranked();
    if (!asked.empty()) {
      return Status(status.code(),
                    status.message() + "\nthe model asks for the rank of its input " + asked +
                        ", which the file does not say; give the shape: "
                        "--shape " +
                        asked + "=1,3,224,224 (or the dims it has, ? for open ones)");
    }
    std::string flags;
    for (const ValueId id : out_.graph.inputs) {
      const Value& input = out_.graph.value(id);
      if (!input.type.shape) flags += " --shape " + input.name + "=1,3,224,224";
      const bool number = input.type.is_static() && input.type.rank() == 0;
      if (number) flags += " --import arguments=" + input.name + "=VALUE";
    }
    if (flags.empty()) return status;
    return Status(status.code(),
                  status.message() +
                      "\nthe file does not say the shapes and values of inputs; give them, like" +
                      flags);
  }

  // Failed operators that nothing depends on are warnings; what one would have written is missing
  // in whatever reads it.
  void report_failures(bool all) {
    const auto& failures = interpreter_.failures();
    for (size_t i = 0; i < failures.size(); ++i) {
      log_.report(failures[i].node, failures[i].op, failures[i].why,
                  all || writes(failures[i].op) || needed_.contains(static_cast<int>(i)));
    }
  }

  ScriptProgram& program_;
  const ScriptSettings& settings_;
  Hints& hints_;
  int64_t budget_;
  ImportedModel out_;
  frontend::GraphDraft draft_;
  frontend::Scope scope_;
  frontend::NodeLog log_;
  Interpreter interpreter_;
  std::set<int> needed_;  // failures that a result depends on
  bool retry_ = false;
  int index_ = 0;
  std::vector<std::string> state_paths_;
  const std::vector<std::string>* first_run_ = nullptr;
};

// What a graph gives for made-up inputs, the states' next values behind the outputs; nullopt where
// sizes are not known or it would take long.
std::optional<std::vector<Tensor>> try_graph(Graph graph) {
  constexpr int64_t kMostElements = 1 << 22;
  int64_t elements = 0;
  for (Value& value : graph.values) {
    if (is_stored(value)) elements += value.data.elements();
    if (value.kind == ValueKind::kState) value.kind = ValueKind::kConstant;
  }
  if (elements > kMostElements) return std::nullopt;
  for (const StateUpdate& update : graph.updates) graph.outputs.push_back(update.next);
  graph.updates.clear();
  std::vector<Tensor> inputs;
  uint32_t random = 1;
  for (const ValueId id : graph.inputs) {
    const Type& type = graph.value(id).type;
    if (!type.is_static()) return std::nullopt;
    Result<Tensor> input = Tensor::allocate(type.dtype, known_dims(*type.shape));
    if (!input.ok() || input->elements() > kMostElements) return std::nullopt;
    for (int64_t i = 0; type.dtype == DType::kF32 && i < input->elements(); ++i) {
      random = random * 1664525 + 1013904223;
      input->data<float>()[i] = static_cast<float>(random >> 8) / (1 << 23) - 1;
    }
    inputs.push_back(std::move(input).value());
  }
  Result<std::vector<Tensor>> outputs = run_reference(graph, inputs);
  if (!outputs.ok()) return std::nullopt;
  return std::move(outputs).value();
}

bool agree(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  constexpr double kTolerance = 1e-4;  // of the largest magnitude, as for goldens
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const Result<std::vector<double>> x = a[i].to_doubles(), y = b[i].to_doubles();
    if (a[i].dims() != b[i].dims() || !x.ok() || !y.ok()) return false;
    double most = 0;
    for (const double v : *x) most = std::max(most, std::abs(v));
    for (size_t k = 0; k < x->size(); ++k) {
      if (!(std::abs((*x)[k] - (*y)[k]) <= kTolerance * most)) return false;
    }
  }
  return true;
}

// Where attributes were taken to be from the start what runs leave: whether the first run, with
// what the file says, gives the same.
Status check_first_run(ScriptProgram& program, const ScriptSettings& settings, const Hints& hints,
                       int64_t budget, const Importer& settled, const Graph& graph) {
  const bool assumed =
      !hints.numbers.empty() ||
      std::ranges::any_of(hints.states, [](const auto& state) { return !state.second.empty(); });
  if (!assumed) return {};
  Hints first;
  first.dtypes = hints.dtypes;
  first.ranks = hints.ranks;
  Importer importer(program, settings, first, budget);
  importer.first_run(settled.state_paths());
  const Result<ImportedModel> model = importer.run();
  if (!model.ok()) return {};
  const auto a = try_graph(model->graph), b = try_graph(graph);
  if (!a || !b || agree(*a, *b)) return {};
  return unsupported("the first run of the model computes something else than those after it");
}

// Conversions of one model, each with what those before it found out.
class Search {
 public:
  Search(ScriptProgram& program, const ScriptSettings& settings, int64_t budget)
      : program_(program), settings_(settings), budget_(budget) {}

  // `failed` gets what there is of a model that does not convert; may be null.
  Result<ImportedModel> run(ImportedModel* failed) { return with_ranks({}, failed); }

 private:
  // Where the rank of an input is asked for and nothing tells it, the ranks are tried that it may
  // have. The model's code takes batches: of several the largest is meant. One that takes any is
  // left alone.
  Result<ImportedModel> with_ranks(const std::map<std::string, size_t>& ranks,
                                   ImportedModel* failed) {
    constexpr size_t kMostRank = 5;
    std::string input;
    Result<ImportedModel> model = attempts(ranks, failed, input);
    if (model.ok() || input.empty() || ranks.contains(input)) return model;
    std::optional<ImportedModel> converted;
    size_t rank = 0, many = 0;
    for (size_t r = 1; r <= kMostRank && tried_ < kMostTried; ++r) {
      std::map<std::string, size_t> more = ranks;
      more.emplace(input, r);
      Result<ImportedModel> made = with_ranks(more, nullptr);
      if (!made.ok()) continue;
      converted = std::move(made).value();
      rank = r;
      ++many;
    }
    if (!converted || rank == kMostRank || tried_ >= kMostTried) return model;
    converted->diagnostics.add(
        {many > 1 ? Severity::kWarning : Severity::kNote,
         Code::kOk,
         {},
         {},
         "input " + input + " is taken to have " + std::to_string(rank) + " dims" +
             (many > 1 ? ", the most that the model takes; --shape " + input + "=… says otherwise"
                       : ", all that the model takes")});
    return std::move(*converted);
  }

  Result<ImportedModel> attempts(const std::map<std::string, size_t>& ranks, ImportedModel* failed,
                                 std::string& unranked) {
    ++tried_;
    Hints hints;
    hints.ranks = ranks;
    for (int i = 0; i < kMaxAttempts; ++i) {
      Importer importer(program_, settings_, hints, budget_);
      Result<ImportedModel> model = importer.run();
      if (importer.wants_retry()) continue;
      unranked = importer.unranked();
      if (!model.ok() && failed != nullptr) *failed = std::move(importer.model());
      if (model.ok()) {
        MNN_RETURN_IF_ERROR(
            check_first_run(program_, settings_, hints, budget_, importer, model->graph));
      }
      return model;
    }
    return limit_exceeded("the conversion does not settle");
  }

  // Attempts, not counting those that only learn types.
  static constexpr int kMostTried = 160;
  ScriptProgram& program_;
  const ScriptSettings& settings_;
  int64_t budget_;
  int tried_ = 0;
};

Result<ImportedModel> read_model(const MappedFile& file, const ImportOptions& options) {
  ScriptSettings settings;
  settings.shapes = options.shapes;
  settings.method = frontend::text_key(options, kMethodKey, "forward");
  MNN_ASSIGN_OR_RETURN(settings.arguments, pairs_key(options, kArgumentsKey));
  MNN_ASSIGN_OR_RETURN(const auto types, pairs_key(options, kTypesKey));
  for (const auto& [name, text] : types) {
    const std::optional<DType> dtype = parse_dtype(text);
    if (!dtype) return usage_error("key types: " + text + " is no type (f32, i64, bool …)");
    settings.dtypes.emplace(name, *dtype);
  }
  const std::string shapes = frontend::text_key(options, kShapesKey, "dynamic");
  if (shapes != "dynamic" && shapes != "traced") {
    return usage_error("key shapes: expected dynamic or traced, found " + shapes);
  }
  settings.traced_shapes = shapes == "traced";
  MNN_ASSIGN_OR_RETURN(const int64_t budget,
                       frontend::int_key(options, kNodesKey, kDefaultNodes, 1, int64_t{1} << 30));
  MNN_ASSIGN_OR_RETURN(const std::unique_ptr<ScriptProgram> program, ScriptProgram::open(file));
  Result<ImportedModel> model = Search(*program, settings, budget).run(options.failed);
  const bool again = !model.ok() && !settings.traced_shapes &&
                     program->traced_inputs() != nullptr && settings.shapes.empty() &&
                     model.status().code() == Code::kUnsupported;
  if (!again) return model;
  // What cannot be told of any shape may be told of the one it was traced with.
  settings.traced_shapes = true;
  Result<ImportedModel> fixed = Search(*program, settings, budget).run(nullptr);
  if (!fixed.ok()) return model;
  fixed->diagnostics.add({Severity::kWarning,
                          Code::kOk,
                          {},
                          {},
                          "it converts for the shapes it was traced with only"});
  return fixed;
}

Result<ImportedModel> import(SourceFiles& source, const ImportOptions& options) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, source.open_main());
  return import_torchscript(file, options);
}

}  // namespace
}  // namespace torch

Frontend torchscript_frontend() {
  return {"torchscript",
          "a .pt file of torch.jit.save",
          torch::recognizes,
          torch::import,
          torch::script_operators,
          {{torch::kArgumentsKey, "Values of arguments that are no tensors: steps=4,mode=max"},
           {torch::kTypesKey, "Element types of inputs: ids=i64,mask=bool"},
           {torch::kMethodKey, "The method that is converted; default forward"},
           {torch::kShapesKey, "Of a traced model: dynamic (default), or traced for its example's"},
           {torch::kNodesKey, "Most nodes once calls are unfolded; default 1048576"}}};
}

Result<ImportedModel> import_torchscript(const MappedFile& file, const ImportOptions& options) {
  try {
    return torch::read_model(file, options);
  } catch (const std::bad_alloc&) {
    return limit_exceeded("out of memory");
  }
}

}  // namespace mnn
