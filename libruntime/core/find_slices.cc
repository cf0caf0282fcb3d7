// Where the units of an output differ: along the seams of concatenations and between the channels
// of one layer.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <tuple>

#include "libruntime/core/op.h"
#include "libruntime/core/slices.h"

namespace mnn {
namespace {

// What is known about an axis of a value from how it is made.
struct AxisOrigin {
  std::set<int64_t> seams;  // where one part of a concatenation ends and the next begins
  bool channels = false;    // of a layer with constant weights
};

// Activations whose results all lie in one short interval.
bool is_bounded(std::string_view op) {
  constexpr std::array<std::string_view, 8> kOps = {
      "Softmax", "LogSoftmax", "Sigmoid", "HardSigmoid", "Tanh", "Softsign", "Sin", "Cos"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

std::optional<std::vector<int64_t>> dims_of(const Graph& g, ValueId v) {
  const Type& type = g.value(v).type;
  if (!type.is_static()) return std::nullopt;
  return known_dims(*type.shape);
}

// The axis of `from` that is `axis` of `to` when elements keep their order; -1: none is.
int same_axis(const std::vector<int64_t>& from, const std::vector<int64_t>& to, size_t axis) {
  const auto front = [](const std::vector<int64_t>& dims, size_t end) {
    return std::accumulate(dims.begin(), dims.begin() + static_cast<long>(end), int64_t{1},
                           std::multiplies<>());
  };
  const int64_t before = front(to, axis);
  for (size_t d = 0; d < from.size(); ++d) {
    if (from[d] == to[axis] && front(from, d) == before) return static_cast<int>(d);
  }
  return -1;
}

class OriginSearch {
 public:
  explicit OriginSearch(const Graph& graph) : graph_(graph), uses_(index_uses(graph)) {}

  AxisOrigin of(ValueId v, size_t axis) {
    seen_.clear();
    AxisOrigin origin;
    follow(v, axis, 0, 0, origin);
    return origin;
  }

 private:
  // Longer chains and more values say no more.
  static constexpr int kMostSteps = 64;
  static constexpr size_t kMostSeen = 4096;

  // `offset`: where the axis of `v` begins on that of the output.
  void follow(ValueId v, size_t axis, int64_t offset, int steps, AxisOrigin& origin) {
    const NodeId maker = v == kNoValue ? -1 : uses_.producer[static_cast<size_t>(v)];
    if (maker < 0 || steps >= kMostSteps || seen_.size() >= kMostSeen) return;
    if (!seen_.emplace(v, axis, offset).second) return;
    const Node& node = graph_.node(maker);
    const auto out = dims_of(graph_, v);
    if (!out || axis >= out->size() || node.outputs[0] != v) return;
    const bool bounded =
        node.fused.empty() ? is_bounded(node.op) : is_bounded(node.fused.back().op);
    if (bounded || node.inputs.empty()) return;
    if (node.op == "Concat") return follow_concat(node, axis, *out, offset, steps, origin);
    if (node.op == "Conv" || node.op == "ConvTranspose" || node.op == "Gemm" ||
        node.op == "MatMul") {
      const bool conv = node.op.starts_with("Conv");
      const bool constant = node.own_inputs() > 1 && node.inputs[1] != kNoValue &&
                            graph_.value(node.inputs[1]).kind == ValueKind::kConstant;
      origin.channels = origin.channels || (constant && axis == (conv ? 1 : out->size() - 1));
      return;
    }
    if (node.op == "Transpose" && node.fused.empty()) {
      std::vector<int64_t> perm = AttributeReader(node, *find_op(node.op)).attr_ints("perm");
      const size_t from = perm.empty() ? out->size() - 1 - axis : static_cast<size_t>(perm[axis]);
      return follow(node.inputs[0], from, offset, steps + 1, origin);
    }
    // Whatever keeps the shape, or the order of the elements, keeps the axis.
    for (const ValueId input : node.inputs) {
      if (input == kNoValue || graph_.value(input).kind == ValueKind::kConstant) continue;
      const auto in = dims_of(graph_, input);
      if (!in) continue;
      const bool moves = node.op == "Reshape" || node.op == "Flatten" || node.op == "Squeeze" ||
                         node.op == "Unsqueeze";
      const int from = *in == *out ? static_cast<int>(axis)
                       : moves     ? same_axis(*in, *out, axis)
                                   : -1;
      if (from >= 0) follow(input, static_cast<size_t>(from), offset, steps + 1, origin);
      if (moves) return;
    }
  }

  void follow_concat(const Node& node, size_t axis, const std::vector<int64_t>& out, int64_t offset,
                     int steps, AxisOrigin& origin) {
    const auto along = AttributeReader(node, *find_op(node.op)).attr_axis("axis", out.size());
    if (!along.ok()) return;
    if (*along != axis) return follow(node.inputs[0], axis, offset, steps + 1, origin);
    int64_t at = offset;
    for (size_t i = 0; i < node.own_inputs(); ++i) {
      const auto part = dims_of(graph_, node.inputs[i]);
      if (!part || axis >= part->size()) return;
      if (at > offset) origin.seams.insert(at);
      follow(node.inputs[i], axis, at, steps + 1, origin);
      at += (*part)[axis];
    }
  }

  const Graph& graph_;
  const Uses uses_;
  std::set<std::tuple<ValueId, size_t, int64_t>> seen_;  // value, axis, offset
};

// Power per channel of one axis, each sample by itself.
struct ChannelPower {
  std::vector<std::vector<double>> of_sample;  // sum of squares per channel
  double elements = 0;                         // of one channel, all samples
  std::vector<double> all() const {
    std::vector<double> sum(of_sample[0].size(), 0);
    for (const auto& one : of_sample) {
      for (size_t c = 0; c < sum.size(); ++c) sum[c] += one[c];
    }
    return sum;
  }
};

// Ratio of two magnitudes, at least 1; nothing is no unit of its own.
double ratio_of(double a, double b) { return a > 0 && b > 0 ? std::max(a / b, b / a) : 1; }

// Bounds 0, …, length of the parts whose RMS differs; empty: there is one part.
std::vector<int64_t> cut_at_seams(const std::vector<double>& power, const std::set<int64_t>& seams,
                                  double& contrast) {
  const auto length = static_cast<int64_t>(power.size());
  std::vector<int64_t> bounds = {0};
  for (const int64_t s : seams) {
    if (s > 0 && s < length) bounds.push_back(s);
  }
  bounds.push_back(length);
  const auto rms = [&](size_t part) {
    double sum = 0, channels = 0;  // those that are always zero say nothing
    for (int64_t c = bounds[part]; c < bounds[part + 1]; ++c) {
      sum += power[static_cast<size_t>(c)];
      channels += power[static_cast<size_t>(c)] > 0 ? 1 : 0;
    }
    return channels > 0 ? std::sqrt(sum / channels) : 0;
  };
  // The most alike of the neighbours become one until none are alike.
  for (;;) {
    if (bounds.size() == 2) return {};
    size_t least = 1;
    double ratio = std::numeric_limits<double>::infinity();
    contrast = 1;
    for (size_t i = 1; i + 1 < bounds.size(); ++i) {
      const double one = ratio_of(rms(i - 1), rms(i));
      contrast = std::max(contrast, one);
      if (one >= ratio) continue;
      ratio = one;
      least = i;
    }
    if (ratio >= kUnitRatio) break;
    bounds.erase(bounds.begin() + static_cast<long>(least));
  }
  return bounds.size() - 1 <= kMostRuns ? bounds : std::vector<int64_t>{};
}

// The same between levels of the channels' RMS.
std::vector<int64_t> cut_at_levels(const ChannelPower& channels) {
  const std::vector<double> power = channels.all();
  std::vector<size_t> order;
  for (size_t c = 0; c < power.size(); ++c) {
    if (power[c] > 0) order.push_back(c);
  }
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return power[a] != power[b] ? power[a] < power[b] : a < b; });
  std::vector<int> level(power.size(), -1);
  int now = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && std::sqrt(power[order[i]] / power[order[i - 1]]) >= kLevelRatio) {
      // In each sample, too.
      for (const auto& one : channels.of_sample) {
        double low = 0, high = std::numeric_limits<double>::infinity();
        for (size_t k = 0; k < order.size(); ++k)
          k < i ? low = std::max(low, one[order[k]]) : high = std::min(high, one[order[k]]);
        if (std::sqrt(high) < kUnitRatio * std::sqrt(low)) return {};
      }
      ++now;
    }
    level[order[i]] = now;
  }
  if (now == 0) return {};
  std::vector<int64_t> bounds = {0};
  int before = -1;
  for (size_t c = 0; c < level.size(); ++c) {
    if (level[c] < 0) continue;  // always zero: belongs to its neighbours
    if (before >= 0 && level[c] != before) bounds.push_back(static_cast<int64_t>(c));
    before = level[c];
  }
  bounds.push_back(static_cast<int64_t>(level.size()));
  return bounds.size() - 1 <= kMostRuns ? bounds : std::vector<int64_t>{};
}

