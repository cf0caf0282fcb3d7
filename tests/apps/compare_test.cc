#include "apps/flows/compare.h"

#include <gtest/gtest.h>

#include <limits>

#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "tests/apps/two_samples.h"
#include "tests/text_graph.h"

namespace mnn::flows {
namespace {

Comparison compare(const Graph& ref, const Graph& test, std::vector<int64_t> dims) {
  Result<Comparison> c = compare_models(ref, test, two_samples(std::move(dims)), {});
  EXPECT_TRUE(c.ok()) << c.status().message();
  return std::move(c).value();
}

TEST(Compare, FusedLayersMeetTheirLastSource) {
  const Graph ref = typed_graph(R"(graph g(x: f32[2,3]) -> (y) {
    const w: f32[3,4] = random 1 -1 1
    a = MatMul(x, w) name "fc" @ "fc"
    b = Relu(a) name "act" @ "act"
    y = Tanh(b) name "end" @ "end"
  })");
  const Graph test = typed_graph(R"(graph g(x: f32[2,3]) -> (y) {
    const w: f32[3,4] = random 1 -1 1
    b = MatMul(x, w) + Relu name "act" @ "fc" "act"
    y = Tanh(b) name "end" @ "end"
  })");
  const Comparison c = compare(ref, test, {2, 3});
  ASSERT_EQ(c.layers.size(), 2U);
  EXPECT_EQ(c.layers[0].name, "act");
  EXPECT_EQ(c.layers[0].test_op, "MatMul+Relu");
  EXPECT_EQ(c.samples, 2U);
  EXPECT_EQ(c.layers[0].metrics.count, 16);
  ASSERT_EQ(c.unaligned.size(), 1U);
  EXPECT_EQ(c.unaligned[0].why, "fused into act");
  EXPECT_TRUE(judge_comparison(c, {0.999, 60}).ok());
}

TEST(Compare, NamesTheFirstBadLayer) {
  const char* text = R"(graph g(x: f32[2,3]) -> (y) {
    const k: f32[] = %s
    a = Mul(x, x) name "square"
    b = Mul(a, k) name "scale"
    y = Abs(b) name "abs"
  })";
  const auto with = [&](const std::string& k) {
    std::string s = text;
    return typed_graph(s.replace(s.find("%s"), 2, k));
  };
  const Comparison c = compare(with("1"), with("1.5"), {2, 3});
  ASSERT_NE(first_bad(c, {}), nullptr);
  EXPECT_EQ(first_bad(c, {})->name, "scale");
  EXPECT_TRUE(judge_comparison(c, {}).ok());
  const Status judged = judge_comparison(c, {{}, 30});
  EXPECT_EQ(judged.code(), Code::kThreshold);
  EXPECT_EQ(judged.message(), "node scale (Mul): first bad layer: SNR 6.02 dB is below 30.00 dB");
}

TEST(Compare, ChannelsLastAgainstChannelsFirst) {
  const Graph ref = typed_graph(R"(graph g(x: f32[2,3,4,5]) -> (y) {
    a = Relu(x) name "act"
    y = ReduceMean(a) {keepdims=0} name "mean"
  })");
  const Graph test = typed_graph(R"(graph g(x: f32[2,3,4,5]) -> (y) {
    t = Transpose(x) {perm=[0,2,3,1]} name "to_nhwc"
    a = Relu(t) name "act"
    y = ReduceMean(a) {keepdims=0} name "mean"
  })");
  for (const Comparison& c : {compare(ref, test, {2, 3, 4, 5}), compare(test, ref, {2, 3, 4, 5})}) {
    ASSERT_EQ(c.layers.size(), 2U);
    EXPECT_TRUE(c.layers[0].moved_channels);
    EXPECT_EQ(c.layers[0].metrics.snr_db, kExactSnrDb);
    EXPECT_TRUE(judge_comparison(c, {0.9999, 80}).ok());
  }
}

