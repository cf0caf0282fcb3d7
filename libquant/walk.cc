#include "libquant/walk.h"

#include <algorithm>
#include <map>

#include "libquant/node_graph.h"

namespace mnn {
namespace {

using Environment = std::vector<Tensor>;  // per value of the graph

Result<std::vector<Tensor>> run_cut(Session& session, const NodeGraph& cut,
                                    const Environment& env) {
  std::vector<Tensor> inputs;
  for (const ValueId v : cut.reads) inputs.push_back(env[static_cast<size_t>(v)]);
  return session.run(inputs);
}

// Mean per channel, `axis` indexing the channels, added to `sums` with its weight.
void add_channel_sums(const Tensor& t, size_t axis, double sign, std::vector<double>& sums,
                      int64_t& count) {
  int64_t inner = 1;
  for (size_t d = axis + 1; d < t.rank(); ++d) inner *= t.dims()[d];
  const int64_t channels = t.dims()[axis];
  sums.resize(static_cast<size_t>(channels), 0.0);
  const float* x = t.data<float>();
  for (int64_t i = 0; i < t.elements(); ++i)
    sums[static_cast<size_t>(i / inner % channels)] += sign * static_cast<double>(x[i]);
  if (sign > 0) count += channels ? t.elements() / channels : 0;
}

class Walk {
 public:
  Walk(const Graph& graph, const QuantPlan& plan, QuantDecisions& decisions,
       const SampleSet& samples, const WalkOptions& options)
      : graph_(graph), plan_(plan), decisions_(decisions), samples_(samples), options_(options) {}

  Status run() {
    MNN_RETURN_IF_ERROR(start());
    std::map<NodeId, size_t> layer_of;
    for (size_t i = 0; i < plan_.layers.size(); ++i) layer_of[plan_.layers[i].node] = i;
    const auto total = static_cast<int64_t>(graph_.nodes.size());
    for (NodeId n = 0; n < total; ++n) {
      const auto it = layer_of.find(n);
      const Status status = step(n, it == layer_of.end() ? -1 : static_cast<int>(it->second));
      if (!status.ok()) return status.context("node " + display_name(graph_, graph_.node(n)));
      if (options_.progress) options_.progress(n + 1, total);
    }
    return {};
  }

 private:
  Status start() {
    float_.assign(samples_.size(), Environment(graph_.values.size()));
    quantized_.assign(samples_.size(), Environment(graph_.values.size()));
    for (size_t s = 0; s < samples_.size(); ++s) {
      MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs, samples_.load(s));
      for (size_t i = 0; i < inputs.size(); ++i) {
        float_[s][static_cast<size_t>(graph_.inputs[i])] = inputs[i];
        quantized_[s][static_cast<size_t>(graph_.inputs[i])] = inputs[i];
      }
    }
    last_use_.assign(graph_.values.size(), -1);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      for (const auto* list : {&graph_.nodes[n].inputs, &graph_.nodes[n].captures}) {
        for (const ValueId v : *list) {
          if (v != kNoValue) last_use_[static_cast<size_t>(v)] = static_cast<NodeId>(n);
        }
      }
    }
    return {};
  }

