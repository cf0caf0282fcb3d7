#include "libquant/weights/gptq.h"

#include "libruntime/core/ops/axis.h"
#include "libruntime/core/quant.h"

namespace mnn {
namespace {

// [begin, end) of `count` for one of `parts`.
std::pair<int64_t, int64_t> share(int64_t count, int part, int parts) {
  return {count * part / parts, count * (part + 1) / parts};
}

// L of A = L L^T, the lower triangle in rows of `n`; `a(i, j)` gives A for j <= i. Empty where A is
// not positive definite.
template <typename F>
std::vector<double> cholesky(int64_t n, F&& a) {
  std::vector<double> l(static_cast<size_t>(n * n), 0.0);
  for (int64_t i = 0; i < n; ++i) {
    double* row = &l[static_cast<size_t>(i * n)];
    for (int64_t j = 0; j <= i; ++j) {
      const double* other = &l[static_cast<size_t>(j * n)];
      double dot = 0;
      for (int64_t k = 0; k < j; ++k) dot += row[k] * other[k];
      const double sum = a(i, j) - dot;
      if (i == j && !(sum > 0)) return {};
      row[j] = i == j ? std::sqrt(sum) : sum / other[j];
    }
  }
  return l;
}

// L of the Gram matrix with `damping` on its diagonal; empty where that is not positive definite.
std::vector<double> damped_factor(const Gram& gram, double damping) {
  return cholesky(gram.size(),
                  [&](int64_t i, int64_t j) { return gram.at(i, j) + (i == j ? damping : 0); });
}

double mean_of_diagonal(const Gram& gram) {
  double mean = 0;
  for (int64_t k = 0; k < gram.size(); ++k)
    mean += gram.at(k, k) / static_cast<double>(gram.size());
  return mean;
}

// What `make` makes with a damping of a hundredth of the diagonal's mean, ten times more as long as
// that comes out empty.
template <typename F>
Result<std::vector<double>> with_damping(const Gram& gram, F&& make) {
  const double mean = mean_of_diagonal(gram);
  if (!std::isfinite(mean)) return invalid("the layer's inputs are not finite");
  for (double damping = 0.01 * mean + 1e-12; std::isfinite(damping); damping *= 10) {
    std::vector<double> made = make(damping);
    if (!made.empty()) return made;
  }
  return invalid("the layer's inputs have no usable Gram matrix");
}

// The upper triangle U, in rows, of H^-1 = U^T U for the damped Gram matrix H; empty where H is not
// positive definite.
std::vector<double> inverse_factor(const Gram& gram, double damping) {
  const int64_t n = gram.size();
  const auto at = [n](int64_t i, int64_t j) { return static_cast<size_t>(i * n + j); };
  const std::vector<double> l = damped_factor(gram, damping);
  if (l.empty()) return {};
  // M = L^-1, lower; H^-1 = M^T M.
  std::vector<double> m(static_cast<size_t>(n * n), 0.0);
  for (int64_t i = 0; i < n; ++i) {
    double* row = &m[at(i, 0)];
    for (int64_t k = 0; k < i; ++k) {
      const double f = l[at(i, k)];
      const double* other = &m[at(k, 0)];
      for (int64_t j = 0; j <= k; ++j) row[j] -= f * other[j];
    }
    const double scale = 1 / l[at(i, i)];
    for (int64_t j = 0; j < i; ++j) row[j] *= scale;
    row[i] = scale;
  }
  std::vector<double> inverse(static_cast<size_t>(n * n), 0.0);
  for (int64_t k = 0; k < n; ++k) {
    const double* row = &m[at(k, 0)];
    for (int64_t i = 0; i <= k; ++i) {
      double* to = &inverse[at(i, 0)];
      for (int64_t j = 0; j <= i; ++j) to[j] += row[i] * row[j];
    }
  }
  const std::vector<double> c =
      cholesky(n, [&](int64_t i, int64_t j) { return inverse[at(i, j)]; });
  std::vector<double> u(c.size(), 0.0);
  for (int64_t i = 0; i < n && !c.empty(); ++i) {
    for (int64_t j = i; j < n; ++j) u[at(i, j)] = c[at(j, i)];
  }
  return u;
}

}  // namespace

Result<std::vector<double>> Gram::factor() const {
  return with_damping(*this, [&](double damping) { return damped_factor(*this, damping); });
}

void Gram::add(const float* x, int64_t rows, int64_t row_stride, int64_t stride, ThreadPool& pool) {
  rows_ += rows;
  // Panels of rows, so that what is read stays near; each sum is made in the order of the rows.
  constexpr int64_t kPanel = 64;
  const int parts = pool.threads();
  std::vector<double> panel(static_cast<size_t>(kPanel * size_));
  for (int64_t begin = 0; begin < rows; begin += kPanel) {
    const int64_t count = std::min(kPanel, rows - begin);
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t i = 0; i < size_; ++i)
        panel[static_cast<size_t>(r * size_ + i)] =
            static_cast<double>(x[(begin + r) * row_stride + i * stride]);
    }
    pool.parallel(parts, [&](int part) {
      // Rows of the triangle are longer towards the end: they are dealt in turn.
      for (int64_t i = part; i < size_; i += parts) {
        double* to = &sums_[static_cast<size_t>(i * size_)];
        for (int64_t r = 0; r < count; ++r) {
          const double* row = &panel[static_cast<size_t>(r * size_)];
          const double f = row[i];
          if (f == 0) continue;
          for (int64_t j = 0; j <= i; ++j) to[j] += f * row[j];
        }
      }
    });
  }
}