TEST(Compare, WhatCannotBeComparedFails) {
  const Graph ref = typed_graph("graph g(x: f32[n,3]) -> (y) {\n  y = Relu(x) name \"act\"\n}");
  const Graph wide = typed_graph(R"(graph g(x: f32[n,3]) -> (y) {
    y = Concat(x, x) {axis=1} name "act"
  })");
  EXPECT_EQ(judge_comparison(compare(ref, wide, {2, 3}), {}).message(),
            "node act (Concat): first bad layer: shapes differ: f32[2,3] and f32[2,6]");
  EXPECT_EQ(judge_comparison(compare(ref, ref, {0, 3}), {0.9, {}}).message(),
            "node act (Relu): first bad layer: it is empty: there is nothing to compare");
  const Graph log = typed_graph("graph g(x: f32[n,3]) -> (y) {\n  y = Log(x) name \"act\"\n}");
  EXPECT_EQ(judge_comparison(compare(ref, log, {2, 3}), {}).code(), Code::kInternal);
  const Graph two = typed_graph(R"(graph g(x: f32[n,3]) -> (y, z) {
    y = Relu(x) name "act"
    z = Abs(x) name "abs"
  })");
  const Status missing = judge_comparison(compare(two, ref, {2, 3}), {});
  EXPECT_EQ(missing.message(), "output z: TEST has no such output");
}

TEST(Compare, RewrittenValuesAreNotAligned) {
  // A pass that changes what a layer makes leaves the value without a name.
  const Graph ref = typed_graph(
      "graph g(x: f32[3]) -> (y) {\n  a = Relu(x) name \"act\" @ \"act\"\n"
      "  y = Neg(a) name \"neg\"\n}");
  const Graph test = typed_graph(
      "graph g(x: f32[3]) -> (y) {\n  %0 = Abs(x) name \"act\" @ \"act\" \"k\"\n"
      "  y = Neg(%0) name \"neg\"\n}");
  const Comparison c = compare(ref, test, {3});
  ASSERT_EQ(c.layers.size(), 1U);
  EXPECT_EQ(c.layers[0].name, "neg");
  EXPECT_EQ(c.unaligned.size(), 2U);
}

// What smoothing divided is taken back, so that a layer is held against what its name says.
TEST(Compare, SmoothedLayersAreWhatTheirSourcesMade) {
  const Graph ref = typed_graph(R"(graph g(x: f32[2,3]) -> (y) {
    const w: f32[3,4] = random 1 -1 1
    const v: f32[4,4] = random 2 -1 1
    a = MatMul(x, w) + Gelu name "act"
    y = MatMul(a, v) name "end"
  })");
  const Graph test = typed_graph(R"(graph g(x: f32[2,3]) -> (y) {
    const w: f32[3,4] = random 1 -1 1
    const v: f32[4,4] = random 2 -1 1
    const f: f32[4] = 0.25 2 1 4
    a smoothing [4,0.5,1,0.25] = MatMul(x, w) + Gelu + Mul(f) name "act"
    const d: f32[4,1] = 4 0.5 1 0.25
    u = Mul(v, d)
    y = MatMul(a, u) name "end"
  })");
  for (const Comparison& c : {compare(ref, test, {2, 3}), compare(test, ref, {2, 3})}) {
    ASSERT_EQ(c.layers.size(), 2U);
    EXPECT_EQ(c.layers[0].ref_op, c.layers[0].test_op)
        << "the factors are no operator of the source";
    EXPECT_TRUE(judge_comparison(c, {0.999999, 100}).ok());
    EXPECT_EQ(first_bad(c, {}), nullptr);
  }
}

// Quantizers leave out a Relu where the rounding clamps: the tensor of its name is what the
// rounding makes.
TEST(Compare, ClampsOfQuantizeLinear) {
  const Graph ref = typed_graph(R"(graph g(x: f32[2,3]) -> (y) {
    const w: f32[3,4] = random 1 -1 1
    r = MatMul(x, w) + Relu name "fc"
    y = Neg(r) name "end"
  })");
  const Graph test = typed_graph(R"(graph g(x: f32[2,3]) -> (y) {
    const w: f32[3,4] = random 1 -1 1
    const s: f32[] = 0.02
    const z: u8[] = 0
    r = MatMul(x, w) name "fc"
    q = QuantizeLinear(r, s, z) name "q"
    d = DequantizeLinear(q, s, z) name "d"
    y = Neg(d) name "end"
  })");
  const Comparison c = compare(ref, test, {2, 3});
  ASSERT_EQ(c.layers.size(), 2U);
  EXPECT_EQ(c.layers[0].test_op, "MatMul, quantized");
  EXPECT_GT(c.layers[0].metrics.snr_db, 30);
  EXPECT_EQ(first_bad(c, {}), nullptr);
}

