// Which nodes and post-ops are operators of elementwise expressions (expression.h), and which nodes
// an expression takes in.
#pragma once

#include <climits>
#include <string_view>
#include <vector>

#include "libruntime/lower/element_op.h"
#include "libruntime/lower/node_view.h"

namespace mnn {

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
// Per node, whether it goes into its reader's expression: both are elementwise, nobody else reads
// it, it is not repeated there, and the whole has at most kMaxExpression operators and so many
// sources.
std::vector<bool> find_absorbed(const Graph& graph, const Uses& uses, int max_sources = INT_MAX);
// Sources the node has at most; numbers its operators take as parameters are none.
int expression_sources(const Graph& graph, const Node& node);

}  // namespace mnn
