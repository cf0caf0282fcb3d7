#include "libquant/measure/walk.h"

#include <algorithm>
#include <map>

#include "libquant/measure/node_graph.h"

namespace mnn {
namespace {

using Environment = std::vector<Tensor>;  // per value of the graph

Result<std::vector<Tensor>> run_cut(Session& session, const NodeGraph& cut,
                                    const Environment& env) {
  std::vector<Tensor> inputs;
  for (const ValueId v : cut.reads) inputs.push_back(env[static_cast<size_t>(v)]);
  return session.run(inputs);
}

class Walk {
 public:
  Walk(const Graph& graph, const QuantPlan& plan, const QuantDecisions& decisions,
       const QuantDecisions& alone, const SampleSet& samples, const WalkOptions& options)
      : graph_(graph),
        plan_(plan),
        decisions_(decisions),
        alone_(alone),
        samples_(samples),
        options_(options) {}

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

  NodeGraph quantized(const NodeGraph& plain, int layer, const QuantDecisions& decisions) const {
    NodeGraph cut = plain;
    annotate_values(cut, plan_, decisions, true);
    if (layer >= 0) {
      const auto i = static_cast<size_t>(layer);
      apply_layer(cut.graph, layer_inside(cut, plan_.layers[i]), decisions, i);
    }
    return cut;
  }

  Status step(NodeId n, int layer) {
    const NodeGraph plain = cut_out(graph_, n);
    const auto float_session = open_for_quant(plain.graph, options_.run);
    if (!float_session.ok()) return float_session.status();
    const NodeGraph touched = quantized(plain, layer, decisions_);
    const bool is_touched =
        layer >= 0 ||
        std::any_of(touched.graph.values.begin(), touched.graph.values.end(),
                    [](const Value& v) { return v.quant && v.kind != ValueKind::kConstant; });
    std::unique_ptr<Session> prefix_session, alone_session;
    if (is_touched) {
      MNN_ASSIGN_OR_RETURN(prefix_session, open_for_quant(touched.graph, options_.run));
    }
    if (layer >= 0 && decisions_.bias[static_cast<size_t>(layer)].defined()) {
      MNN_ASSIGN_OR_RETURN(alone_session,
                           open_for_quant(quantized(plain, layer, alone_).graph, options_.run));
    }
    Session& second = is_touched ? *prefix_session : **float_session;
    Session& isolating = alone_session ? *alone_session : second;
    for (size_t s = 0; s < samples_.size(); ++s) {
      MNN_ASSIGN_OR_RETURN(std::vector<Tensor> reference,
                           run_cut(**float_session, plain, float_[s]));
      MNN_ASSIGN_OR_RETURN(std::vector<Tensor> accumulated, run_cut(second, plain, quantized_[s]));
      if (!reference.empty()) {
        WalkedNode seen{n, s, reference[0], accumulated[0], {}};
        if (is_touched) {
          MNN_ASSIGN_OR_RETURN(std::vector<Tensor> isolated, run_cut(isolating, plain, float_[s]));
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

  const Graph& graph_;
  const QuantPlan& plan_;
  const QuantDecisions& decisions_;
  const QuantDecisions& alone_;
  const SampleSet& samples_;
  const WalkOptions& options_;
  std::vector<Environment> float_, quantized_;  // per sample
  std::vector<NodeId> last_use_;
};

}  // namespace

Status walk(const Graph& graph, const QuantPlan& plan, const QuantDecisions& decisions,
            const QuantDecisions& alone, const SampleSet& samples, const WalkOptions& options) {
  return Walk(graph, plan, decisions, alone, samples, options).run();
}

}  // namespace mnn
