// The nodes of an ExportedProgram's graph.
#include <algorithm>

#include "libconvert/frontends/torch/exported.h"

namespace mnn::torch {
namespace {

// Python's operators on sizes, as the schema table has them.
std::string python_operator(const std::string& name) {
  static const std::map<std::string, std::string, std::less<>> kNames = {
      {"_operator.add", "aten::add"},
      {"_operator.sub", "aten::sub"},
      {"_operator.mul", "aten::mul"},
      {"_operator.truediv", "aten::div"},
      {"_operator.floordiv", "aten::floordiv"},
      {"_operator.mod", "aten::remainder"},
      {"_operator.pow", "aten::pow"},
      {"_operator.neg", "aten::neg"},
      {"_operator.pos", "aten::sym_int"},
      {"_operator.eq", "aten::eq"},
      {"_operator.ne", "aten::ne"},
      {"_operator.lt", "aten::lt"},
      {"_operator.le", "aten::le"},
      {"_operator.gt", "aten::gt"},
      {"_operator.ge", "aten::ge"},
      {"_operator.and_", "aten::sym_and"},
      {"_operator.or_", "aten::sym_or"},
      {"torch.sym_max", "aten::sym_max"},
      {"torch.sym_min", "aten::sym_min"},
      {"torch.sym_not", "aten::sym_not"},
      {"torch.sym_int", "aten::sym_int"},
      {"torch.sym_float", "aten::sym_float"},
      {"torch._sym_sqrt", "aten::sym_sqrt"},
      {"math.ceil", "aten::ceil"},
      {"math.floor", "aten::floor"},
      {"math.trunc", "aten::trunc"},
      {"builtins.round", "aten::round"},
      {"math.sqrt", "aten::sym_sqrt"}};
  const auto at = kNames.find(name);
  return at == kNames.end() ? std::string() : at->second;
}

// The last module of "key,path,class;key,path,class".
std::string module_path(const std::string& stack) {
  const size_t last = stack.rfind(';');
  std::string entry = last == std::string::npos ? stack : stack.substr(last + 1);
  const size_t first = entry.find(',');
  if (first == std::string::npos) return {};
  const size_t second = entry.find(',', first + 1);
  std::string path =
      entry.substr(first + 1, second == std::string::npos ? std::string::npos : second - first - 1);
  const bool plain = std::ranges::all_of(path, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-';
  });
  if (!plain || path.find("_empty_nn_module_stack") != std::string::npos) return {};
  constexpr std::string_view kSelf = "L__self__";
  if (path.starts_with(kSelf)) path.erase(0, kSelf.size());
  return path.starts_with(".") ? path.substr(1) : path;
}

// 'File "net.py", line 130' -> "net.py:130": the first frame, which is the user's.
std::string source_line(const std::string& trace) {
  const size_t open = trace.find("File \"");
  if (open == std::string::npos) return {};
  const size_t close = trace.find('"', open + 6), line = trace.find(", line ", open);
  if (close == std::string::npos || line == std::string::npos) return {};
  size_t end = line + 7;
  while (end < trace.size() && std::isdigit(static_cast<unsigned char>(trace[end])) != 0) ++end;
  return trace.substr(open + 6, close - open - 6) + ":" + trace.substr(line + 7, end - line - 7);
}

}  // namespace

std::pair<std::string, std::string> split_target(const std::string& target) {
  const std::string python = python_operator(target);
  if (!python.empty()) return {python, ""};
  constexpr std::string_view kOps = "torch.ops.";
  if (!target.starts_with(kOps)) return {target, ""};
  const std::string rest = target.substr(kOps.size());
  const size_t first = rest.find('.');
  if (first == std::string::npos) return {rest, ""};
  const size_t second = rest.find('.', first + 1);
  const std::string name =
      rest.substr(0, first) +
      "::" + rest.substr(first + 1, second == std::string::npos ? second : second - first - 1);
  return {name, second == std::string::npos ? "" : rest.substr(second + 1)};
}

ExportedImporter::NodeText ExportedImporter::text_of_node(const Json& node,
                                                          const Environment& env) {
  NodeText text;
  text.json = &node;
  text.target = text_of(member(&node, "target"));
  const Json* metadata = member(&node, "metadata");
  std::string path = module_path(text_of(member(metadata, "nn_module_stack")));
  if (path.empty()) path = env.module_path;
  std::string name = text_of(member(&node, "name"));
  if (name.empty()) {
    for (const Json& output : elements(member(&node, "outputs"))) {
      const Tagged tag = tagged(output);
      if (name.empty()) name = text_of(member(tag.value, "name"));
      if (name.empty()) name = text_of(member(tag.value, "as_name"));
    }
  }
  if (name.empty()) name = text.target;
  text.origin = log_.unique_name(path.empty() ? name : path + "." + name, true);
  text.where = source_line(text_of(member(metadata, "stack_trace")));
  return text;
}

