// Branches and loops, however the source spells them.
#include <algorithm>

#include "libconvert/frontends/tensorflow/import_state.h"

namespace mnn::tensorflow {

using frontend::GraphDraft;
using frontend::Layouts;
using frontend::Scope;

namespace {

// Loops are read again until the types of what they carry are those of every trip.
constexpr int kMostTries = 40;

Result<std::string> function_in(const NodeDef& node, const char* key) {
  const auto it = node.attr().find(key);
  if (it == node.attr().end() || !it->second.has_func()) {
    return invalid(std::string("it names no function as ") + key);
  }
  return it->second.func().name();
}

// What holds of a carried value before and after a trip.
Type common_type(const Type& a, const Type& b) {
  Type out = a;
  if (!a.shape || !b.shape || a.rank() != b.rank()) {
    out.shape.reset();
    return out;
  }
  for (size_t d = 0; d < a.rank(); ++d) {
    if (!(*a.shape)[d].same((*b.shape)[d])) (*out.shape)[d] = Dim::unknown();
  }
  return out;
}

bool same_type(const Type& a, const Type& b) {
  if (a.dtype != b.dtype || a.shape.has_value() != b.shape.has_value()) return false;
  if (!a.shape) return true;
  if (a.rank() != b.rank()) return false;
  for (size_t d = 0; d < a.rank(); ++d) {
    if (!(*a.shape)[d].same((*b.shape)[d]) &&
        !((*a.shape)[d].is_unknown() && (*b.shape)[d].is_unknown())) {
      return false;
    }
  }
  return true;
}

}  // namespace

// Of numbers: not 0; of texts and larger tensors TensorFlow has rules that no network uses.
Result<ValueId> Importer::condition_of(Scope& scope, const Item& item) {
  MNN_ASSIGN_OR_RETURN(const ValueId v, local(scope, item));
  frontend::NodeBuilder b(scope.draft, budget_);
  const std::optional<Shape>& shape = b.type_of(v).shape;
  const bool scalar = shape && shape->empty();  // before a new value moves it
  ValueId condition = b.cast(v, DType::kBool);
  if (!scalar) condition = b.emit("Reshape", {condition, b.add_ints({})});
  MNN_RETURN_IF_ERROR(b.status);
  return condition;
}

Result<Items> Importer::two_branches(Scope& scope, Layouts& layouts, ValueId condition,
                                     const Make& then_way, const Make& else_way, size_t results,
                                     const std::string& name) {
  const std::optional<bool> known = frontend::known_condition(scope.draft, condition);
  if (known) return *known ? then_way(scope, layouts) : else_way(scope, layouts);
  const size_t errors = said_->errors();
  frontend::SourceNode node(scope.draft, budget_);
  node.name = name;
  node.op = "If";
  node.inputs = {condition};
  std::vector<Item> first(results);
  MNN_RETURN_IF_ERROR(frontend::add_subgraphs(
      scope, node, 2, limits_.depth, [&](size_t g, Scope& inside) -> Status {
        Layouts own;
        MNN_ASSIGN_OR_RETURN(Items items, (g == 0 ? then_way : else_way)(inside, own));
        if (said_->errors() > errors) return {};
        for (size_t i = 0; i < results; ++i) {
          Item& item = items[i];
          if (item.kind == Item::Kind::kList) {
            MNN_RETURN_IF_ERROR(materialize(item, name));
            if (g == 0 || first[i].list == nullptr) first[i] = item;
          }
          if (is_undefined(item)) return invalid("a branch has a result that is not known");
          MNN_ASSIGN_OR_RETURN(const ValueId v, local(inside, item));
          inside.draft.graph.outputs.push_back(v);
        }
        return {};
      }));
  if (said_->errors() > errors) return Items{};
  node.wanted.assign(results, 1);
  MNN_RETURN_IF_ERROR(node.append());
  Items items;
  for (size_t i = 0; i < results; ++i) {
    Item item = tensor(scope, node.results[i]);
    if (scope.draft.graph.value(item.value).name.empty()) {
      scope.draft.graph.value(item.value).name = i == 0 ? name : name + ":" + std::to_string(i);
    }
    if (first[i].kind == Item::Kind::kList) {
      item.kind = Item::Kind::kList;
      item.list = first[i].list;
    }
    items.push_back(std::move(item));
  }
  return items;
}

Result<Items> Importer::branches(Scope& scope, Layouts& layouts, ValueId index,
                                 std::span<const Make> ways, size_t results,
                                 const std::string& name) {
  if (ways.empty()) return invalid("it has no branches");
  if (ways.size() == 1) return ways[0](scope, layouts);
  if (scope.draft.graph.value(index).type.dtype == DType::kBool) {
    if (ways.size() != 2) return invalid("a bool chooses between two branches");
    MNN_ASSIGN_OR_RETURN(const ValueId condition, condition_of(scope, tensor(scope, index)));
    return two_branches(scope, layouts, condition, ways[1], ways[0], results, name);
  }
  // The first, or one of the others: numbers outside choose the last.
  frontend::NodeBuilder b(scope.draft, budget_);
  b.name = name;
  const ValueId number = b.emit("Reshape", {b.cast(index, DType::kI64), b.add_ints({})});
  const ValueId zero = b.add_constant(Tensor::scalar<int64_t>(0));
  const ValueId first = b.emit("Equal", {number, zero});
  const ValueId less = b.emit("Sub", {number, b.add_constant(Tensor::scalar<int64_t>(1))});
  MNN_RETURN_IF_ERROR(b.status);
  const Item rest = tensor(scope, less);
  const Make others = [&](Scope& inside, Layouts& own) -> Result<Items> {
    MNN_ASSIGN_OR_RETURN(const ValueId v, local(inside, rest));
    return branches(inside, own, v, ways.subspan(1), results, name);
  };
  return two_branches(scope, layouts, first, ways[0], others, results, name);
}

Result<Items> Importer::choose(
    Frame& frame, int at, const std::vector<std::string>& bodies,
    const std::function<Result<Items>(const Item&, std::span<const Make>)>& among) {
  const BodyNode& n = frame.body.nodes[static_cast<size_t>(at)];
  MNN_ASSIGN_OR_RETURN(const Item chooser, demand(frame, n.inputs[0]));
  if (is_undefined(chooser)) {
    scan(frame.body, {{at, 0}});
    return Items{};
  }
  MNN_ASSIGN_OR_RETURN(const Items operands, items_of(frame, std::span(n.inputs).subspan(1)));
  const auto results = static_cast<size_t>(n.outputs);
  std::vector<Make> ways;
  for (const std::string& body : bodies) {
    ways.push_back([&](Scope& scope, Layouts& layouts) {
      return run_body(body, operands, results, scope, layouts);
    });
  }
  return among(chooser, ways);
}

Result<Items> Importer::add_if(Frame& frame, int at, const std::string& name) {
  const BodyNode& n = frame.body.nodes[static_cast<size_t>(at)];
  if (n.inputs.empty()) return invalid("expected a condition");
  MNN_ASSIGN_OR_RETURN(const std::string then_body, function_in(*n.def, "then_branch"));
  MNN_ASSIGN_OR_RETURN(const std::string else_body, function_in(*n.def, "else_branch"));
  return choose(frame, at, {then_body, else_body},
                [&](const Item& chooser, std::span<const Make> ways) -> Result<Items> {
                  MNN_ASSIGN_OR_RETURN(const ValueId condition, condition_of(frame.scope, chooser));
                  return two_branches(frame.scope, frame.layouts, condition, ways[0], ways[1],
                                      static_cast<size_t>(n.outputs), name);
                });
}

Result<Items> Importer::add_case(Frame& frame, int at, const std::string& name) {
  const BodyNode& n = frame.body.nodes[static_cast<size_t>(at)];
  const auto list = n.def->attr().find("branches");
  if (n.inputs.empty() || list == n.def->attr().end()) {
    return invalid("expected an index and branches");
  }
  std::vector<std::string> bodies;
  for (const NameAttrList& f : list->second.list().func()) bodies.push_back(f.name());
  return choose(frame, at, bodies,
                [&](const Item& chooser, std::span<const Make> ways) -> Result<Items> {
                  MNN_ASSIGN_OR_RETURN(const ValueId index, local(frame.scope, chooser));
                  return branches(frame.scope, frame.layouts, index, ways,
                                  static_cast<size_t>(n.outputs), name);
                });
}

Result<Items> Importer::add_while(Frame& frame, int at, const std::string& name) {
  const BodyNode& n = frame.body.nodes[static_cast<size_t>(at)];
  MNN_ASSIGN_OR_RETURN(const std::string cond, function_in(*n.def, "cond"));
  MNN_ASSIGN_OR_RETURN(const std::string body, function_in(*n.def, "body"));
  Items carried;
  bool any_undefined = false;
  for (const Edge& e : n.inputs) {
    MNN_ASSIGN_OR_RETURN(Item item, demand(frame, e));
    any_undefined |= is_undefined(item) && item.kind != Item::Kind::kVariable;
    carried.push_back(std::move(item));
  }
  if (any_undefined) {
    scan(frame.body, {{at, 0}});
    return Items{};
  }
  const size_t count = carried.size();
  MNN_ASSIGN_OR_RETURN(const Body* inner, body_of(body));
  if (inner->arguments != count || inner->results.size() != count) {
    return invalid("expected a body that takes and gives " + std::to_string(count) + " values");
  }
  LoopSpec spec;
  spec.name = name;
  for (size_t i = 0; i < count; ++i) {
    const Edge e = behind_passes(*inner, inner->results[i]);
    spec.invariant.push_back(inner->nodes[static_cast<size_t>(e.node)].argument ==
                             static_cast<int>(i));
  }
  spec.goes_on = [&](Scope& scope, Layouts& layouts, const Items& items) -> Result<Item> {
    MNN_ASSIGN_OR_RETURN(const Items all, run_body(cond, items, 1, scope, layouts));
    return all[0];
  };
  spec.body = [&](Scope& scope, Layouts& layouts, const Items& items) {
    return run_body(body, items, count, scope, layouts);
  };
  return add_loop(frame.scope, frame.layouts, std::move(carried), spec);
}

// One trip in a graph of its own: `types` of what is carried, the items of the others.
Status Importer::loop_body(const LoopSpec& spec, const Items& carried,
                           const std::vector<Type>& types, Scope& inside, Items& next) {
  const size_t errors = said_->errors();
  Graph& graph = inside.draft.graph;
  graph.add_input("trip", tensor_type(DType::kI64, {}));
  graph.add_input("go_on", tensor_type(DType::kBool, {}));
  Items items = carried;
  for (size_t i = 0; i < carried.size(); ++i) {
    if (spec.invariant[i] != 0) continue;
    items[i].value = graph.add_input("", types[i]);
    items[i].home = &inside.draft;
    items[i].size = kNoValue;
  }
  Layouts layouts;
  MNN_ASSIGN_OR_RETURN(next, spec.body(inside, layouts, items));
  if (said_->errors() > errors) return {};
  for (size_t i = 0; i < carried.size(); ++i) {
    if (spec.invariant[i] != 0) next[i] = carried[i];
  }
  MNN_ASSIGN_OR_RETURN(const Item again, spec.goes_on(inside, layouts, next));
  if (said_->errors() > errors) return {};
  MNN_ASSIGN_OR_RETURN(const ValueId condition, condition_of(inside, again));
  graph.outputs = {condition};
  for (size_t i = 0; i < carried.size(); ++i) {
    if (spec.invariant[i] != 0) continue;
    if (next[i].kind != carried[i].kind) {
      return invalid("it carries a list or a variable that becomes something else");
    }
    if (next[i].kind == Item::Kind::kList) {
      MNN_RETURN_IF_ERROR(materialize(next[i], spec.name));
    }
    MNN_ASSIGN_OR_RETURN(const ValueId v, local(inside, next[i]));
    graph.outputs.push_back(v);
  }
  return {};
}

Result<Items> Importer::add_loop(Scope& scope, Layouts& layouts, Items carried,
                                 const LoopSpec& spec) {
  const Nested nested(nesting_);
  MNN_RETURN_IF_ERROR(check_nesting());
  const size_t count = carried.size();
  for (size_t i = 0; i < count; ++i) {
    if (spec.invariant[i] == 0 && carried[i].kind == Item::Kind::kVariable) {
      return unsupported("a loop that chooses between variables is not supported");
    }
  }
  const auto carries = [&](size_t i) { return spec.invariant[i] == 0; };
  // What the elements of lists are is often told only by the loop that fills them.
  const auto start = [&](bool trying) -> Result<std::vector<Type>> {
    std::vector<Type> types(count);
    for (size_t i = 0; i < count; ++i) {
      if (!carries(i)) continue;
      Item& item = carried[i];
      if (item.kind == Item::Kind::kList && item.value == kNoValue) {
        if (trying) {
          types[i].dtype = item.list->dtype;
          if (item.list->element) {
            types[i].shape = *item.list->element;
            types[i].shape->insert(types[i].shape->begin(), Dim::unknown());
          }
          continue;
        }
        MNN_RETURN_IF_ERROR(materialize(item, spec.name));
      }
      MNN_ASSIGN_OR_RETURN(const ValueId v, local(scope, item));
      types[i] = scope.draft.graph.value(v).type;
    }
    return types;
  };
  MNN_ASSIGN_OR_RETURN(std::vector<Type> types, start(true));
  for (int tries = 0;; ++tries) {
    if (tries == kMostTries) return unsupported("what it carries changes its type with each trip");
    Diagnostics unheard;
    frontend::NodeLog aside(unheard);
    frontend::NodeLog* const before = said_;
    said_ = &aside;
    frontend::Subgraph trial(scope);
    Items next;
    std::vector<std::optional<Shape>> elements;
    for (const Item& item : carried) {
      elements.push_back(item.list != nullptr ? item.list->element : std::nullopt);
    }
    const Status status = loop_body(spec, carried, types, trial.scope, next);
    said_ = before;
    if (status.code() == Code::kLimit) return status;
    bool changed = false;
    for (size_t i = 0; i < count; ++i) {
      if (!carries(i) || carried[i].list == nullptr) continue;
      const auto& element = carried[i].list->element;
      if (element && (!elements[i] || !same_type(tensor_type(DType::kF32, *element),
                                                 tensor_type(DType::kF32, *elements[i])))) {
        changed = true;
      }
    }
    if (changed) {
      MNN_ASSIGN_OR_RETURN(types, start(true));
      continue;
    }
    // What is wrong is said when it is read for good.
    if (!status.ok() || aside.errors() > 0) break;
    size_t output = 1;
    for (size_t i = 0; i < count; ++i) {
      if (!carries(i)) continue;
      const Type& made = trial.graph.value(trial.graph.outputs[output++]).type;
      if (made.dtype != types[i].dtype) {
        return invalid("it carries " + types[i].str() + ", which becomes " + made.str());
      }
      const Type both = common_type(types[i], made);
      changed |= !same_type(both, types[i]);
      types[i] = both;
    }
    if (!changed) break;
  }
  // What lists start with may fit less than what the trips make of them.
  MNN_ASSIGN_OR_RETURN(const std::vector<Type> initial, start(false));
  for (size_t i = 0; i < count; ++i) {
    if (carries(i)) types[i] = common_type(types[i], initial[i]);
  }
  const size_t errors = said_->errors();
  MNN_ASSIGN_OR_RETURN(const Item first, spec.goes_on(scope, layouts, carried));
  if (said_->errors() > errors || is_undefined(first)) return Items{};
  MNN_ASSIGN_OR_RETURN(const ValueId goes_on, condition_of(scope, first));
  frontend::SourceNode node(scope.draft, budget_);
  node.name = spec.name;
  node.op = "Loop";
  node.inputs = {kNoValue, goes_on};
  std::vector<size_t> places;
  for (size_t i = 0; i < count; ++i) {
    if (!carries(i)) continue;
    MNN_ASSIGN_OR_RETURN(const ValueId v, local(scope, carried[i]));
    node.inputs.push_back(v);
    places.push_back(i);
  }
  Items next;
  MNN_RETURN_IF_ERROR(
      frontend::add_subgraphs(scope, node, 1, limits_.depth, [&](size_t, Scope& inside) -> Status {
        return loop_body(spec, carried, types, inside, next);
      }));
  if (said_->errors() > errors) return Items{};
  node.wanted.assign(places.size(), 1);
  MNN_RETURN_IF_ERROR(node.append());
  Items results = carried;
  for (size_t k = 0; k < places.size(); ++k) {
    Item& item = results[places[k]];
    item.value = node.results[k];
    item.home = &scope.draft;
    item.size = kNoValue;
    Value& value = scope.draft.graph.value(item.value);
    if (value.name.empty())
      value.name = k == 0 ? spec.name : spec.name + ":" + std::to_string(places[k]);
  }
  return results;
}

}  // namespace mnn::tensorflow
