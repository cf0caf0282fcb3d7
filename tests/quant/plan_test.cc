#include "libquant/plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "libquant/annotate.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

constexpr const char* kTwoBranches = R"(graph g(x: f32[1,4,8,8]) -> (y) {
  const w1: f32[4,4,1,1] = random 1 -1 1
  const w2: f32[4,4,1,1] = random 2 -1 1
  const w3: f32[2,8,1,1] = random 3 -1 1
  a = Conv(x, w1) + Relu
  b = Conv(x, w2)
  p = MaxPool(b) {kernel_shape=[1,1]}
  c = Concat(a, p) {axis=1}
  y = Conv(c, w3)
})";

int group_of(const Graph& g, const QuantPlan& plan, const std::string& name) {
  for (size_t i = 0; i < plan.values.size(); ++i) {
    if (g.value(plan.values[i]).name == name) return plan.group[i];
  }
  return -1;
}

TEST(Plan, ConcatAndPoolShareOneGrid) {
  const Graph g = typed_graph(kTwoBranches);
  const QuantPlan plan = plan_quantization(g);
  EXPECT_EQ(plan.layers.size(), 3u);
  const int c = group_of(g, plan, "c");
  EXPECT_GE(c, 0);
  EXPECT_EQ(group_of(g, plan, "a"), c);
  EXPECT_EQ(group_of(g, plan, "b"), c);
  EXPECT_EQ(group_of(g, plan, "p"), c);
  EXPECT_NE(group_of(g, plan, "x"), c);
  EXPECT_EQ(group_of(g, plan, "y"), -1) << "graph outputs stay float";
}

TEST(Plan, VectorsAndOddGemmsStayFloat) {
  const Graph g = typed_graph(R"(graph g(x: f32[2,4], v: f32[4]) -> (y, z, u) {
  const w: f32[4,3] = random 1 -1 1
  const k: f32[5,2] = random 2 -1 1
  y = MatMul(x, v)
  z = Gemm(x, w) {alpha=2.0}
  u = MatMul(k, x)
})");
  EXPECT_TRUE(plan_quantization(g).layers.empty());
}

constexpr const char* kAttention = R"(graph g(x: f32[1,6,8]) -> (y) {
  const w1: f32[8,8] = random 1 -1 1
  const w2: f32[8,8] = random 2 -1 1
  const s: i64[4] = 1 6 2 4
  a = MatMul(x, w1)
  q = Reshape(a, s)
  qt = Transpose(q) {perm=[0,2,1,3]}
  b = MatMul(x, w2)
  k = Reshape(b, s)
  kt = Transpose(k) {perm=[0,2,3,1]}
  c = MatMul(qt, kt)
  p = Softmax(c)
  y = MatMul(p, qt)
})";

TEST(Plan, BothOperandsOfAComputedProductAreBytes) {
  const Graph g = typed_graph(kAttention);
  const QuantPlan plan = plan_quantization(g);
  ASSERT_EQ(plan.layers.size(), 4u);
  EXPECT_FALSE(plan.layers[2].has_weight());
  EXPECT_EQ(g.value(plan.layers[2].second).name, "kt");
  EXPECT_EQ(group_of(g, plan, "a"), group_of(g, plan, "qt"));
  EXPECT_EQ(group_of(g, plan, "b"), group_of(g, plan, "kt"));
  EXPECT_GE(group_of(g, plan, "p"), 0);
  EXPECT_EQ(group_of(g, plan, "c"), -1);
  const NodeId product = plan.layers[2].node;
  const QuantPlan rest = plan_quantization(g, {product});
  EXPECT_EQ(rest.layers.size(), 3u);
  EXPECT_EQ(group_of(g, rest, "kt"), -1);
  EXPECT_GE(group_of(g, rest, "qt"), 0) << "the second product reads it";
}

TEST(Annotate, OnlyAComputedProductReadsBytes) {
  const Graph g = typed_graph(kAttention);
  const QuantPlan plan = plan_quantization(g);
  QuantDecisions d;
  d.params.assign(static_cast<size_t>(plan.groups), activation_params(-2, 2));
  d.weights.resize(plan.layers.size());
  d.bias.resize(plan.layers.size());
  const Graph only = annotate_only(g, plan, d, 2);
  ASSERT_TRUE(verify(only).ok()) << verify(only).message();
  for (const Node& n : only.nodes) {
    if (n.op != "MatMul") continue;
    const bool product = only.value(n.outputs[0]).name == "c";
    for (const ValueId v : n.inputs) EXPECT_EQ(only.value(v).quant.has_value(), product);
  }
}

bool lies_between(const Graph& g, const QuantPlan& plan, const std::string& name) {
  return std::any_of(plan.between.begin(), plan.between.end(),
                     [&](ValueId v) { return g.value(v).name == name; });
}

