#include "libruntime/core/graph.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "libruntime/core/op.h"

namespace mnn {

std::string Type::str() const {
  std::string text = std::string(dtype_name(dtype)) + (shape ? shape_str(*shape) : "[*]");
  switch (kind) {
    case Kind::kTensor: return text;
    case Kind::kSequence: return "seq(" + text + ")";
    case Kind::kOptionalTensor: return "optional(" + text + ")";
    case Kind::kOptionalSequence: return "optional(seq(" + text + "))";
  }
  return text;
}

Type tensor_type(DType dtype, Shape shape) {
  return {Type::Kind::kTensor, dtype, std::move(shape)};
}

Type type_of(const Tensor& tensor) {
  switch (tensor.form()) {
    case Tensor::Form::kSequence: return {Type::Kind::kSequence, tensor.dtype(), std::nullopt};
    case Tensor::Form::kNothing: return {Type::Kind::kOptionalTensor, tensor.dtype(), std::nullopt};
    case Tensor::Form::kTensor: break;
  }
  return tensor_type(tensor.dtype(), to_shape(tensor.dims()));
}

bool can_hold(const Type& type, const Tensor& tensor) {
  using Form = Tensor::Form;
  if (type.dtype != tensor.dtype()) return false;
  const Form form = tensor.form();
  switch (type.kind) {
    case Type::Kind::kTensor: return form == Form::kTensor;
    case Type::Kind::kSequence: return form == Form::kSequence;
    case Type::Kind::kOptionalTensor: return form != Form::kSequence;
    case Type::Kind::kOptionalSequence: return form != Form::kTensor;
  }
  return false;
}

size_t Node::own_inputs() const {
  size_t count = inputs.size();
  for (const FusedOp& f : fused) {
    for (const int operand : f.operands) {
      if (operand >= 0) count = std::min(count, static_cast<size_t>(operand));
    }
  }
  return count;
}

ValueId Graph::add_value(Value value) {
  values.push_back(std::move(value));
  return static_cast<ValueId>(values.size()) - 1;
}

ValueId Graph::add_input(std::string name_, Type type) {
  const ValueId id = add_value({std::move(name_), std::move(type), ValueKind::kInput, {}, {}});
  inputs.push_back(id);
  return id;
}

ValueId Graph::add_constant(Tensor data, std::string name_) {
  Type type = tensor_type(data.dtype(), to_shape(data.dims()));
  return add_value({std::move(name_), std::move(type), ValueKind::kConstant, std::move(data), {}});
}

ValueId Graph::add_temporary(std::string name_, Type type) {
  return add_value({std::move(name_), std::move(type), ValueKind::kTemporary, {}, {}});
}

NodeId Graph::add_node(Node node_) {
  nodes.push_back(std::move(node_));
  return static_cast<NodeId>(nodes.size()) - 1;
}

const Tensor* Graph::constant(ValueId id) const {
  if (id == kNoValue) return nullptr;
  const Value& v = value(id);
  return v.kind == ValueKind::kConstant && !v.quant ? &v.data : nullptr;
}

std::vector<ValueId> Graph::results() const {
  std::vector<ValueId> ids = outputs;
  for (const StateUpdate& u : updates) ids.push_back(u.next);
  return ids;
}

bool Graph::is_result(ValueId id) const {
  return std::find(outputs.begin(), outputs.end(), id) != outputs.end() ||
         std::any_of(updates.begin(), updates.end(),
                     [&](const StateUpdate& u) { return u.next == id; });
}

Uses index_uses(const Graph& graph) {
  Uses uses;
  uses.producer.assign(graph.values.size(), -1);
  uses.consumers.resize(graph.values.size());
  uses.output_uses.assign(graph.values.size(), 0);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    for (const ValueId v : node.outputs) {
      if (v != kNoValue) uses.producer[static_cast<size_t>(v)] = static_cast<NodeId>(n);
    }
    for (const auto* list : {&node.inputs, &node.captures}) {
      for (const ValueId v : *list) {
        if (v != kNoValue) uses.consumers[static_cast<size_t>(v)].push_back(static_cast<NodeId>(n));
      }
    }
  }
  for (const ValueId v : graph.results()) {
    if (v != kNoValue) ++uses.output_uses[static_cast<size_t>(v)];
  }
  return uses;
}

