#include "libruntime/core/ops/fourier.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <utility>

namespace mnn {
namespace {

using Complex = std::complex<double>;
using Signal = std::vector<Complex>;

// e^(-2 pi i k / n), exact where it is 1, -1, i or -i.
Complex root(int64_t k, int64_t n) {
  k %= n;
  if (4 * k % n == 0) {
    constexpr Complex quarters[] = {{1, 0}, {0, -1}, {-1, 0}, {0, 1}};
    return quarters[4 * k / n];
  }
  const double angle = -2.0 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
  return {std::cos(angle), std::sin(angle)};
}

// Radix 2, length a power of two.
void transform_power_of_two(Signal& x) {
  const size_t n = x.size();
  for (size_t i = 1, j = 0; i < n; ++i) {
    size_t bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j |= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  Signal roots(n / 2);
  for (size_t k = 0; k < roots.size(); ++k) {
    roots[k] = root(static_cast<int64_t>(k), static_cast<int64_t>(n));
  }
  for (size_t length = 2; length <= n; length *= 2) {
    const size_t stride = n / length;
    for (size_t begin = 0; begin < n; begin += length) {
      for (size_t k = 0; k < length / 2; ++k) {
        const Complex a = x[begin + k], b = x[begin + k + length / 2] * roots[k * stride];
        x[begin + k] = a + b;
        x[begin + k + length / 2] = a - b;
      }
    }
  }
}

// Short signals by the definition.
void transform_plainly(Signal& x) {
  const auto n = static_cast<int64_t>(x.size());
  Signal roots, y(x.size());
  for (int64_t k = 0; k < n; ++k) roots.push_back(root(k, n));
  for (int64_t k = 0; k < n; ++k) {
    for (int64_t i = 0; i < n; ++i) {
      y[static_cast<size_t>(k)] +=
          x[static_cast<size_t>(i)] * roots[static_cast<size_t>(k * i % n)];
    }
  }
  x = std::move(y);
}

// Bluestein: a transform of any length as a convolution of a power of two.
void transform_any(Signal& x) {
  const size_t n = x.size(), size = std::bit_ceil(2 * n);
  Signal chirp(n), a(size), b(size);
  for (size_t i = 0; i < n; ++i) {
    chirp[i] = root(static_cast<int64_t>(i * i % (2 * n)), static_cast<int64_t>(2 * n));
    a[i] = x[i] * chirp[i];
    b[i] = std::conj(chirp[i]);
    if (i > 0) b[size - i] = b[i];
  }
  transform_power_of_two(a);
  transform_power_of_two(b);
  for (size_t i = 0; i < size; ++i) a[i] = std::conj(a[i] * b[i]);
  transform_power_of_two(a);
  for (size_t i = 0; i < n; ++i) {
    x[i] = std::conj(a[i]) / static_cast<double>(size) * chirp[i];
  }
}

}  // namespace

void fourier_transform(Signal& x, bool inverse) {
  if (x.size() < 2) return;
  // The inverse is the conjugate of the transform of the conjugate.
  if (inverse) {
    for (Complex& v : x) v = std::conj(v);
  }
  if (std::has_single_bit(x.size())) {
    transform_power_of_two(x);
  } else if (x.size() <= 64) {
    transform_plainly(x);
  } else {
    transform_any(x);
  }
  if (inverse) {
    for (Complex& v : x) v = std::conj(v);
  }
}

}  // namespace mnn
