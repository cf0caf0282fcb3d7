// One axis of a tensor as plain loops see it.
#pragma once

#include <cstdint>
#include <vector>

namespace mnn {

// Line (o, i) of an axis starts at o * size * inner + i and steps by `inner`.
struct AxisLines {
  int64_t outer = 1, size = 1, inner = 1;

  AxisLines(const std::vector<int64_t>& dims, size_t axis) : size(dims[axis]) {
    for (size_t i = 0; i < dims.size(); ++i) {
      if (i < axis) outer *= dims[i];
      if (i > axis) inner *= dims[i];
    }
  }
  // Calls f(offset of the line's first element) for every line.
  template <typename F>
  void for_each(F f) const {
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < inner; ++i) f(o * size * inner + i);
    }
  }
};

}  // namespace mnn
