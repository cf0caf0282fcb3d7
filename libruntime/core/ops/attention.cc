// Attention (scaled dot product, grouped heads, cache) and RotaryEmbedding.
#include <algorithm>
#include <cmath>
#include <limits>

#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/macs.h"
#include "libruntime/core/ops/movement.h"

namespace mnn {
namespace {

enum : size_t { kQ, kK, kV, kMask, kPastKey, kPastValue, kLengths };

// ---- Attention: shapes ----

// The axes of Q, K or V: 4-D (batch, heads, sequence, size) or 3-D (batch, sequence, heads*size).
struct Heads {
  Dim batch, heads, sequence, size;
};

Result<Heads> split_heads(const Type& type, int64_t heads, std::string_view what) {
  const Shape& s = *type.shape;
  if (s.size() == 4) return Heads{s[0], s[1], s[2], s[3]};
  if (s.size() != 3) {
    return invalid(std::string(what) + ": expected rank 3 or 4, found " + type.str());
  }
  if (heads < 1) return invalid("inputs of rank 3 need q_num_heads and kv_num_heads");
  if (s[2].known() && s[2].value() % heads != 0) {
    return invalid(std::string(what) + " " + type.str() + " does not divide into " +
                   std::to_string(heads) + " heads");
  }
  return Heads{s[0], Dim(heads), s[1], floor_div(s[2], Dim(heads))};
}

Status same_dim(const Dim& a, const Dim& b, std::string_view what) {
  if (!a.known() || !b.known() || a.value() == b.value()) return {};
  return invalid("Q, K and V disagree on the " + std::string(what) + ": " + a.str() + " and " +
                 b.str());
}

Status check_attention_types(const OpContext& c) {
  for (size_t i = 0; i < c.in.size(); ++i) {
    if (i == kMask || i == kLengths || !c.has_input(i)) continue;
    // K and V may have a type of their own in the standard; a float each.
    if (!is_float(c.in[i].dtype) || dtype_bits(c.in[i].dtype) < 16) {
      return invalid("expected floats, found " + c.in[i].str());
    }
  }
  if (c.has_input(kMask) && c.in[kMask].dtype != DType::kBool && !is_float(c.in[kMask].dtype)) {
    return invalid("attn_mask: expected bools or floats, found " + c.in[kMask].str());
  }
  if (c.has_input(kPastKey) != c.has_input(kPastValue)) {
    return invalid("past_key and past_value go together");
  }
  if (c.has_input(kLengths)) {
    MNN_RETURN_IF_ERROR(expect_integers(c, kLengths, "nonpad_kv_seqlen"));
    if (c.has_input(kPastKey)) return invalid("nonpad_kv_seqlen does not go with past_key");
  }
  const int64_t mode = c.attr_int("qk_matmul_output_mode");
  if (mode < 0 || mode > 3) {
    return invalid("qk_matmul_output_mode " + std::to_string(mode) + " is not in [0, 3]");
  }
  return {};
}

Status infer_attention(OpContext& c) {
  MNN_RETURN_IF_ERROR(check_attention_types(c));
  const DType type = c.in[kQ].dtype;
  set_output(c, 0, type, std::nullopt);
  set_output(c, 1, c.in[kK].dtype, std::nullopt);
  set_output(c, 2, c.in[kV].dtype, std::nullopt);
  set_output(c, 3, type, std::nullopt);
  if (!c.rank_known(kQ) || !c.rank_known(kK) || !c.rank_known(kV)) return {};
  if (c.in[kQ].rank() != c.in[kK].rank() || c.in[kQ].rank() != c.in[kV].rank()) {
    return invalid("expected Q, K and V of one rank, found " + c.in[kQ].str() + ", " +
                   c.in[kK].str() + " and " + c.in[kV].str());
  }
  const int64_t kv_heads = c.attr_int("kv_num_heads");
  MNN_ASSIGN_OR_RETURN(const Heads q, split_heads(c.in[kQ], c.attr_int("q_num_heads"), "Q"));
  MNN_ASSIGN_OR_RETURN(const Heads k, split_heads(c.in[kK], kv_heads, "K"));
  MNN_ASSIGN_OR_RETURN(const Heads v, split_heads(c.in[kV], kv_heads, "V"));
  MNN_RETURN_IF_ERROR(same_dim(q.batch, k.batch, "batch"));
  MNN_RETURN_IF_ERROR(same_dim(q.batch, v.batch, "batch"));
  MNN_RETURN_IF_ERROR(same_dim(q.size, k.size, "head size"));
  MNN_RETURN_IF_ERROR(same_dim(k.heads, v.heads, "number of heads"));
  MNN_RETURN_IF_ERROR(same_dim(k.sequence, v.sequence, "sequence length"));
  if (q.heads.known() && k.heads.known() &&
      (k.heads.is(0) ? !q.heads.is(0) : q.heads.value() % k.heads.value() != 0)) {
    return invalid("the number of query heads " + q.heads.str() +
                   " is not a multiple of the key heads " + k.heads.str());
  }
  Dim total = k.sequence;
  if (c.has_input(kPastKey)) {
    for (const size_t i : {kPastKey, kPastValue}) {
      if (c.rank_known(i) && c.in[i].rank() != 4) {
        return invalid("expected a cache of rank 4, found " + c.in[i].str());
      }
    }
    total = c.rank_known(kPastKey) ? total + (*c.in[kPastKey].shape)[2] : Dim::unknown();
  }
  if (c.in[kQ].rank() == 4) {
    c.out[0].type.shape = Shape{q.batch, q.heads, q.sequence, v.size};
  } else {
    c.out[0].type.shape = Shape{q.batch, q.sequence, q.heads * v.size};
  }
  if (c.out.size() > 1) c.out[1].type.shape = Shape{k.batch, k.heads, total, k.size};
  if (c.out.size() > 2) c.out[2].type.shape = Shape{v.batch, v.heads, total, v.size};
  if (c.out.size() > 3) c.out[3].type.shape = Shape{q.batch, q.heads, q.sequence, total};
  return {};
}

// ---- Attention: kernel ----

// A tensor as (batch, heads, sequence, size) in double.
struct HeadTensor {
  std::vector<double> values;
  int64_t batch = 0, heads = 0, sequence = 0, size = 0;

