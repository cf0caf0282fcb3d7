#include "libquant/report/islands.h"

#include <algorithm>
#include <map>

#include "libruntime/compile/backend.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

bool is_matrix(const Node& n) {
  return n.op == "Conv" || n.op == "Gemm" || n.op == "MatMul" || n.op == "ConvTranspose";
}

bool is_float_value(const Graph& g, ValueId v) {
  if (v == kNoValue) return false;
  const Value& value = g.value(v);
  return value.kind != ValueKind::kConstant && value.type.kind == Type::Kind::kTensor &&
         value.type.dtype == DType::kF32 && !value.quant;
}

bool runs_in_int8(const Graph& g, const Node& n) {
  return is_matrix(n) && g.value(n.inputs[0]).quant && g.value(n.inputs[1]).quant;
}

std::string why_matrix(const Graph& g, const Node& n) {
  if (n.op == "ConvTranspose" && AttributeReader(n, *find_op(n.op)).attr_int("group") != 1)
    return "there is no int8 kernel with groups";
  const Value& weight = g.value(n.inputs[1]);
  if (g.value(n.inputs[0]).type.dtype != DType::kF32) return "the input is not f32";
  const bool computed = weight.kind != ValueKind::kConstant;
  if (n.op == "MatMul" && !computed && weight.data.rank() != 2) return "the weights are no matrix";
  if (n.op == "Gemm") {
    const AttributeReader read(n, *find_op(n.op));
    if (read.attr_int("transA") != 0 || read.attr_float("alpha") != 1.0 ||
        read.attr_float("beta") != 1.0) {
      return "alpha, beta or transA is set";
    }
  }
  return "it was kept in float";
}

std::string why_other(const Graph& g, const Node& n) {
  const bool makes_output = std::any_of(n.outputs.begin(), n.outputs.end(),
                                        [&](ValueId v) { return v != kNoValue && g.is_result(v); });
  if (makes_output) return "it makes an output of the model";
  const bool from_bytes = std::none_of(n.inputs.begin(), n.inputs.end(),
                                       [&](ValueId v) { return is_float_value(g, v); });
  return from_bytes ? "what reads it needs floats" : "it works on floats";
}

}  // namespace

std::vector<FloatIsland> float_islands(const Graph& graph, const std::vector<int64_t>& macs) {
  std::map<std::pair<std::string, std::string>, FloatIsland> found;
  double all = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& n = graph.nodes[i];
    if (is_matrix(n)) all += static_cast<double>(macs[i]);
    const bool floats = std::any_of(n.outputs.begin(), n.outputs.end(),
                                    [&](ValueId v) { return is_float_value(graph, v); });
    if (runs_in_int8(graph, n) || (!is_matrix(n) && !floats)) continue;
    const std::string why = is_matrix(n) ? why_matrix(graph, n) : why_other(graph, n);
    FloatIsland& island = found[{n.op, why}];
    island.op = n.op;
    island.why = why;
    island.layers.push_back(display_name(graph, n));
    island.mac_share += is_matrix(n) ? static_cast<double>(macs[i]) : 0.0;
  }
  std::vector<FloatIsland> islands;
  for (auto& [key, island] : found) {
    island.mac_share = all > 0 ? island.mac_share / all : 0.0;
    islands.push_back(std::move(island));
  }
  std::stable_sort(islands.begin(), islands.end(), [](const FloatIsland& a, const FloatIsland& b) {
    if (a.mac_share != b.mac_share) return a.mac_share > b.mac_share;
    return a.layers.size() > b.layers.size();
  });
  return islands;
}

}  // namespace mnn
