// Calls in the code of a model: of its modules and functions, of operators.
#include <algorithm>
#include <array>

#include "libconvert/frontends/torch/script_operators.h"

namespace mnn::torch {
namespace {

constexpr int kMaxCallDepth = 200;
using Keywords = std::vector<std::pair<std::string, ScriptValue>>;

// Which arguments of an operator are of integers (indices) or bools, where a model does not say of
// what type its inputs are.
struct ArgumentType {
  std::string_view op;
  size_t argument;
  DType dtype;
};
constexpr std::array kArgumentTypes = std::to_array<ArgumentType>({
    {"aten::embedding", 1, DType::kI64},
    {"aten::embedding_bag", 1, DType::kI64},
    {"aten::embedding_bag", 2, DType::kI64},
    {"quantized::embedding_byte", 1, DType::kI64},
    {"quantized::embedding_4bit", 1, DType::kI64},
    {"quantized::embedding_bag_4bit", 1, DType::kI64},
    {"quantized::embedding_bag_4bit", 2, DType::kI64},
    {"quantized::embedding_bag_byte", 1, DType::kI64},
    {"quantized::embedding_bag_byte", 2, DType::kI64},
    {"aten::gather", 2, DType::kI64},
    {"aten::index_select", 2, DType::kI64},
    {"aten::scatter", 2, DType::kI64},
    {"aten::scatter_", 2, DType::kI64},
    {"aten::scatter_add", 2, DType::kI64},
    {"aten::one_hot", 0, DType::kI64},
    {"aten::masked_fill", 1, DType::kBool},
    {"aten::masked_fill_", 1, DType::kBool},
    {"aten::masked_select", 1, DType::kBool},
    {"aten::where", 0, DType::kBool},
    {"aten::bitwise_not", 0, DType::kBool},
    {"aten::take_along_dim", 1, DType::kI64},
    {"aten::index_add", 2, DType::kI64},
});

// The rank of an operator's first argument.
struct ArgumentRank {
  std::string_view op;
  size_t rank;
};
constexpr std::array kArgumentRanks = std::to_array<ArgumentRank>({
    {"aten::conv1d", 3},
    {"aten::conv2d", 4},
    {"aten::conv3d", 5},
    {"aten::conv_transpose1d", 3},
    {"aten::conv_transpose2d", 4},
    {"aten::max_pool1d", 3},
    {"aten::max_pool2d", 4},
    {"aten::avg_pool1d", 3},
    {"aten::avg_pool2d", 4},
    {"aten::adaptive_avg_pool1d", 3},
    {"aten::adaptive_avg_pool2d", 4},
    {"aten::pixel_unshuffle", 4},
    {"aten::pixel_shuffle", 4},
    {"aten::lstm", 3},
    {"aten::gru", 3},
    {"aten::quantized_lstm", 3},
    {"aten::quantized_gru", 3},
    {"aten::rnn_tanh", 3},
    {"aten::rnn_relu", 3},
    {"aten::lstm_cell", 2},
    {"aten::gru_cell", 2},
    {"quantized::quantized_lstm_cell_dynamic", 2},
    {"quantized::quantized_gru_cell_dynamic", 2},
    {"quantized::quantized_rnn_tanh_cell_dynamic", 2},
    {"quantized::quantized_rnn_relu_cell_dynamic", 2},
    {"aten::bmm", 3},
    {"aten::baddbmm", 3},
    {"aten::addmm", 2},
    {"aten::mm", 2},
    {"aten::upsample_nearest2d", 4},
    {"aten::upsample_bilinear2d", 4},
    {"aten::upsample_bicubic2d", 4},
    {"aten::upsample_linear1d", 3},
});

// Operators that only move elements about: indices stay indices.
constexpr std::array kMoves = std::to_array<std::string_view>(
    {"aten::view", "aten::reshape", "aten::flatten", "aten::contiguous", "aten::clone",
     "aten::transpose", "aten::permute", "aten::unsqueeze", "aten::squeeze", "aten::select",
     "aten::slice", "aten::expand", "aten::unbind", "aten::chunk", "aten::split", "aten::t",
     "aten::detach", "aten::cat", "aten::flip"});

// Whether the value is of a type, or of one of several; nullopt for types that are not known.
std::optional<bool> is_instance(const ScriptValue& value, const Expr& type) {
  if (type.kind == Expr::Kind::kTuple || type.kind == Expr::Kind::kList) {
    bool any = false;
    for (const Expr& one : type.items) {
      const std::optional<bool> fits = is_instance(value, one);
      if (!fits) return std::nullopt;
      any |= *fits;
    }
    return any;
  }
  if (type.kind == Expr::Kind::kNone) return is_none(value);
  // `List[Tensor]`: what the items are the code has checked.
  const std::string name = type.kind == Expr::Kind::kIndex ? type.items[0].text : type.dotted();
  const auto* list = as<ListValue*>(value);
  const auto* symbolic = as<SymbolicNumber>(value);
  const auto counts = [&](SymbolicNumber::Kind kind) {
    return symbolic != nullptr && symbolic->kind == kind;
  };
  if (name == "Tensor") return as<TensorRef>(value) != nullptr;
  if (name == "int") return as<int64_t>(value) != nullptr || counts(SymbolicNumber::Kind::kInt);
  if (name == "float") return as<double>(value) != nullptr || counts(SymbolicNumber::Kind::kFloat);
  if (name == "bool") return as<bool>(value) != nullptr || counts(SymbolicNumber::Kind::kBool);
  if (name == "str") return as<std::string>(value) != nullptr;
  if (name == "NoneType") return is_none(value);
  if (name == "list" || name == "List") return list != nullptr && !(*list)->tuple;
  if (name == "tuple" || name == "Tuple") return list != nullptr && (*list)->tuple;
  if (name == "dict" || name == "Dict") return as<DictValue*>(value) != nullptr;
  return std::nullopt;
}

}  // namespace

bool writes(std::string_view op) { return op.ends_with('_') && !op.ends_with("__"); }

std::string Interpreter::here() const {
  if (frames_.empty() || statement_ == nullptr) return {};
  return frames_.back()->file + ":" + std::to_string(statement_->line);
}

std::string Interpreter::origin(const std::string& op) {
  const std::string& path = frames_.empty() ? std::string() : frames_.back()->path;
  const size_t colon = op.rfind(':');
  const std::string name = colon == std::string::npos ? op : op.substr(colon + 1);
  return path.empty() ? name : path + "/" + name;
}

ScriptValue Interpreter::fail(const std::string& op, const Status& why) {
  failures_.push_back({origin(op), op, Status(why.code(), here() + ": " + why.message())});
  return Undefined{{}, {static_cast<int>(failures_.size()) - 1}};
}

const std::string* Interpreter::input_of(ValueId id) const {
  const auto known = input_of_.find(id);
  return known == input_of_.end() ? nullptr : &known->second;
}

Result<ScriptValue> Interpreter::eval_call(const Expr& expr, Frame& frame) {
  const Expr& callee = expr.items[0];
  if (callee.kind == Expr::Kind::kName && !frame.locals.contains(callee.text)) {
    bool known = true;
    Result<ScriptValue> value = eval_builtin_name(callee.text, expr, frame, known);
    if (known) return value;
  }
  MNN_ASSIGN_OR_RETURN(std::vector<ScriptValue> args,
                       eval_all(std::span(expr.items).subspan(1), frame));
  Keywords keywords;
  for (const auto& [name, value] : expr.keywords) {
    MNN_ASSIGN_OR_RETURN(ScriptValue made, eval(value, frame));
    keywords.emplace_back(name, std::move(made));
  }
  if (retry_) return ScriptValue(None{});
  if (callee.kind != Expr::Kind::kMember) {
    MNN_ASSIGN_OR_RETURN(const ScriptValue value, eval(callee, frame));
    return call_value(value, std::move(args), std::move(keywords));
  }
  const std::string path = callee.dotted();
  if (path.starts_with("torch.")) {
    return dispatch("aten::" + path.substr(6), std::move(args), std::move(keywords));
  }
  if (path.starts_with("ops.")) {
    const size_t dot = path.find('.', 4);
    if (dot == std::string::npos) return invalid("the operator " + path + " has no namespace");
    return dispatch(path.substr(4, dot - 4) + "::" + path.substr(dot + 1), std::move(args),
                    std::move(keywords));
  }
  if (path.starts_with("__torch__.")) {
    constexpr std::string_view kNew = ".__new__";
    if (path.ends_with(kNew)) {
      ObjectValue* object = add_object();
      object->class_name = path.substr(0, path.size() - kNew.size());
      MNN_ASSIGN_OR_RETURN(object->type, program_.find_class(object->class_name));
      return ScriptValue(object);
    }
    MNN_ASSIGN_OR_RETURN(const ScriptValue value, find_global(path));
    return call_value(value, std::move(args), std::move(keywords));
  }
  MNN_ASSIGN_OR_RETURN(const ScriptValue owner, eval(callee.items[0], frame));
  if (as<Undefined>(owner) != nullptr) return owner;
  if (const auto* object = as<ObjectValue*>(owner)) {
    return call_method(**object, callee.text, std::move(args), std::move(keywords));
  }
  return unsupported("the method " + callee.text + " of " + kind_of(owner));
}

Result<ScriptValue> Interpreter::call_value(const ScriptValue& callee,
                                            std::vector<ScriptValue> args, Keywords keywords) {
  if (const auto* type = as<ClassRef>(callee)) {
    return construct(*type, std::move(args), std::move(keywords));
  }
  const auto* function = as<FunctionRef>(callee);
  if (function == nullptr) return invalid(kind_of(callee) + " cannot be called");
  return call_function(*function->function, "functions",
                       frames_.empty() ? std::string() : frames_.back()->path, std::move(args),
                       std::move(keywords));
}

Result<ScriptValue> Interpreter::construct(const ClassRef& type, std::vector<ScriptValue> args,
                                           Keywords keywords) {
  if (type.type->base == "NamedTuple") {
    ListValue* tuple = add_list(std::move(args), true);
    for (auto& [name, value] : keywords) tuple->items.push_back(std::move(value));
    tuple->type = type.type;
    return ScriptValue(tuple);
  }
  ObjectValue* object = add_object();
  object->class_name = type.name;
  object->type = type.type;
  if (type.type->methods.contains("__init__")) {
    MNN_RETURN_IF_ERROR(
        call_method(*object, "__init__", std::move(args), std::move(keywords)).status());
  }
  return ScriptValue(object);
}

Result<ScriptValue> Interpreter::call_method(ObjectValue& object, const std::string& name,
                                             std::vector<ScriptValue> args, Keywords keywords) {
  if (object.type == nullptr) return invalid("the archive has no code of " + object.class_name);
  const auto method = object.type->methods.find(name);
  if (method == object.type->methods.end()) {
    return invalid(object.class_name + " has no method " + name);
  }
  args.insert(args.begin(), &object);
  return call_function(method->second, ScriptProgram::file_of(object.class_name), object.path,
                       std::move(args), std::move(keywords));
}

Result<ScriptValue> Interpreter::call_function(const Function& function, const std::string& file,
                                               const std::string& path,
                                               std::vector<ScriptValue> args, Keywords keywords) {
  if (depth_ >= kMaxCallDepth) {
    return limit_exceeded("functions call each other more than " + std::to_string(kMaxCallDepth) +
                          " deep");
  }
  Frame frame;
  frame.path = path;
  frame.function = &function;
  frame.file = file;
  if (args.size() > function.parameters.size()) {
    return invalid(function.name + " takes " + std::to_string(function.parameters.size()) +
                   " arguments, found " + std::to_string(args.size()));
  }
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    const Parameter& parameter = function.parameters[i];
    const auto keyword = std::ranges::find(keywords, parameter.name, &Keywords::value_type::first);
    if (i < args.size()) {
      frame.locals.emplace(parameter.name, std::move(args[i]));
    } else if (keyword != keywords.end()) {
      frame.locals.emplace(parameter.name, std::move(keyword->second));
    } else if (parameter.has_default) {
      MNN_ASSIGN_OR_RETURN(ScriptValue value, eval(parameter.fallback, frame));
      frame.locals.emplace(parameter.name, std::move(value));
    } else {
      return invalid(function.name + " needs the argument " + parameter.name);
    }
  }
  ++depth_;
  frames_.push_back(&frame);
  const Stmt* caller = statement_;
  Flow flow = Flow::kNext;
  const Status status = exec(function.body, frame, flow);
  std::string where = here();
  statement_ = caller;
  frames_.pop_back();
  --depth_;
  if (!status.ok()) return where.empty() ? status : status.context(where);
  if (flow == Flow::kRaised) {
    return invalid(where + ": the model raises an exception for inputs of this kind");
  }
  return std::move(frame.returned);
}

