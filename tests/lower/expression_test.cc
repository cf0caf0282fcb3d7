// Elementwise nodes as expressions, in text: sources, then one operator a line.
#include "libruntime/lower/expression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "tests/text_graph.h"

namespace mnn {
namespace {

std::string number(float x) {
  std::array<char, 32> text{};
  (void)std::snprintf(text.data(), text.size(), "%g", static_cast<double>(x));
  return text.data();
}

std::string text(const Graph& graph, const Expression& e) {
  const std::map<UnaryOp, std::string> unary = {{UnaryOp::kRelu, "relu"},
                                                {UnaryOp::kClip, "clip"},
                                                {UnaryOp::kExp, "exp"},
                                                {UnaryOp::kSquare, "square"},
                                                {UnaryOp::kNot, "not"},
                                                {UnaryOp::kMulBy, "mul_by"},
                                                {UnaryOp::kAddTo, "add_to"},
                                                {UnaryOp::kAffine, "affine"},
                                                {UnaryOp::kGate, "gate"},
                                                {UnaryOp::kDivBy, "div_by"},
                                                {UnaryOp::kDivide, "divide"},
                                                {UnaryOp::kSubFrom, "sub_from"},
                                                {UnaryOp::kMaxWith, "max_with"},
                                                {UnaryOp::kMinWith, "min_with"},
                                                {UnaryOp::kRsqrt, "rsqrt"},
                                                {UnaryOp::kGrid, "grid"},
                                                {UnaryOp::kPowBy, "pow_by"},
                                                {UnaryOp::kSelu, "selu"},
                                                {UnaryOp::kGeluTanh, "gelu_tanh"},
                                                {UnaryOp::kLeakyRelu, "leaky"}};
  const std::map<BinaryOp, std::string> binary = {{BinaryOp::kAdd, "add"}, {BinaryOp::kSub, "sub"},
                                                  {BinaryOp::kMul, "mul"}, {BinaryOp::kMax, "max"},
                                                  {BinaryOp::kMin, "min"}, {BinaryOp::kPow, "pow"}};
  std::string s;
  for (const Expression::Source& source : e.sources) {
    s += s.empty() ? "" : ", ";
    if (source.so_far()) {
      s += "so far";
    } else if (source.value != kNoValue) {
      s += graph.value(source.value).name;
    } else {
      s += source.constant.type_str();
      for (int64_t i = 0; i < source.constant.elements(); ++i) {
        s += " " + number(source.constant.data<float>()[i]);
      }
    }
  }
  auto reg = [](int r) { return "r" + std::to_string(r); };
  for (const Expression::Op& op : e.ops) {
    s += "; " + reg(op.out) + " = ";
    switch (op.kind) {
      case Expression::Kind::kUnary:
        s += unary.at(op.unary) + "(" + reg(op.x);
        if (op.a != 0 || op.b != 0) s += "; " + number(op.a) + " " + number(op.b);
        break;
      case Expression::Kind::kBinary:
        s += binary.at(op.binary) + "(" + reg(op.x) + ", " + reg(op.y);
        break;
      case Expression::Kind::kSelect:
        s += "select(" + reg(op.x) + ", " + reg(op.y) + ", " + reg(op.z);
        break;
    }
    s += ")";
    EXPECT_LT(op.out, e.registers);
  }
  EXPECT_LE(e.registers, kMaxRegisters);
  return s;
}

ExpressionHooks hooks_of(const Graph& graph, const Uses& uses, const std::vector<bool>& absorbed) {
  return {[&graph](ValueId v) { return graph.constant(v); },
          [&](ValueId v) -> const Node* {
            const NodeId n = uses.producer[static_cast<size_t>(v)];
            return n >= 0 && absorbed[static_cast<size_t>(n)] ? &graph.node(n) : nullptr;
          }};
}

constexpr const char* kInputs =
    "(x: f32[2,3,4], z: f32[3,1], n: f32[], b: bool[2,3,4], i: i32[2,3,4]) -> ";

// The expressions of all nodes that are not taken in, one a line.
std::string expressions(const std::string& body, const std::string& outputs = "(y)") {
  const Graph graph = typed_graph(std::string("graph g") + kInputs + outputs + " {\n" + R"(
  const zero: f32[] = 0
  const two: f32[1] = 2
  const three: f32[] = 3
  const six: f32[] = 6
  const three_numbers: f32[3] = 1 2 3
)" + body + "\n}");
  const Uses uses = index_uses(graph);
  const std::vector<bool> absorbed = find_absorbed(graph, uses);
  std::string all;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    EXPECT_TRUE(is_elementwise(graph, graph.nodes[n])) << graph.nodes[n].op;
    if (absorbed[n]) continue;
    const auto list = node_expression(graph, graph.nodes[n], hooks_of(graph, uses, absorbed));
    EXPECT_TRUE(list.ok()) << list.status().message();
    if (!list.ok()) return "";
    for (const Expression& e : list->parts) all += (all.empty() ? "" : "\n") + text(graph, e);
    EXPECT_EQ(list->nodes.back(), &graph.nodes[n]);
  }
  return all;
}

