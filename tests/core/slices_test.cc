#include "libruntime/core/slices.h"

#include <gtest/gtest.h>

#include <cmath>

#include "libruntime/core/op.h"
#include "libruntime/core/text.h"

namespace mnn {
namespace {

Tensor tensor(std::vector<int64_t> dims, const std::vector<float>& v) {
  return Tensor::of<float>(std::move(dims), std::span<const float>(v));
}

Graph typed(const std::string& text) {
  Graph g = parse_graph(text).value();
  EXPECT_TRUE(infer_types(g).ok());
  return g;
}

// Samples [1, scales, 6] whose channel c has magnitudes about scales[c].
std::vector<std::vector<Tensor>> samples_of(const std::vector<float>& scales, size_t count = 5) {
  std::vector<std::vector<Tensor>> all;
  for (size_t s = 0; s < count; ++s) {
    std::vector<float> v;
    for (const float scale : scales) {
      for (int i = 0; i < 6; ++i)
        v.push_back(scale * (0.6f + 0.1f * static_cast<float>((i + static_cast<int>(s)) % 5)));
    }
    all.push_back({tensor({1, static_cast<int64_t>(scales.size()), 6}, v)});
  }
  return all;
}

std::vector<std::string> names_of(const Graph& g, const std::vector<std::vector<Tensor>>& samples,
                                  const std::vector<OutputSlice>& by_hand = {}) {
  const auto judged = judged_slices(g, samples, by_hand);
  EXPECT_TRUE(judged.ok()) << judged.status().message();
  std::vector<std::string> names;
  for (const OutputSlice& s : judged->slices) names.push_back(s.name);
  return names;
}

using Names = std::vector<std::string>;

const char* kDetector = R"(graph g(a: f32[1,2,6], b: f32[1,2,6], c: f32[1,4,6]) -> (y) {
  s = Sigmoid(c)
  y = Concat(a, b, s) {axis=1}
})";

TEST(Slices, AConcatenationIsCutWhereScalesDiffer) {
  const Graph g = typed(kDetector);
  // Two parts of pixels are one unit. Classes that never occur belong to the scores.
  EXPECT_EQ(names_of(g, samples_of({300, 200, 100, 90, 0.9f, 1e-6f, 0.5f, 1e-6f})),
            (Names{"y[:,0:4]", "y[:,4:8]"}));
  EXPECT_EQ(names_of(g, samples_of({300, 200, 100, 90, 150, 80, 120, 90})), Names{"y"});
  EXPECT_EQ(names_of(g, samples_of({300, 200, 9, 9, 300, 200, 200, 200})),
            (Names{"y[:,0:2]", "y[:,2:4]", "y[:,4:8]"}));
  // What is always zero is no unit.
  EXPECT_EQ(names_of(g, samples_of({300, 200, 100, 90, 0, 0, 0, 0})), Names{"y"});
}

TEST(Slices, ATransposedOrReshapedConcatenationIsCutAsWell) {
  const Graph g = typed(R"(graph g(a: f32[1,4,6], c: f32[1,4,6]) -> (y) {
    t = Concat(a, c) {axis=1}
    m = Mul(t, t)
    y = Transpose(m) {perm=[0,2,1]}
  })");
  std::vector<std::vector<Tensor>> samples;
  for (int s = 0; s < 2; ++s) {
    std::vector<float> v;
    for (int i = 0; i < 48; ++i) v.push_back(i % 8 < 4 ? 200.0f : 0.5f);
    samples.push_back({tensor({1, 6, 8}, v)});
  }
  EXPECT_EQ(names_of(g, samples), (Names{"y[:,:,0:4]", "y[:,:,4:8]"}));
}

// A product with constant weights that makes a mean and a variance has no seam.
TEST(Slices, ChannelsOfOneLayerAreCutBetweenLevels) {
  const std::string conv = R"(graph g(x: f32[1,3,6]) -> (y) {
    const w: f32[4,3,1] = 1 2 3 4 5 6 7 8 9 10 11 12
    y = Conv(x, w))";
  const Graph plain = typed(conv + "\n}");
  const Graph bounded = typed(conv + " + Sigmoid\n}");
  EXPECT_EQ(names_of(plain, samples_of({50, 40, 0.5f, 0.4f})), (Names{"y[:,0:2]", "y[:,2:4]"}));
  // Too few samples say nothing, neither does a moderate outlier, as of embeddings.
  EXPECT_EQ(names_of(plain, samples_of({50, 40, 0.5f, 0.4f}, 3)), Names{"y"});
  EXPECT_EQ(names_of(plain, samples_of({10, 1, 1.2f, 0.9f})), Names{"y"});
  // Probabilities are one unit, however rare a class is.
  EXPECT_EQ(names_of(bounded, samples_of({50, 40, 0.5f, 0.4f})), Names{"y"});
  // A level that some sample does not show is no unit.
  auto samples = samples_of({50, 40, 0.5f, 0.4f});
  samples[2] = samples_of({0.6f, 0.5f, 0.5f, 0.4f}, 1)[0];
  EXPECT_EQ(names_of(plain, samples), Names{"y"});
}

