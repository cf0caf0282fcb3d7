#include "apps/flows/diff.h"

#include <gtest/gtest.h>

#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "tests/text_graph.h"

namespace mnn::flows {
namespace {

constexpr const char* kBase = R"(graph g(x: f32[2,20]) -> (y) {
  const w "fc.weight": f32[20,4] = random 1 -1 1
  const v "out.weight": f32[4,20] = random 2 -1 1
  a = MatMul(x, w) name "fc" @ "fc"
  b = Relu(a) name "act" @ "act"
  c = MatMul(b, v) name "out" @ "out"
  y = Softmax(c) {axis=1} name "soft" @ "soft"
})";

std::string with(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Diff, SameModelsDoNotDiffer) {
  const GraphDiff d = diff_graphs(typed_graph(kBase), typed_graph(kBase));
  EXPECT_TRUE(d.same());
  EXPECT_EQ(d.summary(), "no difference");
  EXPECT_EQ(d.constants, 2);
}

TEST(Diff, AttributesWithTheirDefaultAreEqual) {
  EXPECT_TRUE(diff_graphs(typed_graph(with(kBase, "{axis=1}", "{axis=-1}")),
                          typed_graph(with(kBase, " {axis=1}", "")))
                  .same());
  const GraphDiff d =
      diff_graphs(typed_graph(kBase), typed_graph(with(kBase, "{axis=1}", "{axis=0}")));
  ASSERT_EQ(d.changed.size(), 1U);
  EXPECT_EQ(d.changed[0].name, "soft");
  EXPECT_EQ(d.changed[0].changes[0].field, "attribute axis");
  EXPECT_EQ(d.changed[0].changes[0].before + d.changed[0].changes[0].after, "10");
}

TEST(Diff, AnotherExporterDiffersInNames) {
  std::string text = kBase;
  text = with(text, "graph g(x: f32[2,20]) -> (y)", "graph g(image: f32[2,20]) -> (y)");
  text = with(text, "MatMul(x, w) name \"fc\" @ \"fc\"", "MatMul(image, w) name \"m1\" @ \"m1\"");
  text = with(text, "name \"act\" @ \"act\"", "name \"r1\" @ \"r1\"");
  text = with(text, "{axis=1} name \"soft\" @ \"soft\"", "{axis=1} name \"s1\" @ \"s1\"");
  const GraphDiff d = diff_graphs(typed_graph(kBase), typed_graph(text));
  EXPECT_TRUE(d.added.empty());
  EXPECT_TRUE(d.removed.empty());
  EXPECT_EQ(d.renamed.size(), 3U);
}

TEST(Diff, WeightsAreReportedUnderTheirName) {
  const GraphDiff d =
      diff_graphs(typed_graph(kBase), typed_graph(with(kBase, "random 2 -1 1", "random 2 -2 2")));
  ASSERT_EQ(d.constant_changes.size(), 1U);
  EXPECT_EQ(d.constant_changes[0].name, "out.weight");
  EXPECT_EQ(d.constant_changes[0].reader, "out");
  EXPECT_NEAR(d.constant_changes[0].metrics->max_rel, 1, 1e-6);
  EXPECT_NEAR(d.constant_changes[0].metrics->cosine, 1, 1e-9);
  EXPECT_TRUE(d.changed.empty() && d.added.empty() && d.removed.empty());
}

TEST(Diff, ReplacedOperatorKeepsItsPlace) {
  const GraphDiff d =
      diff_graphs(typed_graph(kBase), typed_graph(with(kBase, "Relu(a)", "Tanh(a)")));
  ASSERT_EQ(d.changed.size(), 1U);
  EXPECT_EQ(d.changed[0].changes[0].before, "Relu");
  EXPECT_EQ(d.changed[0].changes[0].after, "Tanh");
}

