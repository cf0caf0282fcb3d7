#include "libconvert/frontends/common/draft.h"

#include <algorithm>

#include "libruntime/core/builder.h"

namespace mnn::frontend {
namespace {

const char* attribute_kind(const Attribute& attribute) {
  constexpr const char* kNames[] = {"an int", "a float", "a string", "ints",
                                    "floats", "strings", "a tensor"};
  return kNames[attribute.index()];
}

std::string range_text(int least, int most) {
  if (least == most) return std::to_string(least);
  return most >= kVariadic ? std::to_string(least) + " or more"
                           : std::to_string(least) + " to " + std::to_string(most);
}

Status check_attributes(const Node& node, const OpDef& def) {
  for (const auto& [name, attribute] : node.attributes) {
    const auto row = std::find_if(def.attributes.begin(), def.attributes.end(),
                                  [&name = name](const AttrDef& a) { return a.name == name; });
    if (row == def.attributes.end()) return unsupported("attribute " + name + " is not known");
    if (row->default_value.index() != attribute.index()) {
      return invalid("attribute " + name + " must be " + attribute_kind(row->default_value) +
                     ", found " + attribute_kind(attribute));
    }
  }
  for (const AttrDef& a : def.attributes) {
    if (a.required && !node.attributes.contains(a.name)) {
      return invalid("attribute " + a.name + " is missing");
    }
  }
  return {};
}

Status check_node(const Node& node, const OpDef& def) {
  const auto in = static_cast<int64_t>(node.inputs.size());
  if (in < def.min_inputs || in > def.max_inputs) {
    return invalid("expected " + range_text(def.min_inputs, def.max_inputs) + " inputs, found " +
                   std::to_string(in));
  }
  for (int i = 0; i < def.min_inputs; ++i) {
    if (node.inputs[static_cast<size_t>(i)] == kNoValue) {
      return invalid("input " + std::to_string(i) + " is missing");
    }
  }
  const auto out = static_cast<int64_t>(node.outputs.size());
  if (out < def.min_outputs || out > def.max_outputs) {
    return invalid("expected " + range_text(def.min_outputs, def.max_outputs) + " outputs, found " +
                   std::to_string(out));
  }
  if (node.subgraphs.size() != static_cast<size_t>(def.subgraphs)) {
    return invalid("expected " + std::to_string(def.subgraphs) + " sub-graphs, found " +
                   std::to_string(node.subgraphs.size()));
  }
  return check_attributes(node, def);
}

// Diagnostics name the node themselves.
Status without_node(const Status& status, const Graph& graph, const Node& node) {
  const std::string prefix = "node " + display_name(graph, node) + " (" + node.op + "): ";
  if (!status.message().starts_with(prefix)) return status;
  return Status(status.code(), status.message().substr(prefix.size()));
}

// Infers the node as though nothing were known of the shapes that it reads.
Status infer_without_shapes(Graph& graph, Node& node) {
  std::vector<std::pair<ValueId, Type>> given;
  for (const std::vector<ValueId>* read : {&node.inputs, &node.captures}) {
    for (const ValueId v : *read) {
      if (v == kNoValue || graph.constant(v) != nullptr) continue;
      given.emplace_back(v, graph.value(v).type);
      graph.value(v).type.shape.reset();
    }
  }
  const Status status = TypeInference(graph).infer(node);
  // The first of what was saved is what was there: a value may be read twice.
  for (auto it = given.rbegin(); it != given.rend(); ++it) {
    graph.value(it->first).type = std::move(it->second);
  }
  return status;
}

}  // namespace

Status append_node(GraphDraft& draft, Node node, int64_t& budget) {
  Graph& graph = draft.graph;
  const OpDef* def = find_op(node.op);
  if (def == nullptr) return unsupported("operator " + node.op + " is not supported");
  if (--budget < 0) return limit_exceeded("the model has more nodes than the budget allows");
  // Absent inputs at the end say the same as none.
  while (!node.inputs.empty() && node.inputs.back() == kNoValue) node.inputs.pop_back();
  MNN_RETURN_IF_ERROR(check_node(node, *def));
  const Status inferred = draft.types.infer(node);
  const bool may_be_impossible = draft.may_not_run && inferred.code() == Code::kInvalidArgument;
  if (!inferred.ok() && !(may_be_impossible && infer_without_shapes(graph, node).ok()))
    return without_node(inferred, graph, node);
  for (const ValueId v : node.outputs) {
    if (v == kNoValue || graph.value(v).type.defined()) continue;
    return invalid("the type of an output of " + node.op + " cannot be told");
  }
  graph.add_node(std::move(node));
  return {};
}

ValueId NodeBuilder::add_ints(const std::vector<int64_t>& values) {
  return graph.add_constant(Tensor::ints(values));
}

ValueId NodeBuilder::add_scalar(double value, DType dtype) {
  if (!is_float(dtype) && !is_integer(dtype)) {
    fail(invalid("expected a number type, found " + std::string(dtype_name(dtype))));
    return kNoValue;
  }
  return Builder(graph).scalar(value, dtype);
}

ValueId NodeBuilder::emit(std::string_view type, std::vector<ValueId> in, Attributes attrs) {
  return emit_n(type, std::move(in), 1, std::move(attrs))[0];
}

std::vector<ValueId> NodeBuilder::emit_n(std::string_view type, std::vector<ValueId> in,
                                         size_t outputs, Attributes attrs) {
  std::vector<ValueId> made(outputs, kNoValue);
  if (!status.ok()) return made;
  Node node;
  node.op = std::string(type);
  node.inputs = std::move(in);
  node.attributes = std::move(attrs);
  node.origin = {name};
  for (ValueId& v : made) v = graph.add_temporary();
  node.outputs = made;
  fail(append_node(draft, std::move(node), budget));
  return made;
}

ValueId NodeBuilder::shape_of(ValueId id) {
  if (id == kNoValue) return kNoValue;
  const Type& type = type_of(id);
  if (type.is_static()) return add_ints(known_dims(*type.shape));
  return emit("Shape", {id});
}

ValueId NodeBuilder::unsqueeze(ValueId id, const std::vector<int64_t>& axes) {
  if (const Tensor* tensor = graph.constant(id)) {
    std::vector<int64_t> dims = tensor->dims();
    for (const int64_t axis : axes) dims.insert(dims.begin() + axis, 1);
    return graph.add_constant(tensor->reshaped(std::move(dims)));
  }
  return emit("Unsqueeze", {id, add_ints(axes)});
}

ValueId NodeBuilder::reshape(ValueId id, const std::vector<int64_t>& dims) {
  if (const Tensor* tensor = graph.constant(id)) {
    if (checked_elements(dims) == tensor->elements()) {
      return graph.add_constant(tensor->reshaped(dims));
    }
  }
  return emit("Reshape", {id, add_ints(dims)});
}

ValueId NodeBuilder::cast(ValueId id, DType to) {
  if (id == kNoValue || type_of(id).dtype == to) return id;
  return emit("Cast", {id}, {{"to", static_cast<int64_t>(to)}});
}

std::string NodeLog::unique_name(const std::string& name, bool made_up) {
  std::string unique = name;
  if (used_names_.insert(unique).second || !made_up) return unique;
  // Where the numbers of a name went on before: names may clash very often.
  int& number = numbers_.emplace(name, 2).first->second;
  do {
    unique = name + "_" + std::to_string(number++);
  } while (!used_names_.insert(unique).second);
  return unique;
}

void NodeLog::report(const std::string& name, const std::string& op, const Status& why, bool live) {
  diagnostics_.add(
      {live ? Severity::kError : Severity::kWarning, why.code(), name, op, why.message()});
  errors_ += live;
}

void NodeLog::note(const std::string& name, const std::string& op, std::string message) {
  diagnostics_.add({Severity::kNote, Code::kOk, name, op, std::move(message)});
}

}  // namespace mnn::frontend