namespace {

// Position-stable order: among ready nodes the one that stood first goes first.
Status sort_one(Graph& graph) {
  const Uses uses = index_uses(graph);
  const size_t count = graph.nodes.size();
  std::vector<int> waiting(count, 0);
  bool sorted = true;
  for (size_t n = 0; n < count; ++n) {
    for (const auto* list : {&graph.nodes[n].inputs, &graph.nodes[n].captures}) {
      for (const ValueId v : *list) {
        if (v == kNoValue) continue;
        const NodeId p = uses.producer[static_cast<size_t>(v)];
        if (p < 0) continue;
        ++waiting[n];
        sorted &= static_cast<size_t>(p) < n;
      }
    }
  }
  if (sorted) return {};
  std::vector<size_t> heap, order;
  const auto later = std::greater<size_t>();
  for (size_t n = 0; n < count; ++n) {
    if (waiting[n] == 0) heap.push_back(n);
  }
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const size_t n = heap.back();
    heap.pop_back();
    order.push_back(n);
    for (const ValueId v : graph.nodes[n].outputs) {
      if (v == kNoValue) continue;
      for (const NodeId c : uses.consumers[static_cast<size_t>(v)]) {
        if (--waiting[static_cast<size_t>(c)] == 0) {
          heap.push_back(static_cast<size_t>(c));
          std::push_heap(heap.begin(), heap.end(), later);
        }
      }
    }
  }
  if (order.size() != count) {
    std::string names;
    int shown = 0;
    for (size_t n = 0; n < count && shown < 4; ++n) {
      if (waiting[n] == 0) continue;
      names += (shown++ ? ", " : "") + display_name(graph, graph.nodes[n]);
    }
    return invalid("the graph has a cycle through or before " + names);
  }
  std::vector<Node> nodes;
  nodes.reserve(count);
  for (const size_t n : order) nodes.push_back(std::move(graph.nodes[n]));
  graph.nodes = std::move(nodes);
  return {};
}

void remap(std::vector<ValueId>& ids, const std::vector<ValueId>& map) {
  for (ValueId& v : ids) {
    if (v != kNoValue) v = map[static_cast<size_t>(v)];
  }
}

// Drops captures that no sub-graph reads any more.
void drop_unused_captures(Node& node) {
  for (size_t c = node.captures.size(); c-- > 0;) {
    bool used = false;
    for (const Graph& g : node.subgraphs) {
      const ValueId v = g.captures[c];
      for (const Node& n : g.nodes) {
        used |= std::find(n.inputs.begin(), n.inputs.end(), v) != n.inputs.end() ||
                std::find(n.captures.begin(), n.captures.end(), v) != n.captures.end();
        if (used) break;
      }
      used |= g.is_result(v);
      if (used) break;
    }
    if (used) continue;
    node.captures.erase(node.captures.begin() + static_cast<long>(c));
    for (Graph& g : node.subgraphs) g.captures.erase(g.captures.begin() + static_cast<long>(c));
  }
}

