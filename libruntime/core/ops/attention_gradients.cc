// The derivatives of Attention, by what it is made of, and of RotaryEmbedding.
#include <algorithm>
#include <cmath>

#include "libruntime/core/differentiate.h"
#include "libruntime/core/ops/gradients.h"

namespace mnn {
namespace {

using Ints = std::vector<int64_t>;

enum : size_t { kInQ, kInK, kInV, kInMask, kInPastKey, kInPastValue, kInLengths };

// Scores below -kFar are those of keys that are masked.
constexpr double kFar = 1e30;

// [batch, heads, sequence, size] of a tensor of rank 4 or [batch, sequence, heads * size].
ValueId as_heads(Builder& b, ValueId v, const Ints& dims, int64_t heads) {
  if (dims.size() == 4) return v;
  const ValueId apart = b.op("Reshape", {v, b.ints({dims[0], dims[1], heads, dims[2] / heads})});
  return transpose(b, apart, {0, 2, 1, 3});
}

// Which keys the order forbids, as what is added to the scores [queries, keys].
Result<ValueId> order_mask(Builder& b, const AttributeReader& c, DType dtype, int64_t queries,
                           int64_t keys, int64_t past) {
  const bool causal = c.attr_int("is_causal") != 0;
  const int64_t left = c.attr_int("left_window_size"), right = c.attr_int("right_window_size");
  if (!causal && left < 0 && right < 0) return kNoValue;
  MNN_ASSIGN_OR_RETURN(Tensor mask, Tensor::allocate(dtype, {queries, keys}));
  dispatch_float(dtype, [&]<typename T>() {
    for (int64_t i = 0; i < queries; ++i) {
      for (int64_t j = 0; j < keys; ++j) {
        const int64_t ahead = j - (i + past);
        const bool out =
            (causal && ahead > 0) || (left >= 0 && -ahead > left) || (right >= 0 && ahead > right);
        mask.data<T>()[i * keys + j] = store_from_compute<T>(out ? -2 * kFar : 0.0);
      }
    }
  });
  return b.constant(std::move(mask));
}

// attn_mask as what is added to the scores; keys past its end are masked.
Result<ValueId> given_mask(Builder& b, ValueId mask, ValueId like, int64_t keys) {
  MNN_ASSIGN_OR_RETURN(const Ints dims, static_dims(b, mask));
  const ValueId far = scalar_like(b, like, -2 * kFar);
  if (b.type(mask).dtype == DType::kBool) {
    mask = b.op("Where", {mask, scalar_like(b, like, 0.0), far});
  } else if (b.type(mask).dtype != b.type(like).dtype) {
    mask = b.op("Cast", {mask}, {{"to", static_cast<int64_t>(b.type(like).dtype)}});
  }
  if (dims.empty() || dims.back() == keys) return mask;
  Ints pads(2 * dims.size(), 0);
  pads.back() = keys - dims.back();
  return b.op("Pad", {mask, b.ints(pads), far});
}

Gradients expand_attention(Builder& b, const Node& n) {
  const AttributeReader c(n, *find_op("Attention"));
  auto has = [&](size_t i) { return i < n.own_inputs() && n.inputs[i] != kNoValue; };
  if (has(kInLengths)) return unsupported("nonpad_kv_seqlen has no derivative here");
  const ValueId q_in = n.inputs[kInQ];
  const DType dtype = b.type(q_in).dtype;
  for (const size_t i : {kInK, kInV}) {
    if (b.type(n.inputs[i]).dtype != dtype) {
      return unsupported("its derivative needs Q, K and V of one type");
    }
  }
  MNN_ASSIGN_OR_RETURN(const Ints qd, static_dims(b, q_in));
  MNN_ASSIGN_OR_RETURN(const Ints kd, static_dims(b, n.inputs[kInK]));
  MNN_ASSIGN_OR_RETURN(const Ints vd, static_dims(b, n.inputs[kInV]));
  const bool four = qd.size() == 4;
  const int64_t heads = four ? qd[1] : c.attr_int("q_num_heads");
  const int64_t kv_heads = four ? kd[1] : c.attr_int("kv_num_heads");
  const int64_t batch = qd[0], queries = four ? qd[2] : qd[1];
  const int64_t size = four ? qd[3] : qd[2] / heads, value_size = four ? vd[3] : vd[2] / kv_heads;
  const ValueId q = as_heads(b, q_in, qd, heads);
  ValueId k = as_heads(b, n.inputs[kInK], kd, kv_heads);
  ValueId v = as_heads(b, n.inputs[kInV], vd, kv_heads);
  int64_t keys = four ? kd[2] : kd[1], past = 0;
  if (has(kInPastKey)) {
    MNN_ASSIGN_OR_RETURN(const Ints pd, static_dims(b, n.inputs[kInPastKey]));
    past = pd[2];
    keys += past;
    k = b.op("Concat", {n.inputs[kInPastKey], k}, {{"axis", int64_t{2}}});
    v = b.op("Concat", {n.inputs[kInPastValue], v}, {{"axis", int64_t{2}}});
  }
  const ValueId present_key = k, present_value = v;
  if (heads != kv_heads) {
    auto repeat = [&](ValueId x, int64_t width) {
      const ValueId one = b.op("Unsqueeze", {x, b.ints({2})});
      const ValueId all =
          b.op("Expand", {one, b.ints({batch, kv_heads, heads / kv_heads, keys, width})});
      return b.op("Reshape", {all, b.ints({batch, heads, keys, width})});
    };
    k = repeat(k, size);
    v = repeat(v, value_size);
  }
  const double scale =
      c.has("scale") ? c.attr_float("scale") : 1.0 / std::sqrt(static_cast<double>(size));
  std::vector<ValueId> stages(4, kNoValue);  // of the scores, as qk_matmul_output_mode counts them
  ValueId s = b.op("MatMul", {q, transpose(b, k, {0, 1, 3, 2})});
  s = stages[0] = b.op("Mul", {s, scalar_like(b, q_in, scale)});
  if (const double cap = c.attr_float("softcap"); cap > 0) {
    const ValueId limit = scalar_like(b, q_in, cap);
    s = b.op("Mul", {limit, b.op("Tanh", {b.op("Div", {s, limit})})});
  }
  stages[1] = s;
  MNN_ASSIGN_OR_RETURN(const ValueId order, order_mask(b, c, dtype, queries, keys, past));
  bool masked = false;
  if (order != kNoValue) {
    s = b.op("Add", {s, order});
    masked = true;
  }
  if (has(kInMask)) {
    MNN_ASSIGN_OR_RETURN(const ValueId mask, given_mask(b, n.inputs[kInMask], q_in, keys));
    s = b.op("Add", {s, mask});
    masked = true;
  }
  stages[2] = s;
  ValueId p = kNoValue;
  if (masked) {
    // A row that is masked throughout is zero.
    const ValueId floor = scalar_like(b, q_in, -kFar);
    p = b.op("Softmax", {b.op("Max", {s, floor})});
    p = b.op("Where", {b.op("Greater", {s, floor}), p, scalar_like(b, q_in, 0.0)});
  } else {
    p = b.op("Softmax", {s});
  }
  stages[3] = p;
  ValueId y = b.op("MatMul", {p, v});
  if (!four) {
    y = b.op("Reshape",
             {transpose(b, y, {0, 2, 1, 3}), b.ints({batch, queries, heads * value_size})});
  }
  const int64_t mode = c.attr_int("qk_matmul_output_mode");
  return std::vector<ValueId>{y, present_key, present_value, stages[static_cast<size_t>(mode)]};
}

}  // namespace

Gradients attention_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  return gradient_through(b, n, dy, expand_attention);
}

// Turned back by the same angles.
Gradients rotary_gradient(Builder& b, const Node& n, std::span<const ValueId> dy) {
  std::vector<ValueId> inputs(n.inputs.begin(),
                              n.inputs.begin() + static_cast<int64_t>(n.own_inputs()));
  inputs[0] = dy[0];
  inputs[2] = b.op("Neg", {n.inputs[2]});
  std::vector<ValueId> result(n.own_inputs(), kNoValue);
  result[0] = b.op("RotaryEmbedding", std::move(inputs), n.attributes);
  return result;
}

}  // namespace mnn
