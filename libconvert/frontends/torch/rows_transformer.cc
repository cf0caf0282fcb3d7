// The fast paths of nn.MultiheadAttention and nn.TransformerEncoderLayer in evaluation.
#include <cmath>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

ValueId linear(Call& c, ValueId x, std::string_view weight, std::string_view bias) {
  return c.binary("Add", c.binary("MatMul", x, c.transpose(c.tensor(weight), {1, 0})),
                  c.tensor(bias));
}

// Masks say what is left out: [L, S] of all (type 0), [B, S] of each sample (1), or of their own
// rank. The result is true where attention may look, for [B, heads, L, S].
ValueId kept(Call& c) {
  ValueId mask = c.tensor("mask");
  if (mask == kNoValue) return kNoValue;
  if (c.dtype_of(mask) != DType::kBool) return mask;  // added to the scores
  const int64_t type = c.none("mask_type") ? 0 : c.integer("mask_type");
  if (type == 1 && c.rank(mask) == 2) mask = c.expand_dims(mask, {1, 2});
  if (c.rank(mask) == 3) mask = c.expand_dims(mask, {1});
  return c.unary("Not", mask);
}

struct Attended {
  ValueId output, weights = kNoValue;
};

// q, k, v of [B, L, embed] that one matrix made of its rows.
Attended attend(Call& c, ValueId q, ValueId k, ValueId v, int64_t embed, int64_t heads,
                bool weights) {
  if (heads < 1 || embed < 1 || embed % heads != 0) {
    c.fail(invalid("the width is no multiple of the heads"));
    return {q};
  }
  const auto split = [&](ValueId x) {
    const ValueId parts = c.emit("Reshape", {x, c.add_ints({0, 0, heads, embed / heads})});
    return c.transpose(parts, {0, 2, 1, 3});
  };
  q = split(q);
  k = split(k);
  v = split(v);
  const ValueId mask = kept(c);
  Attended out{kNoValue};
  if (!weights) {
    out.output = c.emit("Attention", {q, k, v, mask});
  } else {
    const DType type = c.dtype_of(q);
    const double scale = 1 / std::sqrt(static_cast<double>(embed / heads));
    ValueId scores =
        c.binary("MatMul", c.binary("Mul", q, c.number(scale, type)), c.transpose(k, {0, 1, 3, 2}));
    if (mask != kNoValue) {
      const ValueId lowest = c.number(-INFINITY, type);
      scores = c.dtype_of(mask) == DType::kBool ? c.where(mask, scores, lowest)
                                                : c.binary("Add", scores, mask);
    }
    out.weights = c.emit("Softmax", {scores}, {{"axis", int64_t{-1}}});
    out.output = c.binary("MatMul", out.weights, v);
  }
  out.output =
      c.emit("Reshape", {c.transpose(out.output, {0, 2, 1, 3}), c.add_ints({0, 0, embed})});
  return out;
}

// The rows of one matrix: of q, of k, of v.
std::vector<ValueId> thirds(Call& c, ValueId x, int64_t axis) {
  return c.emit_n("Split", {x}, 3, {{"axis", axis}, {"num_outputs", int64_t{3}}});
}

void multi_head(Call& c) {
  const ValueId q = c.tensor("query"), k = c.tensor("key"), v = c.tensor("value");
  const int64_t embed = c.integer("embed_dim"), heads = c.integer("num_head");
  const bool weights = c.flag("need_weights");
  std::vector<ValueId> parts;
  if (q == k && k == v) {
    parts = thirds(c, linear(c, q, "qkv_weight", "qkv_bias"), 2);
  } else {
    const std::vector<ValueId> w = thirds(c, c.tensor("qkv_weight"), 0),
                               b = thirds(c, c.tensor("qkv_bias"), 0);
    const ValueId in[] = {q, k, v};
    for (size_t i = 0; i < 3; ++i) {
      const ValueId y = c.binary("MatMul", in[i], c.transpose(w[i], {1, 0}));
      parts.push_back(c.binary("Add", y, b[i]));
    }
  }
  if (!c.status.ok()) return;
  const Attended a = attend(c, parts[0], parts[1], parts[2], embed, heads, weights);
  c.give(linear(c, a.output, "proj_weight", "proj_bias"));
  if (!weights) return c.give(Arg());
  c.give(c.flag("average_attn_weights") ? c.reduce("ReduceMean", a.weights, {1}, false)
                                        : a.weights);
}

void encoder_layer(Call& c) {
  ValueId x = c.tensor("src");
  const int64_t embed = c.integer("embed_dim"), heads = c.integer("num_heads");
  const auto norm = [&](ValueId v, std::string_view weight, std::string_view bias) {
    return c.emit("LayerNormalization", {v, c.tensor(weight), c.tensor(bias)},
                  {{"axis", int64_t{-1}}, {"epsilon", c.real("eps")}});
  };
  const auto attention = [&](ValueId v) {
    const std::vector<ValueId> p = thirds(c, linear(c, v, "qkv_weight", "qkv_bias"), 2);
    if (!c.status.ok()) return v;
    const Attended a = attend(c, p[0], p[1], p[2], embed, heads, false);
    return linear(c, a.output, "proj_weight", "proj_bias");
  };
  const auto forward = [&](ValueId v) {
    const ValueId h = linear(c, v, "ffn_weight_1", "ffn_bias_1");
    const ValueId a = c.flag("use_gelu")
                          ? c.emit("Gelu", {h}, {{"approximate", std::string("none")}})
                          : c.unary("Relu", h);
    return linear(c, a, "ffn_weight_2", "ffn_bias_2");
  };
  if (c.flag("norm_first")) {
    x = c.binary("Add", x, attention(norm(x, "norm_weight_1", "norm_bias_1")));
    x = c.binary("Add", x, forward(norm(x, "norm_weight_2", "norm_bias_2")));
  } else {
    x = norm(c.binary("Add", x, attention(x)), "norm_weight_1", "norm_bias_1");
    x = norm(c.binary("Add", x, forward(x)), "norm_weight_2", "norm_bias_2");
  }
  c.give(x);
}

}  // namespace

std::vector<RowText> transformer_rows() {
  return {
      {"_native_multi_head_attention(Tensor query, Tensor key, Tensor value, int embed_dim, int "
       "num_head, Tensor qkv_weight, Tensor qkv_bias, Tensor proj_weight, Tensor proj_bias, "
       "Tensor? mask=None, bool need_weights=True, bool average_attn_weights=True, int? "
       "mask_type=None) -> (Tensor, Tensor)",
       "MatMul, Add, Attention", multi_head},
      {"_transformer_encoder_layer_fwd(Tensor src, int embed_dim, int num_heads, Tensor "
       "qkv_weight, Tensor qkv_bias, Tensor proj_weight, Tensor proj_bias, bool use_gelu, bool "
       "norm_first, float eps, Tensor norm_weight_1, Tensor norm_bias_1, Tensor norm_weight_2, "
       "Tensor norm_bias_2, Tensor ffn_weight_1, Tensor ffn_bias_1, Tensor ffn_weight_2, Tensor "
       "ffn_bias_2, Tensor? mask=None, int? mask_type=None) -> Tensor",
       "MatMul, Add, Attention, LayerNormalization", encoder_layer},
  };
}

}  // namespace mnn::torch
