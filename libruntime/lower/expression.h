// Elementwise nodes and post-ops as expressions: trees of unary, binary and select operators over
// broadcast sources. A back end runs them tile by tile, prints them as the text of a kernel, or
// interprets them.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "libruntime/core/tensor.h"
#include "libruntime/lower/element.h"
#include "libruntime/lower/grid.h"

namespace mnn {

struct Expression {
  // A value; a constant that was made for the expression, f32; or, of neither, the result so far:
  // what the node before its post-ops or the part before this one has made. Its dims are repeated
  // to those of the result as in an operator.
  struct Source {
    ValueId value = kNoValue;
    Tensor constant;
    bool so_far() const { return value == kNoValue && !constant.defined(); }
  };
  enum class Kind : uint8_t { kUnary, kBinary, kSelect };
  // out = unary(x; a, b), binary(x, y), or x != 0 ? y : z. Registers 0…sources-1 are the sources,
  // the others temporaries, each written once.
  struct Op {
    Kind kind = Kind::kUnary;
    UnaryOp unary = UnaryOp::kMulBy;
    BinaryOp binary = BinaryOp::kAdd;
    float a = 0, b = 0;
    int out = 0, x = 0, y = 0, z = 0;
    bool is(UnaryOp op) const { return kind == Kind::kUnary && unary == op; }
    bool is(BinaryOp op) const { return kind == Kind::kBinary && binary == op; }
  };
  std::vector<Source> sources;
  std::vector<Op> ops;  // the last one makes the result; at least one
  int registers = 0;    // sources included; at most kMaxRegisters
};

// Expressions in a row, one unless a node alone has more than kMaxExpression operators. Each but
// the first reads what the one before has made, f32 of the dims of the node's first output.
struct ExpressionList {
  std::vector<Expression> parts;   // at least one
  std::vector<const Node*> nodes;  // whole nodes in them, in the order they are computed
};

// What the back end knows and decides.
struct ExpressionHooks {
  ReadConstant constant;
  // The node that makes `v` inside the expression (as find_absorbed found); null for a source.
  std::function<const Node*(ValueId v)> absorbed;
};

// The node, which is_elementwise, with its post-ops and the nodes it takes in. What is taken in is
// rounded to its grid by operators; rounding the result is left to who stores it.
Result<ExpressionList> node_expression(const Graph& graph, const Node& node,
                                       const ExpressionHooks& hooks);
// Post-ops [from, …) of the node on the result so far, which stands for its first output.
Result<ExpressionList> post_op_expression(const Graph& graph, const Node& node, size_t from,
                                          const ExpressionHooks& hooks);

// What the operators behind the first clamp its result to, as bytes of a grid; nullopt when they do
// anything else.
struct ByteRange {
  float low = 0, high = 255;
};
std::optional<ByteRange> range_behind(std::span<const Expression::Op> ops, const Grid& grid);

}  // namespace mnn
