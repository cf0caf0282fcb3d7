// How post-ops are split between a kernel's epilogue and what runs behind it.
#include "libruntime/lower/post_op.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/text_graph.h"

namespace mnn {
namespace {

// x [1,2,4,4] through a 1x1 convolution to y [1,4,4,4] with the post-ops; r is a residual.
Graph with_post_ops(const std::string& post_ops, const std::string& quant = "") {
  return typed_graph(R"(graph g(x: f32[1,2,4,4], r: f32[1,4,4,4], n: f32[]) -> (y) {
  const w: f32[4,2,1,1] = iota 0 1
  const one: f32[4,1,1] = 1 2 3 4
  const two: f32[1,4,1,1] = 10 20 30 40
  const negative: f32[4,1,1] = 1 2 -3 4
  const rows: f32[4,1] = 1 1 1 1
  const half: f32[] = 0.5
  const six: f32[] = 6
  y: f32[1,4,4,4] )" +
                     quant + " = Conv(x, w)" + post_ops + "\n}");
}

std::string name(const PostOp& p) {
  const char* const names[] = {"-",         "relu",    "clip",  "leaky", "hardsigmoid",
                               "hardswish", "sigmoid", "swish", "tanh",  "gelu",
                               "gelutanh",  "elu",     "mish"};
  auto number = [](float x) {
    return std::isinf(x) ? (x > 0 ? "inf" : "-inf") : std::to_string(x).substr(0, 4);
  };
  const std::string numbers =
      p.a != 0 || p.b != 0 ? "(" + number(p.a) + "," + number(p.b) + ")" : "";
  return names[static_cast<int>(p.kind)] + numbers;
}

// "before after [residual] count", and factor and offset when they are not 1 and 0.
std::string text(const Graph& graph, const FusedPart& part) {
  const Epilogue& e = part.epilogue;
  std::string s = name(e.before) + " " + name(e.after);
  EXPECT_EQ(e.residual, part.residual != kNoValue);
  if (e.residual) s += " " + graph.value(part.residual).name;
  if (e.factor != 1 || e.offset != 0) {
    s +=
        " *" + std::to_string(e.factor).substr(0, 4) + " +" + std::to_string(e.offset).substr(0, 4);
  }
  return s + " " + std::to_string(part.count);
}

std::string fused(const std::string& post_ops, size_t from = 0, const EpilogueRules& rules = {}) {
  const Graph graph = with_post_ops(post_ops);
  return graph.nodes.empty() ? "" : text(graph, fuse(graph, graph.nodes[0], from, rules));
}

TEST(Fuse, ActivationsAroundAResidual) {
  EXPECT_EQ(fused(""), "- - 0");
  EXPECT_EQ(fused(" + Relu + Add(r) + Clip(half, six)"), "relu clip(0.50,6.00) r 3");
  EXPECT_EQ(fused(" + Relu + Add(r) + Clip(half, six)", 1), "- clip(0.50,6.00) r 3");
  EXPECT_EQ(fused(" + Add(r) + Add(r)"), "- - r 1");
  EXPECT_EQ(fused(" + Relu + Sigmoid"), "relu - 1");
  EXPECT_EQ(fused(" + Add(r) + Relu + Tanh"), "- relu r 2");
  // A residual has the dims of the result.
  EXPECT_EQ(fused(" + Add(one) + Relu"), "- - 0");
  EXPECT_EQ(fused(" + Mul(r) + Relu"), "- - 0");
}

TEST(Fuse, AFactorAtTheEnd) {
  const EpilogueRules rules = {.factor = true};
  EXPECT_EQ(fused(" + Relu + Mul(half) + Add(six)"), "relu - 1");
  EXPECT_EQ(fused(" + Relu + Mul(half) + Add(six)", 0, rules), "relu - *0.50 +6.00 3");
  EXPECT_EQ(fused(" + Add(six) + Mul(half)", 0, rules), "- - *1.00 +6.00 1");
  EXPECT_EQ(fused(" + Mul(half) + Relu", 0, rules), "- - *0.50 +0.00 1");
  EXPECT_EQ(fused(" + Add(r) + Mul(half)", 0, rules), "- - r 1");
}

TEST(Fuse, Activations) {
  auto one = [](const std::string& op) {
    const Graph graph = with_post_ops(" + " + op);
    if (graph.nodes.empty()) return std::string();
    const std::optional<PostOp> a = activation(graph, graph.nodes[0], 0);
    return a ? name(*a) : "none";
  };
  EXPECT_EQ(one("LeakyRelu {alpha=0.25}"), "leaky(0.25,0.00)");
  EXPECT_EQ(one("Elu {alpha=0.5}"), "elu(0.50,0.00)");
  EXPECT_EQ(one("HardSigmoid {alpha=0.5, beta=0.25}"), "hardsigmoid(0.50,0.25)");
  EXPECT_EQ(one("HardSwish"), "hardswish");
  EXPECT_EQ(one("Swish"), "swish");
  EXPECT_EQ(one("Swish {alpha=2.0}"), "none");
  EXPECT_EQ(one("Gelu"), "gelu");
  EXPECT_EQ(one("Gelu {approximate=\"tanh\"}"), "gelutanh");
  EXPECT_EQ(one("Mish"), "mish");
  EXPECT_EQ(one("Clip(_, six)"), "clip(-inf,6.00)");
  EXPECT_EQ(one("Clip(half)"), "clip(0.50,inf)");
  EXPECT_EQ(one("Clip(n, six)"), "none");  // computed
  EXPECT_EQ(one("Exp"), "none");
}

TEST(Fuse, Bias) {
  auto bias = [](const std::string& post_ops, std::vector<float> sum) {
    const Graph graph = with_post_ops(post_ops);
    if (graph.nodes.empty()) return std::string();
    const ReadConstant constant = [&](ValueId v) { return graph.constant(v); };
    const size_t taken = fuse_bias(graph, graph.nodes[0], 1, constant, sum);
    std::string text = std::to_string(taken);
    for (const float x : sum) text += " " + std::to_string(static_cast<int>(x));
    return text;
  };
  EXPECT_EQ(bias(" + Add(one) + Add(two) + Add(r)", {}), "2 11 22 33 44");
  EXPECT_EQ(bias(" + Add(one)", {1, 1, 1, 1}), "1 2 3 4 5");
  EXPECT_EQ(bias(" + Relu + Add(one)", {}), "0");
  EXPECT_EQ(bias(" + Add(rows)", {}), "0");  // four numbers of another axis
}

TEST(CheckPostOps, NamesTheFirstThatCannotRun) {
  const Graph good = with_post_ops(" + Exp + Mul(one) + Clip(n, six)");
  ASSERT_FALSE(good.nodes.empty());
  EXPECT_EQ(check_post_ops(good, good.nodes[0], "GPU"), std::nullopt);
  const Graph bad = typed_graph(R"(graph g(x: f64[2,3], w: f64[3,2]) -> (y) {
  y = MatMul(x, w) + Relu
})");
  ASSERT_FALSE(bad.nodes.empty());
  EXPECT_EQ(check_post_ops(bad, bad.nodes[0], "GPU"), "post-op Relu has no GPU kernel");
}

