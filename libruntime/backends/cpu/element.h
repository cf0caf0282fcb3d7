// Elementwise expressions on arrays, run tile by tile so that what lies between two operators stays
// in the first cache level.
#pragma once

#include <vector>

#include "libruntime/backends/cpu/lowering.h"
#include "libruntime/lower/expression.h"

namespace mnn::cpu {

Status lower_elementwise(Lowering& l, const Node& node);
// y, the node's first output so far, goes through post-ops [from, …) and onto its grid. More than
// kMaxExpression of them, or operands of a variadic node, become several expressions in a row.
Status apply_post_ops(Lowering& l, const Node& node, Array y, size_t from);
// An expression with its sources in memory.
struct BoundExpression {
  std::vector<Array> sources;       // of the dims of the result, repeated axes with stride 0
  std::vector<Expression::Op> ops;  // as in Expression
  int registers = 0;
  Order order;  // of the axes of the result
};

// One operator on rows of n numbers; `y` and `z` where it has as many operands.
inline void run_op(const VectorKernels& k, const Expression::Op& op, const float* x, const float* y,
                   const float* z, float* out, int64_t n) {
  switch (op.kind) {
    case Expression::Kind::kUnary:
      k.unary[static_cast<int>(op.unary)](x, out, n, op.a, op.b);
      break;
    case Expression::Kind::kBinary: k.binary[static_cast<int>(op.binary)](x, y, out, n); break;
    case Expression::Kind::kSelect: k.select(x, y, z, out, n); break;
  }
}

// Expressions from bytes to bytes that have kernels of their own: of one value (a table), the sum
// of two, an image times a number per channel. Defines `v`; false when it is no such expression.
Result<bool> lower_byte_expression(Lowering& l, const BoundExpression& e, ValueId v);

// An expression bound to where its result goes.
class ExpressionLoop {
 public:
  ExpressionLoop(BoundExpression expression, Array out, const VectorKernels& kernels);
  int64_t scratch_floats() const { return slots_ * kTile; }  // per part
  int64_t work() const;
  void run(const Run& run, float* scratch, int part, int parts) const;
  const BoundExpression& expression() const { return expression_; }
  const Array& out() const { return out_; }

 private:
  static constexpr int64_t kTile = 2048;
  enum class Read : uint8_t { kDirect, kRows };
  struct Source {
    Read read = Read::kRows;
    int slot = -1;  // scratch; -1: read in place
    int64_t row_step = 0, step = 0;
    Dims outer;  // strides of the loops around a tile
  };
  const float* fetch(const Run& run, size_t source, int64_t at, int64_t rows, int64_t cols,
                     float* scratch) const;
  void compute(const float** registers, float* scratch, float* result, int64_t n) const;
  void put(const Run& run, int64_t at, int64_t rows, int64_t cols, const float* values) const;

  BoundExpression expression_;
  Array out_;
  const VectorKernels& kernels_;
  std::vector<Source> sources_;
  std::vector<int> slot_of_;  // per register
  int result_slot_ = -1;      // -1: straight into the output
  int64_t slots_ = 0;
  Dims outer_;  // extents of the loops around the last two
  Dims out_outer_;
  int64_t rows_ = 1, cols_ = 1, tile_rows_ = 1, tile_cols_ = 1;
  int64_t out_row_step_ = 0, out_step_ = 1;
};

}  // namespace mnn::cpu