int remove_dead_values_and_nodes(Graph& graph) {
  const Uses uses = index_uses(graph);
  std::vector<char> node_live(graph.nodes.size(), 0), value_live(graph.values.size(), 0);
  std::vector<NodeId> work;
  auto want = [&](ValueId v) {
    if (v == kNoValue || value_live[static_cast<size_t>(v)]) return;
    value_live[static_cast<size_t>(v)] = 1;
    const NodeId p = uses.producer[static_cast<size_t>(v)];
    if (p >= 0 && !node_live[static_cast<size_t>(p)]) {
      node_live[static_cast<size_t>(p)] = 1;
      work.push_back(p);
    }
  };
  for (const auto* list : {&graph.outputs, &graph.inputs, &graph.captures}) {
    for (const ValueId v : *list) want(v);
  }
  for (const StateUpdate& u : graph.updates) {
    want(u.next);
    want(u.state);
  }
  while (!work.empty()) {
    const Node& node = graph.node(work.back());
    work.pop_back();
    for (const auto* list : {&node.inputs, &node.captures}) {
      for (const ValueId v : *list) want(v);
    }
  }
  int removed = 0;
  std::vector<Node> nodes;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!node_live[n]) {
      ++removed;
      continue;
    }
    for (ValueId& v : graph.nodes[n].outputs) {
      // An output nobody reads keeps its place but loses its value, unless it is the only one.
      if (v != kNoValue && !value_live[static_cast<size_t>(v)]) v = kNoValue;
    }
    nodes.push_back(std::move(graph.nodes[n]));
  }
  graph.nodes = std::move(nodes);
  std::vector<ValueId> map(graph.values.size(), kNoValue);
  std::vector<Value> values;
  for (size_t v = 0; v < graph.values.size(); ++v) {
    if (!value_live[v]) continue;
    map[v] = static_cast<ValueId>(values.size());
    values.push_back(std::move(graph.values[v]));
  }
  graph.values = std::move(values);
  remap(graph.inputs, map);
  remap(graph.outputs, map);
  remap(graph.captures, map);
  for (StateUpdate& u : graph.updates) {
    u = {map[static_cast<size_t>(u.state)], map[static_cast<size_t>(u.next)]};
  }
  for (Node& node : graph.nodes) {
    remap(node.inputs, map);
    remap(node.outputs, map);
    remap(node.captures, map);
  }
  return removed;
}

}  // namespace

Status sort_nodes(Graph& graph) {
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) MNN_RETURN_IF_ERROR(sort_nodes(g));
  }
  return sort_one(graph);
}

int remove_dead(Graph& graph) {
  int removed = 0;
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) removed += remove_dead(g);
    drop_unused_captures(node);
  }
  return removed + remove_dead_values_and_nodes(graph);
}

