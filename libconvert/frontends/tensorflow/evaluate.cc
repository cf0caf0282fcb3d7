// Nodes on demand: what an edge stands for, its makers first.
#include <algorithm>

#include "libconvert/frontends/tensorflow/import_state.h"
#include "libconvert/frontends/tensorflow/tensor_proto.h"
#include "libconvert/frontends/tensorflow/types.h"

namespace mnn::tensorflow {

using frontend::Layouts;
using frontend::Scope;

namespace {

// Bodies, branches and loops that are being read inside each other.
constexpr int kMostNesting = 256;

// The rows that know of the axis complex numbers have more.
constexpr std::string_view kOfComplex[] = {
    "Add",     "AddV2", "Angle", "ComplexAbs", "Conj",    "Exp",     "ExpandDims", "FFT",
    "IFFT",    "IRFFT", "Imag",  "Mul",        "Neg",     "RFFT",    "RFFT2D",     "Real",
    "Reshape", "Shape", "Rank",  "Sub",        "Squeeze", "Complex", "Transpose",  "StridedSlice"};

const BodyNode& at(const Body& body, int node) { return body.nodes[static_cast<size_t>(node)]; }

std::string where_of(const Body& body, int node) {
  const std::string name(at(body, node).name);
  return body.name.empty() ? name : body.name + "/" + name;
}

}  // namespace

Status not_supported(std::string_view op) {
  const std::string name(op);
  if (op.find("Random") != std::string_view::npos || op == "Multinomial") {
    return unsupported("operator " + name +
                       " draws random numbers, which is not supported; export the network as it is "
                       "used, without training");
  }
  if (op.find("Table") != std::string_view::npos || op.starts_with("String") ||
      op.find("Decode") != std::string_view::npos) {
    return unsupported("operator " + name +
                       " works on texts or tables, which is not supported; do that before the "
                       "network");
  }
  return unsupported("operator " + name + " is not supported");
}

Status Importer::check_nesting() const {
  if (nesting_ <= kMostNesting) return {};
  return limit_exceeded("functions, branches and loops are nested more than " +
                        std::to_string(kMostNesting) + " deep");
}

Item Importer::undefined(Scope& scope, const std::string& name) {
  return tensor(scope, scope.draft.graph.add_temporary(name));
}

bool Importer::is_undefined(const Item& item) const {
  if (item.kind == Item::Kind::kNone) return true;
  if (item.value == kNoValue) return false;
  return !item.home->graph.value(item.value).type.defined();
}

Result<ValueId> Importer::local(Scope& scope, const Item& item) {
  if (item.kind == Item::Kind::kVariable) {
    return invalid("variable " + item.variable + " is used as a tensor");
  }
  if (item.kind == Item::Kind::kNone || item.value == kNoValue) {
    return invalid("a list without elements is used as a tensor");
  }
  // Through the graphs around, from where it is.
  std::vector<Scope*> way;
  Scope* here = &scope;
  for (; here != nullptr && &here->draft != item.home; here = here->outer) way.push_back(here);
  if (here == nullptr) return internal_error("a value of a graph that is not around this one");
  ValueId value = item.value;
  for (size_t i = way.size(); i-- > 0;) value = frontend::capture(*way[i], value);
  return value;
}

Result<Item> Importer::demand(Frame& frame, Edge edge) {
  const auto fed = frame.fed.find(edge);
  if (fed != frame.fed.end()) return fed->second;
  MNN_RETURN_IF_ERROR(make(frame, edge.node));
  const Items& items = frame.made.at(edge.node);
  const auto output = static_cast<size_t>(edge.output);
  if (output < items.size()) return items[output];
  const BodyNode& node = at(frame.body, edge.node);
  return invalid("node " + where_of(frame.body, edge.node) + " (" + std::string(node.op) +
                 ") has no output " + std::to_string(output));
}

Result<Items> Importer::items_of(Frame& frame, std::span<const Edge> edges) {
  Items items;
  for (const Edge& e : edges) {
    MNN_ASSIGN_OR_RETURN(Item item, demand(frame, e));
    items.push_back(std::move(item));
  }
  return items;
}

// Without recursion along the edges: chains may be long.
Status Importer::make(Frame& frame, int wanted) {
  if (!frame.made.contains(wanted) && frame.entered.contains(wanted)) {
    return invalid("node " + where_of(frame.body, wanted) + " depends on itself");
  }
  std::vector<int> stack = {wanted};
  while (!stack.empty()) {
    const int node = stack.back();
    if (frame.made.contains(node)) {
      stack.pop_back();
      continue;
    }
    if (frame.entered.insert(node).second) {
      MNN_ASSIGN_OR_RETURN(const std::vector<Edge> edges, needs(frame, node));
      for (const Edge& e : edges) {
        if (frame.made.contains(e.node) || frame.fed.contains(e)) continue;
        // What was entered and is not made waits for this node.
        if (frame.entered.contains(e.node)) {
          return invalid("nodes " + where_of(frame.body, e.node) + " and " +
                         where_of(frame.body, node) + " depend on each other");
        }
        stack.push_back(e.node);
      }
      continue;
    }
    stack.pop_back();
    MNN_RETURN_IF_ERROR(build(frame, node));
  }
  return {};
}

Result<std::vector<Edge>> Importer::needs(Frame& frame, int node) {
  const BodyNode& n = at(frame.body, node);
  if (n.def == nullptr) return std::vector<Edge>{};
  const OpRow* row = find_row(n.op);
  const Structure structure = row == nullptr ? Structure::kRow : row->structure;
  const bool flows = structure == Structure::kSwitch || structure == Structure::kMerge ||
                     structure == Structure::kEnter || structure == Structure::kExit;
  if (!flows && !frame.condition) return n.inputs;
  MNN_ASSIGN_OR_RETURN(const Flow* flow, flow_of(frame.body));
  // In a branch: what does not depend on the choice is made around it.
  if (frame.condition && !flow->stands_in(node, *frame.condition)) return std::vector<Edge>{};
  if (structure == Structure::kEnter) return std::vector<Edge>{};
  if (structure == Structure::kExit) {
    const int loop = flow->loop_of[static_cast<size_t>(node)];
    if (loop < 0) return invalid("node " + where_of(frame.body, node) + " leaves no loop");
    const WhileFrame& w = flow->loops[static_cast<size_t>(loop)];
    std::vector<Edge> edges = w.initial;
    edges.insert(edges.end(), w.constants.begin(), w.constants.end());
    return edges;
  }
  if (structure == Structure::kSwitch) {
    if (n.inputs.size() != 2)
      return invalid("node " + where_of(frame.body, node) + ": expected 2 inputs");
    const Edge condition = behind_passes(frame.body, n.inputs[1]);
    if (frame.condition == condition) return std::vector<Edge>{};
    return std::vector<Edge>{n.inputs[0]};
  }
  if (structure != Structure::kMerge) return n.inputs;
  const auto join = flow->joins.find(node);
  if (join == flow->joins.end()) return std::vector<Edge>{};
  return flow->outside(frame.body, node, join->second.condition);
}

Status Importer::build(Frame& frame, int node) {
  const BodyNode& n = at(frame.body, node);
  if (n.def == nullptr) {
    frame.made[node] = {frame.arguments[static_cast<size_t>(n.argument)]};
    return {};
  }
  if (frame.condition) {
    MNN_ASSIGN_OR_RETURN(const Flow* flow, flow_of(frame.body));
    if (!flow->stands_in(node, *frame.condition)) {
      MNN_RETURN_IF_ERROR(make(*frame.parent, node));
      frame.made[node] = frame.parent->made.at(node);
      return {};
    }
  }
  if (--budget_ < 0) return limit_exceeded("the model has more nodes than the budget allows");
  const OpRow* row = find_row(n.op);
  const bool silent = row != nullptr &&
                      (row->structure == Structure::kPass || row->structure == Structure::kSwitch ||
                       row->structure == Structure::kEnter);
  const std::string name =
      silent ? std::string(n.name) : said_->unique_name(std::string(n.name), true);
  Result<Items> items = Items{};
  const auto function = functions_.find(n.op);
  if (function != functions_.end()) {
    items = call(frame, node, std::string(n.op));
  } else if (row == nullptr) {
    items = not_supported(n.op);
  } else {
    items = build_items(frame, node, *row, name);
  }
  if (!items.ok()) {
    if (items.status().code() == Code::kLimit) return items.status().context("node " + name);
    said_->report(name, std::string(n.op), items.status(), true);
    items = Items{};
  }
  const auto outputs = static_cast<size_t>(n.outputs);
  while (items->size() < outputs) items->push_back(undefined(frame.scope, ""));
  frame.made[node] = std::move(items).value();
  return {};
}

Result<std::vector<ValueId>> Importer::local_inputs(Frame& frame, int node) {
  std::vector<ValueId> values;
  for (const Edge& e : at(frame.body, node).inputs) {
    MNN_ASSIGN_OR_RETURN(const Item item, demand(frame, e));
    MNN_ASSIGN_OR_RETURN(const ValueId v, local(frame.scope, item));
    values.push_back(v);
  }
  return values;
}

Result<Items> Importer::build_items(Frame& frame, int node, const OpRow& row,
                                    const std::string& name) {
  const BodyNode& n = at(frame.body, node);
  switch (row.structure) {
    case Structure::kRow:
      if (n.op == "BatchToSpaceND") {
        MNN_ASSIGN_OR_RETURN(std::optional<Items> dilated, dilated_conv(frame, n, name));
        if (dilated) return std::move(*dilated);
      }
      return build_row(frame, node, row, name);
    case Structure::kConstant: return build_constant(frame, n, name);
    case Structure::kPlaceholder:
      if (n.inputs.size() == 1) {  // with a default
        MNN_ASSIGN_OR_RETURN(Item item, demand(frame, n.inputs[0]));
        return Items{std::move(item)};
      }
      return invalid("it is an input, but not among those the model has");
    case Structure::kPass: return items_of(frame, n.inputs);
    case Structure::kNothing: return invalid("it has no outputs that can be read");
    case Structure::kCall: {
      const auto f = n.def->attr().find("f");
      if (f == n.def->attr().end()) return invalid("it names no function");
      return call(frame, node, f->second.func().name());
    }
    case Structure::kIf: return add_if(frame, node, name);
    case Structure::kCase: return add_case(frame, node, name);
    case Structure::kWhile: return add_while(frame, node, name);
    case Structure::kSwitch: {
      // Of a loop, or in the branch that is being read: what goes in comes out.
      Frame* from = &frame;
      if (frame.condition == behind_passes(frame.body, n.inputs[1])) from = frame.parent;
      MNN_ASSIGN_OR_RETURN(const Item item, demand(*from, n.inputs[0]));
      return Items(static_cast<size_t>(n.outputs), item);
    }
    case Structure::kMerge: return add_merge(frame, node, name);
    case Structure::kEnter: return enter(frame, node);
    case Structure::kExit: return add_exit(frame, node, name);
    case Structure::kHandle:
    case Structure::kVariable:
    case Structure::kRead:
    case Structure::kGather:
    case Structure::kAssign: return build_variable(frame, node, row, name);
    case Structure::kList: return build_list(frame, node, name);
  }
  return internal_error("no structure");
}

Result<Items> Importer::build_constant(Frame& frame, const BodyNode& n, const std::string& name) {
  const auto value = n.def->attr().find("value");
  if (value == n.def->attr().end() || !value->second.has_tensor()) {
    return invalid("it has no value");
  }
  MNN_ASSIGN_OR_RETURN(Tensor data, to_tensor(value->second.tensor()));
  return Items{tensor(frame.scope, frame.scope.draft.graph.add_constant(std::move(data), name))};
}

Result<Items> Importer::build_row(Frame& frame, int at_node, const OpRow& row,
                                  const std::string& name) {
  const BodyNode& n = at(frame.body, at_node);
  OpNode node(frame.scope.draft, budget_, frame.layouts, *n.def);
  node.name = name;
  node.outputs = static_cast<size_t>(n.outputs);
  Graph& graph = node.graph;
  const size_t nodes_before = graph.nodes.size();
  MNN_ASSIGN_OR_RETURN(node.inputs, local_inputs(frame, at_node));
  for (const ValueId v : node.inputs) {
    if (frontend::is_undefined(frame.scope, v)) return Items{};
  }
  if (node.is_complex() && std::ranges::find(kOfComplex, n.op) == std::end(kOfComplex)) {
    return unsupported("complex numbers are not supported here");
  }
  if (row.convert != nullptr) {
    row.convert(node);
  } else if (node.expect_inputs(static_cast<size_t>(row.inputs), static_cast<size_t>(row.inputs))) {
    node.results = {node.emit(row.target, node.inputs)};
  }
  MNN_RETURN_IF_ERROR(node.status);
  for (std::string& note : node.notes) said_->note(name, node.op, std::move(note));
  Items items;
  for (size_t i = 0; i < node.results.size(); ++i) {
    const ValueId v = node.results[i];
    if (v == kNoValue) {
      items.push_back(undefined(frame.scope, ""));
      continue;
    }
    Value& value = graph.value(v);
    if (value.name.empty()) value.name = i == 0 ? name : name + ":" + std::to_string(i);
    items.push_back(tensor(frame.scope, v));
  }
  if (items.size() < static_cast<size_t>(n.outputs)) {
    return invalid("its output " + std::to_string(items.size()) + " is read, which it has not");
  }
  // The node that does the work carries the source's name, not the Transpose behind it.
  for (size_t k = graph.nodes.size(); k-- > nodes_before;) {
    Node& made = graph.nodes[k];
    if (made.op == "Transpose" && k > nodes_before) continue;
    if (made.name.empty() && made.origin == std::vector<std::string>{name}) made.name = name;
    break;
  }
  return items;
}

Result<const Body*> Importer::body_of(const std::string& function) {
  const auto known = bodies_.find(function);
  if (known != bodies_.end()) return known->second.get();
  const auto source = functions_.find(function);
  if (source == functions_.end()) return invalid("function '" + function + "' is not in the file");
  Result<Body> body = read_function(*source->second, functions_);
  if (!body.ok()) return body.status().context("function " + function);
  return bodies_.emplace(function, std::make_unique<Body>(std::move(body).value()))
      .first->second.get();
}

Result<Items> Importer::run_body(const std::string& function, const Items& arguments,
                                 size_t results, Scope& scope, Layouts& layouts) {
  MNN_ASSIGN_OR_RETURN(const Body* body, body_of(function));
  if (body->arguments != arguments.size()) {
    return invalid("function " + function + " takes " + std::to_string(body->arguments) +
                   " arguments, found " + std::to_string(arguments.size()));
  }
  if (body->results.size() < results) {
    return invalid("function " + function + " has " + std::to_string(body->results.size()) +
                   " results, expected " + std::to_string(results));
  }
  const Nested nested(nesting_);
  MNN_RETURN_IF_ERROR(check_nesting());
  Frame inner(*body, scope, layouts);
  inner.arguments = arguments;
  Items items;
  for (size_t i = 0; i < results; ++i) {
    MNN_ASSIGN_OR_RETURN(Item item, demand(inner, body->results[i]));
    items.push_back(std::move(item));
  }
  if (!assigned_.empty()) {
    std::vector<int> roots = body->controls;
    for (const Edge& e : body->results) roots.push_back(e.node);
    MNN_RETURN_IF_ERROR(add_effects(inner, roots));
  }
  return items;
}

Result<Items> Importer::call(Frame& frame, int node, const std::string& function) {
  const BodyNode& n = at(frame.body, node);
  MNN_ASSIGN_OR_RETURN(const Items arguments, items_of(frame, n.inputs));
  return run_body(function, arguments, static_cast<size_t>(n.outputs), frame.scope, frame.layouts);
}

void Importer::scan(const Body& body, const std::vector<Edge>& edges) {
  std::vector<char>& seen = scanned_[&body];
  seen.resize(body.nodes.size());
  std::vector<int> stack;
  for (const Edge& e : edges) stack.push_back(e.node);
  while (!stack.empty()) {
    const int node = stack.back();
    stack.pop_back();
    if (seen[static_cast<size_t>(node)] != 0) continue;
    seen[static_cast<size_t>(node)] = 1;
    const BodyNode& n = at(body, node);
    for (const Edge& e : n.inputs) stack.push_back(e.node);
    if (n.def == nullptr) continue;
    if (find_row(n.op) == nullptr && !functions_.contains(n.op)) {
      said_->report(where_of(body, node), std::string(n.op), not_supported(n.op), true);
    }
    for (const auto& [key, value] : n.def->attr()) {
      std::vector<std::string> called;
      if (value.has_func()) called.push_back(value.func().name());
      for (const NameAttrList& f : value.list().func()) called.push_back(f.name());
      for (const std::string& f : called) {
        const auto inner = body_of(f);
        if (inner.ok() && !scanned_.contains(*inner)) scan(**inner, (*inner)->results);
      }
    }
  }
}

}  // namespace mnn::tensorflow
