// Branches and loops whose course is known in a run only: If and Loop. What a branch sets is merged
// with what the other one leaves: variables, attributes, items of lists, tensors written in place.
#include <algorithm>

#include "libconvert/frontends/torch/interpreter.h"

namespace mnn::torch {
namespace {

constexpr int kMaxDepth = 64;  // of sub-graphs in each other, of values that are merged

bool raises(const std::vector<Stmt>& body) {
  return std::ranges::any_of(body, [](const Stmt& stmt) {
    return stmt.kind == Stmt::Kind::kExpr && stmt.value.kind == Expr::Kind::kCall &&
           stmt.value.items[0].dotted() == "ops.prim.RaiseException";
  });
}

void collect_targets(const std::vector<Stmt>& body, std::set<std::string>& names) {
  for (const Stmt& stmt : body) {
    for (const Expr& target : stmt.targets) {
      if (target.kind == Expr::Kind::kName) names.insert(target.text);
      for (const Expr& item : target.items) names.insert(item.text);
    }
    collect_targets(stmt.body, names);
    collect_targets(stmt.orelse, names);
  }
}

using Num = SymbolicNumber::Kind;
std::optional<Num> number_kind(const ScriptValue& value) {
  if (const auto* symbolic = as<SymbolicNumber>(value)) return symbolic->kind;
  if (as<int64_t>(value) != nullptr) return Num::kInt;
  if (as<double>(value) != nullptr) return Num::kFloat;
  if (as<bool>(value) != nullptr) return Num::kBool;
  return std::nullopt;
}

}  // namespace

// One branch, or the body of a loop, while it is read.
struct Interpreter::Branch {
  Branch(Interpreter& interpreter, const Frame& outer)
      : subgraph(interpreter.levels_.back()->scope),
        level(subgraph.draft, subgraph.scope, interpreter.budget_),
        frame(outer) {}

  frontend::Subgraph subgraph;
  Level level;
  Frame frame;
  Journal before, after;
  Flow flow = Flow::kNext;
};

// Runs `what` inside of a branch; what it changed of containers is kept in `after` and taken back.
Status Interpreter::inside(Branch& branch, const std::function<Status()>& what) {
  if (static_cast<int>(levels_.size()) > kMaxDepth) {
    return limit_exceeded("branches are nested more than " + std::to_string(kMaxDepth) + " deep");
  }
  levels_.push_back(&branch.level);
  journals_.push_back(&branch.before);
  if (!frames_.empty()) frames_.push_back(&branch.frame);
  const Status status = what();
  if (!frames_.empty()) frames_.pop_back();
  journals_.pop_back();
  levels_.pop_back();
  for (auto& [list, items] : branch.before.lists) {
    branch.after.lists[list] = list->items;
    list->items = items;
  }
  for (auto& [dict, items] : branch.before.dicts) {
    branch.after.dicts[dict] = dict->items;
    dict->items = items;
  }
  for (auto& [attribute, value] : branch.before.attributes) {
    auto& now = attribute.first->attributes.at(attribute.second);
    branch.after.attributes[attribute] = now;
    now = value;
  }
  return status;
}

// The value of a tensor or number inside of a branch.
Result<ValueId> Interpreter::value_in(Branch& branch, const ScriptValue& value, DType number) {
  levels_.push_back(&branch.level);
  const auto made = [&]() -> Result<ValueId> {
    Graph& graph = draft().graph;
    if (const auto* known = as<int64_t>(value)) {
      const Tensor scalar = number == DType::kF32
                                ? Tensor::scalar<float>(static_cast<float>(*known))
                                : Tensor::scalar<int64_t>(*known);
      return graph.add_constant(scalar);
    }
    if (const auto* known = as<double>(value)) {
      return graph.add_constant(Tensor::scalar<float>(static_cast<float>(*known)));
    }
    if (const auto* known = as<bool>(value))
      return graph.add_constant(Tensor::scalar<bool>(*known));
    const auto* symbolic = as<SymbolicNumber>(value);
    MNN_ASSIGN_OR_RETURN(const TensorArg tensor,
                         read(symbolic != nullptr ? symbolic->tensor : *as<TensorRef>(value)));
    if (tensor.complex) return unsupported("a complex tensor that a branch sets");
    return tensor.id;
  }();
  levels_.pop_back();
  return made;
}

// Merges what two branches leave into outputs of the If that stands for them.
class Interpreter::Merger {
 public:
  Merger(Interpreter& interpreter, Branch& a, Branch& b)
      : interpreter_(interpreter),
        a_(a),
        b_(b),
        inner_(static_cast<int>(interpreter.levels_.size())) {}