  const double* row(int64_t b, int64_t h, int64_t s) const {
    return values.data() + ((b * heads + h) * sequence + s) * size;
  }
};

Result<HeadTensor> read_heads(const Tensor& t, int64_t heads) {
  HeadTensor r;
  MNN_ASSIGN_OR_RETURN(const std::vector<double> values, t.to_doubles());
  const auto& d = t.dims();
  if (t.rank() == 4) {
    r = {values, d[0], d[1], d[2], d[3]};
    return r;
  }
  r = {std::vector<double>(values.size()), d[0], heads, d[1], d[2] / heads};
  for (int64_t b = 0; b < r.batch; ++b) {
    for (int64_t s = 0; s < r.sequence; ++s) {
      for (int64_t h = 0; h < heads; ++h) {
        std::copy_n(values.data() + ((b * r.sequence + s) * heads + h) * r.size, r.size,
                    r.values.data() + ((b * heads + h) * r.sequence + s) * r.size);
      }
    }
  }
  return r;
}

// `past` followed by `now` along the sequence.
Result<HeadTensor> append(const HeadTensor& past, const HeadTensor& now) {
  if (past.batch != now.batch || past.heads != now.heads || past.size != now.size) {
    return invalid("the cache does not fit the keys and values");
  }
  HeadTensor r{{}, now.batch, now.heads, past.sequence + now.sequence, now.size};
  for (int64_t i = 0; i < now.batch * now.heads; ++i) {
    for (const HeadTensor* t : {&past, &now}) {
      const double* from = t->values.data() + i * t->sequence * t->size;
      r.values.insert(r.values.end(), from, from + t->sequence * t->size);
    }
  }
  return r;
}

// attn_mask, broadcast to (batch, heads, queries, keys); keys past its end are masked.
class Mask {
 public:
  static Result<Mask> make(const Tensor* t, const std::vector<int64_t>& dims) {
    Mask m;
    if (t == nullptr) return m;
    m.present_ = true;
    const std::string misfit =
        "attn_mask " + t->type_str() + " does not broadcast to " + shape_str(to_shape(dims));
    if (t->rank() > 4 || t->rank() < 1) return invalid(misfit);
    const auto strides = row_major_strides(t->dims());
    const size_t shift = 4 - t->rank();
    for (size_t d = 0; d < t->rank(); ++d) {
      const int64_t size = t->dims()[d], wanted = dims[shift + d];
      const bool keys = shift + d == 3;
      if (keys ? size > wanted : size != wanted && size != 1) return invalid(misfit);
      m.strides_[shift + d] = size == 1 && !keys ? 0 : strides[d];
    }
    m.keys_ = t->dims().back();
    MNN_ASSIGN_OR_RETURN(m.bias_, t->to_doubles());
    if (t->dtype() == DType::kBool) {
      for (double& v : m.bias_) v = v != 0 ? 0.0 : -std::numeric_limits<double>::infinity();
    }
    return m;
  }
  double bias(int64_t b, int64_t h, int64_t i, int64_t j) const {
    if (!present_) return 0;
    if (j >= keys_) return -std::numeric_limits<double>::infinity();
    const int64_t at = b * strides_[0] + h * strides_[1] + i * strides_[2] + j * strides_[3];
    return bias_[static_cast<size_t>(at)];
  }