namespace {

Status verify_attributes(const OpDef& def,
                         const std::map<std::string, Attribute, std::less<>>& attributes) {
  for (const auto& [name, attribute] : attributes) {
    const auto row = std::find_if(def.attributes.begin(), def.attributes.end(),
                                  [&name = name](const AttrDef& a) { return a.name == name; });
    if (row == def.attributes.end()) return invalid("attribute " + name + " is not known");
    if (row->default_value.index() != attribute.index()) {
      return invalid("attribute " + name + " has the wrong type");
    }
  }
  for (const AttrDef& a : def.attributes) {
    if (a.required && !attributes.contains(a.name)) {
      return invalid("attribute " + a.name + " is missing");
    }
  }
  return {};
}

// A post-op is an operator of one output, which takes what comes before and its operands.
Status verify_fused(const Node& node) {
  if (!node.fused.empty() && (node.outputs.empty() || node.outputs[0] == kNoValue)) {
    return invalid("post-ops need the first output");
  }
  for (const FusedOp& f : node.fused) {
    for (const int operand : f.operands) {
      if (operand < -1 || operand >= static_cast<int>(node.inputs.size())) {
        return internal_error("fused " + f.op + ": operand index out of range");
      }
    }
    const OpDef* def = find_op(f.op);
    if (def == nullptr) return internal_error("fused operator " + f.op + " is not known");
    const auto inputs = static_cast<int64_t>(f.operands.size()) + 1;
    const bool fits = inputs >= def->min_inputs && inputs <= def->max_inputs &&
                      def->min_outputs <= 1 && def->subgraphs == 0;
    if (!fits) return invalid("fused " + f.op + ": this operator cannot be a post-op");
    for (size_t i = 0; i < f.operands.size(); ++i) {
      const int operand = f.operands[i];
      const bool absent = operand < 0 || node.inputs[static_cast<size_t>(operand)] == kNoValue;
      if (absent && static_cast<int>(i) + 1 < def->min_inputs) {
        return invalid("fused " + f.op + ": its operand is missing");
      }
    }
    MNN_RETURN_IF_ERROR(verify_attributes(*def, f.attributes).context("fused " + f.op));
  }
  return {};
}

Status verify_node(const Graph& graph, const Node& node, const std::vector<char>& defined) {
  const OpDef* def = find_op(node.op);
  if (def == nullptr) return unsupported("operator " + node.op + " is not known");
  const size_t count = graph.values.size();
  for (const auto* list : {&node.inputs, &node.captures}) {
    for (const ValueId v : *list) {
      if (v == kNoValue) continue;
      if (v < 0 || static_cast<size_t>(v) >= count) return internal_error("input id out of range");
      if (!defined[static_cast<size_t>(v)]) {
        return internal_error("value '" + graph.value(v).name + "' is read before it is made");
      }
    }
  }
  const size_t own = node.own_inputs();
  if (own < static_cast<size_t>(def->min_inputs) || own > static_cast<size_t>(def->max_inputs)) {
    return invalid(
        node.op + " takes " + std::to_string(def->min_inputs) + " to " +
        (def->max_inputs == kVariadic ? "any number of" : std::to_string(def->max_inputs)) +
        " inputs, found " + std::to_string(own));
  }
  for (size_t i = 0; i < static_cast<size_t>(def->min_inputs); ++i) {
    if (node.inputs[i] == kNoValue) return invalid("input " + std::to_string(i) + " is missing");
  }
  if (node.outputs.size() < static_cast<size_t>(def->min_outputs) ||
      node.outputs.size() > static_cast<size_t>(def->max_outputs)) {
    return invalid(node.op + " has " + std::to_string(def->min_outputs) + " to " +
                   std::to_string(def->max_outputs) + " outputs, found " +
                   std::to_string(node.outputs.size()));
  }
  MNN_RETURN_IF_ERROR(verify_attributes(*def, node.attributes));
  MNN_RETURN_IF_ERROR(verify_fused(node));
  if (node.subgraphs.size() != static_cast<size_t>(def->subgraphs)) {
    return invalid("expected " + std::to_string(def->subgraphs) + " sub-graphs, found " +
                   std::to_string(node.subgraphs.size()));
  }
  for (const Graph& g : node.subgraphs) {
    if (g.captures.size() != node.captures.size()) {
      return internal_error("captures of node and sub-graph differ in number");
    }
    if (!g.updates.empty()) return invalid("its sub-graph " + g.name + " updates a state");
    MNN_RETURN_IF_ERROR(verify(g).context("in its sub-graph " + g.name));
  }
  return {};
}

Status verify_smoothing(const Value& value) {
  const ChannelDivisors& s = *value.smoothing;
  const std::string where = "value '" + value.name + "': smoothing: ";
  if (value.kind == ValueKind::kConstant || value.kind == ValueKind::kState)
    return invalid(where + "only what nodes make has it");
  if (s.divisors.empty()) return invalid(where + "there are no divisors");
  for (const float d : s.divisors) {
    if (!(d > 0) || !std::isfinite(d)) {
      return invalid(where + "expected positive divisors, found " + std::to_string(d));
    }
  }
  if (!value.type.shape) return {};
  const auto rank = static_cast<int64_t>(value.type.rank());
  const int64_t axis = s.axis < 0 ? s.axis + rank : s.axis;
  if (axis < 0 || axis >= rank) {
    return invalid(where + "axis " + std::to_string(s.axis) + " does not fit " + value.type.str());
  }
  const Dim& channels = (*value.type.shape)[static_cast<size_t>(axis)];
  if (channels.known() && channels.value() != static_cast<int64_t>(s.divisors.size())) {
    return invalid(where + std::to_string(s.divisors.size()) + " divisors along axis " +
                   std::to_string(s.axis) + " do not fit " + value.type.str());
  }
  return {};
}

Status verify_updates(const Graph& graph, const std::vector<char>& defined) {
  std::set<ValueId> updated;
  for (const auto& [state, next] : graph.updates) {
    for (const ValueId v : {state, next}) {
      if (v < 0 || static_cast<size_t>(v) >= graph.values.size()) {
        return internal_error("state update: value id out of range");
      }
    }
    const Value &to = graph.value(state), &from = graph.value(next);
    const std::string where = "state '" + to.name + "': ";
    if (to.kind != ValueKind::kState) return invalid(where + "the value is no state");
    if (!updated.insert(state).second) return invalid(where + "it is updated twice");
    if (!defined[static_cast<size_t>(next)]) {
      return invalid(where + "its next content '" + from.name + "' is made by no node");
    }
    if (to.quant || !to.type.is_static()) {
      return invalid(where + "a state has a static type, found " + to.type.str());
    }
    // Types of temporaries may still be open: the session asks again.
    const bool differs =
        from.type.defined() &&
        (from.type.kind != Type::Kind::kTensor || from.type.dtype != to.type.dtype ||
         (from.type.is_static() && !same_shape(*from.type.shape, *to.type.shape)));
    if (differs) {
      return invalid(where + "expected next content of type " + to.type.str() + ", found " +
                     from.type.str());
    }
  }
  return {};
}

}  // namespace

