#include "libquant/report/layer_facts.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "libquant/calibrate/histogram.h"
#include "libquant/measure/time.h"
#include "libquant/search/mix.h"
#include "libquant/weights/weight_role.h"
#include "libruntime/core/storage.h"

namespace mnn {
namespace {

constexpr size_t kDistributionSamples = 4;
constexpr size_t kUnpacked = 4096;
constexpr int kMostCounted = 16;  // bits of codes that are counted

std::unordered_map<std::string, NodeId> nodes_by_name(const Graph& g) {
  std::unordered_map<std::string, NodeId> nodes;
  for (size_t n = 0; n < g.nodes.size(); ++n)
    nodes.emplace(display_name(g, g.nodes[n]), static_cast<NodeId>(n));
  return nodes;
}

// The largest constant that a node reads as weights, quantized or not.
ValueId weight_of(const Graph& g, const Node& node) {
  ValueId best = kNoValue;
  for (size_t i = 0; i < node.own_inputs(); ++i) {
    const ValueId v = node.inputs[i];
    if (v == kNoValue) continue;
    const Value& value = g.value(v);
    if (value.kind != ValueKind::kConstant || (!value.quant && !is_weight(value))) continue;
    if (best == kNoValue || value.data.elements() > g.value(best).data.elements()) best = v;
  }
  return best;
}

// The floats that a layer computes with first.
ValueId activation_of(const Graph& g, const Node& node) {
  for (size_t i = 0; i < node.own_inputs(); ++i) {
    const ValueId v = node.inputs[i];
    if (v == kNoValue || g.value(v).kind == ValueKind::kConstant) continue;
    if (g.value(v).type.dtype == DType::kF32) return v;
  }
  return kNoValue;
}

// What a grid of integers reaches, over all its scales.
std::optional<std::pair<double, double>> reach_of(const QuantParams& p) {
  const StorageType* row = find_storage(p.storage);
  if (row == nullptr || !row->integer || p.codebook.defined() || p.rotation) return {};
  double low = 0, high = 0;
  for (int64_t i = 0; i < p.entries(); ++i) {
    const double scale = p.scale_at(i), zero = p.zero_point_at(i), offset = p.offset_at(i);
    low = std::min(low, (row->low - zero) * scale + offset);
    high = std::max(high, (row->high - zero) * scale + offset);
  }
  return std::pair(low, high);
}

void count(std::span<const float> numbers, Distribution& d) {
  const double width = (d.high - d.low) / kDistributionBins;
  for (const float x : numbers) {
    if (!std::isfinite(x)) continue;
    const double at = width > 0 ? (x - d.low) / width : 0;
    const auto bin = static_cast<size_t>(std::clamp(at, 0.0, kDistributionBins - 1.0));
    ++d.bins[bin];
  }
}

Distribution empty_of(const RangeStats& range) {
  Distribution d;
  d.low = range.low;
  d.high = range.high;
  d.bins.assign(kDistributionBins, 0);
  return d;
}

void tell_weights(const Graph& quantized, const Node& node, LayerError& e) {
  const ValueId v = weight_of(quantized, node);
  if (v == kNoValue) return;
  const Value& value = quantized.value(v);
  if (!value.quant) {
    e.weight_bits =
        static_cast<int>(8 * value.data.bytes() / std::max<int64_t>(1, value.data.elements()));
    return;
  }
  const StorageType* row = find_storage(value.quant->storage);
  if (row == nullptr) return;
  e.weight_bits = row->bits;
  if (!row->integer || row->bits > kMostCounted) return;
  e.levels = int64_t{1} << row->bits;
  e.levels_used = levels_used(value.data, *value.quant);
}

void tell_sensitivities(std::vector<LayerError>& layers) {
  double sum = 0;
  const auto noise = [](const LayerError& e) {
    const double db = e.contribution.snr_db;
    return e.contribution.failed || !std::isfinite(db) || db >= kExactSnrDb ? 0 : noise_of(db);
  };
  for (const LayerError& e : layers) sum += noise(e);
  for (LayerError& e : layers) e.noise_share = sum > 0 ? noise(e) / sum : 0;
}

// Weights and activations of the layers in the float network, with the grids they are rounded to.
Status add_distributions(const Graph& graph, const Graph& quantized, const SampleSet& samples,
                         const RunOptions& run, std::vector<LayerError>& layers) {
  const auto in_float = nodes_by_name(graph), in_result = nodes_by_name(quantized);
  std::vector<ValueId> values;
  std::vector<std::vector<LayerError*>> readers;
  std::map<ValueId, size_t> index;
  for (LayerError& e : layers) {
    const auto a = in_float.find(e.name), b = in_result.find(e.name);
    if (a == in_float.end() || b == in_result.end()) continue;
    const Node &node = graph.node(a->second), &made = quantized.node(b->second);
    const ValueId w = weight_of(graph, node), coded = weight_of(quantized, made);
    if (w != kNoValue && !graph.value(w).quant && graph.value(w).data.dtype() == DType::kF32) {
      e.weights = distribution_of(graph.value(w).data.span<float>());
      if (e.weights && coded != kNoValue && quantized.value(coded).quant)
        e.weights->grid = reach_of(*quantized.value(coded).quant);
    }
    const ValueId x = activation_of(graph, node);
    if (x == kNoValue) continue;
    e.activations.emplace();
    const ValueId stored = activation_of(quantized, made);
    if (stored != kNoValue && quantized.value(stored).quant && !quantized.value(stored).smoothing)
      e.activations->grid = reach_of(*quantized.value(stored).quant);
    const auto [at, added] = index.emplace(x, values.size());
    if (added) {
      values.push_back(x);
      readers.emplace_back();
    }
    readers[at->second].push_back(&e);
  }
  if (values.empty()) return {};
  const SampleSet some = spread(samples, kDistributionSamples);
  std::vector<RangeStats> ranges(values.size());
  MNN_RETURN_IF_ERROR(observe(graph, values, some, run,
                              [&](size_t v, size_t, const Tensor& t) {
                                ranges[v].add(t.span<float>());
                                return Status();
                              },
                              {}));
  std::vector<Distribution> found;
  for (const RangeStats& r : ranges) found.push_back(empty_of(r));
  MNN_RETURN_IF_ERROR(observe(graph, values, some, run,
                              [&](size_t v, size_t, const Tensor& t) {
                                count(t.span<float>(), found[v]);
                                return Status();
                              },
                              {}));
  for (size_t v = 0; v < values.size(); ++v) {
    for (LayerError* e : readers[v]) {
      const auto grid = e->activations->grid;
      e->activations = found[v];
      e->activations->grid = grid;
    }
  }
  return {};
}

Status add_times(const Graph& quantized, const SampleSet& samples, const RunOptions& run,
                 std::vector<LayerError>& layers) {
  MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, samples.load(0));
  MNN_ASSIGN_OR_RETURN(const auto ms, layer_ms(quantized, sample, run));
  for (LayerError& e : layers) {
    if (const auto it = ms.find(e.name); it != ms.end()) e.time_ms = it->second;
  }
  return {};
}

}  // namespace

