// Running sums, and where along an axis the extreme lies.
#include "libruntime/kernels/isa/simd.h"
#include "libruntime/kernels/isa/vector_parts.h"

namespace mnn::MNN_ISA {
namespace {

constexpr int kColumns = 64;  // kept in registers and the first cache level

// Sums are kept in double, as long ones would lose digits.
void running_sum(const float* x, float* y, int64_t rows, int64_t step, int64_t n, bool exclusive) {
  for (int64_t j = 0; j < n; j += kColumns) {
    const int64_t width = n - j < kColumns ? n - j : kColumns;
    double sum[kColumns] = {};
    const float* from = x + j;
    float* to = y + j;
    if (width == 1) {
      double one = 0;
      for (int64_t i = 0; i < rows; ++i, from += step, to += step) {
        const double next = one + static_cast<double>(*from);
        *to = static_cast<float>(exclusive ? one : next);
        one = next;
      }
      continue;
    }
    for (int64_t i = 0; i < rows; ++i, from += step, to += step) {
      if (exclusive) {
        for (int64_t k = 0; k < width; ++k) {
          const double next = sum[k] + static_cast<double>(from[k]);
          to[k] = static_cast<float>(sum[k]);
          sum[k] = next;
        }
        continue;
      }
      for (int64_t k = 0; k < width; ++k) {
        sum[k] += static_cast<double>(from[k]);
        to[k] = static_cast<float>(sum[k]);
      }
    }
  }
}

// NaN is the extreme; of equal ones the first or the last counts.
template <bool kLeast, bool kLast>
MNN_INLINE void arg_columns(const float* x, int32_t* index, int64_t rows, int64_t stride,
                            int64_t n) {
  for (int64_t j = 0; j < n; j += kLanes) {
    const int64_t width = n - j;
    VF best = load_part(x + j, width);
    VI at{};
    for (int64_t i = 1; i < rows; ++i) {
      const VF v = load_part(x + i * stride + j, width);
      VI better = kLeast ? v < best : v > best;
      if (kLast) better |= v == best;
      better = (better | (v != v)) & (best == best);
      best = better ? v : best;
      at = better ? splat_int(static_cast<int32_t>(i)) : at;
    }
    int32_t lanes[kLanes];
    store_int(lanes, at);
    for (int k = 0; k < kLanes && k < width; ++k) index[j + k] = lanes[k];
  }
}

void arg_column(const float* x, int32_t* index, int64_t rows, int64_t stride, int64_t n, bool least,
                bool last) {
  if (least) {
    if (last) return arg_columns<true, true>(x, index, rows, stride, n);
    return arg_columns<true, false>(x, index, rows, stride, n);
  }
  if (last) return arg_columns<false, true>(x, index, rows, stride, n);
  arg_columns<false, false>(x, index, rows, stride, n);
}

}  // namespace

void fill_scan(VectorKernels& k) {
  k.running_sum = running_sum;
  k.arg_column = arg_column;
}

}  // namespace mnn::MNN_ISA
