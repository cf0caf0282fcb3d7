// Reductions, softmax and normalization. Long sums are cut into fixed blocks, so that rounding
// errors do not grow with the length and results do not depend on threads.
#include "libruntime/kernels/isa/bytes.h"
#include "libruntime/kernels/isa/simd_math2.h"
#include "libruntime/kernels/isa/vector_parts.h"

namespace mnn::MNN_ISA {
namespace {

constexpr int64_t kBlock = 1024;    // elements of one partial sum of a row
constexpr int64_t kRowBlock = 128;  // rows of one partial sum of a column

static MNN_INLINE float lane_sum(VF v) {
  alignas(64) float t[kLanes];
  store(t, v);
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) t[i] += t[i + half];
  }
  return t[0];
}

template <ReduceOp op>
static MNN_INLINE VF start() {
  if constexpr (op == ReduceOp::kMax) return splat(-__builtin_inff());
  if constexpr (op == ReduceOp::kMin) return splat(__builtin_inff());
  return VF{};
}
// The accumulator with x taken in; for max and min NaN wins.
template <ReduceOp op>
static MNN_INLINE VF step(VF acc, VF x) {
  if constexpr (op == ReduceOp::kMax) return acc != acc ? acc : vmax(acc, x);
  if constexpr (op == ReduceOp::kMin) return acc != acc ? acc : vmin(acc, x);
  if constexpr (op == ReduceOp::kSumSquare) return madd(x, x, acc);
  if constexpr (op == ReduceOp::kSumAbs) return acc + vabs(x);
  return acc + x;
}
template <ReduceOp op>
static MNN_INLINE VF join(VF a, VF b) {
  if constexpr (op == ReduceOp::kMax || op == ReduceOp::kMin) return step<op>(a, b);
  return a + b;
}
template <ReduceOp op>
static MNN_INLINE VF load_tail_neutral(const float* x, int n) {
  alignas(64) float t[kLanes];
  store(t, start<op>());
  for (int i = 0; i < n; ++i) t[i] = x[i];
  return load(t);
}

template <ReduceOp op>
static MNN_INLINE VF reduce_block(const float* x, int64_t n) {
  VF a = start<op>(), b = a, c = a, d = a;
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    a = step<op>(a, load(x + i));
    b = step<op>(b, load(x + i + kLanes));
    c = step<op>(c, load(x + i + 2 * kLanes));
    d = step<op>(d, load(x + i + 3 * kLanes));
  }
  for (; i + kLanes <= n; i += kLanes) a = step<op>(a, load(x + i));
  if (i < n) b = step<op>(b, load_tail_neutral<op>(x + i, static_cast<int>(n - i)));
  return join<op>(join<op>(a, b), join<op>(c, d));
}

template <ReduceOp op>
float reduce_row_of(const float* x, int64_t n) {
  if constexpr (op == ReduceOp::kMax || op == ReduceOp::kMin) {
    alignas(64) float t[kLanes];
    store(t, reduce_block<op>(x, n));
    float m = t[0];
    for (int i = 1; i < kLanes; ++i) {
      const bool better = op == ReduceOp::kMax ? t[i] > m : t[i] < m;
      if (better || t[i] != t[i]) m = t[i];
    }
    return m;
  }
  double total = 0;
  for (int64_t i = 0; i < n; i += kBlock) {
    total +=
        static_cast<double>(lane_sum(reduce_block<op>(x + i, n - i < kBlock ? n - i : kBlock)));
  }
  return static_cast<float>(total);
}

float reduce_row(ReduceOp op, const float* x, int64_t n) {
  switch (op) {
    case ReduceOp::kMax: return reduce_row_of<ReduceOp::kMax>(x, n);
    case ReduceOp::kMin: return reduce_row_of<ReduceOp::kMin>(x, n);
    case ReduceOp::kSumSquare: return reduce_row_of<ReduceOp::kSumSquare>(x, n);
    case ReduceOp::kSumAbs: return reduce_row_of<ReduceOp::kSumAbs>(x, n);
    default: return reduce_row_of<ReduceOp::kSum>(x, n);
  }
}

