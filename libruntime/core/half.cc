#include "libruntime/core/half.h"

#include <cmath>

namespace mnn {
namespace {

constexpr double kLeastSnrDb = 50;  // normal f16 numbers have 70 dB and more
constexpr int64_t kF32 = static_cast<int64_t>(DType::kF32);

Result<Tensor> to_f16(const Tensor& t) {
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(DType::kF16, t.dims()));
  const float* from = t.data<float>();
  auto* to = out.data<Half>();
  for (int64_t i = 0; i < t.elements(); ++i) to[i] = store_from_compute<Half>(from[i]);
  return out;
}

Result<Tensor> to_f32(const Tensor& t) {
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(DType::kF32, t.dims()));
  const auto* from = t.data<Half>();
  float* to = out.data<float>();
  for (int64_t i = 0; i < t.elements(); ++i) to[i] = static_cast<float>(load_as_compute(from[i]));
  return out;
}

// Why f16 cannot hold what `half` was made from; empty: it can.
std::string objection(const ErrorSums& sums) {
  if (sums.not_finite > 0) return "values beyond 65504";
  const ErrorMetrics m = metrics_of(sums);
  if (sums.ref_squared > 0 && m.snr_db < kLeastSnrDb) return "values too small for f16";
  return {};
}

Status narrow(Graph& graph, int64_t min_elements, HalfReport& report) {
  std::vector<Node> casts;
  const size_t count = graph.values.size();
  for (size_t v = 0; v < count; ++v) {
    const auto id = static_cast<ValueId>(v);
    const Tensor* data = graph.constant(id);
    if (data == nullptr || data->dtype() != DType::kF32 || data->elements() < min_elements)
      continue;
    if (graph.is_result(id)) continue;
    MNN_ASSIGN_OR_RETURN(Tensor half, to_f16(*data));
    ErrorSums sums;
    MNN_RETURN_IF_ERROR(sums.add(*data, half));
    const std::string why = objection(sums);
    if (!why.empty()) {
      const std::string& name = graph.value(id).name;
      report.kept.push_back((name.empty() ? "a constant " + data->type_str() : name) + ": " + why);
      continue;
    }
    ++report.narrowed;
    report.bytes_saved += data->bytes() - half.bytes();
    report.error.merge(sums);
    const ValueId stored = graph.add_constant(std::move(half), graph.value(id).name);
    Value& value = graph.value(id);
    value.kind = ValueKind::kTemporary;
    value.data = {};
    value.name.clear();
    Node cast;
    cast.op = "Cast";
    cast.attributes["to"] = kF32;
    cast.inputs = {stored};
    cast.outputs = {id};
    casts.push_back(std::move(cast));
  }
  graph.nodes.insert(graph.nodes.begin(), std::make_move_iterator(casts.begin()),
                     std::make_move_iterator(casts.end()));
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) MNN_RETURN_IF_ERROR(narrow(g, min_elements, report));
  }
  return {};
}

}  // namespace

bool is_widening(const Graph& graph, const Node& node) {
  if (node.op != "Cast" || node.inputs.size() != 1 || !node.fused.empty()) return false;
  const auto to = node.attributes.find("to");
  if (to == node.attributes.end()) return false;
  const auto* type = std::get_if<int64_t>(&to->second);
  if (type == nullptr || *type != kF32) return false;
  const Tensor* data = graph.constant(node.inputs[0]);
  return data != nullptr && data->dtype() == DType::kF16 && node.outputs.size() == 1 &&
         !graph.value(node.outputs[0]).quant;
}

Result<HalfReport> narrow_constants(Graph& graph, int64_t min_elements) {
  HalfReport report;
  MNN_RETURN_IF_ERROR(narrow(graph, min_elements, report));
  return report;
}

Status widen_constants(Graph& graph) {
  std::vector<Node> left;
  left.reserve(graph.nodes.size());
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) MNN_RETURN_IF_ERROR(widen_constants(g));
    if (!is_widening(graph, node) || graph.is_result(node.outputs[0])) {
      left.push_back(std::move(node));
      continue;
    }
    MNN_ASSIGN_OR_RETURN(Tensor wide, to_f32(*graph.constant(node.inputs[0])));
    Value& value = graph.value(node.outputs[0]);
    value.kind = ValueKind::kConstant;
    value.type = tensor_type(DType::kF32, to_shape(wide.dims()));
    if (value.name.empty()) value.name = graph.value(node.inputs[0]).name;
    value.data = std::move(wide);
  }
  const bool changed = left.size() != graph.nodes.size();
  graph.nodes = std::move(left);
  if (changed) remove_dead(graph);
  return {};
}

}  // namespace mnn
