// Elementwise expressions: trees of unary, binary and select operators over broadcast sources, run
// tile by tile so that what lies between two operators stays in the first cache level.
#pragma once

#include <vector>

#include "libruntime/backends/cpu/lowering.h"

namespace mnn::cpu {

inline constexpr int kMaxExpression = 24;  // operators
// What one of them adds at most: two sources and two temporaries (Where, rounded to a grid), or one
// source and three temporaries. The first of an expression brings one more source.
inline constexpr int kMaxRegisters = 4 * kMaxExpression + 4;

// How operators become operators of expressions.
struct UnaryRow {
  std::string_view op;
  UnaryOp kernel;
  std::string_view a, b;  // attributes that become the parameters
};
struct BinaryRow {
  std::string_view op;
  BinaryOp kernel;
  bool variadic, logic;
};
// Null for other operators.
const UnaryRow* find_unary(std::string_view op);
const BinaryRow* find_binary(std::string_view op);

// Whether the node is an operator of expressions, with types and shapes they can take.
bool is_elementwise(const Graph& graph, const Node& node);
// Whether it is for some types and shapes.
bool is_element_op(std::string_view op);
// Whether post-op `i` can run as part of an expression.
bool is_element_post_op(const Graph& graph, const Node& node, size_t i);
// Operators the node adds.
int expression_size(const Node& node);
// Whether `node`, which only `next` reads, can be computed inside the expression of `next`.
bool can_join(const Graph& graph, const Node& node, const Node& next);

Status lower_elementwise(Lowering& l, const Node& node);
// y, the node's first output so far, goes through post-ops [from, …) and onto its grid. More than
// kMaxExpression of them, or operands of a variadic node, become several expressions in a row.
Status apply_post_ops(Lowering& l, const Node& node, Array y, size_t from);
// The grid of a value as unsigned bytes; nullopt when it has none that bytes can hold.
std::optional<Grid> grid_of(const Value& value);
// The grids of an image's channels as unsigned bytes; nullopt when it has none such.
std::optional<ChannelGrid> channel_grid_of(const Value& value);

struct Expression {
  enum class Kind : uint8_t { kUnary, kBinary, kSelect };
  // Registers 0…sources-1 are the sources, the others temporaries.
  struct Op {
    Kind kind = Kind::kUnary;
    UnaryFn unary = nullptr;
    BinaryFn binary = nullptr;
    float a = 0, b = 0;
    int out = 0, x = 0, y = 0, z = 0;
  };
  std::vector<Array> sources;  // of the dims of the result, repeated axes with stride 0
  std::vector<Op> ops;         // the last one makes the result; at least one
  int registers = 0;           // sources included
};

// Expressions from bytes to bytes that have kernels of their own: of one value (a table), the sum
// of two, an image times a number per channel. Defines `v`, whose elements lie in `order`; false
// when it is no such expression.
Result<bool> lower_byte_expression(Lowering& l, const Expression& e, const Order& order, ValueId v);

// An expression bound to where its result goes.
class ExpressionLoop {
 public:
  ExpressionLoop(Expression expression, Array out, const VectorKernels& kernels);
  int64_t scratch_floats() const { return slots_ * kTile; }  // per part
  int64_t work() const;
  void run(const Run& run, float* scratch, int part, int parts) const;
  const Expression& expression() const { return expression_; }
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

  Expression expression_;
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
