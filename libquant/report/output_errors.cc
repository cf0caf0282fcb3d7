#include "libquant/report/output_errors.h"

#include <algorithm>
#include <map>

#include "libquant/measure/node_graph.h"

namespace mnn {
namespace {

constexpr size_t kLayersAtOnce = 16;

class OutputErrors {
 public:
  OutputErrors(const Graph& reference, const Graph& test, const SampleSet& samples,
               const RunOptions& run, std::vector<LayerError>& layers)
      : reference_(reference), test_(test), samples_(samples), run_(run), layers_(layers) {}

  // Isolated and accumulated errors of the layers [begin, end).
  Status add(size_t begin, size_t end) {
    std::vector<ValueId> values;
    std::vector<NodeGraph> cuts;
    std::map<ValueId, size_t> at;
    const auto want = [&](ValueId v) {
      if (at.emplace(v, values.size()).second) values.push_back(v);
    };
    for (size_t i = begin; i < end; ++i) {
      const NodeId node = layers_[i].node;
      cuts.push_back(cut_out(test_, node));
      want(reference_.node(node).outputs[0]);
    }
    const size_t outputs = values.size();
    std::vector<ErrorSums> isolated(layers_.size()), accumulated(layers_.size());
    for (size_t s = 0; s < samples_.size(); ++s) {
      SampleSet one = samples_;
      one.indices = {samples_.indices[s]};
      std::vector<ValueId> all = values;
      std::map<ValueId, Tensor> floats, codes;
      for (const NodeGraph& cut : cuts) {
        for (const ValueId v : cut.reads) {
          if (at.emplace(v, all.size()).second) all.push_back(v);
        }
      }
      const auto keep = [](const std::vector<ValueId>& ids, std::map<ValueId, Tensor>& to) {
        return [&ids, &to](size_t value, size_t, const Tensor& t) -> Status {
          MNN_ASSIGN_OR_RETURN(to[ids[value]], t.clone());
          return {};
        };
      };
      MNN_RETURN_IF_ERROR(observe(reference_, all, one, run_, keep(all, floats), nullptr));
      MNN_RETURN_IF_ERROR(observe(test_, values, one, run_, keep(values, codes), nullptr));
      for (size_t i = begin; i < end; ++i) {
        const ValueId v = reference_.node(layers_[i].node).outputs[0];
        if (!floats.contains(v) || !codes.contains(v)) continue;
        MNN_RETURN_IF_ERROR(accumulated[i].add_or_miss(floats[v], codes[v]));
        MNN_RETURN_IF_ERROR(isolate(cuts[i - begin], v, floats, isolated[i]));
      }
      for (size_t k = outputs; k < all.size(); ++k) at.erase(all[k]);
    }
    for (size_t i = begin; i < end; ++i) {
      layers_[i].isolated = metrics_of(isolated[i]);
      layers_[i].accumulated = metrics_of(accumulated[i]);
    }
    return {};
  }

  // The node alone, with its codes, on what the float network gives it.
  Status isolate(const NodeGraph& cut, ValueId output, const std::map<ValueId, Tensor>& floats,
                 ErrorSums& sums) const {
    std::vector<Tensor> inputs;
    for (size_t k = 0; k < cut.reads.size(); ++k) {
      const auto it = floats.find(cut.reads[k]);
      if (it == floats.end()) return {};
      inputs.push_back(it->second);
    }
    MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(cut.graph, run_));
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> made, session->run(inputs));
    const auto& outs = cut.graph.outputs;
    const auto inside = cut.inside.find(output);
    const auto at =
        inside == cut.inside.end() ? outs.end() : std::ranges::find(outs, inside->second);
    if (at == outs.end()) return {};
    return sums.add_or_miss(floats.at(output), made[static_cast<size_t>(at - outs.begin())]);
  }

  const Graph& reference_;
  const Graph& test_;
  const SampleSet& samples_;
  const RunOptions& run_;
  std::vector<LayerError>& layers_;
};

}  // namespace

Status measure_layer_outputs(const Graph& reference, const Graph& test, const SampleSet& samples,
                             const RunOptions& run, std::vector<LayerError>& layers,
                             const std::function<void(size_t done)>& progress) {
  OutputErrors errors(reference, test, samples, run, layers);
  for (size_t begin = 0; begin < layers.size(); begin += kLayersAtOnce) {
    const size_t end = std::min(layers.size(), begin + kLayersAtOnce);
    MNN_RETURN_IF_ERROR(errors.add(begin, end));
    progress(end);
  }
  return {};
}

}  // namespace mnn