Result<Arg> ExportedImporter::read_name(const std::string& name, Environment& env) {
  const auto binding = env.names.find(name);
  if (binding == env.names.end()) {
    return invalid("value '" + name + "' is made by no node or input before it");
  }
  if (binding->second.undefined) {
    reads_undefined_ = true;
    return Arg();
  }
  if (binding->second.tensor < 0) return binding->second.arg;
  MNN_ASSIGN_OR_RETURN(const TensorArg now, env.tensors.read(binding->second.tensor));
  return Arg(now);
}

Result<Arg> ExportedImporter::read_argument(const Tagged& arg, Environment& env) {
  const auto list = [&](auto&& read) -> Result<Arg> {
    ListArg items;
    for (const Json& item : elements(arg.value)) {
      MNN_ASSIGN_OR_RETURN(Arg one, read(item));
      items.push_back(std::move(one));
    }
    return Arg(std::move(items));
  };
  const auto integer = [&](const Json& j) -> Result<Arg> {
    int64_t n = 0;
    if (!int_of(&j, n)) return invalid("expected a whole number");
    return Arg::of_int(n);
  };
  const auto real = [&](const Json& j) -> Result<Arg> {
    double x = 0;
    if (!number_of(&j, x)) return invalid("expected a number");
    return Arg::of_float(x);
  };
  const auto boolean = [&](const Json& j) -> Result<Arg> {
    if (!j.is_boolean()) return invalid("expected true or false");
    return Arg::of_bool(j.get<bool>());
  };
  const auto named = [&](const Json& j) { return read_name(text_of(member(&j, "name")), env); };
  const auto tagged_item = [&](const Json& j) { return read_argument(tagged(j), env); };
  const auto symbolic = [&](const Json& j) -> Result<Arg> {
    const Tagged tag = tagged(j);
    if (tag.tag == "as_name") return read_name(text_of(tag.value), env);
    if (tag.value == nullptr) return invalid("an argument of no kind");
    return tag.tag == "as_int"    ? integer(*tag.value)
           : tag.tag == "as_bool" ? boolean(*tag.value)
                                  : real(*tag.value);
  };
  const std::string& t = arg.tag;
  if (arg.value == nullptr) return invalid("an argument of no kind");
  if (t == "as_none") return Arg();
  if (t == "as_tensor") return named(*arg.value);
  if (t == "as_tensors") return list(named);
  if (t == "as_optional_tensor" || t == "as_name") {
    return t == "as_name" ? read_name(text_of(arg.value), env) : tagged_item(*arg.value);
  }
  if (t == "as_optional_tensors") return list(tagged_item);
  if (t == "as_int") return integer(*arg.value);
  if (t == "as_ints") return list(integer);
  if (t == "as_float") return real(*arg.value);
  if (t == "as_floats") return list(real);
  if (t == "as_bool") return boolean(*arg.value);
  if (t == "as_bools") return list(boolean);
  if (t == "as_string") return Arg(text_of(arg.value));
  if (t == "as_strings") {
    return list([](const Json& j) -> Result<Arg> { return Arg(text_of(&j)); });
  }
  if (t == "as_sym_int" || t == "as_sym_bool" || t == "as_sym_float") return symbolic(*arg.value);
  if (t == "as_sym_ints" || t == "as_sym_bools" || t == "as_sym_floats") return list(symbolic);
  if (t == "as_scalar_type") return Arg(dtype_of_json(arg.value));
  if (t == "as_device" || t == "as_layout" || t == "as_memory_format") return Arg();
  return unsupported("an argument of kind " + t + " is not supported");
}

Result<AtenCall> ExportedImporter::read_call(const NodeText& node, Environment& env,
                                             TensorId& first) {
  AtenCall call;
  std::tie(call.op, call.overload) = split_target(node.target);
  call.origin = node.origin;
  const bool positional = !node.target.starts_with("torch.ops.");
  bool is_first = true;
  for (const Json& input : elements(member(node.json, "inputs"))) {
    const Json* arg = member(&input, "arg");
    const Tagged tag = arg == nullptr ? Tagged{} : tagged(*arg);
    const std::string name = text_of(member(&input, "name"));
    Result<Arg> value = read_argument(tag, env);
    if (!value.ok())
      return value.status().context(name.empty() ? "an argument" : "argument '" + name + "'");
    if (is_first && tag.tag == "as_tensor") {
      const auto binding = env.names.find(text_of(member(tag.value, "name")));
      if (binding != env.names.end()) first = binding->second.tensor;
    }
    is_first = false;
    if (name.empty() || positional) {
      call.args.push_back(std::move(*value));
    } else {
      call.kwargs.emplace_back(name, std::move(*value));
    }
  }
  return call;
}

