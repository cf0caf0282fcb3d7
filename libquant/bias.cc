#include "libquant/bias.h"

#include <map>

#include "libquant/measure/node_graph.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

// Sums per channel over any number of tensors.
class ChannelMean {
 public:
  void add(const Tensor& t, size_t axis) {
    int64_t inner = 1;
    for (size_t d = axis + 1; d < t.rank(); ++d) inner *= t.dims()[d];
    const auto channels = static_cast<size_t>(t.dims()[axis]);
    sums_.resize(channels, 0.0);
    const float* x = t.data<float>();
    const int64_t runs = t.elements() / inner;
    for (int64_t r = 0; r < runs; ++r, x += inner)
      sums_[static_cast<size_t>(r) % channels] +=
          inner == 1 ? static_cast<double>(*x) : sum(x, inner);
    count_ += runs / static_cast<int64_t>(channels) * inner;
  }
  std::vector<double> mean() const {
    std::vector<double> m = sums_;
    for (double& x : m) x /= static_cast<double>(count_ > 0 ? count_ : 1);
    return m;
  }

 private:
  // Four at a time, always in the same order.
  static double sum(const float* x, int64_t n) {
    double part[4] = {};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
      for (int j = 0; j < 4; ++j) part[j] += static_cast<double>(x[i + j]);
    for (; i < n; ++i) part[0] += static_cast<double>(x[i]);
    return (part[0] + part[1]) + (part[2] + part[3]);
  }

  std::vector<double> sums_;
  int64_t count_ = 0;
};

size_t output_axis(const Node& node, const Tensor& output) {
  return has_traits(node.op, kConvolves) ? 1 : output.rank() - 1;
}

Result<bool> has_bias(const Graph& graph, const QuantLayer& layer) {
  MNN_ASSIGN_OR_RETURN(const Tensor bias, bias_of(graph, layer));
  return bias.defined();
}

// What the layers in front of the one that is corrected are.
enum class Prefix : uint8_t { kQuantized, kFloat };

class Correction {
 public:
  Correction(const Graph& graph, const QuantPlan& plan, QuantDecisions& decisions,
             const SampleSet& samples, const LayerMeans& means, const RunOptions& run,
             Prefix prefix)
      : graph_(graph),
        plan_(plan),
        decisions_(decisions),
        samples_(samples),
        means_(means),
        run_(run),
        prefix_(prefix) {}

  Status run(const std::function<void(int64_t, int64_t)>& progress) {
    MNN_RETURN_IF_ERROR(start());
    std::map<NodeId, size_t> layer_of;
    for (size_t i = 0; i < plan_.layers.size(); ++i) layer_of[plan_.layers[i].node] = i;
    const auto total = static_cast<int64_t>(graph_.nodes.size());
    for (NodeId n = 0; n < total; ++n) {
      if (n > last_layer_) break;
      const auto it = layer_of.find(n);
      const Status status = step(n, it == layer_of.end() ? -1 : static_cast<int>(it->second));
      if (!status.ok()) return status.context("node " + display_name(graph_, graph_.node(n)));
      if (progress) progress(n + 1, total);
    }
    return {};
  }

