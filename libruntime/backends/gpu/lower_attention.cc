// Attention as two products with a mask and a softmax between them. Heads that share keys are an
// axis along which those are repeated.
#include <algorithm>
#include <cmath>
#include <limits>

#include "libruntime/backends/gpu/epilogue.h"

namespace mnn::gpu {
namespace {

enum : size_t { kQ, kK, kV, kMask, kPastKey, kPastValue, kTotalLengths };

std::optional<std::string> why_not_attention(const NodeView& n) {
  for (size_t i = 0; i < n.node.own_inputs(); ++i) {
    if (!n.has_input(i)) continue;
    if (i >= kPastKey) return "a cache or lengths";
    if (n.in_type(i) != DType::kF32 && !(i == kMask && n.in_type(i) == DType::kBool)) {
      return "input is not f32";
    }
  }
  for (size_t i = 1; i < n.node.outputs.size(); ++i) {
    if (n.has_output(i)) return "caches or scores as outputs";
  }
  if (n.attr_float("softcap") != 0) return "capped scores";
  if (n.attr_int("left_window_size") >= 0 || n.attr_int("right_window_size") >= 0) {
    return "a window";
  }
  const Dims q = n.in_dims(kQ), k = n.in_dims(kK);
  const bool four = q.size() == 4;
  const int64_t heads = four ? q[1] : n.attr_int("q_num_heads");
  const int64_t shared = four ? k[1] : n.attr_int("kv_num_heads");
  if (shared < 1 || heads % shared != 0) return "heads";
  if (n.has_input(kMask)) {
    const Dims m = n.in_dims(kMask);
    const Dims wide = {q[0], heads, q[four ? 2 : 1], k[four ? 2 : 1]};
    if (m.empty() || m.size() > 4) return "mask";
    for (size_t d = 0; d < m.size(); ++d) {
      if (m[d] != 1 && m[d] != wide[4 - m.size() + d]) return "mask";
    }
  }
  return std::nullopt;
}

// Q, K or V as [batch, shared heads, heads that share, sequence, size].
Result<Array> heads_of(Lowering& l, ValueId v, int64_t shared, int64_t heads) {
  MNN_ASSIGN_OR_RETURN(Array a, l.array(v));
  if (a.rank() == 3) {
    MNN_ASSIGN_OR_RETURN(a, l.dense(v));
    const std::optional<Array> split =
        reshaped(a, {a.dims[0], a.dims[1], heads, a.dims[2] / heads});
    if (!split) return internal_error("heads cannot be told apart");
    a = transposed(*split, {0, 2, 1, 3});
  }
  // One axis becomes two, whatever its stride.
  const int64_t step = a.strides[1] * (heads / shared);
  a.dims = {a.dims[0], shared, heads / shared, a.dims[2], a.dims[3]};
  a.strides = {a.strides[0], step, a.strides[1], a.strides[2], a.strides[3]};
  return a;
}

// Scores [batch, heads, queries, keys] with what is masked at minus infinity.
Result<Array> masked(Lowering& l, const NodeView& n, const Array& scores) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  Expression e;
  e.sources.emplace_back();
  int last = 0, next = 100;  // temporaries are numbered behind the sources at the end
  auto push = [&](Expression::Op op) {
    op.out = next++;
    e.ops.push_back(op);
    last = op.out;
  };
  if (n.has_input(kMask)) {
    e.sources.push_back({n.node.inputs[kMask], {}});
    Expression::Op op;
    if (n.in_type(kMask) == DType::kBool) {
      const float never[] = {kNever};
      e.sources.push_back({kNoValue, Tensor::of<float>({}, never)});
      op.kind = Expression::Kind::kSelect;
      op.x = 1;
      op.y = last;
      op.z = 2;
    } else {
      op.kind = Expression::Kind::kBinary;
      op.binary = BinaryOp::kAdd;
      op.x = last;
      op.y = 1;
    }
    push(op);
  }
  if (n.attr_int("is_causal") != 0) {
    const int64_t queries = scores.dims[2], keys = scores.dims[3];
    std::vector<float> later(static_cast<size_t>(queries * keys), 0.0f);
    for (int64_t i = 0; i < queries; ++i) {
      for (int64_t j = i + 1; j < keys; ++j) later[static_cast<size_t>(i * keys + j)] = kNever;
    }
    Expression::Op op;
    op.kind = Expression::Kind::kBinary;
    op.binary = BinaryOp::kAdd;
    op.x = last;
    op.y = static_cast<int>(e.sources.size());
    e.sources.push_back({kNoValue, Tensor::of<float>({queries, keys}, later)});
    push(op);
  }
  if (e.ops.empty()) return scores;
  const auto sources = static_cast<int>(e.sources.size());
  for (Expression::Op& op : e.ops) {
    for (int* r : {&op.out, &op.x, &op.y, &op.z}) {
      if (*r >= 100) *r += sources - 100;
    }
  }
  e.registers = sources + static_cast<int>(e.ops.size());
  return l.add_expression(e, scores.dims, DType::kF32, scores);
}

Status lower_attention(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const bool four = n.in(kQ).type.rank() == 4;
  const int64_t heads = four ? n.in_dims(kQ)[1] : n.attr_int("q_num_heads");
  const int64_t shared = four ? n.in_dims(kK)[1] : n.attr_int("kv_num_heads");
  MNN_ASSIGN_OR_RETURN(const Array q, heads_of(l, node.inputs[kQ], shared, heads));
  MNN_ASSIGN_OR_RETURN(const Array k, heads_of(l, node.inputs[kK], shared, shared));
  MNN_ASSIGN_OR_RETURN(const Array v, heads_of(l, node.inputs[kV], shared, shared));
  auto scale = static_cast<float>(n.attr_float("scale"));
  if (scale == 0) scale = static_cast<float>(1 / std::sqrt(static_cast<double>(q.dims[4])));
  const int64_t batch = q.dims[0], queries = q.dims[3], keys = k.dims[3], size = v.dims[4];
  const Array scores = l.allocate(DType::kF32, {batch, heads, queries, keys});
  Launch& first = add_matmul(l, q, transposed(k, {0, 1, 2, 4, 3}), scale, {}, {}, scores);
  count_products(l, node, first);
  MNN_ASSIGN_OR_RETURN(const Array open, masked(l, n, scores));
  Array weights = add_softmax(l, open, 3, SoftmaxForm::kMasked);
  weights.dims = {batch, shared, heads / shared, queries, keys};
  weights.strides = dense_strides(weights.dims, row_major(5));
  Array y = l.allocate(DType::kF32, {batch, heads, queries, size});
  add_matmul(l, weights, v, 1.0f, {}, {}, y);
  if (four) return l.finish(node, y);
  MNN_ASSIGN_OR_RETURN(y, l.dense(transposed(y, {0, 2, 1, 3})));
  y.dims = {batch, queries, heads * size};
  y.strides = dense_strides(y.dims, row_major(3));
  return l.finish(node, y);
}

constexpr OpRow kAttentionRows[] = {{"Attention", why_not_attention, lower_attention}};

}  // namespace

std::span<const OpRow> attention_rows() { return kAttentionRows; }

}  // namespace mnn::gpu
