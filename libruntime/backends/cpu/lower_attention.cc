// Attention: products of all heads with a softmax between them that knows masks, causality, windows
// and the length of each cache. Heads that share keys are rows of one product.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "libruntime/backends/cpu/matrix.h"
#include "libruntime/backends/cpu/rows.h"
#include "libruntime/kernels/gemm.h"

namespace mnn::cpu {
namespace {

enum : size_t { kQ, kK, kV, kMask, kPastKey, kPastValue, kLengths };

// Scores that are held at a time, unless they are an output.
constexpr int64_t kScoreBytes = int64_t{32} << 20;

std::optional<std::string> supports_attention(const Graph& graph, const Node& node) {
  const NodeView n(graph, node);
  for (size_t i = 0; i < node.own_inputs(); ++i) {
    if (!n.has_input(i) || i == kLengths) continue;
    const DType t = n.in_type(i);
    if (t != DType::kF32 && !(i == kMask && t == DType::kBool)) return "input is not f32";
  }
  if (n.has_input(kLengths)) {
    const DType t = n.in_type(kLengths);
    if (t != DType::kI32 && t != DType::kI64) return "lengths are not integers";
  }
  const Dims q = n.in_dims(kQ), k = n.in_dims(kK);
  const int64_t heads = q.size() == 4 ? q[1] : n.attr_int("q_num_heads");
  const int64_t shared = q.size() == 4 ? k[1] : n.attr_int("kv_num_heads");
  if (shared < 1 || heads % shared != 0) return "heads";
  if (n.has_input(kPastKey)) {
    const Dims pk = n.in_dims(kPastKey), pv = n.in_dims(kPastValue);
    if (pk[0] != q[0] || pv[0] != q[0] || pk[1] != shared || pv[1] != shared || pk[2] != pv[2]) {
      return "caches that do not fit";
    }
  }
  if (n.has_input(kMask)) {
    // [batch, heads, queries, keys], leading axes may be missing; keys past its end are masked.
    const Dims m = n.in_dims(kMask);
    const int64_t past = n.has_input(kPastKey) ? n.in_dims(kPastKey)[2] : 0;
    const bool four = q.size() == 4;
    const Dims wide = {q[0], heads, q[four ? 2 : 1], past + k[four ? 2 : 1]};
    if (m.empty() || m.size() > 4 || m.back() > wide[3]) return "mask";
    for (size_t d = 0; d + 1 < m.size(); ++d) {
      const size_t at = 4 - m.size() + d;
      if (m[d] != 1 && m[d] != wide[at]) return "mask";
    }
  }
  return std::nullopt;
}

// Q, K or V as [batch, heads, sequence, size] with contiguous rows.
Result<Array> heads_of(Lowering& l, ValueId v, int64_t heads) {
  MNN_ASSIGN_OR_RETURN(Array a, l.real(v));
  if (a.rank() == 3) {
    const Dims split = {a.dims[0], a.dims[1], heads, a.dims[2] / heads};
    std::optional<Array> view = reshaped(a, split);
    if (!view) {
      MNN_ASSIGN_OR_RETURN(a, l.real(v, row_major(3)));
      view = reshaped(a, split);
    }
    a = transposed(*view, {0, 2, 1, 3});
  }
  const bool rows = a.dims[3] == 1 || a.strides[3] == 1;
  const bool apart = a.dims[2] == 1 || a.strides[2] >= a.dims[3];
  if (rows && apart) return a;
  return l.copy(a, row_major(4));
}

// `past` followed by `now` along the sequence.
Result<Array> append(Lowering& l, ValueId past, const Array& now) {
  MNN_ASSIGN_OR_RETURN(const Array before, l.real(past));
  Dims dims = now.dims;
  dims[2] += before.dims[2];
  const Array all = l.allocate(DType::kF32, dims, row_major(4));
  Array place = all;
  place.dims = before.dims;
  l.copy_into(before, place);
  place.offset += before.dims[2] * place.strides[2];
  place.dims = now.dims;
  l.copy_into(now, place);
  return all;
}

// Everything between the two products, for rows of `keys` scores.
struct ScoreRows {
  int64_t heads = 1, queries = 1, keys = 1;  // a row is (batch, head, query)
  int64_t past = 0;
  float cap = 0;
  bool causal = false;
  int64_t left = -1, right = -1;
  std::optional<Array> mask, lengths;
  int64_t mask_keys = 0;
  int64_t mask_strides[3] = {0, 0, 0};  // of batch, head, query
  int64_t emit = -1;                    // the stage whose scores are an output

