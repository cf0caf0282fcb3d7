// Attention and RotaryEmbedding, which came with opset 23, from products, softmax and shape
// arithmetic.
#include <cmath>
#include <limits>

#include "libconvert/exporters/onnx/rows.h"

namespace mnn::onnx_export {
namespace {

enum : size_t { kQ, kK, kV, kMask, kPastKey, kPastValue, kLengths };

bool wants(const Node& node, size_t i) {
  return i < node.outputs.size() && node.outputs[i] != kNoValue;
}

ValueId dim_of(Builder& b, ValueId x, int64_t axis) {
  return b.op("Shape", {x}, {{"start", axis}, {"end", axis + 1}});
}

// 0-d from a vector of one.
ValueId scalar_of(Builder& b, ValueId x) { return b.op("Squeeze", {x, b.ints({0})}); }

ValueId range(Builder& b, ValueId count) {
  return b.op("Range", {b.constant(Tensor::scalar(int64_t{0})), scalar_of(b, count),
                        b.constant(Tensor::scalar(int64_t{1}))});
}

ValueId concat(Builder& b, std::vector<ValueId> parts, int64_t axis) {
  return b.op("Concat", std::move(parts), {{"axis", axis}});
}

// (batch, sequence, heads * size) as (batch, heads, sequence, size).
ValueId split_heads(Builder& b, ValueId x, int64_t heads) {
  const ValueId four = b.op("Reshape", {x, b.ints({0, 0, heads, -1})});
  return b.op("Transpose", {four}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
}

ValueId join_heads(Builder& b, ValueId x) {
  const ValueId apart = b.op("Transpose", {x}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
  return b.op("Reshape", {apart, b.ints({0, 0, -1})});
}

// Each head `times` times in a row.
ValueId repeat_heads(Builder& b, ValueId x, int64_t heads, int64_t times) {
  if (times == 1) return x;
  const ValueId apart = b.op("Unsqueeze", {x, b.ints({2})});
  const ValueId repeated = b.op("Expand", {apart, b.ints({1, 1, times, 1, 1})});
  const ValueId rest = b.op("Shape", {x}, {{"start", int64_t{2}}, {"end", int64_t{4}}});
  return b.op("Reshape", {repeated, concat(b, {b.ints({0, heads * times}), rest}, 0)});
}

// 1 / sqrt(head size) where no scale is given.
ValueId scale_of(Builder& b, const Node& node, const AttributeReader& a, ValueId q, int64_t heads) {
  const Type& type = b.type(node.inputs[kQ]);
  const DType dtype = type.dtype;
  if (a.has("scale")) return b.scalar(a.attr_float("scale"), dtype);
  const Dim last = type.shape->back();
  if (last.known()) {
    const int64_t size = type.rank() == 4 ? last.value() : last.value() / heads;
    return b.scalar(1.0 / std::sqrt(static_cast<double>(size)), dtype);
  }
  const ValueId size =
      b.op("Cast", {scalar_of(b, dim_of(b, q, 3))}, {{"to", static_cast<int64_t>(dtype)}});
  return b.op("Reciprocal", {b.op("Sqrt", {size})});
}

// Which keys each query may see, as bools that broadcast to (batch, heads, queries, keys);
// kNoValue: all of them.
ValueId visible_keys(Builder& b, const Node& node, const AttributeReader& a, ValueId q, ValueId k) {
  const int64_t left = a.attr_int("left_window_size"), right = a.attr_int("right_window_size");
  const bool causal = a.attr_int("is_causal") != 0, lengths = has(node, kLengths);
  if (!causal && !lengths && left < 0 && right < 0) return kNoValue;
  const ValueId keys = b.op("Unsqueeze", {range(b, dim_of(b, k, 2)), b.ints({0})});
  ValueId queries = b.op("Unsqueeze", {range(b, dim_of(b, q, 2)), b.ints({1})});
  ValueId valid = kNoValue;
  if (lengths) {
    // (batch, 1, 1, 1): the keys of an entry end at its length, where its last query stands.
    ValueId length =
        b.op("Cast", {node.inputs[kLengths]}, {{"to", static_cast<int64_t>(DType::kI64)}});
    length = b.op("Unsqueeze", {length, b.ints({1, 2, 3})});
    valid = b.op("Less", {keys, length});
    queries = b.op("Add", {queries, b.op("Sub", {length, dim_of(b, q, 2)})});
  } else if (has(node, kPastKey)) {
    queries = b.op("Add", {queries, dim_of(b, node.inputs[kPastKey], 2)});
  }
  const ValueId ahead = b.op("Sub", {keys, queries});
  const auto join = [&](ValueId more) {
    valid = valid == kNoValue ? more : b.op("And", {valid, more});
  };
  const auto number = [&](int64_t v) { return b.constant(Tensor::scalar(v)); };
  if (causal || right >= 0) {
    const int64_t most = causal ? (right >= 0 ? std::min<int64_t>(right, 0) : 0) : right;
    join(b.op("LessOrEqual", {ahead, number(most)}));
  }
  if (left >= 0) join(b.op("GreaterOrEqual", {ahead, number(-left)}));
  return valid;
}

// A mask that covers the first keys only masks the others.
ValueId full_mask(Builder& b, const Node& node) {
  const ValueId mask = node.inputs[kMask];
  const Type& type = b.type(mask);
  const Type& keys = b.type(node.inputs[kK]);
  if (!type.shape || type.shape->empty() || !keys.shape) return mask;
  Dim total = (*keys.shape)[keys.rank() == 4 ? 2 : 1];
  if (has(node, kPastKey)) {
    const Type& past = b.type(node.inputs[kPastKey]);
    total = past.shape ? total + (*past.shape)[2] : Dim::unknown();
  }
  const Dim covered = type.shape->back();
  const bool shorter = covered.known() && total.known() && covered.value() < total.value();
  if (!shorter) return mask;
  std::vector<int64_t> pads(2 * type.rank(), 0);
  pads.back() = total.value() - covered.value();
  const bool bools = type.dtype == DType::kBool;
  // Pad of bools came with opset 13, as here.
  const ValueId fill = bools ? b.constant(Tensor::scalar(false))
                             : b.scalar(-std::numeric_limits<double>::infinity(), type.dtype);
  return b.op("Pad", {mask, b.ints(pads), fill});
}

}  // namespace

Result<Values> expand_attention(Builder& b, const Node& node) {
  const AttributeReader a(node, *find_op(node.op));
  const Type type = b.type(node.inputs[kQ]);
  const Type key_type = b.type(node.inputs[kK]);
  if (!type.shape || !key_type.shape) return unsupported("queries or keys of unknown rank");
  const bool four = type.rank() == 4;
  int64_t heads = a.attr_int("q_num_heads"), kv_heads = a.attr_int("kv_num_heads");
  ValueId q = node.inputs[kQ], k = node.inputs[kK], v = node.inputs[kV];
  if (four) {
    const Dim h = (*type.shape)[1], kv = (*key_type.shape)[1];
    heads = h.known() ? h.value() : 1;
    kv_heads = kv.known() ? kv.value() : 1;
    if ((!h.known() || !kv.known()) && !h.same(kv)) {
      return unsupported("an unknown number of heads");
    }
  } else {
    q = split_heads(b, q, heads);
    k = split_heads(b, k, kv_heads);
    v = split_heads(b, v, kv_heads);
  }
  if (has(node, kPastKey)) {
    k = concat(b, {node.inputs[kPastKey], k}, 2);
    v = concat(b, {node.inputs[kPastValue], v}, 2);
  }
  Values out(4, kNoValue);
  if (wants(node, 1)) out[1] = k;
  if (wants(node, 2)) out[2] = v;
  const int64_t times = kv_heads == 0 ? 1 : heads / kv_heads;
  const ValueId all_k = repeat_heads(b, k, kv_heads, times);
  const ValueId all_v = repeat_heads(b, v, kv_heads, times);
  const ValueId scaled = b.op("Mul", {q, scale_of(b, node, a, q, heads)});
  const ValueId turned = b.op("Transpose", {all_k}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}});
  ValueId scores = b.op("MatMul", {scaled, turned});
  const int64_t mode = a.attr_int("qk_matmul_output_mode");
  const auto emit = [&](int64_t wanted) {
    if (mode == wanted && wants(node, 3)) out[3] = scores;
  };
  emit(0);
  if (const double cap = a.attr_float("softcap"); cap > 0) {
    const ValueId most = b.scalar(cap, type.dtype);
    scores = b.op("Mul", {b.op("Tanh", {b.op("Div", {scores, most})}), most});
  }
  emit(1);
  const ValueId hidden = b.scalar(-std::numeric_limits<double>::infinity(), type.dtype);
  // Rows without a single key: zero, where softmax has no number. A mask of floats leaves some key.
  bool empty_rows = false;
  if (has(node, kMask)) {
    const ValueId mask = full_mask(b, node);
    const DType mask_type = b.type(node.inputs[kMask]).dtype;
    if (mask_type == DType::kBool) {
      scores = b.op("Where", {mask, scores, hidden});
      empty_rows = true;
    } else {
      const bool same = mask_type == type.dtype;
      scores = b.op(
          "Add",
          {scores, same ? mask : b.op("Cast", {mask}, {{"to", static_cast<int64_t>(type.dtype)}})});
    }
  }
  const ValueId visible = visible_keys(b, node, a, q, k);
  if (visible != kNoValue) {
    scores = b.op("Where", {visible, scores, hidden});
    empty_rows |= has(node, kLengths) || has(node, kMask) || a.attr_int("left_window_size") >= 0 ||
                  a.attr_int("right_window_size") >= 0;
  }
  emit(2);
  scores = b.op("Softmax", {scores}, {{"axis", int64_t{-1}}});
  if (empty_rows) {
    scores = b.op("Where", {b.op("IsNaN", {scores}), b.scalar(0.0, type.dtype), scores});
  }
  emit(3);
  const ValueId y = b.op("MatMul", {scores, all_v});
  out[0] = four ? y : join_heads(b, y);
  return out;
}

// inputs: x, cosines, sines, positions
Result<Values> expand_rotary_embedding(Builder& b, const Node& node) {
  const AttributeReader a(node, *find_op(node.op));
  const Type type = b.type(node.inputs[0]);
  if (!type.shape) return unsupported("an input of unknown rank");
  const bool four = type.rank() == 4;
  const ValueId x = four ? node.inputs[0] : split_heads(b, node.inputs[0], a.attr_int("num_heads"));
  const Dim last = type.shape->back();
  if (!last.known()) return unsupported("an unknown head size");
  const int64_t size = four ? last.value() : last.value() / a.attr_int("num_heads");
  const int64_t given = a.attr_int("rotary_embedding_dim"), rotated = given == 0 ? size : given;
  ValueId cosine = node.inputs[1], sine = node.inputs[2];
  if (has(node, 3)) {
    cosine = b.op("Gather", {cosine, node.inputs[3]});
    sine = b.op("Gather", {sine, node.inputs[3]});
  }
  // (batch, sequence, half), the same for all heads
  cosine = b.op("Unsqueeze", {cosine, b.ints({1})});
  sine = b.op("Unsqueeze", {sine, b.ints({1})});
  ValueId turned = x, rest = kNoValue;
  if (rotated < size) {
    const Values parts =
        b.op_n("Split", {x, b.ints({rotated, size - rotated})}, 2, {{"axis", int64_t{3}}});
    turned = parts[0];
    rest = parts[1];
  }
  const bool interleaved = a.attr_int("interleaved") != 0;
  const int64_t half = rotated / 2;
  ValueId first = kNoValue, second = kNoValue;
  if (interleaved) {
    const ValueId pairs = b.op("Reshape", {turned, b.ints({0, 0, 0, half, 2})});
    const Values parts = b.op_n("Split", {pairs, b.ints({1, 1})}, 2, {{"axis", int64_t{4}}});
    first = b.op("Squeeze", {parts[0], b.ints({4})});
    second = b.op("Squeeze", {parts[1], b.ints({4})});
  } else {
    const Values parts = b.op_n("Split", {turned, b.ints({half, half})}, 2, {{"axis", int64_t{3}}});
    first = parts[0];
    second = parts[1];
  }
  ValueId one = b.op("Sub", {b.op("Mul", {first, cosine}), b.op("Mul", {second, sine})});
  ValueId two = b.op("Add", {b.op("Mul", {first, sine}), b.op("Mul", {second, cosine})});
  ValueId y = kNoValue;
  if (interleaved) {
    one = b.op("Unsqueeze", {one, b.ints({4})});
    two = b.op("Unsqueeze", {two, b.ints({4})});
    y = b.op("Reshape", {concat(b, {one, two}, 4), b.ints({0, 0, 0, rotated})});
  } else {
    y = concat(b, {one, two}, 3);
  }
  if (rest != kNoValue) y = concat(b, {y, rest}, 3);
  return Values{four ? y : join_heads(b, y)};
}

}  // namespace mnn::onnx_export
