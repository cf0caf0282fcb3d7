// Attention of com.microsoft, in three generations: all become the standard's Attention.
#include <cmath>

#include "libconvert/frontends/onnx/op_map.h"

namespace mnn::onnx {
namespace {

constexpr double kMasked = -10000.0;

// (batch, sequence, heads, size) or (batch, heads, sequence, size) to (batch, sequence, all).
ValueId join_heads(NodeUpgrade& u, ValueId id, bool heads_first) {
  if (heads_first) id = u.emit("Transpose", {id}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
  return u.emit("Reshape", {id, u.add_ints({0, 0, -1})});
}

// Entries [from, to) of an axis, that axis kept or not.
ValueId slice(NodeUpgrade& u, ValueId id, int64_t axis, int64_t from, int64_t to) {
  return u.emit("Slice", {id, u.add_ints({from}), u.add_ints({to}), u.add_ints({axis})});
}
ValueId pick(NodeUpgrade& u, ValueId id, int64_t axis, int64_t index) {
  return u.emit("Gather", {id, u.add_constant(Tensor::scalar(index))}, {{"axis", axis}});
}

// Number of steps along an axis, as a 0-d i64.
ValueId length(NodeUpgrade& u, ValueId id, int64_t axis) {
  const Type& type = u.type_of(id);
  if (type.shape && static_cast<size_t>(axis) < type.rank() &&
      (*type.shape)[static_cast<size_t>(axis)].known()) {
    return u.add_constant(Tensor::scalar((*type.shape)[static_cast<size_t>(axis)].value()));
  }
  return u.reshape(u.emit("Shape", {id}, {{"start", axis}, {"end", axis + 1}}), {});
}

ValueId steps(NodeUpgrade& u, ValueId count) {
  return u.emit("Range", {u.add_constant(Tensor::scalar(int64_t{0})), count,
                          u.add_constant(Tensor::scalar(int64_t{1}))});
}

// A mask of integers (1 keeps) over keys, as a bool one that broadcasts to (batch, heads, queries,
// keys). 1-D holds the number of keys of each batch entry.
ValueId key_mask(NodeUpgrade& u, ValueId mask, ValueId keys) {
  const Type& type = u.type_of(mask);
  if (!type.shape) {
    u.fail(unsupported("a mask of unknown rank"));
    return kNoValue;
  }
  switch (type.rank()) {
    case 1: {
      const ValueId counts = u.unsqueeze(u.cast(mask, DType::kI64), {1});
      const ValueId kept = u.emit("Less", {steps(u, keys), counts});
      return u.emit("Unsqueeze", {kept, u.add_ints({1, 2})});
    }
    case 2: return u.emit("Unsqueeze", {u.cast(mask, DType::kBool), u.add_ints({1, 2})});
    case 3: return u.emit("Unsqueeze", {u.cast(mask, DType::kBool), u.add_ints({1})});
    default: u.fail(unsupported("a mask of type " + type.str())); return kNoValue;
  }
}

// The mask and the bias as one additive bias, or whichever is given.
ValueId join_mask(NodeUpgrade& u, ValueId mask, ValueId bias, double filter) {
  if (mask == kNoValue) return bias;
  const DType dtype = u.dtype(0);
  const ValueId added =
      u.emit("Where", {mask, u.add_scalar(0, dtype), u.add_scalar(filter, dtype)});
  return bias == kNoValue ? added : u.emit("Add", {added, bias});
}

// Appends the standard's operator. past may be absent.
std::vector<ValueId> attend(NodeUpgrade& u, const std::vector<ValueId>& qkv, ValueId mask,
                            ValueId past_key, ValueId past_value, NodeUpgrade::Attributes attrs,
                            size_t outputs) {
  std::vector<ValueId> in = qkv;
  in.insert(in.end(), {mask, past_key, past_value});
  return u.emit_n("Attention", in, outputs, std::move(attrs));
}

NodeUpgrade::Attributes head_attributes(NodeUpgrade& u, int64_t heads, int64_t kv_heads) {
  NodeUpgrade::Attributes attrs = {{"q_num_heads", heads}, {"kv_num_heads", kv_heads}};
  const std::optional<double> scale = u.take_float("scale");
  if (scale && *scale != 0) attrs["scale"] = *scale;
  return attrs;
}

std::optional<int64_t> known_last(const NodeUpgrade& u, ValueId id) {
  if (id == kNoValue) return std::nullopt;
  const Type& type = u.type_of(id);
  if (!type.shape || type.shape->empty() || !type.shape->back().known()) return std::nullopt;
  return type.shape->back().value();
}

}  // namespace

// inputs: x, weights, bias, mask, past (2, batch, heads, steps, size), attention bias
void contrib_attention(NodeUpgrade& u) {
  const int64_t heads = u.take_int("num_heads").value_or(0);
  const bool causal = u.take_int("unidirectional").value_or(0) != 0;
  const double filter = u.take_float("mask_filter_value").value_or(kMasked);
  std::vector<int64_t> sizes = u.take_ints("qkv_hidden_sizes").value_or(std::vector<int64_t>());
  if (u.take_int("do_rotary").value_or(0) != 0 || u.has(6)) {
    return u.fail(unsupported("rotary embedding or a shared cache inside of Attention"));
  }
  if (!u.has(1)) return u.fail(invalid("input 1 is missing"));
  const std::optional<int64_t> width = known_last(u, u.in(1));
  if (sizes.empty() && width) sizes = {*width / 3, *width / 3, *width / 3};
  if (sizes.size() != 3) return u.fail(unsupported("weights of unknown width"));
  ValueId all = u.emit("MatMul", {u.in(0), u.in(1)});
  if (u.has(2)) all = u.emit("Add", {all, u.in(2)});
  std::vector<ValueId> qkv =
      u.emit_n("Split", {all, u.add_ints(sizes)}, 3, {{"axis", int64_t{-1}}});
  if (!u.status.ok()) return;
  ValueId keys = length(u, u.in(0), 1), past_key = kNoValue, past_value = kNoValue;
  if (u.has(4)) {
    past_key = pick(u, u.in(4), 0, 0);
    past_value = pick(u, u.in(4), 0, 1);
    keys = u.emit("Add", {keys, length(u, u.in(4), 3)});
  }
  if (!u.status.ok()) return;
  const ValueId kept = u.has(3) ? key_mask(u, u.in(3), keys) : kNoValue;
  const ValueId mask = u.status.ok() ? join_mask(u, kept, u.in(5), filter) : kNoValue;
  NodeUpgrade::Attributes attrs = head_attributes(u, heads, heads);
  attrs["is_causal"] = int64_t{causal};
  const bool present = u.wants(1);
  const std::vector<ValueId> y =
      attend(u, qkv, mask, past_key, past_value, std::move(attrs), present ? 3 : 1);
  u.results = {y[0]};
  if (!present || !u.status.ok()) return;
  u.results.push_back(
      u.emit("Concat", {u.unsqueeze(y[1], {0}), u.unsqueeze(y[2], {0})}, {{"axis", int64_t{0}}}));
}

// inputs: query, key, value, bias, key mask, attention bias, past key, past value
void contrib_multi_head_attention(NodeUpgrade& u) {
  const int64_t heads = u.take_int("num_heads").value_or(0);
  const bool causal = u.take_int("unidirectional").value_or(0) != 0;
  const double filter = u.take_float("mask_filter_value").value_or(kMasked);
  if (u.has(8) || u.has(9)) return u.fail(unsupported("a shared cache"));
  std::vector<ValueId> qkv = {u.in(0), u.in(1), u.in(2)};
  const auto rank = [&](size_t i) { return u.rank(i).value_or(0); };
  if (rank(0) == 5) {  // (batch, sequence, heads, 3, size)
    for (int64_t i = 0; i < 3; ++i) {
      qkv[static_cast<size_t>(i)] = join_heads(u, pick(u, u.in(0), 3, i), false);
    }
  } else if (rank(0) != 3) {
    return u.fail(unsupported("a query of rank other than 3 and 5"));
  } else if (rank(1) == 5) {  // (batch, sequence, heads, 2, size)
    qkv[1] = join_heads(u, pick(u, u.in(1), 3, 0), false);
    qkv[2] = join_heads(u, pick(u, u.in(1), 3, 1), false);
  } else if (rank(1) == 4) {
    qkv[1] = join_heads(u, u.in(1), true);
    qkv[2] = join_heads(u, u.in(2), true);
  } else if (!u.has(1) || !u.has(2)) {
    return u.fail(invalid("key or value is missing"));
  }
  if (!u.status.ok()) return;
  if (u.has(3)) {
    // One bias for query, key and value; cross attention's keys of rank 4 have theirs already.
    const std::optional<int64_t> q = known_last(u, qkv[0]), all = known_last(u, u.in(3));
    if (!q || !all) return u.fail(unsupported("a bias of unknown size"));
    const int64_t ends[] = {0, *q, 2 * *q, *all};
    for (size_t i = 0; i < (rank(1) == 4 ? 1u : 3u); ++i) {
      qkv[i] = u.emit("Add", {qkv[i], slice(u, u.in(3), 0, ends[i], ends[i + 1])});
    }
  }
  if (!u.status.ok()) return;
  ValueId keys = length(u, qkv[1], 1);
  if (u.has(6)) keys = u.emit("Add", {keys, length(u, u.in(6), 2)});
  const ValueId kept = u.has(4) && u.status.ok() ? key_mask(u, u.in(4), keys) : kNoValue;
  const ValueId mask = u.status.ok() ? join_mask(u, kept, u.in(5), filter) : kNoValue;
  NodeUpgrade::Attributes attrs = head_attributes(u, heads, heads);
  attrs["is_causal"] = int64_t{causal};
  u.results = attend(u, qkv, mask, u.in(6), u.in(7), std::move(attrs),
                     std::min<size_t>(u.wanted.size(), 3));
}

// inputs: query, key, value, past key, past value, last positions, total length, cos, sin,
// positions, attention bias
void contrib_group_query_attention(NodeUpgrade& u) {
  const int64_t heads = u.take_int("num_heads").value_or(0);
  const int64_t kv_heads = u.take_int("kv_num_heads").value_or(0);
  const int64_t window = u.take_int("local_window_size").value_or(-1);
  const double softcap = u.take_float("softcap").value_or(0);
  const bool rotary = u.take_int("do_rotary").value_or(0) != 0;
  const int64_t interleaved = u.take_int("rotary_interleaved").value_or(0);
  if (u.take_int("smooth_softmax").value_or(0) > 0 || u.has(11)) {
    return u.fail(unsupported("a smooth softmax"));
  }
  if (heads < 1 || kv_heads < 1) return u.fail(invalid("num_heads or kv_num_heads is missing"));
  std::vector<ValueId> qkv = {u.in(0), u.in(1), u.in(2)};
  if (!u.has(1)) {
    const std::optional<int64_t> width = known_last(u, u.in(0));
    if (!width || *width % (heads + 2 * kv_heads) != 0) {
      return u.fail(unsupported("packed query, key and value of unknown width"));
    }
    const int64_t size = *width / (heads + 2 * kv_heads);
    qkv = u.emit_n("Split", {u.in(0), u.add_ints({heads * size, kv_heads * size, kv_heads * size})},
                   3, {{"axis", int64_t{-1}}});
  }
  if (rotary) {
    if (!u.has(5) || !u.has(7) || !u.has(8)) return u.fail(invalid("rotary inputs are missing"));
    ValueId positions = u.in(9);
    if (positions == kNoValue) {
      // A prompt starts at 0, also a padded one; later steps go on where the cache ends.
      const ValueId count = length(u, qkv[0], 1);
      const ValueId last = u.reshape(u.cast(u.in(5), DType::kI64), {-1, 1});
      const ValueId one = u.add_constant(Tensor::scalar(int64_t{1}));
      const ValueId first = u.emit("Max", {u.emit("Sub", {u.emit("Add", {last, one}), count}),
                                           u.add_constant(Tensor::scalar(int64_t{0}))});
      positions = u.emit("Add", {first, steps(u, count)});
    }
    for (size_t i = 0; i < 2; ++i) {
      qkv[i] = u.emit("RotaryEmbedding", {qkv[i], u.in(7), u.in(8), positions},
                      {{"num_heads", i == 0 ? heads : kv_heads}, {"interleaved", interleaved}});
    }
  }
  NodeUpgrade::Attributes attrs = head_attributes(u, heads, kv_heads);
  attrs["is_causal"] = int64_t{1};
  if (softcap != 0) attrs["softcap"] = softcap;
  if (window > 0) attrs["left_window_size"] = window - 1;
  if (!u.status.ok()) return;
  u.results = attend(u, qkv, u.in(10), u.in(3), u.in(4), std::move(attrs),
                     std::min<size_t>(u.wanted.size(), 3));
}

// inputs: x, positions, cos, sin
void contrib_rotary_embedding(NodeUpgrade& u) {
  const double scale = u.take_float("scale").value_or(1.0);
  if (scale != 1.0 || u.take_int("is_packed_batching").value_or(0) != 0) {
    return u.fail(unsupported("scaled or packed rotary embedding"));
  }
  if (u.inputs.size() != 4) return u.fail(invalid("expected 4 inputs"));
  ValueId positions = u.in(1);
  if (u.rank(1) == std::optional<size_t>(1)) {
    // One number: where the sequence starts.
    const ValueId x = u.in(0);
    const bool heads_first = u.rank(0) == std::optional<size_t>(4);
    const ValueId count = length(u, x, heads_first ? 2 : 1);
    const ValueId batch = u.emit("Shape", {x}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
    const ValueId row = u.emit("Add", {u.reshape(positions, {1, 1}), steps(u, count)});
    const ValueId one = u.add_ints({1});
    const ValueId target = u.emit("Concat", {batch, one}, {{"axis", int64_t{0}}});
    positions = u.emit("Expand", {row, target});
  }
  const std::optional<int64_t> half = known_last(u, u.in(2)), width = known_last(u, u.in(0));
  int64_t* heads = u.find_attr<int64_t>("num_heads");
  if (u.rank(0) == std::optional<size_t>(3) && (heads == nullptr || *heads == 0)) {
    if (!half || !width || *half < 1) return u.fail(unsupported("an unknown number of heads"));
    u.attributes["num_heads"] = *width / (2 * *half);
  }
  u.inputs = {u.in(0), u.in(2), u.in(3), positions};
}

}  // namespace mnn::onnx
