// The rewrite driver: origins, names, private inner values, backtracking, quantized values, linear
// time.
#include <gtest/gtest.h>

#include "libconvert/convert.h"
#include "libconvert/passes/passes.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "tests/passes/check.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

std::vector<Rule> swish_rules() {
  return {{"Swish", commutative(op("Mul", {any("x"), op("Sigmoid", {any("x")})})),
           [](Builder& b, const Match& m) { return b.op("Swish", {m.at("x")}); }, nullptr}};
}

TEST(Rewrite, JoinsOriginsAndTakesTheRootsName) {
  Graph g = typed_graph(R"(graph g(x: f32[2]) -> (y) {
    s = Sigmoid(x) name "sig" @ "layer1" "shared"
    y = Mul(s, x) name "mul" @ "shared" "layer2"
  })");
  const auto hits = apply_rules(g, swish_rules());
  ASSERT_TRUE(hits.ok()) << hits.status().message();
  EXPECT_EQ(hits->count.at("Swish"), 1);
  ASSERT_EQ(g.nodes.size(), 1u);
  EXPECT_EQ(g.nodes[0].op, "Swish");
  EXPECT_EQ(g.nodes[0].name, "mul");
  EXPECT_EQ(g.nodes[0].origin, (std::vector<std::string>{"layer1", "shared", "layer2"}));
  EXPECT_EQ(g.value(g.outputs[0]).name, "y");
  EXPECT_TRUE(verify(g).ok()) << verify(g).message();
}

TEST(Rewrite, InnerValuesArePrivate) {
  for (const char* text : {R"(graph g(x: f32[2]) -> (y, s) {
                                s = Sigmoid(x)
                                y = Mul(x, s)
                              })",
                           R"(graph g(x: f32[2]) -> (y, z) {
                                s = Sigmoid(x)
                                y = Mul(x, s)
                                z = Neg(s)
                              })",
                           R"(graph g(x: f32[2]) -> (y) {
                                s: f32[2] quant u8 scale [0.01] zero [0] = Sigmoid(x)
                                y = Mul(x, s)
                              })"}) {
    Graph g = typed_graph(text);
    const size_t nodes = g.nodes.size();
    ASSERT_TRUE(apply_rules(g, swish_rules()).ok());
    EXPECT_EQ(g.nodes.size(), nodes);
  }
}

TEST(Rewrite, InnerValueReadTwiceInsideTheMatch) {
  const std::vector<Rule> rules = {
      {"R", op("Div", {op("Neg", {any("x")}, "n"), op("Exp", {any("n")})}),
       [](Builder& b, const Match& m) { return b.op("Abs", {m.at("x")}); }, nullptr}};
  Graph g = typed_graph(R"(graph g(x: f32[2]) -> (y) {
    n = Neg(x)
    e = Exp(n)
    y = Div(n, e)
  })");
  ASSERT_TRUE(apply_rules(g, rules).ok());
  ASSERT_EQ(g.nodes.size(), 1u);
  EXPECT_EQ(g.nodes[0].op, "Abs");
}

// The order that fits the outer operator first fails deeper inside.
TEST(Rewrite, BacktracksOverCommutativeOperands) {
  const std::vector<Rule> rules = {
      {"R",
       commutative(op("Add", {commutative(op("Mul", {any("a"), any("b")})),
                              commutative(op("Mul", {any("b"), constant("c")}))})),
       [](Builder& b, const Match& m) {
         return b.op("Sum", {m.at("a"), m.at("b"), m.at("c")});
       },
       nullptr}};
  Graph g = typed_graph(R"(graph g(p: f32[2], q: f32[2]) -> (y) {
    const c: f32[2] = 1 2
    l = Mul(c, p)
    r = Mul(p, q)
    y = Add(l, r)
  })");
  ASSERT_TRUE(apply_rules(g, rules).ok());
  ASSERT_EQ(g.nodes.size(), 1u);
  EXPECT_EQ(g.nodes[0].inputs,
            (std::vector<ValueId>{g.inputs[1], g.inputs[0], g.nodes[0].inputs[2]}));
}

TEST(Rewrite, ADecliningBuilderLeavesNoTrace) {
  const std::vector<Rule> rules = {{"R", op("Neg", {any("x")}),
                                    [](Builder& b, const Match& m) {
                                      b.op("Abs", {m.at("x")});
                                      return kNoValue;
                                    },
                                    nullptr}};
  Graph g = typed_graph("graph g(x: f32[2]) -> (y) {\n y = Neg(x)\n}");
  const std::string before = print_graph(g);
  const auto hits = apply_rules(g, rules);
  ASSERT_TRUE(hits.ok());
  EXPECT_TRUE(hits->count.empty());
  EXPECT_EQ(print_graph(g), before);
}