 private:
  bool present_ = false;
  std::vector<double> bias_;
  int64_t strides_[4] = {0, 0, 0, 0};
  int64_t keys_ = 0;
};

// Probabilities in place; a row that is masked throughout becomes zero.
void softmax_row(std::vector<double>& row) {
  double most = -std::numeric_limits<double>::infinity(), sum = 0;
  for (const double v : row) most = std::max(most, v);
  for (double& v : row) {
    v = std::isinf(most) && most < 0 ? 0.0 : std::exp(v - most);
    sum += v;
  }
  if (sum == 0) return;
  for (double& v : row) v /= sum;
}

// How many keys come before the first query, per batch entry.
Result<std::vector<int64_t>> key_offsets(const KernelContext& c, const HeadTensor& q, int64_t past,
                                         int64_t total) {
  std::vector<int64_t> offsets(static_cast<size_t>(q.batch), past);
  if (!c.has_input(kLengths)) return offsets;
  MNN_ASSIGN_OR_RETURN(const auto lengths, read_ints(c, kLengths, "nonpad_kv_seqlen"));
  if (lengths.size() != offsets.size()) {
    return invalid("nonpad_kv_seqlen has " + std::to_string(lengths.size()) +
                   " entries for a batch of " + std::to_string(q.batch));
  }
  for (size_t b = 0; b < lengths.size(); ++b) {
    if (lengths[b] < 0 || lengths[b] > total) {
      return invalid("nonpad_kv_seqlen: " + std::to_string(lengths[b]) + " is not in [0, " +
                     std::to_string(total) + "]");
    }
    offsets[b] = lengths[b] - q.sequence;
  }
  return offsets;
}

Status reference_attention(KernelContext& c) {
  const int64_t kv_heads = c.attr_int("kv_num_heads");
  MNN_ASSIGN_OR_RETURN(const HeadTensor q, read_heads(*c.in[kQ], c.attr_int("q_num_heads")));
  MNN_ASSIGN_OR_RETURN(HeadTensor k, read_heads(*c.in[kK], kv_heads));
  MNN_ASSIGN_OR_RETURN(HeadTensor v, read_heads(*c.in[kV], kv_heads));
  int64_t past = 0;
  if (c.has_input(kPastKey)) {
    MNN_ASSIGN_OR_RETURN(const HeadTensor past_key, read_heads(*c.in[kPastKey], kv_heads));
    MNN_ASSIGN_OR_RETURN(const HeadTensor past_value, read_heads(*c.in[kPastValue], kv_heads));
    if (past_key.sequence != past_value.sequence) return invalid("the caches differ in length");
    past = past_key.sequence;
    MNN_ASSIGN_OR_RETURN(k, append(past_key, k));
    MNN_ASSIGN_OR_RETURN(v, append(past_value, v));
  }
  const int64_t total = k.sequence;
  MNN_ASSIGN_OR_RETURN(const auto offsets, key_offsets(c, q, past, total));
  MNN_ASSIGN_OR_RETURN(const Mask mask, Mask::make(c.has_input(kMask) ? c.in[kMask] : nullptr,
                                                   {q.batch, q.heads, q.sequence, total}));
  const double scale =
      c.has("scale") ? c.attr_float("scale") : 1.0 / std::sqrt(static_cast<double>(q.size));
  const double cap = c.attr_float("softcap");
  const bool causal = c.attr_int("is_causal") != 0;
  const int64_t left = c.attr_int("left_window_size"), right = c.attr_int("right_window_size");
  const int64_t mode = c.attr_int("qk_matmul_output_mode");
  const int64_t group = k.heads == 0 ? 1 : q.heads / k.heads;
  const bool four = c.in[kQ]->rank() == 4;
  std::vector<double> out(static_cast<size_t>(q.batch * q.heads * q.sequence * v.size));
  std::vector<double> scores;  // of the optional output
  std::vector<double> row(static_cast<size_t>(total));
  auto emit_scores = [&](int64_t wanted) {
    if (mode == wanted && c.has_output(3)) scores.insert(scores.end(), row.begin(), row.end());
  };
  for (int64_t b = 0; b < q.batch; ++b) {
    const int64_t offset = offsets[static_cast<size_t>(b)];
    const int64_t valid = c.has_input(kLengths) ? offset + q.sequence : total;
    for (int64_t h = 0; h < q.heads; ++h) {
      for (int64_t i = 0; i < q.sequence; ++i) {
        for (int64_t j = 0; j < total; ++j) {
          double dot = 0;
          for (int64_t e = 0; e < q.size; ++e) dot += q.row(b, h, i)[e] * k.row(b, h / group, j)[e];
          row[static_cast<size_t>(j)] = dot * scale;
        }
        emit_scores(0);
        if (cap > 0) {
          for (double& s : row) s = cap * std::tanh(s / cap);
        }
        emit_scores(1);
        for (int64_t j = 0; j < total; ++j) {
          double& s = row[static_cast<size_t>(j)];
          s += mask.bias(b, h, i, j);
          const int64_t ahead = j - (i + offset);
          if (j >= valid || (causal && ahead > 0) || (left >= 0 && -ahead > left) ||
              (right >= 0 && ahead > right)) {
            s = -std::numeric_limits<double>::infinity();
          }
        }
        emit_scores(2);
        softmax_row(row);
        emit_scores(3);
        const int64_t at =
            four ? (b * q.heads + h) * q.sequence + i : (b * q.sequence + i) * q.heads + h;
        double* to = out.data() + at * v.size;
        for (int64_t j = 0; j < total; ++j) {
          const double p = row[static_cast<size_t>(j)];
          if (p == 0) continue;
          for (int64_t e = 0; e < v.size; ++e) to[e] += p * v.row(b, h / group, j)[e];
        }
      }
    }
  }
  MNN_RETURN_IF_ERROR(store_doubles(c, 0, out));
  MNN_RETURN_IF_ERROR(store_doubles(c, 1, k.values));
  MNN_RETURN_IF_ERROR(store_doubles(c, 2, v.values));
  return store_doubles(c, 3, scores);
}

// ---- RotaryEmbedding ----

Status infer_rotary(OpContext& c) {
  set_output(c, 0, c.in[0].dtype, c.in[0].shape);
  for (size_t i = 0; i < 3; ++i) {
    if (c.in[i].dtype != c.in[0].dtype || !is_float(c.in[i].dtype)) {
      return invalid("expected x, cos_cache and sin_cache of one float type, found " +
                     c.in[0].str() + " and " + c.in[i].str());
    }
  }
  if (c.has_input(3)) MNN_RETURN_IF_ERROR(expect_integers(c, 3, "position_ids"));
  if (!c.rank_known(0)) return {};
  const Shape& x = *c.in[0].shape;
  if (x.size() != 3 && x.size() != 4)
    return invalid("expected rank 3 or 4, found " + c.in[0].str());
  const int64_t heads = c.attr_int("num_heads");
  if (x.size() == 3 && heads < 1) return invalid("an input of rank 3 needs num_heads");
  if (x.size() == 3 && x[2].known() && x[2].value() % heads != 0) {
    return invalid(c.in[0].str() + " does not divide into " + std::to_string(heads) + " heads");
  }
  return {};
}

Status reference_rotary(KernelContext& c) {
  const Tensor &x = *c.in[0], &cosines = *c.in[1], &sines = *c.in[2];
  const bool four = x.rank() == 4;
  const int64_t heads = four ? x.dims()[1] : c.attr_int("num_heads");
  const int64_t batch = x.dims()[0], sequence = x.dims()[four ? 2 : 1];
  const int64_t size = four ? x.dims()[3] : x.dims()[2] / heads;
  const int64_t given = c.attr_int("rotary_embedding_dim"), rotated = given == 0 ? size : given;
  if (rotated < 0 || rotated > size || rotated % 2 != 0) {
    return invalid("rotary_embedding_dim " + std::to_string(rotated) +
                   " is not an even number in [0, " + std::to_string(size) + "]");
  }
  const int64_t half = rotated / 2;
  std::vector<int64_t> rows;  // of the caches, per batch entry and step
  const size_t cache_rank = c.has_input(3) ? 2 : 3;
  if (cosines.dims() != sines.dims() || cosines.rank() != cache_rank ||
      cosines.dims().back() != half) {
    return invalid("expected caches of rank " + std::to_string(cache_rank) + " and width " +
                   std::to_string(half) + ", found " + cosines.type_str() + " and " +
                   sines.type_str());
  }
  if (c.has_input(3)) {
    MNN_ASSIGN_OR_RETURN(rows, read_ints(c, 3, "position_ids"));
    for (int64_t& r : rows) {
      MNN_ASSIGN_OR_RETURN(r, checked_index(r, cosines.dims()[0]));
    }
  } else {
    for (int64_t i = 0; i < cosines.dims()[0] * cosines.dims()[1]; ++i) rows.push_back(i);
  }
  if (static_cast<int64_t>(rows.size()) != batch * sequence) {
    return invalid("expected " + std::to_string(batch * sequence) + " positions, found " +
                   std::to_string(rows.size()));
  }
  const bool interleaved = c.attr_int("interleaved") != 0;
  MNN_ASSIGN_OR_RETURN(c.out[0], x.clone());
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t s = 0; s < sequence; ++s) {
        const int64_t row = rows[static_cast<size_t>(b * sequence + s)] * half;
        for (int64_t h = 0; h < heads; ++h) {
          const int64_t at = four ? (b * heads + h) * sequence + s : (b * sequence + s) * heads + h;
          const T* from = x.data<T>() + at * size;
          T* to = c.out[0].data<T>() + at * size;
          for (int64_t k = 0; k < half; ++k) {
            const int64_t i = interleaved ? 2 * k : k, j = interleaved ? 2 * k + 1 : k + half;
            const double cosine = load_as_compute(cosines.data<T>()[row + k]);
            const double sine = load_as_compute(sines.data<T>()[row + k]);
            const double a = load_as_compute(from[i]), d = load_as_compute(from[j]);
            to[i] = store_from_compute<T>(cosine * a - sine * d);
            to[j] = store_from_compute<T>(sine * a + cosine * d);
          }
        }
      }
    }
  });
  if (!done) return unsupported("element type " + std::string(dtype_name(x.dtype())));
  return {};
}

