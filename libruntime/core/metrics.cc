#include "libruntime/core/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <vector>

namespace mnn {
namespace {

constexpr int64_t kChunk = 4096;

// Complex numbers count as pairs of reals.
Tensor as_reals(const Tensor& t) {
  if (t.dtype() != DType::kC64 && t.dtype() != DType::kC128) return t;
  std::vector<int64_t> dims = t.dims();
  dims.push_back(2);
  return Tensor::wrap(t.dtype() == DType::kC64 ? DType::kF32 : DType::kF64, std::move(dims),
                      const_cast<std::byte*>(t.raw()));
}

// Elements [begin, begin + count) as doubles; false when the type is not numeric.
bool load(const Tensor& t, int64_t begin, int64_t count, double* out) {
  if (t.dtype() == DType::kBool) {
    // Read as bytes: whatever is not zero is true.
    const auto* p = t.data<uint8_t>() + begin;
    for (int64_t i = 0; i < count; ++i) out[i] = p[i] != 0;
    return true;
  }
  return dispatch_numeric(t.dtype(), [&]<typename T>() {
    const T* p = t.data<T>() + begin;
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<double>(load_as_compute(p[i]));
  });
}

template <typename A, typename B>
void accumulate(ErrorSums& s, const A* reference, const B* test, int64_t n) {
  s.count += n;
  for (int64_t i = 0; i < n; ++i) {
    const double r = reference[i], t = test[i];
    if (!std::isfinite(r) || !std::isfinite(t)) {
      // Equal infinities agree, and say nothing about the size of errors.
      if (r != t) ++s.not_finite;
      continue;
    }
    const double e = t - r;
    s.ref_squared += r * r;
    s.test_squared += t * t;
    s.product += r * t;
    s.error_squared += e * e;
    s.max_abs_error = std::max(s.max_abs_error, std::abs(e));
    s.max_abs_ref = std::max(s.max_abs_ref, std::abs(r));
    s.low_ref = s.finite == 0 ? r : std::min(s.low_ref, r);
    s.high_ref = s.finite == 0 ? r : std::max(s.high_ref, r);
    ++s.finite;
  }
}

// |a - b| without the rounding that doubles bring to 64-bit integers; nullopt for other types.
std::optional<double> integer_distance(const Tensor& a, const Tensor& b, int64_t i) {
  if (a.dtype() != b.dtype()) return std::nullopt;
  if (a.dtype() == DType::kI64) {
    const int64_t x = a.data<int64_t>()[i], y = b.data<int64_t>()[i];
    const auto ux = static_cast<uint64_t>(x), uy = static_cast<uint64_t>(y);
    return static_cast<double>(x > y ? ux - uy : uy - ux);
  }
  if (a.dtype() == DType::kU64) {
    const uint64_t x = a.data<uint64_t>()[i], y = b.data<uint64_t>()[i];
    return static_cast<double>(x > y ? x - y : y - x);
  }
  return std::nullopt;
}

std::string place(const Tensor& t, int64_t index) {
  std::string text = "]";
  for (size_t d = t.rank(); d-- > 0;) {
    text = (d ? "," : "[") + std::to_string(index % t.dims()[d]) + text;
    index /= t.dims()[d];
  }
  return t.rank() ? text : "[]";
}

std::string number(double v) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.9g", v);
  return buffer;
}

Status strings_equal(const Tensor& reference, const Tensor& test) {
  const auto& r = reference.string_values();
  const auto& t = test.string_values();
  const auto [a, b] = std::mismatch(r.begin(), r.end(), t.begin());
  if (a == r.end()) return {};
  return Status(Code::kThreshold, "strings differ at " + place(reference, a - r.begin()) +
                                      ": expected \"" + *a + "\", found \"" + *b + "\"");
}

}  // namespace

Status ErrorSums::add(const Tensor& reference_tensor, const Tensor& test_tensor) {
  const Tensor reference = as_reals(reference_tensor), test = as_reals(test_tensor);
  if (reference.elements() != test.elements()) {
    return invalid("cannot compare " + reference_tensor.type_str() + " with " +
                   test_tensor.type_str() + ": different numbers of elements");
  }
  if (reference.dtype() == DType::kF32 && test.dtype() == DType::kF32) {
    add(reference.data<float>(), test.data<float>(), reference.elements());
    return {};
  }
  double r[kChunk], t[kChunk];
  for (const Tensor* tensor : {&reference, &test}) {
    if (!load(*tensor, 0, 0, r)) {
      return invalid("cannot compare " + tensor->type_str() + " as numbers");
    }
  }
  for (int64_t i = 0; i < reference.elements(); i += kChunk) {
    const int64_t n = std::min(kChunk, reference.elements() - i);
    load(reference, i, n, r);
    load(test, i, n, t);
    accumulate(*this, r, t, n);
  }
  return {};
}

Status ErrorSums::add_or_miss(const Tensor& reference, const Tensor& test) {
  if (reference.elements() == test.elements()) return add(reference, test);
  MNN_ASSIGN_OR_RETURN(const Tensor nothing, Tensor::allocate(reference.dtype(), reference.dims()));
  return add(reference, nothing);
}