class SliceSearch {
 public:
  SliceSearch(const Graph& graph, const std::vector<std::vector<Tensor>>& reference)
      : graph_(graph),
        origins_(graph),
        reference_(reference),
        samples_(std::min(reference.size(), kSliceSamples)) {}

  Result<std::vector<OutputSlice>> of(size_t output) {
    const std::string& name = graph_.value(graph_.outputs[output]).name;
    const OutputSlice whole = {output, {}, name};
    if (!may_mix(output)) return std::vector{whole};
    const size_t rank = reference_[0][output].rank();
    std::vector<int64_t> best;
    size_t best_axis = 0;
    double most = 0;
    for (size_t axis = 0; axis < rank; ++axis) {
      const AxisOrigin origin = origins_.of(graph_.outputs[output], axis);
      const bool levels = origin.channels && samples_ >= kLeastSamples;
      if ((origin.seams.empty() && !levels) || !same_length(output, axis)) continue;
      MNN_ASSIGN_OR_RETURN(const ChannelPower power, power_of(output, axis));
      double contrast = kLevelRatio;
      std::vector<int64_t> bounds = cut_at_seams(power.all(), origin.seams, contrast);
      if (bounds.empty() && levels) bounds = cut_at_levels(power);
      if (bounds.empty() || contrast <= most) continue;
      most = contrast;
      best = std::move(bounds);
      best_axis = axis;
    }
    if (best.empty()) return std::vector{whole};
    std::vector<OutputSlice> slices;
    for (size_t i = 0; i + 1 < best.size(); ++i) {
      OutputSlice slice = whole;
      slice.axes.resize(best_axis + 1);
      slice.axes.back() = {best[i], best[i + 1]};
      slice.name += "[";
      for (size_t d = 0; d < best_axis; ++d) slice.name += ":,";
      slice.name += std::to_string(best[i]) + ":" + std::to_string(best[i + 1]) + "]";
      slices.push_back(std::move(slice));
    }
    return slices;
  }

