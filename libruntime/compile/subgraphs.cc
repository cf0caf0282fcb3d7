#include "libruntime/compile/subgraphs.h"

#include "libruntime/core/op.h"

namespace mnn {
namespace {

// More trips than this are a stand-in for "until the condition says so".
constexpr int64_t kMostCountedTrips = int64_t{1} << 24;

// The inputs of a Scan that are scanned begin at this one; their axes are behind it, normalized.
struct Scanned {
  size_t first = 0;
  std::vector<size_t> axes;
};
std::optional<Scanned> scanned_inputs(const Graph& graph, const Node& node) {
  const OpDef* def = find_op(node.op);
  if (node.op != "Scan" || def == nullptr) return std::nullopt;
  const AttributeReader read(node, *def);
  const int64_t count = read.attr_int("num_scan_inputs");
  const std::vector<int64_t> axes = read.attr_ints("scan_input_axes");
  if (count < 0 || count > static_cast<int64_t>(node.inputs.size())) return std::nullopt;
  Scanned scanned;
  scanned.first = node.inputs.size() - static_cast<size_t>(count);
  for (size_t k = 0; scanned.first + k < node.inputs.size(); ++k) {
    const ValueId v = node.inputs[scanned.first + k];
    if (v == kNoValue || !graph.value(v).type.shape) return std::nullopt;
    const auto axis = normalize_axis(k < axes.size() ? axes[k] : 0, graph.value(v).type.rank());
    if (!axis.ok()) return std::nullopt;
    scanned.axes.push_back(*axis);
  }
  return scanned;
}

}  // namespace

std::vector<Type> first_trip_types(const Graph& graph, const Node& node) {
  std::vector<Type> types;
  const auto add = [&](ValueId v) {
    types.push_back(v == kNoValue ? Type{} : graph.value(v).type);
  };
  if (node.op == "Loop") {
    types = {tensor_type(DType::kI64, {}), tensor_type(DType::kBool, {})};
    for (size_t i = 2; i < node.inputs.size(); ++i) add(node.inputs[i]);
  } else if (node.op == "Scan") {
    const auto scanned = scanned_inputs(graph, node);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      add(node.inputs[i]);
      if (!scanned) types.back() = {};
      if (!scanned || i < scanned->first) continue;
      Shape& shape = *types.back().shape;
      shape.erase(shape.begin() + static_cast<long>(scanned->axes[i - scanned->first]));
    }
  }
  for (const ValueId v : node.captures) add(v);
  return types;
}

Graph first_trip(const Graph& graph, const Node& node, size_t which) {
  const Graph& given = node.subgraphs[which];
  const std::vector<Type> types = first_trip_types(graph, node);
  if (types.size() != given.inputs.size() + given.captures.size()) return given;
  Graph body = given;
  for (size_t i = 0; i < types.size(); ++i) {
    if (!types[i].is_static()) continue;
    const size_t inputs = given.inputs.size();
    const ValueId v = i < inputs ? given.inputs[i] : given.captures[i - inputs];
    body.value(v).type = types[i];
  }
  return infer_types(body).ok() ? body : given;
}

int64_t trip_count(const Graph& graph, const Node& node) {
  if (node.op == "Loop" && !node.inputs.empty() && node.inputs[0] != kNoValue) {
    const Tensor* count = graph.constant(node.inputs[0]);
    if (count == nullptr || count->elements() != 1) return 1;
    const auto trips = count->to_ints();
    const bool counted = trips.ok() && (*trips)[0] >= 0 && (*trips)[0] <= kMostCountedTrips;
    return counted ? (*trips)[0] : 1;
  }
  const auto scanned = scanned_inputs(graph, node);
  if (!scanned || scanned->axes.empty()) return 1;
  const Dim& length = (*graph.value(node.inputs[scanned->first]).type.shape)[scanned->axes[0]];
  return length.known() ? length.value() : 1;
}

}  // namespace mnn