Status verify(const Graph& graph) {
  const size_t count = graph.values.size();
  std::vector<char> defined(count, 0);
  auto in_range = [&](ValueId v) { return v >= 0 && static_cast<size_t>(v) < count; };
  for (const auto* list : {&graph.inputs, &graph.captures, &graph.outputs}) {
    for (const ValueId v : *list) {
      if (!in_range(v)) return internal_error("graph border: value id out of range");
    }
  }
  for (size_t v = 0; v < count; ++v) {
    const Value& value = graph.values[v];
    defined[v] = is_stored(value);
    if (value.quant) {
      MNN_RETURN_IF_ERROR(
          check_quant(*value.quant, value.type).context("value '" + value.name + "'"));
    }
    if (value.smoothing) MNN_RETURN_IF_ERROR(verify_smoothing(value));
    if (value.kind == ValueKind::kConstant && !value.data.defined()) {
      return internal_error("constant '" + value.name + "' has no data");
    }
  }
  for (const auto* list : {&graph.inputs, &graph.captures}) {
    for (const ValueId v : *list) defined[static_cast<size_t>(v)] = 1;
  }
  for (const Node& node : graph.nodes) {
    const std::string where = "node " + display_name(graph, node) + " (" + node.op + ")";
    const Status status = verify_node(graph, node, defined);
    if (!status.ok()) return status.context(where);
    for (const ValueId v : node.outputs) {
      if (v == kNoValue) continue;
      if (!in_range(v)) return internal_error(where + ": output id out of range");
      if (defined[static_cast<size_t>(v)]) {
        return invalid(where + ": value '" + graph.value(v).name + "' is made twice");
      }
      defined[static_cast<size_t>(v)] = 1;
    }
  }
  for (const ValueId v : graph.outputs) {
    if (!defined[static_cast<size_t>(v)]) {
      return invalid("output '" + graph.value(v).name + "' is made by no node");
    }
  }
  return verify_updates(graph, defined);
}

void replace_uses(Graph& graph, ValueId from, ValueId to) {
  for (Node& node : graph.nodes) {
    std::replace(node.inputs.begin(), node.inputs.end(), from, to);
    std::replace(node.captures.begin(), node.captures.end(), from, to);
  }
  std::replace(graph.outputs.begin(), graph.outputs.end(), from, to);
  for (StateUpdate& u : graph.updates) {
    if (u.next == from) u.next = to;
  }
}

int64_t count_nodes(const Graph& graph) {
  int64_t count = static_cast<int64_t>(graph.nodes.size());
  for (const Node& node : graph.nodes) {
    for (const Graph& g : node.subgraphs) count += count_nodes(g);
  }
  return count;
}

std::string display_name(const Graph& graph, const Node& node) {
  if (!node.name.empty()) return node.name;
  if (!node.origin.empty()) return node.origin.front();
  for (const ValueId v : node.outputs) {
    if (v == kNoValue || static_cast<size_t>(v) >= graph.values.size()) continue;
    const std::string& name = graph.value(v).name;
    return node.op + "_" + (name.empty() ? std::to_string(v) : name);
  }
  return node.op;
}

}  // namespace mnn