 private:
  bool may_mix(size_t output) const {
    if (samples_ == 0) return false;
    return std::all_of(reference_.begin(), reference_.begin() + static_cast<long>(samples_),
                       [&](const auto& sample) {
                         const Tensor& t = sample[output];
                         return t.is_tensor() && is_float(t.dtype()) && t.elements() > 1 &&
                                t.rank() == reference_[0][output].rank();
                       });
  }

  bool same_length(size_t output, size_t axis) const {
    const int64_t length = reference_[0][output].dims()[axis];
    for (size_t s = 0; s < samples_; ++s) {
      if (reference_[s][output].dims()[axis] != length) return false;
    }
    return length > 1;
  }

  Result<ChannelPower> power_of(size_t output, size_t axis) const {
    ChannelPower power;
    for (size_t s = 0; s < samples_; ++s) {
      const Tensor& t = reference_[s][output];
      const auto length = static_cast<size_t>(t.dims()[axis]);
      std::vector<double> own(length, 0);
      MNN_ASSIGN_OR_RETURN(const std::vector<double> x, t.to_doubles());
      size_t inner = 1;
      for (size_t d = axis + 1; d < t.rank(); ++d) inner *= static_cast<size_t>(t.dims()[d]);
      for (size_t at = 0; at < x.size(); at += inner) {
        double& sum = own[at / inner % length];
        for (size_t i = at; i < at + inner; ++i) sum += std::isfinite(x[i]) ? x[i] * x[i] : 0;
      }
      power.of_sample.push_back(std::move(own));
    }
    return power;
  }

  const Graph& graph_;
  OriginSearch origins_;
  const std::vector<std::vector<Tensor>>& reference_;
  const size_t samples_;
};

}  // namespace

Result<JudgedSlices> judged_slices(const Graph& graph,
                                   const std::vector<std::vector<Tensor>>& reference,
                                   const std::vector<OutputSlice>& by_hand) {
  JudgedSlices judged;
  SliceSearch search(graph, reference);
  for (size_t o = 0; o < graph.outputs.size(); ++o) {
    std::vector<OutputSlice> slices;
    std::copy_if(by_hand.begin(), by_hand.end(), std::back_inserter(slices),
                 [&](const OutputSlice& s) { return s.output == o; });
    const bool numbers = std::none_of(reference.begin(), reference.end(), [&](const auto& sample) {
      return !sample[o].is_tensor() || sample[o].dtype() == DType::kString;
    });
    if (!numbers) continue;
    if (slices.empty()) {
      MNN_ASSIGN_OR_RETURN(slices, search.of(o));
    }
    std::move(slices.begin(), slices.end(), std::back_inserter(judged.slices));
  }
  for (const OutputSlice& slice : judged.slices) {
    double power = 0;
    for (const std::vector<Tensor>& sample : reference) {
      MNN_ASSIGN_OR_RETURN(const Tensor r, cut_slice(sample[slice.output], slice));
      ErrorSums own;
      MNN_RETURN_IF_ERROR(own.add(r, r));
      power += own.ref_squared;
    }
    judged.sample_power.push_back(
        reference.empty() ? 0 : power / static_cast<double>(reference.size()));
  }
  return judged;
}

}  // namespace mnn
