#include "libruntime/core/fold.h"

#include "tests/runtime/graphs.h"

namespace mnn {
namespace {

// Folds and returns the number of nodes folded; the graph must stay valid.
int fold(Graph& graph, const FoldLimits& limits = {}) {
  const Result<int> folded = fold_constants(graph, limits);
  EXPECT_TRUE(folded.ok()) << folded.status().message();
  const Status status = verify(graph);
  EXPECT_TRUE(status.ok()) << status.message();
  return folded.ok() ? *folded : -1;
}

TEST(Fold, NodesOfConstants) {
  Graph g = graph_of(R"(graph g(x: f32[2]) -> (y) {
    const a: f32[2] = 1 2
    const b: f32[2] = 3 4
    c = Add(a, b)
    d = Mul(c, c)
    y = Add(x, d)
  })");
  EXPECT_EQ(fold(g), 2);
  ASSERT_EQ(g.nodes.size(), 1u);
  const Tensor* d = g.constant(g.nodes[0].inputs[1]);
  ASSERT_NE(d, nullptr);
  EXPECT_EQ(print_tensor(*d), "f32[2] = 16 36");
}

TEST(Fold, OutputBecomesConstantAndKeepsItsName) {
  Graph g = graph_of(R"(graph g(x: f32[2]) -> (y, y) {
    const a: f32[2] = 1 2
    y = Neg(a)
  })");
  EXPECT_EQ(fold(g), 1);
  EXPECT_TRUE(g.nodes.empty());
  ASSERT_EQ(g.outputs.size(), 2u);
  EXPECT_EQ(g.value(g.outputs[0]).name, "y");
  EXPECT_EQ(g.value(g.outputs[0]).kind, ValueKind::kConstant);
  EXPECT_EQ(g.inputs.size(), 1u);
}

TEST(Fold, ShapesOfStaticTensorsThroughFloats) {
  // Halving the size goes through floats, where shape arithmetic ends; the constant found by
  // running must still give its shape to what follows, in one pass.
  Graph g = graph_of(R"(graph g(x: f32[4,6]) -> (y) {
    const half: f32[] = 0.5
    s = Shape(x)
    f = Cast(s) {to=f32}
    h = Mul(f, half)
    i = Cast(h) {to=i64}
    z = ConstantOfShape(i)
    t = Shape(z)
    y = Expand(x0, t)
    const x0: f32[1,1] = 7
  })");
  ASSERT_TRUE(sort_nodes(g).ok());
  fold(g);
  EXPECT_TRUE(g.nodes.empty());
  EXPECT_EQ(g.value(g.outputs[0]).type.str(), "f32[2,3]");
}

TEST(Fold, SymbolsStayOpen) {
  Graph g = graph_of(R"(graph g(x: f32[n,6]) -> (s) {
    s = Shape(x)
  })");
  EXPECT_EQ(fold(g), 0);
  EXPECT_EQ(g.nodes.size(), 1u);
}

TEST(Fold, QuantizedConstantsStay) {
  Graph g = graph_of(R"(graph g() -> (y) {
    const q: f32[2] quant i8 scale [0.5] zero [0] = 3 -4
    y = Neg(q)
  })");
  EXPECT_EQ(fold(g), 0);
  EXPECT_EQ(g.nodes.size(), 1u);
}

TEST(Fold, BigOutputsStayUnlessTheirInputsAreAsBig) {
  const std::string text = R"(graph g() -> (y, z) {
    const shape: i64[1] = 100000
    const one: f32[1] = 1
    const big: f32[100000] = iota 0 1
    y = Expand(one, shape)
    z = Neg(big)
  })";
  Graph g = graph_of(text);
  EXPECT_EQ(fold(g, {.max_output_bytes = 1000}), 1);
  EXPECT_EQ(g.nodes.size(), 1u);
  EXPECT_EQ(g.nodes[0].op, "Expand");
  EXPECT_EQ(fold(g, {.max_output_bytes = 400000}), 1);
  EXPECT_TRUE(g.nodes.empty());
}

TEST(Fold, HostileSizesAreLeftAlone) {
  Graph g = graph_of(R"(graph g() -> (y, z) {
    const shape: i64[2] = 4000000000 4000000000
    const one: f32[1] = 1
    y = Expand(one, shape)
    z = ConstantOfShape(shape)
  })");
  EXPECT_EQ(fold(g), 0);
  EXPECT_EQ(g.nodes.size(), 2u);
}

TEST(Fold, WorkBudgetIsDeterministic) {
  Graph g = graph_of(R"(graph g() -> (y, z) {
    const a: f32[700,700] = random 1 -1 1
    y = MatMul(a, a)
    z = Neg(a)
  })");
  // 343 million multiplications against less than a third of that; the Neg takes a tiny part of the
  // two seconds that bound the time.
  EXPECT_EQ(fold(g, {.max_seconds = 1}), 1);
  ASSERT_EQ(g.nodes.size(), 1u);
  EXPECT_EQ(g.nodes[0].op, "MatMul");
}

TEST(Fold, AFailingNodeOfABranchIsLeftForTheRun) {
  Graph g = graph_of(R"(graph g(x: f32[4], cond: bool[]) -> (y) {
    y = If(cond) captures(x) {
      then_branch: graph t() captures(x) -> (r) {
        const table: f32[3] = 1 2 3
        const index: i64[1] = 9
        row = Gather(table, index)
        r = Add(x, row)
      }
      else_branch: graph e() captures(x) -> (x) {
      }
    }
  })");
  EXPECT_EQ(fold(g), 0);
  ASSERT_EQ(g.nodes.size(), 1u);
  EXPECT_EQ(g.nodes[0].subgraphs[0].nodes.size(), 2u);
}

