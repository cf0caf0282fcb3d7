// Products of matrices, attention, Einsum.
#include <cmath>

#include "libconvert/frontends/torch/call.h"

namespace mnn::torch {
namespace {

void matmul(Call& c) {
  const std::string_view other = c.has_param("mat2")     ? "mat2"
                                 : c.has_param("vec")    ? "vec"
                                 : c.has_param("tensor") ? "tensor"
                                                         : "other";
  const DType type = c.promoted({"self", other});
  c.give(c.binary("MatMul", c.as("self", type), c.as(other, type)));
}

// x W^T + b; a matrix is one Gemm.
ValueId linear_of(Call& c, ValueId x, ValueId w, ValueId b) {
  if (c.type_of(x).shape && c.rank(x) == 2 && c.rank(w) == 2) {
    return c.emit("Gemm", {x, w, b}, {{"transB", int64_t{1}}});
  }
  const ValueId y = c.binary("MatMul", x, c.rank(w) == 2 ? c.transpose(w, {1, 0}) : w);
  return b == kNoValue ? y : c.binary("Add", y, b);
}
void linear(Call& c) {
  c.give(linear_of(c, c.tensor("input"), c.tensor("weight"), c.tensor("bias")));
}

// beta * self + alpha * (a @ b)
ValueId add_product(Call& c, ValueId a, ValueId b, bool gemm) {
  const ValueId self = c.tensor("self");
  const double beta = c.real("beta"), alpha = c.real("alpha");
  const DType type = c.dtype_of(a);
  if (gemm && kind_of(type) == TypeKind::kFloat) {
    return c.emit("Gemm", {a, b, self}, {{"alpha", alpha}, {"beta", beta}});
  }
  ValueId y = c.binary("MatMul", a, b);
  if (alpha != 1) y = c.binary("Mul", y, c.number(alpha, type));
  if (beta == 0) return y;
  return c.binary("Add", beta == 1 ? self : c.binary("Mul", self, c.number(beta, type)), y);
}
void addmm(Call& c) { c.give(add_product(c, c.tensor("mat1"), c.tensor("mat2"), true)); }
void baddbmm(Call& c) { c.give(add_product(c, c.tensor("batch1"), c.tensor("batch2"), false)); }
void addmv(Call& c) { c.give(add_product(c, c.tensor("mat"), c.tensor("vec"), false)); }
void addbmm(Call& c) {
  const ValueId product = c.binary("MatMul", c.tensor("batch1"), c.tensor("batch2"));
  ValueId y = c.reduce("ReduceSum", product, {0}, false);
  const DType type = c.dtype_of(y);
  if (c.real("alpha") != 1) y = c.binary("Mul", y, c.number(c.real("alpha"), type));
  const ValueId self = c.binary("Mul", c.tensor("self"), c.number(c.real("beta"), type));
  c.give(c.binary("Add", self, y));
}

void outer(Call& c) {
  c.give(
      c.binary("Mul", c.expand_dims(c.tensor("self"), {1}), c.expand_dims(c.tensor("vec2"), {0})));
}

void einsum(Call& c) {
  std::string equation;
  for (const char ch : c.text("equation")) {
    if (ch != ' ') equation += ch;
  }
  c.give(c.emit("Einsum", c.tensors("tensors"), {{"equation", equation}}));
}

// y[k] = sum over i, j of x1[i] W[k, i, j] x2[j]
void bilinear(Call& c) {
  const ValueId y = c.emit("Einsum", {c.tensor("input1"), c.tensor("weight"), c.tensor("input2")},
                           {{"equation", std::string("...i,kij,...j->...k")}});
  const ValueId bias = c.tensor("bias");
  c.give(bias == kNoValue ? y : c.binary("Add", y, bias));
}

void trilinear_norm(Call& c) {  // _weight_norm: v * (g / ||v||), the norm over all dims but one
  const ValueId v = c.tensor("v"), g = c.tensor("g");
  const auto rank = static_cast<int64_t>(c.rank(v));
  const int64_t dim = c.integer("dim");
  std::vector<int64_t> axes;
  const int64_t kept = dim == -1 ? -1 : c.normalized(dim, static_cast<size_t>(rank));
  for (int64_t i = 0; i < rank; ++i) {
    if (i != kept) axes.push_back(i);
  }
  const ValueId norm = c.reduce("ReduceL2", v, axes, kept >= 0);
  c.give(c.binary("Mul", v, c.binary("Div", g, norm)));
  if (c.op() == "aten::_weight_norm_interface") c.give(norm);
}

// Attention over [batch, heads, length, width]; ranks below and above are brought there.
void attention(Call& c) {
  ValueId q = c.tensor("query"), k = c.tensor("key"), v = c.tensor("value");
  if (c.real("dropout_p") != 0) {
    return c.refuse("attention drops values: call eval() before the export");
  }
  const size_t rank = c.rank(q);
  ValueId mask = c.has_param("attn_mask") ? c.tensor("attn_mask") : kNoValue;
  std::vector<IntArg> outer;
  if (rank < 4) {
    const auto four = [&](ValueId x) {
      std::vector<int64_t> axes;
      for (size_t i = c.rank(x); i < 4; ++i)
        axes.push_back(static_cast<int64_t>(rank == 3 ? 1 : i - c.rank(x)));
      return c.expand_dims(x, axes);
    };
    if (rank < 2) return c.fail(invalid("expected a query of rank 2 or more"));
    if (rank == 3 && mask != kNoValue && c.rank(mask) == 3) mask = c.expand_dims(mask, {1});
    q = four(q);
    k = four(k);
    v = four(v);
  } else if (rank > 4) {
    if (mask != kNoValue && c.rank(mask) > 2)
      return c.refuse("masks of attention over more than four dims");
    for (size_t i = 0; i + 3 < rank; ++i) outer.push_back(c.size(q, i));
    const auto merged = [&](ValueId x) {
      return c.view(x, {IntArg{-1}, c.size(x, rank - 3), c.size(x, rank - 2), c.size(x, rank - 1)});
    };
    q = merged(q);
    k = merged(k);
    v = merged(v);
  }
  if (mask != kNoValue && c.dtype_of(mask) != DType::kBool) mask = c.cast(mask, c.dtype_of(q));
  Call::Attributes attributes = {{"is_causal", int64_t{c.flag("is_causal")}}};
  if (!c.none("scale")) {
    const double scale = c.real("scale");
    if (scale == 0) {
      q = c.binary("Mul", q, c.number(0, c.dtype_of(q)));
    } else {
      attributes["scale"] = scale;
    }
  }
  ValueId y = c.emit("Attention", {q, k, v, mask}, attributes);
  if (rank == 3) y = c.squeeze(y, {1});
  if (rank == 2) y = c.squeeze(y, {0, 1});
  if (rank > 4) {
    for (size_t i = 1; i < 4; ++i) outer.push_back(c.size(y, i));
    y = c.view(y, outer);
  }
  c.give(y);
}

// The kernels that attention is decomposed to: the same, with results for training beside it.
void attention_kernel(Call& c) {
  attention(c);
  while (c.results.size() < c.call.row->schema.results.size()) c.give(Arg());
}

ValueId squared_distance(Call& c, ValueId a, ValueId b) {
  const auto rank = static_cast<int64_t>(c.rank(a));
  const ValueId d = c.binary("Sub", c.expand_dims(a, {rank - 1}), c.expand_dims(b, {rank - 2}));
  return d;
}

// Distances of all pairs of rows: (sum |d|^p)^(1/p).
ValueId minkowski(Call& c, ValueId d, double p, bool keep) {
  const auto last = static_cast<int64_t>(c.rank(d)) - 1;
  const DType type = c.dtype_of(d);
  if (p == 2) return c.reduce("ReduceL2", d, {last}, keep);
  if (p == 1) return c.reduce("ReduceL1", d, {last}, keep);
  const ValueId a = c.unary("Abs", d);
  if (std::isinf(p)) return c.reduce("ReduceMax", a, {last}, keep);
  if (p == 0) {
    const ValueId some = c.unary("Not", c.binary("Equal", d, c.number(0, type)));
    return c.reduce("ReduceSum", c.cast(some, type), {last}, keep);
  }
  const ValueId total = c.reduce("ReduceSum", c.binary("Pow", a, c.number(p, type)), {last}, keep);
  return c.binary("Pow", total, c.number(1 / p, type));
}
void cdist(Call& c) {
  if (c.rank(c.tensor("x1")) < 2) return c.fail(invalid("expected matrices"));
  c.give(minkowski(c, squared_distance(c, c.tensor("x1"), c.tensor("x2")), c.real("p"), false));
}
void pairwise_distance(Call& c) {
  const ValueId d = c.binary("Sub", c.tensor("x1"), c.tensor("x2"));
  const ValueId moved = c.binary("Add", d, c.number(c.real("eps"), c.dtype_of(d)));
  c.give(minkowski(c, moved, c.real("p"), c.flag("keepdim")));
}
// Of all pairs the ones above the diagonal, row by row.
void pdist(Call& c) {
  const ValueId x = c.tensor("self");
  if (c.rank(x) != 2) return c.fail(invalid("expected a matrix"));
  const int64_t n = c.known_dim(x, 0);
  constexpr int64_t kMost = 1 << 13;
  if (n > kMost) return c.refuse("too many rows");
  std::vector<int64_t> first, second;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = i + 1; j < n; ++j) {
      first.push_back(i);
      second.push_back(j);
    }
  }
  const ValueId d =
      c.binary("Sub", c.gather(x, c.add_ints(first), 0), c.gather(x, c.add_ints(second), 0));
  c.give(minkowski(c, d, c.real("p"), false));
}

