#include "libquant/weights/low_rank.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "libruntime/core/builder.h"
#include "libruntime/core/half.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/splitmix.h"

namespace mnn {
namespace {

constexpr int kIterations = 6;
constexpr int kMostSweeps = 60;  // of Jacobi's; a handful do

// A dense matrix, row after row.
struct Dense {
  int64_t rows = 0, columns = 0;
  std::vector<double> at;

  Dense() = default;
  Dense(int64_t r, int64_t c) : rows(r), columns(c), at(static_cast<size_t>(r * c), 0.0) {}
  double* row(int64_t i) { return at.data() + i * columns; }
  const double* row(int64_t i) const { return at.data() + i * columns; }
};

void over_rows(int64_t rows, ThreadPool& pool, const std::function<void(int64_t)>& one) {
  const int parts = pool.threads();
  pool.parallel(parts, [&](int part) {
    for (int64_t i = part; i < rows; i += parts) one(i);
  });
}

Dense product(const Dense& a, const Dense& b, ThreadPool& pool) {
  Dense c(a.rows, b.columns);
  over_rows(a.rows, pool, [&](int64_t i) {
    double* to = c.row(i);
    for (int64_t k = 0; k < a.columns; ++k) {
      const double f = a.row(i)[k];
      const double* from = b.row(k);
      for (int64_t j = 0; j < b.columns; ++j) to[j] += f * from[j];
    }
  });
  return c;
}

Dense turned(const Dense& a) {
  Dense t(a.columns, a.rows);
  for (int64_t i = 0; i < a.rows; ++i) {
    for (int64_t j = 0; j < a.columns; ++j) t.row(j)[i] = a.row(i)[j];
  }
  return t;
}

// Makes the rows orthonormal, twice over for the sake of rounding; what is a sum of the rows before
// becomes zero.
void orthonormalize(Dense& m, ThreadPool& pool) {
  std::vector<double> dots(static_cast<size_t>(m.rows));
  for (int64_t i = 0; i < m.rows; ++i) {
    double* row = m.row(i);
    const auto norm_of = [&] {
      return std::sqrt(std::inner_product(row, row + m.columns, row, 0.0));
    };
    const double before = norm_of();
    for (int twice = 0; twice < 2; ++twice) {
      over_rows(i, pool, [&](int64_t k) {
        dots[static_cast<size_t>(k)] = std::inner_product(row, row + m.columns, m.row(k), 0.0);
      });
      for (int64_t k = 0; k < i; ++k) {
        const double* other = m.row(k);
        for (int64_t j = 0; j < m.columns; ++j) row[j] -= dots[static_cast<size_t>(k)] * other[j];
      }
    }
    const double norm = norm_of();
    const double scale = norm > 1e-12 * before && norm > 0 ? 1 / norm : 0;
    for (int64_t j = 0; j < m.columns; ++j) row[j] *= scale;
  }
}

// Eigenvectors of a small symmetric matrix as the rows of the result, the largest eigenvalue first
// (Jacobi's rotations, in order).
Dense eigenvectors(Dense s, std::vector<double>& values) {
  const int64_t n = s.rows;
  Dense v(n, n);
  for (int64_t i = 0; i < n; ++i) v.row(i)[i] = 1;
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    double off = 0, all = 0;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const double square = s.row(i)[j] * s.row(i)[j];
        all += square;
        if (i != j) off += square;
      }
    }
    if (off <= 1e-26 * all) break;
    for (int64_t p = 0; p < n; ++p) {
      for (int64_t q = p + 1; q < n; ++q) {
        const double apq = s.row(p)[q];
        if (apq == 0) continue;
        const double theta = (s.row(q)[q] - s.row(p)[p]) / (2 * apq);
        const double t =
            (theta >= 0 ? 1.0 : -1.0) / (std::fabs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1), r = t * c;
        for (int64_t k = 0; k < n; ++k) {
          const double x = s.row(k)[p], y = s.row(k)[q];
          s.row(k)[p] = c * x - r * y;
          s.row(k)[q] = r * x + c * y;
        }
        for (Dense* m : {&s, &v}) {
          double *x = m->row(p), *y = m->row(q);
          for (int64_t k = 0; k < n; ++k) {
            const double a = x[k], b = y[k];
            x[k] = c * a - r * b;
            y[k] = r * a + c * b;
          }
        }
      }
    }
  }
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) { return s.row(a)[a] > s.row(b)[b]; });
  Dense sorted(n, n);
  values.clear();
  for (int64_t i = 0; i < n; ++i) {
    const int64_t from = order[static_cast<size_t>(i)];
    std::copy_n(v.row(from), n, sorted.row(i));
    values.push_back(std::max(0.0, s.row(from)[from]));
  }
  return sorted;
}

