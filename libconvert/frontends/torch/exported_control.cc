// Operators of an ExportedProgram that take graphs.
#include <algorithm>

#include "libconvert/frontends/common/scope.h"
#include "libconvert/frontends/torch/exported.h"

namespace mnn::torch {
namespace {

constexpr int kMaxGraphDepth = 64;

// Lists among arguments give their items.
void flatten(const Arg& arg, std::vector<Arg>& out) {
  const ListArg* list = arg.get<ListArg>();
  if (list == nullptr) return out.push_back(arg);
  for (const Arg& item : *list) flatten(item, out);
}
std::vector<Arg> flat(const Arg& arg) {
  std::vector<Arg> out;
  flatten(arg, out);
  return out;
}

// The value that holds an argument in the graph; kNoValue for what is no number or tensor.
ValueId value_of(const Arg& arg, Graph& graph) {
  if (const TensorArg* t = arg.get<TensorArg>()) return t->id;
  if (const IntArg* n = arg.get<IntArg>()) {
    return n->known() ? graph.add_constant(Tensor::scalar(n->value)) : n->id;
  }
  if (const FloatArg* n = arg.get<FloatArg>()) {
    return n->known() ? graph.add_constant(Tensor::scalar(static_cast<float>(n->value))) : n->id;
  }
  if (const BoolArg* n = arg.get<BoolArg>()) {
    return n->known() ? graph.add_constant(Tensor::scalar(n->value)) : n->id;
  }
  return kNoValue;
}

// The same argument held by another value.
Arg with_value(const Arg& arg, ValueId id) {
  if (const TensorArg* t = arg.get<TensorArg>()) return Arg(TensorArg{id, t->complex, t->grid});
  if (arg.get<IntArg>() != nullptr) return Arg(IntArg{0, id});
  if (arg.get<FloatArg>() != nullptr) return Arg(FloatArg{0, id});
  return Arg(BoolArg{false, id});
}

bool is_known(const Arg& arg) {
  if (const IntArg* n = arg.get<IntArg>()) return n->known();
  if (const FloatArg* n = arg.get<FloatArg>()) return n->known();
  if (const BoolArg* n = arg.get<BoolArg>()) return n->known();
  return arg.get<TensorArg>() == nullptr;
}

}  // namespace

// A graph inside another, and what it reads of it.
struct ExportedImporter::Inside {
  explicit Inside(frontend::GraphDraft& outer) : around(outer), draft(graph) {}
  frontend::GraphDraft& around;
  Graph graph;
  frontend::GraphDraft draft;
  std::vector<ValueId> captures;  // outer values, which graph.captures stand for

