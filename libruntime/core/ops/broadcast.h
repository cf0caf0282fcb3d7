// NumPy broadcasting: of symbolic shapes for inference, of concrete ones for reference kernels.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "libruntime/core/op.h"

namespace mnn {

// The dim two dims broadcast to, given that they do; fails when both are known, unequal and none is
// 1. A symbol against a number greater than 1 must be that number (or 1); two different symbols
// give an unknown dimension.
Result<Dim> broadcast_dim(const Dim& a, const Dim& b);
// The same for whole shapes.
Result<Shape> broadcast_shapes(const Shape& a, const Shape& b);
// The shape of all inputs from `first` on; nullopt when a rank is unknown.
Result<std::optional<Shape>> broadcast_inputs(const OpContext& c, size_t first = 0);

// Walks the positions of `out` in row-major order as rows along which every operand advances by a
// constant step (0 where it is broadcast). Operands must broadcast to `out`.
class BroadcastRows {
 public:
  using Dims = std::vector<int64_t>;
  BroadcastRows(const Dims& out, std::span<const Dims* const> operands);

  // Moves to the next row; false after the last.
  bool next();
  int64_t begin() const { return begin_; }  // of the row in `out`
  int64_t count() const { return count_; }
  int64_t offset(size_t operand) const { return offsets_[operand]; }
  int64_t step(size_t operand) const { return steps_[operand]; }

 private:
  Dims dims_;                  // of all but the innermost merged dimension
  std::vector<Dims> strides_;  // per merged outer dimension, one per operand
  Dims index_, offsets_, steps_;
  int64_t begin_ = 0, count_ = 0, rows_left_ = 0;
  bool started_ = false;
};

}  // namespace mnn
