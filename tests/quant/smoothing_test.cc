// Smoothing leaves the float network what it was; channel statistics; grids per channel.
#include "libquant/search/smoothing.h"

#include <gtest/gtest.h>

#include <cmath>

#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/text.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

Tensor random(std::vector<int64_t> dims, uint64_t state) {
  Tensor t = Tensor::allocate(DType::kF32, std::move(dims)).value();
  for (int64_t e = 0; e < t.elements(); ++e) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    t.data<float>()[e] = static_cast<float>(static_cast<double>(state >> 11) * 0x1p-52 - 1);
  }
  return t;
}

// The smoothed value says by what it was divided: taken back it is the one it was.
void check_taken_back(Graph before, Graph after, const std::vector<Tensor>& in,
                      const std::string& value) {
  ValueId v = 0;
  while (before.value(v).name != value) ++v;
  ASSERT_TRUE(after.value(v).smoothing);
  before.outputs = after.outputs = {v};
  const Tensor want = run_reference(before, in).value()[0],
               have = run_reference(after, in).value()[0];
  ErrorSums divided, back;
  ASSERT_TRUE(divided.add(want, have).ok());
  EXPECT_LT(metrics_of(divided).snr_db, 20);
  ASSERT_TRUE(back.add(want, without_smoothing(have, *after.value(v).smoothing).value()).ok());
  EXPECT_GT(metrics_of(back).snr_db, 110);
  EXPECT_FALSE(without_smoothing(want, {{1, 2, 3}, 0}).ok()) << "another number of channels";
}

// Smooths the one value that can be and compares the networks.
Graph check_unchanged(const std::string& text, const std::vector<int64_t>& dims,
                      const std::string& value) {
  const Graph before = typed_graph(text);
  const QuantPlan plan = plan_quantization(before);
  Graph after = before;
  for (const ChannelValue& c : channel_values(before, plan)) {
    if (before.value(c.value).name != value) continue;
    EXPECT_TRUE(can_smooth(before, c));
    Smoothing s;
    s.value = c.value;
    for (int64_t i = 0; i < c.channels; ++i)
      s.divisors.push_back(0.25f + 0.5f * static_cast<float>(i % 5));
    apply_smoothing(after, plan, c, s);
  }
  EXPECT_TRUE(verify(after).ok()) << text;
  EXPECT_NE(print_graph(before), print_graph(after)) << text;
  const std::vector<Tensor> in = {random(dims, 7)};
  const Tensor want = run_reference(before, in).value()[0],
               have = run_reference(after, in).value()[0];
  ErrorSums sums;
  EXPECT_TRUE(sums.add(want, have).ok());
  EXPECT_GT(metrics_of(sums).snr_db, 110) << text;
  check_taken_back(before, after, in, value);
  return after;
}

TEST(Smoothing, GoesIntoTheWeightsOfAHomogeneousLayer) {
  for (const char* fused : {"", " + Relu", " + LeakyRelu {alpha=0.1}"}) {
    const Graph g = check_unchanged(
        std::string("graph g(x: f32[1,3,5,5]) -> (y) {\n  const w: f32[6,3,3,3] = random 1 -1 1\n"
                    "  const b: f32[6] = random 2 -1 1\n  const v: f32[4,6,1,1] = random 3 -1 1\n"
                    "  a = Conv(x, w, b)") +
            fused + "\n  y = Conv(a, v)\n}",
        {1, 3, 5, 5}, "a");
    EXPECT_EQ(g.nodes[0].fused.size(), std::string(fused).empty() ? 0u : 1u);
  }
}

// Every layer of the plan takes factors into its weights, transposed convolutions too.
TEST(Smoothing, GoesIntoTheWeightsOfATransposedConvolution) {
  const Graph g = check_unchanged(R"(graph g(x: f32[1,3,5,5]) -> (y) {
  const w: f32[3,6,2,2] = random 1 -1 1
  const b: f32[6] = random 2 -1 1
  const v: f32[4,6,1,1] = random 3 -1 1
  a = ConvTranspose(x, w, b) {strides=[2,2]} + Relu
  y = Conv(a, v)
})",
                                  {1, 3, 5, 5}, "a");
  EXPECT_EQ(g.nodes[0].fused.size(), 1u);
}

// Whatever is elementwise runs as one expression with the factors behind it.
TEST(Smoothing, GoesBehindAnyElementwiseOperator) {
  for (const char* op : {"Sub(x, c)", "Erf(x)", "Max(x, c)"}) {
    const Graph g = check_unchanged(std::string("graph g(x: f32[1,6,5,5]) -> (y) {\n"
                                                "  const c: f32[] = 0.125\n"
                                                "  const v: f32[4,6,1,1] = random 3 -1 1\n"
                                                "  a = ") +
                                        op + "\n  y = Conv(a, v)\n}",
                                    {1, 6, 5, 5}, "a");
    EXPECT_EQ(g.nodes[0].fused.back().op, "Mul") << op;
  }
}