// The `count` leading left singular vectors of m as rows, about.
Dense leading(const Dense& m, int64_t count, ThreadPool& pool) {
  const Dense mt = turned(m);
  SplitMix64 random(1);
  Dense y(count, m.columns);
  for (double& v : y.at) v = 2 * random.uniform() - 1;
  Dense x = product(y, mt, pool);  // [count, rows of m]
  orthonormalize(x, pool);
  for (int i = 0; i < kIterations; ++i) {
    y = product(x, m, pool);
    orthonormalize(y, pool);
    x = product(y, mt, pool);
    orthonormalize(x, pool);
  }
  return x;
}

}  // namespace

Result<LowRank> low_rank_of(std::span<const double> m, int64_t inputs, int64_t outputs,
                            const Gram* gram, int64_t rank, ThreadPool& pool) {
  rank = std::min({rank, inputs, outputs});
  std::vector<double> l;
  if (gram != nullptr) {
    MNN_ASSIGN_OR_RETURN(l, gram->factor());
  }
  const auto factor = [&](int64_t i, int64_t j) { return l[static_cast<size_t>(i * inputs + j)]; };
  Dense white(inputs, outputs);  // L^T M
  over_rows(inputs, pool, [&](int64_t i) {
    double* to = white.row(i);
    for (int64_t k = i; k < (l.empty() ? i + 1 : inputs); ++k) {
      const double f = l.empty() ? 1 : factor(k, i);
      const double* from = m.data() + k * outputs;
      for (int64_t j = 0; j < outputs; ++j) to[j] += f * from[j];
    }
  });
  // Some more than are wanted, so that those that are wanted are right.
  const int64_t more = std::min({rank + std::max<int64_t>(8, rank / 4), inputs, outputs});
  const Dense x = leading(white, more, pool);   // [more, inputs]
  const Dense inner = product(x, white, pool);  // [more, outputs]
  std::vector<double> values;
  const Dense u = eigenvectors(product(inner, turned(inner), pool), values);
  LowRank out;
  out.rank = rank;
  Dense a = product(u, x, pool);            // left singular vectors as rows
  const Dense b = product(u, inner, pool);  // singular values times the right ones
  // A = L^-T U: backwards through the upper triangle.
  if (!l.empty()) {
    over_rows(more, pool, [&](int64_t r) {
      double* v = a.row(r);
      for (int64_t i = inputs; i-- > 0;) {
        double sum = v[i];
        for (int64_t k = i + 1; k < inputs; ++k) sum -= factor(k, i) * v[k];
        v[i] = sum / factor(i, i);
      }
    });
  }
  out.a.resize(static_cast<size_t>(inputs * rank));
  out.b.resize(static_cast<size_t>(rank * outputs));
  for (int64_t r = 0; r < rank; ++r) {
    // The two factors get numbers of about one size.
    double largest_a = 0, largest_b = 0;
    for (int64_t i = 0; i < inputs; ++i) largest_a = std::max(largest_a, std::fabs(a.row(r)[i]));
    for (int64_t j = 0; j < outputs; ++j) largest_b = std::max(largest_b, std::fabs(b.row(r)[j]));
    const bool none = !(largest_a > 0) || !(largest_b > 0);
    const double scale = none ? 0 : std::sqrt(largest_b / largest_a);
    for (int64_t i = 0; i < inputs; ++i)
      out.a[static_cast<size_t>(i * rank + r)] = a.row(r)[i] * scale;
    for (int64_t j = 0; j < outputs; ++j)
      out.b[static_cast<size_t>(r * outputs + j)] = none ? 0 : b.row(r)[j] / scale;
  }
  return out;
}