TEST(Rewrite, KeepsQuantParamsOfTheReplacedValue) {
  Graph g = typed_graph(R"(graph g(x: f32[2]) -> (y) {
    s = Sigmoid(x)
    m: f32[2] quant u8 scale [0.01] zero [3] = Mul(x, s)
    y = Neg(m)
  })");
  ASSERT_TRUE(apply_rules(g, swish_rules()).ok());
  ASSERT_EQ(g.nodes.size(), 2u);
  const Value& m = g.value(g.nodes[0].outputs[0]);
  EXPECT_EQ(m.name, "m");
  ASSERT_TRUE(m.quant.has_value());
  EXPECT_EQ(m.quant->zero_point_at(0), 3.0f);
}

TEST(Rewrite, WalksSubgraphs) {
  Graph g = typed_graph(R"(graph g(c: bool[], x: f32[2]) -> (y) {
    y = If(c) captures(x) {
      then_branch: graph t() captures(x) -> (r) {
        s = Sigmoid(x)
        r = Mul(x, s)
      }
      else_branch: graph e() captures(x) -> (r) {
        r = Neg(x)
      }
    }
  })");
  const auto hits = apply_rules(g, swish_rules());
  ASSERT_TRUE(hits.ok());
  EXPECT_EQ(g.nodes[0].subgraphs[0].nodes.size(), 1u);
}

TEST(Rewrite, ErrorsNameThePass) {
  Graph g = typed_graph("graph g(x: f32[2]) -> (y) {\n y = Neg(x)\n}");
  const std::vector<Pass> passes = {{"break-it", [](Graph& graph) -> Result<int> {
                                       graph.nodes[0].op = "NoSuchOperator";
                                       return 1;
                                     }}};
  const Status status = run_passes(g, passes);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.message().rfind("pass break-it: ", 0), 0u) << status.message();
}

// The graphs of LinearTime take some seconds; a quadratic pass would run into the test's time
// limit.
void expect_optimizes(Graph& g) {
  const auto report = optimize(g);
  EXPECT_TRUE(report.ok()) << report.status().message();
}

TEST(LinearTime, ChainOfNodes) {
  Graph g;
  ValueId v = g.add_input("x", tensor_type(DType::kF32, {Dim::symbol("n"), 8}));
  Builder b(g);
  const ValueId c = b.scalar(1.25f);
  static constexpr const char* kOps[] = {"Relu", "Add", "Identity", "Sigmoid", "Mul"};
  for (int i = 0; i < 50000; ++i) {
    const std::string name = kOps[i % 5];
    std::vector<ValueId> in = {v};
    if (name == "Add" || name == "Mul") in.push_back(c);
    v = b.op(name, in);
    g.nodes.back().origin = {"layer" + std::to_string(i)};
  }
  g.value(v).name = "y";
  g.outputs = {v};
  expect_optimizes(g);
  EXPECT_EQ(g.value(g.outputs[0]).name, "y");
}

// Factors that merge all the way: one node stands for 20,000 layers.
TEST(LinearTime, ChainThatMergesIntoOneNode) {
  Graph g;
  ValueId v = g.add_input("x", tensor_type(DType::kF32, {4}));
  Builder b(g);
  const ValueId up = b.scalar(1.5f), down = b.scalar(0.75f);
  for (int i = 0; i < 20000; ++i) {
    v = b.op("Mul", {v, i % 2 ? up : down});
    g.nodes.back().origin = {"layer" + std::to_string(i)};
  }
  g.outputs = {v};
  expect_optimizes(g);
}

TEST(LinearTime, ConcatOfManyInputs) {
  Graph g;
  const ValueId x = g.add_input("x", tensor_type(DType::kF32, {1, 2, 3, 4}));
  Builder b(g);
  std::vector<ValueId> parts;
  for (int i = 0; i < 100000; ++i) {
    parts.push_back(i % 2 ? x : b.op("Identity", {x}));
  }
  g.outputs = {b.op("Concat", parts, {{"axis", int64_t{1}}})};
  expect_optimizes(g);
  EXPECT_EQ(g.nodes.size(), 1u);
}

TEST(LinearTime, ManyReadersOfOneTranspose) {
  Graph g;
  const ValueId x = g.add_input("x", tensor_type(DType::kF32, {1, 2, 3, 4}));
  Builder b(g);
  const ValueId t = b.op("Transpose", {x}, {{"perm", std::vector<int64_t>{0, 2, 3, 1}}});
  ValueId sum = t;
  for (int i = 0; i < 20000; ++i) sum = b.op("Add", {sum, b.op("Mul", {t, sum})});
  g.outputs = {b.op("Transpose", {sum}, {{"perm", std::vector<int64_t>{0, 3, 1, 2}}})};
  expect_optimizes(g);
  for (const Node& node : g.nodes) EXPECT_NE(node.op, "Transpose");
}

}  // namespace
}  // namespace mnn
