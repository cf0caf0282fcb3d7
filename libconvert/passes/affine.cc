// Constant factors and offsets per channel become part of the weights and bias next to them. New
// values are computed in double and rounded once.
#include <algorithm>
#include <cmath>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"

namespace mnn {
namespace {

// Weights that others read too are copied only up to this size.
constexpr int64_t kCheapCopyBytes = 256 << 10;

// y = x * scale + shift, one entry per channel.
struct Affine {
  std::vector<double> scale, shift;
  bool shifts = false;
};

std::optional<Affine> affine_of_norm(const Graph& graph, const Node& node, int64_t channels) {
  if (attr_int(node, "training_mode") != 0) return std::nullopt;
  std::vector<double> p[4];
  for (size_t i = 0; i < 4; ++i) {
    const Tensor* t = graph.constant(node.inputs[i + 1]);
    if (!t || t->dtype() != DType::kF32 || t->elements() != channels) return std::nullopt;
    p[i] = *t->to_doubles();
  }
  const double epsilon = attr_float(node, "epsilon");
  Affine a;
  a.shifts = true;
  for (size_t c = 0; c < p[0].size(); ++c) {
    a.scale.push_back(p[0][c] / std::sqrt(p[3][c] + epsilon));
    a.shift.push_back(p[1][c] - p[2][c] * a.scale[c]);
  }
  return a;
}

// What `node` does to its data input `x`, a tensor of rank `rank` with channels along `axis`.
std::optional<Affine> affine_of(const Graph& graph, const Node& node, ValueId x, size_t rank,
                                size_t axis, int64_t channels) {
  if (node.op == "BatchNormalization") {
    return axis == 1 ? affine_of_norm(graph, node, channels) : std::nullopt;
  }
  if (node.op == "Neg") {
    const auto count = static_cast<size_t>(channels);
    return Affine{std::vector<double>(count, -1.0), std::vector<double>(count, 0.0), false};
  }
  const bool x_first = node.inputs[0] == x;
  const auto c = along_axis(graph, node.inputs[x_first ? 1 : 0], rank, axis, channels);
  if (!c) return std::nullopt;
  Affine a{std::vector<double>(c->size(), 1.0), std::vector<double>(c->size(), 0.0), false};
  for (size_t i = 0; i < c->size(); ++i) {
    if (node.op == "Mul") {
      a.scale[i] = (*c)[i];
    } else if (node.op == "Div" && x_first) {
      a.scale[i] = 1.0 / (*c)[i];
    } else if (node.op == "Add") {
      a.shift[i] = (*c)[i];
    } else if (node.op == "Sub") {
      a.shift[i] = x_first ? -(*c)[i] : (*c)[i];
      a.scale[i] = x_first ? 1.0 : -1.0;
    } else {
      return std::nullopt;
    }
    if (!std::isfinite(a.scale[i]) || !std::isfinite(a.shift[i])) return std::nullopt;
  }
  a.shifts = node.op == "Add" || node.op == "Sub";
  return a;
}

// A Conv, ConvTranspose, Gemm or MatMul with constant weights, seen as `channels` outputs.
struct Linear {
  const Node* node = nullptr;
  const Tensor* weight = nullptr;
  const Tensor* bias = nullptr;
  size_t rank = 0, axis = 0;  // of its output
  int64_t channels = 0;
};

const Tensor* f32_constant(const Graph& graph, ValueId id) {
  const Tensor* t = graph.constant(id);
  return t && t->dtype() == DType::kF32 ? t : nullptr;
}

std::optional<Linear> linear_of(const Graph& graph, const Node& node) {
  if (!node.fused.empty() || !node.subgraphs.empty()) return std::nullopt;
  Linear l;
  l.node = &node;
  l.weight = f32_constant(graph, input_of(node, 1));
  if (!l.weight || l.weight->rank() < 2 || l.weight->elements() == 0) return std::nullopt;
  const ValueId bias = input_of(node, 2);
  l.bias = f32_constant(graph, bias);
  if (bias != kNoValue && !l.bias) return std::nullopt;
  const std::vector<int64_t>& dims = l.weight->dims();
  if (node.op == "Conv" || node.op == "ConvTranspose") {
    const int64_t group = attr_int(node, "group");
    if (dims.size() < 3 || group < 1 || dims[0] % group != 0) return std::nullopt;
    l.rank = dims.size();
    l.axis = 1;
    l.channels = node.op == "Conv" ? dims[0] : dims[1] * group;
    if (l.bias && l.bias->elements() != l.channels) return std::nullopt;
    return l;
  }
  if (node.op == "Gemm") {
    if (dims.size() != 2) return std::nullopt;
    l.rank = 2;
    l.channels = dims[attr_int(node, "transB") != 0 ? 0 : 1];
    // A bias that varies along the rows is not one per channel.
    if (l.bias && !along_axis(graph, bias, 2, 1, l.channels)) return std::nullopt;
  } else {
    const Type& x = graph.value(node.inputs[0]).type;
    if (!x.shape || x.rank() < 1) return std::nullopt;
    l.rank = x.rank() == 1 ? dims.size() - 1 : std::max(x.rank(), dims.size());
    l.channels = dims.back();
  }
  l.axis = l.rank - 1;
  return l;
}

// The weights with every output channel times its factor; nullopt when one is not finite then.
// They are seen as blocks × rows × channels of a block × elements in a row.
std::optional<Tensor> scale_outputs(const Linear& l, const std::vector<double>& scale) {
  const std::vector<int64_t>& dims = l.weight->dims();
  int64_t kernel = 1;
  for (size_t i = 2; i < dims.size(); ++i) kernel *= dims[i];
  int64_t rows_per_block = l.weight->elements() / dims.back(), channels = dims.back(), inner = 1;
  if (l.node->op == "Conv") {
    rows_per_block = 1;
    channels = dims[0];
    inner = dims[1] * kernel;
  } else if (l.node->op == "ConvTranspose") {
    rows_per_block = dims[0] / attr_int(*l.node, "group");
    channels = dims[1];
    inner = kernel;
  } else if (l.node->op == "Gemm" && attr_int(*l.node, "transB") != 0) {
    rows_per_block = 1;
    channels = dims[0];
    inner = dims[1];
  }
  Result<Tensor> scaled = l.weight->clone();
  if (!scaled.ok()) return std::nullopt;
  float* w = scaled->data<float>();
  const int64_t rows = scaled->elements() / (channels * inner);
  bool finite = true;
  for (int64_t row = 0; row < rows; ++row) {
    const double* factors = scale.data() + row / rows_per_block * channels;
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t i = 0; i < inner; ++i, ++w) {
        *w = static_cast<float>(*w * factors[c]);
        finite &= std::isfinite(*w);
      }
    }
  }
  return finite ? std::optional(std::move(scaled).value()) : std::nullopt;
}