  Status step(NodeId n, int layer) {
    const NodeGraph plain = cut_out(graph_, n);
    const auto float_session = open_for_quant(plain.graph, options_.run);
    if (!float_session.ok()) return float_session.status();
    if (layer >= 0 && options_.correct_bias)
      MNN_RETURN_IF_ERROR(correct(n, static_cast<size_t>(layer)));

    NodeGraph touched = plain;
    annotate_values(touched, plan_, decisions_, true);
    if (layer >= 0) {
      apply_layer(touched.graph, layer_inside(touched, plan_.layers[static_cast<size_t>(layer)]),
                  decisions_, static_cast<size_t>(layer));
    }
    const bool is_touched =
        layer >= 0 ||
        std::any_of(touched.graph.values.begin(), touched.graph.values.end(),
                    [](const Value& v) { return v.quant && v.kind != ValueKind::kConstant; });
    Result<std::unique_ptr<Session>> quantized_session = std::unique_ptr<Session>();
    if (is_touched) {
      quantized_session = open_for_quant(touched.graph, options_.run);
      if (!quantized_session.ok()) return quantized_session.status();
    }
    Session& second = is_touched ? **quantized_session : **float_session;
    for (size_t s = 0; s < samples_.size(); ++s) {
      MNN_ASSIGN_OR_RETURN(std::vector<Tensor> reference,
                           run_cut(**float_session, plain, float_[s]));
      MNN_ASSIGN_OR_RETURN(std::vector<Tensor> accumulated, run_cut(second, plain, quantized_[s]));
      if (options_.see && !reference.empty()) {
        WalkedNode seen{n, s, reference[0], accumulated[0], {}};
        if (is_touched) {
          MNN_ASSIGN_OR_RETURN(std::vector<Tensor> isolated, run_cut(second, plain, float_[s]));
          seen.isolated = std::move(isolated[0]);
        }
        MNN_RETURN_IF_ERROR(options_.see(seen));
      }
      size_t o = 0;
      for (const ValueId v : graph_.node(n).outputs) {
        if (v == kNoValue) continue;
        float_[s][static_cast<size_t>(v)] = std::move(reference[o]);
        quantized_[s][static_cast<size_t>(v)] = std::move(accumulated[o++]);
      }
      for (const ValueId v : plain.reads) {
        if (last_use_[static_cast<size_t>(v)] != n) continue;
        float_[s][static_cast<size_t>(v)] = {};
        quantized_[s][static_cast<size_t>(v)] = {};
      }
    }
    return {};
  }

  Status correct(NodeId n, size_t index) {
    const QuantLayer& layer = plan_.layers[index];
    MNN_ASSIGN_OR_RETURN(const Tensor bias, bias_of(graph_, layer));
    if (!bias.defined()) return {};
    const NodeGraph plain = cut_out_sums(graph_, n);
    NodeGraph quantized = plain;
    annotate_values(quantized, plan_, decisions_, false);
    apply_layer(quantized.graph, layer_inside(quantized, layer), decisions_, index);
    MNN_ASSIGN_OR_RETURN(const auto first, open_for_quant(plain.graph, options_.run));
    MNN_ASSIGN_OR_RETURN(const auto second, open_for_quant(quantized.graph, options_.run));
    std::vector<double> sums;
    int64_t count = 0;
    for (size_t s = 0; s < samples_.size(); ++s) {
      MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> want, run_cut(*first, plain, float_[s]));
      MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> have, run_cut(*second, plain, quantized_[s]));
      const size_t axis = graph_.node(n).op == "Conv" ? 1 : want[0].rank() - 1;
      add_channel_sums(want[0], axis, 1.0, sums, count);
      add_channel_sums(have[0], axis, -1.0, sums, count);
    }
    MNN_ASSIGN_OR_RETURN(Tensor moved, bias.clone());
    for (size_t c = 0; c < sums.size() && count > 0; ++c) {
      moved.data<float>()[c] += static_cast<float>(sums[c] / static_cast<double>(count));
    }
    decisions_.bias[index] = std::move(moved);
    return {};
  }

  const Graph& graph_;
  const QuantPlan& plan_;
  QuantDecisions& decisions_;
  const SampleSet& samples_;
  const WalkOptions& options_;
  std::vector<Environment> float_, quantized_;  // per sample
  std::vector<NodeId> last_use_;
};

}  // namespace

Status walk(const Graph& graph, const QuantPlan& plan, QuantDecisions& decisions,
            const SampleSet& samples, const WalkOptions& options) {
  return Walk(graph, plan, decisions, samples, options).run();
}

}  // namespace mnn
