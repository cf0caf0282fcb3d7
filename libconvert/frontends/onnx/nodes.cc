// Single nodes: names, attributes, the row of the operator map, and the node it makes.
#include "libconvert/frontends/onnx/importer.h"

namespace mnn::onnx {

Result<ValueId> Importer::resolve(Scope& scope, const std::string& name) {
  if (name.empty()) return kNoValue;
  const auto known = scope.names.find(name);
  if (known != scope.names.end()) return known->second;
  if (scope.outer == nullptr) {
    return invalid("value '" + name + "' is made by no node, input or initializer");
  }
  MNN_ASSIGN_OR_RETURN(const ValueId outer, resolve(*scope.outer, name));
  ValueId inner = kNoValue;
  if (&scope.outer->draft == &scope.draft) {
    inner = outer;  // a branch that was put in place
  } else if (outer != kNoValue) {
    const Value& v = scope.outer->draft.graph.value(outer);
    if (v.kind == ValueKind::kConstant && !v.quant) {
      // The bytes are shared; a constant inside lets inference and folding see it.
      inner = scope.draft.graph.add_constant(v.data, v.name);
    } else {
      for (const auto& [from, to] : scope.captured) {
        if (from == outer) inner = to;
      }
      if (inner == kNoValue) {
        inner = scope.draft.graph.add_value({v.name, v.type, ValueKind::kInput, {}, {}});
        scope.captured.emplace_back(outer, inner);
        const ShapeValues* values = scope.outer->draft.types.known(outer);
        if (values != nullptr) scope.draft.types.learn(inner, *values);
      }
    }
  }
  scope.names.emplace(name, inner);
  return inner;
}

Status Importer::define(Scope& scope, const std::string& name, ValueId id) {
  if (scope.names.emplace(name, id).second) return {};
  return invalid("the name '" + name + "' is given twice");
}

bool Importer::is_undefined(const Scope& scope, ValueId id) const {
  return id != kNoValue && !scope.draft.graph.value(id).type.defined();
}

std::string Importer::unique_name(const NodeProto& proto, const Frame& frame) {
  const std::string base = frame.prefix + plain_name(proto);
  std::string name = base;
  const bool made_up = proto.name().empty();
  for (int n = 2; !used_names_.insert(name).second && made_up; ++n) {
    name = base + "_" + std::to_string(n);
  }
  return name;
}

void Importer::report(const NodeProto& proto, const std::string& name, const Status& why,
                      bool live) {
  out_.diagnostics.add({live ? Severity::kError : Severity::kWarning, why.code(), name,
                        op_text(proto), why.message()});
  errors_ += live;
}

// Of declared types only the rank is believed, and only where inference knows nothing: files whose
// input shapes were edited keep stale numbers.
void Importer::adopt_declared_rank(const Scope& scope, const std::string& name, ValueId id) {
  const auto it = scope.declared.find(name);
  if (it == scope.declared.end()) return;
  Type& type = scope.draft.graph.value(id).type;
  if (!type.defined() || type.shape) return;
  const Result<Type> declared = declared_type(*it->second);
  if (!declared.ok() || !declared->shape || declared->kind != type.kind) return;
  type.shape = Shape(declared->rank(), Dim::unknown());
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
      MNN_ASSIGN_OR_RETURN(Tensor t, to_tensor(*proto.mutable_t(), &folder_, ownership));
      return Attribute(std::move(t));
    }
    case AttributeProto::SPARSE_TENSOR: {
      MNN_ASSIGN_OR_RETURN(Tensor t, to_dense(*proto.mutable_sparse_tensor(), &folder_));
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

Result<std::vector<ValueId>> Importer::resolve_inputs(const NodeProto& proto, Scope& scope) {
  std::vector<ValueId> inputs;
  inputs.reserve(static_cast<size_t>(proto.input_size()));
  for (const std::string& name : proto.input()) {
    MNN_ASSIGN_OR_RETURN(const ValueId id, resolve(scope, name));
    inputs.push_back(id);
  }
  return inputs;
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
  MNN_ASSIGN_OR_RETURN(u.inputs, resolve_inputs(proto, scope));
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
  bool any_read = false;
  for (const std::string& output : proto.output()) {
    u.wanted.push_back(!output.empty() && scope.read.contains(output));
    any_read |= u.wanted.back() != 0;
  }
  if (!any_read) {
    for (int i = 0; i < proto.output_size(); ++i) {
      u.wanted[static_cast<size_t>(i)] = !proto.output(i).empty();
    }
  }
  if (row.name == "If") {
    MNN_RETURN_IF_ERROR(inline_branch(proto, u, scope, frame));
    if (!u.results.empty()) return {};
  }
  const size_t errors = errors_;
  MNN_RETURN_IF_ERROR(add_subgraphs(proto, u, scope, frame));
  if (errors_ > errors) return {};  // said already
  for (const ValueId v : u.captures) {
    if (is_undefined(scope, v)) return {};
  }
  if (row.upgrade != nullptr) row.upgrade(u);
  MNN_RETURN_IF_ERROR(u.status);
  for (std::string& note : u.notes) {
    out_.diagnostics.add({Severity::kNote, Code::kOk, name, op_text(proto), std::move(note)});
  }

  if (u.results.empty()) {
    Node node;
    node.op = std::move(u.op);
    node.name = name;
    node.origin = {name};
    node.inputs = std::move(u.inputs);
    node.attributes = std::move(u.attributes);
    node.subgraphs = std::move(u.subgraphs);
    node.captures = std::move(u.captures);
    for (size_t i = 0; i < u.wanted.size(); ++i) {
      node.outputs.push_back(u.wanted[i] ? graph.add_temporary() : kNoValue);
    }
    u.results = node.outputs;
    MNN_RETURN_IF_ERROR(append_node(scope.draft, std::move(node), budget_));
  } else if (!graph.nodes.empty()) {
    // The node that makes the result carries the source's name.
    Node& last = graph.nodes.back();
    if (last.name.empty() && last.origin == std::vector<std::string>{name}) last.name = name;
  }
  for (int i = 0; i < proto.output_size(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (proto.output(i).empty() || at >= u.results.size() || u.results[at] == kNoValue) continue;
    Value& value = graph.value(u.results[at]);
    if (value.name.empty()) value.name = frame.prefix + proto.output(i);
    adopt_declared_rank(scope, proto.output(i), u.results[at]);
    MNN_RETURN_IF_ERROR(define(scope, proto.output(i), u.results[at]));
  }
  return {};
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
  return add_operator(proto, *row, name, scope, frame);
}

Status Importer::add_node(NodeProto& proto, Scope& scope, const Frame& frame) {
  const std::string name = unique_name(proto, frame);
  for (const std::string& output : proto.output()) {
    if (!scope.names.contains(output)) continue;
    report(proto, name, invalid("its output '" + output + "' is an input or initializer already"),
           true);
    return {};
  }
  const Status status = build_node(proto, name, scope, frame);
  if (status.code() == Code::kLimit) return status.context("node " + name);
  if (!status.ok()) report(proto, name, status, scope.node_live);
  // Outputs that were not made stay undefined; who reads them is passed over in silence.
  for (const std::string& output : proto.output()) {
    if (output.empty() || scope.names.contains(output)) continue;
    scope.names.emplace(output, scope.draft.graph.add_temporary(frame.prefix + output));
  }
  return {};
}

Status Importer::add_nodes(Nodes& nodes, const std::vector<std::string_view>& outputs, Scope& scope,
                           const Frame& frame) {
  MNN_ASSIGN_OR_RETURN(NodeOrder order, order_nodes(nodes, outputs));
  scope.read = std::move(order.read);
  for (const int n : order.sequence) {
    scope.node_live = scope.live && order.live[static_cast<size_t>(n)] != 0;
    MNN_RETURN_IF_ERROR(add_node(*nodes.Mutable(n), scope, frame));
  }
  return {};
}

}  // namespace mnn::onnx