bool all_ones(const std::vector<double>& values) {
  for (const double v : values) {
    if (v != 1.0) return false;
  }
  return true;
}

bool may_copy_weight(const Match& m, const Node& node, const Tensor& weight) {
  return m.reads[static_cast<size_t>(node.inputs[1])] == 1 || weight.bytes() <= kCheapCopyBytes;
}

// Rebuilds `node` with other weights and bias; null tensors keep what it has.
ValueId rebuild(Builder& b, const Node& node, const std::optional<Tensor>& weight,
                const std::optional<Tensor>& bias, ValueId x) {
  std::vector<ValueId> inputs = node.inputs;
  const std::string op_type = node.op;
  Builder::Attributes attributes = node.attributes;
  inputs[0] = x;
  if (weight) inputs[1] = b.constant(*weight);
  if (bias) {
    inputs.resize(3, kNoValue);
    inputs[2] = b.constant(*bias);
    if (op_type == "Gemm") attributes["beta"] = 1.0;
  }
  return b.op(op_type, std::move(inputs), std::move(attributes));
}

// linear(x) * scale + shift as one linear.
ValueId fold_after(Builder& b, const Match& m) {
  const Graph& graph = m.graph;
  const std::optional<Linear> l = linear_of(graph, m.node("linear"));
  if (!l) return kNoValue;
  const auto a = affine_of(graph, m.root_node(), m.at("linear"), l->rank, l->axis, l->channels);
  if (!a) return kNoValue;
  const bool scales = !all_ones(a->scale);
  if (a->shifts && l->node->op == "MatMul") return kNoValue;  // it has no bias
  std::optional<Tensor> weight, bias;
  if (scales) {
    if (!may_copy_weight(m, *l->node, *l->weight)) return kNoValue;
    weight = scale_outputs(*l, a->scale);
    if (!weight) return kNoValue;
  }
  if (a->shifts || l->bias) {
    const bool gemm = l->node->op == "Gemm";
    std::vector<double> values(static_cast<size_t>(l->channels), 0.0);
    if (l->bias) values = *l->bias->to_doubles();
    if (values.size() == 1) values.assign(static_cast<size_t>(l->channels), values[0]);
    const double beta = gemm ? attr_float(*l->node, "beta") : 1.0;
    for (size_t c = 0; c < values.size(); ++c) {
      values[c] = beta * values[c] * a->scale[c] + a->shift[c];
    }
    bias = to_f32(values, {l->channels});
    if (!bias) return kNoValue;
  }
  return rebuild(b, *l->node, weight, bias, l->node->inputs[0]);
}