void cosine_similarity(Call& c) {
  const ValueId a = c.tensor("x1"), b = c.tensor("x2");
  const DType type = c.dtype_of(a);
  const ValueId eps = c.number(c.real("eps"), type);
  const int64_t axis = c.axis("dim", std::max(c.rank(a), c.rank(b)));
  const ValueId dot = c.reduce("ReduceSum", c.binary("Mul", a, b), {axis}, false);
  const auto norm = [&](ValueId v) {
    return c.binary("Max", c.reduce("ReduceL2", v, {axis}, false), eps);
  };
  c.give(c.binary("Div", dot, c.binary("Mul", norm(a), norm(b))));
}

void tensordot(Call& c) {
  const ValueId a = c.tensor("self"), b = c.tensor("other");
  const size_t ra = c.rank(a), rb = c.rank(b);
  const std::vector<int64_t> da = c.ints("dims_self"), db = c.ints("dims_other");
  if (da.size() != db.size() || ra + rb > 52) return c.fail(invalid("bad dims"));
  std::string left, right, out;
  char next = 'a';
  for (size_t i = 0; i < ra; ++i) left += next++;
  for (size_t i = 0; i < rb; ++i) right += next <= 'z' ? next++ : 'A';
  for (size_t i = 0; i < da.size(); ++i) {
    right[static_cast<size_t>(c.normalized(db[i], rb))] =
        left[static_cast<size_t>(c.normalized(da[i], ra))];
  }
  for (const char ch : left) {
    if (right.find(ch) == std::string::npos) out += ch;
  }
  for (const char ch : right) {
    if (left.find(ch) == std::string::npos) out += ch;
  }
  c.give(c.emit("Einsum", {a, b}, {{"equation", left + "," + right + "->" + out}}));
}

}  // namespace