  Result<ScriptValue> merge(const ScriptValue& a, const ScriptValue& b, int depth = 0) {
    if (depth > kMaxDepth) return limit_exceeded("values are nested too deeply");
    if (a == b && !is_inner(a)) return a;
    const bool tensors = as<TensorRef>(a) != nullptr && as<TensorRef>(b) != nullptr;
    const std::optional<Num> x = number_kind(a), y = number_kind(b);
    if (tensors) {
      MNN_ASSIGN_OR_RETURN(const std::optional<ValueId> id, output(a, b, DType::kUndefined));
      return id ? interpreter_.add_tensor({*id}) : differs();
    }
    if (x && y) {
      const bool real = *x == Num::kFloat || *y == Num::kFloat;
      const Num kind = real ? Num::kFloat : *x;
      const DType dtype = real ? DType::kF32 : *x == Num::kInt ? DType::kI64 : DType::kBool;
      MNN_ASSIGN_OR_RETURN(const std::optional<ValueId> id, output(a, b, dtype));
      if (!id) return differs();
      const ScriptValue tensor = interpreter_.add_tensor({*id});
      return ScriptValue(SymbolicNumber{kind, *as<TensorRef>(tensor)});
    }
    const auto *p = as<ListValue*>(a), *q = as<ListValue*>(b);
    if (p != nullptr && q != nullptr && (*p)->items.size() == (*q)->items.size()) {
      MNN_ASSIGN_OR_RETURN(std::vector<ScriptValue> items,
                           merge_items((*p)->items, (*q)->items, depth));
      ListValue* list = interpreter_.add_list(std::move(items), (*p)->tuple);
      list->type = (*p)->type;
      return ScriptValue(list);
    }
    const auto *d = as<DictValue*>(a), *e = as<DictValue*>(b);
    if (d != nullptr && e != nullptr && (*d)->items.size() == (*e)->items.size()) {
      DictValue* dict = interpreter_.add_dict();
      for (size_t i = 0; i < (*d)->items.size(); ++i) {
        const auto &from = (*d)->items[i], &to = (*e)->items[i];
        if (!(from.first == to.first)) return differs();
        MNN_ASSIGN_OR_RETURN(ScriptValue value, merge(from.second, to.second, depth + 1));
        dict->items.emplace_back(from.first, std::move(value));
      }
      return ScriptValue(dict);
    }
    return differs();
  }

  Result<std::vector<ScriptValue>> merge_items(const std::vector<ScriptValue>& a,
                                               const std::vector<ScriptValue>& b, int depth = 0) {
    if (a.size() != b.size()) {
      return unsupported("the branches of an `if` leave a list with different lengths");
    }
    std::vector<ScriptValue> items;
    for (size_t i = 0; i < a.size(); ++i) {
      MNN_ASSIGN_OR_RETURN(ScriptValue value, merge(a[i], b[i], depth + 1));
      items.push_back(std::move(value));
    }
    return items;
  }

  std::vector<ValueId> outputs;

 private:
  bool is_inner(const ScriptValue& value) const {
    const auto* tensor = as<TensorRef>(value);
    const auto* symbolic = as<SymbolicNumber>(value);
    return (tensor != nullptr && tensor->level == inner_) ||
           (symbolic != nullptr && symbolic->tensor.level == inner_);
  }
  static ScriptValue differs() {
    return Undefined{"what the branches of an `if` set to different kinds of values", {}};
  }
  // The output of the If for two values; nullopt when their types differ.
  Result<std::optional<ValueId>> output(const ScriptValue& a, const ScriptValue& b, DType number) {
    MNN_ASSIGN_OR_RETURN(const ValueId x, interpreter_.value_in(a_, a, number));
    MNN_ASSIGN_OR_RETURN(const ValueId y, interpreter_.value_in(b_, b, number));
    if (a_.subgraph.graph.value(x).type.dtype != b_.subgraph.graph.value(y).type.dtype) {
      return std::optional<ValueId>();
    }
    const auto [known, is_new] = made_.try_emplace({x, y}, kNoValue);
    if (is_new) {
      known->second = interpreter_.draft().graph.add_temporary();
      a_.subgraph.graph.outputs.push_back(x);
      b_.subgraph.graph.outputs.push_back(y);
      outputs.push_back(known->second);
    }
    return std::optional(known->second);
  }