constexpr const char* kGated = R"(graph g(x: f32[1,4,8,8]) -> (y, z) {
  const w1: f32[6,4,1,1] = random 1 -1 1
  const w2: f32[6,6,1,1] = random 2 -1 1
  const w3: f32[2,6,1,1] = random 3 -1 1
  a = Conv(x, w1) + Relu
  p = GlobalAveragePool(a)
  q = Conv(p, w2) + HardSigmoid
  m = Mul(a, q)
  y = Conv(m, w3)
  b = Conv(x, w1)
  n = Mul(b, q)
  z = Conv(n, w3)
})";

TEST(Plan, AnImageBetweenItsLayerAndItsGateIsBytes) {
  const Graph g = typed_graph(kGated);
  const QuantPlan plan = plan_quantization(g);
  EXPECT_TRUE(lies_between(g, plan, "a"));
  EXPECT_GE(group_of(g, plan, "a"), 0);
  EXPECT_EQ(group_of(g, plan, "q"), -1) << "a gate is small";
  EXPECT_FALSE(lies_between(g, plan, "m")) << "a layer reads it";
  EXPECT_TRUE(lies_between(g, plan, "b"));
  const QuantPlan rest = plan_quantization(g, {}, {plan.between[0]});
  EXPECT_EQ(group_of(g, rest, "a"), -1);
  EXPECT_GE(group_of(g, rest, "m"), 0);
  EXPECT_EQ(rest.between.size(), plan.between.size() - 1);
}

TEST(Plan, WhatNeedsFloatsStaysFloat) {
  const Graph g = typed_graph(R"(graph g(x: f32[1,4,8,8]) -> (y, z) {
  const w1: f32[6,4,1,1] = random 1 -1 1
  const w2: f32[6,6,1,1] = random 2 -1 1
  a = Conv(x, w1)
  z = Exp(a)
  p = GlobalAveragePool(a)
  y = Conv(p, w2)
})");
  const QuantPlan plan = plan_quantization(g);
  EXPECT_TRUE(plan.between.empty());
  EXPECT_EQ(group_of(g, plan, "a"), -1);
}

TEST(Plan, SumsAndPoolsBetweenLayers) {
  const Graph g = typed_graph(R"(graph g(x: f32[1,4,8,8]) -> (y, z) {
  const w1: f32[6,4,1,1] = random 1 -1 1
  const w2: f32[2,6,1,1] = random 2 -1 1
  const axes: i64[2] = -1 -2
  a = Conv(x, w1)
  b = Conv(x, w1)
  c = Conv(x, w1)
  s = Add(a, b)
  t = Add(s, c)
  p = AveragePool(t) {kernel_shape=[2,2]}
  r = MaxPool(p) {kernel_shape=[1,1]}
  y = Conv(r, w2)
  m = ReduceMean(p, axes)
  z = Conv(m, w2)
})");
  const QuantPlan plan = plan_quantization(g);
  for (const char* name : {"a", "b", "c", "t", "p"}) EXPECT_GE(group_of(g, plan, name), 0) << name;
  EXPECT_EQ(group_of(g, plan, "s"), -1) << "computed where it is read";
  EXPECT_EQ(group_of(g, plan, "p"), group_of(g, plan, "r"));
  EXPECT_NE(group_of(g, plan, "t"), group_of(g, plan, "p"));
}

TEST(Plan, ActivationsAndNormalizationsBetweenLayers) {
  const Graph g = typed_graph(R"(graph g(x: f32[1,4,8,8]) -> (y, z) {
  const w1: f32[6,4,1,1] = random 1 -1 1
  const w2: f32[2,12,1,1] = random 2 -1 1
  const n: f32[12] = random 3 0.5 1
  a = Conv(x, w1)
  b = Conv(x, w1)
  c = Concat(a, b) {axis=1}
  d = BatchNormalization(c, n, n, n, n)
  e = Relu(d)
  y = Conv(e, w2)
  f = Sigmoid(c)
  z = Conv(f, w2)
})");
  const QuantPlan plan = plan_quantization(g);
  EXPECT_TRUE(lies_between(g, plan, "c"));
  EXPECT_EQ(group_of(g, plan, "a"), group_of(g, plan, "c"));
  EXPECT_EQ(group_of(g, plan, "d"), -1) << "computed where it is read";
  EXPECT_GE(group_of(g, plan, "e"), 0);
}

// Every activation reads bytes; what makes much of a small error does not.
TEST(Plan, OnlyGentleFunctionsReadBytesBetweenLayers) {
  for (const auto& [op, reads] : {std::pair("Sigmoid", true),
                                  {"Selu", true},
                                  {"Celu", true},
                                  {"Softsign", true},
                                  {"Softplus", true},
                                  {"Exp", false},
                                  {"Reciprocal", false},
                                  {"ThresholdedRelu", false}}) {
    const Graph g = typed_graph(R"(graph g(x: f32[1,4,8,8]) -> (y) {
  const w1: f32[6,4,1,1] = random 1 -1 1
  const w2: f32[2,12,1,1] = random 2 -1 1
  a = Conv(x, w1)
  b = Conv(x, w1)
  c = Concat(a, b) {axis=1}
  d = )" + std::string(op) + R"((c)
  y = Conv(d, w2)
})");
    EXPECT_EQ(lies_between(g, plan_quantization(g), "c"), reads) << op;
  }
}

