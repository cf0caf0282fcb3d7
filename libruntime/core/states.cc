#include "libruntime/core/states.h"

#include <algorithm>

namespace mnn {
namespace {

Result<size_t> position_of(const Graph& graph, const std::vector<ValueId>& border,
                           std::string_view name, std::string_view what) {
  const auto it =
      std::ranges::find_if(border, [&](ValueId v) { return graph.value(v).name == name; });
  if (it != border.end()) return static_cast<size_t>(it - border.begin());
  std::string names;
  for (const ValueId v : border) names += (names.empty() ? "" : ", ") + graph.value(v).name;
  return usage_error("the model has no " + std::string(what) + " '" + std::string(name) +
                     "', it has " + names);
}

}  // namespace

Status make_state(Graph& graph, std::string_view input, std::string_view output) {
  MNN_ASSIGN_OR_RETURN(const size_t in, position_of(graph, graph.inputs, input, "input"));
  MNN_ASSIGN_OR_RETURN(const size_t out, position_of(graph, graph.outputs, output, "output"));
  const ValueId state = graph.inputs[in], next = graph.outputs[out];
  Value& value = graph.value(state);
  const Type& type = value.type;
  const Type& becomes = graph.value(next).type;
  if (!type.is_static()) {
    return usage_error("input '" + value.name + "' of type " + type.str() +
                       " cannot be a state: its shape is open (bind it with --shape)");
  }
  if (type.dtype == DType::kString || becomes.kind != Type::Kind::kTensor ||
      becomes.dtype != type.dtype ||
      (becomes.is_static() && !same_shape(*becomes.shape, *type.shape))) {
    return usage_error("input '" + value.name + "' of type " + type.str() +
                       " cannot become output '" + graph.value(next).name + "' of type " +
                       becomes.str());
  }
  value.kind = ValueKind::kState;
  graph.inputs.erase(graph.inputs.begin() + static_cast<long>(in));
  graph.outputs.erase(graph.outputs.begin() + static_cast<long>(out));
  graph.updates.push_back({state, next});
  return {};
}

}  // namespace mnn
