#include "apps/flows/bisect.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/apps/two_samples.h"
#include "tests/text_graph.h"

namespace mnn::flows {
namespace {

struct Bisected {
  Comparison comparison;
  Bisection bisection;
  std::string layer() const {
    return bisection.layer ? comparison.layers[*bisection.layer].name : "";
  }
};

Bisected bisect(const Graph& ref, const Graph& test, const std::vector<int64_t>& dims) {
  const CompareInputs inputs = two_samples(dims);
  Result<Comparison> c = compare_models(ref, test, inputs, {});
  EXPECT_TRUE(c.ok()) << c.status().message();
  Result<Bisection> b = bisect_models(ref, test, inputs, {}, *c);
  EXPECT_TRUE(b.ok()) << b.status().message();
  return {*std::move(c), *std::move(b)};
}

// A chain of sixteen products and sums; the factor of layer `wrong` is 1.3 times as large.
Graph chain(int wrong) {
  std::string text = "graph g(x: f32[n,4]) -> (y) {\n";
  std::string last = "x";
  for (int i = 0; i < 16; ++i) {
    const std::string n = std::to_string(i);
    const double factor = (i % 2 == 0 ? 0.9 : 1.1) * (i == wrong ? 1.3 : 1.0);
    const std::string made = i == 15 ? "y" : "a" + n;
    text += "  const k" + n + ": f32[] = " + std::to_string(factor) + "\n  p" + n + " = Mul(" +
            last + ", k" + n + ") name \"mul" + n + "\"\n  " + made + " = Add(p" + n +
            ", x) name \"add" + n + "\"\n";
    last = made;
  }
  return typed_graph(text + "}");
}

TEST(Bisect, NamesTheLayerThatIsWrongWhereverItStands) {
  for (const int wrong : {0, 1, 7, 14, 15}) {
    const Bisected b = bisect(chain(-1), chain(wrong), {3, 4});
    EXPECT_EQ(b.layer(), "mul" + std::to_string(wrong));
    EXPECT_TRUE(b.bisection.lost);
    EXPECT_EQ(b.bisection.before_snr_db, b.bisection.output_snr_db);
    EXPECT_NEAR(b.bisection.alone.snr_db, -20 * std::log10(0.3), 0.01);
    EXPECT_GT(b.bisection.up_to_snr_db, kNoLossDb);
    EXPECT_GT(b.bisection.repaired_snr_db, kNoLossDb);
    EXPECT_TRUE(b.bisection.between.empty());
    EXPECT_LE(b.bisection.runs, 10U);
  }
}

TEST(Bisect, SaysWhereNothingIsLost) {
  const Bisected b = bisect(chain(-1), chain(-1), {3, 4});
  EXPECT_FALSE(b.bisection.lost);
  EXPECT_EQ(b.bisection.output_snr_db, kExactSnrDb);
  EXPECT_FALSE(b.bisection.layer);
  EXPECT_EQ(b.bisection.runs, 1U);
}

TEST(Bisect, MovesChannels) {
  const Graph ref = typed_graph(R"(graph g(x: f32[2,3,4,5]) -> (y) {
    const k: f32[3,1,1] = 1 2 3
    a = Relu(x) name "act"
    b = Mul(a, k) name "scale"
    y = ReduceMean(b) {keepdims=0} name "mean"
  })");
  const Graph test = typed_graph(R"(graph g(x: f32[2,3,4,5]) -> (y) {
    const k: f32[3] = 1.3 2.6 3.9
    t = Transpose(x) {perm=[0,2,3,1]} name "to_nhwc"
    a = Relu(t) name "act"
    b = Mul(a, k) name "scale"
    y = ReduceMean(b) {keepdims=0} name "mean"
  })");
  EXPECT_EQ(bisect(ref, test, {2, 3, 4, 5}).layer(), "scale");
  EXPECT_EQ(bisect(test, ref, {2, 3, 4, 5}).layer(), "scale");
}

// What is fed to a smoothed value is divided as its layer divides.
TEST(Bisect, FeedsSmoothedValues) {
  const Graph ref = typed_graph(R"(graph g(x: f32[2,4]) -> (y) {
    const w: f32[4,3] = 0.1 -0.2 0.3 0.4 0.5 -0.6 0.7 0.8 0.9 -1 1.1 1.2
    a = Relu(x) name "act" @ "act"
    y = MatMul(a, w) name "fc" @ "fc"
  })");
  const Graph test = typed_graph(R"(graph g(x: f32[2,4]) -> (y) {
    const w: f32[4,3] = 0.13 -0.26 0.39 1.04 1.3 -1.56 0.91 1.04 1.17 -1.3 1.43 1.56
    const f: f32[4] = 1 0.5 1 1
    a smoothing [1,2,1,1] = Relu(x) + Mul(f) name "act" @ "act"
    y = MatMul(a, w) name "fc" @ "fc"
  })");
  const Bisected b = bisect(ref, test, {2, 4});
  EXPECT_EQ(b.layer(), "fc");
  EXPECT_NEAR(b.bisection.alone.snr_db, -20 * std::log10(0.3), 0.01);
}

TEST(Bisect, NamesWhatHasNoCounterpart) {
  const Graph ref = typed_graph(R"(graph g(x: f32[2,4]) -> (y) {
    a = Relu(x) name "act"
    y = Abs(a) name "size"
  })");
  const Graph longer = typed_graph(R"(graph g(x: f32[2,4]) -> (y) {
    const k: f32[] = 2
    a = Relu(x) name "act"
    b = Mul(a, k) name "twice"
    y = Abs(b) name "size"
  })");
  const Bisected b = bisect(ref, longer, {2, 4});
  EXPECT_EQ(b.layer(), "size");
  EXPECT_EQ(b.bisection.between, std::vector<std::string>{"twice"});
  // Behind the last layer that both have.
  const Graph other = typed_graph(R"(graph g(x: f32[2,4]) -> (z) {
    const k: f32[] = 2
    a = Relu(x) name "act"
    z = Mul(a, k) name "twice"
  })");
  const Bisected last = bisect(ref, other, {2, 4});
  EXPECT_TRUE(last.bisection.lost);
  EXPECT_EQ(last.layer(), "");
  EXPECT_EQ(last.bisection.between, std::vector<std::string>{"twice"});
}

}  // namespace
}  // namespace mnn::flows
