// Sub-graphs of If, Loop and Scan: what goes in, and which outer values they read.
#include <algorithm>

#include "libconvert/frontends/onnx/importer.h"

namespace mnn::onnx {
namespace {

// The type of one element along `axis`.
Type without_axis(Type type, int64_t axis) {
  if (!type.shape) return type;
  const Result<size_t> at = normalize_axis(axis, type.rank());
  if (at.ok()) {
    type.shape->erase(type.shape->begin() + static_cast<long>(*at));
  } else {
    type.shape.reset();
  }
  return type;
}

// What a Loop carries may change its shape from trip to trip: only what the body declares holds.
std::vector<Type> loop_inputs(const NodeUpgrade& u) {
  std::vector<Type> types = {tensor_type(DType::kI64, {}), tensor_type(DType::kBool, {})};
  for (size_t i = 2; i < u.inputs.size(); ++i) {
    types.push_back(u.has(i) ? u.type_of(u.inputs[i]) : Type{});
    types.back().shape.reset();
  }
  return types;
}

Result<std::vector<Type>> scan_inputs(const NodeUpgrade& u) {
  const bool batched =
      u.version < 9;  // sequence_lens comes first, and every input has a batch axis
  const size_t first = batched ? 1 : 0;
  const size_t count = u.inputs.size() - std::min(first, u.inputs.size());
  const auto it = u.attributes.find("num_scan_inputs");
  const int64_t* scanned = it == u.attributes.end() ? nullptr : std::get_if<int64_t>(&it->second);
  if (scanned == nullptr) return invalid("attribute num_scan_inputs is missing");
  if (*scanned < 1 || *scanned > static_cast<int64_t>(count)) {
    return invalid("num_scan_inputs is " + std::to_string(*scanned) + ", the node has " +
                   std::to_string(count) + " inputs");
  }
  std::vector<int64_t> axes;
  const auto axes_at = u.attributes.find("scan_input_axes");
  if (axes_at != u.attributes.end()) {
    if (const auto* list = std::get_if<std::vector<int64_t>>(&axes_at->second)) axes = *list;
  }
  const size_t states = count - static_cast<size_t>(*scanned);
  std::vector<Type> types;
  for (size_t i = 0; i < count; ++i) {
    Type type = u.has(first + i) ? u.type_of(u.inputs[first + i]) : Type{};
    if (batched) type = without_axis(std::move(type), 0);
    if (i >= states) {
      type = without_axis(std::move(type), i - states < axes.size() ? axes[i - states] : 0);
    }
    types.push_back(std::move(type));
  }
  return types;
}

// SequenceMap's body sees one element of each sequence.
std::vector<Type> map_inputs(const NodeUpgrade& u) {
  std::vector<Type> types;
  for (size_t i = 0; i < u.inputs.size(); ++i) {
    types.push_back(u.has(i) ? u.type_of(u.inputs[i]) : Type{});
    if (types.back().kind == Type::Kind::kSequence) types.back().kind = Type::Kind::kTensor;
  }
  return types;
}

// What the body declares, else what comes in.
Result<Type> body_input_type(const ValueInfoProto& proto, const Type& incoming) {
  MNN_ASSIGN_OR_RETURN(Type type, declared_type(proto.type()));
  if (!type.defined()) return incoming;
  if (!incoming.defined()) return type;
  if (type.dtype != incoming.dtype || type.kind != incoming.kind) {
    return invalid("input " + proto.name() + " of the sub-graph is declared as " + type.str() +
                   ", it gets " + incoming.str());
  }
  if (!incoming.shape) return type;
  // Scan: the incoming shape holds in every trip.
  return incoming;
}

}  // namespace

Result<std::vector<ValueId>> Importer::add_body(GraphProto& proto, Scope& scope,
                                                const Frame& frame) {
  std::vector<std::string_view> outputs;
  for (const ValueInfoProto& v : proto.output()) outputs.push_back(v.name());
  declare(proto.value_info(), scope);
  declare(proto.output(), scope);
  MNN_RETURN_IF_ERROR(add_nodes(*proto.mutable_node(), outputs, scope, frame));
  std::vector<ValueId> results;
  for (const ValueInfoProto& v : proto.output()) {
    Result<ValueId> id = resolve(scope, v.name());
    if (!id.ok()) return id.status().context("output of the sub-graph " + proto.name());
    results.push_back(*id);
  }
  return results;
}

Status Importer::read_subgraph(GraphProto& proto, const std::vector<Type>& inputs, Scope& child,
                               const Frame& frame) {
  Graph& graph = child.draft.graph;
  graph.name = proto.name();
  MNN_RETURN_IF_ERROR(add_initializers(proto, child, frame));
  std::vector<const ValueInfoProto*> listed;
  for (const ValueInfoProto& v : proto.input()) {
    if (!child.names.contains(v.name())) listed.push_back(&v);
  }
  if (listed.size() != inputs.size()) {
    return invalid("the sub-graph " + proto.name() + " has " + std::to_string(listed.size()) +
                   " inputs, expected " + std::to_string(inputs.size()));
  }
  for (size_t i = 0; i < listed.size(); ++i) {
    const ValueInfoProto& v = *listed[i];
    if (v.name().empty()) return invalid("an input of the sub-graph has no name");
    MNN_ASSIGN_OR_RETURN(Type type, body_input_type(v, inputs[i]));
    if (!type.defined()) return invalid("input " + v.name() + " of the sub-graph has no type");
    MNN_RETURN_IF_ERROR(define(child, v.name(), graph.add_input(v.name(), std::move(type))));
  }
  MNN_ASSIGN_OR_RETURN(graph.outputs, add_body(proto, child, frame));
  for (const ValueId id : graph.outputs) {
    if (id == kNoValue) return invalid("an output of the sub-graph has no name");
  }
  return {};
}

Status Importer::inline_branch(NodeProto& proto, NodeUpgrade& u, Scope& scope, const Frame& frame) {
  const std::optional<bool> condition = known_condition(scope.draft, u.in(0));
  if (!condition) return {};
  GraphProto* taken = nullptr;
  int branches = 0;
  for (AttributeProto& a : *proto.mutable_attribute()) {
    MNN_ASSIGN_OR_RETURN(AttributeProto * bound, bound_attribute(a, frame));
    if (bound == nullptr || !bound->has_g()) continue;
    const bool is_then = a.name() == "then_branch";
    if (bound->g().output_size() != proto.output_size()) return {};  // its own check says so
    branches += is_then || a.name() == "else_branch";
    if (is_then == *condition) taken = bound->mutable_g();
  }
  if (branches != 2 || taken == nullptr || taken->input_size() > 0) return {};
  if (scope.depth + 1 > limits_.depth) return {};
  Scope branch(scope.draft, &scope);
  branch.depth = scope.depth + 1;
  branch.live = scope.node_live;
  return put_in_place(scope, texts(proto.output()), frame.prefix,
                      [&]() -> Result<std::vector<ValueId>> {
                        MNN_RETURN_IF_ERROR(add_initializers(*taken, branch, frame));
                        MNN_ASSIGN_OR_RETURN(u.results, add_body(*taken, branch, frame));
                        return u.results;
                      });
}

void Importer::scan_subgraphs(const NodeProto& proto, const Scope& scope, const Frame& frame) {
  for (const AttributeProto& a : proto.attribute()) {
    for (const NodeProto& node : a.g().node()) {
      const OpRow* row = find_row(domain_of(node.domain()), node.op_type());
      if ((row == nullptr || !is_supported(*row)) && find_function(node) == nullptr) {
        log_.report(unique_name(node, frame), op_text(node), not_supported(row), scope.node_live);
      }
      scan_subgraphs(node, scope, frame);
    }
  }
}

Status Importer::add_subgraphs(NodeProto& proto, NodeUpgrade& u, Scope& scope, const Frame& frame) {
  std::vector<std::string> wanted;
  if (u.op == "If") wanted = {"then_branch", "else_branch"};
  if (u.op == "Loop" || u.op == "Scan" || u.op == "SequenceMap") wanted = {"body"};
  std::map<std::string_view, GraphProto*> found;
  for (AttributeProto& a : *proto.mutable_attribute()) {
    MNN_ASSIGN_OR_RETURN(AttributeProto * bound, bound_attribute(a, frame));
    if (bound == nullptr || !bound->has_g()) continue;
    if (std::find(wanted.begin(), wanted.end(), a.name()) == wanted.end()) {
      return invalid("attribute " + a.name() + " is not known");
    }
    if (!found.emplace(a.name(), bound->mutable_g()).second) {
      return invalid("attribute " + a.name() + " is given twice");
    }
  }
  if (wanted.empty()) return {};
  std::vector<Type> inputs;
  if (u.op == "Loop") inputs = loop_inputs(u);
  if (u.op == "SequenceMap") inputs = map_inputs(u);
  if (u.op == "Scan") {
    MNN_ASSIGN_OR_RETURN(inputs, scan_inputs(u));
  }
  if (u.op == "Loop" && u.inputs.size() < 2) return invalid("expected 2 inputs or more");

  return frontend::add_subgraphs(scope, u, wanted.size(), limits_.depth,
                                 [&](size_t g, Scope& child) -> Status {
                                   const auto it = found.find(wanted[g]);
                                   if (it == found.end())
                                     return invalid("attribute " + wanted[g] + " is missing");
                                   return read_subgraph(*it->second, inputs, child, frame);
                                 });
}

}  // namespace mnn::onnx