TEST(Compare, OtherOperatorsUnderAnotherNameAreNotAligned) {
  const Graph ref = typed_graph(R"(graph g(x: f32[2,3]) -> (y) {
    before = Abs(x) name "layer"
    y = Neg(before) name "end"
  })");
  const Graph test = typed_graph(R"(graph g(x: f32[2,3]) -> (y) {
    behind = Relu(x) name "layer"
    y = Neg(behind) name "end"
  })");
  const Comparison c = compare(ref, test, {2, 3});
  ASSERT_EQ(c.layers.size(), 1U);
  EXPECT_EQ(c.layers[0].name, "end");
  ASSERT_EQ(c.unaligned.size(), 2U);
  EXPECT_EQ(c.unaligned[0].why, "another value in TEST after rewriting");
}

// Another exporter: other names everywhere, defaults spelled out.
TEST(Compare, TwoExportersOfOneNetwork) {
  const Graph ref = typed_graph(R"(graph g(x: f32[1,3,4,4]) -> (y) {
    const w: f32[4,3,1,1] = random 1 -1 1
    const s: f32[4,1,1] = 0.1 0.2 0.3 0.4
    const v: f32[4,4,1,1] = random 2 -1 1
    a = Conv(x, w) name "conv1" @ "conv1"
    b = PRelu(a, s) name "prelu1" @ "prelu1"
    y = Conv(b, v) name "conv2" @ "conv2"
  })");
  const std::string other = R"(graph g(image: f32[1,3,4,4]) -> (out) {
    const w: f32[4,3,1,1] = random 1 -1 1
    const s: f32[4,1,1] = 0.1 0.2 0.3 0.4
    const v: f32[4,4,1,1] = random 2 -1 1
    conv2d = Conv(image, w) {auto_pad="NOTSET", dilations=[1,1], group=1, pads=[0,0,0,0], strides=[1,1]} name "node_conv2d" @ "node_conv2d"
    prelu = PRelu(conv2d, s) name "node_prelu" @ "node_prelu"
    out = Conv(prelu, v) {strides=[1,1]} name "node_conv2d_1" @ "node_conv2d_1"
  })";
  const Comparison c = compare(ref, typed_graph(other), {1, 3, 4, 4});
  ASSERT_EQ(c.layers.size(), 3U);
  EXPECT_EQ(c.layers[1].name, "node_prelu");
  EXPECT_EQ(c.layers[1].ref_name, "prelu1");
  EXPECT_EQ(c.layers[1].by, AlignedLayers::By::kStructure);
  EXPECT_TRUE(c.unaligned.empty());
  EXPECT_TRUE(judge_comparison(c, {0.999999, 100}).ok());
  // With other steps it is another layer, and nothing behind it is known to be the same but by its
  // weights.
  std::string wide = other;
  wide.replace(wide.find("strides=[1,1]"), 13, "strides=[2,2]");
  EXPECT_EQ(compare(ref, typed_graph(wide), {1, 3, 4, 4}).layers.size(), 1U);
}

TEST(Layers, StemsAreUniqueAndShort) {
  const std::vector<std::string> stems =
      layer_stems({{"a/b", {}, {}, 0}, {"a/b", {}, {}, 1}, {std::string(900, 'x'), {}, {}, 2}});
  EXPECT_EQ(stems[0], "a%2Fb");
  EXPECT_EQ(stems[1], "a%2Fb~2");
  EXPECT_LE(stems[2].size(), 250U);
}

}  // namespace
}  // namespace mnn::flows