Result<ScriptValue> Interpreter::eval_builtin_name(const std::string& name, const Expr& expr,
                                                   Frame& frame, bool& known) {
  const size_t count = expr.items.size() - 1;
  if ((name == "annotate" || name == "unchecked_cast") && count == 2) {
    MNN_ASSIGN_OR_RETURN(const ScriptValue value, eval(expr.items[2], frame));
    // `annotate(number, t)` takes the number out of a tensor.
    const bool scalar = expr.items[1].text == "number" && as<TensorRef>(value) != nullptr;
    return scalar ? dispatch("aten::item", {value}, {}) : Result<ScriptValue>(value);
  }
  if (name == "uninitialized") return ScriptValue(Undefined{"a variable that was not set", {}});
  if (name == "getattr" && count == 2) {
    MNN_ASSIGN_OR_RETURN(const ScriptValue owner, eval(expr.items[1], frame));
    const auto* object = as<ObjectValue*>(owner);
    if (object == nullptr) return invalid("getattr of " + kind_of(owner));
    return attribute(**object, expr.items[2].text);
  }
  if (name == "isinstance" && count == 2) {
    MNN_ASSIGN_OR_RETURN(const ScriptValue value, eval(expr.items[1], frame));
    if (as<Undefined>(value) != nullptr) return value;
    const std::optional<bool> fits = is_instance(value, expr.items[2]);
    if (!fits) return unsupported("isinstance of the type " + expr.items[2].dotted());
    return ScriptValue(*fits);
  }
  if (!find_script_operator("builtin::" + name)) {
    known = false;
    return ScriptValue(None{});
  }
  MNN_ASSIGN_OR_RETURN(std::vector<ScriptValue> args,
                       eval_all(std::span(expr.items).subspan(1), frame));
  return dispatch("builtin::" + name, std::move(args), {});
}