// Rows picked from bytes, and the greatest of them, are bytes of the same grid.
TEST(Plan, PickedElementsKeepTheirGrid) {
  const Graph g = typed_graph(R"(graph g(x: f32[5,4], i: i64[3]) -> (y, z) {
  const w: f32[4,6] = random 1 -1 1
  const v: f32[6,2] = random 2 -1 1
  const axes: i64[1] = 0
  a = MatMul(x, w)
  b = Gather(a, i)
  y = MatMul(b, v)
  c = ReduceMax(a, axes)
  z = MatMul(c, v)
})");
  const QuantPlan plan = plan_quantization(g);
  EXPECT_GE(group_of(g, plan, "a"), 0);
  EXPECT_EQ(group_of(g, plan, "a"), group_of(g, plan, "b"));
  EXPECT_EQ(group_of(g, plan, "a"), group_of(g, plan, "c"));
}

TEST(Plan, TransposedConvolutionsWithoutGroups) {
  const Graph g = typed_graph(R"(graph g(x: f32[1,4,8,8]) -> (y, z) {
  const w: f32[4,6,2,2] = random 1 -1 1
  const v: f32[4,3,2,2] = random 2 -1 1
  y = ConvTranspose(x, w) {strides=[2,2]}
  z = ConvTranspose(x, v) {strides=[2,2], group=2}
})");
  const QuantPlan plan = plan_quantization(g);
  ASSERT_EQ(plan.layers.size(), 1u);
  EXPECT_EQ(plan.layers[0].weight_axis, 1);
  EXPECT_GE(group_of(g, plan, "x"), 0);
}

TEST(Plan, ParametersHoldZeroExactly) {
  for (const auto& [low, high] : {std::pair{-1.3, 2.9}, {0.5, 4.0}, {-6.0, -2.0}, {0.0, 0.0}}) {
    const QuantParams p = activation_params(low, high);
    EXPECT_EQ((0 - p.zero_point_at(0) + p.zero_point_at(0)) * p.scale_at(0), 0.0f);
    EXPECT_GE(p.zero_point_at(0), 0);
    EXPECT_LE(p.zero_point_at(0), 255);
    EXPECT_GT(p.scale_at(0), 0);
  }
}

TEST(Annotate, OnlyOneLayerLeavesTheOtherReadersAlone) {
  const Graph g = typed_graph(kTwoBranches);
  const QuantPlan plan = plan_quantization(g);
  QuantDecisions d;
  d.params.assign(static_cast<size_t>(plan.groups), activation_params(-2, 2));
  for (const QuantLayer& l : plan.layers) {
    d.weights.push_back(
        quantize_weights(g.value(l.weight).data, l.weight_axis, WeightScale::kAbsMax).value());
  }
  d.bias.resize(plan.layers.size());
  const Graph only = annotate_only(g, plan, d, 0);
  ASSERT_TRUE(verify(only).ok()) << verify(only).message();
  int quantized_constants = 0;
  for (const Value& v : only.values) {
    quantized_constants += v.kind == ValueKind::kConstant && v.quant.has_value();
    if (v.name == "x") {
      EXPECT_FALSE(v.quant.has_value());
    }
  }
  EXPECT_EQ(quantized_constants, 1);
  const Graph all = annotate(g, plan, d);
  ASSERT_TRUE(verify(all).ok()) << verify(all).message();
  const Graph without = annotate_without(g, plan, d, 2);
  ASSERT_TRUE(verify(without).ok()) << verify(without).message();
}

TEST(Annotate, ABiasIsMadeWhereThereWasNone) {
  Graph g = typed_graph(R"(graph g(x: f32[1,4,4,4], r: f32[1,3,4,4]) -> (y) {
  const w: f32[3,4,1,1] = random 1 -1 1
  y = Conv(x, w) + Add(r) + Relu
})");
  const QuantPlan plan = plan_quantization(g);
  ASSERT_EQ(plan.layers.size(), 1u);
  const Tensor bias = bias_of(g, plan.layers[0]).value();
  ASSERT_EQ(bias.elements(), 3);
  set_bias(g, plan.layers[0], bias);
  ASSERT_TRUE(verify(g).ok()) << verify(g).message();
  EXPECT_EQ(g.nodes[0].own_inputs(), 3u);
  EXPECT_EQ(g.nodes[0].fused[0].operand(), 3);
}

}  // namespace
}  // namespace mnn
