#include "libquant/weights/weight_role.h"

#include <algorithm>
#include <cmath>

#include "libruntime/core/ops/axis.h"
#include "libruntime/lower/node_view.h"

namespace mnn {

bool is_weight(const Value& v) {
  return v.kind == ValueKind::kConstant && !v.quant && v.data.defined() &&
         v.data.dtype() == DType::kF32 && v.data.rank() >= 2 && v.data.elements() >= kLeastWeights;
}

std::optional<WeightRole> weight_role(const Graph& graph, const Node& node, size_t index) {
  const auto rank = [&](size_t i) {
    const Type& type = graph.value(node.inputs[i]).type;
    return type.shape ? static_cast<int>(type.rank()) : 0;
  };
  const NodeView view(graph, node);
  if (node.op == "Conv" && index == 1) {
    // Filters of a group meet inputs of their own.
    return WeightRole{1, 0, view.attr_int("group") == 1 ? 0 : -1, 1};
  }
  if (node.op == "ConvTranspose" && index == 1) return WeightRole{0, 1, -1, -1};
  if (node.op == "Gemm" && index == 1) {
    const bool transposed = view.attr_int("transB") != 0;
    return WeightRole{transposed ? 1 : 0, transposed ? 0 : 1, 0,
                      view.attr_int("transA") != 0 ? 0 : 1};
  }
  if (node.op == "MatMul" && index == 1) return WeightRole{rank(1) - 2, rank(1) - 1, 0, -1};
  if (node.op == "MatMul" && index == 0) return WeightRole{rank(0) - 1, rank(0) - 2, 1, -2};
  if ((node.op == "LSTM" || node.op == "GRU" || node.op == "RNN") && (index == 1 || index == 2)) {
    return WeightRole{2, 1, index == 1 ? 0 : -1, 2};
  }
  if (node.op == "Gather" && index == 0) return WeightRole{rank(0) - 1, 0, -1, -1};
  return std::nullopt;
}

void MeanSquare::add(const Tensor& t, int axis) {
  const auto rank = static_cast<int>(t.rank());
  const int at = axis < 0 ? axis + rank : axis;
  if (at < 0 || at >= rank || t.elements() == 0) return;
  const int64_t extent = t.dims()[static_cast<size_t>(at)];
  if (sums_.empty()) sums_.assign(static_cast<size_t>(extent), 0);
  if (static_cast<int64_t>(sums_.size()) != extent) return;
  const int64_t inner = AxisLines(t.dims(), static_cast<size_t>(at)).inner;
  const float* x = t.data<float>();
  for (int64_t i = 0; i < t.elements(); ++i) {
    const auto v = static_cast<double>(x[i]);
    sums_[static_cast<size_t>(i / inner % extent)] += v * v;
  }
}

std::vector<float> MeanSquare::importance(int64_t extent) const {
  double mean = 0;
  for (const double s : sums_) mean += s;
  mean /= std::max<double>(1, static_cast<double>(sums_.size()));
  if (static_cast<int64_t>(sums_.size()) != extent || !std::isfinite(mean) || mean <= 0) return {};
  std::vector<float> out;
  for (const double s : sums_) out.push_back(static_cast<float>(s / mean + 0.01));
  return out;
}

}  // namespace mnn