Result<ScriptValue> Interpreter::dispatch(const std::string& op, std::vector<ScriptValue> args,
                                          Keywords keywords) {
  // What a failed operator should have made is passed over in silence.
  Undefined undefined;
  // Containers hold undefined values like others.
  const bool stores = op == "aten::append" || op == "aten::_set_item" || op == "aten::insert";
  const auto look = [&](const ScriptValue& value) {
    const auto* none = as<Undefined>(value);
    if (none == nullptr) return;
    if (undefined.why.empty()) undefined.why = none->why;
    undefined.failures.insert(undefined.failures.end(), none->failures.begin(),
                              none->failures.end());
  };
  for (const ScriptValue& arg : args) {
    look(arg);
    const auto* list = as<ListValue*>(arg);
    if (list == nullptr || stores) continue;
    for (const ScriptValue& item : (*list)->items) look(item);
  }
  if (!stores && !undefined.failures.empty()) {
    // What a write leaves undone no result shows.
    if (writes(op)) return fail(op, unsupported("what it writes depends on what failed"));
    return ScriptValue(undefined);
  }
  if (!stores && !undefined.why.empty()) return fail(op, invalid("it reads " + undefined.why));
  if (const ScriptOperator builtin = find_script_operator(op)) {
    ScriptCall call{*this, args, keywords};
    const Result<bool> done = builtin(call);
    if (!done.ok()) {
      const Code code = done.status().code();
      if (code == Code::kLimit || code == Code::kInternal) return done.status();
      blame_rank(args);
      return fail(op, done.status());
    }
    if (*done) return std::move(call.result);
  }
  return call_operator(op, std::move(args), std::move(keywords));
}

