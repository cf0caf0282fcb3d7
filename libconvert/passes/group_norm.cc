// GroupNormalization from the form of exporters that lack it: the groups as channels of an
// InstanceNormalization, then a factor and an offset per channel.
#include <algorithm>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"

namespace mnn {
namespace {

// x [n, c, …] as [n, groups, …] and back to the shape of x, with factors of 1 and offsets of 0.
bool is_group_norm(const Match& m) {
  const Type &x = m.type("x"), &grouped = m.type("grouped");
  if (!is_tensor_of(m.graph, m.at("x"), DType::kF32) || !x.shape || !grouped.shape ||
      x.rank() < 3 || grouped.rank() < 3 || !same_type(m.graph, m.at("x"), m.output())) {
    return false;
  }
  const Dim &channels = (*x.shape)[1], &groups = (*grouped.shape)[1];
  return (*x.shape)[0].same((*grouped.shape)[0]) && channels.known() && groups.known() &&
         groups.value() > 0 && channels.value() % groups.value() == 0 &&
         is_filled_with(m.graph, m.at("one"), 1) && is_filled_with(m.graph, m.at("zero"), 0);
}

Tensor filled(int64_t count, float value) {
  Tensor t = *Tensor::allocate(DType::kF32, {count});
  std::fill_n(t.data<float>(), count, value);
  return t;
}

ValueId build_group_norm(Builder& b, const Match& m) {
  const int64_t channels = (*m.type("x").shape)[1].value();
  const int64_t groups = (*m.type("grouped").shape)[1].value();
  const double epsilon = attr_float(m.node("norm"), "epsilon");
  const ValueId x = m.at("x");
  const ValueId scale = b.constant(filled(channels, 1)), bias = b.constant(filled(channels, 0));
  return b.op("GroupNormalization", {x, scale, bias},
              {{"epsilon", epsilon}, {"num_groups", groups}});
}

// A factor or an offset per channel behind it.
std::optional<std::vector<double>> per_channel(const Match& m, ValueId id) {
  const Type& x = m.type("x");
  if (!x.shape || x.rank() < 2 || !(*x.shape)[1].known()) return std::nullopt;
  return along_axis(m.graph, id, x.rank(), 1, (*x.shape)[1].value());
}

ValueId with_constant(Builder& b, const Match& m, bool factor) {
  const Node norm = m.node("norm");
  const auto values = per_channel(m, m.at("c"));
  const Result<std::vector<double>> scale = m.constant("scale")->to_doubles(),
                                    bias = m.constant("bias")->to_doubles();
  if (!values || !scale.ok() || !bias.ok() || scale->size() != values->size() ||
      bias->size() != values->size()) {
    return kNoValue;
  }
  std::vector<double> new_scale = *scale, new_bias = *bias;
  for (size_t i = 0; i < values->size(); ++i) {
    if (factor) {
      new_scale[i] *= (*values)[i];
      new_bias[i] *= (*values)[i];
    } else {
      new_bias[i] += (*values)[i];
    }
  }
  const auto count = static_cast<int64_t>(values->size());
  const std::optional<Tensor> s = to_f32(new_scale, {count}), o = to_f32(new_bias, {count});
  if (!s || !o) return kNoValue;
  return b.op(norm.op, {norm.inputs[0], b.constant(*s), b.constant(*o)}, norm.attributes);
}

std::vector<Rule> group_norm_rules() {
  const Pattern grouped = op("Reshape", {any("x"), any("as_groups")}, "grouped");
  const Pattern norm =
      op("InstanceNormalization", {grouped, constant("one"), constant("zero")}, "norm");
  const Pattern made =
      op("GroupNormalization", {any("x"), constant("scale"), constant("bias")}, "norm");
  return {
      {"GroupNormalization", op("Reshape", {norm, any("as_x")}), build_group_norm, is_group_norm},
      {"GroupNormScale", commutative(op("Mul", {made, constant("c")})),
       [](Builder& b, const Match& m) { return with_constant(b, m, true); },
       [](const Match& m) { return per_channel(m, m.at("c")).has_value(); }},
      // Offsets that cancel would lose what the first one rounded off.
      {"GroupNormBias", commutative(op("Add", {made, constant("c")})),
       [](Builder& b, const Match& m) { return with_constant(b, m, false); },
       [](const Match& m) {
         return per_channel(m, m.at("c")) && is_filled_with(m.graph, m.at("bias"), 0);
       }},
  };
}

}  // namespace

Result<int> fuse_group_norm(Graph& graph) {
  static const std::vector<Rule> rules = group_norm_rules();
  return apply_counted(graph, rules);
}

}  // namespace mnn
