#include "libquant/search/smoothing.h"

#include <algorithm>
#include <cmath>

#include "libquant/measure/node_graph.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

constexpr double kQuantile = 0.999;
constexpr double kAlphas[] = {0.5, 0.7, 1.0};
constexpr double kLeastSmoothingGainDb = 0.5;
// A factor this far from the mean helps no more and may cost precision elsewhere.
constexpr double kMostFactor = 1e4;

const OpDef* maker_def(const Graph& g, ValueId v, NodeId& maker) {
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    if (g.nodes[n].outputs.empty() || g.nodes[n].outputs[0] != v) continue;
    maker = static_cast<NodeId>(n);
    return find_op(g.nodes[n].op);
  }
  return nullptr;
}

// Whether the node can multiply what it stores by one more factor per channel at no cost: layers do
// in their epilogue, expressions as one more operator.
bool takes_factors(const Node& n) {
  return has_traits(n.op, kLinear) || has_traits(n.op, kElementwise) ||
         has_traits(n.op, kPerChannel);
}

// The constant's elements multiplied by f(index).
template <typename F>
ValueId scaled_constant(Graph& g, ValueId v, F&& f) {
  Value value = g.value(v);
  Tensor t = Tensor::allocate(DType::kF32, value.data.dims()).value();
  const float* from = value.data.data<float>();
  for (int64_t i = 0; i < t.elements(); ++i) t.data<float>()[i] = from[i] * f(i);
  value.data = std::move(t);
  return g.add_value(std::move(value));
}

// A layer whose output is scaled exactly by scaling its weights and biases: nothing is fused but
// functions with f(s x) = s f(x) for s > 0.
bool is_homogeneous(const Graph& g, const Node& n) {
  for (size_t i = 0; i < n.fused.size(); ++i) {
    if (i == 0 && matmul_bias_operand(g, n) >= 0) continue;
    if (!has_traits(n.fused[i].op, kHomogeneous)) return false;
  }
  return true;
}

bool is_float_constant(const Graph& g, ValueId v) {
  const Tensor* t = v == kNoValue ? nullptr : g.constant(v);
  return t != nullptr && t->dtype() == DType::kF32;
}

// Scales the outputs of a homogeneous layer of the plan; false when its bias is not per channel.
bool scale_layer(Graph& g, const QuantLayer& layer, const std::vector<float>& factors) {
  const Node& node = g.node(layer.node);
  const std::vector<int64_t>& dims = g.value(layer.weight).data.dims();
  const auto axis = static_cast<size_t>(layer.weight_axis);
  if (dims[axis] != static_cast<int64_t>(factors.size()) || !is_homogeneous(g, node)) return false;
  const Result<Tensor> bias = bias_of(g, layer);
  if (!bias.ok()) return false;
  const bool has_bias =
      node.op == "MatMul" ? matmul_bias_operand(g, node) >= 0 : layer.bias != kNoValue;
  if (has_bias && !bias->defined()) return false;
  int64_t inner = 1;
  for (size_t d = axis + 1; d < dims.size(); ++d) inner *= dims[d];
  const ValueId weight = scaled_constant(g, layer.weight, [&](int64_t i) {
    return factors[static_cast<size_t>(i / inner) % factors.size()];
  });
  g.node(layer.node).inputs[1] = weight;
  if (!has_bias) return true;
  Tensor moved = bias->clone().value();
  for (int64_t c = 0; c < moved.elements(); ++c)
    moved.data<float>()[c] *= factors[static_cast<size_t>(c)];
  set_bias(g, layer, moved);
  return true;
}

// A normalization over its last axis whose scale and bias can take factors.
bool is_scalable_norm(const Graph& g, const Node& node, int64_t channels) {
  if (node.op != "LayerNormalization" || !node.fused.empty()) return false;
  for (size_t i = 1; i < node.own_inputs(); ++i) {
    if (!is_float_constant(g, node.inputs[i]) ||
        g.value(node.inputs[i]).data.elements() != channels)
      return false;
  }
  return true;
}

bool scale_normalization(Graph& g, NodeId id, const std::vector<float>& factors) {
  const Node node = g.node(id);
  if (!is_scalable_norm(g, node, static_cast<int64_t>(factors.size()))) return false;
  for (size_t i = 1; i < node.own_inputs(); ++i) {
    const ValueId scaled = scaled_constant(
        g, node.inputs[i], [&](int64_t c) { return factors[static_cast<size_t>(c)]; });
    g.node(id).inputs[i] = scaled;
  }
  return true;
}

void append_factors(Graph& g, NodeId id, const ChannelValue& value,
                    const std::vector<float>& factors) {
  // One per channel, ones for the axes behind it.
  std::vector<int64_t> dims(value.behind + 1, 1);
  dims[0] = value.channels;
  Tensor t = Tensor::allocate(DType::kF32, dims).value();
  std::copy(factors.begin(), factors.end(), t.data<float>());
  const ValueId operand = g.add_constant(std::move(t));
  Node& node = g.node(id);
  FusedOp mul;
  mul.op = "Mul";
  mul.operands = {static_cast<int>(node.inputs.size())};
  node.inputs.push_back(operand);
  node.fused.push_back(std::move(mul));
}