// Every query meets every key, and every output sums that many values. The heads of Q, K and V lie
// in a dim of their own or side by side in the last.
int64_t macs_of_attention(const MacsContext& c) {
  const auto *q = c.in(0), *k = c.in(1), *y = c.out(0), *past = c.in(4);
  if (q == nullptr || k == nullptr || y == nullptr || k->size() < 3) return 0;
  int64_t keys = (*k)[k->size() - 2];
  if (past != nullptr && past->size() == 4) keys = saturating_sum(keys, (*past)[2]);
  return saturating_sum(saturating_product(saturating_product(*q), keys),
                        saturating_product(saturating_product(*y), keys));
}

}  // namespace

std::vector<OpDef> define_attention() {
  const std::vector<AttrDef> attention = {
      {"is_causal", int64_t{0}},
      {"kv_num_heads", int64_t{0}},
      {"left_window_size", int64_t{-1}},
      {"q_num_heads", int64_t{0}},
      {"qk_matmul_output_mode", int64_t{0}},
      {"right_window_size", int64_t{-1}},
      {"scale", 0.0},
      {"softcap", 0.0},
      {"softmax_precision", int64_t{0}},
  };
  const std::vector<AttrDef> rotary = {
      {"interleaved", int64_t{0}},
      {"num_heads", int64_t{0}},
      {"rotary_embedding_dim", int64_t{0}},
  };
  return {
      {.name = "Attention",
       .min_inputs = 3,
       .max_inputs = 7,
       .attributes = attention,
       .infer = infer_attention,
       .reference = reference_attention,
       .max_outputs = 4,
       .macs = macs_of_attention,
       .gradient = attention_gradient},
      with_gradient(rotary_gradient,
                    {"RotaryEmbedding", 3, 4, {}, rotary, infer_rotary, reference_rotary}),
  };
}

}  // namespace mnn
