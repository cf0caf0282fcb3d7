// Zero padding moves into the convolution or pooling that reads it.
#include <algorithm>
#include <limits>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"
#include "libruntime/core/post_op.h"

namespace mnn {
namespace {

// What a constant Pad adds before and after every spatial axis, when it touches only these.
std::optional<std::vector<int64_t>> spatial_pads(const Match& m) {
  const Node& pad = m.node("pad");
  const Type& x = m.graph.value(pad.inputs[0]).type;
  if (!is_tensor_of(m.graph, pad.inputs[0], DType::kF32) || !x.shape || x.rank() < 3 ||
      attr_string(pad, "mode") != "constant") {
    return std::nullopt;
  }
  const size_t rank = x.rank(), spatial = rank - 2;
  const auto pads = ints_of(m.graph, input_of(pad, 1));
  if (!pads || pads->size() % 2 != 0) return std::nullopt;
  std::vector<int64_t> axes;
  if (const ValueId id = input_of(pad, 3); id != kNoValue) {
    const auto listed = ints_of(m.graph, id);
    if (!listed) return std::nullopt;
    axes = *listed;
  } else {
    for (size_t i = 0; i < rank; ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (axes.size() * 2 != pads->size()) return std::nullopt;
  std::vector<int64_t> result(2 * spatial, 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    const Result<size_t> axis = normalize_axis(axes[i], rank);
    const int64_t before = (*pads)[i], after = (*pads)[i + axes.size()];
    if (!axis.ok() || before < 0 || after < 0 || before > 1 << 20 || after > 1 << 20) {
      return std::nullopt;
    }
    if (*axis < 2) {
      if (before != 0 || after != 0) return std::nullopt;
      continue;
    }
    result[*axis - 2] = before;
    result[*axis - 2 + spatial] = after;
  }
  return result;
}

std::optional<double> pad_value(const Match& m) {
  const ValueId id = input_of(m.node("pad"), 2);
  return id == kNoValue ? std::optional(0.0) : scalar_of(m.graph, id);
}

// The pads of the window operator itself; nullopt when they depend on the input's size.
std::optional<std::vector<int64_t>> own_pads(const Node& node, size_t count) {
  const std::string auto_pad = attr_string(node, "auto_pad");
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") return std::nullopt;
  std::vector<int64_t> pads = attr_ints(node, "pads");
  if (pads.empty() || auto_pad == "VALID") pads.assign(count, 0);
  if (pads.size() != count) return std::nullopt;
  return pads;
}

bool are_zero(const std::vector<int64_t>& pads) {
  return std::ranges::all_of(pads, [](int64_t p) { return p == 0; });
}

// Both pads together, when a pooling window cannot lie in them entirely.
std::optional<std::vector<int64_t>> pool_pads(const Match& m) {
  const Node& pool = m.root_node();
  const auto added = spatial_pads(m);
  if (!added || attr_int(pool, "ceil_mode") != 0) return std::nullopt;
  auto pads = own_pads(pool, added->size());
  const std::vector<int64_t> kernel = attr_ints(pool, "kernel_shape");
  if (!pads || kernel.size() * 2 != pads->size()) return std::nullopt;
  if (!std::ranges::all_of(attr_ints(pool, "dilations"), [](int64_t d) { return d == 1; })) {
    return std::nullopt;
  }
  for (size_t i = 0; i < pads->size(); ++i) {
    (*pads)[i] += (*added)[i];
    if ((*pads)[i] >= kernel[i % kernel.size()]) return std::nullopt;
  }
  return pads;
}

ValueId with_pads(Builder& b, const Match& m, const std::vector<int64_t>& pads,
                  Builder::Attributes more = {}) {
  const Node& node = m.root_node();
  std::vector<ValueId> inputs = node.inputs;
  inputs[0] = m.node("pad").inputs[0];
  Builder::Attributes attributes = node.attributes;
  attributes["pads"] = pads;
  attributes.erase("auto_pad");
  for (auto& [name, value] : more) attributes[name] = value;
  return b.op(node.op, std::move(inputs), std::move(attributes));
}

ValueId into_conv(Builder& b, const Match& m) {
  auto pads = spatial_pads(m);
  if (!pads || pad_value(m) != 0.0) return kNoValue;
  const auto own = own_pads(m.root_node(), pads->size());
  if (!own) return kNoValue;
  for (size_t i = 0; i < pads->size(); ++i) (*pads)[i] += (*own)[i];
  return with_pads(b, m, *pads);
}

// The padded zeros count in the average; pads of its own that do not count may not join them.
ValueId into_average_pool(Builder& b, const Match& m) {
  const auto pads = pool_pads(m);
  if (!pads || pad_value(m) != 0.0) return kNoValue;
  if (attr_int(m.root_node(), "count_include_pad") == 0 &&
      !are_zero(*own_pads(m.root_node(), pads->size()))) {
    return kNoValue;
  }
  return with_pads(b, m, *pads, {{"count_include_pad", int64_t{1}}});
}

// Whether no element of `id` can be negative.
bool is_never_negative(const Match& m, ValueId id) {
  const Node* maker = m.producer(id);
  if (!maker) return false;
  const size_t fused = maker->fused.size();
  const Node last = fused == 0 ? *maker : post_op(*maker, fused - 1);
  if (last.op == "Clip") {
    const auto bounds = clip_bounds(m.graph, last);
    return bounds && bounds->low >= 0 && bounds->high >= 0;
  }
  return has_traits(last.op, kNonNegative);
}

// A pooling pads with minus infinity: the same where 0 is no more than any element.
ValueId into_max_pool(Builder& b, const Match& m) {
  const auto pads = pool_pads(m);
  const auto value = pad_value(m);
  if (!pads || !value) return kNoValue;
  const bool lowest = *value <= std::numeric_limits<float>::lowest();
  const bool zero = *value == 0 && is_never_negative(m, m.node("pad").inputs[0]);
  if (!lowest && !(zero && are_zero(*own_pads(m.root_node(), pads->size())))) return kNoValue;
  return with_pads(b, m, *pads);
}

}  // namespace

Result<int> fold_pads(Graph& graph) {
  const Pattern pad = with_any_inputs("Pad", "pad");
  static const std::vector<Rule> rules = {
      {"PadIntoConv", op("Conv", {pad, any("w")}), into_conv, nullptr},
      {"PadIntoConv", op("Conv", {pad, any("w"), any("b")}), into_conv, nullptr},
      {"PadIntoAveragePool", op("AveragePool", {pad}), into_average_pool, nullptr},
      {"PadIntoMaxPool", op("MaxPool", {pad}), into_max_pool, nullptr},
  };
  return apply_counted(graph, rules);
}

}  // namespace mnn