  void run(const Run& run, const VectorKernels& k, int64_t row, float* scores,
           float* emitted) const;
  void add_mask(const Run& run, const VectorKernels& k, int64_t at, float* scores) const;
};

void ScoreRows::add_mask(const Run& run, const VectorKernels& k, int64_t at, float* scores) const {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  if (mask->dtype == DType::kBool) {
    const uint8_t* on = run.data<uint8_t>(*mask) + at;
    for (int64_t j = 0; j < mask_keys; ++j) scores[j] = on[j] != 0 ? scores[j] : kNever;
  } else {
    k.binary[static_cast<int>(BinaryOp::kAdd)](scores, run.data<float>(*mask) + at, scores,
                                               mask_keys);
  }
  std::fill(scores + mask_keys, scores + keys, kNever);
}

void ScoreRows::run(const Run& run, const VectorKernels& k, int64_t row, float* scores,
                    float* emitted) const {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  auto unary = [&](UnaryOp op, float a) {
    k.unary[static_cast<int>(op)](scores, scores, keys, a, 0);
  };
  auto put = [&](int64_t stage) {
    if (emit == stage) std::copy_n(scores, keys, emitted);
  };
  const int64_t i = row % queries, h = row / queries % heads, b = row / queries / heads;
  int64_t offset = past, valid = keys;
  if (lengths) {
    valid = lengths->dtype == DType::kI64 ? run.data<int64_t>(*lengths)[b]
                                          : run.data<int32_t>(*lengths)[b];
    if (valid < 0 || valid > keys) {
      run.fail("nonpad_kv_seqlen is out of range");
      valid = 0;
    }
    offset = valid - queries;
  }
  put(0);
  if (cap > 0) {
    unary(UnaryOp::kDivBy, cap);
    unary(UnaryOp::kTanh, 0);
    unary(UnaryOp::kMulBy, cap);
  }
  put(1);
  if (mask) {
    add_mask(run, k, b * mask_strides[0] + h * mask_strides[1] + i * mask_strides[2], scores);
  }
  // Keys [low, high) are within reach of the query.
  const int64_t here = i + offset;
  int64_t low = left >= 0 ? here - std::min(left, keys) : 0, high = valid;
  if (causal) high = std::min(high, here + 1);
  if (right >= 0) high = std::min(high, here + 1 + std::min(right, keys));
  low = std::clamp<int64_t>(low, 0, keys);
  high = std::clamp<int64_t>(high, low, keys);
  if (emit == 2) {
    std::fill_n(emitted, keys, kNever);
    std::copy(scores + low, scores + high, emitted + low);
  }
  // A row that is masked throughout becomes zero.
  const bool none =
      low == high || (mask && k.reduce_row(ReduceOp::kMax, scores + low, high - low) == kNever);
  if (none) low = high = 0;
  std::fill(scores, scores + low, 0.0f);
  std::fill(scores + high, scores + keys, 0.0f);
  if (!none) k.softmax(scores + low, scores + low, 1, high - low, false);
  put(3);
}

Result<ScoreRows> score_rows(Lowering& l, const NodeView& n, const Array& q, const Array& k,
                             int64_t past) {
  ScoreRows s;
  s.heads = q.dims[1];
  s.queries = q.dims[2];
  s.keys = k.dims[2];
  s.past = past;
  s.cap = static_cast<float>(n.attr_float("softcap"));
  s.causal = n.attr_int("is_causal") != 0;
  s.left = n.attr_int("left_window_size");
  s.right = n.attr_int("right_window_size");
  if (n.has_output(3)) s.emit = n.attr_int("qk_matmul_output_mode");
  if (n.has_input(kMask)) {
    const ValueId v = n.node.inputs[kMask];
    MNN_ASSIGN_OR_RETURN(s.mask, l.real(v, row_major(l.dims(v).size())));
    s.mask_keys = s.mask->dims.back();
    const size_t rank = s.mask->rank();
    for (size_t d = 0; d + 1 < rank; ++d) {
      if (s.mask->dims[d] != 1) s.mask_strides[4 - rank + d] = s.mask->strides[d];
    }
  }
  if (n.has_input(kLengths)) {
    MNN_ASSIGN_OR_RETURN(s.lengths, l.real(n.node.inputs[kLengths], row_major(1)));
  }
  return s;
}

// Rows [first, first + rows) of the matrices of items [item, item + count): each item is one head
// of K and V with all heads of Q that share it.
struct Block {
  int64_t item = 0, count = 1, first = 0, rows = 0;
};

std::vector<Block> cut(int64_t items, int64_t rows, int64_t keys, bool whole) {
  if (whole) return {{0, items, 0, rows}};
  std::vector<Block> blocks;
  const int64_t most = std::max<int64_t>(1, kScoreBytes / 4 / keys);  // rows
  const int64_t together = std::max<int64_t>(1, most / rows);
  for (int64_t i = 0; i < items; i += together) {
    for (int64_t r = 0; r < rows; r += most) {
      blocks.push_back({i, std::min(together, items - i), r, std::min(most, rows - r)});
    }
  }
  return blocks;
}

// The matrices of [batch, heads, rows, columns] from `item` on, and where they begin.
std::vector<int64_t> item_offsets(const Array& a, const Block& block, int64_t first_row) {
  std::vector<int64_t> offsets;
  for (int64_t i = block.item; i < block.item + block.count; ++i) {
    offsets.push_back(i / a.dims[1] * a.strides[0] + i % a.dims[1] * a.strides[1] +
                      first_row * a.strides[2]);
  }
  return offsets;
}

int64_t row_step(const Array& a) { return a.dims[2] == 1 ? a.dims[3] : a.strides[2]; }

Status add_product(Lowering& l, const Node& node, const GemmGeometry& g, const Array& a,
                   const Array& b, const Array& y) {
  MNN_ASSIGN_OR_RETURN(MatrixKernelPtr kernel, make_matmul_f32(g, nullptr, {}, l.kernel_options()));
  add_matrix_step(l, node, std::move(kernel), a, &b, nullptr, y, ComputeForm::kF32, 0, {});
  l.last_step().info.macs = g.batch * g.m * g.n * g.k;
  l.last_step().info.form = ComputeForm::kF32;
  return {};
}

void define_output(Lowering& l, const NodeView& n, size_t i, const Array& a, Status& status) {
  if (!n.has_output(i) || !status.ok()) return;
  Node alone = n.node;
  alone.fused.clear();
  alone.outputs = {n.node.outputs[i]};
  status = l.define_view(alone, a);
}

Status lower_attention(Lowering& l, const Node& node) {
  const NodeView n(l.graph(), node);
  const int64_t shared = n.attr_int("kv_num_heads");
  MNN_ASSIGN_OR_RETURN(Array q, heads_of(l, node.inputs[kQ], n.attr_int("q_num_heads")));
  MNN_ASSIGN_OR_RETURN(Array k, heads_of(l, node.inputs[kK], shared));
  MNN_ASSIGN_OR_RETURN(Array v, heads_of(l, node.inputs[kV], shared));
  int64_t past = 0;
  if (n.has_input(kPastKey)) {
    past = n.in_dims(kPastKey)[2];
    MNN_ASSIGN_OR_RETURN(k, append(l, node.inputs[kPastKey], k));
    MNN_ASSIGN_OR_RETURN(v, append(l, node.inputs[kPastValue], v));
  }
  MNN_ASSIGN_OR_RETURN(ScoreRows rows, score_rows(l, n, q, k, past));
  const double scale =
      n.has("scale") ? n.attr_float("scale") : 1.0 / std::sqrt(static_cast<double>(q.dims[3]));
  const int64_t items = k.dims[0] * k.dims[1], group = q.dims[1] / k.dims[1];
  const int64_t m = group * rows.queries, keys = rows.keys, size = v.dims[3];
  const Dims stacked = {q.dims[0], k.dims[1], m, q.dims[3]};
  std::optional<Array> view = reshaped(q, stacked);
  if (!view || (m > 1 && view->strides[2] < q.dims[3])) {
    MNN_ASSIGN_OR_RETURN(q, l.copy(q, row_major(4)));
    view = reshaped(q, stacked);
  }
  q = *view;
  const Array y = l.allocate(DType::kF32, {q.dims[0], k.dims[1], m, size}, row_major(4));
  std::optional<Array> emitted;
  if (n.has_output(3)) {
    emitted = l.allocate(DType::kF32, l.dims(node.outputs[3]), row_major(4));
  }
  for (const Block& block : cut(items, m, keys, emitted.has_value())) {
    const Array scores = l.allocate(DType::kF32, {block.count, block.rows, keys}, row_major(3));
    GemmGeometry g;
    g.m = block.rows;
    g.n = keys;
    g.k = q.dims[3];
    g.batch = block.count;
    g.alpha = static_cast<float>(scale);
    g.a_stride = row_step(q);
    g.a_offsets = item_offsets(q, block, block.first);
    g.b_transposed = true;
    g.b_stride = row_step(k);
    g.b_offsets = item_offsets(k, block, 0);
    MNN_RETURN_IF_ERROR(add_product(l, node, g, q, k, scores));

    std::vector<Array> in = {scores}, out = {scores};
    if (rows.mask) in.push_back(*rows.mask);
    if (rows.lengths) in.push_back(*rows.lengths);
    if (emitted) out.push_back(*emitted);
    Step& step = l.add_step("attention_softmax", in, out, scores.elements() * 6, nullptr);
    step.run = [=, parts = step.parts, kernels = &l.kernels()](const Run& run, int, int part) {
      const cpu::Range r = part_of(block.count * block.rows, part, parts);
      for (int64_t i = r.begin; i < r.end; ++i) {
        const int64_t row = (block.item + i / block.rows) * m + block.first + i % block.rows;
        float* to = emitted ? run.data<float>(*emitted) + row * keys : nullptr;
        rows.run(run, *kernels, row, run.data<float>(scores) + i * keys, to);
      }
    };

    GemmGeometry p;
    p.m = block.rows;
    p.n = size;
    p.k = keys;
    p.batch = block.count;
    p.b_stride = row_step(v);
    p.b_offsets = item_offsets(v, block, 0);
    Array place = y;
    place.offset += (block.item * m + block.first) * size;
    MNN_RETURN_IF_ERROR(add_product(l, node, p, scores, v, place));
  }
  Status status;
  define_output(l, n, 1, k, status);
  define_output(l, n, 2, v, status);
  if (emitted) define_output(l, n, 3, *emitted, status);
  MNN_RETURN_IF_ERROR(status);

  const Array heads = *reshaped(y, {q.dims[0], rows.heads, rows.queries, size});
  const Dims dims = l.dims(node.outputs[0]);
  if (dims.size() == 4) return l.finish(node, heads);
  const Array own = l.allocate(DType::kF32, dims, row_major(3));
  l.copy_into(transposed(heads, {0, 2, 1, 3}),
              *reshaped(own, {dims[0], dims[1], rows.heads, size}));
  return l.finish(node, own);
}

constexpr OpRow kAttentionRows[] = {{"Attention", supports_attention, lower_attention}};

}  // namespace

std::span<const OpRow> attention_rows() { return kAttentionRows; }

}  // namespace mnn::cpu