Status ExportedImporter::bind_results(const NodeText& node, const std::vector<Arg>& results,
                                      Environment& env, const AtenCall* call, const AtenRow* row,
                                      TensorId base) {
  const bool view = row != nullptr && !row->schema.params.empty() && row->schema.params[0].view &&
                    base >= 0 && call != nullptr;
  const auto bind = [&](const std::string& name, const Arg& value, size_t place) -> Status {
    if (name.empty()) return {};
    Binding binding;
    binding.arg = value;
    if (value.is_none()) binding.undefined = true;
    if (const TensorArg* t = value.get<TensorArg>()) {
      binding.tensor = view ? env.tensors.add_view(base, *call, place, *t) : env.tensors.add(*t);
      Value& v = env.draft.graph.value(t->id);
      if (v.name.empty() && v.kind == ValueKind::kTemporary && env.depth == 0) v.name = name;
    }
    if (!env.names.emplace(name, std::move(binding)).second) {
      return invalid("the name '" + name + "' is given twice");
    }
    return {};
  };
  const std::span<const Json> outputs = elements(member(node.json, "outputs"));
  // One list for several names, or names for the items of a list.
  const ListArg* spread = results.size() == 1 ? results[0].get<ListArg>() : nullptr;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tagged tag = tagged(outputs[i]);
    if (tag.tag == "as_none" || tag.value == nullptr) continue;
    const bool from_list = spread != nullptr && tag.tag == "as_tensor";
    const size_t have = from_list ? spread->size() : results.size();
    if (i >= have) return invalid("it has more outputs than its operator");
    const Arg& value = from_list ? (*spread)[i] : results[i];
    if (tag.tag == "as_tensors" || tag.tag == "as_optional_tensors") {
      const ListArg* list = value.get<ListArg>();
      const std::span<const Json> names = elements(tag.value);
      if (list == nullptr || list->size() < names.size()) {
        return invalid("it has more outputs than its operator");
      }
      for (size_t n = 0; n < names.size(); ++n) {
        const Json* item = member(&names[n], "as_tensor");
        MNN_RETURN_IF_ERROR(
            bind(text_of(member(item == nullptr ? &names[n] : item, "name")), (*list)[n], n));
      }
      continue;
    }
    std::string name = text_of(member(tag.value, "name"));
    if (name.empty()) name = text_of(member(tag.value, "as_name"));
    if (name.empty() && tag.tag == "as_optional_tensor") {
      name = text_of(member(member(tag.value, "as_tensor"), "name"));
    }
    MNN_RETURN_IF_ERROR(bind(name, value, i));
  }
  return {};
}

void ExportedImporter::leave_undefined(const NodeText& node, Environment& env) {
  const auto leave = [&](const std::string& name) {
    Binding binding;
    binding.undefined = true;
    if (!name.empty()) env.names.emplace(name, std::move(binding));
  };
  for (const Json& output : elements(member(node.json, "outputs"))) {
    const Tagged tag = tagged(output);
    leave(text_of(member(tag.value, "name")));
    leave(text_of(member(tag.value, "as_name")));
    for (const Json& item : elements(tag.value)) leave(text_of(member(&item, "name")));
  }
}

Status ExportedImporter::add_aten(const NodeText& node, Environment& env) {
  TensorId first = -1;
  reads_undefined_ = false;
  MNN_ASSIGN_OR_RETURN(const AtenCall call, read_call(node, env, first));
  if (!has_operator(call.op)) return unsupported("it is not supported");
  if (reads_undefined_) return {};
  MNN_ASSIGN_OR_RETURN(const Resolved resolved, resolve_call(call));
  MNN_ASSIGN_OR_RETURN(const std::vector<Arg> results,
                       lower_resolved(env.draft, budget_, resolved, node.origin));
  if (!resolved.in_place || first < 0) {
    return bind_results(node, results, env, &call, resolved.row, first);
  }
  const TensorArg* made = results.empty() ? nullptr : results[0].get<TensorArg>();
  if (made == nullptr) return unsupported("in place it is not supported");
  MNN_RETURN_IF_ERROR(env.tensors.write(first, *made));
  // The result is the tensor itself.
  for (const Json& output : elements(member(node.json, "outputs"))) {
    const std::string name = text_of(member(tagged(output).value, "name"));
    Binding binding;
    binding.arg = results[0];
    binding.tensor = first;
    if (!name.empty()) env.names.insert_or_assign(name, std::move(binding));
  }
  return {};
}

Status ExportedImporter::add_node(const NodeText& node, Environment& env) {
  constexpr std::string_view kHigher = "torch.ops.higher_order.";
  if (node.target.starts_with(kHigher)) {
    return add_higher_order(node, node.target.substr(kHigher.size()), env);
  }
  return add_aten(node, env);
}

Status ExportedImporter::add_nodes(const Json& graph, Environment& env) {
  for (const Json& json : elements(member(&graph, "nodes"))) {
    const NodeText node = text_of_node(json, env);
    Status status = add_node(node, env);
    if (status.code() == Code::kLimit) return status.context("node " + node.origin);
    if (!status.ok()) {
      if (!node.where.empty())
        status = Status(status.code(), status.message() + " (" + node.where + ")");
      const bool counts = !elements(member(&json, "outputs")).empty();
      log_.report(node.origin, node.target, status, counts);
      leave_undefined(node, env);
    } else if (reads_undefined_) {
      leave_undefined(node, env);
    }
    reads_undefined_ = false;
  }
  return {};
}

}  // namespace mnn::torch