const std::string* Interpreter::unranked_input(const ScriptValue& value) {
  const auto* ref = as<TensorRef>(value);
  const auto* symbolic = as<SymbolicNumber>(value);
  if (symbolic != nullptr) ref = &symbolic->tensor;
  if (ref == nullptr || ref->level != 0 || levels_.size() != 1) return nullptr;
  const Result<TensorArg> tensor = read(*ref);
  if (!tensor.ok() || type_of(*tensor).shape) return nullptr;
  const auto known = rank_of_.find(tensor->id);
  return known == rank_of_.end() ? nullptr : &known->second;
}

void Interpreter::blame_rank(const std::vector<ScriptValue>& args) {
  for (const ScriptValue& arg : args) {
    if (!unranked_.empty()) return;
    if (const auto* list = as<ListValue*>(arg)) {
      for (const ScriptValue& item : (*list)->items) {
        const std::string* input = unranked_input(item);
        if (input != nullptr && unranked_.empty()) unranked_ = *input;
      }
    }
    if (const std::string* input = unranked_input(arg)) unranked_ = *input;
  }
}

void Interpreter::follow_rank(const std::vector<ScriptValue>& args,
                              const std::vector<Arg>& results) {
  const std::string* input = nullptr;
  for (size_t i = 0; i < args.size() && input == nullptr; ++i) {
    input = unranked_input(args[i]);
    const auto* list = as<ListValue*>(args[i]);
    for (size_t k = 0; list != nullptr && k < (*list)->items.size() && input == nullptr; ++k) {
      input = unranked_input((*list)->items[k]);
    }
  }
  if (input == nullptr) return;
  const std::string name = *input;
  const auto follow = [&](const Arg& result) {
    const auto* tensor = result.get<TensorArg>();
    if (tensor != nullptr && !type_of(*tensor).shape) rank_of_.emplace(tensor->id, name);
  };
  for (const Arg& result : results) {
    follow(result);
    const auto* list = result.get<ListArg>();
    for (size_t i = 0; list != nullptr && i < list->size(); ++i) follow((*list)[i]);
  }
}