void ErrorSums::add(const float* reference, const float* test, int64_t n) {
  accumulate(*this, reference, test, n);
}

void ErrorSums::merge(const ErrorSums& o) {
  count += o.count;
  not_finite += o.not_finite;
  ref_squared += o.ref_squared;
  test_squared += o.test_squared;
  product += o.product;
  error_squared += o.error_squared;
  max_abs_error = std::max(max_abs_error, o.max_abs_error);
  max_abs_ref = std::max(max_abs_ref, o.max_abs_ref);
  if (o.finite == 0) return;
  low_ref = finite == 0 ? o.low_ref : std::min(low_ref, o.low_ref);
  high_ref = finite == 0 ? o.high_ref : std::max(high_ref, o.high_ref);
  finite += o.finite;
}

ErrorMetrics metrics_of(const ErrorSums& s) {
  ErrorMetrics m;
  m.count = s.count;
  m.failed = s.count == 0 || s.not_finite > 0;
  if (s.count == 0) return m;
  if (s.ref_squared == 0 || s.test_squared == 0) {
    m.cosine = s.ref_squared == s.test_squared ? 1 : 0;
  } else {
    m.cosine = s.product / (std::sqrt(s.ref_squared) * std::sqrt(s.test_squared));
    m.cosine = std::clamp(m.cosine, -1.0, 1.0);
  }
  if (s.error_squared == 0) {
    m.snr_db = kExactSnrDb;
  } else {
    m.snr_db = s.ref_squared == 0 ? -kExactSnrDb : 10 * std::log10(s.ref_squared / s.error_squared);
    m.snr_db = std::clamp(m.snr_db, -kExactSnrDb, kExactSnrDb);
  }
  m.mse = s.error_squared / static_cast<double>(s.count);
  m.max_abs = s.max_abs_error;
  m.max_ref = s.max_abs_ref;
  m.constant = s.finite > 1 && s.low_ref == s.high_ref;
  if (m.max_abs > 0) {
    m.max_rel =
        s.max_abs_ref > 0 ? m.max_abs / s.max_abs_ref : std::numeric_limits<double>::infinity();
  }
  // Sums of huge doubles may overflow.
  m.failed |= !std::isfinite(m.cosine) || !std::isfinite(m.snr_db) || !std::isfinite(m.mse);
  return m;
}

std::string snr_text(const ErrorMetrics& m) {
  if (m.failed) return "FAIL";
  if (m.snr_db >= kExactSnrDb) return m.constant ? "constant" : "exact";
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", m.snr_db);
  return text;
}

Status all_close(const Tensor& reference_tensor, const Tensor& test_tensor, double rtol,
                 double atol) {
  const bool strings = reference_tensor.dtype() == DType::kString;
  if (reference_tensor.dims() != test_tensor.dims() ||
      strings != (test_tensor.dtype() == DType::kString)) {
    return Status(Code::kThreshold,
                  "expected " + reference_tensor.type_str() + ", found " + test_tensor.type_str());
  }
  if (strings) return strings_equal(reference_tensor, test_tensor);
  const Tensor reference = as_reals(reference_tensor), test = as_reals(test_tensor);
  double r[kChunk], t[kChunk];
  if (!load(reference, 0, 0, r) || !load(test, 0, 0, t)) {
    if (identical(reference, test)) return {};
    return invalid("cannot compare " + reference.type_str() + " with " + test.type_str() +
                   " as numbers");
  }
  int64_t differ = 0, worst = -1;
  double worst_excess = -1, worst_expected = 0, worst_found = 0;
  for (int64_t i = 0; i < reference.elements(); i += kChunk) {
    const int64_t n = std::min(kChunk, reference.elements() - i);
    load(reference, i, n, r);
    load(test, i, n, t);
    for (int64_t k = 0; k < n; ++k) {
      double error = std::abs(t[k] - r[k]);
      if (const auto exact = integer_distance(reference, test, i + k)) error = *exact;
      if (std::isnan(r[k]) && std::isnan(t[k])) continue;
      if (std::isinf(r[k]) && r[k] == t[k]) continue;
      const double allowed = atol + rtol * std::abs(r[k]);
      // An infinite bound (rtol times an infinite reference) allows nothing finite.
      if (error <= allowed && std::isfinite(r[k])) continue;
      ++differ;
      double excess = error - allowed;
      if (!(excess == excess) || !std::isfinite(r[k])) {
        excess = std::numeric_limits<double>::infinity();
      }
      if (excess > worst_excess) {
        worst_excess = excess;
        worst = i + k;
        worst_expected = r[k];
        worst_found = t[k];
      }
    }
  }
  if (differ == 0) return {};
  return Status(Code::kThreshold,
                std::to_string(differ) + " of " + std::to_string(reference.elements()) +
                    " elements differ by more than " + number(atol) + " + " + number(rtol) +
                    " * |expected|; the worst at " + place(reference, worst) + ": expected " +
                    number(worst_expected) + ", found " + number(worst_found));
}

}  // namespace mnn
