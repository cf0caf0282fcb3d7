// Matrix products: MatMul, Gemm, the determinant.
#include "libruntime/core/ops/matmul.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "libruntime/core/builder.h"
#include "libruntime/core/ops/broadcast.h"
#include "libruntime/core/ops/gradients.h"
#include "libruntime/core/ops/macs.h"
#include "libruntime/core/ops/numeric.h"
#include "libruntime/core/ops/type_checks.h"

namespace mnn {

Result<std::optional<Shape>> matmul_shape(const OpContext& c, size_t ia, size_t ib) {
  if (!c.rank_known(ia) || !c.rank_known(ib)) return std::optional<Shape>();
  Shape a = *c.in[ia].shape, b = *c.in[ib].shape;
  if (a.empty() || b.empty()) {
    return invalid("expected operands of rank 1 or more, found " + c.in[ia].str() + " and " +
                   c.in[ib].str());
  }
  const bool vector_a = a.size() == 1, vector_b = b.size() == 1;
  if (vector_a) a.insert(a.begin(), Dim(1));
  if (vector_b) b.push_back(Dim(1));
  const Dim &inner_a = a.back(), &inner_b = b[b.size() - 2];
  if (inner_a.known() && inner_b.known() && !inner_a.same(inner_b)) {
    return invalid("inner dimensions of " + c.in[ia].str() + " and " + c.in[ib].str() +
                   " differ: " + inner_a.str() + " and " + inner_b.str());
  }
  MNN_ASSIGN_OR_RETURN(
      Shape y, broadcast_shapes(Shape(a.begin(), a.end() - 2), Shape(b.begin(), b.end() - 2)));
  if (!vector_a) y.push_back(a[a.size() - 2]);
  if (!vector_b) y.push_back(b.back());
  return std::optional<Shape>(std::move(y));
}

MatMulPlan::MatMulPlan(std::vector<int64_t> a, std::vector<int64_t> b) {
  if (a.size() == 1) a.insert(a.begin(), 1);
  if (b.size() == 1) b.push_back(1);
  rows = a[a.size() - 2];
  inner = a.back();
  columns = b.back();
  batch_a.assign(a.begin(), a.end() - 2);
  batch_b.assign(b.begin(), b.end() - 2);
  const size_t rank = std::max(batch_a.size(), batch_b.size());
  batch.assign(rank, 1);
  for (const auto* d : {&batch_a, &batch_b}) {
    for (size_t i = 0; i < d->size(); ++i) {
      int64_t& out = batch[rank - d->size() + i];
      if ((*d)[i] != 1) out = (*d)[i];
    }
  }
}

namespace {

constexpr TypeMask kMatMulTypes =
    kFloats | mask_of(DType::kI32, DType::kI64, DType::kU32, DType::kU64);

// activation_bits 8: the rows of the first input are rounded to s8 as the node runs, each with its
// largest magnitude at 127 (rows as the product sees them). 0: they are taken as they come.
const AttrDef kActivationBits = {"activation_bits", int64_t{0}};

Status check_activation_bits(const OpContext& c) {
  const int64_t bits = c.attr_int(kActivationBits.name);
  if (bits != 0 && bits != 8)
    return invalid("activation_bits " + std::to_string(bits) + ": expected 0 or 8");
  return bits == 0 ? Status() : expect_input(c, 0, mask_of(DType::kF32));
}

// What such rows stand for. A row without a finite largest magnitude is NaN, one of less than
// 1e-30 is zero.
Result<Tensor> rounded_rows(const Tensor& a, bool transposed) {
  MNN_ASSIGN_OR_RETURN(Tensor rounded, Tensor::allocate(DType::kF32, a.dims()));
  const int64_t inner = a.dims().empty() || a.elements() == 0 ? 0 : a.dims().back();
  const int64_t k = transposed ? a.dims()[0] : inner;
  const int64_t step = transposed ? inner : 1;
  for (int64_t r = 0; k > 0 && r < a.elements() / k; ++r) {
    const float* from = a.data<float>() + (transposed ? r : r * k);
    float* to = rounded.data<float>() + (transposed ? r : r * k);
    float largest = 0;
    for (int64_t i = 0; i < k; ++i) {
      const float x = std::fabs(from[i * step]);
      if (!(x <= largest)) largest = x;  // stays NaN
      if (std::isnan(largest)) break;
    }
    const bool finite = std::isfinite(largest), none = finite && largest < 1e-30f;
    const float factor = 127.0f / largest, scale = largest / 127.0f;
    for (int64_t i = 0; i < k; ++i) {
      to[i * step] = none     ? 0.0f
                     : finite ? std::nearbyint(from[i * step] * factor) * scale
                              : std::numeric_limits<float>::quiet_NaN();
    }
  }
  return rounded;
}

Status infer_matmul(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kMatMulTypes));
  MNN_RETURN_IF_ERROR(expect_like(c, 1, 0));
  MNN_RETURN_IF_ERROR(check_activation_bits(c));
  c.out[0].type.dtype = c.in[0].dtype;
  MNN_ASSIGN_OR_RETURN(c.out[0].type.shape, matmul_shape(c, 0, 1));
  return {};
}

