// Counting of multiply-accumulates (OpDef::macs), which operators of a family share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "libruntime/core/op.h"

namespace mnn {

// Products and sums of non-negative numbers stop at INT64_MAX.
inline int64_t saturating_product(int64_t a, int64_t b) {
  int64_t p = 0;
  return __builtin_mul_overflow(a, b, &p) ? INT64_MAX : p;
}
inline int64_t saturating_sum(int64_t a, int64_t b) {
  int64_t s = 0;
  return __builtin_add_overflow(a, b, &s) ? INT64_MAX : s;
}
// Of the dims from `from` on.
inline int64_t saturating_product(const std::vector<int64_t>& dims, size_t from = 0) {
  // A later 0 makes up for an overflow.
  if (std::find(dims.begin() + static_cast<long>(std::min(from, dims.size())), dims.end(), 0) !=
      dims.end()) {
    return 0;
  }
  int64_t p = 1;
  for (size_t i = from; i < dims.size(); ++i) p = saturating_product(p, dims[i]);
  return p;
}

// Every output of a convolution reads one filter; the filters are input `w`, [outputs, …].
template <size_t w = 1>
int64_t macs_of_conv(const MacsContext& c) {
  const auto *filters = c.in(w), *y = c.out(0);
  if (filters == nullptr || y == nullptr || filters->empty()) return 0;
  return saturating_product(saturating_product(*y), saturating_product(*filters, 1));
}

// Every output of a product sums over the last dim of the first operand.
inline int64_t macs_of_matmul(const MacsContext& c) {
  const auto *a = c.in(0), *y = c.out(0);
  if (a == nullptr || y == nullptr || a->empty()) return 0;
  return saturating_product(saturating_product(*y), a->back());
}

}  // namespace mnn