std::vector<RowText> matmul_rows() {
  return {
      {"matmul(Tensor self, Tensor other) -> Tensor", "MatMul", matmul},
      {"mm(Tensor self, Tensor mat2) -> Tensor", "MatMul", matmul},
      {"bmm(Tensor self, Tensor mat2) -> Tensor", "MatMul", matmul},
      {"mv(Tensor self, Tensor vec) -> Tensor", "MatMul", matmul},
      {"dot(Tensor self, Tensor tensor) -> Tensor", "MatMul", matmul},
      {"linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor", "Gemm; MatMul, Add",
       linear},
      {"addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
       "Gemm", addmm},
      {"baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> "
       "Tensor",
       "MatMul, Add", baddbmm},
      {"addbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> "
       "Tensor",
       "MatMul, ReduceSum, Add", addbmm},
      {"addmv(Tensor self, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
       "MatMul, Add", addmv},
      {"outer(Tensor self, Tensor vec2) -> Tensor", "Mul", outer},
      {"ger(Tensor self, Tensor vec2) -> Tensor", "Mul", outer},
      {"einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor", "Einsum", einsum},
      {"tensordot(Tensor self, Tensor other, int[] dims_self, int[] dims_other) -> Tensor",
       "Einsum", tensordot},
      {"bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor",
       "Einsum, Add", bilinear},
      {"_weight_norm(Tensor v, Tensor g, int dim=0) -> Tensor", "ReduceL2, Div, Mul",
       trilinear_norm},
      {"_weight_norm_interface(Tensor v, Tensor g, int dim=0) -> (Tensor, Tensor)",
       "ReduceL2, Div, Mul", trilinear_norm},
      {"scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? "
       "attn_mask=None, float dropout_p=0.0, bool is_causal=False, *, float? scale=None, bool "
       "enable_gqa=False) -> Tensor",
       "Attention", attention},
      {"_scaled_dot_product_flash_attention_for_cpu(Tensor query, Tensor key, Tensor value, float "
       "dropout_p=0.0, bool is_causal=False, *, Tensor? attn_mask=None, float? scale=None) -> "
       "(Tensor output, Tensor logsumexp)",
       "Attention", attention_kernel},
      {"cdist(Tensor x1, Tensor x2, float p=2, int? compute_mode=None) -> Tensor", "Sub, ReduceL2",
       cdist},
      {"_cdist_forward(Tensor x1, Tensor x2, float p, int? compute_mode) -> Tensor",
       "Sub, ReduceL2", cdist},
      {"_pdist_forward(Tensor self, float p=2) -> Tensor", "Gather, Sub, ReduceL2", pdist},
      {"pdist(Tensor self, float p=2) -> Tensor", "Gather, Sub, ReduceL2", pdist},
      {"pairwise_distance(Tensor x1, Tensor x2, float p=2, float eps=1e-06, bool keepdim=False) "
       "-> Tensor",
       "Sub, Add, ReduceL2", pairwise_distance},
      {"cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor",
       "Mul, ReduceSum, ReduceL2, Max, Div", cosine_similarity},
  };
}

}  // namespace mnn::torch
