// Model-local functions: a call is replaced by the function's nodes.
#include "libconvert/frontends/onnx/importer.h"

namespace mnn::onnx {
namespace {

constexpr int kMaxCallDepth = 100;

int64_t add_saturated(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

// Counts the nodes that calls expand to, without expanding them.
class SizeCounter {
 public:
  explicit SizeCounter(const std::map<std::string, FunctionProto*>& functions)
      : functions_(functions) {}

  Result<int64_t> count(const Nodes& nodes, int depth) {
    int64_t total = 0;
    for (const NodeProto& node : nodes) {
      MNN_ASSIGN_OR_RETURN(const int64_t size, count_node(node, depth));
      total = add_saturated(total, size);
    }
    return total;
  }

 private:
  Result<int64_t> count_node(const NodeProto& node, int depth) {
    int64_t total = 1;
    for (const AttributeProto& a : node.attribute()) {
      if (!a.has_g()) continue;
      MNN_ASSIGN_OR_RETURN(const int64_t size, count(a.g().node(), depth));
      total = add_saturated(total, size);
    }
    const std::string key = function_key(node.domain(), node.op_type(), node.overload());
    const auto function = functions_.find(key);
    if (function == functions_.end()) return total;
    const auto known = sizes_.find(key);
    if (known != sizes_.end()) {
      if (known->second < 0) {
        return invalid("node " + plain_name(node) + ": function " + node.op_type() +
                       " calls itself");
      }
      return add_saturated(total, known->second);
    }
    if (depth >= kMaxCallDepth) {
      return limit_exceeded("functions call each other more than " + std::to_string(kMaxCallDepth) +
                            " deep");
    }
    sizes_[key] = -1;
    MNN_ASSIGN_OR_RETURN(const int64_t size, count(function->second->node(), depth + 1));
    sizes_[key] = size;
    return add_saturated(total, size);
  }

  const std::map<std::string, FunctionProto*>& functions_;
  std::map<std::string, int64_t> sizes_;  // -1 while being counted
};

}  // namespace

std::string function_key(std::string_view domain, std::string_view name,
                         std::string_view overload) {
  std::string key(domain_of(domain));
  return key.append("\n").append(name).append("\n").append(overload);
}

FunctionProto* Importer::find_function(const NodeProto& call) {
  const auto it = functions_.find(function_key(call.domain(), call.op_type(), call.overload()));
  return it == functions_.end() ? nullptr : it->second;
}

Status Importer::check_function_sizes() {
  SizeCounter counter(functions_);
  MNN_ASSIGN_OR_RETURN(const int64_t total, counter.count(model_.graph().node(), 0));
  if (total <= options_.node_budget) return {};
  return limit_exceeded("the model unfolds to more than " + std::to_string(options_.node_budget) +
                        " nodes");
}

Status Importer::add_call(NodeProto& call, FunctionProto& function, const std::string& name,
                          Scope& scope, const Frame& frame) {
  if (call.input_size() > function.input_size() || call.output_size() > function.output_size()) {
    return invalid("function " + function.name() + " has " + std::to_string(function.input_size()) +
                   " inputs and " + std::to_string(function.output_size()) +
                   " outputs, the node has " + std::to_string(call.input_size()) + " and " +
                   std::to_string(call.output_size()));
  }
  Frame inside;
  inside.in_call = true;
  inside.depth = frame.depth + 1;
  inside.prefix = name + "/";
  if (inside.depth > kMaxCallDepth) return limit_exceeded("functions are nested too deep");
  MNN_ASSIGN_OR_RETURN(inside.opsets, read_opsets(function.opset_import()));
  for (AttributeProto& a : *function.mutable_attribute_proto()) inside.bindings[a.name()] = &a;
  for (AttributeProto& a : *call.mutable_attribute()) {
    MNN_ASSIGN_OR_RETURN(AttributeProto * bound, bound_attribute(a, frame));
    if (bound != nullptr) inside.bindings[a.name()] = bound;
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<ValueId> arguments, resolve_inputs(call, scope));
  Scope body(scope.draft, nullptr);
  body.depth = scope.depth;
  body.live = scope.node_live;
  for (int i = 0; i < function.input_size(); ++i) {
    const auto at = static_cast<size_t>(i);
    const ValueId id = at < arguments.size() ? arguments[at] : kNoValue;
    MNN_RETURN_IF_ERROR(define(body, function.input(i), id));
  }
  for (const ValueInfoProto& v : function.value_info()) body.declared.emplace(v.name(), &v.type());
  const std::vector<std::string_view> outputs(function.output().begin(), function.output().end());
  const size_t first_node = scope.draft.graph.nodes.size();
  MNN_RETURN_IF_ERROR(add_nodes(*function.mutable_node(), outputs, body, inside));
  std::vector<ValueId> results;
  for (int i = 0; i < call.output_size(); ++i) {
    if (call.output(i).empty()) {
      results.push_back(kNoValue);
      continue;
    }
    Result<ValueId> id = resolve(body, function.output(i));
    if (!id.ok()) return id.status().context("function " + function.name());
    if (*id == kNoValue) return invalid("output '" + call.output(i) + "' is an absent input");
    results.push_back(*id);
  }
  return bind_outputs(call, results, first_node, scope, frame);
}

Status Importer::bind_outputs(const NodeProto& proto, const std::vector<ValueId>& results,
                              size_t first_node, Scope& scope, const Frame& frame) {
  Graph& graph = scope.draft.graph;
  std::unordered_set<ValueId> made;
  for (size_t n = first_node; n < graph.nodes.size(); ++n) {
    made.insert(graph.nodes[n].outputs.begin(), graph.nodes[n].outputs.end());
  }
  for (int i = 0; i < proto.output_size(); ++i) {
    const ValueId id = results[static_cast<size_t>(i)];
    if (proto.output(i).empty() || id == kNoValue) continue;
    // The caller's name is the one reports and graph outputs know; an input keeps its own.
    if (made.erase(id) > 0) graph.value(id).name = frame.prefix + proto.output(i);
    MNN_RETURN_IF_ERROR(define(scope, proto.output(i), id));
  }
  return {};
}

}  // namespace mnn::onnx