void Interpreter::guess_input(const std::string& op, const std::vector<ScriptValue>& args) {
  const auto input = [&](size_t i) -> const std::string* {
    const auto* ref = i < args.size() ? as<TensorRef>(args[i]) : nullptr;
    if (ref == nullptr || ref->level != 0 || levels_.size() != 1) return nullptr;
    const Result<TensorArg> tensor = read(*ref);
    return tensor.ok() ? input_of(tensor->id) : nullptr;
  };
  for (const ArgumentType& row : kArgumentTypes) {
    if (row.op != op) continue;
    const std::string* name = input(row.argument);
    if (name == nullptr || hints_.dtypes.contains(*name)) continue;
    hints_.dtypes.emplace(*name, row.dtype);
    retry_ = true;
  }
  const std::string* name = input(0);
  if (name == nullptr || hints_.ranks.contains(*name)) return;
  const Result<TensorArg> tensor = read(*as<TensorRef>(args[0]));
  if (!tensor.ok() || type_of(*tensor).shape) return;
  const auto row = std::ranges::find(kArgumentRanks, op, &ArgumentRank::op);
  std::optional<size_t> rank;
  if (row != kArgumentRanks.end()) rank = row->rank;
  if (op == "aten::_convolution" || op == "aten::convolution") {
    const Result<std::optional<Shape>> weight = shape_of(args.size() > 1 ? args[1] : None{});
    if (weight.ok() && *weight) rank = (*weight)->size();
  }
  if (!rank) return;
  hints_.ranks.emplace(*name, *rank);
  retry_ = true;
}

void Interpreter::follow_input(const std::string& op, const std::vector<Arg>& args,
                               const std::vector<Arg>& results) {
  if (std::ranges::find(kMoves, op) == kMoves.end() || args.empty()) return;
  const Arg* from = &args[0];
  if (const auto* list = from->get<ListArg>(); list != nullptr && !list->empty())
    from = &(*list)[0];
  const auto* tensor = from->get<TensorArg>();
  const std::string* name = tensor != nullptr ? input_of(tensor->id) : nullptr;
  if (name == nullptr) return;
  const std::string input = *name;
  for (const Arg& result : results) {
    if (const auto* made = result.get<TensorArg>()) input_of_.emplace(made->id, input);
    const auto* list = result.get<ListArg>();
    for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
      if (const auto* made = (*list)[i].get<TensorArg>()) input_of_.emplace(made->id, input);
    }
  }
}