TEST(Expression, AGateIsOneOperator) {
  const std::string body =
      "a = Add(x, three)\nc = Clip(a, zero, six)\nm = Mul(x, c)\n"
      "y = Div(m, six)";
  EXPECT_EQ(expressions(body), "x; r3 = gate(r0; 3 6); r4 = div_by(r3; 6 0)");
  // What somebody else reads is computed on its own.
  EXPECT_EQ(expressions(body, "(y, c)"),
            "x; r1 = add_to(r0; 3 0); r2 = clip(r1; 0 6)\n"
            "x, c; r2 = mul(r0, r1); r3 = div_by(r2; 6 0)");
  EXPECT_EQ(expressions(body, "(y, a)"),
            "x; r1 = add_to(r0; 3 0)\n"
            "x, a; r2 = clip(r1; 0 6); r3 = mul(r0, r2); r4 = div_by(r3; 6 0)");
}

TEST(Expression, NumbersAreFoldedIn) {
  EXPECT_EQ(expressions("a = Mul(x, two)\ny = Add(a, three)"), "x; r2 = affine(r0; 2 3)");
  EXPECT_EQ(expressions("y = Sub(x, two)"), "x; r1 = add_to(r0; -2 0)");
  EXPECT_EQ(expressions("y = Sub(two, x)"), "x; r1 = sub_from(r0; 2 0)");
  EXPECT_EQ(expressions("y = Div(two, x)"), "x; r1 = divide(r0; 2 0)");
  EXPECT_EQ(expressions("y = Max(zero, x, z)"), "x, z; r2 = max_with(r0); r3 = max(r2, r1)");
  EXPECT_EQ(expressions("y = PRelu(x, two)"), "x; r1 = leaky(r0; 2 0)");
  EXPECT_EQ(expressions("y = Pow(x, two)"), "x; r1 = square(r0)");
  EXPECT_EQ(expressions("y = Pow(x, three)"), "x; r1 = square(r0); r2 = mul(r1, r0)");
  EXPECT_EQ(expressions("y = Pow(x, six)"), "x; r1 = pow_by(r0; 6 0)");
  EXPECT_EQ(expressions("y = Pow(two, x)"), "x, f32[] 2; r2 = pow(r1, r0)");
}

TEST(Expression, OperatorsAndTheirParameters) {
  EXPECT_EQ(expressions("y = Selu(x) {alpha=1.5, gamma=2.5}"), "x; r1 = selu(r0; 1.5 2.5)");
  EXPECT_EQ(expressions("y = Gelu(x) {approximate=\"tanh\"}"), "x; r1 = gelu_tanh(r0)");
  // A computed bound; the other is a number.
  EXPECT_EQ(expressions("y = Clip(x, n, six)"), "x, n; r2 = max(r0, r1); r3 = min_with(r2; 6 0)");
  EXPECT_EQ(expressions("y = Where(b, x, zero)"), "b, x, f32[] 0; r3 = select(r0, r1, r2)");
  EXPECT_EQ(expressions("y = Cast(i) {to=f32}"), "i; r1 = mul_by(r0; 1 0)");
  EXPECT_EQ(expressions("y = Cast(x) {to=bool}"), "x; r1 = not(r0); r2 = not(r1)");
  EXPECT_EQ(expressions("y = Mean(x, z)"), "x, z; r2 = add(r0, r1); r3 = div_by(r2; 2 0)");
  EXPECT_EQ(expressions("y = Sum(x)"), "x; r1 = mul_by(r0; 1 0)");
  EXPECT_EQ(expressions("y = Relu(x) + Mul(z) + Exp"),
            "x, z; r2 = relu(r0); r3 = mul(r2, r1); r4 = exp(r3)");
}