  Interpreter& interpreter_;
  Branch &a_, &b_;
  int inner_;  // the level of the branches
  std::map<std::pair<ValueId, ValueId>, ValueId> made_;
};

Status Interpreter::append_with(const std::string& op, std::vector<ValueId> inputs,
                                std::vector<ValueId> outputs,
                                std::vector<std::unique_ptr<Branch>>& branches) {
  frontend::SourceNode source(draft(), budget_);
  std::vector<frontend::Subgraph*> parts;
  for (const auto& branch : branches) parts.push_back(&branch->subgraph);
  frontend::attach_subgraphs(source, parts);
  Node node;
  node.op = op;
  node.name = log_.unique_name(origin(op), true);
  node.origin = {node.name};
  node.inputs = std::move(inputs);
  node.outputs = std::move(outputs);
  node.captures = std::move(source.captures);
  node.subgraphs = std::move(source.subgraphs);
  return frontend::append_node(draft(), std::move(node), budget_);
}

Status Interpreter::exec_if(const Stmt& stmt, const ScriptValue& value, Frame& frame, Flow& flow) {
  if (as<Undefined>(value) != nullptr) {
    return unsupported("a condition depends on what failed, or on what only one branch sets");
  }
  MNN_ASSIGN_OR_RETURN(const std::optional<bool> taken, truth(value));
  if (taken) return exec(*taken ? stmt.body : stmt.orelse, frame, flow);
  if (raises(stmt.body)) return exec(stmt.orelse, frame, flow);
  if (raises(stmt.orelse)) return exec(stmt.body, frame, flow);
  MNN_ASSIGN_OR_RETURN(const ValueId decides, condition(value));

  std::vector<std::unique_ptr<Branch>> branches;
  for (const std::vector<Stmt>* body : {&stmt.body, &stmt.orelse}) {
    branches.push_back(std::make_unique<Branch>(*this, frame));
    Branch& branch = *branches.back();
    MNN_RETURN_IF_ERROR(inside(branch, [&] { return exec(*body, branch.frame, branch.flow); }));
    if (retry_) return {};
  }
  statement_ = &stmt;
  if (branches[0]->flow == Flow::kRaised) return exec(stmt.orelse, frame, flow);
  if (branches[1]->flow == Flow::kRaised) return exec(stmt.body, frame, flow);
  if (branches[0]->flow != branches[1]->flow) {
    return unsupported("a return in one branch of an `if` that depends on the input");
  }
  Merger merger(*this, *branches[0], *branches[1]);
  MNN_RETURN_IF_ERROR(merge_branches(*branches[0], *branches[1], merger, frame));
  flow = branches[0]->flow;
  if (merger.outputs.empty()) return {};
  return append_with("If", {decides}, merger.outputs, branches);
}

Status Interpreter::merge_branches(Branch& a, Branch& b, Merger& merger, Frame& frame) {
  // Tensors of the graphs around that were written in place.
  std::set<TensorRef> met;
  for (const Branch* branch : {&a, &b}) {
    for (const auto& [ref, id] : branch->level.inside) met.insert(ref);
  }
  std::vector<std::pair<TensorRef, ScriptValue>> writes;
  for (const TensorRef& ref : met) {
    bool changed = false;
    for (Branch* branch : {&a, &b}) {
      const auto inner = branch->level.inside.find(ref);
      if (inner == branch->level.inside.end()) continue;
      MNN_ASSIGN_OR_RETURN(const TensorArg now, branch->level.tensors.read(inner->second));
      changed |= now.id != branch->level.entered.at(ref);
    }
    if (!changed) continue;
    // Inside of a branch each of them is a value of its own: the write would not show in the
    // others.
    for (const TensorRef& other : met) {
      if (!(other == ref) && other.level == ref.level &&
          levels_[static_cast<size_t>(ref.level)]->tensors.share_memory(ref.id, other.id)) {
        return unsupported(
            "a branch of an `if` that depends on the input writes a tensor and uses another one "
            "that shares its memory");
      }
    }
    // The same tensor stands for what each branch made of it.
    const auto inner = [&](Branch& branch) -> ScriptValue {
      const auto known = branch.level.inside.find(ref);
      if (known == branch.level.inside.end()) return ref;
      return TensorRef{static_cast<int>(levels_.size()), known->second};
    };
    MNN_ASSIGN_OR_RETURN(ScriptValue merged, merger.merge(inner(a), inner(b)));
    writes.emplace_back(ref, std::move(merged));
  }
  std::set<std::string> names;
  for (const Branch* branch : {&a, &b}) {
    for (const auto& [name, value] : branch->frame.locals) names.insert(name);
  }
  for (const std::string& name : names) {
    const auto x = a.frame.locals.find(name), y = b.frame.locals.find(name);
    if (x == a.frame.locals.end() || y == b.frame.locals.end()) {
      frame.locals.insert_or_assign(
          name, Undefined{"the variable " + name + ", which only one branch of an `if` sets", {}});
      continue;
    }
    MNN_ASSIGN_OR_RETURN(ScriptValue merged, merger.merge(x->second, y->second));
    frame.locals.insert_or_assign(name, std::move(merged));
  }
  MNN_ASSIGN_OR_RETURN(frame.returned, merger.merge(a.frame.returned, b.frame.returned));
  MNN_RETURN_IF_ERROR(merge_containers(a, b, merger));
  for (const auto& [ref, merged] : writes) {
    const auto* tensor = as<TensorRef>(merged);
    if (tensor == nullptr) return unsupported("a tensor that only one branch of an `if` changes");
    MNN_ASSIGN_OR_RETURN(const TensorArg value, read(*tensor));
    MNN_RETURN_IF_ERROR(write(ref, value));
  }
  return {};
}

Status Interpreter::merge_containers(Branch& a, Branch& b, Merger& merger) {
  std::set<ListValue*> lists;
  std::set<DictValue*> dicts;
  std::set<std::pair<ObjectValue*, std::string>> attributes;
  for (const Branch* branch : {&a, &b}) {
    for (const auto& [list, items] : branch->after.lists) lists.insert(list);
    for (const auto& [dict, items] : branch->after.dicts) dicts.insert(dict);
    for (const auto& [key, value] : branch->after.attributes) attributes.insert(key);
  }
  const auto left = [](const auto& after, const auto& key, const auto& before) {
    const auto known = after.find(key);
    return known == after.end() ? before : known->second;
  };
  for (ListValue* list : lists) {
    MNN_ASSIGN_OR_RETURN(std::vector<ScriptValue> items,
                         merger.merge_items(left(a.after.lists, list, list->items),
                                            left(b.after.lists, list, list->items)));
    touch(*list);
    list->items = std::move(items);
  }
  for (DictValue* dict : dicts) {
    const auto x = left(a.after.dicts, dict, dict->items),
               y = left(b.after.dicts, dict, dict->items);
    auto merged = x;
    bool same = x.size() == y.size();
    for (size_t i = 0; same && i < x.size(); ++i) {
      same = x[i].first == y[i].first;
      if (!same) break;
      MNN_ASSIGN_OR_RETURN(merged[i].second, merger.merge(x[i].second, y[i].second));
    }
    if (!same) return unsupported("the branches of an `if` leave a dict with different keys");
    touch(*dict);
    dict->items = std::move(merged);
  }
  for (const auto& key : attributes) {
    const ScriptValue before = key.first->attributes.at(key.second);
    MNN_ASSIGN_OR_RETURN(ScriptValue merged, merger.merge(left(a.after.attributes, key, before),
                                                          left(b.after.attributes, key, before)));
    set_attribute(*key.first, key.second, std::move(merged));
  }
  return {};
}

Status Interpreter::exec_loop(const Stmt& stmt, const ScriptValue* trips, Frame& frame) {
  std::set<std::string> targets;
  collect_targets(stmt.body, targets);
  std::vector<Carried> carried;
  for (const std::string& name : targets) {
    const auto local = frame.locals.find(name);
    if (local == frame.locals.end()) continue;
    const bool fits = as<TensorRef>(local->second) != nullptr || number_kind(local->second);
    if (!fits) {
      return unsupported("a loop whose rounds depend on the input changes " + name + ", " +
                         kind_of(local->second));
    }
    carried.push_back({name, {}, kNoValue, {}, number_kind(local->second)});
  }
  // Which dims stay the same from round to round shows when the body is read.
  for (int attempt = 0; attempt < kMaxDepth; ++attempt) {
    MNN_ASSIGN_OR_RETURN(const bool settled, read_loop(stmt, trips, frame, carried));
    if (settled || retry_) return {};
  }
  return unsupported("a loop whose variables change their type");
}

// Tensors of the graphs around that a loop's body writes are handed from round to round. False when
// there are more than are known: the body is to be read again.
Result<bool> Interpreter::carry_writes(Branch& body, std::vector<Carried>& carried) {
  bool known = true;
  for (const auto& [ref, id] : body.level.inside) {
    MNN_ASSIGN_OR_RETURN(const TensorArg now, body.level.tensors.read(id));
    if (now.id == body.level.entered.at(ref)) continue;
    // In the body each of them is a value of its own: the write would not show in the others.
    for (const auto& [other, inner] : body.level.inside) {
      if (!(other == ref) && other.level == ref.level &&
          levels_[static_cast<size_t>(ref.level)]->tensors.share_memory(ref.id, other.id)) {
        return unsupported(
            "a loop whose rounds depend on the input writes a tensor and uses another one that "
            "shares its memory");
      }
    }
    const auto same = [&ref = ref](const Carried& one) { return one.written == ref; };
    if (std::ranges::any_of(carried, same)) continue;
    carried.push_back({{}, ref, kNoValue, {}, {}});
    known = false;
  }
  return known;
}

Result<bool> Interpreter::read_loop(const Stmt& stmt, const ScriptValue* trips, Frame& frame,
                                    std::vector<Carried>& carried) {
  std::vector<std::unique_ptr<Branch>> bodies;
  bodies.push_back(std::make_unique<Branch>(*this, frame));
  Branch& body = *bodies.back();
  Graph& graph = body.subgraph.graph;
  std::vector<ValueId> inputs(2, kNoValue);
  if (trips != nullptr) {
    MNN_ASSIGN_OR_RETURN(const Arg count, to_arg(*trips));
    inputs[0] = count.get<IntArg>() != nullptr ? count.get<IntArg>()->id : kNoValue;
    if (inputs[0] == kNoValue) return internal_error("the rounds of a loop are known");
  } else {
    MNN_ASSIGN_OR_RETURN(const ScriptValue goes_on, eval(stmt.value, frame));
    MNN_ASSIGN_OR_RETURN(const std::optional<bool> known, truth(goes_on));
    if (known) return internal_error("the condition of a loop is known");
    MNN_ASSIGN_OR_RETURN(inputs[1], condition(goes_on));
  }
  const ValueId round = graph.add_input({}, tensor_type(DType::kI64, {}));
  graph.add_input({}, tensor_type(DType::kBool, {}));
  const int level = static_cast<int>(levels_.size());
  const auto number_or_tensor = [&](ValueId id, const std::optional<Num>& kind) -> ScriptValue {
    const TensorRef ref{level, body.level.tensors.add({id})};
    return kind ? ScriptValue(SymbolicNumber{*kind, ref}) : ScriptValue(ref);
  };
  for (Carried& one : carried) {
    if (one.written) {
      MNN_ASSIGN_OR_RETURN(const TensorArg tensor, read(*one.written));
      if (tensor.complex) return unsupported("a loop over complex tensors");
      one.initial = tensor.id;
      if (!one.type.defined()) one.type = draft().graph.value(one.initial).type;
      inputs.push_back(one.initial);
      const ValueId id = graph.add_input({}, one.type);
      body.level.inside.emplace(*one.written, body.level.tensors.add({id}));
      body.level.entered.emplace(*one.written, id);
      continue;
    }
    const ScriptValue& value = frame.locals.at(one.name);
    frontend::NodeBuilder builder(draft(), budget_);
    builder.name = origin("loop");
    MNN_ASSIGN_OR_RETURN(const Arg arg, to_arg(value));
    if (const auto* tensor = arg.get<TensorArg>()) {
      if (tensor->complex) return unsupported("a loop over complex tensors");
      one.initial = tensor->id;
    } else {
      const DType dtype = *one.number == Num::kInt     ? DType::kI64
                          : *one.number == Num::kFloat ? DType::kF32
                                                       : DType::kBool;
      MNN_ASSIGN_OR_RETURN(one.initial, outer_scalar(value, dtype));
    }
    if (!one.type.defined()) one.type = draft().graph.value(one.initial).type;
    inputs.push_back(one.initial);
    const ValueId id = graph.add_input({}, one.type);
    body.frame.locals.insert_or_assign(one.name, number_or_tensor(id, one.number));
  }
  ValueId next = kNoValue;
  MNN_RETURN_IF_ERROR(inside(body, [&]() -> Status {
    if (trips != nullptr) {
      MNN_RETURN_IF_ERROR(assign(stmt.targets[0], number_or_tensor(round, Num::kInt), body.frame));
    }
    MNN_RETURN_IF_ERROR(exec(stmt.body, body.frame, body.flow));
    if (trips != nullptr || body.flow != Flow::kNext) {
      next = graph.add_constant(Tensor::scalar<bool>(true));
      return {};
    }
    MNN_ASSIGN_OR_RETURN(const ScriptValue goes_on, eval(stmt.value, body.frame));
    MNN_ASSIGN_OR_RETURN(const std::optional<bool> known, truth(goes_on));
    if (known) {
      next = graph.add_constant(Tensor::scalar<bool>(*known));
      return {};
    }
    MNN_ASSIGN_OR_RETURN(next, condition(goes_on));
    return {};
  }));
  if (retry_) return false;
  if (body.flow != Flow::kNext) return unsupported("a loop that returns or raises");
  if (!body.after.lists.empty() || !body.after.dicts.empty() || !body.after.attributes.empty()) {
    return unsupported("a loop whose rounds depend on the input changes a list or an attribute");
  }
  MNN_ASSIGN_OR_RETURN(bool settled, carry_writes(body, carried));
  if (!settled) return false;
  graph.outputs.push_back(next);
  for (Carried& one : carried) {
    const ScriptValue last = one.written
                                 ? ScriptValue(TensorRef{level, body.level.inside.at(*one.written)})
                                 : body.frame.locals.at(one.name);
    MNN_ASSIGN_OR_RETURN(const ValueId id, value_in(body, last, one.type.dtype));
    const Type& type = graph.value(id).type;
    if (type.dtype != one.type.dtype) return unsupported("a loop changes the type of " + one.name);
    if (one.type.shape && type.shape && one.type.rank() == type.rank()) {
      for (size_t i = 0; i < type.rank(); ++i) {
        Dim& dim = (*one.type.shape)[i];
        if (dim.is_unknown() || dim.same((*type.shape)[i])) continue;
        dim = Dim::unknown();
        settled = false;
      }
    } else if (one.type.shape) {
      one.type.shape.reset();
      settled = false;
    }
    graph.outputs.push_back(id);
  }
  if (!settled) return false;
  std::vector<ValueId> outputs;
  for (size_t i = 0; i < carried.size(); ++i) outputs.push_back(draft().graph.add_temporary());
  MNN_RETURN_IF_ERROR(append_with("Loop", std::move(inputs), outputs, bodies));
  for (size_t i = 0; i < carried.size(); ++i) {
    if (carried[i].written) {
      MNN_RETURN_IF_ERROR(write(*carried[i].written, {outputs[i]}));
      continue;
    }
    const ScriptValue tensor = add_tensor({outputs[i]});
    frame.locals[carried[i].name] =
        carried[i].number ? ScriptValue(SymbolicNumber{*carried[i].number, *as<TensorRef>(tensor)})
                          : tensor;
  }
  return true;
}

// A number as a 0-d tensor of the graph being built.
Result<ValueId> Interpreter::outer_scalar(const ScriptValue& value, DType dtype) {
  if (const auto* symbolic = as<SymbolicNumber>(value)) {
    MNN_ASSIGN_OR_RETURN(const TensorArg tensor, read(symbolic->tensor));
    return tensor.id;
  }
  Graph& graph = draft().graph;
  if (const auto* flag = as<bool>(value)) return graph.add_constant(Tensor::scalar<bool>(*flag));
  const auto* whole = as<int64_t>(value);
  if (dtype == DType::kI64 && whole != nullptr) {
    return graph.add_constant(Tensor::scalar<int64_t>(*whole));
  }
  const auto* real = as<double>(value);
  if (real == nullptr) return unsupported("a loop over " + kind_of(value));
  return graph.add_constant(Tensor::scalar<float>(static_cast<float>(*real)));
}

}  // namespace mnn::torch
