#include "libconvert/frontends/torch/exported.h"

#include <algorithm>

namespace mnn::torch {
namespace {

bool is_complex(DType dtype) { return dtype == DType::kC64 || dtype == DType::kC128; }

std::string name_of(const Json* spec) {
  const Json* arg = member(spec, "arg");
  const std::string plain = text_of(member(arg, "name"));
  return !plain.empty() ? plain : text_of(member(member(arg, "as_tensor"), "name"));
}

}  // namespace

Status ExportedImporter::read_facts() {
  out_.format = "pt2";
  const Json* version = member(&program_.root(), "schema_version");
  int64_t major = 0, minor = 0;
  if (int_of(member(version, "major"), major) && int_of(member(version, "minor"), minor)) {
    out_.facts["schema"] = std::to_string(major) + "." + std::to_string(minor);
  } else if (int_of(version, major)) {
    out_.facts["schema"] = std::to_string(major);
  }
  constexpr int64_t kNewest = 8;
  if (major > kNewest) {
    return unsupported("the program's schema has version " + std::to_string(major) +
                       "; versions up to 8 are known");
  }
  const std::string torch = text_of(member(&program_.root(), "torch_version"));
  if (!torch.empty()) out_.facts["torch_version"] = torch;
  int64_t opset = 0;
  if (int_of(member(member(&program_.root(), "opset_version"), "aten"), opset)) {
    out_.facts["opset"] = "aten " + std::to_string(opset);
  }
  return {};
}

Dim ExportedImporter::dim_of(const Json* size) {
  int64_t n = 0;
  if (int_of(member(size, "as_int"), n)) return n < 0 ? Dim::unknown() : Dim(n);
  const std::string text = text_of(member(member(size, "as_expr"), "expr_str"));
  if (text.empty()) return Dim::unknown();
  const Dim d = parse_srepr(text);
  if (d.known()) return d;
  // Inputs have plain symbols: a sum or product becomes one of its own.
  return symbols_.named(d.is_unknown() ? text : d.str());
}

Result<Type> ExportedImporter::type_of_value(const Json& graph, const std::string& name) {
  const Json* meta = member(member(&graph, "tensor_values"), name);
  if (meta == nullptr) return invalid("nothing is said of the type of '" + name + "'");
  const DType dtype = dtype_of_json(member(meta, "dtype"));
  if (dtype == DType::kUndefined) {
    return unsupported("'" + name + "' has an element type that is not supported");
  }
  Shape shape;
  for (const Json& size : elements(member(meta, "sizes"))) shape.push_back(dim_of(&size));
  MNN_RETURN_IF_ERROR(frontend::check_rank(shape.size()));
  return tensor_type(dtype, std::move(shape));
}

Status ExportedImporter::add_stored(const std::string& name, const std::string& qualified,
                                    bool buffer, Environment& env) {
  Result<Tensor> stored = program_.tensor(qualified);
  if (!stored.ok()) return stored.status();
  const bool complex = is_complex(stored->dtype());
  const Tensor data = complex ? real_pairs(*stored) : *stored;
  Graph& graph = out_.graph;
  ValueId id = kNoValue;
  if (buffer && states_.contains(qualified)) {
    Value state{
        qualified, tensor_type(data.dtype(), to_shape(data.dims())), ValueKind::kState, data, {}};
    id = graph.add_value(std::move(state));
    states_[qualified] = id;
  } else {
    // Tied weights are one constant.
    std::vector<ValueId>& same = shared_[data.raw()];
    const auto at = std::ranges::find_if(same, [&](ValueId v) {
      const Tensor& t = graph.value(v).data;
      return t.dtype() == data.dtype() && t.dims() == data.dims();
    });
    id = at != same.end() && data.elements() > 0 ? *at : graph.add_constant(data, qualified);
    if (at == same.end()) same.push_back(id);
  }
  buffer_names_[qualified] = name;
  Binding binding;
  binding.arg = Arg::tensor(id, complex);
  binding.tensor = env.tensors.add(TensorArg{id, complex});
  env.names[name] = std::move(binding);
  return {};
}

Status ExportedImporter::add_user_input(const Json& graph, const Json& arg, Environment& env) {
  const Tagged tag = tagged(arg);
  Graph& g = out_.graph;
  std::string name;
  Type type;
  if (tag.tag == "as_tensor") {
    name = text_of(member(tag.value, "name"));
    MNN_ASSIGN_OR_RETURN(type, type_of_value(graph, name));
    if (is_complex(type.dtype)) {
      return unsupported("input '" + name +
                         "' is complex; give its real view (torch.view_as_real)");
    }
  } else if (tag.tag == "as_sym_int" || tag.tag == "as_sym_float" || tag.tag == "as_sym_bool") {
    name = text_of(member(tag.value, "as_name"));
    type = tensor_type(tag.tag == "as_sym_int"     ? DType::kI64
                       : tag.tag == "as_sym_float" ? DType::kF32
                                                   : DType::kBool,
                       {});
  } else {
    return {};  // a constant, None: the graph was made for it
  }
  if (name.empty()) return invalid("an input without a name");
  out_.source_inputs.emplace_back(name, static_cast<int>(g.inputs.size()));
  const ValueId id = g.add_input(name, type);
  Binding binding;
  if (tag.tag == "as_tensor") {
    binding.arg = Arg::tensor(id);
    binding.tensor = env.tensors.add(TensorArg{id});
  } else if (tag.tag == "as_sym_int") {
    binding.arg = Arg(IntArg{0, id});
  } else if (tag.tag == "as_sym_float") {
    binding.arg = Arg(FloatArg{0, id});
  } else {
    binding.arg = Arg(BoolArg{false, id});
  }
  if (!env.names.emplace(name, std::move(binding)).second) {
    return invalid("the name '" + name + "' is given twice");
  }
  return {};
}

Status ExportedImporter::add_input(const Json& graph, const std::string& kind, const Json& spec,
                                   Environment& env) {
  if (kind == "parameter") {
    return add_stored(name_of(&spec), text_of(member(&spec, "parameter_name")), false, env);
  }
  if (kind == "buffer") {
    return add_stored(name_of(&spec), text_of(member(&spec, "buffer_name")), true, env);
  }
  if (kind == "tensor_constant") {
    return add_stored(name_of(&spec), text_of(member(&spec, "tensor_constant_name")), false, env);
  }
  if (kind == "user_input") {
    const Json* arg = member(&spec, "arg");
    return arg == nullptr ? invalid("an input without an argument")
                          : add_user_input(graph, *arg, env);
  }
  if (kind == "token" || kind == "constant_input") return {};
  if (kind == "custom_obj") {
    // Read by custom operators only, and those are listed as unsupported.
    Binding binding;
    binding.undefined = true;
    env.names[name_of(&spec)] = std::move(binding);
    return {};
  }
  return unsupported("inputs of kind '" + kind + "' are not supported");
}

// The names of graph inputs that in-place operators write, through views as well.
std::set<std::string> ExportedImporter::written_names(const Json& graph) const {
  std::map<std::string, std::string> root;
  std::set<std::string> written;
  const auto root_of = [&](const std::string& name) {
    const auto at = root.find(name);
    return at == root.end() ? name : at->second;
  };
  for (const Json& node : elements(member(&graph, "nodes"))) {
    const auto [op, overload] = split_target(text_of(member(&node, "target")));
    const std::span<const Json> inputs = elements(member(&node, "inputs"));
    if (inputs.empty()) continue;
    const std::string first =
        text_of(member(member(member(&inputs[0], "arg"), "as_tensor"), "name"));
    if (first.empty()) continue;
    const bool in_place = op.ends_with("_") && !op.ends_with("__");
    const AtenRow* row = in_place ? nullptr : row_named(op, overload);
    if (in_place) written.insert(root_of(first));
    if (!in_place &&
        (row == nullptr || row->schema.params.empty() || !row->schema.params[0].view)) {
      continue;
    }
    for (const Json& output : elements(member(&node, "outputs"))) {
      const Tagged tag = tagged(output);
      if (tag.tag == "as_tensor") root[text_of(member(tag.value, "name"))] = root_of(first);
      for (const Json& item : elements(tag.tag == "as_tensors" ? tag.value : nullptr)) {
        root[text_of(member(&item, "name"))] = root_of(first);
      }
    }
  }
  return written;
}

Status ExportedImporter::add_inputs(const Json& graph, Environment& env) {
  const Json* signature = member(&program_.graph_module(), "signature");
  const std::set<std::string> written = written_names(graph);
  for (const Json& spec : elements(member(signature, "input_specs"))) {
    const Tagged tag = tagged(spec);
    if (tag.tag == "buffer" && written.contains(name_of(tag.value))) {
      states_[text_of(member(tag.value, "buffer_name"))] = kNoValue;
    }
  }
  for (const Json& spec : elements(member(signature, "output_specs"))) {
    const Tagged tag = tagged(spec);
    if (tag.tag == "buffer_mutation") states_[text_of(member(tag.value, "buffer_name"))] = kNoValue;
  }
  for (const Json& spec : elements(member(signature, "input_specs"))) {
    const Tagged tag = tagged(spec);
    if (tag.value == nullptr) return invalid("an input of no kind");
    MNN_RETURN_IF_ERROR(add_input(graph, tag.tag, *tag.value, env));
  }
  std::vector<std::string> names;
  for (const ValueId id : out_.graph.inputs) names.push_back(out_.graph.value(id).name);
  for (const auto& [name, shape] : options_.shapes) {
    if (std::ranges::find(names, name) != names.end()) continue;
    return usage_error("--shape names '" + name + "', which is no input of the model");
  }
  return frontend::bind_input_shapes(out_.graph, options_.shapes, symbols_).status();
}

Status ExportedImporter::add_update(const std::string& value, const std::string& buffer,
                                    Environment& env) {
  const auto state = states_.find(buffer);
  if (state == states_.end() || state->second == kNoValue) {
    return invalid("buffer '" + buffer + "' changes and is no input");
  }
  const auto binding = env.names.find(value);
  if (binding == env.names.end()) return invalid("'" + value + "' is made by no node");
  if (binding->second.undefined) return {};
  if (binding->second.tensor < 0) return invalid("'" + value + "' is no tensor");
  MNN_ASSIGN_OR_RETURN(const TensorArg next, env.tensors.read(binding->second.tensor));
  if (next.id == state->second) return {};
  for (const StateUpdate& u : out_.graph.updates) {
    if (u.state == state->second) return {};
  }
  out_.graph.updates.push_back({state->second, next.id});
  return {};
}

Status ExportedImporter::add_outputs(Environment& env) {
  Graph& graph = out_.graph;
  const Json* signature = member(&program_.graph_module(), "signature");
  std::set<std::string> used;
  int64_t place = 0;
  for (const Json& spec : elements(member(signature, "output_specs"))) {
    const Tagged tag = tagged(spec);
    if (tag.tag == "buffer_mutation") {
      MNN_RETURN_IF_ERROR(
          add_update(name_of(tag.value), text_of(member(tag.value, "buffer_name")), env));
      continue;
    }
    if (tag.tag == "user_input_mutation" || tag.tag == "parameter_mutation") {
      out_.diagnostics.add({Severity::kNote,
                            Code::kOk,
                            name_of(tag.value),
                            {},
                            "the model writes to an input; what it writes is no output"});
      continue;
    }
    if (tag.tag == "token") continue;
    if (tag.tag != "user_output" && tag.tag != "loss_output") {
      return unsupported("outputs of kind '" + tag.tag + "' are not supported");
    }
    const Json* arg = member(tag.value, "arg");
    const Tagged what = arg == nullptr ? Tagged{} : tagged(*arg);
    if (what.tag == "as_none" || what.value == nullptr) continue;
    std::string name = text_of(member(what.value, "name"));
    if (name.empty()) name = text_of(member(what.value, "as_name"));
    const std::string fallback = "output_" + std::to_string(place++);
    if (!name.empty()) {
      const auto binding = env.names.find(name);
      if (binding != env.names.end() && binding->second.undefined) continue;
    }
    MNN_ASSIGN_OR_RETURN(const Arg value, read_argument(what, env));
    ValueId id = kNoValue;
    if (const TensorArg* t = value.get<TensorArg>()) {
      if (t->complex) {
        out_.diagnostics.add({Severity::kNote,
                              Code::kOk,
                              name,
                              {},
                              "a complex output has a last dim of two: real and imaginary part"});
      }
      id = t->id;
    } else if (const IntArg* n = value.get<IntArg>()) {
      id = n->known() ? graph.add_constant(Tensor::scalar(n->value)) : n->id;
    } else if (const FloatArg* n = value.get<FloatArg>()) {
      id = n->known() ? graph.add_constant(Tensor::scalar(static_cast<float>(n->value))) : n->id;
    } else if (const BoolArg* n = value.get<BoolArg>()) {
      id = n->known() ? graph.add_constant(Tensor::scalar(n->value)) : n->id;
    } else {
      continue;
    }
    if (name.empty()) name = fallback;
    std::string unique = name;
    for (int n = 2; !used.insert(unique).second; ++n) unique = name + "_" + std::to_string(n);
    MNN_RETURN_IF_ERROR(frontend::add_output(env.draft, unique, id, budget_));
  }
  // What in-place operators left in buffers.
  for (const auto& [qualified, state] : states_) {
    const auto name = buffer_names_.find(qualified);
    if (name == buffer_names_.end()) continue;
    MNN_RETURN_IF_ERROR(add_update(name->second, qualified, env));
  }
  return {};
}

Result<ImportedModel> ExportedImporter::run() {
  MNN_RETURN_IF_ERROR(read_facts());
  const Json* graph = member(&program_.graph_module(), "graph");
  if (graph == nullptr || !graph->is_object()) return invalid("the program has no graph");
  frontend::GraphDraft draft(out_.graph);
  Environment env(draft, budget_);
  MNN_RETURN_IF_ERROR(add_inputs(*graph, env));
  MNN_RETURN_IF_ERROR(add_nodes(*graph, env));
  MNN_RETURN_IF_ERROR(out_.diagnostics.status());
  MNN_RETURN_IF_ERROR(add_outputs(env));
  if (out_.graph.outputs.empty() && out_.graph.updates.empty()) {
    return invalid("the program has no outputs");
  }
  remove_dead(out_.graph);
  MNN_RETURN_IF_ERROR(verify(out_.graph));
  return std::move(out_);
}

}  // namespace mnn::torch