TEST(Expression, BatchNormalizationIsAFactorAndAnOffset) {
  EXPECT_EQ(expressions("const variance: f32[3] = 4 4 4\n"
                        "y = BatchNormalization(x, three_numbers, three_numbers, three_numbers, "
                        "variance) {epsilon=0.0}"),
            "x, f32[3,1] 0.5 1 1.5, f32[3,1] 0.5 0 -1.5; r3 = mul(r0, r1); r4 = add(r3, r2)");
}

// The grid of the result is the store's.
TEST(Expression, InnerGridsAreOperators) {
  EXPECT_EQ(expressions("a: f32[2,3,4] quant i8 scale [0.5] zero [0] = Exp(x)\n"
                        "y: f32[2,3,4] quant u8 scale [0.25] zero [7] = Relu(a)"),
            "x; r1 = exp(r0); r2 = grid(r1; 0.5 128); r3 = relu(r2)");
}

TEST(Expression, OtherShapesAreNotTakenIn) {
  EXPECT_EQ(expressions("a = Exp(z)\ny = Mul(x, a)"), "z; r1 = exp(r0)\nx, a; r2 = mul(r0, r1)");
}

TEST(Expression, LongNodesAreCut) {
  std::string call = "y = Sum(x";
  for (int i = 0; i < 30; ++i) call += ", z";
  const std::string all = expressions(call + ")");
  const size_t cut = all.find('\n');
  ASSERT_NE(cut, std::string::npos);
  EXPECT_EQ(std::count(all.begin(), all.begin() + static_cast<long>(cut), '='), kMaxExpression);
  EXPECT_EQ(all.substr(cut + 1),
            "so far, z; r2 = add(r0, r1); r3 = add(r2, r1); r4 = add(r3, r1); r5 = add(r4, r1); "
            "r6 = add(r5, r1); r7 = add(r6, r1)");
}

TEST(Expression, NodesJoinUpToTheLimit) {
  std::string body = "v0 = Exp(x)\n";
  for (int i = 1; i < 30; ++i) {
    body += "v" + std::to_string(i) + " = Exp(v" + std::to_string(i - 1) + ")\n";
  }
  const std::string all = expressions(body, "(v29)");
  const size_t cut = all.find('\n');
  ASSERT_NE(cut, std::string::npos);
  EXPECT_EQ(std::count(all.begin(), all.begin() + static_cast<long>(cut), '='), kMaxExpression);
  EXPECT_EQ(std::count(all.begin() + static_cast<long>(cut), all.end(), '='), 30 - kMaxExpression);
}

TEST(Expression, PostOpsGoOnWithTheResultSoFar) {
  const Graph graph = typed_graph(R"(graph g(x: f32[2,3], w: f32[3,4], r: f32[2,4]) -> (y) {
  const two: f32[] = 2
  y = MatMul(x, w) + Relu + Exp + Mul(two) + Add(r)
})");
  ASSERT_FALSE(graph.nodes.empty());
  const Uses uses = index_uses(graph);
  const auto list = post_op_expression(graph, graph.nodes[0], 1,
                                       hooks_of(graph, uses, find_absorbed(graph, uses)));
  ASSERT_TRUE(list.ok()) << list.status().message();
  ASSERT_EQ(list->parts.size(), 1u);
  EXPECT_TRUE(list->nodes.empty());
  EXPECT_EQ(text(graph, list->parts[0]),
            "so far, r; r2 = exp(r0); r3 = mul_by(r2; 2 0); r4 = add(r3, r1)");
}

TEST(Expression, WhatItDoesNotTake) {
  const Graph graph = typed_graph(R"(graph g(x: f64[2], i: i64[2], s: f32[2]) -> (a, b, c, d) {
  a = Exp(x)
  b = Add(i, i)
  c = Cast(i) {to=i32}
  d = Softmax(s)
})");
  ASSERT_EQ(graph.nodes.size(), 4u);
  for (const Node& node : graph.nodes) EXPECT_FALSE(is_elementwise(graph, node)) << node.op;
  EXPECT_TRUE(is_element_op("Where") && is_element_op("Exp") && !is_element_op("Softmax"));
}

}  // namespace
}  // namespace mnn