namespace {

// A constant of f32 that is stored as f16.
Result<ValueId> half_constant(Graph& graph, std::span<const double> numbers, int64_t rows,
                              int64_t columns, const std::string& name) {
  MNN_ASSIGN_OR_RETURN(Tensor wide, Tensor::allocate(DType::kF32, {rows, columns}));
  for (size_t i = 0; i < numbers.size(); ++i)
    wide.data<float>()[i] = static_cast<float>(numbers[i]);
  MNN_ASSIGN_OR_RETURN(const Tensor half, convert_floats(wide, DType::kF16));
  const ValueId id = graph.add_constant(wide, name);
  const GroupCodes codes = half_codes(half);
  graph.value(id).data = codes.stored;
  graph.value(id).quant = codes.params;
  return id;
}

}  // namespace

Result<LowRank> low_rank_of_error(const Tensor& weights, const GroupFormat& format,
                                  const GroupCodes& codes, const Gram* gram, int64_t rank,
                                  ThreadPool& pool) {
  MNN_ASSIGN_OR_RETURN(const Tensor back, dequantize_tensor(codes.stored, codes.params));
  const MatrixView view(weights.dims(), format);
  const int64_t inputs = view.inputs, outputs = view.outputs;
  std::vector<double> error(static_cast<size_t>(inputs * outputs));
  for (int64_t k = 0; k < inputs; ++k) {
    for (int64_t n = 0; n < outputs; ++n) {
      const int64_t at = view.at(k, n);
      error[static_cast<size_t>(k * outputs + n)] = static_cast<double>(weights.data<float>()[at]) -
                                                    static_cast<double>(back.data<float>()[at]);
    }
  }
  return low_rank_of(error, inputs, outputs, gram, rank, pool);
}

Result<Tensor> without_low_rank(const Tensor& weights, const GroupFormat& format,
                                const LowRank& terms) {
  MNN_ASSIGN_OR_RETURN(Tensor rest, weights.clone());
  const MatrixView view(weights.dims(), format);
  const int64_t inputs = view.inputs, outputs = view.outputs;
  std::vector<double> row(static_cast<size_t>(outputs));
  for (int64_t k = 0; k < inputs; ++k) {
    std::ranges::fill(row, 0.0);
    for (int64_t r = 0; r < terms.rank; ++r) {
      const double f = terms.a[static_cast<size_t>(k * terms.rank + r)];
      for (int64_t n = 0; n < outputs; ++n)
        row[static_cast<size_t>(n)] += f * terms.b[static_cast<size_t>(r * outputs + n)];
    }
    for (int64_t n = 0; n < outputs; ++n)
      rest.data<float>()[view.at(k, n)] -= static_cast<float>(row[static_cast<size_t>(n)]);
  }
  return rest;
}

Status add_low_rank(Graph& graph, NodeId id, const LowRank& terms) {
  const Node node = graph.node(id);
  const AttributeReader attributes(node, *find_op(node.op));
  const double alpha = node.op == "Gemm" ? attributes.attr_float("alpha") : 1.0;
  std::vector<double> b = terms.b;
  for (double& v : b) v *= alpha;
  const int64_t rank = terms.rank, inputs = std::ssize(terms.a) / rank,
                outputs = std::ssize(b) / rank;
  const std::string name = display_name(graph, node);
  MNN_ASSIGN_OR_RETURN(const ValueId thin,
                       half_constant(graph, terms.a, inputs, rank, name + "/low_rank/a"));
  MNN_ASSIGN_OR_RETURN(const ValueId wide,
                       half_constant(graph, b, rank, outputs, name + "/low_rank/b"));
  Builder builder(graph, node.origin);
  const ValueId term = builder.op("MatMul", {builder.op("MatMul", {node.inputs[0], thin}), wide});
  for (size_t i = 0; i < builder.made().size(); ++i)
    graph.nodes[static_cast<size_t>(builder.made()[i])].name =
        name + (i == 0 ? "/low_rank/down" : "/low_rank/up");
  Node& changed = graph.nodes[static_cast<size_t>(id)];
  changed.inputs.push_back(term);
  FusedOp add;
  add.op = "Add";
  add.operands = {static_cast<int>(changed.inputs.size()) - 1};
  changed.fused.insert(changed.fused.begin(), std::move(add));
  return {};
}

}  // namespace mnn
