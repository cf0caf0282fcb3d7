// Single nodes: names, attributes, the row of the operator map, and the node it makes.
#include "libconvert/frontends/onnx/importer.h"

namespace mnn::onnx {

std::string Importer::unique_name(const NodeProto& proto, const Frame& frame) {
  return log_.unique_name(frame.prefix + plain_name(proto), proto.name().empty());
}

void Importer::declare(const Values& values, Scope& scope) {
  for (const ValueInfoProto& v : values) {
    Result<Type> type = declared_type(v.type());
    if (type.ok() && type->shape) scope.declared.emplace(v.name(), std::move(type).value());
  }
}

Result<AttributeProto*> Importer::bound_attribute(AttributeProto& proto, const Frame& frame) {
  if (proto.ref_attr_name().empty()) return &proto;
  if (!frame.in_call) {
    return invalid("attribute " + proto.name() + " refers to an attribute of a function");
  }
  const auto bound = frame.bindings.find(proto.ref_attr_name());
  return bound == frame.bindings.end() ? nullptr : bound->second;
}

namespace {

// Files of the first IR versions do not say the type.
AttributeProto::AttributeType type_of(const AttributeProto& a) {
  if (a.type() != AttributeProto::UNDEFINED) return a.type();
  if (a.has_f()) return AttributeProto::FLOAT;
  if (a.has_i()) return AttributeProto::INT;
  if (a.has_s()) return AttributeProto::STRING;
  if (a.has_t()) return AttributeProto::TENSOR;
  if (a.has_g()) return AttributeProto::GRAPH;
  if (a.has_sparse_tensor()) return AttributeProto::SPARSE_TENSOR;
  if (a.floats_size() > 0) return AttributeProto::FLOATS;
  if (a.ints_size() > 0) return AttributeProto::INTS;
  if (a.strings_size() > 0) return AttributeProto::STRINGS;
  return AttributeProto::UNDEFINED;
}

bool is_graph(const AttributeProto& a) { return type_of(a) == AttributeProto::GRAPH; }

}  // namespace

Result<Attribute> Importer::read_attribute(AttributeProto& proto, const Frame& frame) {
  const Ownership ownership = frame.in_call ? Ownership::kCopy : Ownership::kTake;
  switch (type_of(proto)) {
    case AttributeProto::FLOAT: return Attribute(static_cast<double>(proto.f()));
    case AttributeProto::INT: return Attribute(static_cast<int64_t>(proto.i()));
    case AttributeProto::STRING: return Attribute(proto.s());
    case AttributeProto::FLOATS:
      return Attribute(std::vector<double>(proto.floats().begin(), proto.floats().end()));
    case AttributeProto::INTS:
      return Attribute(std::vector<int64_t>(proto.ints().begin(), proto.ints().end()));
    case AttributeProto::STRINGS:
      return Attribute(std::vector<std::string>(proto.strings().begin(), proto.strings().end()));
    case AttributeProto::TENSOR: {
      MNN_ASSIGN_OR_RETURN(Tensor t, to_tensor(*proto.mutable_t(), &files_, ownership));
      return Attribute(std::move(t));
    }
    case AttributeProto::SPARSE_TENSOR: {
      MNN_ASSIGN_OR_RETURN(Tensor t, to_dense(*proto.mutable_sparse_tensor(), &files_));
      return Attribute(std::move(t));
    }
    case AttributeProto::TYPE_PROTO: {
      MNN_ASSIGN_OR_RETURN(const Type type, declared_type(proto.tp()));
      return Attribute(type.str());
    }
    case AttributeProto::UNDEFINED: return invalid("attribute " + proto.name() + " has no type");
    default: return unsupported("attribute " + proto.name() + " has a type that is not supported");
  }
}

namespace {

Result<Tensor> constant_of(const std::string& name, const Attribute& value) {
  if (const auto* t = std::get_if<Tensor>(&value);
      t && (name == "value" || name == "sparse_value")) {
    return *t;
  }
  if (const auto* f = std::get_if<double>(&value); f && name == "value_float") {
    return Tensor::scalar(static_cast<float>(*f));
  }
  if (const auto* i = std::get_if<int64_t>(&value); i && name == "value_int") {
    return Tensor::scalar(*i);
  }
  if (const auto* s = std::get_if<std::string>(&value); s && name == "value_string") {
    return Tensor::strings({}, {*s});
  }
  if (const auto* f = std::get_if<std::vector<double>>(&value); f && name == "value_floats") {
    const std::vector<float> floats(f->begin(), f->end());
    return Tensor::of<float>({static_cast<int64_t>(floats.size())}, floats);
  }
  if (const auto* i = std::get_if<std::vector<int64_t>>(&value); i && name == "value_ints") {
    return Tensor::ints(*i);
  }
  if (const auto* s = std::get_if<std::vector<std::string>>(&value); s && name == "value_strings") {
    return Tensor::strings({static_cast<int64_t>(s->size())}, *s);
  }
  return invalid("attribute " + name + " is not known or has the wrong type");
}

}  // namespace

Status Importer::add_constant(NodeProto& proto, Scope& scope, const Frame& frame) {
  if (proto.input_size() != 0 || proto.output_size() != 1) {
    return invalid("expected no inputs and 1 output, found " + std::to_string(proto.input_size()) +
                   " and " + std::to_string(proto.output_size()));
  }
  std::optional<Tensor> data;
  for (AttributeProto& a : *proto.mutable_attribute()) {
    MNN_ASSIGN_OR_RETURN(AttributeProto * bound, bound_attribute(a, frame));
    if (bound == nullptr) continue;
    if (data) return invalid("it has more than one value");
    MNN_ASSIGN_OR_RETURN(const Attribute value, read_attribute(*bound, frame));
    MNN_ASSIGN_OR_RETURN(data, constant_of(a.name(), value));
  }
  if (!data) return invalid("it has no value");
  const std::string& name = proto.output(0);
  const ValueId id = scope.draft.graph.add_constant(std::move(*data), frame.prefix + name);
  return define(scope, name, id);
}

Status Importer::add_operator(NodeProto& proto, const OpRow& row, const std::string& name,
                              Scope& scope, const Frame& frame) {
  Graph& graph = scope.draft.graph;
  NodeUpgrade u(scope.draft, budget_);
  u.op = std::string(row.target.empty() ? row.name : row.target);
  u.name = name;
  const auto opset = frame.opsets.find(domain_of(proto.domain()));
  if (opset == frame.opsets.end()) {
    if (domain_of(proto.domain()).empty()) return invalid("its operator set is not imported");
    u.version = 1;
  } else {
    u.version = opset->second;
  }
  if (u.version < first_version(row)) {
    out_.diagnostics.add({Severity::kWarning, Code::kUnsupported, name, op_text(proto),
                          "it is not in operator set " + std::to_string(u.version) +
                              "; taken as of " + std::to_string(first_version(row))});
    u.version = first_version(row);
  }
  const std::vector<std::string> outputs = texts(proto.output());
  MNN_ASSIGN_OR_RETURN(u.inputs, resolve_all(scope, texts(proto.input())));
  for (const ValueId v : u.inputs) {
    if (!is_undefined(scope, v)) continue;
    scan_subgraphs(proto, scope, frame);
    return {};
  }
  if (row.name == "Identity" && u.inputs.size() == 1 && proto.output_size() == 1 &&
      graph.constant(u.inputs[0]) != nullptr && !scope.border.contains(proto.output(0))) {
    return define(scope, proto.output(0), u.inputs[0]);
  }
  for (AttributeProto& a : *proto.mutable_attribute()) {
    MNN_ASSIGN_OR_RETURN(AttributeProto * bound, bound_attribute(a, frame));
    if (bound == nullptr || is_graph(*bound)) continue;
    Result<Attribute> value = read_attribute(*bound, frame);
    if (!value.ok()) return value.status();
    if (!u.attributes.emplace(a.name(), std::move(*value)).second) {
      return invalid("attribute " + a.name() + " is given twice");
    }
  }
  u.wanted = wanted_outputs(scope, outputs);
  if (row.name == "If") {
    MNN_RETURN_IF_ERROR(inline_branch(proto, u, scope, frame));
    if (!u.results.empty()) return {};
  }
  const size_t errors = log_.errors();
  MNN_RETURN_IF_ERROR(add_subgraphs(proto, u, scope, frame));
  if (log_.errors() > errors) return {};  // said already
  for (const ValueId v : u.captures) {
    if (is_undefined(scope, v)) return {};
  }
  if (row.upgrade != nullptr) row.upgrade(u);
  MNN_RETURN_IF_ERROR(u.status);
  for (std::string& note : u.notes) log_.note(name, op_text(proto), std::move(note));
  MNN_RETURN_IF_ERROR(u.append());
  return define_results(scope, outputs, u.results, frame.prefix);
}

Status Importer::build_node(NodeProto& proto, const std::string& name, Scope& scope,
                            const Frame& frame) {
  if (proto.op_type().empty()) return invalid("the node has no operator");
  const OpRow* row = find_row(domain_of(proto.domain()), proto.op_type());
  const bool built_in = row != nullptr && is_supported(*row);
  if (!built_in) {
    if (FunctionProto* function = find_function(proto)) {
      return add_call(proto, *function, name, scope, frame);
    }
    return not_supported(row);
  }
  if (row->name == "Constant") return add_constant(proto, scope, frame);
  if (row->name == "Gradient") return add_gradient(proto, name, scope, frame);
  return add_operator(proto, *row, name, scope, frame);
}

Status Importer::add_node(NodeProto& proto, Scope& scope, const Frame& frame) {
  const std::string name = unique_name(proto, frame);
  for (const std::string& output : proto.output()) {
    if (!scope.names.contains(output)) continue;
    log_.report(name, op_text(proto),
                invalid("its output '" + output + "' is an input or initializer already"), true);
    return {};
  }
  const Status status = build_node(proto, name, scope, frame);
  if (status.code() == Code::kLimit) return status.context("node " + name);
  if (!status.ok()) log_.report(name, op_text(proto), status, scope.node_live);
  leave_undefined(scope, texts(proto.output()), frame.prefix);
  return {};
}

Status Importer::add_nodes(Nodes& nodes, const std::vector<std::string_view>& outputs, Scope& scope,
                           const Frame& frame) {
  const auto display = [&](size_t n) { return plain_name(nodes.Get(static_cast<int>(n))); };
  MNN_ASSIGN_OR_RETURN(frontend::NodeOrder order, order_nodes(names_of(nodes), outputs, display));
  scope.read = std::move(order.read);
  for (const int n : order.sequence) {
    scope.node_live = scope.live && order.live[static_cast<size_t>(n)] != 0;
    MNN_RETURN_IF_ERROR(add_node(*nodes.Mutable(n), scope, frame));
  }
  return {};
}

}  // namespace mnn::onnx
