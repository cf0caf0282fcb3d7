// Model-local functions: a call is replaced by the function's nodes.
#include "libconvert/frontends/onnx/importer.h"

namespace mnn::onnx {
using frontend::CallingBody;

std::string function_key(std::string_view domain, std::string_view name,
                         std::string_view overload) {
  std::string key(domain_of(domain));
  return key.append("\n").append(name).append("\n").append(overload);
}

FunctionProto* Importer::find_function(const NodeProto& call) {
  const auto it = functions_.find(function_key(call.domain(), call.op_type(), call.overload()));
  return it == functions_.end() ? nullptr : it->second;
}

void Importer::count_calls(const Nodes& nodes, CallingBody& body) const {
  body.nodes += nodes.size();
  for (const NodeProto& node : nodes) {
    for (const AttributeProto& a : node.attribute()) count_calls(a.g().node(), body);
    const std::string key = function_key(node.domain(), node.op_type(), node.overload());
    if (functions_.contains(key)) body.calls.push_back({plain_name(node), node.op_type(), key});
  }
}

Status Importer::check_function_sizes() {
  CallingBody main;
  count_calls(model_.graph().node(), main);
  std::map<std::string, CallingBody> bodies;
  for (const auto& [key, function] : functions_) count_calls(function->node(), bodies[key]);
  MNN_ASSIGN_OR_RETURN(const int64_t total, unfolded_size(main, bodies));
  if (total <= limits_.nodes) return {};
  return limit_exceeded("the model unfolds to more than " + std::to_string(limits_.nodes) +
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
  if (inside.depth > frontend::kMaxCallDepth)
    return limit_exceeded("functions are nested too deep");
  MNN_ASSIGN_OR_RETURN(inside.opsets, read_opsets(function.opset_import()));
  for (AttributeProto& a : *function.mutable_attribute_proto()) inside.bindings[a.name()] = &a;
  for (AttributeProto& a : *call.mutable_attribute()) {
    MNN_ASSIGN_OR_RETURN(AttributeProto * bound, bound_attribute(a, frame));
    if (bound != nullptr) inside.bindings[a.name()] = bound;
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<ValueId> arguments,
                       resolve_all(scope, texts(call.input())));
  Scope body(scope.draft, nullptr);
  body.depth = scope.depth;
  body.live = scope.node_live;
  for (int i = 0; i < function.input_size(); ++i) {
    const auto at = static_cast<size_t>(i);
    const ValueId id = at < arguments.size() ? arguments[at] : kNoValue;
    MNN_RETURN_IF_ERROR(define(body, function.input(i), id));
  }
  declare(function.value_info(), body);
  const auto add = [&]() -> Result<std::vector<ValueId>> {
    const std::vector<std::string_view> outputs(function.output().begin(), function.output().end());
    MNN_RETURN_IF_ERROR(add_nodes(*function.mutable_node(), outputs, body, inside));
    std::vector<ValueId> results;
    for (int i = 0; i < call.output_size(); ++i) {
      const std::string& wanted = call.output(i);
      Result<ValueId> id = wanted.empty() ? kNoValue : resolve(body, function.output(i));
      if (!id.ok()) return id.status().context("function " + function.name());
      if (*id == kNoValue && !wanted.empty()) {
        return invalid("output '" + wanted + "' is an absent input");
      }
      results.push_back(*id);
    }
    return results;
  };
  return put_in_place(scope, texts(call.output()), frame.prefix, add);
}

}  // namespace mnn::onnx
