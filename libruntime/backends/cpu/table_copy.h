// Moving elements along tables: each axis of the result says where its index lies in the source.
#pragma once

#include <vector>

#include "libruntime/lower/array.h"

namespace mnn::cpu {

class TableCopy {
 public:
  // tables[axis][i]: element offset in the source that index i of the axis of `to` adds, or
  // kOutside: every element with this index is the fill value. `to` is dense.
  static constexpr int64_t kOutside = INT64_MIN;
  TableCopy(const std::vector<Dims>& tables, const Array& to, uint64_t fill);
  // `from`: the element all offsets count from.
  void run(const std::byte* from, std::byte* to, int part, int parts) const;

 private:
  struct Piece {
    int64_t to, from, length;  // from: kOutside for fill
  };
  void fill(std::byte* to, int64_t n) const;

  int bytes_;
  uint64_t fill_;
  std::vector<Dims> outer_;    // tables of the outer axes, outermost first
  std::vector<Piece> pieces_;  // of one row: the inner axes together
  int64_t row_ = 1, rows_ = 1;
};

}  // namespace mnn::cpu