TEST(Diff, AnInsertedNodeRenamesNothing) {
  // Exporters number names: one node more shifts all that follow.
  const Graph before = typed_graph(R"(graph g(x: f32[2,20]) -> (y) {
    const w: f32[20,20] = random 1 -1 1
    const v: f32[20,20] = random 2 -1 1
    a = MatMul(x, w) name "MatMul_0"
    y = MatMul(a, v) name "MatMul_1"
  })");
  const Graph after = typed_graph(R"(graph g(x: f32[2,20]) -> (y) {
    const n: f32[20,20] = random 3 -1 1
    const w: f32[20,20] = random 1 -1 1
    const v: f32[20,20] = random 2 -1 1
    z = MatMul(x, n) name "MatMul_0"
    a = MatMul(z, w) name "MatMul_1"
    y = MatMul(a, v) name "MatMul_2"
  })");
  const GraphDiff d = diff_graphs(before, after);
  ASSERT_EQ(d.added.size(), 1U);
  EXPECT_EQ(d.added[0].name, "MatMul_0");
  EXPECT_TRUE(d.removed.empty() && d.constant_changes.empty());
  ASSERT_EQ(d.renamed.size(), 2U);
  EXPECT_EQ(d.renamed[1].before + d.renamed[1].after, "MatMul_1MatMul_2");
  ASSERT_EQ(d.changed.size(), 1U);  // the first now reads the new one
  EXPECT_EQ(d.changed[0].changes[0].field, "input 0");
  EXPECT_EQ(d.changed[0].changes[0].before, "input x");
  EXPECT_EQ(d.changed[0].changes[0].after, "MatMul_0");
}

TEST(Diff, QuantizationAndStorage) {
  const Graph plain = typed_graph(R"(graph g(x: f32[2,2]) -> (y) {
    const w: f32[2,2] = 0.5 -0.5 1 0
    y = MatMul(x, w) name "fc"
  })");
  const Graph quantized = typed_graph(R"(graph g(x: f32[2,2]) -> (y) {
    const w: f32[2,2] quant i8 scale [0.25,0.5] zero [0,0] axis 1 = 2 -1 4 0
    y = MatMul(x, w) name "fc"
  })");
  const GraphDiff d = diff_graphs(plain, quantized);
  ASSERT_EQ(d.constant_changes.size(), 1U);
  EXPECT_EQ(d.constant_changes[0].after, "f32[2,2] as i8, 2 f32 scales along axis 1");
  EXPECT_EQ(d.constant_changes[0].metrics->max_abs, 0);
  EXPECT_FALSE(d.same());
}

TEST(Diff, InputsAndOutputs) {
  const GraphDiff d =
      diff_graphs(typed_graph(kBase), typed_graph(R"(graph g(x: f32[3,20], k: f32[1]) -> (y, z) {
    const w "fc.weight": f32[20,4] = random 1 -1 1
    const v "out.weight": f32[4,20] = random 2 -1 1
    a = MatMul(x, w) name "fc" @ "fc"
    b = Relu(a) name "act" @ "act"
    c = MatMul(b, v) name "out" @ "out"
    y = Softmax(c) {axis=1} name "soft" @ "soft"
    z = Add(c, k) name "sum"
  })"));
  ASSERT_EQ(d.border.size(), 4U);
  EXPECT_EQ(d.border[0].after, "f32[3,20]");
  EXPECT_EQ(d.border[1].before, "");
  EXPECT_EQ(d.border[2].name, "y");
  EXPECT_EQ(d.border[3].name, "z");
  EXPECT_EQ(d.shape_changes, 4);
  ASSERT_EQ(d.added.size(), 1U);
}

TEST(Diff, WalksSubGraphs) {
  const char* text = R"(graph g(c: bool[], x: f32[2]) -> (y) {
    y = If(c) captures(x) {
      then_branch: graph t() captures(x) -> (r) {
        r = Relu(x) name "inner"
      }
      else_branch: graph e() captures(x) -> (r) {
        r = Neg(x) name "other"
      }
    } name "if_1"
  })";
  const GraphDiff d = diff_graphs(typed_graph(text), typed_graph(with(text, "Relu", "Abs")));
  ASSERT_EQ(d.changed.size(), 1U);
  EXPECT_EQ(d.changed[0].name, "if_1/then_branch/inner");
  EXPECT_TRUE(diff_graphs(typed_graph(text), typed_graph(text)).same());
}

TEST(Diff, FiftyThousandNodes) {
  const auto chain = [](int changed) {
    Graph g;
    ValueId v = g.add_input("x", tensor_type(DType::kF32, {Dim(4)}));
    for (int i = 0; i < 50000; ++i) {
      Node n;
      n.op = i == changed ? "Neg" : "Relu";
      n.inputs = {v};
      // Every tenth has no name, and names repeat.
      if (i % 10 != 0) n.name = "relu_" + std::to_string(i / 3);
      v = g.add_temporary();
      n.outputs = {v};
      g.add_node(std::move(n));
    }
    g.value(v).name = "y";
    g.outputs = {v};
    return g;
  };
  // In linear time: a quadratic comparison would run into the test's time limit.
  const GraphDiff d = diff_graphs(chain(-1), chain(25001));
  EXPECT_FALSE(d.same());
  EXPECT_LE(d.changed.size(), 3U);
}

}  // namespace
}  // namespace mnn::flows
