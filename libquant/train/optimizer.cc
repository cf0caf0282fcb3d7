#include "libquant/train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mnn {

using Kind = OptimizerOptions::Kind;

StepRates step_rates(const OptimizerOptions& options, double learning_rate, int64_t step) {
  StepRates rates;
  rates.learning_rate = static_cast<float>(learning_rate);
  if (options.kind == Kind::kSgd) return rates;
  const auto count = static_cast<double>(step + 1);
  rates.first = static_cast<float>(1.0 / (1.0 - std::pow(options.beta1, count)));
  rates.second = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(options.beta2, count)));
  return rates;
}

namespace {

Result<ValueId> add_moment(Graph& graph, ValueId parameter, std::string_view what) {
  Value moment;
  moment.name = graph.value(parameter).name + "/" + std::string(what);
  moment.kind = ValueKind::kState;
  moment.type = graph.value(parameter).type;
  MNN_ASSIGN_OR_RETURN(moment.data,
                       Tensor::allocate(moment.type.dtype, known_dims(*moment.type.shape)));
  return graph.add_value(std::move(moment));
}

}  // namespace

Result<std::vector<std::string>> add_update(Builder& b, ValueId parameter, ValueId gradient,
                                            const OptimizerOptions& options,
                                            const RateValues& rates) {
  Graph& graph = b.graph();
  auto num = [&](double v) { return b.scalar(static_cast<float>(v)); };
  auto add = [&](ValueId p, ValueId q) { return b.op("Add", {p, q}); };
  auto mul = [&](ValueId p, ValueId q) { return b.op("Mul", {p, q}); };
  std::vector<std::string> moments;
  auto become = [&](ValueId state, ValueId next) { graph.updates.push_back({state, next}); };
  auto moment = [&](std::string_view what) -> Result<ValueId> {
    MNN_ASSIGN_OR_RETURN(const ValueId v, add_moment(graph, parameter, what));
    moments.push_back(graph.value(v).name);
    return v;
  };
  ValueId w = parameter, g = gradient;
  const double decay = graph.value(parameter).type.rank() > 1 ? options.weight_decay : 0.0;
  if (decay != 0 && options.kind != Kind::kAdamW) g = add(g, mul(w, num(decay)));
  if (decay != 0 && options.kind == Kind::kAdamW) {
    w = mul(w, b.op("Sub", {num(1.0), mul(rates.learning_rate, num(decay))}));
  }
  ValueId step = kNoValue;
  if (options.kind == Kind::kSgd) {
    if (options.momentum != 0) {
      MNN_ASSIGN_OR_RETURN(const ValueId m, moment("momentum"));
      g = add(mul(m, num(options.momentum)), g);
      become(m, g);
    }
    step = mul(g, rates.learning_rate);
  } else {
    MNN_ASSIGN_OR_RETURN(const ValueId m, moment("first"));
    MNN_ASSIGN_OR_RETURN(const ValueId v, moment("second"));
    const ValueId next_m = add(mul(m, num(options.beta1)), mul(g, num(1.0 - options.beta1)));
    const ValueId next_v =
        add(mul(v, num(options.beta2)), mul(mul(g, g), num(1.0 - options.beta2)));
    become(m, next_m);
    become(v, next_v);
    const ValueId size = mul(rates.learning_rate, rates.first);
    const ValueId root = mul(b.op("Sqrt", {next_v}), rates.second);
    step = b.op("Div", {mul(next_m, size), add(root, num(options.epsilon))});
  }
  become(parameter, b.op("Sub", {w, step}));
  return moments;
}

double Schedule::at(int64_t step) const {
  if (step < warmup) {
    return learning_rate * static_cast<double>(step + 1) / static_cast<double>(warmup);
  }
  const double all = static_cast<double>(std::max<int64_t>(1, steps - warmup));
  const double done = std::clamp(static_cast<double>(step - warmup) / all, 0.0, 1.0);
  const double part = 0.5 * (1.0 + std::cos(std::numbers::pi * done));
  return learning_rate * (last + (1.0 - last) * part);
}

}  // namespace mnn