void Gram::add(const Tensor& t, int axis, ThreadPool& pool) {
  const auto rank = static_cast<int>(t.rank());
  const int at = axis < 0 ? axis + rank : axis;
  if (at < 0 || at >= rank || t.dims()[static_cast<size_t>(at)] != size_) return;
  const AxisLines lines(t.dims(), static_cast<size_t>(at));
  const float* x = t.data<float>();
  if (lines.inner == 1) return add(x, lines.outer, size_, 1, pool);
  for (int64_t o = 0; o < lines.outer; ++o)
    add(x + o * size_ * lines.inner, lines.inner, 1, lines.inner, pool);
}

bool is_matrix(const std::vector<int64_t>& dims, const GroupFormat& format) {
  for (size_t d = 0; d < dims.size(); ++d) {
    if (static_cast<int>(d) != format.axis && static_cast<int>(d) != format.channel_axis &&
        dims[d] != 1)
      return false;
  }
  return format.axis != format.channel_axis;
}

Result<GroupCodes> encode_gptq(const Tensor& weights, const GroupFormat& format, const Gram& gram,
                               ThreadPool& pool) {
  MNN_RETURN_IF_ERROR(check_group_format(weights, format));
  if (!is_matrix(weights.dims(), format) ||
      gram.size() != weights.dims()[static_cast<size_t>(format.axis)]) {
    return internal_error("weights of type " + weights.type_str() + " are no matrix of the inputs");
  }
  const MatrixView view(weights.dims(), format);
  const int64_t inputs = view.inputs;
  const double mean = mean_of_diagonal(gram);
  MNN_ASSIGN_OR_RETURN(const std::vector<double> u, with_damping(gram, [&](double damping) {
                         return inverse_factor(gram, damping);
                       }));
  const bool half = fits_half_scales(weights, format);
  const GroupEncoder encoder(format, GroupFit::kSearch, half);
  const int64_t group = format.group > 0 ? format.group : inputs;
  const int64_t parts_of = format.group > 0 ? (inputs + group - 1) / group : 1;
  std::vector<double> codes(static_cast<size_t>(weights.elements()));
  std::vector<double> scales(static_cast<size_t>(view.outputs * parts_of)), zeros(scales.size());
  const float* w = weights.data<float>();
  const int threads = pool.threads();
  pool.parallel(threads, [&](int part) {
    const auto [first, last] = share(view.outputs, part, threads);
    const int64_t width = last - first;
    if (width == 0) return;
    // What is left to code, [inputs, width], and the errors of one row.
    std::vector<double> left(static_cast<size_t>(inputs * width)),
        error(static_cast<size_t>(width));
    for (int64_t k = 0; k < inputs; ++k) {
      for (int64_t n = 0; n < width; ++n)
        left[static_cast<size_t>(k * width + n)] = static_cast<double>(w[view.at(k, first + n)]);
    }
    WeightGroup g;
    for (int64_t k = 0; k < inputs; ++k) {
      if (k % group == 0) {
        const int64_t end = std::min(inputs, k + group);
        for (int64_t n = 0; n < width; ++n) {
          g.w.clear();
          g.h.clear();
          for (int64_t i = k; i < end; ++i) {
            g.w.push_back(left[static_cast<size_t>(i * width + n)]);
            g.h.push_back(gram.at(i, i) + 0.01 * mean);
          }
          encoder.encode(g);
          const auto e = static_cast<size_t>(view.entry(k, first + n, format.group));
          scales[e] = g.scale;
          zeros[e] = g.zero;
        }
      }
      const double* row = &u[static_cast<size_t>(k * inputs)];
      for (int64_t n = 0; n < width; ++n) {
        const auto e = static_cast<size_t>(view.entry(k, first + n, format.group));
        const double value = left[static_cast<size_t>(k * width + n)];
        const double code = encoder.code_of(value, scales[e], zeros[e]);
        codes[static_cast<size_t>(view.at(k, first + n))] = code;
        error[static_cast<size_t>(n)] = (value - (code - zeros[e]) * scales[e]) / row[k];
      }
      for (int64_t j = k + 1; j < inputs; ++j) {
        const double f = row[j];
        double* to = &left[static_cast<size_t>(j * width)];
        for (int64_t n = 0; n < width; ++n) to[n] -= f * error[static_cast<size_t>(n)];
      }
    }
  });
  return assemble_codes(weights, format, half, codes, scales, zeros);
}

Result<double> output_error(const Tensor& weights, const GroupFormat& format,
                            const GroupCodes& codes, const Gram& gram, ThreadPool& pool) {
  MNN_ASSIGN_OR_RETURN(const Tensor back, dequantize_tensor(codes.stored, codes.params));
  const MatrixView view(weights.dims(), format);
  const float *w = weights.data<float>(), *q = back.data<float>();
  std::vector<double> sums(static_cast<size_t>(view.outputs), 0.0);
  const int threads = pool.threads();
  pool.parallel(threads, [&](int part) {
    std::vector<double> d(static_cast<size_t>(view.inputs));
    for (int64_t n = part; n < view.outputs; n += threads) {
      for (int64_t k = 0; k < view.inputs; ++k) {
        const auto i = view.at(k, n);
        d[static_cast<size_t>(k)] = static_cast<double>(w[i]) - static_cast<double>(q[i]);
      }
      double sum = 0;
      for (int64_t i = 0; i < view.inputs; ++i) {
        double dot = 0;
        for (int64_t j = 0; j < i; ++j) dot += gram.at(i, j) * d[static_cast<size_t>(j)];
        sum += d[static_cast<size_t>(i)] * (2 * dot + gram.at(i, i) * d[static_cast<size_t>(i)]);
      }
      sums[static_cast<size_t>(n)] = sum;
    }
  });
  double all = 0;
  for (const double s : sums) all += s;
  return all;
}

}  // namespace mnn