// Divisors for one alpha; empty when they would be about the same for every channel.
std::vector<float> divisors_of(const std::vector<double>& xmax, const std::vector<double>& wmax,
                               double alpha) {
  const auto alive = [&](size_t c) { return xmax[c] > 0 && wmax[c] > 0; };
  const auto log_of = [&](size_t c) {
    return alpha * std::log(xmax[c]) - (1 - alpha) * std::log(wmax[c]);
  };
  double sum = 0;
  int64_t live = 0;
  for (size_t c = 0; c < xmax.size(); ++c) {
    if (!alive(c)) continue;
    sum += log_of(c);
    ++live;
  }
  std::vector<float> divisors(xmax.size(), 1.0f);
  const double mean = sum / static_cast<double>(std::max<int64_t>(live, 1));
  const double most = std::log(kMostFactor);
  bool differ = false;
  for (size_t c = 0; c < xmax.size() && live >= 2; ++c) {
    const double x = alive(c) ? std::clamp(log_of(c) - mean, -most, most) : 0.0;
    differ = differ || std::abs(x) > 0.1;
    divisors[c] = static_cast<float>(std::exp(x));
  }
  if (!differ) divisors.clear();
  return divisors;
}

// The channels of `t` divided.
Result<Tensor> divided(const Tensor& t, const ChannelValue& value,
                       const std::vector<float>& divisors) {
  MNN_ASSIGN_OR_RETURN(Tensor out, t.clone());
  int64_t inner = 1;
  for (size_t d = value.axis(t.rank()) + 1; d < t.rank(); ++d) inner *= t.dims()[d];
  float* x = out.data<float>();
  for (int64_t i = 0; i < out.elements(); ++i)
    x[i] /= divisors[static_cast<size_t>(i / inner % value.channels)];
  return out;
}

class SmoothingSearcher {
 public:
  explicit SmoothingSearcher(const SmoothingSearch& s) : s_(s) {}

  Result<std::vector<Smoothing>> run() {
    std::vector<size_t> wanted;
    std::vector<ValueId> ids;
    for (size_t i = 0; i < s_.values.size(); ++i) {
      if (s_.values[i].depthwise || !can_smooth(s_.graph, s_.values[i])) continue;
      wanted.push_back(i);
      ids.push_back(s_.values[i].value);
    }
    std::vector<Smoothing> found;
    std::vector<Tensor> seen;
    size_t done = 0;
    MNN_RETURN_IF_ERROR(observe(
        s_.graph, ids, s_.samples, s_.run,
        [&](size_t v, size_t sample, const Tensor& t) -> Status {
          tensors_.resize(ids.size());
          MNN_ASSIGN_OR_RETURN(Tensor own, t.clone());
          tensors_[v].push_back(std::move(own));
          if (sample + 1 < s_.samples.size()) return {};
          MNN_ASSIGN_OR_RETURN(Smoothing best, choose(wanted[v], tensors_[v]));
          tensors_[v].clear();
          if (!best.divisors.empty()) found.push_back(std::move(best));
          if (s_.progress)
            s_.progress(static_cast<int64_t>(++done), static_cast<int64_t>(ids.size()));
          return {};
        },
        nullptr));
    std::sort(found.begin(), found.end(),
              [](const Smoothing& a, const Smoothing& b) { return a.value < b.value; });
    return found;
  }

 private:
  std::vector<double> weight_maxima(const ChannelValue& value) const {
    std::vector<double> most(static_cast<size_t>(value.channels), 0.0);
    for (const size_t reader : value.readers) {
      const QuantLayer& layer = s_.plan.layers[reader];
      const WeightChannels channels = weight_channels(s_.graph, layer);
      const Tensor& w = s_.graph.value(layer.weight).data;
      for (int64_t i = 0; i < w.elements(); ++i) {
        double& m = most[static_cast<size_t>(channels.input_of(i))];
        m = std::max(m, std::abs(static_cast<double>(w.data<float>()[i])));
      }
    }
    return most;
  }

