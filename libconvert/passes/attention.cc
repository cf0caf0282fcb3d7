// Attention from primitives: softmax(q k^T * scale + mask) v of four dims (batch, heads, length,
// width), with the factor on the product, on q, on k or a part of it on each.
#include <cmath>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"

namespace mnn {
namespace {

Pattern scaled(Pattern x, const std::string& factor) {
  return commutative(op("Mul", {std::move(x), constant(factor)}));
}

// The product of the factors that are there; a divisor's reciprocal.
std::optional<double> scale_of(const Match& m) {
  double scale = 1;
  for (const char* name : {"q_factor", "k_factor", "factor", "divisor"}) {
    if (!m.values.contains(name)) continue;
    const std::optional<double> value = scalar_of(m.graph, m.at(name));
    const bool keeps_rank = value && m.type(name).shape && m.type(name).rank() <= 4;
    if (!keeps_rank || !std::isfinite(*value) || *value == 0) return std::nullopt;
    scale *= std::string_view(name) == "divisor" ? 1 / *value : *value;
  }
  return std::isfinite(scale) ? std::optional(scale) : std::nullopt;
}

bool same_dim(const Type& a, const Type& b, size_t i) { return (*a.shape)[i].same((*b.shape)[i]); }

// [batch, heads, rows, keys] that a mask is added to without making it larger.
bool fits_scores(const Type& mask, const Type& q, const Type& keys) {
  if (!mask.shape || mask.rank() < 2 || mask.rank() > 4) return false;
  const Shape scores = {(*q.shape)[0], (*q.shape)[1], (*q.shape)[2], (*keys.shape)[3]};
  for (size_t i = 0; i < mask.rank(); ++i) {
    const Dim& have = (*mask.shape)[mask.rank() - 1 - i];
    const bool one = have.is(1) && i > 0;  // a short last dim means less of the keys
    if (!one && !have.same(scores[3 - i])) return false;
  }
  return true;
}

bool is_attention(const Match& m) {
  for (const char* name : {"q", "v", "product", "keys"}) {
    if (!is_tensor_of(m.graph, m.at(name), DType::kF32) || !m.type(name).shape ||
        m.type(name).rank() != 4) {
      return false;
    }
  }
  const Type &q = m.type("q"), &keys = m.type("keys"), &v = m.type("v");
  const std::vector<int64_t> perm = attr_ints(m.node("keys"), "perm");
  const int64_t axis = attr_int(m.node("weights"), "axis");
  if (perm.size() != 4 || (axis != -1 && axis != 3) || !scale_of(m)) return false;
  for (const size_t i : {0, 1}) {
    if (!same_dim(q, keys, i) || !same_dim(q, v, i)) return false;
  }
  if (!same_dim(keys, v, 1) || !(*keys.shape)[3].same((*v.shape)[2])) return false;
  return !m.values.contains("mask") ||
         (is_tensor_of(m.graph, m.at("mask"), DType::kF32) && fits_scores(m.type("mask"), q, keys));
}

ValueId build_attention(Builder& b, const Match& m) {
  const double scale = *scale_of(m);
  const ValueId q = m.at("q"), v = m.at("v");
  const ValueId mask = m.values.contains("mask") ? m.at("mask") : kNoValue;
  // The keys as rows again: their transpose without the swap of the last two axes.
  std::vector<int64_t> perm = attr_ints(m.node("keys"), "perm");
  std::swap(perm[2], perm[3]);
  ValueId k = m.at("k");
  if (perm != std::vector<int64_t>{0, 1, 2, 3}) k = b.op("Transpose", {k}, {{"perm", perm}});
  std::vector<ValueId> inputs = {q, k, v};
  if (mask != kNoValue) inputs.push_back(mask);
  return b.op("Attention", std::move(inputs), {{"scale", scale}});
}

std::vector<Rule> attention_rules() {
  const Pattern q = any("q"), keys = op("Transpose", {any("k")}, "keys");
  std::vector<Rule> rules;
  for (const Pattern& left : {scaled(q, "q_factor"), q}) {
    for (const Pattern& right : {scaled(keys, "k_factor"), keys}) {
      const Pattern product = op("MatMul", {left, right}, "product");
      for (const Pattern& scores :
           {scaled(product, "factor"), op("Div", {product, constant("divisor")}), product}) {
        for (const bool masked : {true, false}) {
          const Pattern sum = masked ? commutative(op("Add", {scores, any("mask")})) : scores;
          rules.push_back({"Attention", op("MatMul", {op("Softmax", {sum}, "weights"), any("v")}),
                           build_attention, is_attention});
        }
      }
    }
  }
  return rules;
}

}  // namespace

Result<int> fuse_attention(Graph& graph) {
  static const std::vector<Rule> rules = attention_rules();
  return apply_counted(graph, rules);
}

}  // namespace mnn