TEST(Slices, ByHand) {
  const Graph g = typed(kDetector);
  const auto samples = samples_of({300, 200, 100, 90, 0.9f, 0.2f, 0.5f, 0.3f});
  const OutputSlice slice = parse_slice(g, "y[:,4:]").value();
  EXPECT_EQ(names_of(g, samples, {slice}), Names{"y[:,4:]"});
  const Tensor t = tensor({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto cut = [&](const std::string& ranges) {
    const auto parsed = parse_slice(g, "y" + ranges);
    if (!parsed.ok()) return parsed.status().message();
    const auto part = cut_slice(t, *parsed);
    if (!part.ok()) return part.status().message();
    std::string text = part->type_str();
    for (const float v : part->span<float>()) text += " " + std::to_string(static_cast<int>(v));
    return text;
  };
  EXPECT_EQ(cut("[:]"), "f32[2,3] 1 2 3 4 5 6");
  EXPECT_EQ(cut("[1]"), "f32[1,3] 4 5 6");
  EXPECT_EQ(cut("[-1,-2:]"), "f32[1,2] 5 6");
  EXPECT_EQ(cut("[:,0:-1]"), "f32[2,2] 1 2 4 5");
  EXPECT_EQ(cut("[:,1:99]"), "f32[2,2] 2 3 5 6");
  EXPECT_NE(cut("[:,3:]").find("axis 1 holds nothing"), std::string::npos);
  EXPECT_NE(cut("[:,:,:]").find("more ranges than axes"), std::string::npos);
  for (const char* bad : {"[::2]", "[]", "[a]", "[1,]", "[9223372036854775807]", "[1:x]"})
    EXPECT_NE(cut(bad).find("index or BEGIN:END"), std::string::npos) << bad;
  EXPECT_NE(parse_slice(g, "z[0]").status().message().find("outputs are y"), std::string::npos);
  EXPECT_FALSE(parse_slice(g, "y").ok());
}

// The old figure, of all elements together, passes what lost its scores.
TEST(Slices, TheWorstSliceDecides) {
  const Graph g = typed(kDetector);
  const auto samples = samples_of({300, 200, 100, 90, 0.9f, 0.2f, 0.5f, 0.3f}, 1);
  const auto judged = judged_slices(g, samples, {});
  ASSERT_TRUE(judged.ok());
  Tensor dead = samples[0][0].clone().value();
  for (int64_t i = 24; i < 48; ++i) dead.data<float>()[i] = 0;
  ErrorSums whole;
  ASSERT_TRUE(whole.add(samples[0][0], dead).ok());
  EXPECT_GT(metrics_of(whole).snr_db, 45);
  const auto errors = slice_errors(*judged, samples[0], {dead});
  ASSERT_TRUE(errors.ok());
  EXPECT_NEAR(sample_snr_db(*judged, *errors), 10 * std::log10(2.0), 1e-9);
  EXPECT_EQ(sample_slice_snrs_db(*judged, *errors), (std::vector<double>{kExactSnrDb, 0}));
}

// A sample with hardly anything in a slice is held against a share of what it holds elsewhere.
TEST(Slices, QuietSamples) {
  JudgedSlices judged;
  judged.slices = {{0, {}, "y"}};
  judged.sample_power = {16};
  ErrorSums quiet;
  quiet.count = 4;
  quiet.ref_squared = 1e-6;
  quiet.test_squared = 1e-6;
  quiet.error_squared = 0.01;
  EXPECT_NEAR(sample_snr_db(judged, {quiet}), 20, 1e-9);
  EXPECT_NEAR(pooled_snr_db({quiet}), -40, 1e-9);
  EXPECT_EQ(sample_snr_db(judged, {}), -std::numeric_limits<double>::infinity());
}

// A diamond of additions has more paths than anybody can follow.
TEST(Slices, DeepGraphsEndInTime) {
  std::string text = "graph g(x: f32[1,2,6]) -> (y) {\n  a0 = Concat(x, x) {axis=1}\n";
  for (int i = 1; i < 60; ++i) {
    const std::string b = "a" + std::to_string(i - 1);
    text += "  a" + std::to_string(i) + " = Add(" + b + ", " + b + ")\n";
  }
  const Graph g = typed(text + "  y = Relu(a59)\n}");
  EXPECT_EQ(names_of(g, samples_of({1, 1, 100, 100})), (Names{"y[:,0:2]", "y[:,2:4]"}));
}

}  // namespace
}  // namespace mnn
