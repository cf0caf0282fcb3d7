// One spelling for what exporters write in several ways, so that later rules are few.
#include <algorithm>
#include <cmath>
#include <limits>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"

namespace mnn {
namespace {

bool is_f32(const Match& m, std::string_view name) {
  return is_tensor_of(m.graph, m.at(name), DType::kF32);
}

// pow(x, 2) and its kin.
void add_power_rules(std::vector<Rule>& rules) {
  auto power = [&](const char* name, double exponent, ValueId (*build)(Builder&, ValueId)) {
    rules.push_back({name, op("Pow", {any("x"), constant("e")}),
                     [build](Builder& b, const Match& m) { return build(b, m.at("x")); },
                     [exponent](const Match& m) {
                       const Type &x = m.type("x"), &out = m.graph.value(m.output()).type;
                       return is_f32(m, "x") && scalar_of(m.graph, m.at("e")) == exponent &&
                              x.shape && out.shape && x.rank() == out.rank();
                     }});
  };
  power("PowAsMul", 2, [](Builder& b, ValueId x) { return b.op("Mul", {x, x}); });
  power("PowAsSqrt", 0.5, [](Builder& b, ValueId x) { return b.op("Sqrt", {x}); });
  power("PowAsReciprocal", -1, [](Builder& b, ValueId x) { return b.op("Reciprocal", {x}); });
  rules.push_back({"DivAsReciprocal", op("Div", {constant("one"), any("x")}),
                   [](Builder& b, const Match& m) { return b.op("Reciprocal", {m.at("x")}); },
                   [](const Match& m) {
                     return is_f32(m, "x") && scalar_of(m.graph, m.at("one")) == 1.0 &&
                            scalar_keeps_shape(m.graph, m.at("x"), m.at("one"));
                   }});
  // Exact for powers of two only.
  rules.push_back({"DivAsMul", op("Div", {any("x"), constant("c")}),
                   [](Builder& b, const Match& m) {
                     Tensor t = *m.constant("c")->clone();
                     t.data<float>()[0] = 1.0f / t.data<float>()[0];
                     return b.op("Mul", {m.at("x"), b.constant(t)});
                   },
                   [](const Match& m) {
                     const Tensor& c = *m.constant("c");
                     if (!is_f32(m, "x") || c.dtype() != DType::kF32 || c.elements() != 1) {
                       return false;
                     }
                     int exponent = 0;
                     return std::abs(std::frexp(c.data<float>()[0], &exponent)) == 0.5f &&
                            std::abs(exponent) < 100;
                   }});
}

// Clip from 0 without an upper bound, one Clip in place of two, PRelu with one slope.
void add_clip_rules(std::vector<Rule>& rules) {
  auto unbounded = [](const Match& m) {
    const ValueId low = input_of(m.root_node(), 1), high = input_of(m.root_node(), 2);
    if (!is_tensor_of(m.graph, m.output(), DType::kF32) || low == kNoValue) return false;
    const std::optional<double> bound = scalar_of(m.graph, high);
    return scalar_of(m.graph, low) == 0.0 &&
           (high == kNoValue || (bound && *bound >= std::numeric_limits<float>::max()));
  };
  rules.push_back(
      {"ClipAsRelu", with_any_inputs("Clip"),
       [](Builder& b, const Match& m) { return b.op("Relu", {m.root_node().inputs[0]}); },
       unbounded});
  // One slope for all channels.
  rules.push_back({"PReluAsLeakyRelu", op("PRelu", {any("x"), constant("slope")}),
                   [](Builder& b, const Match& m) {
                     const double alpha = m.constant("slope")->data<float>()[0];
                     return b.op("LeakyRelu", {m.at("x")}, {{"alpha", alpha}});
                   },
                   [](const Match& m) {
                     const Tensor& slope = *m.constant("slope");
                     return is_f32(m, "x") && slope.dtype() == DType::kF32 &&
                            slope.elements() > 0 &&
                            is_filled_with(m.graph, m.at("slope"), slope.data<float>()[0]);
                   }});
  // min(max(x, low), high), the way without a Clip operator.
  rules.push_back({"MinMaxAsClip",
                   commutative(op("Min", {commutative(op("Max", {any("x"), constant("low")})),
                                          constant("high")})),
                   [](Builder& b, const Match& m) {
                     return b.op("Clip", {m.at("x"), b.constant(m.constant("low")->reshaped({})),
                                          b.constant(m.constant("high")->reshaped({}))});
                   },
                   [](const Match& m) {
                     const auto low = scalar_of(m.graph, m.at("low"));
                     const auto high = scalar_of(m.graph, m.at("high"));
                     return is_f32(m, "x") && low && high && *low <= *high &&
                            scalar_keeps_shape(m.graph, m.at("x"), m.at("low")) &&
                            scalar_keeps_shape(m.graph, m.at("x"), m.at("high"));
                   }});
  rules.push_back(
      {"ClipOfRelu", op("Clip", {op("Relu", {any("x")}), constant("low"), constant("high")}),
       [](Builder& b, const Match& m) {
         return b.op("Clip", {m.at("x"), m.at("low"), m.at("high")});
       },
       [](const Match& m) {
         const auto high = scalar_of(m.graph, m.at("high"));
         return is_f32(m, "x") && scalar_of(m.graph, m.at("low")) == 0.0 && high && *high >= 0;
       }});
  rules.push_back({"MinOfRelu", commutative(op("Min", {op("Relu", {any("x")}), constant("high")})),
                   [](Builder& b, const Match& m) {
                     return b.op("Clip", {m.at("x"), b.scalar(0.0f),
                                          b.constant(m.constant("high")->reshaped({}))});
                   },
                   [](const Match& m) {
                     const auto high = scalar_of(m.graph, m.at("high"));
                     return is_f32(m, "x") && high && *high >= 0 &&
                            scalar_keeps_shape(m.graph, m.at("x"), m.at("high"));
                   }});
}

// Whether `axes` are exactly the axes of an image: all but the first two. In rank 3 it could as
// well be a sequence.
bool are_spatial(const std::optional<std::vector<int64_t>>& axes, size_t rank) {
  if (!axes || rank < 4 || axes->size() != rank - 2) return false;
  std::vector<char> seen(rank, 0);
  for (const int64_t a : *axes) {
    const Result<size_t> axis = normalize_axis(a, rank);
    if (!axis.ok() || *axis < 2 || seen[*axis]) return false;
    seen[*axis] = 1;
  }
  return true;
}

// A pool whose one window is the whole image.
bool is_global_pool(const Match& m) {
  const Node& node = m.root_node();
  const Type& x = m.graph.value(node.inputs[0]).type;
  const std::vector<int64_t> kernel = attr_ints(node, "kernel_shape");
  if (!is_tensor_of(m.graph, node.inputs[0], DType::kF32) || !x.shape ||
      x.rank() != kernel.size() + 2) {
    return false;
  }
  for (size_t i = 0; i < kernel.size(); ++i) {
    if (!(*x.shape)[i + 2].is(kernel[i])) return false;
  }
  const Type& out = m.graph.value(m.output()).type;
  if (!out.shape || out.rank() != x.rank()) return false;
  for (size_t i = 2; i < out.rank(); ++i) {
    if (!(*out.shape)[i].is(1)) return false;
  }
  const auto none = [](const std::vector<int64_t>& values, int64_t neutral) {
    return std::ranges::all_of(values, [neutral](int64_t v) { return v == neutral; });
  };
  const std::string auto_pad = attr_string(node, "auto_pad");
  return none(attr_ints(node, "pads"), 0) && none(attr_ints(node, "dilations"), 1) &&
         auto_pad != "SAME_UPPER" && auto_pad != "SAME_LOWER";
}

void add_pool_rules(std::vector<Rule>& rules) {
  rules.push_back({"MeanAsGlobalPool", op("ReduceMean", {any("x"), constant("axes")}, "mean"),
                   [](Builder& b, const Match& m) {
                     const bool keep = attr_int(m.root_node(), "keepdims") != 0;
                     const ValueId axes = m.at("axes");
                     const ValueId pooled = b.op("GlobalAveragePool", {m.at("x")});
                     return keep ? pooled : b.op("Squeeze", {pooled, axes});
                   },
                   [](const Match& m) {
                     return is_f32(m, "x") && m.type("x").shape &&
                            are_spatial(ints_of(m.graph, m.at("axes")), m.type("x").rank());
                   }});
  for (const auto& [from, to] :
       {std::pair("AveragePool", "GlobalAveragePool"), std::pair("MaxPool", "GlobalMaxPool")}) {
    rules.push_back(
        {to, with_any_inputs(from),
         [to = to](Builder& b, const Match& m) { return b.op(to, {m.root_node().inputs[0]}); },
         is_global_pool});
  }
}

// MatMul + bias of matrices.
void add_gemm_rules(std::vector<Rule>& rules) {
  rules.push_back({"MatMulAddAsGemm",
                   commutative(op("Add", {op("MatMul", {any("x"), constant("w")}), constant("c")})),
                   [](Builder& b, const Match& m) {
                     return b.op("Gemm", {m.at("x"), m.at("w"), m.at("c")});
                   },
                   [](const Match& m) {
                     const Type &x = m.type("x"), &w = m.type("w"), &c = m.type("c");
                     if (!is_f32(m, "x") || !x.shape || x.rank() != 2 || w.rank() != 2)
                       return false;
                     return along_axis(m.graph, m.at("c"), 2, 1, (*w.shape)[1].value()) &&
                            c.rank() <= 2;
                   }});
  rules.push_back({"SumAsAdd", op("Sum", {any("a"), any("b")}),
                   [](Builder& b, const Match& m) {
                     return b.op("Add", {m.at("a"), m.at("b")});
                   },
                   nullptr});
}

std::vector<Rule> normal_forms() {
  std::vector<Rule> rules;
  add_power_rules(rules);
  add_clip_rules(rules);
  add_pool_rules(rules);
  add_gemm_rules(rules);
  return rules;
}

}  // namespace

Result<int> normalize(Graph& graph) {
  static const std::vector<Rule> rules = normal_forms();
  return apply_counted(graph, rules);
}

}  // namespace mnn