Result<ScriptValue> Interpreter::call_operator(const std::string& op, std::vector<ScriptValue> args,
                                               Keywords keywords) {
  guess_input(op, args);
  if (retry_) return ScriptValue(None{});
  AtenCall call;
  call.op = op;
  for (const ScriptValue& arg : args) {
    Result<Arg> made = to_arg(arg);
    if (!made.ok()) return fail(op, made.status());
    call.args.push_back(std::move(made).value());
  }
  for (const auto& [name, value] : keywords) {
    Result<Arg> made = to_arg(value);
    if (!made.ok()) return fail(op, made.status());
    call.kwargs.emplace_back(name, std::move(made).value());
  }
  call.origin = log_.unique_name(origin(op), true);
  const Result<Resolved> resolved = resolve_call(call);
  if (!resolved.ok()) return fail(op, resolved.status());
  Result<std::vector<Arg>> lowered = lower_resolved(draft(), budget_, *resolved, call.origin);
  if (!lowered.ok()) {
    if (lowered.status().code() == Code::kLimit) return lowered.status();
    blame_rank(args);
    return fail(op, lowered.status());
  }
  if (levels_.size() == 1) {
    follow_input(op, call.args, *lowered);
    follow_rank(args, *lowered);
  }
  Result<std::vector<ScriptValue>> results =
      results_of(*resolved, call, args, std::move(lowered).value());
  if (!results.ok()) return fail(op, results.status());
  if (results->size() == 1) return std::move((*results)[0]);
  if (results->empty()) return ScriptValue(None{});
  return ScriptValue(add_list(std::move(results).value(), true));
}

Result<std::vector<ScriptValue>> Interpreter::results_of(const Resolved& resolved,
                                                         const AtenCall& call,
                                                         const std::vector<ScriptValue>& args,
                                                         std::vector<Arg> results) {
  std::vector<ScriptValue> values;
  if (resolved.in_place) {
    const auto* target = args.empty() ? nullptr : as<TensorRef>(args[0]);
    const auto* made = results.empty() ? nullptr : results[0].get<TensorArg>();
    if (target == nullptr || made == nullptr)
      return unsupported("an in-place operator on no tensor");
    MNN_RETURN_IF_ERROR(write(*target, *made));
    values.push_back(args[0]);
    return values;
  }
  const auto& params = resolved.row->schema.params;
  const bool view = !params.empty() && params[0].view;
  const auto* base = args.empty() ? nullptr : as<TensorRef>(args[0]);
  TensorId base_id = -1;
  if (view && base != nullptr) {
    base_id = base->id;
    if (base->level != static_cast<int>(levels_.size()) - 1) {
      MNN_RETURN_IF_ERROR(read(*base).status());
      base_id = levels_.back()->inside.at(*base);
    }
  }
  const auto add = [&](const Arg& arg, size_t index) -> Result<ScriptValue> {
    const auto* tensor = arg.get<TensorArg>();
    if (tensor == nullptr || base_id < 0) return from_arg(arg);
    const int level = static_cast<int>(levels_.size()) - 1;
    return ScriptValue(
        TensorRef{level, levels_.back()->tensors.add_view(base_id, call, index, *tensor)});
  };
  for (size_t r = 0; r < results.size(); ++r) {
    const auto* list = results[r].get<ListArg>();
    if (list == nullptr) {
      MNN_ASSIGN_OR_RETURN(ScriptValue value, add(results[r], r));
      values.push_back(std::move(value));
      continue;
    }
    std::vector<ScriptValue> items;
    for (size_t i = 0; i < list->size(); ++i) {
      MNN_ASSIGN_OR_RETURN(ScriptValue value, add((*list)[i], i));
      items.push_back(std::move(value));
    }
    values.emplace_back(add_list(std::move(items)));
  }
  return values;
}

}  // namespace mnn::torch
