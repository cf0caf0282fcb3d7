// Sub-graphs of If, Loop and Scan: what goes in, and which outer values they read.
#include <algorithm>

#include "libconvert/frontends/onnx/importer.h"

namespace mnn::onnx {
namespace {

struct BodyInputs {
  std::vector<Type> types;
  bool exact_count = true;
};

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

Result<Graph> Importer::read_subgraph(GraphProto& proto, const std::vector<Type>& inputs,
                                      Scope& child, const Frame& frame) {
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
  std::vector<std::string_view> outputs;
  for (const ValueInfoProto& v : proto.output()) outputs.push_back(v.name());
  for (const ValueInfoProto& v : proto.value_info()) child.declared.emplace(v.name(), &v.type());
  for (const ValueInfoProto& v : proto.output()) child.declared.emplace(v.name(), &v.type());
  MNN_RETURN_IF_ERROR(add_nodes(*proto.mutable_node(), outputs, child, frame));
  for (const ValueInfoProto& v : proto.output()) {
    Result<ValueId> id = resolve(child, v.name());
    if (!id.ok()) return id.status().context("output of the sub-graph " + proto.name());
    if (*id == kNoValue) return invalid("an output of the sub-graph has no name");
    graph.outputs.push_back(*id);
  }
  return std::move(graph);
}

Status Importer::inline_branch(NodeProto& proto, NodeUpgrade& u, Scope& scope, const Frame& frame) {
  const Tensor* constant = u.constant(0);
  const ShapeValues* known = u.has(0) ? scope.draft.types.known(u.inputs[0]) : nullptr;
  std::optional<bool> condition;
  if (constant != nullptr && constant->dtype() == DType::kBool && constant->elements() == 1) {
    condition = constant->data<bool>()[0];
  } else if (known != nullptr && known->size() == 1 && (*known)[0].known()) {
    condition = !(*known)[0].is(0);
  }
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
  if (scope.depth + 1 > options_.max_subgraph_depth) return {};
  Scope branch(scope.draft, &scope);
  branch.depth = scope.depth + 1;
  branch.live = scope.node_live;
  const size_t first_node = scope.draft.graph.nodes.size();
  MNN_RETURN_IF_ERROR(add_initializers(*taken, branch, frame));
  std::vector<std::string_view> outputs;
  for (const ValueInfoProto& v : taken->output()) outputs.push_back(v.name());
  for (const ValueInfoProto& v : taken->value_info()) branch.declared.emplace(v.name(), &v.type());
  MNN_RETURN_IF_ERROR(add_nodes(*taken->mutable_node(), outputs, branch, frame));
  for (const std::string_view name : outputs) {
    Result<ValueId> id = resolve(branch, std::string(name));
    if (!id.ok()) return id.status().context("output of the sub-graph " + taken->name());
    u.results.push_back(*id);
  }
  return bind_outputs(proto, u.results, first_node, scope, frame);
}

void Importer::scan_subgraphs(const NodeProto& proto, const Scope& scope, const Frame& frame) {
  for (const AttributeProto& a : proto.attribute()) {
    for (const NodeProto& node : a.g().node()) {
      const OpRow* row = find_row(domain_of(node.domain()), node.op_type());
      if ((row == nullptr || !is_supported(*row)) && find_function(node) == nullptr) {
        report(node, unique_name(node, frame), not_supported(row), scope.node_live);
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
  if (scope.depth + 1 > options_.max_subgraph_depth) {
    return limit_exceeded("sub-graphs are nested more than " +
                          std::to_string(options_.max_subgraph_depth) + " deep");
  }
  std::vector<Type> inputs;
  if (u.op == "Loop") inputs = loop_inputs(u);
  if (u.op == "SequenceMap") inputs = map_inputs(u);
  if (u.op == "Scan") {
    MNN_ASSIGN_OR_RETURN(inputs, scan_inputs(u));
  }
  if (u.op == "Loop" && u.inputs.size() < 2) return invalid("expected 2 inputs or more");

  std::vector<std::vector<std::pair<ValueId, ValueId>>> captured;
  for (const std::string& name : wanted) {
    const auto it = found.find(name);
    if (it == found.end()) return invalid("attribute " + name + " is missing");
    Graph graph;
    GraphDraft draft(graph);
    Scope child(draft, &scope);
    child.depth = scope.depth + 1;
    child.live = scope.node_live;
    MNN_ASSIGN_OR_RETURN(Graph built, read_subgraph(*it->second, inputs, child, frame));
    u.subgraphs.push_back(std::move(built));
    captured.push_back(std::move(child.captured));
  }
  // One list of outer values for all sub-graphs, in the order they were met.
  for (const auto& list : captured) {
    for (const auto& [outer, inner] : list) {
      if (std::find(u.captures.begin(), u.captures.end(), outer) == u.captures.end()) {
        u.captures.push_back(outer);
      }
    }
  }
  for (size_t g = 0; g < u.subgraphs.size(); ++g) {
    Graph& graph = u.subgraphs[g];
    const std::map<ValueId, ValueId> inside(captured[g].begin(), captured[g].end());
    for (const ValueId outer : u.captures) {
      const auto it = inside.find(outer);
      const Value& v = u.graph.value(outer);
      graph.captures.push_back(it != inside.end()
                                   ? it->second
                                   : graph.add_value({v.name, v.type, ValueKind::kInput, {}, {}}));
    }
  }
  return {};
}

}  // namespace mnn::onnx