Status matmul_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  Tensor a = *c.in[0];
  const Tensor& b = *c.in[1];
  if (y->elements() == 0) return {};
  if (c.attr_int(kActivationBits.name) != 0) {
    MNN_ASSIGN_OR_RETURN(a, rounded_rows(a, false));
  }
  const bool done = dispatch_numeric(a.dtype(), [&]<typename T>() {
    const MatMulPlan p(a.dims(), b.dims());
    std::vector<compute_t<T>> row(static_cast<size_t>(p.columns));
    p.for_each_batch([&](int64_t index, int64_t index_a, int64_t index_b) {
      const T* const left = a.data<T>() + index_a * p.rows * p.inner;
      const T* const right = b.data<T>() + index_b * p.inner * p.columns;
      T* out = y->data<T>() + index * p.rows * p.columns;
      for (int64_t i = 0; i < p.rows; ++i) {
        std::fill(row.begin(), row.end(), compute_t<T>(0));
        for (int64_t k = 0; k < p.inner; ++k) {
          const compute_t<T> factor = load_as_compute(left[i * p.inner + k]);
          const T* const line = right + k * p.columns;
          for (int64_t j = 0; j < p.columns; ++j) {
            compute_t<T>& sum = row[static_cast<size_t>(j)];
            sum = wrap_add(sum, wrap_mul(factor, load_as_compute(line[j])));
          }
        }
        for (const compute_t<T> v : row) *out++ = store_from_compute<T>(v);
      }
    });
  });
  return done ? Status() : no_kernel_for(c, a.dtype());
}

Status infer_gemm(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, kMatMulTypes));
  MNN_RETURN_IF_ERROR(expect_like(c, 1, 0));
  if (c.has_input(2)) MNN_RETURN_IF_ERROR(expect_like(c, 2, 0));
  MNN_RETURN_IF_ERROR(expect_rank(c, 0, 2));
  MNN_RETURN_IF_ERROR(expect_rank(c, 1, 2));
  MNN_RETURN_IF_ERROR(check_activation_bits(c));
  const bool trans_a = c.attr_int("transA") != 0, trans_b = c.attr_int("transB") != 0;
  c.out[0].type.dtype = c.in[0].dtype;
  Shape y = {Dim::unknown(), Dim::unknown()};
  if (c.rank_known(0)) y[0] = (*c.in[0].shape)[trans_a ? 1 : 0];
  if (c.rank_known(1)) y[1] = (*c.in[1].shape)[trans_b ? 0 : 1];
  if (c.rank_known(0) && c.rank_known(1)) {
    MNN_RETURN_IF_ERROR(expect_dim((*c.in[1].shape)[trans_b ? 1 : 0],
                                   (*c.in[0].shape)[trans_a ? 0 : 1],
                                   "inner dimension of input 1"));
  }
  if (c.rank_known(2)) {
    const Shape& bias = *c.in[2].shape;
    bool fits = bias.size() <= 2;
    for (size_t i = 0; fits && i < bias.size(); ++i) {
      const Dim &d = bias[i], &o = y[i + 2 - bias.size()];
      fits = !d.known() || d.is(1) || !o.known() || d.same(o);
    }
    if (!fits) {
      return invalid("input 2: " + c.in[2].str() + " does not broadcast to " + shape_str(y));
    }
  }
  c.out[0].type.shape = std::move(y);
  return {};
}

// alpha and beta scale integers in double, rounded towards zero, unless they are 1.
template <typename T>
compute_t<T> scale(double factor, compute_t<T> value) {
  if constexpr (std::is_integral_v<T>) {
    return factor == 1.0 ? value : saturate<T>(factor * static_cast<double>(value));
  } else {
    return factor * value;
  }
}