TEST(Smoothing, GoesIntoTheEpilogueOtherwise) {
  const Graph g = check_unchanged(R"(graph g(x: f32[1,3,5,5]) -> (y) {
  const w: f32[6,3,3,3] = random 1 -1 1
  const v: f32[4,3,1,1] = random 3 -1 1
  a = Conv(x, w) + HardSwish
  y = Conv(a, v) {group=2}
})",
                                  {1, 3, 5, 5}, "a");
  EXPECT_EQ(g.nodes.size(), 2u);
  EXPECT_EQ(g.nodes[0].fused.back().op, "Mul");
  EXPECT_TRUE(ends_in_smoothing(g, g.nodes[0]));
  EXPECT_FALSE(ends_in_smoothing(g, g.nodes[1]));
}

TEST(Smoothing, GoesIntoScaleAndBiasOfANormalization) {
  const Graph g = check_unchanged(R"(graph g(x: f32[2,5,8]) -> (y) {
  const s: f32[8] = random 1 0.5 2
  const b: f32[8] = random 2 -1 1
  const q: f32[8,4] = random 3 -1 1
  const k: f32[8,4] = random 4 -1 1
  n = LayerNormalization(x, s, b)
  u = MatMul(n, q)
  v = MatMul(n, k)
  y = Add(u, v)
})",
                                  {2, 5, 8}, "n");
  EXPECT_EQ(g.nodes.size(), 4u);
  EXPECT_TRUE(g.nodes[0].fused.empty());
}

TEST(Smoothing, GoesIntoTheBiasOfAMatMul) {
  check_unchanged(R"(graph g(x: f32[5,8]) -> (y) {
  const w: f32[8,6] = random 1 -1 1
  const b: f32[6] = random 2 -1 1
  const v: f32[4,6] = random 3 -1 1
  a = MatMul(x, w) + Add(b) + Relu
  y = Gemm(a, v) {transB=1}
})",
                  {5, 8}, "a");
}

TEST(Channels, OnlyWhatNothingElseReads) {
  const Graph g = typed_graph(R"(graph g(x: f32[1,4,5,5]) -> (y) {
  const w: f32[4,4,1,1] = random 1 -1 1
  const d: f32[4,1,3,3] = random 2 -1 1
  a = Conv(x, w)
  b = Conv(a, d) {group=4, pads=[1,1,1,1]}
  c = Conv(b, d) {group=4, pads=[1,1,1,1]} + Add(b)
  y = Conv(c, w)
})");
  const QuantPlan plan = plan_quantization(g);
  std::vector<std::string> depthwise, dense;
  for (const ChannelValue& c : channel_values(g, plan))
    (c.depthwise ? depthwise : dense).push_back(g.value(c.value).name);
  EXPECT_EQ(depthwise, std::vector<std::string>{"a"}) << "b is a residual too";
  EXPECT_EQ(dense, (std::vector<std::string>{"x", "c"}));
}

TEST(Channels, RangesQuantilesAndFloor) {
  ChannelValue v;
  v.channels = 3;
  v.conv = true;
  ChannelStats stats(v);
  Tensor t = Tensor::allocate(DType::kF32, {1, 3, 1, 1000}).value();
  for (int64_t i = 0; i < 1000; ++i) {
    t.data<float>()[i] = static_cast<float>(i) / 100;                // 0 … 9.99
    t.data<float>()[1000 + i] = i == 500 ? -100.0f : 1.0f;           // one far away
    t.data<float>()[2000 + i] = 0.001f * static_cast<float>(i % 2);  // quiet
  }
  stats.add_range(t);
  stats.add_magnitudes(t);
  EXPECT_FLOAT_EQ(static_cast<float>(stats.range(0).high), 9.99f);
  EXPECT_EQ(stats.range(1).low, -100.0);
  EXPECT_NEAR(stats.magnitudes(0.999)[0], 9.98, 0.05);
  EXPECT_NEAR(stats.magnitudes(0.99)[1], 1.0, 0.3);

  const QuantParams p = channel_params(stats, 3, {-100, 99}, 1.0);
  EXPECT_EQ(p.axis, 1);
  ASSERT_EQ(p.entries(), 3);
  const double floor = 199.0 / 8 / 255;
  EXPECT_NEAR(p.scale_at(2), floor, floor * 0.01) << "at least an eighth of the tensor's range";
  const QuantParams wide = channel_params(stats, 3, {-100, 99}, 1.5);
  EXPECT_NEAR(wide.scale_at(1), 101.5 / 255, 0.01) << "never beyond the tensor's";
  EXPECT_GE(wide.scale_at(0), p.scale_at(0));
}

}  // namespace
}  // namespace mnn
