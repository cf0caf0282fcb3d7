// Where layouts go: channels last spreads from convolutions through what does not care.
#include <gtest/gtest.h>

#include "tests/cpu/cpu_testing.h"

namespace mnn::testing {
namespace {

const std::string kConv =
    "const w: f32[8,4,1,1] = random 3 -1 1\nc = Conv(x, w)\n"
    "const v: f32[6,8,3,3] = random 4 -1 1\n";

int moves(const std::string& text) {
  const CpuRun run = run_on_cpu(text);
  return count_steps(run, "reorder");
}

std::string between(const std::string& body) {
  return "graph g(x: f32[1,4,10,12]) -> (y) {\n" + kConv + body + "\ny = Conv(d, v)\n}";
}

TEST(CpuLayout, NothingMovesBetweenConvolutions) {
  const std::string direct = "graph g(x: f32[1,4,10,12]) -> (y) {\n" + kConv + "y = Conv(c, v)\n}";
  check_on_cpu(direct, 1e-5);
  // Input and output are channels first.
  EXPECT_EQ(moves(direct), 2);
  for (const char* body :
       {"d = Relu(c)", "const s: f32[8,1,1] = random 9 0 1\nd = Mul(c, s)",
        "a = GlobalAveragePool(c)\nb = Sigmoid(a)\nd = Mul(c, b)",
        "d = MaxPool(c) {kernel_shape=[2,2]}",
        "const s: f32[4] = 1 1 2 2\nd = Resize(c, _, s) {mode=\"nearest\"}",
        "const s: f32[4] = 1 1 2 2\nd = Resize(c, _, s) {mode=\"linear\"}",
        "a = Softmax(c) {axis=1}\nb = Softmax(a) {axis=3}\nd = Softmax(b) {axis=2}",
        "const p: i64[8] = 0 0 1 1 0 0 1 1\nd = Pad(c, p)",
        "const g: f32[8] = random 1 0 1\nconst b: f32[8] = random 2 0 1\n"
        "d = InstanceNormalization(c, g, b)",
        "const a: i64[2] = 2 3\nb = ReduceMean(c, a)\nd = Sub(c, b)",
        "a = Transpose(c) {perm=[0,2,3,1]}\nb = Softmax(a)\nd = Transpose(b) {perm=[0,3,1,2]}"}) {
    const std::string text = between(body);
    check_on_cpu(text, 1e-5);
    EXPECT_EQ(moves(text), 2) << text;
  }
}

TEST(CpuLayout, ChannelsAreSlicedAndJoinedInPlace) {
  const std::string split = between(
      "const n: i64[2] = 4 4\ne, f = Split(c, n) {axis=1}\nh = Relu(f)\nd = Concat(h, e) {axis=1}");
  check_on_cpu(split, 1e-5);
  EXPECT_LE(moves(split), 2);
  const std::string slice =
      "graph g(x: f32[1,8,10,12]) -> (y) {\nconst w: f32[16,8,1,1] = random 3 -1 1\n"
      "c = Conv(x, w)\nconst s: i64[1] = 8\nconst e: i64[1] = 16\nconst a: i64[1] = 1\n"
      "d = Slice(c, s, e, a)\nconst v: f32[6,8,3,3] = random 4 -1 1\ny = Conv(d, v)\n}";
  check_on_cpu(slice, 1e-5);
  EXPECT_EQ(moves(slice), 2);
  EXPECT_EQ(count_steps(run_on_cpu(slice), "copy"), 0);
}

TEST(CpuLayout, ConvolutionsWriteIntoTheirConcat) {
  const std::string text =
      "graph g(x: f32[2,4,10,12]) -> (y, k) {\nconst w: f32[8,4,1,1] = random 3 -1 1\n"
      "const u: f32[5,4,3,3] = random 4 -1 1\nconst v: f32[6,33,3,3] = random 4 -1 1\n"
      "const s: f32[8,1,1] = random 5 0 1\n"
      "a = Conv(x, w) + Relu\nb = Conv(x, u) {pads=[1,1,1,1]} + Relu + Sigmoid\n"
      "e = Conv(x, w) + Mul(s)\nf = Conv(x, w)\nh = Mul(f, s)\n"
      "d = Concat(a, b, e, h, x) {axis=1}\ny = Conv(d, v)\nk = Relu(d)\n}";
  check_on_cpu(text, 1e-5);
  const CpuRun run = run_on_cpu(text);
  // Only x is copied into the result.
  EXPECT_EQ(count_steps(run, "copy"), 1);
}

TEST(CpuLayout, ChannelShuffle) {
  const std::string text = between(
      "const s: i64[5] = 1 2 4 10 12\na = Reshape(c, s)\n"
      "b = Transpose(a) {perm=[0,2,1,3,4]}\nconst t: i64[4] = 1 8 10 12\nd = Reshape(b, t)");
  check_on_cpu(text, 1e-5);
  EXPECT_LE(moves(text), 3);
}

TEST(CpuLayout, TokensOfAnImageAreAView) {
  // What turns feature maps into sequences moves nothing when channels are last already.
  const std::string text =
      "graph g(x: f32[1,4,10,12]) -> (y) {\n" + kConv +
      "const s: i64[3] = 1 8 120\na = Reshape(c, s)\nb = Transpose(a) {perm=[0,2,1]}\n"
      "const u: f32[8,5] = random 5 -1 1\ny = MatMul(b, u)\n}";
  check_on_cpu(text, 1e-5);
  EXPECT_EQ(moves(text), 1);
}

TEST(CpuLayout, FlattenGoesBackToChannelsFirst) {
  check_on_cpu("graph g(x: f32[2,4,10,12]) -> (y) {\n" + kConv +
                   "d = Conv(c, v)\nf = Flatten(d)\nconst u: f32[480,3] = random 5 -1 1\n"
                   "y = Gemm(f, u)\n}",
               1e-5);
}

TEST(CpuLayout, SinglePixelsAndChannelsNeedNoMove) {
  const std::string text =
      "graph g(x: f32[1,8,1,1], z: f32[1,1,9,9]) -> (y, q) {\n"
      "const w: f32[4,8,1,1] = random 3 -1 1\ny = Conv(x, w)\n"
      "const v: f32[1,1,3,3] = random 3 -1 1\nq = Conv(z, v)\n}";
  check_on_cpu(text, 1e-5);
  EXPECT_EQ(moves(text), 0);
}

TEST(CpuLayout, ResidualsOfOneAndTwoLayouts) {
  check_on_cpu(
      "graph g(x: f32[1,4,10,12]) -> (y) {\nconst w: f32[4,4,3,3] = random 3 -1 1\n"
      "c = Conv(x, w) {pads=[1,1,1,1]}\nd = Add(c, x)\n"
      "e = Conv(d, w) {pads=[1,1,1,1]} + Add(d) + Relu\ny = Add(e, x)\n}",
      1e-5);
}

TEST(CpuLayout, OutputsThatAreInputsConstantsOrTwice) {
  check_on_cpu("graph g(x: f32[2,3]) -> (x, y, z, z) {\nconst y: f32[2] = 1 2\nz = Relu(x)\n}", 0);
  check_on_cpu(
      "graph g(x: f32[2,3,4,5]) -> (y, z) {\ny = Relu(x)\n"
      "z = Transpose(y) {perm=[0,2,3,1]}\n}",
      0);
}

TEST(CpuLayout, ValuesReadAgainAreNotOverwritten) {
  check_on_cpu(
      "graph g(x: f32[4,600]) -> (y) {\na = Relu(x)\nb = Softmax(a)\nc = Neg(a)\n"
      "const s: i64[1] = 0\nconst e: i64[1] = 1\nd = Slice(a, s, e, s)\n"
      "f = Add(c, d)\nh = Mul(f, b)\ny = Add(h, a)\n}",
      1e-6);
  check_on_cpu(
      "graph g(x: f32[4,600]) -> (y) {\na = Softmax(x)\nconst s: i64[1] = 0\n"
      "const e: i64[1] = 1\nd = Slice(a, s, e, s)\ny = Sub(a, d)\n}",
      1e-6);
}

// Repeated elements are a view of one: no dense image, whatever reads it.
TEST(CpuLayout, RepeatedElementsAreReadByEveryFamily) {
  struct Reader {
    const char *name, *body;
  };
  for (const auto& [name, body] : {
           Reader{"Conv", "const w: f32[4,6,3,3] = random 1 -1 1\ny = Conv(e, w)"},
           Reader{"depthwise", "const w: f32[6,1,3,3] = random 1 -1 1\ny = Conv(e, w) {group=6}"},
           Reader{"ConvTranspose",
                  "const w: f32[6,2,2,2] = random 1 -1 1\ny = ConvTranspose(e, w)"},
           Reader{"MaxPool", "y = MaxPool(e) {kernel_shape=[2,2]}"},
           Reader{"AveragePool", "y = AveragePool(e) {kernel_shape=[2,2]}"},
           Reader{"GlobalAveragePool", "y = GlobalAveragePool(e)"},
           Reader{"MatMul", "const w: f32[5,3] = random 1 -1 1\ny = MatMul(e, w)"},
           Reader{"MatMul of it", "const w: f32[3,4] = random 1 -1 1\ny = MatMul(w, e)"},
           Reader{"Softmax", "y = Softmax(e) {axis=1}"},
           Reader{"ReduceSum", "const a: i64[2] = 0 2\ny = ReduceSum(e, a)"},
           Reader{"Transpose", "y = Transpose(e) {perm=[0,2,3,1]}"},
           Reader{"Relu", "y = Relu(e)"},
       }) {
    for (const char* from :
         {"[6,1,1]", "[1,5]", "[4,1]", "[1,6,4,5]", "[2,1,4,1]", "[2,6,1,1]", "[]"}) {
      SCOPED_TRACE(std::string(name) + " of f32" + from);
      check_on_cpu("graph g(x: f32" + std::string(from) +
                       ") -> (y) {\nconst s: i64[4] = 2 6 4 5\ne = Expand(x, s)\n" + body + "\n}",
                   4e-6);
    }
  }
  check_on_cpu(
      "graph g(x: f32[5,1]) -> (y) {\nconst s: i64[3] = 3 5 2\nconst w: f32[2,5,2] = random 1 -1 "
      "1\n"
      "e = Expand(x, s)\ny = Conv(e, w)\n}",
      2e-6);
}

}  // namespace
}  // namespace mnn::testing