Status gemm_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  Tensor a = *c.in[0];
  const Tensor& b = *c.in[1];
  if (y->elements() == 0) return {};
  const bool trans_a = c.attr_int("transA") != 0, trans_b = c.attr_int("transB") != 0;
  if (c.attr_int(kActivationBits.name) != 0) {
    MNN_ASSIGN_OR_RETURN(a, rounded_rows(a, trans_a));
  }
  const double alpha = c.attr_float("alpha"), beta = c.attr_float("beta");
  const int64_t m = y->dims()[0], n = y->dims()[1], inner = a.dims()[trans_a ? 0 : 1];
  const int64_t a_row = trans_a ? 1 : inner, a_step = trans_a ? m : 1;
  const int64_t b_column = trans_b ? inner : 1, b_step = trans_b ? 1 : n;
  const bool done = dispatch_numeric(a.dtype(), [&]<typename T>() {
    using C = compute_t<T>;
    std::vector<C> row(static_cast<size_t>(n));
    for (int64_t i = 0; i < m; ++i) {
      std::fill(row.begin(), row.end(), C(0));
      const T* const left = a.data<T>() + i * a_row;
      if (trans_b) {
        for (int64_t j = 0; j < n; ++j) {
          C& sum = row[static_cast<size_t>(j)];
          const T* const right = b.data<T>() + j * b_column;
          for (int64_t k = 0; k < inner; ++k) {
            sum = wrap_add(sum,
                           wrap_mul(load_as_compute(left[k * a_step]), load_as_compute(right[k])));
          }
        }
      } else {
        for (int64_t k = 0; k < inner; ++k) {
          const C factor = load_as_compute(left[k * a_step]);
          const T* const right = b.data<T>() + k * b_step;
          for (int64_t j = 0; j < n; ++j) {
            C& sum = row[static_cast<size_t>(j)];
            sum = wrap_add(sum, wrap_mul(factor, load_as_compute(right[j])));
          }
        }
      }
      for (int64_t j = 0; j < n; ++j)
        row[static_cast<size_t>(j)] = scale<T>(alpha, row[static_cast<size_t>(j)]);
      if (c.has_input(2)) {
        const std::vector<int64_t>& d = c.in[2]->dims();
        const int64_t step_j = d.empty() || d.back() == 1 ? 0 : 1;
        const int64_t step_i = d.size() < 2 || d[0] == 1 ? 0 : d[1];
        const T* const bias = c.in[2]->data<T>() + i * step_i;
        for (int64_t j = 0; j < n; ++j) {
          C& sum = row[static_cast<size_t>(j)];
          sum = wrap_add(sum, scale<T>(beta, load_as_compute(bias[j * step_j])));
        }
      }
      T* const out = y->data<T>() + i * n;
      for (int64_t j = 0; j < n; ++j) {
        out[j] = store_from_compute<T>(row[static_cast<size_t>(j)]);
      }
    }
  });
  return done ? Status() : no_kernel_for(c, a.dtype());
}

Status infer_det(OpContext& c) {
  MNN_RETURN_IF_ERROR(infer_same_type<kFloats>(c));
  if (!c.rank_known(0)) return {};
  Shape& y = *c.out[0].type.shape;
  if (y.size() < 2) return invalid("input 0: expected rank 2 or more, found " + c.in[0].str());
  MNN_RETURN_IF_ERROR(expect_dim(y.back(), y[y.size() - 2], "columns of the matrix"));
  y.resize(y.size() - 2);
  return {};
}

// Gaussian elimination with the largest pivot of each column; `m` is destroyed.
double determinant(std::vector<double>& m, int64_t n) {
  auto at = [&](int64_t i, int64_t j) -> double& { return m[static_cast<size_t>(i * n + j)]; };
  double det = 1.0;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t i = k + 1; i < n; ++i) {
      if (std::fabs(at(i, k)) > std::fabs(at(pivot, k))) pivot = i;
    }
    if (at(pivot, k) == 0.0) return 0.0;
    if (pivot != k) {
      for (int64_t j = k; j < n; ++j) std::swap(at(pivot, j), at(k, j));
      det = -det;
    }
    det *= at(k, k);
    for (int64_t i = k + 1; i < n; ++i) {
      const double factor = at(i, k) / at(k, k);
      for (int64_t j = k + 1; j < n; ++j) at(i, j) -= factor * at(k, j);
    }
  }
  return det;
}

Status det_reference(KernelContext& c) {
  MNN_ASSIGN_OR_RETURN(Tensor* const y, c.make(0));
  const Tensor& x = *c.in[0];
  if (y->elements() == 0) return {};
  const int64_t n = x.dims().back();
  const bool done = dispatch_float(x.dtype(), [&]<typename T>() {
    std::vector<double> matrix(static_cast<size_t>(n * n));
    for (int64_t i = 0; i < y->elements(); ++i) {
      const T* const in = x.data<T>() + i * n * n;
      for (size_t k = 0; k < matrix.size(); ++k) matrix[k] = load_as_compute(in[k]);
      y->data<T>()[i] = store_from_compute<T>(determinant(matrix, n));
    }
  });
  return done ? Status() : no_kernel_for(c, x.dtype());
}

int64_t macs_of_gemm(const MacsContext& c) {
  if (c.attr_int("transA") == 0) return macs_of_matmul(c);
  const auto *a = c.in(0), *y = c.out(0);
  if (a == nullptr || y == nullptr || a->empty()) return 0;
  return saturating_product(saturating_product(*y), a->front());
}

}  // namespace

std::vector<OpDef> define_matmul() {
  return {
      {.name = "MatMul",
       .min_inputs = 2,
       .max_inputs = 2,
       .traits = kLinear,
       .attributes = {kActivationBits},
       .infer = infer_matmul,
       .reference = matmul_reference,
       .macs = macs_of_matmul,
       .gradient = matmul_gradient},
      {.name = "Gemm",
       .min_inputs = 2,
       .max_inputs = 3,
       .traits = kLinear,
       .attributes = {{"alpha", 1.0},
                      {"beta", 1.0},
                      {"transA", int64_t{0}},
                      {"transB", int64_t{0}},
                      kActivationBits},
       .infer = infer_gemm,
       .reference = gemm_reference,
       .macs = macs_of_gemm,
       .gradient = gemm_gradient},
      {"Det", 1, 1, {}, {}, infer_det, det_reference},
  };
}

}  // namespace mnn
