// Which weights the byte products of x86 sets without VNNI are exact for. Those multiply bytes by
// signed bytes and add two neighbouring products in int16, with saturation: exact for any bytes
// when the positive parts of two neighbouring weights, and their negative parts, add to at most
// 128, because 255 * 128 < 2^15. The quantizer can choose scales for that, kernels look whether
// it is so.
#pragma once

#include <algorithm>
#include <cstdint>

#include "libruntime/kernels/conv.h"

namespace mnn {

constexpr int kLargestBytePair = 128;

// The order in which dense kernels go through the weights [inputs, taps] of an output channel:
// `run` taps whose pixels lie side by side are multiplied as one row of run * inputs numbers, tap
// after tap. Neighbours are pairs of such a row, from its start.
struct WeightRuns {
  int64_t inputs = 1, taps = 1, run = 1;
};

inline WeightRuns weight_runs(const ConvGeometry& g) {
  return {g.ic / g.groups, g.kh * g.kw, g.groups == 1 && g.dilation_w == 1 ? g.kw : 1};
}

// Calls f(i, j) for the indices of two neighbours, f(i, i) for the last of an odd row.
template <typename F>
void for_byte_pairs(const WeightRuns& r, F&& f) {
  const int64_t length = r.run * r.inputs;
  for (int64_t first = 0; first < r.taps; first += r.run) {
    int64_t input = 0, tap = first;
    const auto next = [&] {
      const int64_t index = input * r.taps + tap;
      if (++input == r.inputs) {
        input = 0;
        ++tap;
      }
      return index;
    };
    for (int64_t e = 0; e < length; e += 2) {
      const int64_t i = next();
      f(i, e + 1 < length ? next() : i);
    }
  }
}

// The greatest sum of the positive or of the negative parts of two neighbours, as a magnitude.
template <typename T>
auto largest_byte_pair(const WeightRuns& r, const T* weights) {
  using Sum = decltype(T() + T());
  Sum largest = 0;
  for_byte_pairs(r, [&](int64_t i, int64_t j) {
    const Sum a = weights[i], b = i == j ? Sum() : weights[j];
    const Sum plus = std::max(a, Sum()) + std::max(b, Sum());
    const Sum minus = std::min(a, Sum()) + std::min(b, Sum());
    largest = std::max({largest, plus, -minus});
  });
  return largest;
}

}  // namespace mnn