// (matmul(x) + bias) * factor, with one factor a column, as matmul'(x) + bias'.
ValueId fold_through_bias(Builder& b, const Match& m) {
  const std::optional<Linear> l = linear_of(m.graph, m.node("linear"));
  if (!l || l->node->op != "MatMul" || !may_copy_weight(m, *l->node, *l->weight)) return kNoValue;
  const auto factor = along_axis(m.graph, m.at("c"), l->rank, l->axis, l->channels);
  auto offset = along_axis(m.graph, m.at("bias"), l->rank, l->axis, l->channels);
  if (!factor || !offset) return kNoValue;
  for (size_t c = 0; c < factor->size(); ++c) (*offset)[c] *= (*factor)[c];
  const std::optional<Tensor> weight = scale_outputs(*l, *factor);
  const std::optional<Tensor> bias = to_f32(*offset, {l->channels});
  if (!weight || !bias) return kNoValue;
  const ValueId product = rebuild(b, *l->node, weight, {}, l->node->inputs[0]);
  return b.op("Add", {product, b.constant(*bias)});
}

bool has_no_padding(const Node& conv) {
  const std::string auto_pad = attr_string(conv, "auto_pad");
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") return false;
  for (const int64_t p : attr_ints(conv, "pads")) {
    if (p != 0) return false;
  }
  return true;
}

// Scales the input channels of a convolution's weights and adds what its outputs get from an offset
// of the input, per input channel, to `sums`.
std::vector<double> scale_inputs(const Linear& l, const Affine& a, std::vector<double>& sums) {
  const std::vector<int64_t>& dims = l.weight->dims();
  std::vector<double> w = *l.weight->to_doubles();
  const auto per_group = static_cast<size_t>(dims[1]), outputs = static_cast<size_t>(l.channels);
  const size_t per_output = w.size() / outputs, per_input = per_output / per_group;
  const size_t outputs_per_group = outputs / static_cast<size_t>(attr_int(*l.node, "group"));
  for (size_t i = 0; i < w.size(); ++i) {
    const size_t out = i / per_output;
    const size_t in = out / outputs_per_group * per_group + i % per_output / per_input;
    sums[out] += w[i] * a.shift[in];
    w[i] *= a.scale[in];
  }
  return w;
}

// The convolution of a match as a Linear, when its weights may change and `x`, what it shall read,
// has one channel for each of theirs.
std::optional<Linear> conv_reading(const Match& m, ValueId x) {
  const std::optional<Linear> l = linear_of(m.graph, m.root_node());
  if (!l || !may_copy_weight(m, *l->node, *l->weight)) return std::nullopt;
  const int64_t channels = l->weight->dims()[1] * attr_int(*l->node, "group");
  const Type& type = m.graph.value(x).type;
  if (!type.shape || type.rank() != l->rank || !(*type.shape)[1].is(channels)) return std::nullopt;
  return l;
}

int64_t input_channels(const Linear& l) { return l.weight->dims()[1] * attr_int(*l.node, "group"); }