  // An outer argument as the graph inside sees it: constants are copied, their bytes shared.
  Arg bring(const Arg& arg) {
    if (is_known(arg)) return arg;
    const ValueId outer = value_of(arg, around.graph);
    const Value& v = around.graph.value(outer);
    if (v.kind == ValueKind::kConstant && !v.quant) {
      return with_value(arg, graph.add_constant(v.data, v.name));
    }
    const auto at = std::ranges::find(captures, outer);
    const auto place = static_cast<size_t>(at - captures.begin());
    if (at == captures.end()) {
      const ValueId inner = graph.add_value({v.name, v.type, ValueKind::kInput, {}, {}});
      const ShapeValues* values = around.types.known(outer);
      if (values != nullptr) draft.types.learn(inner, *values);
      captures.push_back(outer);
      graph.captures.push_back(inner);
    }
    return with_value(arg, graph.captures[place]);
  }
  // An input of the graph of the type of an outer value.
  Arg add_input(const Arg& like, Type type) {
    return with_value(like, graph.add_input({}, std::move(type)));
  }
  Status add_outputs(const std::vector<Arg>& results) {
    for (const Arg& result : results) {
      const ValueId id = value_of(result, graph);
      if (id == kNoValue) return unsupported("a result that is no tensor");
      graph.outputs.push_back(id);
    }
    return {};
  }
};

// The graph's nodes in the place of the node that has it, in the graph of `draft`.
Result<std::vector<Arg>> ExportedImporter::inline_graph(const Json& graph,
                                                        const std::vector<Arg>& args,
                                                        frontend::GraphDraft& draft,
                                                        const Environment& around) {
  if (around.depth >= kMaxGraphDepth) return limit_exceeded("graphs are nested more than 64 deep");
  Environment env(draft, budget_);
  env.depth = around.depth + 1;
  env.module_path = around.module_path;
  const std::span<const Json> inputs = elements(member(&graph, "inputs"));
  if (inputs.size() != args.size()) {
    return invalid("a graph of " + std::to_string(inputs.size()) + " inputs is called with " +
                   std::to_string(args.size()));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tagged tag = tagged(inputs[i]);
    std::string name = text_of(member(tag.value, "name"));
    if (name.empty()) name = text_of(member(tag.value, "as_name"));
    if (name.empty()) continue;
    Binding binding;
    binding.arg = args[i];
    if (const TensorArg* t = args[i].get<TensorArg>()) binding.tensor = env.tensors.add(*t);
    env.names.insert_or_assign(name, std::move(binding));
  }
  const size_t errors = log_.errors();
  MNN_RETURN_IF_ERROR(add_nodes(graph, env));
  std::vector<Arg> results;
  for (const Json& output : elements(member(&graph, "outputs"))) {
    MNN_ASSIGN_OR_RETURN(Arg value, read_argument(tagged(output), env));
    flatten(value, results);
  }
  if (log_.errors() > errors) reads_undefined_ = true;
  return results;
}

// Appends the node whose sub-graphs are done; its outputs in the forms of `like`.
Result<std::vector<Arg>> ExportedImporter::append_control(Node node, std::vector<Inside>& inside,
                                                          const std::vector<Arg>& like,
                                                          Environment& env) {
  // All sub-graphs capture one list of values.
  for (const Inside& one : inside) {
    for (const ValueId v : one.captures) {
      if (std::ranges::find(node.captures, v) == node.captures.end()) node.captures.push_back(v);
    }
  }
  for (Inside& one : inside) {
    std::vector<ValueId> aligned;
    for (const ValueId outer : node.captures) {
      const auto at = std::ranges::find(one.captures, outer);
      const Value& v = env.draft.graph.value(outer);
      aligned.push_back(at != one.captures.end()
                            ? one.graph.captures[static_cast<size_t>(at - one.captures.begin())]
                            : one.graph.add_value({v.name, v.type, ValueKind::kInput, {}, {}}));
    }
    one.graph.captures = std::move(aligned);
    node.subgraphs.push_back(std::move(one.graph));
  }
  for (size_t i = 0; i < like.size(); ++i) node.outputs.push_back(env.draft.graph.add_temporary());
  std::vector<Arg> results;
  for (size_t i = 0; i < like.size(); ++i) results.push_back(with_value(like[i], node.outputs[i]));
  MNN_RETURN_IF_ERROR(frontend::append_node(env.draft, std::move(node), budget_));
  return results;
}

Result<std::vector<Arg>> ExportedImporter::add_cond(const HigherOrder& h, Environment& env) {
  if (h.graphs.size() != 2 || h.before.size() != 1) return invalid("expected two graphs");
  const std::vector<Arg> operands = h.after.empty() ? std::vector<Arg>() : flat(h.after[0]);
  const BoolArg* flag = h.before[0].get<BoolArg>();
  std::optional<bool> taken;
  if (flag != nullptr && flag->known()) taken = flag->value;
  ValueId condition = value_of(h.before[0], env.draft.graph);
  if (!taken) taken = frontend::known_condition(env.draft, condition);
  if (taken) return inline_graph(*h.graphs[*taken ? 0 : 1], operands, env.draft, env);
  std::vector<Inside> inside;
  inside.reserve(2);
  std::vector<Arg> like;
  for (const Json* graph : h.graphs) {
    Inside& one = inside.emplace_back(env.draft);
    std::vector<Arg> args;
    for (const Arg& a : operands) args.push_back(one.bring(a));
    MNN_ASSIGN_OR_RETURN(like, inline_graph(*graph, args, one.draft, env));
    if (reads_undefined_) return std::vector<Arg>{};
    MNN_RETURN_IF_ERROR(one.add_outputs(like));
  }
  Node node;
  node.op = "If";
  node.name = h.origin;
  node.origin = {h.origin};
  node.inputs = {condition};
  return append_control(std::move(node), inside, like, env);
}

// while cond(carried, rest): carried = body(carried, rest)
Result<std::vector<Arg>> ExportedImporter::add_while(const HigherOrder& h, Environment& env) {
  if (h.graphs.size() != 2 || h.after.empty()) return invalid("expected two graphs and operands");
  const std::vector<Arg> carried = flat(h.after[0]);
  const std::vector<Arg> rest = h.after.size() > 1 ? flat(h.after[1]) : std::vector<Arg>();
  std::vector<Arg> all = carried;
  all.insert(all.end(), rest.begin(), rest.end());
  MNN_ASSIGN_OR_RETURN(const std::vector<Arg> first,
                       inline_graph(*h.graphs[0], all, env.draft, env));
  if (reads_undefined_) return std::vector<Arg>{};
  if (first.size() != 1) return invalid("a loop's condition has one result");
  Graph& outer = env.draft.graph;
  Node node;
  node.op = "Loop";
  node.name = h.origin;
  node.origin = {h.origin};
  node.inputs = {kNoValue, value_of(first[0], outer)};
  std::vector<Inside> inside;
  inside.reserve(1);
  Inside& body = inside.emplace_back(env.draft);
  body.graph.add_input({}, tensor_type(DType::kI64, {}));
  body.graph.add_input({}, tensor_type(DType::kBool, {}));
  std::vector<Arg> args;
  for (const Arg& a : carried) {
    const ValueId id = value_of(a, outer);
    if (id == kNoValue) return unsupported("a loop carries what is no tensor");
    node.inputs.push_back(id);
    args.push_back(body.add_input(a, outer.value(id).type));
  }
  std::vector<Arg> outside;
  for (const Arg& a : rest) outside.push_back(body.bring(a));
  const auto with_rest = [&](std::vector<Arg> list) {
    list.insert(list.end(), outside.begin(), outside.end());
    return list;
  };
  MNN_ASSIGN_OR_RETURN(std::vector<Arg> next,
                       inline_graph(*h.graphs[1], with_rest(args), body.draft, env));
  if (reads_undefined_) return std::vector<Arg>{};
  if (next.size() != carried.size())
    return invalid("a loop's body has other results than it carries");
  MNN_ASSIGN_OR_RETURN(std::vector<Arg> again,
                       inline_graph(*h.graphs[0], with_rest(next), body.draft, env));
  if (reads_undefined_) return std::vector<Arg>{};
  if (again.size() != 1) return invalid("a loop's condition has one result");
  again.insert(again.end(), next.begin(), next.end());
  MNN_RETURN_IF_ERROR(body.add_outputs(again));
  return append_control(std::move(node), inside, carried, env);
}

// scan: (carried, rows of xs, rest) -> (carried, rows of ys); map carries nothing.
Result<std::vector<Arg>> ExportedImporter::add_scan(const HigherOrder& h, bool map,
                                                    Environment& env) {
  if (h.graphs.size() != 1 || h.after.size() < (map ? 1u : 2u)) {
    return invalid("expected a graph and operands");
  }
  const std::vector<Arg> carried = map ? std::vector<Arg>() : flat(h.after[0]);
  const std::vector<Arg> xs = flat(h.after[map ? 0 : 1]);
  std::vector<Arg> rest;
  for (size_t i = map ? 1 : 2; i < h.after.size(); ++i) flatten(h.after[i], rest);
  if (xs.empty()) return invalid("nothing to walk over");
  Graph& outer = env.draft.graph;
  Node node;
  node.op = "Scan";
  node.name = h.origin;
  node.origin = {h.origin};
  node.attributes["num_scan_inputs"] = static_cast<int64_t>(xs.size());
  std::vector<Inside> inside;
  inside.reserve(1);
  Inside& body = inside.emplace_back(env.draft);
  std::vector<Arg> args;
  for (const Arg& a : carried) {
    const ValueId id = value_of(a, outer);
    if (id == kNoValue) return unsupported("a scan carries what is no tensor");
    node.inputs.push_back(id);
    args.push_back(body.add_input(a, outer.value(id).type));
  }
  for (const Arg& a : xs) {
    const ValueId id = value_of(a, outer);
    if (id == kNoValue) return unsupported("a scan walks over what is no tensor");
    Type row = outer.value(id).type;
    if (row.shape && row.shape->empty()) return invalid("a scan walks over a 0-d tensor");
    if (row.shape) row.shape->erase(row.shape->begin());
    node.inputs.push_back(id);
    args.push_back(body.add_input(a, std::move(row)));
  }
  for (const Arg& a : rest) args.push_back(body.bring(a));
  MNN_ASSIGN_OR_RETURN(std::vector<Arg> results, inline_graph(*h.graphs[0], args, body.draft, env));
  if (reads_undefined_) return std::vector<Arg>{};
  if (results.size() < carried.size())
    return invalid("a scan's body has fewer results than it carries");
  // A result that is only passed on gets a value of its own.
  MNN_RETURN_IF_ERROR(body.add_outputs(results));
  return append_control(std::move(node), inside, results, env);
}

Status ExportedImporter::add_higher_order(const NodeText& node, const std::string& op,
                                          Environment& env) {
  HigherOrder h;
  h.origin = node.origin;
  for (const Json& input : elements(member(node.json, "inputs"))) {
    const Json* arg = member(&input, "arg");
    const Tagged tag = arg == nullptr ? Tagged{} : tagged(*arg);
    if (tag.tag == "as_graph") {
      const Json* graph = member(tag.value, "graph");
      if (graph == nullptr) return invalid("an argument without its graph");
      h.graphs.push_back(graph);
      continue;
    }
    MNN_ASSIGN_OR_RETURN(Arg value, read_argument(tag, env));
    (h.graphs.empty() ? h.before : h.after).push_back(std::move(value));
  }
  if (reads_undefined_) return {};
  Result<std::vector<Arg>> results = std::vector<Arg>{};
  if (op == "cond") {
    results = add_cond(h, env);
  } else if (op == "while_loop") {
    results = add_while(h, env);
  } else if (op == "map_impl" || op == "map") {
    results = add_scan(h, true, env);
  } else if (op == "scan") {
    results = add_scan(h, false, env);
  } else if (op == "wrap_with_set_grad_enabled" || op == "wrap_with_autocast" || op == "wrap" ||
             op == "invoke_subgraph") {
    // Settings of the framework around a graph.
    std::vector<Arg> args;
    for (const Arg& a : h.after) flatten(a, args);
    if (h.graphs.size() != 1) return invalid("expected one graph");
    results = inline_graph(*h.graphs[0], args, env.draft, env);
  } else {
    return unsupported("it is not supported");
  }
  if (!results.ok()) return results.status();
  if (reads_undefined_) return {};
  // Names of all results in one list are those of its items.
  const std::span<const Json> outputs = elements(member(node.json, "outputs"));
  if (outputs.size() == 1 && tagged(outputs[0]).tag == "as_tensors") {
    results = std::vector<Arg>{Arg(ListArg(std::move(*results)))};
  }
  return bind_results(node, *results, env, nullptr, nullptr, -1);
}

}  // namespace mnn::torch