int64_t levels_used(const Tensor& stored, const QuantParams& params) {
  const StorageType* row = find_storage(params.storage);
  if (row == nullptr || !row->integer || row->bits > kMostCounted) return 0;
  std::vector<char> seen(size_t{1} << row->bits, 0);
  std::vector<double> codes(kUnpacked);
  const int64_t all = stored.elements();
  for (int64_t at = 0; at < all; at += static_cast<int64_t>(kUnpacked)) {
    const int64_t some = std::min<int64_t>(kUnpacked, all - at);
    row->unpack(stored.raw(), at, some, codes.data());
    for (int64_t i = 0; i < some; ++i)
      seen[static_cast<size_t>(codes[static_cast<size_t>(i)] - row->low)] = 1;
  }
  return std::ranges::count(seen, 1);
}

std::optional<Distribution> distribution_of(std::span<const float> numbers) {
  RangeStats range;
  range.add(numbers);
  if (range.count == 0 || range.not_finite > 0) return {};
  Distribution d = empty_of(range);
  count(numbers, d);
  return d;
}

Status add_layer_facts(const Graph& graph, const Graph& quantized, const SampleSet& samples,
                       const QuantOptions& options, QuantReport& report) {
  const RunOptions run{options.engine};
  const auto nodes = nodes_by_name(quantized);
  for (LayerError& e : report.layers) {
    const auto it = nodes.find(e.name);
    if (it != nodes.end() && e.weight_bytes_before > 0)
      tell_weights(quantized, quantized.node(it->second), e);
  }
  tell_sensitivities(report.layers);
  if (samples.size() == 0 || report.layers.empty()) return {};
  if (options.distributions)
    MNN_RETURN_IF_ERROR(add_distributions(graph, quantized, samples, run, report.layers));
  if (options.layer_times || options.max_ms)
    MNN_RETURN_IF_ERROR(add_times(quantized, samples, run, report.layers));
  return {};
}

}  // namespace mnn