// conv(x * scale + shift) as one conv. An offset may not meet padding, which it would not reach.
ValueId fold_before(Builder& b, const Match& m) {
  const Graph& graph = m.graph;
  const Node& before = m.node("affine");
  const ValueId x = before.op == "BatchNormalization" || !graph.constant(before.inputs[0])
                        ? before.inputs[0]
                        : before.inputs[1];
  const std::optional<Linear> l = conv_reading(m, x);
  if (!l) return kNoValue;
  const auto a = affine_of(graph, before, x, l->rank, 1, input_channels(*l));
  if (!a || (a->shifts && !has_no_padding(*l->node))) return kNoValue;
  std::vector<double> sums(static_cast<size_t>(l->channels), 0.0);
  if (l->bias) sums = *l->bias->to_doubles();
  const std::vector<double> w = scale_inputs(*l, *a, sums);
  const std::optional<Tensor> weight = to_f32(w, l->weight->dims());
  std::optional<Tensor> bias;
  if (a->shifts) bias = to_f32(sums, {l->channels});
  if (!weight || (a->shifts && !bias)) return kNoValue;
  return rebuild(b, *l->node, weight, bias, x);
}

// conv(x * scale + shift) with padding as conv'(x + shift / scale): one step less.
ValueId fold_factor_before(Builder& b, const Match& m) {
  const ValueId x = m.at("x");
  const std::optional<Linear> l = conv_reading(m, x);
  if (!l) return kNoValue;
  const int64_t channels = input_channels(*l);
  const auto factor = along_axis(m.graph, m.at("factor"), l->rank, 1, channels);
  auto offset = along_axis(m.graph, m.at("offset"), l->rank, 1, channels);
  if (!factor || !offset) return kNoValue;
  const Affine a{*factor, std::vector<double>(factor->size(), 0.0), false};
  for (size_t c = 0; c < factor->size(); ++c) (*offset)[c] /= (*factor)[c];
  std::vector<int64_t> dims = {};
  if (m.constant("factor")->elements() > 1 || m.constant("offset")->elements() > 1) {
    dims.assign(l->rank - 1, 1);
    dims[0] = channels;
  } else {
    offset->resize(1);
  }
  std::vector<double> sums(static_cast<size_t>(l->channels), 0.0);
  const std::optional<Tensor> weight = to_f32(scale_inputs(*l, a, sums), l->weight->dims());
  const std::optional<Tensor> shift = to_f32(*offset, dims);
  if (!weight || !shift) return kNoValue;
  const Node conv = *l->node;  // a copy: the next line moves the nodes
  return rebuild(b, conv, weight, {}, b.op("Add", {x, b.constant(*shift)}));
}

std::vector<Rule> affine_rules() {
  Pattern linear = with_any_inputs("Conv", "linear");
  linear.ops = ops_with(kLinear);
  // Also for Sub and Div: the matcher may try both orders, affine_of looks which one it was.
  const std::vector<std::string> scalar_ops = {"Mul", "Add", "Sub", "Div"};
  const Pattern binary = commutative(one_of(scalar_ops, {any("x"), constant("c")}, "affine"));
  const Pattern norm = with_any_inputs("BatchNormalization", "affine");
  const Pattern scaled = commutative(
      op("Add", {commutative(op("Mul", {any("x"), constant("factor")})), constant("offset")}));
  return {
      {"FoldAffine", commutative(one_of(scalar_ops, {linear, constant("c")})), fold_after, nullptr},
      {"FoldFactorThroughBias",
       commutative(op("Mul", {commutative(op("Add", {linear, constant("bias")})), constant("c")})),
       fold_through_bias, nullptr},
      {"FoldNeg", op("Neg", {linear}), fold_after, nullptr},
      {"FoldBatchNorm",
       op("BatchNormalization",
          {linear, constant("scale"), constant("bias"), constant("mean"), constant("var")}),
       fold_after, nullptr},
      {"FoldAffineBefore", op("Conv", {binary, constant("w")}), fold_before, nullptr},
      {"FoldAffineBeforeBias", op("Conv", {binary, constant("w"), constant("b")}), fold_before,
       nullptr},
      {"FoldBatchNormBefore", op("Conv", {norm, constant("w")}), fold_before, nullptr},
      {"FoldBatchNormBeforeBias", op("Conv", {norm, constant("w"), constant("b")}), fold_before,
       nullptr},
      {"FoldFactorBefore", op("Conv", {scaled, constant("w")}), fold_factor_before, nullptr},
      {"FoldFactorBeforeBias", op("Conv", {scaled, constant("w"), constant("b")}),
       fold_factor_before, nullptr},
  };
}

}  // namespace

Result<int> fold_affine(Graph& graph) {
  static const std::vector<Rule> rules = affine_rules();
  return apply_counted(graph, rules);
}

}  // namespace mnn