constexpr char kIf[] = R"(graph g(x: f32[2], unused: bool[]) -> (y, k) {
    const two: f32[1] = 2
    const cond: bool[] = COND
    y, k = If(cond) captures(two, x) {
      then_branch: graph t() captures(two, x) -> (r, c) {
        const c: f32[1] = 5
        d = Add(two, two)
        r = Mul(x, d)
      }
      else_branch: graph e() captures(two, x) -> (x, two) {
      }
    } name "if_1" @ "if_1"
  })";

Graph if_graph(std::string_view condition) {
  std::string text = kIf;
  text.replace(text.find("COND"), 4, condition);
  return graph_of(text);
}

TEST(Fold, PrunesIfWithAConstantCondition) {
  for (const bool condition : {true, false}) {
    Graph g = if_graph(condition ? "true" : "false");
    const std::vector<Tensor> inputs = {tensor_of("f32[2] = 3 4"), Tensor::scalar(false)};
    const auto before = run_reference(g, inputs);
    ASSERT_TRUE(before.ok()) << before.status().message();
    fold(g);
    for (const Node& node : g.nodes) EXPECT_NE(node.op, "If");
    EXPECT_EQ(g.value(g.outputs[0]).name, "y");
    EXPECT_EQ(g.value(g.outputs[1]).name, "k");
    const auto after = run_reference(g, inputs);
    ASSERT_TRUE(after.ok()) << after.status().message();
    for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(identical((*before)[i], (*after)[i]));
    if (condition) {
      ASSERT_FALSE(g.nodes.empty());
      EXPECT_EQ(g.nodes[0].op, "Mul");  // two + two was folded after the branch came out
    }
  }
}

TEST(Fold, WalksSubgraphsAndTheirSmallCaptures) {
  Graph g = graph_of(R"(graph g(x: f32[2], cond: bool[]) -> (y) {
    const two: f32[1] = 2
    y = If(cond) captures(two, x) {
      then_branch: graph t() captures(two, x) -> (r) {
        d = Add(two, two)
        r = Mul(x, d)
      }
      else_branch: graph e() captures(two, x) -> (r) {
        r = Neg(x)
      }
    }
  })");
  EXPECT_EQ(fold(g), 1);
  ASSERT_EQ(g.nodes.size(), 1u);
  EXPECT_EQ(g.nodes[0].captures.size(), 1u);
  EXPECT_EQ(g.nodes[0].subgraphs[0].nodes.size(), 1u);
}

TEST(Fold, NestedIfsComeOutTogether) {
  Graph g = graph_of(R"(graph g(x: f32[2]) -> (y) {
    const yes: bool[] = true
    y = If(yes) captures(yes, x) {
      then_branch: graph t() captures(yes, x) -> (r) {
        no = Not(yes)
        r = If(no) captures(x) {
          then_branch: graph tt() captures(x) -> (x) {
          }
          else_branch: graph te() captures(x) -> (n) {
            n = Neg(x)
          }
        }
      }
      else_branch: graph e() captures(yes, x) -> (x) {
      }
    }
  })");
  fold(g);
  ASSERT_EQ(g.nodes.size(), 1u);
  EXPECT_EQ(g.nodes[0].op, "Neg");
}

TEST(Fold, AnErrorNamesTheNodeAndLosesNothing) {
  Graph g = graph_of(R"(graph g(x: f32[2,3]) -> (z) {
    a = Neg(x)
    y = Softmax(a) {axis=7} name "soft"
    z = Neg(y)
  })");
  const Result<int> folded = fold_constants(g);
  ASSERT_FALSE(folded.ok());
  EXPECT_NE(folded.status().message().find("soft"), std::string::npos);
  EXPECT_EQ(g.nodes.size(), 3u);
}

TEST(Fold, ConstantsThatCannotBeComputedFailWhereTheyAreReached) {
  Graph g = graph_of(R"(graph g(x: f32[2]) -> (z) {
    const k: f32[2] = 1 2
    const i: i64[1] = 50000000
    y = Gather(k, i) name "far"
    z = Add(x, y)
  })");
  const Result<int> folded = fold_constants(g);
  ASSERT_FALSE(folded.ok());
  EXPECT_EQ(folded.status().code(), Code::kInvalidArgument);
  EXPECT_NE(folded.status().message().find("far"), std::string::npos);
  EXPECT_EQ(g.nodes.size(), 2u);
}

TEST(Fold, LongChainsInLinearTime) {
  Graph g;
  const ValueId x = g.add_input("x", tensor_type(DType::kF32, {2}));
  ValueId v = g.add_constant(Tensor::scalar(1.0f));
  auto unary = [&](const char* op, std::vector<ValueId> inputs) {
    Node node;
    node.op = op;
    node.inputs = std::move(inputs);
    node.outputs = {g.add_temporary()};
    g.add_node(node);
    return node.outputs[0];
  };
  for (int i = 0; i < 50000; ++i) v = unary("Neg", {v});
  g.outputs = {unary("Mul", {x, v})};
  EXPECT_EQ(fold(g), 50000);
  EXPECT_EQ(g.nodes.size(), 1u);
}

}  // namespace
}  // namespace mnn
