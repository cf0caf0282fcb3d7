#include "libquant/attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "libruntime/core/op.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

Tensor waves(std::vector<int64_t> dims, double step) {
  Tensor t = *Tensor::allocate(DType::kF32, std::move(dims));
  for (int64_t i = 0; i < t.elements(); ++i) {
    t.data<float>()[i] = static_cast<float>(std::sin(step * static_cast<double>(i)));
  }
  return t;
}

int count(const Graph& graph, std::string_view op) {
  int n = 0;
  for (const Node& node : graph.nodes) n += node.op == op;
  return n;
}

// The products and the softmax give what the operator did.
void expect_spelled_out(Graph graph, const std::vector<Tensor>& inputs, int transposes) {
  const auto before = run_reference(graph, inputs);
  ASSERT_TRUE(before.ok()) << before.status().message();
  const Result<int> made = spell_out_attention(graph);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(*made, 1);
  ASSERT_TRUE(verify(graph).ok()) << verify(graph).message();
  EXPECT_EQ(count(graph, "Attention"), 0);
  EXPECT_EQ(count(graph, "MatMul"), 2);
  EXPECT_EQ(count(graph, "Transpose"), transposes);
  const auto after = run_reference(graph, inputs);
  ASSERT_TRUE(after.ok()) << after.status().message();
  const std::vector<double> a = *(*before)[0].to_doubles(), b = *(*after)[0].to_doubles();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-6) << "element " << i;
}

TEST(SpelledOutAttention, OfPlainHeads) {
  expect_spelled_out(
      typed_graph("graph g(q: f32[1,2,3,4], k: f32[1,2,5,4], v: f32[1,2,5,6]) -> (y) {\n"
                  "  y = Attention(q, k, v)\n}\n"),
      {waves({1, 2, 3, 4}, 0.7), waves({1, 2, 5, 4}, 1.3), waves({1, 2, 5, 6}, 2.1)}, 1);
}

// Keys that a Transpose made are not transposed twice.
TEST(SpelledOutAttention, OfTransposedKeysWithAMaskAndAScale) {
  expect_spelled_out(
      typed_graph("graph g(q: f32[1,2,3,4], k: f32[1,5,2,4], v: f32[1,2,5,4], m: f32[3,5]) -> (y) "
                  "{\n  t = Transpose(k) {perm=[0,2,1,3]}\n"
                  "  y = Attention(q, t, v, m) {scale=0.25}\n}\n"),
      {waves({1, 2, 3, 4}, 0.7), waves({1, 5, 2, 4}, 1.3), waves({1, 2, 5, 4}, 2.1),
       waves({3, 5}, 0.9)},
      1);
}

TEST(SpelledOutAttention, OthersStay) {
  for (const char* node : {"Attention(q, k, v) {is_causal=1}", "Attention(q, k, v) {softcap=2.0}",
                           "Attention(q, k, v, m)"}) {
    Graph graph = typed_graph(
        "graph g(q: f32[1,2,3,4], k: f32[1,2,5,4], v: f32[1,2,5,4], m: f32[3,2]) -> (y) {\n  y = " +
        std::string(node) + "\n}\n");
    const Result<int> made = spell_out_attention(graph);
    ASSERT_TRUE(made.ok());
    EXPECT_EQ(*made, 0) << node;
  }
  Graph shared = typed_graph(
      "graph g(q: f32[1,4,3,4], k: f32[1,2,5,4], v: f32[1,2,5,4]) -> (y) {\n"
      "  y = Attention(q, k, v)\n}\n");
  EXPECT_EQ(*spell_out_attention(shared), 0);
}

}  // namespace
}  // namespace mnn