  // Squared error at the outputs of all readers, relative to their power.
  Result<double> noise(size_t at, const std::vector<Tensor>& x,
                       const std::vector<float>& divisors) {
    const ChannelValue& value = s_.values[at];
    const ChannelStats& stats = s_.stats[at];
    RealRange range;
    for (size_t c = 0; c < divisors.size(); ++c) {
      range.low = std::min(range.low, stats.range(c).low / divisors[c]);
      range.high = std::max(range.high, stats.range(c).high / divisors[c]);
    }
    std::vector<Tensor> scaled;
    for (const Tensor& t : x) {
      MNN_ASSIGN_OR_RETURN(Tensor d, divided(t, value, divisors));
      scaled.push_back(std::move(d));
    }
    double total = 0;
    for (const size_t reader : value.readers) {
      const QuantLayer& outer = s_.plan.layers[reader];
      NodeGraph plain = cut_out_sums(s_.graph, outer.node);
      const QuantLayer layer = layer_inside(plain, outer);
      NodeGraph touched = plain;
      const WeightChannels channels = weight_channels(plain.graph, layer);
      const ValueId weight = scaled_constant(touched.graph, layer.weight, [&](int64_t i) {
        return divisors[static_cast<size_t>(channels.input_of(i))];
      });
      MNN_ASSIGN_OR_RETURN(
          QuantizedWeights w,
          quantize_weights(touched.graph.value(weight).data, layer.weight_axis, s_.weight_scale));
      touched.graph.value(weight).data = w.stored;
      touched.graph.value(weight).quant = w.params;
      touched.graph.nodes[0].inputs[1] = weight;
      touched.graph.value(layer.input).quant = activation_params(range.low, range.high);
      MNN_ASSIGN_OR_RETURN(const auto float_session, open_for_quant(plain.graph, s_.run));
      MNN_ASSIGN_OR_RETURN(const auto int8_session, open_for_quant(touched.graph, s_.run));
      ErrorSums sums;
      for (size_t i = 0; i < x.size(); ++i) {
        MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> want, float_session->run({&x[i], 1}));
        MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> have, int8_session->run({&scaled[i], 1}));
        MNN_RETURN_IF_ERROR(sums.add(want[0], have[0]));
      }
      if (sums.ref_squared > 0) total += sums.error_squared / sums.ref_squared;
    }
    return total;
  }

  Result<Smoothing> choose(size_t at, const std::vector<Tensor>& x) {
    const ChannelValue& value = s_.values[at];
    const std::vector<double> xmax = s_.stats[at].magnitudes(kQuantile),
                              wmax = weight_maxima(value);
    Smoothing best;
    best.value = value.value;
    const std::vector<float> none(static_cast<size_t>(value.channels), 1.0f);
    MNN_ASSIGN_OR_RETURN(const double without, noise(at, x, none));
    double least = without * std::pow(10.0, -kLeastSmoothingGainDb / 10);
    for (const double alpha : kAlphas) {
      const std::vector<float> divisors = divisors_of(xmax, wmax, alpha);
      if (divisors.empty()) continue;
      MNN_ASSIGN_OR_RETURN(const double error, noise(at, x, divisors));
      if (!(error < least)) continue;
      least = error;
      best.alpha = alpha;
      best.divisors = divisors;
    }
    return best;
  }

  const SmoothingSearch& s_;
  std::vector<std::vector<Tensor>> tensors_;  // per wanted value, per sample
};

}  // namespace

bool can_smooth(const Graph& graph, const ChannelValue& value) {
  NodeId maker = -1;
  if (maker_def(graph, value.value, maker) == nullptr) return false;
  const Node& n = graph.node(maker);
  return is_scalable_norm(graph, n, value.channels) || takes_factors(n);
}

void apply_smoothing(Graph& graph, const QuantPlan& plan, const ChannelValue& value,
                     const Smoothing& smoothing) {
  NodeId maker = -1;
  (void)maker_def(graph, value.value, maker);
  std::vector<float> factors;
  for (const float d : smoothing.divisors) factors.push_back(1.0f / d);
  const auto layer = std::find_if(plan.layers.begin(), plan.layers.end(),
                                  [&](const QuantLayer& l) { return l.node == maker; });
  bool folded = scale_normalization(graph, maker, factors);
  if (!folded && layer != plan.layers.end() && layer->has_weight()) {
    // An earlier smoothing may have given the layer other weights.
    QuantLayer now = *layer;
    now.weight = graph.node(maker).inputs[1];
    if (now.bias != kNoValue) now.bias = graph.node(maker).inputs[2];
    folded = scale_layer(graph, now, factors);
  }
  if (!folded) append_factors(graph, maker, value, factors);
  auto& divided = graph.value(value.value).smoothing;
  if (divided) {
    for (size_t c = 0; c < factors.size(); ++c) divided->divisors[c] *= smoothing.divisors[c];
  } else {
    divided = ChannelDivisors{smoothing.divisors, value.conv ? 1 : -1};
  }
  for (const size_t reader : value.readers) {
    QuantLayer now = plan.layers[reader];
    now.weight = graph.node(now.node).inputs[1];
    const WeightChannels channels = weight_channels(graph, now);
    const ValueId weight = scaled_constant(graph, now.weight, [&](int64_t i) {
      return smoothing.divisors[static_cast<size_t>(channels.input_of(i))];
    });
    graph.node(now.node).inputs[1] = weight;
  }
}

Result<std::vector<Smoothing>> search_smoothing(const SmoothingSearch& search) {
  return SmoothingSearcher(search).run();
}

}  // namespace mnn