// F(acc, x, j) takes one row into the accumulator of columns j….
template <ReduceOp op, typename F>
static MNN_INLINE void reduce_columns(const float* x, float* y, int64_t rows, int64_t stride,
                                      int64_t n, bool first, F&& take) {
  for (int64_t j = 0; j < n; j += kLanes) {
    const int64_t width = n - j < kLanes ? n - j : kLanes;
    VF total = first ? start<op>() : load_part(y + j, width);
    for (int64_t r = 0; r < rows; r += kRowBlock) {
      const int64_t end = r + kRowBlock < rows ? r + kRowBlock : rows;
      VF a = start<op>(), b = a;
      int64_t i = r;
      for (; i + 2 <= end; i += 2) {
        a = take(a, load_part(x + i * stride + j, width), j, width);
        b = take(b, load_part(x + (i + 1) * stride + j, width), j, width);
      }
      if (i < end) a = take(a, load_part(x + i * stride + j, width), j, width);
      total = join<op>(total, join<op>(a, b));
    }
    store_part(y + j, total, width);
  }
}

template <ReduceOp op>
void reduce_column_of(const float* x, float* y, int64_t rows, int64_t stride, int64_t n,
                      bool first) {
  reduce_columns<op>(
      x, y, rows, stride, n, first,
      [](VF acc, VF v, int64_t, int64_t)
          __attribute__((always_inline)) { return step<op>(acc, v); });
}

void reduce_column(ReduceOp op, const float* x, float* y, int64_t rows, int64_t stride, int64_t n,
                   bool first) {
  switch (op) {
    case ReduceOp::kMax: return reduce_column_of<ReduceOp::kMax>(x, y, rows, stride, n, first);
    case ReduceOp::kMin: return reduce_column_of<ReduceOp::kMin>(x, y, rows, stride, n, first);
    case ReduceOp::kSumSquare:
      return reduce_column_of<ReduceOp::kSumSquare>(x, y, rows, stride, n, first);
    case ReduceOp::kSumAbs:
      return reduce_column_of<ReduceOp::kSumAbs>(x, y, rows, stride, n, first);
    default: return reduce_column_of<ReduceOp::kSum>(x, y, rows, stride, n, first);
  }
}

void column_variance(const float* x, const float* mean, float* y, int64_t rows, int64_t stride,
                     int64_t n, bool first) {
  reduce_columns<ReduceOp::kSum>(
      x, y, rows, stride, n,
      first, [mean](VF acc, VF v, int64_t j, int64_t width) __attribute__((always_inline)) {
        const VF d = v - load_part(mean + j, width);
        return madd(d, d, acc);
      });
}

// exp(x) for x <= 0; zero where it is nothing beside 1, so that no product of it is subnormal.
static MNN_INLINE VF exp_below(VF x) {
  const VF e = vexp_normal(x);
  return x < splat(-70.0f) ? VF{} : e;
}

void softmax(const float* x, float* y, int64_t rows, int64_t n, bool log) {
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const float m = reduce_row_of<ReduceOp::kMax>(x, n);
    const VF shift = splat(m);
    double total = 0;
    for (int64_t b = 0; b < n; b += kBlock) {
      const int64_t end = n - b < kBlock ? n : b + kBlock;
      VF acc{};
      int64_t i = b;
      for (; i + kLanes <= end; i += kLanes) {
        const VF e = exp_below(load(x + i) - shift);
        if (!log) store(y + i, e);
        acc += e;
      }
      float rest = 0;
      if (i < end) {
        alignas(64) float t[kLanes];
        store(t, exp_below(load_tail(x + i, static_cast<int>(end - i)) - shift));
        for (int64_t k = 0; i + k < end; ++k) {
          rest += t[k];
          if (!log) y[i + k] = t[k];
        }
      }
      total += static_cast<double>(lane_sum(acc) + rest);
    }
    // One vector of the result, computed as a vector so that every row is rounded alike.
    const VF scale = log ? shift + vlog(splat(static_cast<float>(total)))
                         : splat(static_cast<float>(1.0 / total));
    for (int64_t i = 0; i < n; i += kLanes) {
      const VF v = load_part((log ? x : y) + i, n - i);
      store_part(y + i, log ? v - scale : v * scale, n - i);
    }
  }
}