// "stored", the grid or grids, then what is fused.
std::string bytes(const std::string& quant, const std::string& post_ops) {
  const Graph graph = with_post_ops(post_ops, quant);
  if (graph.nodes.empty()) return "";
  ByteOutput out(graph, graph.nodes[0], 1);
  const FusedPart part = out.fuse_from(0);
  std::string s = out.channels() ? "channels" : out.stored() ? "bytes" : "floats";
  if (out.stored()) {
    for (const float x : out.grids().scales) s += " " + std::to_string(x).substr(0, 4);
    for (const int32_t x : out.grids().zeros) s += " " + std::to_string(x);
    if (out.grid()) s += " (" + std::to_string(out.grid()->scale).substr(0, 4) + ")";
  }
  return s + ": " + text(graph, part);
}

TEST(ByteOutput, StoresBytesWhenTheKernelDoesAll) {
  const std::string one = "quant u8 scale [0.5] zero [10]";
  EXPECT_EQ(bytes("", " + Relu"), "floats: relu - 1");
  EXPECT_EQ(bytes(one, ""), "bytes (0.50): - - 0");
  EXPECT_EQ(bytes(one, " + Relu + Mul(half)"), "bytes (0.50): relu - *0.50 +0.00 2");
  EXPECT_EQ(bytes(one, " + Relu + Mul(one)"),
            "bytes 0.50 0.25 0.16 0.12 10 10 10 10 (0.50): relu - 2");
  // The rest runs on floats: no factor is left in the kernel.
  EXPECT_EQ(bytes(one, " + Mul(half) + Exp"), "floats: - - 0");
  EXPECT_EQ(bytes(one, " + Relu + Mul(negative)"), "floats: relu - 1");
  const std::string channels = "quant i8 scale [1,2,3,4] zero [0,0,0,-128] axis 1";
  EXPECT_EQ(bytes(channels, " + Relu"), "channels 1.00 2.00 3.00 4.00 128 128 128 0: relu - 1");
  EXPECT_EQ(bytes(channels, " + Exp"), "floats: - - 0");
}

}  // namespace
}  // namespace mnn