 private:
  Status start() {
    values_.assign(samples_.size(), std::vector<Tensor>(graph_.values.size()));
    for (size_t s = 0; s < samples_.size(); ++s) {
      MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, samples_.load(s));
      for (size_t i = 0; i < inputs.size(); ++i)
        values_[s][static_cast<size_t>(graph_.inputs[i])] = inputs[i];
    }
    last_use_.assign(graph_.values.size(), -1);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      for (const auto* list : {&graph_.nodes[n].inputs, &graph_.nodes[n].captures}) {
        for (const ValueId v : *list) {
          if (v != kNoValue) last_use_[static_cast<size_t>(v)] = static_cast<NodeId>(n);
        }
      }
    }
    for (const QuantLayer& layer : plan_.layers) last_layer_ = std::max(last_layer_, layer.node);
    return {};
  }

  Result<std::vector<Tensor>> run_one(Session& session, const NodeGraph& cut, size_t sample) {
    std::vector<Tensor> inputs;
    for (const ValueId v : cut.reads) inputs.push_back(values_[sample][static_cast<size_t>(v)]);
    return session.run(inputs);
  }

  Status step(NodeId n, int layer) {
    if (layer >= 0 && !means_[static_cast<size_t>(layer)].empty())
      MNN_RETURN_IF_ERROR(correct(n, static_cast<size_t>(layer)));
    if (n == last_layer_) return {};
    NodeGraph cut = cut_out(graph_, n);
    if (prefix_ == Prefix::kQuantized) {
      annotate_values(cut, plan_, decisions_, true);
      if (layer >= 0) {
        apply_layer(cut.graph, layer_inside(cut, plan_.layers[static_cast<size_t>(layer)]),
                    decisions_, static_cast<size_t>(layer));
      }
    }
    MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(cut.graph, run_));
    for (size_t s = 0; s < samples_.size(); ++s) {
      MNN_ASSIGN_OR_RETURN(std::vector<Tensor> made, run_one(*session, cut, s));
      size_t o = 0;
      for (const ValueId v : graph_.node(n).outputs) {
        if (v != kNoValue) values_[s][static_cast<size_t>(v)] = std::move(made[o++]);
      }
      for (const ValueId v : cut.reads) {
        if (last_use_[static_cast<size_t>(v)] == n) values_[s][static_cast<size_t>(v)] = {};
      }
    }
    return {};
  }

  Status correct(NodeId n, size_t index) {
    const QuantLayer& layer = plan_.layers[index];
    MNN_ASSIGN_OR_RETURN(const Tensor bias, bias_of(graph_, layer));
    NodeGraph cut = cut_out_sums(graph_, n);
    annotate_values(cut, plan_, decisions_, false);
    apply_layer(cut.graph, layer_inside(cut, layer), decisions_, index);
    MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(cut.graph, run_));
    ChannelMean mean;
    for (size_t s = 0; s < samples_.size(); ++s) {
      MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> made, run_one(*session, cut, s));
      mean.add(made[0], output_axis(graph_.node(n), made[0]));
    }
    const std::vector<double> have = mean.mean();
    MNN_ASSIGN_OR_RETURN(Tensor moved, bias.clone());
    for (size_t c = 0; c < have.size(); ++c)
      moved.data<float>()[c] += static_cast<float>(means_[index][c] - have[c]);
    decisions_.bias[index] = std::move(moved);
    return {};
  }

  const Graph& graph_;
  const QuantPlan& plan_;
  QuantDecisions& decisions_;
  const SampleSet& samples_;
  const LayerMeans& means_;
  const RunOptions& run_;
  const Prefix prefix_;
  std::vector<std::vector<Tensor>> values_;  // per sample, per value of the graph
  std::vector<NodeId> last_use_;
  NodeId last_layer_ = -1;
};

}  // namespace

Result<LayerMeans> layer_means(const Graph& graph, const QuantPlan& plan, const SampleSet& samples,
                               const RunOptions& run) {
  Graph g = graph;
  std::vector<ValueId> sums;
  std::vector<size_t> layers;
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(const bool correctable, has_bias(graph, plan.layers[i]));
    if (!correctable) continue;
    Node node = graph.node(plan.layers[i].node);
    const bool bias = matmul_bias_operand(graph, node) >= 0;
    if (node.fused.size() > (bias ? 1u : 0u)) {
      // The layer once more, without its post-ops.
      const size_t own = node.own_inputs();
      node.fused.resize(bias ? 1 : 0);
      node.inputs.resize(bias ? static_cast<size_t>(node.fused[0].operand()) + 1 : own);
      node.outputs = {g.add_temporary("", graph.value(node.outputs[0]).type)};
      sums.push_back(node.outputs[0]);
      g.add_node(std::move(node));
    } else {
      sums.push_back(node.outputs[0]);
    }
    layers.push_back(i);
  }
  std::vector<ChannelMean> means(sums.size());
  MNN_RETURN_IF_ERROR(observe(
      g, sums, samples, run,
      [&](size_t v, size_t, const Tensor& t) {
        means[v].add(t, output_axis(graph.node(plan.layers[layers[v]].node), t));
        return Status();
      },
      nullptr));
  LayerMeans all(plan.layers.size());
  for (size_t v = 0; v < layers.size(); ++v) all[layers[v]] = means[v].mean();
  return all;
}

Status correct_biases(const Graph& graph, const QuantPlan& plan, QuantDecisions& decisions,
                      const SampleSet& samples, const LayerMeans& means, const RunOptions& run,
                      const std::function<void(int64_t, int64_t)>& progress) {
  return Correction(graph, plan, decisions, samples, means, run, Prefix::kQuantized).run(progress);
}

Status correct_biases_alone(const Graph& graph, const QuantPlan& plan, QuantDecisions& decisions,
                            const SampleSet& samples, const LayerMeans& means,
                            const RunOptions& run) {
  return Correction(graph, plan, decisions, samples, means, run, Prefix::kFloat).run(nullptr);
}

Result<QuantDecisions> with_biases_alone(const Graph& graph, const QuantPlan& plan,
                                         const QuantDecisions& decisions, const SampleSet& samples,
                                         const RunOptions& run) {
  QuantDecisions alone = decisions;
  const auto& bias = decisions.bias;
  if (std::none_of(bias.begin(), bias.end(), [](const Tensor& b) { return b.defined(); }))
    return alone;
  alone.bias.assign(bias.size(), Tensor());
  MNN_ASSIGN_OR_RETURN(LayerMeans means, layer_means(graph, plan, samples, run));
  for (size_t i = 0; i < bias.size(); ++i) {
    if (!bias[i].defined()) means[i].clear();
  }
  MNN_RETURN_IF_ERROR(correct_biases_alone(graph, plan, alone, samples, means, run));
  return alone;
}

}  // namespace mnn
