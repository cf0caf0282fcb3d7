#include "libconvert/frontends/torch/interpreter.h"

#include <algorithm>

namespace mnn::torch {
namespace {

constexpr int64_t kMaxSteps = 20'000'000;  // statements and expressions of one conversion
constexpr int64_t kMaxTrips = 10'000;      // of a loop that is unfolded

std::string joined(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

}  // namespace

std::string kind_of(const ScriptValue& value) {
  constexpr const char* kNames[] = {
      "None",   "an undefined value", "a tensor", "a number", "an int",   "a float",
      "a bool", "a string",           "a list",   "a dict",   "a module", "a function",
      "a class"};
  return kNames[value.index()];
}

Interpreter::Interpreter(ScriptProgram& program, frontend::GraphDraft& draft,
                         frontend::Scope& scope, frontend::NodeLog& log, int64_t& budget,
                         Hints& hints)
    : program_(program), log_(log), budget_(budget), hints_(hints), main_(draft, scope, budget) {
  levels_.push_back(&main_);
}

Result<ScriptValue> Interpreter::run(const std::string& method, std::vector<ScriptValue> args,
                                     std::vector<std::pair<std::string, ScriptValue>> keywords) {
  return call_method(*module_, method, std::move(args), std::move(keywords));
}

ScriptValue Interpreter::add_tensor(TensorArg value) {
  return TensorRef{static_cast<int>(levels_.size()) - 1, levels_.back()->tensors.add(value)};
}

ScriptValue Interpreter::add_constant(const Tensor& tensor) {
  return add_tensor({draft().graph.add_constant(tensor)});
}

ListValue* Interpreter::add_list(std::vector<ScriptValue> items, bool tuple) {
  ListValue& list = lists_.emplace_back();
  list.items = std::move(items);
  list.tuple = tuple;
  return &list;
}

DictValue* Interpreter::add_dict() { return &dicts_.emplace_back(); }

Result<TensorArg> Interpreter::read(const TensorRef& ref) {
  const int top = static_cast<int>(levels_.size()) - 1;
  if (ref.level > top) return internal_error("a tensor is read outside of its graph");
  if (ref.level == top) return levels_.back()->tensors.read(ref.id);
  Level& level = *levels_.back();
  const auto known = level.inside.find(ref);
  if (known != level.inside.end()) return level.tensors.read(known->second);
  levels_.pop_back();
  Result<TensorArg> outer = read(ref);
  levels_.push_back(&level);
  if (!outer.ok()) return outer;
  TensorArg inner{frontend::capture(level.scope, outer->id), outer->complex, {}};
  if (outer->quantized()) {
    // Constants stay constants.
    const Graph& around = levels_[levels_.size() - 2]->scope.draft.graph;
    const auto enter = [&](ValueId id) {
      const Tensor* constant = around.constant(id);
      return constant != nullptr ? draft().graph.add_constant(*constant)
                                 : frontend::capture(level.scope, id);
    };
    inner.grid = {enter(outer->grid.scale), enter(outer->grid.zero_point), outer->grid.axis};
  }
  level.inside.emplace(ref, level.tensors.add(inner));
  level.entered.emplace(ref, inner.id);
  return inner;
}

Status Interpreter::write(const TensorRef& ref, TensorArg value) {
  Level& level = *levels_.back();
  if (ref.level == static_cast<int>(levels_.size()) - 1) {
    return level.tensors.write(ref.id, value);
  }
  MNN_RETURN_IF_ERROR(read(ref).status());
  return level.tensors.write(level.inside.at(ref), value);
}

void Interpreter::touch(ListValue& list) {
  for (Journal* journal : journals_) journal->lists.emplace(&list, list.items);
}

void Interpreter::touch(DictValue& dict) {
  for (Journal* journal : journals_) journal->dicts.emplace(&dict, dict.items);
}

void Interpreter::set_attribute(ObjectValue& object, const std::string& name, ScriptValue value) {
  const auto old = object.attributes.find(name);
  if (old != object.attributes.end()) {
    for (Journal* journal : journals_) {
      journal->attributes.emplace(std::make_pair(&object, name), old->second);
    }
  }
  object.attributes.insert_or_assign(name, std::move(value));
}

Result<ScriptValue> Interpreter::attribute(ObjectValue& object, const std::string& name) {
  const auto known = object.attributes.find(name);
  if (known != object.attributes.end()) return known->second;
  if (name == "training") return ScriptValue(false);
  const Pickled* pickled = object.state != nullptr ? object.state->find(name) : nullptr;
  if (pickled != nullptr) {
    const std::string path = joined(object.path, name);
    // What a module holds is the main graph's.
    std::vector<Level*> levels;
    levels.swap(levels_);
    levels_.push_back(levels.front());
    Result<ScriptValue> value = from_pickle(*pickled, path);
    levels_.swap(levels);
    if (!value.ok()) return value.status().context(path);
    const auto settled = hints_.numbers.find(path);
    if (settled != hints_.numbers.end()) value = settled->second;
    object.attributes.emplace(name, *value);
    initial_.emplace(path, FileAttribute{&object, name, *value});
    return value;
  }
  if (object.type != nullptr) {
    const auto constant = object.type->constants.find(name);
    if (constant != object.type->constants.end()) {
      Frame frame;
      return eval(constant->second, frame);
    }
  }
  return invalid(object.class_name + " has no attribute " + name);
}

Result<ScriptValue> Interpreter::from_pickle(const Pickled& value, const std::string& path,
                                             int depth) {
  if (depth > kMaxPickleDepth) {
    return limit_exceeded("its attributes are nested too deeply, or contain themselves");
  }
  const auto known = pickled_.find(&value);
  if (known != pickled_.end()) return known->second;
  using Kind = Pickled::Kind;
  ScriptValue made = None{};
  switch (value.kind) {
    case Kind::kNone: return made;
    case Kind::kBool: return ScriptValue(value.number != 0);
    case Kind::kInt: return ScriptValue(value.number);
    case Kind::kFloat: return ScriptValue(value.real);
    case Kind::kString: return ScriptValue(value.text);
    case Kind::kTensor: {
      if (!value.items.empty() && value.items[0]->kind == Kind::kTuple) {
        MNN_ASSIGN_OR_RETURN(made, from_codes(value, path));
        break;
      }
      const auto state = hints_.states.find(path);
      Tensor data = value.tensor;
      const bool complex = data.dtype() == DType::kC64;
      if (complex) data = real_pairs(data);
      if (state != hints_.states.end() && data.elements() == 0) {
        MNN_ASSIGN_OR_RETURN(data, Tensor::allocate(data.dtype(), state->second));
      }
      Graph& graph = draft().graph;
      const ValueId id = graph.add_constant(data, path);
      if (state != hints_.states.end()) graph.value(id).kind = ValueKind::kState;
      made = add_tensor({id, complex});
      file_tensors_.emplace(path, FileTensor{made, id});
      break;
    }
    case Kind::kList:
    case Kind::kTuple: {
      std::vector<ScriptValue> items;
      for (const Pickled* item : value.items) {
        const std::string name = joined(path, std::to_string(items.size()));
        MNN_ASSIGN_OR_RETURN(ScriptValue inner, from_pickle(*item, name, depth + 1));
        items.push_back(std::move(inner));
      }
      made = add_list(std::move(items), value.kind == Kind::kTuple);
      break;
    }
    case Kind::kDict: {
      DictValue* dict = add_dict();
      for (size_t i = 0; i + 1 < value.items.size(); i += 2) {
        MNN_ASSIGN_OR_RETURN(ScriptValue key, from_pickle(*value.items[i], path, depth + 1));
        const auto* text = as<std::string>(key);
        const std::string name = joined(path, text != nullptr ? *text : std::to_string(i / 2));
        MNN_ASSIGN_OR_RETURN(ScriptValue inner, from_pickle(*value.items[i + 1], name, depth + 1));
        dict->items.emplace_back(std::move(key), std::move(inner));
      }
      made = dict;
      break;
    }
    case Kind::kGlobal: return unsupported("the value " + value.text);
    case Kind::kObject: {
      if (value.text.starts_with("__torch__.torch.classes.")) {
        MNN_ASSIGN_OR_RETURN(made, from_packed(value, path, depth));
        break;
      }
      ObjectValue* object = add_object();
      object->path = path;
      object->class_name = value.text;
      object->state = &value;
      MNN_ASSIGN_OR_RETURN(object->type, program_.find_class(value.text));
      made = object;
      if (module_ == nullptr) module_ = object;
      const bool own_state = !value.items.empty() && value.items[0]->kind != Kind::kDict &&
                             object->type != nullptr &&
                             object->type->methods.contains("__setstate__");
      if (own_state) {
        pickled_.emplace(&value, made);
        MNN_RETURN_IF_ERROR(set_state(*object, *value.items[0], depth));
      }
      break;
    }
  }
  pickled_.emplace(&value, made);
  return made;
}

// A class with a state of its own makes its attributes from it.
Status Interpreter::set_state(ObjectValue& object, const Pickled& state, int depth) {
  object.state = nullptr;
  MNN_ASSIGN_OR_RETURN(ScriptValue value, from_pickle(state, object.path, depth + 1));
  MNN_RETURN_IF_ERROR(call_method(object, "__setstate__", {std::move(value)}, {}).status());
  for (const auto& [name, attribute] : object.attributes) {
    initial_.emplace(joined(object.path, name), FileAttribute{&object, name, attribute});
  }
  return {};
}

std::optional<Dim> Interpreter::dim_of(const ScriptValue& value) {
  if (const auto* number = as<int64_t>(value)) return Dim(*number);
  if (const auto* flag = as<bool>(value)) return Dim(*flag ? 1 : 0);
  const auto* symbolic = as<SymbolicNumber>(value);
  if (symbolic == nullptr || symbolic->kind == SymbolicNumber::Kind::kFloat) return std::nullopt;
  const Result<TensorArg> tensor = read(symbolic->tensor);
  if (!tensor.ok()) return std::nullopt;
  const ShapeValues* known = draft().types.known(tensor->id);
  if (known == nullptr || known->size() != 1 || (*known)[0].is_unknown()) return std::nullopt;
  return (*known)[0];
}

Result<Arg> Interpreter::to_arg(const ScriptValue& value) {
  if (const auto* tensor = as<TensorRef>(value)) {
    MNN_ASSIGN_OR_RETURN(const TensorArg read_now, read(*tensor));
    return Arg(read_now);
  }
  if (const auto* symbolic = as<SymbolicNumber>(value)) {
    MNN_ASSIGN_OR_RETURN(const TensorArg tensor, read(symbolic->tensor));
    switch (symbolic->kind) {
      case SymbolicNumber::Kind::kInt: return Arg(IntArg{0, tensor.id});
      case SymbolicNumber::Kind::kFloat: return Arg(FloatArg{0, tensor.id});
      case SymbolicNumber::Kind::kBool: return Arg(BoolArg{false, tensor.id});
    }
  }
  if (const auto* number = as<int64_t>(value)) return Arg::of_int(*number);
  if (const auto* number = as<double>(value)) return Arg::of_float(*number);
  if (const auto* flag = as<bool>(value)) return Arg::of_bool(*flag);
  if (const auto* text = as<std::string>(value)) return Arg(*text);
  if (is_none(value)) return Arg();
  if (const auto* list = as<ListValue*>(value)) {
    ListArg items;
    for (const ScriptValue& item : (*list)->items) {
      MNN_ASSIGN_OR_RETURN(Arg arg, to_arg(item));
      items.push_back(std::move(arg));
    }
    return Arg(std::move(items));
  }
  return unsupported(kind_of(value) + " as an argument");
}

Result<ScriptValue> Interpreter::from_arg(const Arg& arg) {
  if (const auto* tensor = arg.get<TensorArg>()) return add_tensor(*tensor);
  const auto symbolic = [&](ValueId id, SymbolicNumber::Kind kind) {
    const ScriptValue tensor = add_tensor({id});
    return number_from(tensor, kind);
  };
  if (const auto* number = arg.get<IntArg>()) {
    if (number->known()) return ScriptValue(number->value);
    return symbolic(number->id, SymbolicNumber::Kind::kInt);
  }
  if (const auto* number = arg.get<FloatArg>()) {
    if (number->known()) return ScriptValue(number->value);
    return symbolic(number->id, SymbolicNumber::Kind::kFloat);
  }
  if (const auto* flag = arg.get<BoolArg>()) {
    if (flag->known()) return ScriptValue(flag->value);
    return symbolic(flag->id, SymbolicNumber::Kind::kBool);
  }
  if (const auto* text = arg.get<std::string>()) return ScriptValue(*text);
  if (const auto* list = arg.get<ListArg>()) {
    std::vector<ScriptValue> items;
    for (const Arg& item : *list) {
      MNN_ASSIGN_OR_RETURN(ScriptValue value, from_arg(item));
      items.push_back(std::move(value));
    }
    return ScriptValue(add_list(std::move(items)));
  }
  return ScriptValue(None{});
}

Result<std::optional<Shape>> Interpreter::shape_of(const ScriptValue& tensor) {
  const auto* ref = as<TensorRef>(tensor);
  if (ref == nullptr) return invalid("expected a tensor, found " + kind_of(tensor));
  MNN_ASSIGN_OR_RETURN(const TensorArg arg, read(*ref));
  std::optional<Shape> shape = type_of(arg).shape;
  if (shape && arg.complex) shape->pop_back();
  return shape;
}

Result<ScriptValue> Interpreter::size_of(const ScriptValue& tensor, int64_t axis) {
  MNN_ASSIGN_OR_RETURN(const std::optional<Shape> shape, shape_of(tensor));
  if (shape) {
    const auto rank = static_cast<int64_t>(shape->size());
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) {
      return invalid("dimension " + std::to_string(axis) + " of a tensor of rank " +
                     std::to_string(rank));
    }
    const Dim& dim = (*shape)[static_cast<size_t>(axis)];
    if (dim.known()) return ScriptValue(dim.value());
  }
  MNN_ASSIGN_OR_RETURN(const TensorArg arg, read(*as<TensorRef>(tensor)));
  if (!shape && arg.complex && axis < 0) --axis;
  frontend::NodeBuilder builder(draft(), budget_);
  builder.name = origin("size");
  const ValueId dims = builder.emit("Shape", {arg.id});
  const ValueId index = draft().graph.add_constant(Tensor::scalar<int64_t>(axis));
  const ValueId size = builder.emit("Gather", {dims, index});
  MNN_RETURN_IF_ERROR(builder.status);
  return from_arg(IntArg{0, size});
}

Status Interpreter::exec(const std::vector<Stmt>& body, Frame& frame, Flow& flow) {
  flow = Flow::kNext;
  for (const Stmt& stmt : body) {
    statement_ = &stmt;
    if (++steps_ > kMaxSteps) return limit_exceeded("the code of the model runs too long");
    MNN_RETURN_IF_ERROR(exec_statement(stmt, frame, flow));
    if (flow != Flow::kNext || retry_) return {};
  }
  return {};
}

Status Interpreter::exec_statement(const Stmt& stmt, Frame& frame, Flow& flow) {
  switch (stmt.kind) {
    case Stmt::Kind::kPass: return {};
    case Stmt::Kind::kExpr:
      if (stmt.value.kind == Expr::Kind::kCall &&
          stmt.value.items[0].dotted() == "ops.prim.RaiseException") {
        flow = Flow::kRaised;
        return {};
      }
      return eval(stmt.value, frame).status();
    case Stmt::Kind::kAssign: {
      MNN_ASSIGN_OR_RETURN(const ScriptValue value, eval(stmt.value, frame));
      return stmt.targets.size() == 1 ? assign(stmt.targets[0], value, frame)
                                      : assign_all(stmt.targets, value, frame);
    }
    case Stmt::Kind::kReturn: {
      MNN_ASSIGN_OR_RETURN(frame.returned, eval(stmt.value, frame));
      flow = Flow::kReturned;
      return {};
    }
    case Stmt::Kind::kWith: {
      // Contexts of inference (no_grad) change no value.
      MNN_RETURN_IF_ERROR(eval(stmt.value, frame).status());
      return exec(stmt.body, frame, flow);
    }
    case Stmt::Kind::kFor: return exec_for(stmt, frame, flow);
    case Stmt::Kind::kWhile: return exec_while(stmt, frame, flow);
    case Stmt::Kind::kIf: break;
  }
  MNN_ASSIGN_OR_RETURN(const ScriptValue value, eval(stmt.value, frame));
  return exec_if(stmt, value, frame, flow);
}

Status Interpreter::assign(const Expr& target, ScriptValue value, Frame& frame) {
  if (target.kind == Expr::Kind::kName) {
    frame.locals.insert_or_assign(target.text, std::move(value));
    return {};
  }
  if (target.kind == Expr::Kind::kTuple) return assign_all(target.items, value, frame);
  if (target.kind != Expr::Kind::kMember) return unsupported("an assignment to an expression");
  MNN_ASSIGN_OR_RETURN(const ScriptValue owner, eval(target.items[0], frame));
  const auto* object = as<ObjectValue*>(owner);
  if (object == nullptr) return invalid(kind_of(owner) + " has no attributes to set");
  if ((*object)->state != nullptr) {
    MNN_RETURN_IF_ERROR(attribute(**object, target.text).status());
  }
  set_attribute(**object, target.text, std::move(value));
  return {};
}

Status Interpreter::assign_all(const std::vector<Expr>& targets, const ScriptValue& value,
                               Frame& frame) {
  if (as<Undefined>(value) != nullptr) {
    for (const Expr& target : targets) MNN_RETURN_IF_ERROR(assign(target, value, frame));
    return {};
  }
  const auto* list = as<ListValue*>(value);
  if (list == nullptr || (*list)->items.size() != targets.size()) {
    return invalid("expected " + std::to_string(targets.size()) + " values, found " +
                   (list == nullptr ? kind_of(value) : std::to_string((*list)->items.size())));
  }
  const std::vector<ScriptValue> items = (*list)->items;
  for (size_t i = 0; i < targets.size(); ++i) {
    MNN_RETURN_IF_ERROR(assign(targets[i], items[i], frame));
  }
  return {};
}

Status Interpreter::exec_for(const Stmt& stmt, Frame& frame, Flow& flow) {
  // `for i in range(n)`; what is iterated over is a list otherwise.
  const bool counted = stmt.value.kind == Expr::Kind::kCall && stmt.value.items.size() == 2 &&
                       stmt.value.items[0].dotted() == "range";
  MNN_ASSIGN_OR_RETURN(const ScriptValue over,
                       eval(counted ? stmt.value.items[1] : stmt.value, frame));
  std::vector<ScriptValue> items;
  if (counted) {
    const std::optional<Dim> trips = dim_of(over);
    if (!trips || !trips->known()) return exec_loop(stmt, &over, frame);
    if (trips->value() > kMaxTrips) {
      return limit_exceeded("a loop of " + std::to_string(trips->value()) + " rounds; at most " +
                            std::to_string(kMaxTrips) + " are unfolded");
    }
    for (int64_t i = 0; i < trips->value(); ++i) items.emplace_back(i);
  } else {
    const auto* list = as<ListValue*>(over);
    if (list == nullptr) return unsupported("a loop over " + kind_of(over));
    items = (*list)->items;
  }
  for (const ScriptValue& item : items) {
    if (++steps_ > kMaxSteps) return limit_exceeded("the code of the model runs too long");
    MNN_RETURN_IF_ERROR(assign(stmt.targets[0], item, frame));
    MNN_RETURN_IF_ERROR(exec(stmt.body, frame, flow));
    if (flow != Flow::kNext || retry_) return {};
  }
  return {};
}

Status Interpreter::exec_while(const Stmt& stmt, Frame& frame, Flow& flow) {
  for (int64_t trip = 0;; ++trip) {
    MNN_ASSIGN_OR_RETURN(const ScriptValue value, eval(stmt.value, frame));
    MNN_ASSIGN_OR_RETURN(const std::optional<bool> goes_on, truth(value));
    if (!goes_on) return exec_loop(stmt, nullptr, frame);
    if (!*goes_on) return {};
    if (trip >= kMaxTrips) {
      return limit_exceeded("a loop of more than " + std::to_string(kMaxTrips) + " rounds");
    }
    MNN_RETURN_IF_ERROR(exec(stmt.body, frame, flow));
    if (flow != Flow::kNext || retry_) return {};
  }
}

Result<std::vector<ScriptValue>> Interpreter::eval_all(std::span<const Expr> items, Frame& frame) {
  std::vector<ScriptValue> values;
  values.reserve(items.size());
  for (const Expr& item : items) {
    MNN_ASSIGN_OR_RETURN(ScriptValue value, eval(item, frame));
    values.push_back(std::move(value));
  }
  return values;
}

Result<ScriptValue> Interpreter::eval(const Expr& expr, Frame& frame) {
  if (++steps_ > kMaxSteps) return limit_exceeded("the code of the model runs too long");
  switch (expr.kind) {
    case Expr::Kind::kNone: return ScriptValue(None{});
    case Expr::Kind::kBool: return ScriptValue(expr.number != 0);
    case Expr::Kind::kInt: return ScriptValue(expr.number);
    case Expr::Kind::kFloat: return ScriptValue(expr.real);
    case Expr::Kind::kString: return ScriptValue(expr.text);
    case Expr::Kind::kName: return eval_name(expr.text, frame);
    case Expr::Kind::kMember: return eval_member(expr, frame);
    case Expr::Kind::kCall: return eval_call(expr, frame);
    case Expr::Kind::kIndex: return eval_index(expr, frame);
    case Expr::Kind::kList:
    case Expr::Kind::kTuple: {
      MNN_ASSIGN_OR_RETURN(std::vector<ScriptValue> items, eval_all(expr.items, frame));
      return ScriptValue(add_list(std::move(items), expr.kind == Expr::Kind::kTuple));
    }
    case Expr::Kind::kDict: {
      MNN_ASSIGN_OR_RETURN(const std::vector<ScriptValue> items, eval_all(expr.items, frame));
      DictValue* dict = add_dict();
      for (size_t i = 0; i + 1 < items.size(); i += 2) {
        dict->items.emplace_back(items[i], items[i + 1]);
      }
      return ScriptValue(dict);
    }
    case Expr::Kind::kSlice: break;
  }
  return invalid("a slice outside of brackets");
}

Result<ScriptValue> Interpreter::eval_name(const std::string& name, Frame& frame) {
  const auto local = frame.locals.find(name);
  if (local != frame.locals.end()) return local->second;
  if (name == "inf") return ScriptValue(__builtin_inf());
  if (name == "nan") return ScriptValue(__builtin_nan(""));
  return invalid("the variable " + name + " has no value");
}

Result<ScriptValue> Interpreter::find_global(const std::string& name) {
  MNN_ASSIGN_OR_RETURN(const Function* function, program_.find_function(name));
  if (function != nullptr) return ScriptValue(FunctionRef{function});
  MNN_ASSIGN_OR_RETURN(const Class* type, program_.find_class(name));
  if (type != nullptr) return ScriptValue(ClassRef{type, name});
  return invalid("the archive has no code of " + name);
}

Result<ScriptValue> Interpreter::eval_member(const Expr& expr, Frame& frame) {
  const std::string path = expr.dotted();
  if (path.starts_with("__torch__.")) return find_global(path);
  if (path.starts_with("CONSTANTS.")) {
    MNN_ASSIGN_OR_RETURN(const Pickled* constant, program_.constant(expr.text));
    std::vector<Level*> levels;
    levels.swap(levels_);
    levels_.push_back(levels.front());
    Result<ScriptValue> value = from_pickle(*constant, path);
    levels_.swap(levels);
    return value;
  }
  MNN_ASSIGN_OR_RETURN(const ScriptValue owner, eval(expr.items[0], frame));
  if (as<Undefined>(owner) != nullptr) return owner;
  if (const auto* object = as<ObjectValue*>(owner)) return attribute(**object, expr.text);
  const auto* list = as<ListValue*>(owner);
  if (list != nullptr && (*list)->type != nullptr) {
    const auto& fields = (*list)->type->fields;
    for (size_t i = 0; i < std::min(fields.size(), (*list)->items.size()); ++i) {
      if (fields[i].first == expr.text) return (*list)->items[i];
    }
  }
  return unsupported("the attribute " + expr.text + " of " + kind_of(owner));
}

Result<ScriptValue> Interpreter::eval_index(const Expr& expr, Frame& frame) {
  MNN_ASSIGN_OR_RETURN(const ScriptValue owner, eval(expr.items[0], frame));
  if (as<Undefined>(owner) != nullptr) return owner;
  const Expr& at = expr.items[1];
  if (at.kind == Expr::Kind::kSlice) {
    MNN_ASSIGN_OR_RETURN(const std::vector<ScriptValue> parts, eval_all(at.items, frame));
    return dispatch(
        "aten::slice",
        {owner, parts[0], parts[1], is_none(parts[2]) ? ScriptValue(int64_t{1}) : parts[2]}, {});
  }
  MNN_ASSIGN_OR_RETURN(const ScriptValue index, eval(at, frame));
  return dispatch("aten::__getitem__", {owner, index}, {});
}

}  // namespace mnn::torch
