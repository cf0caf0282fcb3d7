// LayerNormalization from primitives, in steps: the normalization itself, then its factor, then its
// offset; and the form x * k + (offset - mean * k) that multiplies the factor in first. And
// RMSNormalization, which is the same without the mean.
#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"

namespace mnn {
namespace {

Pattern mul(Pattern a, Pattern b) { return commutative(op("Mul", {std::move(a), std::move(b)})); }
Pattern add(Pattern a, Pattern b) { return commutative(op("Add", {std::move(a), std::move(b)})); }

Pattern mean_of(Pattern data, const std::string& name) {
  return op("ReduceMean", {std::move(data), constant(name + "_axes")}, name);
}

// The first of the last axes that a ReduceMean with keepdims goes over, when these are static.
std::optional<size_t> normalized_axis(const Match& m, const Node& mean) {
  const Type& type = m.graph.value(mean.inputs[0]).type;
  if (!type.shape || type.dtype != DType::kF32 || attr_int(mean, "keepdims") == 0) {
    return std::nullopt;
  }
  const std::optional<std::vector<int64_t>> axes = ints_of(m.graph, mean.inputs[1]);
  const size_t rank = type.rank();
  if (!axes || axes->empty() || axes->size() > rank) return std::nullopt;
  const size_t first = rank - axes->size();
  std::vector<char> seen(rank, 0);
  for (const int64_t a : *axes) {
    const Result<size_t> axis = normalize_axis(a, rank);
    if (!axis.ok() || *axis < first || seen[*axis]) return std::nullopt;
    seen[*axis] = 1;
  }
  for (size_t i = first; i < rank; ++i) {
    if (!(*type.shape)[i].known()) return std::nullopt;
  }
  return first;
}

bool is_rms_norm(const Match& m) {
  return normalized_axis(m, m.node("variance")) &&
         scalar_keeps_shape(m.graph, m.at("variance"), m.at("epsilon"));
}

bool is_layer_norm(const Match& m) {
  return is_rms_norm(m) &&
         normalized_axis(m, m.node("mean")) == normalized_axis(m, m.node("variance"));
}

std::vector<int64_t> normalized_dims(const Type& type, size_t axis) {
  std::vector<int64_t> dims;
  for (size_t i = axis; i < type.rank(); ++i) dims.push_back((*type.shape)[i].value());
  return dims;
}

// A constant as a f32 tensor of exactly `dims`; nullopt when it does not broadcast into them.
std::optional<Tensor> expanded(const Tensor* t, const std::vector<int64_t>& dims) {
  if (!t || t->dtype() != DType::kF32) return std::nullopt;
  std::vector<int64_t> from = t->dims();
  while (from.size() > dims.size() && from[0] == 1) from.erase(from.begin());
  if (from.size() > dims.size()) return std::nullopt;
  from.insert(from.begin(), dims.size() - from.size(), 1);
  Result<Tensor> out = Tensor::allocate(DType::kF32, dims);
  if (!out.ok()) return std::nullopt;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (from[i] != dims[i] && from[i] != 1) return std::nullopt;
  }
  for (int64_t i = 0; i < out->elements(); ++i) {
    int64_t rest = i, source = 0, stride = 1;
    for (size_t d = dims.size(); d-- > 0;) {
      if (from[d] != 1) source += rest % dims[d] * stride;
      stride *= from[d];
      rest /= dims[d];
    }
    out->data<float>()[i] = t->data<float>()[source];
  }
  return std::move(out).value();
}

Tensor ones(const std::vector<int64_t>& dims) {
  Tensor t = *Tensor::allocate(DType::kF32, dims);
  std::fill_n(t.data<float>(), t.elements(), 1.0f);
  return t;
}

ValueId build_norm(Builder& b, const Match& m, const std::string& norm,
                   const std::optional<Tensor>& scale, const std::optional<Tensor>& bias) {
  const auto axis = static_cast<int64_t>(*normalized_axis(m, m.node("variance")));
  const double epsilon = *scalar_of(m.graph, m.at("epsilon"));
  const Type type = m.type("x");
  const std::vector<int64_t> dims = normalized_dims(type, static_cast<size_t>(axis));
  std::vector<ValueId> inputs = {m.at("x"), b.constant(scale ? *scale : ones(dims))};
  if (bias) inputs.push_back(b.constant(*bias));
  return b.op(norm, std::move(inputs),
              {{"axis", axis - static_cast<int64_t>(type.rank())}, {"epsilon", epsilon}});
}

// x / sqrt(mean(x^2) + epsilon); of x - mean(x) it is the layer norm of x.
void add_core_rules(std::vector<Rule>& rules, bool centred) {
  const Pattern d = centred ? op("Sub", {any("x"), mean_of(any("x"), "mean")}, "d") : any("x");
  const Pattern again = any(centred ? "d" : "x");
  const std::string norm = centred ? "LayerNormalization" : "RMSNormalization";
  for (const Pattern& square : {mul(again, again), op("Pow", {again, constant("two")})}) {
    const Pattern deviation = op("Sqrt", {add(mean_of(square, "variance"), constant("epsilon"))});
    auto build = [norm](Builder& b, const Match& m) { return build_norm(b, m, norm, {}, {}); };
    auto when = [centred](const Match& m) {
      const auto two = m.values.find("two");
      return (centred ? is_layer_norm(m) : is_rms_norm(m)) &&
             (two == m.values.end() || is_scalar(m.graph, two->second, 2));
    };
    auto when_one = [when](const Match& m) {
      return when(m) && is_scalar(m.graph, m.at("one"), 1) &&
             scalar_keeps_shape(m.graph, m.at("variance"), m.at("one"));
    };
    rules.push_back({norm, op("Div", {d, deviation}), build, when});
    rules.push_back({norm, mul(d, op("Reciprocal", {deviation})), build, when});
    rules.push_back({norm, mul(d, op("Div", {constant("one"), deviation})), build, when_one});
  }
}

ValueId with_factor(Builder& b, const Match& m) {
  const Node norm = m.node("norm");
  const Tensor* scale = m.graph.constant(norm.inputs[1]);
  const std::optional<Tensor> factor = expanded(m.constant("factor"), scale->dims());
  if (!factor) return kNoValue;
  Tensor product = *factor->clone();
  for (int64_t i = 0; i < product.elements(); ++i) {
    product.data<float>()[i] *= scale->data<float>()[i];
  }
  return b.op(norm.op, {norm.inputs[0], b.constant(product)}, norm.attributes);
}

ValueId with_offset(Builder& b, const Match& m) {
  const Node norm = m.node("norm");
  const std::optional<Tensor> offset =
      expanded(m.constant("offset"), m.graph.constant(norm.inputs[1])->dims());
  if (!offset) return kNoValue;
  return b.op("LayerNormalization", {norm.inputs[0], norm.inputs[1], b.constant(*offset)},
              norm.attributes);
}

// A constant of higher rank than x would broaden it.
bool fits(const Match& m, std::string_view c) {
  return is_tensor_of(m.graph, m.at("x"), DType::kF32) && m.type("x").shape &&
         m.constant(c)->rank() <= m.type("x").rank();
}

void add_scale_rules(std::vector<Rule>& rules) {
  const Pattern norm = op("LayerNormalization", {any("x"), constant("scale")}, "norm");
  const Pattern rms = op("RMSNormalization", {any("x"), constant("scale")}, "norm");
  auto when = [](const Match& m, std::string_view c) {
    const Type& scale = m.type("scale");
    const auto axis = static_cast<size_t>(
        attr_int(m.node("norm"), "axis") +
        (attr_int(m.node("norm"), "axis") < 0 ? static_cast<int64_t>(m.type("x").rank()) : 0));
    return fits(m, c) && scale.dtype == DType::kF32 && scale.rank() + axis == m.type("x").rank();
  };
  for (const Pattern& scaled : {norm, rms}) {
    rules.push_back({"NormScale", mul(scaled, constant("factor")), with_factor,
                     [when](const Match& m) { return fits(m, "factor") && when(m, "factor"); }});
  }
  rules.push_back({"LayerNormBias", add(norm, constant("offset")), with_offset,
                   [when](const Match& m) { return fits(m, "offset") && when(m, "offset"); }});
}

// x * k + (offset - mean * k) with k = factor / sqrt(variance + epsilon), as TensorFlow writes it.
void add_multiplied_rules(std::vector<Rule>& rules) {
  const Pattern mean = mean_of(any("x"), "mean");
  const Pattern d = op("Sub", {any("x"), mean}), reversed = op("Sub", {mean, any("x")});
  for (const Pattern& difference : {d, reversed}) {
    Pattern named = difference;
    named.name = "d";
    const Pattern variance = mean_of(mul(named, any("d")), "variance");
    const Pattern deviation = op("Sqrt", {add(variance, constant("epsilon"))});
    Pattern k = mul(op("Reciprocal", {deviation}), constant("factor"));
    k.name = "k";
    const Pattern shift = mul(any("mean"), any("k"));
    for (const Pattern& offset :
         {op("Sub", {constant("offset"), shift}), add(constant("offset"), op("Neg", {shift})),
          add(constant("offset"), mul(op("Neg", {any("mean")}), any("k")))}) {
      rules.push_back({"LayerNormMultiplied", add(mul(any("x"), k), offset),
                       [](Builder& b, const Match& m) {
                         const size_t axis = *normalized_axis(m, m.node("mean"));
                         const std::vector<int64_t> dims = normalized_dims(m.type("x"), axis);
                         const auto factor = expanded(m.constant("factor"), dims);
                         const auto bias = expanded(m.constant("offset"), dims);
                         return factor && bias
                                    ? build_norm(b, m, "LayerNormalization", factor, bias)
                                    : kNoValue;
                       },
                       [](const Match& m) {
                         return is_layer_norm(m) && fits(m, "factor") && fits(m, "offset");
                       }});
    }
  }
}

std::vector<Rule> layer_norm_rules() {
  std::vector<Rule> rules;
  add_core_rules(rules, true);
  add_core_rules(rules, false);
  add_scale_rules(rules);
  add_multiplied_rules(rules);
  return rules;
}

}  // namespace

Result<int> fuse_layer_norm(Graph& graph) {
  static const std::vector<Rule> rules = layer_norm_rules();
  return apply_counted(graph, rules);
}

}  // namespace mnn
