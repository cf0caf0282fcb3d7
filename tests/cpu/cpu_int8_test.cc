// Graphs whose values lie on byte grids: within one step of the reference everywhere.
#include <gtest/gtest.h>

#include "tests/cpu/cpu_testing.h"

namespace mnn::testing {
namespace {

const std::string kQ = " quant u8 scale [0.02] zero [128]";

// Outputs are on a grid of `step`; one step of difference is allowed.
void check_steps(const std::string& text, double step) {
  for (const std::string& isa : {std::string(), std::string("sse41")}) {
    const CpuRun one = run_on_cpu(text, 1, isa, 2), two = run_on_cpu(text, 2, isa, 2);
    ASSERT_FALSE(one.outputs.empty()) << text;
    for (size_t o = 0; o < one.outputs.size(); ++o) {
      const auto r = *one.expected[o].to_doubles(), y = *one.outputs[o].to_doubles();
      int64_t off = 0;
      for (size_t i = 0; i < r.size(); ++i) {
        ASSERT_LE(std::abs(r[i] - y[i]), step * 1.001) << text;
        off += std::abs(r[i] - y[i]) > step * 0.5 ? 1 : 0;
      }
      // Only ties may fall to the other side.
      EXPECT_LE(off, static_cast<int64_t>(r.size() / 20 + 1)) << text;
      EXPECT_TRUE(identical(one.outputs[o], two.outputs[o])) << text;
    }
  }
}

std::string graph(const std::string& type, const std::string& body) {
  return "graph g(x: " + type + kQ + ") -> (y) {\n" + body + "\n}";
}

TEST(CpuInt8, ElementwiseTables) {
  for (const char* op : {"Relu", "Sigmoid", "HardSwish", "Swish", "Tanh", "Gelu"}) {
    const std::string text =
        graph("f32[1,5,7,9]", std::string("y: f32[1,5,7,9]") + kQ + " = " + op + "(x)");
    check_steps(text, 0.02);
    EXPECT_EQ(count_steps(run_on_cpu(text), "lookup_u8"), 1);
  }
}

TEST(CpuInt8, BinaryOnTwoGrids) {
  for (const char* op : {"Add", "Mul", "Sub"}) {
    check_steps("graph g(x: f32[2,3,5,7]" + kQ +
                    ", z: f32[2,3,5,7] quant i8 scale [0.013] zero [3]) -> (y) {\n"
                    "y: f32[2,3,5,7] quant u8 scale [0.03] zero [100] = " +
                    op + "(x, z)\n}",
                0.03);
  }
  check_steps("graph g(x: f32[2,3,5,7]" + kQ + ", z: f32[2,3,1,1]" + kQ +
                  ") -> (y) {\n"
                  "y: f32[2,3,5,7] quant u8 scale [0.03] zero [100] = Mul(x, z)\n}",
              0.03);
}

TEST(CpuInt8, MovesAndPools) {
  for (const char* body :
       {"= MaxPool(x) {kernel_shape=[2,2], strides=[2,2]}", "= AveragePool(x) {kernel_shape=[3,3]}",
        "= GlobalAveragePool(x)", "= Transpose(x) {perm=[0,2,3,1]}", "= Concat(x, x) {axis=1}",
        "= Softmax(x) {axis=1}", "= Flatten(x)"}) {
    check_steps(graph("f32[1,8,6,10]", "y" + kQ + " " + body), 0.02);
  }
  check_steps(graph("f32[1,8,6,10]",
                    "const s: f32[4] = 1 1 2 2\ny" + kQ + " = Resize(x, _, s) {mode=\"linear\"}"),
              0.02);
  check_steps(graph("f32[1,8,6,10]",
                    "const s: f32[4] = 1 1 2 2\ny" + kQ + " = Resize(x, _, s) {mode=\"nearest\"}"),
              0.02);
  check_steps(graph("f32[1,8,6,10]", "const p: i64[8] = 0 0 1 1 0 0 1 1\nconst v: f32[] = 0.5\ny" +
                                         kQ + " = Pad(x, p, v)"),
              0.02);
}

// Bytes are picked as bytes.
TEST(CpuInt8, PickedElements) {
  for (const char* body :
       {"const i: i64[1,2,3,2] = 0 1 5 3 2 0 4 4 1 2 3 0\ny@ = GatherElements(x, i) {axis=2}",
        "const i: i64[2,2] = 0 3 0 7\ny@ = GatherND(x, i)",
        "const i: i64[3] = 5 0 5\ny@ = Gather(x, i) {axis=2}"}) {
    std::string text = body;
    text.replace(text.find('@'), 1, kQ);
    check_steps(graph("f32[1,8,6,10]", text), 0.02);
  }
}

TEST(CpuInt8, OtherGridsOfOneView) {
  check_steps(graph("f32[2,3,4]",
                    "const s: i64[2] = 6 4\n"
                    "y: f32[6,4] quant u8 scale [0.05] zero [90] = Reshape(x, s)"),
              0.05);
  check_steps(graph("f32[2,3,4]", "const s: i64[2] = 6 4\na = Reshape(x, s)\ny = Neg(a)"), 0.02);
}

TEST(CpuInt8, ConvAndGemm) {
  const std::string w =
      "const w: f32[6,4,3,3] quant i8 scale [0.01,0.02,0.01,0.005,0.01,0.02] "
      "zero [0,0,0,0,0,0] axis 0 = random 3 -127 127\n"
      "const b: f32[6] = random 4 -1 1\n";
  for (const char* ops : {"", " + Relu", " + HardSwish", " + Sigmoid"}) {
    const std::string conv = w +
                             "y: f32[1,6,9,8] quant u8 scale [0.05] zero [128] = "
                             "Conv(x, w, b) {pads=[1,1,1,1]}" +
                             ops;
    check_steps(graph("f32[1,4,9,8]", conv), 0.05);
    const std::string real = w + "y = Conv(x, w, b) {pads=[1,1,1,1]}" + ops;
    check_on_cpu(graph("f32[1,4,9,8]", real), 1e-5, 2);
  }
  const std::string m = "const w: f32[20,7] quant i8 scale [0.01] zero [0] = random 3 -127 127\n";
  check_steps(
      graph("f32[2,5,20]", m + "y: f32[2,5,7] quant u8 scale [0.05] zero [128] = MatMul(x, w)"),
      0.05);
  check_steps(
      graph("f32[5,20]", m + "const c: f32[7] = random 5 -1 1\n"
                             "y: f32[5,7] quant u8 scale [0.05] zero [128] = Gemm(x, w, c)"),
      0.05);
}

// Both operands are bytes that were computed: as they lie, transposed, repeated over the batch.
TEST(CpuInt8, ComputedProducts) {
  const std::string z = " quant u8 scale [0.013] zero [90]";
  const std::string out = " quant u8 scale [0.05] zero [128]";
  const auto product = [&](const std::string& x, const std::string& b, const std::string& body,
                           int steps = 1) {
    const std::string text =
        "graph g(x: " + x + kQ + ", b: " + b + z + ") -> (y) {\n" + body + "\n}";
    check_steps(text, 0.05);
    EXPECT_EQ(count_steps(run_on_cpu(text), "matmul_int8"), steps) << text;
  };
  product("f32[2,3,9,13]", "f32[2,3,13,7]", "y" + out + " = MatMul(x, b)");
  product("f32[2,3,9,13]", "f32[13,7]", "y" + out + " = MatMul(x, b) + Relu");
  product("f32[9,13]", "f32[3,13,7]", "y" + out + " = MatMul(x, b)");
  product("f32[2,1,9,13]", "f32[3,7,13]",
          "t" + z + " = Transpose(b) {perm=[0,2,1]}\ny" + out + " = MatMul(x, t)");
  product("f32[9,2,12]", "f32[9,2,12]",
          "q" + kQ + " = Transpose(x) {perm=[1,0,2]}\nk" + z + " = Transpose(b) {perm=[1,2,0]}\ny" +
              out + " = MatMul(q, k)");
  product("f32[9,13]", "f32[7,13]", "y" + out + " = Gemm(x, b) {transB=1, alpha=0.5}");
  product("f32[9,13]", "f32[13,7]",
          "const c: f32[7] = random 5 -1 1\nr: f32[9,7] = MatMul(x, b)\ny" + out +
              " = Gemm(x, b, c) + Add(r)",
          2);
  // No int8 kernel: a vector, a factor below 0.
  product("f32[9,13]", "f32[13]", "y" + out + " = MatMul(x, b)", 0);
  product("f32[9,13]", "f32[13,7]", "y" + out + " = Gemm(x, b) {alpha=-1.0}", 0);
  check_on_cpu(
      "graph g(x: f32[2,9,13]" + kQ + ", b: f32[2,13,7]" + z + ") -> (y) {\ny = MatMul(x, b)\n}",
      1e-5, 2);
}

TEST(CpuInt8, TransposedConvolutions) {
  const std::string w =
      "const w: f32[4,6,3,2] quant i8 scale [0.01,0.02,0.01,0.005,0.01,0.02] "
      "zero [0,0,0,0,0,0] axis 1 = random 3 -127 127\n"
      "const b: f32[6] = random 4 -1 1\n";
  const std::string conv = "ConvTranspose(x, w, b) {strides=[2,2], pads=[1,0,1,0]}";
  for (const char* ops : {"", " + Relu", " + HardSwish", " + Sigmoid"}) {
    const std::string text =
        graph("f32[1,4,9,8]", w + "y quant u8 scale [0.05] zero [128] = " + conv + ops);
    check_steps(text, 0.05);
    EXPECT_EQ(count_steps(run_on_cpu(text), "conv_transpose_int8"), 1);
    check_on_cpu(graph("f32[1,4,9,8]", w + "y = " + conv + ops), 1e-5, 2);
  }
  const std::string grouped =
      "const w: f32[4,3,3,2] quant i8 scale [0.01] zero [0] = random 3 -127 127\n"
      "y = ConvTranspose(x, w) {group=2}";
  EXPECT_EQ(count_steps(run_on_cpu(graph("f32[1,4,9,8]", grouped)), "conv_transpose_f32"), 1);
}

TEST(CpuInt8, ConvResidualsAndConcat) {
  const std::string w =
      "const w: f32[4,4,3,3] quant i8 scale [0.01] zero [0] = random 3 -127 127\n";
  const std::string out = "y: f32[1,4,9,8] quant u8 scale [0.05] zero [128] = ";
  const std::string conv = out + "Conv(x, w) {pads=[1,1,1,1]}";
  for (const char* ops : {" + Add(r)", " + Add(r) + Relu", " + Relu + Add(r)",
                          " + Add(r) + Sigmoid", " + Sigmoid + Add(r)"}) {
    for (const std::string& grid : {kQ, std::string()}) {
      check_steps("graph g(x: f32[1,4,9,8]" + kQ + ", r: f32[1,4,9,8]" + grid + ") -> (y) {\n" + w +
                      conv + ops + "\n}",
                  0.05);
    }
  }
  const std::string q = " quant u8 scale [0.05] zero [128]";
  check_steps(graph("f32[1,4,9,8]", w + "a: f32[1,4,9,8]" + q + " = Conv(x, w) {pads=[1,1,1,1]}\n" +
                                        "b: f32[1,4,9,8]" + q +
                                        " = Conv(x, w) {pads=[1,1,1,1]} + Sigmoid\n" + "y" + q +
                                        " = Concat(a, b) {axis=1}"),
              0.05);
}

TEST(CpuInt8, DepthwiseAndSignedInput) {
  const std::string w =
      "const w: f32[24,1,3,3] quant i8 scale [0.01] zero [0] = random 3 -127 127\n";
  const std::string y = "y: f32[1,24,9,8] quant i8 scale [0.05] zero [2] = ";
  check_steps("graph g(x: f32[1,24,9,8] quant i8 scale [0.02] zero [-5]) -> (y) {\n" + w + y +
                  "Conv(x, w) {group=24, pads=[1,1,1,1]} + Relu\n}",
              0.05);
}

// A grid per channel: what the int8 depthwise kernel reads and convolutions write.
std::string channels(const char* storage, int count) {
  std::string scales, zeros;
  for (int c = 0; c < count; ++c) {
    scales += (c ? "," : "") + std::to_string(0.01 + 0.004 * (c % 7));
    zeros += (c ? "," : "") + std::to_string(storage[0] == 'u' ? 20 + c * 9 % 200 : c % 90);
  }
  return std::string(" quant ") + storage + " scale [" + scales + "] zero [" + zeros + "] axis 1";
}

TEST(CpuInt8, GridPerChannelBetweenConvolutions) {
  const std::string weights =
      "const w: f32[24,4,1,1] quant i8 scale [0.01] zero [0] = random 3 -127 127\n"
      "const d: f32[24,1,3,3] quant i8 scale [0.01] zero [0] = random 5 -127 127\n"
      "const f: f32[1,24,1,1] = random 6 0.5 2\nconst zero: f32[] = 0\nconst one: f32[] = 1\n";
  for (const char* storage : {"u8", "i8"}) {
    for (const char* ops : {"", " + Relu", " + HardSwish", " + Swish", " + HardSwish + Mul(f)",
                            " + Clip(zero, one)", " + Selu"}) {
      const std::string text =
          graph("f32[1,4,9,8]", weights + "a: f32[1,24,9,8]" + channels(storage, 24) +
                                    " = Conv(x, w)" + ops +
                                    "\ny: f32[1,24,9,8] quant u8 scale [0.05] zero [128] = "
                                    "Conv(a, d) {group=24, pads=[1,1,1,1]}");
      check_steps(text, 0.05);
      const CpuRun run = run_on_cpu(text);
      EXPECT_EQ(count_steps(run, "conv_int8_depthwise"), 1) << ops;
      // Only what the kernel cannot compute is put onto the grids by a step of its own.
      EXPECT_EQ(count_steps(run, "quantize_channels"), std::string(ops) == " + Selu" ? 1 : 0);
    }
  }
}

TEST(CpuInt8, GridPerChannelOfAnyValue) {
  const std::string q = channels("u8", 12);
  const std::string d =
      "const d: f32[12,1,3,3] quant i8 scale [0.01] zero [0] = random 5 -127 127\n";
  // From an input, an elementwise node, a Concat; read by a depthwise convolution and others.
  check_steps("graph g(x: f32[2,12,5,6]" + q + ") -> (y) {\n" + d +
                  "y: f32[2,12,5,6] quant u8 scale [0.05] zero [128] = Conv(x, d) {group=12, "
                  "pads=[1,1,1,1]} + Add(x)\n}",
              0.05);
  check_steps("graph g(x: f32[2,12,5,6], z: f32[2,12,5,6]) -> (y) {\n" + d + "a: f32[2,12,5,6]" +
                  q +
                  " = Add(x, z)\nb: f32[2,12,5,6] quant u8 scale [0.05] zero [128] = Conv(a, d) "
                  "{group=12, pads=[1,1,1,1]}\ny: f32[2,12,5,6] quant u8 scale [0.05] zero [128] = "
                  "Mul(a, b)\n}",
              0.05);
  check_steps("graph g(x: f32[2,6,5,6]) -> (y) {\nconst w: f32[6,6,1,1] = random 2 -0.3 0.3\n" + d +
                  "c = Conv(x, w)\na: f32[2,12,5,6]" + q +
                  " = Concat(c, x) {axis=1}\ny: f32[2,12,5,6] quant u8 scale [0.05] zero [128] = "
                  "Conv(a, d) {group=12, pads=[1,1,1,1]}\n}",
              0.05);
  // Float weights: the rounded values as floats.
  check_on_cpu("graph g(x: f32[2,12,5,6]" + q +
                   ") -> (y) {\nconst w: f32[12,1,3,3] = random 2 -1 1\n"
                   "y = Conv(x, w) {group=12}\n}",
               1e-5);
}

TEST(CpuInt8, AFactorPerColumnGoesIntoTheGrid) {
  const std::string text =
      graph("f32[5,20]",
            "const w: f32[20,7] quant i8 scale [0.01] zero [0] = random 3 -127 127\n"
            "const c: f32[7] = random 5 -1 1\nconst f: f32[7] = random 6 0.5 2\n"
            "y: f32[5,7] quant u8 scale [0.05] zero [128] = Gemm(x, w, c) + Relu + Mul(f)");
  check_steps(text, 0.05);
  EXPECT_EQ(count_steps(run_on_cpu(text), "expression"), 0);
}

// Weights alone in codes: pixels by themselves are rows of a product with the codes; others are
// not.
TEST(CpuInt8, ConvolutionsOfPixelsReadCodes) {
  std::string scales, zeros;
  for (int i = 0; i < 18; ++i) {
    scales += " " + std::to_string(0.01 * (1 + i % 4));
    zeros += " " + std::to_string(4 + i % 7);
  }
  const std::string groups = "quant u4 scale f32[9,2,1,1]" + scales + " zero u4[9,2,1,1]" + zeros +
                             " axis 1 group 4 = random 3 0 15\n";
  const std::string channels =
      "quant i8 scale [0.01,0.02,0.01,0.005,0.01,0.02,0.01,0.03,0.01] zero [0,0,0,0,0,0,0,0,0] "
      "axis "
      "0 = random 3 -127 127\n";
  for (const std::string& codes : {groups, channels}) {
    const std::string w = "const w: f32[9,8,1,1] " + codes + "const b: f32[9] = random 4 -1 1\n";
    for (const char* ops : {"", " + Relu", " + Add(z)", " + Add(z) + Relu"}) {
      const bool add = std::string(ops).find("z") != std::string::npos;
      const std::string text = std::string("graph g(x: f32[2,8,5,7]") +
                               (add ? ", z: f32[2,9,5,7]" : "") + ") -> (y) {\n" + w +
                               "y = Conv(x, w, b)" + ops + "\n}";
      check_on_cpu(text, 1e-5, 2);
      EXPECT_EQ(count_steps(run_on_cpu(text), "gemm_codes"), 1) << text;
    }
    for (const char* attributes : {"{strides=[2,2]}", "{pads=[0,1,0,1]}"}) {
      const std::string text =
          "graph g(x: f32[2,8,5,7]) -> (y) {\n" + w + "y = Conv(x, w, b) " + attributes + "\n}";
      check_on_cpu(text, 1e-5, 2);
      EXPECT_EQ(count_steps(run_on_cpu(text), "gemm_codes"), 0) << text;
    }
  }
}

}  // namespace
}  // namespace mnn::testing
