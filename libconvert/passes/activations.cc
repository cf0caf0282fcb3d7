// Activations that exporters spell out in primitives, found again. One rule per spelling: products
// of few choices are made in loops.
#include <cmath>
#include <numbers>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"

namespace mnn {
namespace {

using When = std::function<bool(const Match&)>;

// A one-element constant near `value` called `name`; see scalars_are.
struct ScalarValue {
  std::string name;
  double value;
};

// Every listed constant is bound to its value and does not broaden x, and x is f32. A name a
// pattern does not bind is skipped.
When scalars_are(std::vector<ScalarValue> scalars) {
  return [scalars = std::move(scalars)](const Match& m) {
    const ValueId x = m.at("x");
    if (!is_tensor_of(m.graph, x, DType::kF32)) return false;
    for (const ScalarValue& s : scalars) {
      const auto it = m.values.find(s.name);
      if (it == m.values.end()) continue;
      if (!is_scalar(m.graph, it->second, s.value) || !scalar_keeps_shape(m.graph, x, it->second)) {
        return false;
      }
    }
    return true;
  };
}

Pattern mul(Pattern a, Pattern b) { return commutative(op("Mul", {std::move(a), std::move(b)})); }
Pattern add(Pattern a, Pattern b) { return commutative(op("Add", {std::move(a), std::move(b)})); }

// a * x * b as any association of three factors, and as x / divisor in place of x * factor.
std::vector<Pattern> scaled_product(const Pattern& a, const Pattern& b, const std::string& factor,
                                    const std::string& divisor) {
  const Pattern f = constant(factor), d = constant(divisor);
  std::vector<Pattern> all = {mul(mul(a, b), f), mul(a, mul(b, f)), mul(mul(a, f), b)};
  if (!divisor.empty()) {
    all.push_back(op("Div", {mul(a, b), d}));
    all.push_back(mul(a, op("Div", {b, d})));
    all.push_back(mul(op("Div", {a, d}), b));
  }
  return all;
}

// HardSigmoid and HardSwish with slope 1/6: clip(x + 3, 0, 6) / 6.
void add_hard_rules(std::vector<Rule>& rules) {
  const When sixths =
      scalars_are({{"three", 3}, {"zero", 0}, {"six", 6}, {"divisor", 6}, {"factor", 1.0 / 6}});
  const Pattern clip =
      op("Clip", {add(any("x"), constant("three")), constant("zero"), constant("six")});
  for (const Pattern& p : scaled_product(any("x"), clip, "factor", "divisor")) {
    rules.push_back({"HardSwish", p,
                     [](Builder& b, const Match& m) { return b.op("HardSwish", {m.at("x")}); },
                     sixths});
  }
  auto hard_sigmoid = [](Builder& b, const Match& m) {
    return b.op("HardSigmoid", {m.at("x")}, {{"alpha", 1.0 / 6}, {"beta", 0.5}});
  };
  rules.push_back({"HardSigmoid", mul(clip, constant("factor")), hard_sigmoid, sixths});
  rules.push_back({"HardSigmoid", op("Div", {clip, constant("divisor")}), hard_sigmoid, sixths});

  // clip(x * alpha + beta, 0, 1)
  rules.push_back({"HardSigmoidOfAffine",
                   op("Clip", {add(mul(any("x"), constant("alpha")), constant("beta")),
                               constant("zero"), constant("one")}),
                   [](Builder& b, const Match& m) {
                     const double alpha = *scalar_of(m.graph, m.at("alpha"));
                     const double beta = *scalar_of(m.graph, m.at("beta"));
                     return b.op("HardSigmoid", {m.at("x")}, {{"alpha", alpha}, {"beta", beta}});
                   },
                   [plain = scalars_are({{"zero", 0}, {"one", 1}})](const Match& m) {
                     return plain(m) && scalar_keeps_shape(m.graph, m.at("x"), m.at("alpha")) &&
                            scalar_keeps_shape(m.graph, m.at("x"), m.at("beta"));
                   }});
  rules.push_back({"HardSwishOfHardSigmoid", mul(any("x"), op("HardSigmoid", {any("x")}, "gate")),
                   [](Builder& b, const Match& m) { return b.op("HardSwish", {m.at("x")}); },
                   [](const Match& m) {
                     const Node& gate = m.node("gate");
                     return is_tensor_of(m.graph, m.at("x"), DType::kF32) &&
                            std::abs(attr_float(gate, "alpha") - 1.0 / 6) < 1e-6 &&
                            attr_float(gate, "beta") == 0.5;
                   }});
}

void add_swish_rules(std::vector<Rule>& rules) {
  rules.push_back({"Swish", mul(any("x"), op("Sigmoid", {any("x")})),
                   [](Builder& b, const Match& m) { return b.op("Swish", {m.at("x")}); },
                   scalars_are({})});
  rules.push_back({"SwishOfScaled",
                   mul(any("x"), op("Sigmoid", {mul(any("x"), constant("alpha"))})),
                   [](Builder& b, const Match& m) {
                     const double alpha = *scalar_of(m.graph, m.at("alpha"));
                     return b.op("Swish", {m.at("x")}, {{"alpha", alpha}});
                   },
                   [](const Match& m) {
                     return is_tensor_of(m.graph, m.at("x"), DType::kF32) &&
                            scalar_keeps_shape(m.graph, m.at("x"), m.at("alpha"));
                   }});
  rules.push_back({"Mish", mul(any("x"), op("Tanh", {op("Softplus", {any("x")})})),
                   [](Builder& b, const Match& m) { return b.op("Mish", {m.at("x")}); },
                   scalars_are({})});
}

// 0.5 * x * (1 + erf(x / sqrt 2)) and 0.5 * x * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))).
void add_gelu_rules(std::vector<Rule>& rules) {
  const When numbers = scalars_are({{"half", 0.5},
                                    {"one", 1},
                                    {"three", 3},
                                    {"sqrt2", std::numbers::sqrt2},
                                    {"rsqrt2", 1 / std::numbers::sqrt2},
                                    {"cubic", 0.044715},
                                    {"slope", std::sqrt(2 / std::numbers::pi)},
                                    {"slope_cubic", 0.044715 * std::sqrt(2 / std::numbers::pi)}});
  const Pattern x = any("x"), half = constant("half"), slope = constant("slope");
  const std::vector<Pattern> erfs = {op("Erf", {op("Div", {x, constant("sqrt2")})}),
                                     op("Erf", {mul(x, constant("rsqrt2"))})};
  const std::vector<Pattern> cubes = {op("Pow", {x, constant("three")}), mul(x, mul(x, x))};
  std::vector<Pattern> tanhs;
  for (const Pattern& cube : cubes) {
    tanhs.push_back(op("Tanh", {mul(add(x, mul(cube, constant("cubic"))), slope)}));
  }
  // The polynomial as x * (1 + 0.044715 x^2), with the slope outside or multiplied in.
  const Pattern square = mul(x, x);
  tanhs.push_back(op("Tanh", {mul(x, add(slope, mul(square, constant("slope_cubic"))))}));
  const Pattern bracket = add(constant("one"), mul(square, constant("cubic")));
  for (const Pattern& p : scaled_product(x, bracket, "slope", "")) {
    tanhs.push_back(op("Tanh", {p}));
  }
  auto add_all = [&](const std::vector<Pattern>& terms, const char* rule, const char* approximate) {
    for (const Pattern& term : terms) {
      for (const Pattern& p : scaled_product(x, add(term, constant("one")), "half", "")) {
        rules.push_back(
            {rule, p,
             [approximate](Builder& b, const Match& m) {
               return b.op("Gelu", {m.at("x")}, {{"approximate", std::string(approximate)}});
             },
             numbers});
      }
    }
  };
  add_all(erfs, "Gelu", "none");
  add_all(tanhs, "GeluTanh", "tanh");
}

std::vector<Rule> activation_rules() {
  std::vector<Rule> rules;
  add_hard_rules(rules);
  add_swish_rules(rules);
  add_gelu_rules(rules);
  return rules;
}

}  // namespace

Result<int> fuse_activations(Graph& graph) {
  static const std::vector<Rule> rules = activation_rules();
  return apply_counted(graph, rules);
}

}  // namespace mnn