void softmax_column(const float* x, float* y, int64_t n, int64_t inner, int64_t stride, bool log) {
  for (int64_t j = 0; j < inner; j += kLanes) {
    const int64_t width = inner - j;
    VF m = splat(-__builtin_inff());
    for (int64_t i = 0; i < n; ++i)
      m = step<ReduceOp::kMax>(m, load_part(x + i * stride + j, width));
    VF total{};
    for (int64_t i = 0; i < n; ++i) {
      const VF e = exp_below(load_part(x + i * stride + j, width) - m);
      if (!log) store_part(y + i * stride + j, e, width);
      total += e;
    }
    const VF scale = log ? m + vlog(total) : splat(1.0f) / total;
    for (int64_t i = 0; i < n; ++i) {
      const VF v = load_part((log ? x : y) + i * stride + j, width);
      store_part(y + i * stride + j, log ? v - scale : v * scale, width);
    }
  }
}

void normalize(const float* x, float* y, int64_t rows, int64_t n, const float* gamma,
               const float* beta, float epsilon, bool rms) {
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    float mean = 0;
    if (!rms) mean = reduce_row_of<ReduceOp::kSum>(x, n) / static_cast<float>(n);
    const VF m = splat(mean);
    double squares = 0;
    for (int64_t b = 0; b < n; b += kBlock) {
      const int64_t end = n - b < kBlock ? n : b + kBlock;
      VF acc{}, more{};
      int64_t i = b;
      for (; i + 2 * kLanes <= end; i += 2 * kLanes) {
        const VF d = load(x + i) - m, e = load(x + i + kLanes) - m;
        acc = madd(d, d, acc);
        more = madd(e, e, more);
      }
      for (; i < end; i += kLanes) {
        const VF d = load_part(x + i, end - i) - m;
        alignas(64) float t[kLanes];
        store(t, d * d);
        for (int64_t k = end - i; k < kLanes; ++k) t[k] = 0;
        acc += load(t);
      }
      squares += static_cast<double>(lane_sum(acc + more));
    }
    const auto variance = static_cast<float>(squares / static_cast<double>(n));
    const VF scale = splat(1.0f) / vsqrt(splat(variance + epsilon));
    for (int64_t i = 0; i < n; i += kLanes) {
      VF v = (load_part(x + i, n - i) - m) * scale;
      if (gamma) v = v * load_part(gamma + i, n - i);
      if (beta) v = v + load_part(beta + i, n - i);
      store_part(y + i, v, n - i);
    }
  }
}

void scale_shift(const float* x, float* y, int64_t rows, int64_t n, const float* scale,
                 const float* shift) {
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    for (int64_t j = 0; j < n; j += kLanes) {
      const VF v = load_part(x + j, n - j) * load_part(scale + j, n - j);
      store_part(y + j, v + load_part(shift + j, n - j), n - j);
    }
  }
}

// Four rows at a time, so that sums are read and written once for them.
constexpr int64_t kWordRows = 256;  // rows of bytes whose sums fit in 16 bits

void sum_u8(const uint8_t* x, int32_t* __restrict sums, int64_t rows, int64_t stride, int64_t n) {
  for (int64_t j = 0; j < n; ++j) sums[j] = 0;
  for (int64_t first = 0; first < rows; first += kWordRows) {
    const int64_t end = first + kWordRows < rows ? first + kWordRows : rows;
    int64_t j = 0;
    for (; j + kWords <= n; j += kWords) {
      typedef uint16_t Words __attribute__((vector_size(MNN_VECTOR_BYTES)));
      const auto words_at = [](const uint8_t* p) __attribute__((always_inline)) {
        return reinterpret_cast<Words>(load_words(p));
      };
      Words even{}, odd{};
      const uint8_t* p = x + first * stride + j;
      int64_t r = first;
      for (; r + 2 <= end; r += 2, p += 2 * stride) {
        even += words_at(p);
        odd += words_at(p + stride);
      }
      if (r < end) even += words_at(p);
      even += odd;
      uint16_t words[kWords];
      __builtin_memcpy(words, &even, sizeof(words));
      for (int64_t i = 0; i < kWords; ++i) sums[j + i] += words[i];
    }
    for (int64_t r = first; r < end; ++r)
      for (int64_t i = j; i < n; ++i) sums[i] += x[r * stride + i];
  }
}

}  // namespace

void fill_reduce(VectorKernels& k) {
  k.reduce_row = reduce_row;
  k.reduce_column = reduce_column;
  k.sum_u8 = sum_u8;
  k.column_variance = column_variance;
  k.softmax = softmax;
  k.softmax_column = softmax_column;
  k.normalize = normalize;
  k.scale_shift = scale_shift;
}

}  // namespace mnn::MNN_ISA
