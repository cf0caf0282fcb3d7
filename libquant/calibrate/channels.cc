#include "libquant/calibrate/channels.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "libruntime/core/op.h"

namespace mnn {
namespace {

constexpr double kLeastShareOfRange = 1.0 / 8;

bool is_depthwise(const Graph& g, const QuantLayer& layer) {
  const Node& n = g.node(layer.node);
  if (n.op != "Conv") return false;
  const Tensor& w = g.value(layer.weight).data;
  return w.dims()[1] == 1 && AttributeReader(n, *find_op(n.op)).attr_int("group") > 1;
}

}  // namespace

WeightChannels weight_channels(const Graph& graph, const QuantLayer& layer) {
  const Node& n = graph.node(layer.node);
  const std::vector<int64_t>& dims = graph.value(layer.weight).data.dims();
  WeightChannels c;
  c.conv = n.op == "Conv";
  if (!c.conv) {
    c.columns = dims[1];
    c.by_row = layer.weight_axis == 1;
    return c;
  }
  for (size_t d = 2; d < dims.size(); ++d) c.inner *= dims[d];
  c.inputs_per_group = dims[1];
  c.outputs_per_group = dims[0] / AttributeReader(n, *find_op(n.op)).attr_int("group");
  return c;
}

std::vector<ChannelValue> channel_values(const Graph& graph, const QuantPlan& plan) {
  const Uses uses = index_uses(graph);
  std::map<NodeId, size_t> layer_of;
  for (size_t i = 0; i < plan.layers.size(); ++i) layer_of[plan.layers[i].node] = i;
  std::vector<int> members(static_cast<size_t>(plan.groups), 0);
  for (const int group : plan.group) ++members[static_cast<size_t>(group)];
  std::vector<ChannelValue> found;
  for (size_t i = 0; i < plan.values.size(); ++i) {
    if (members[static_cast<size_t>(plan.group[i])] != 1) continue;
    ChannelValue c;
    c.value = plan.values[i];
    c.depthwise = true;
    bool fits = !graph.is_result(c.value);
    for (const NodeId reader : uses.consumers[static_cast<size_t>(c.value)]) {
      const auto it = layer_of.find(reader);
      const Node& n = graph.node(reader);
      // A node appears once per use: as a residual it would appear again.
      if (it == layer_of.end() || n.inputs[0] != c.value ||
          std::count(n.inputs.begin(), n.inputs.end(), c.value) != 1) {
        fits = false;
        break;
      }
      const QuantLayer& layer = plan.layers[it->second];
      if (!layer.has_weight() || n.op == "ConvTranspose") {
        fits = false;
        break;
      }
      const std::vector<int64_t>& dims = graph.value(layer.weight).data.dims();
      const bool conv = n.op == "Conv";
      const int64_t group = conv ? AttributeReader(n, *find_op(n.op)).attr_int("group") : 1;
      const int64_t channels = conv ? dims[1] * group : dims[layer.weight_axis == 1 ? 0 : 1];
      fits = fits && (c.readers.empty() || (conv == c.conv && channels == c.channels));
      c.conv = conv;
      c.behind = conv ? dims.size() - 2 : 0;
      c.channels = channels;
      c.depthwise = c.depthwise && is_depthwise(graph, layer);
      c.readers.push_back(it->second);
    }
    if (fits && !c.readers.empty()) found.push_back(std::move(c));
  }
  return found;
}

template <typename F>
void ChannelStats::each_run(const Tensor& t, F&& f) const {
  const size_t axis = value_.axis(t.rank());
  int64_t inner = 1;
  for (size_t d = axis + 1; d < t.rank(); ++d) inner *= t.dims()[d];
  const float* x = t.data<float>();
  const int64_t runs = t.elements() / inner;
  for (int64_t r = 0; r < runs; ++r)
    f(static_cast<size_t>(r % value_.channels),
      std::span(x + r * inner, static_cast<size_t>(inner)));
}

void ChannelStats::add_range(const Tensor& t) {
  each_run(t, [&](size_t c, std::span<const float> x) { ranges_[c].add(x); });
}

Status ChannelStats::set(std::vector<RangeStats> ranges, std::vector<int64_t> bins) {
  if (ranges.size() != ranges_.size() || (!bins.empty() && bins.size() != ranges_.size() * kBins))
    return invalid("statistics of " + std::to_string(ranges.size()) + " channels, expected " +
                   std::to_string(ranges_.size()));
  ranges_ = std::move(ranges);
  bins_ = std::move(bins);
  return {};
}

double ChannelStats::largest(size_t channel) const {
  return std::max(std::abs(ranges_[channel].low), std::abs(ranges_[channel].high));
}

void ChannelStats::add_magnitudes(const Tensor& t) {
  if (bins_.empty()) bins_.assign(ranges_.size() * kBins, 0);
  std::vector<double> per_unit;
  for (size_t c = 0; c < ranges_.size(); ++c) {
    const double most = largest(c);
    per_unit.push_back(most > 0 ? kBins / most : 0.0);
  }
  each_run(t, [&](size_t c, std::span<const float> x) {
    for (const float v : x) {
      const double at = std::abs(static_cast<double>(v)) * per_unit[c];
      ++bins_[c * kBins + static_cast<size_t>(std::clamp(at, 0.0, kBins - 1.0))];
    }
  });
}

std::vector<double> ChannelStats::magnitudes(double quantile) const {
  std::vector<double> all;
  for (size_t c = 0; c < ranges_.size(); ++c) {
    const auto above =
        static_cast<int64_t>(std::floor((1 - quantile) * static_cast<double>(ranges_[c].count)));
    int bin = kBins;
    int64_t seen = 0;
    while (bin > 1 && !bins_.empty()) {
      seen += bins_[c * kBins + static_cast<size_t>(bin - 1)];
      if (seen > above) break;
      --bin;
    }
    all.push_back(largest(c) * bin / kBins);
  }
  return all;
}

QuantParams channel_params(const ChannelStats& stats, size_t channels, RealRange tensor,
                           double margin) {
  const double tensor_low = std::min(tensor.low, 0.0), tensor_high = std::max(tensor.high, 0.0);
  const double least = (tensor_high - tensor_low) * kLeastShareOfRange;
  std::vector<float> scales;
  std::vector<int32_t> zeros;
  for (size_t c = 0; c < channels; ++c) {
    double low = std::min(stats.range(c).low, 0.0) * margin;
    double high = std::max(stats.range(c).high, 0.0) * margin;
    const double width = high - low;
    if (width < least && width > 0) {
      low *= least / width;
      high *= least / width;
    } else if (width <= 0) {
      (tensor_high > 0 ? high : low) = tensor_high > 0 ? least : -least;
    }
    const QuantParams one =
        activation_params(std::max(low, tensor_low), std::min(high, tensor_high));
    scales.push_back(one.scale_at(0));
    zeros.push_back(static_cast<int32_t>(one.zero_point_at(0)));
  }
  return axis_quant(DType::kU8, 1, scales, zeros);
}

}  // namespace mnn
