// Every family of the CPU backend against the reference kernels.
#include <gtest/gtest.h>

#include <functional>

#include "tests/cpu/cpu_testing.h"

namespace mnn::testing {
namespace {

std::string graph1(const std::string& type, const std::string& body) {
  return "graph g(x: " + type + ") -> (y) {\n" + body + "\n}\n";
}
std::string graph2(const std::string& a, const std::string& b, const std::string& body) {
  return "graph g(x: " + a + ", z: " + b + ") -> (y) {\n" + body + "\n}\n";
}

TEST(CpuElementwise, Unary) {
  for (const char* op : {"Relu",        "LeakyRelu", "ThresholdedRelu",
                         "Elu",         "Selu",      "Celu",
                         "HardSigmoid", "HardSwish", "Sigmoid",
                         "Swish",       "Tanh",      "Gelu",
                         "Mish",        "Softplus",  "Softsign",
                         "Erf",         "Exp",       "Abs",
                         "Neg",         "Floor",     "Ceil",
                         "Round",       "Sign",      "Sin",
                         "Cos",         "Reciprocal"}) {
    for (const char* dims : {"f32[1]", "f32[3,7]", "f32[2,3,5,7]", "f32[4099]"}) {
      check_on_cpu(graph1(dims, std::string("y = ") + op + "(x)"), 2e-6, 5);
    }
  }
  check_on_cpu(graph1("f32[333]", "a = Abs(x)\ny = Log(a)"), 2e-6, 50);
  check_on_cpu(graph1("f32[333]", "a = Abs(x)\ny = Sqrt(a)"), 2e-6, 50);
  check_on_cpu(graph1("f32[333]", "y = Gelu(x) {approximate=\"tanh\"}"), 2e-6, 5);
  check_on_cpu(graph1("f32[333]", "const a: f32[] = -0.5\nconst b: f32[] = 2\ny = Clip(x, a, b)"),
               0, 5);
  check_on_cpu(graph1("f32[333]", "const b: f32[] = 2\ny = Clip(x, _, b)"), 0, 5);
}

TEST(CpuElementwise, ExtremeArguments) {
  for (const char* op : {"Exp", "Sigmoid", "Tanh", "Erf", "Softplus", "Gelu", "Swish", "Mish"}) {
    check_on_cpu(graph1("f32[1000]", std::string("y = ") + op + "(x)"), 2e-6, 200);
  }
}

TEST(CpuElementwise, BroadcastingForms) {
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min"}) {
    const std::string body = std::string("y = ") + op + "(x, z)";
    for (const auto& [a, b] :
         std::vector<std::pair<const char*, const char*>>{{"f32[2,3,4,5]", "f32[2,3,4,5]"},
                                                          {"f32[2,3,4,5]", "f32[3,1,1]"},
                                                          {"f32[2,3,4,5]", "f32[1]"},
                                                          {"f32[2,3,4,5]", "f32[5]"},
                                                          {"f32[3,1]", "f32[1,7]"},
                                                          {"f32[2,1,4,1]", "f32[3,1,5]"},
                                                          {"f32[4,5]", "f32[3,4,5]"},
                                                          {"f32[2,3000]", "f32[2,1]"},
                                                          {"f32[700,9]", "f32[9]"},
                                                          {"f32[]", "f32[2,2]"}}) {
      check_on_cpu(graph2(a, b, body), 1e-6, 3);
    }
  }
  check_on_cpu(graph2("f32[2,3,4]", "f32[3,1]", "y = PRelu(x, z)"), 1e-6);
}

TEST(CpuElementwise, NumbersAsOperands) {
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"}) {
    for (const char* c : {"2", "0.5", "-1", "3", "1.5"}) {
      const std::string number = std::string("const c: f32[] = ") + c + "\na = Abs(x)\n";
      check_on_cpu(graph1("f32[101]", number + "y = " + op + "(a, c)"), 2e-6, 3);
      if (std::string(op) != "Pow") {
        check_on_cpu(graph1("f32[101]", number + "y = " + op + "(c, a)"), 2e-6, 3);
      }
    }
  }
}

TEST(CpuElementwise, ChainsBecomeOneStep) {
  const std::string text = graph1("f32[2,3,40,50]",
                                  "const c3: f32[] = 3\nconst c0: f32[] = 0\nconst c6: f32[] = 6\n"
                                  "a = Add(x, c3)\nb = Clip(a, c0, c6)\nd = Mul(x, b)\n"
                                  "y = Div(d, c6)");
  check_on_cpu(text, 1e-6, 6);
  const CpuRun run = run_on_cpu(text);
  ASSERT_EQ(run.steps.size(), 1u);
  EXPECT_EQ(run.steps[0].op, "Add+Clip+Mul+Div");
}

TEST(CpuElementwise, ComparisonsLogicAndCasts) {
  check_on_cpu(graph2("f32[2,3,4]", "f32[3,4]", "a = Less(x, z)\ny = Cast(a) {to=f32}"), 0);
  check_on_cpu(graph2("f32[2,3,4]", "f32[3,4]", "y = GreaterOrEqual(x, z)"), 0);
  check_on_cpu(graph2("bool[7,3]", "bool[7,1]", "a = And(x, z)\nb = Not(a)\ny = Xor(b, z)"), 0);
  check_on_cpu(graph1("f32[501]", "y = Cast(x) {to=i32}"), 0, 1000);
  check_on_cpu(graph1("f32[501]", "y = Cast(x) {to=i64}"), 0, 1000);
  check_on_cpu(graph1("i64[501]", "y = Cast(x) {to=f32}"), 0);
  check_on_cpu(
      "graph g(c: bool[2,1,4], x: f32[2,3,4], z: f32[3,1]) -> (y) {\ny = Where(c, x, z)\n}", 0);
  check_on_cpu(
      "graph g(a: f32[3,4], b: f32[4], c: f32[1]) -> (y, s, m) {\ny = Max(a, b, c)\n"
      "s = Sum(a, b, c)\nm = Mean(a, b, c)\n}",
      1e-6);
}

// Operands joined by commas, or lines joined by line ends.
std::string repeat(int n, const std::string& separator, const std::function<std::string(int)>& f) {
  std::string text;
  for (int i = 0; i < n; ++i) text += (i > 0 ? separator : "") + f(i);
  return text;
}

TEST(CpuElementwise, AnyNumberOfOperands) {
  for (const int n : {23, 24, 25, 32, 33, 34, 64, 65, 100}) {
    const auto name = [](int i) { return "x" + std::to_string(i); };
    const std::string inputs = repeat(n, ", ", [&](int i) {
      return name(i) + (i % 3 == 0 ? ": f32[3,5]" : i % 3 == 1 ? ": f32[5]" : ": f32[3,1]");
    });
    const std::string operands = repeat(n, ", ", name);
    check_on_cpu("graph g(" + inputs + ") -> (s, a, b, m) {\ns = Sum(" + operands +
                     ") + Relu + Mul(x0)\na = Max(" + operands + ")\nb = Min(" + operands +
                     ")\nm = Mean(" + operands + ")\n}",
                 2e-6);
  }
  const auto constant = [](int i) { return "c" + std::to_string(i); };
  check_on_cpu(graph1("f32[2,7]", repeat(3000, "\n",
                                         [&](int i) {
                                           return "const " + constant(i) + ": f32[7] = random " +
                                                  std::to_string(i + 1) + " -1 1";
                                         }) +
                                      "\ny = Sum(x, " + repeat(3000, ", ", constant) + ")"),
               2e-5);
}

// The most registers that as many operators as fit into one expression take.
TEST(CpuElementwise, LongestExpressions) {
  const auto name = [](const char* prefix, int i) { return prefix + std::to_string(i); };
  for (const int n : {23, 24, 25, 60}) {
    const std::string types = repeat(
        n, ", ", [&](int i) { return name("c", i) + ": bool[3,5], " + name("x", i) + ": f32[5]"; });
    const std::string where = repeat(n, "\n", [&](int i) {
      return name("y", i + 1) + " = Where(" + name("c", i) + ", " + name("x", i) + ", " +
             name("y", i) + ")";
    });
    check_on_cpu(
        "graph g(y0: f32[3,5], " + types + ") -> (" + name("y", n) + ") {\n" + where + "\n}", 0);
    const std::string grid = ": f32[3,5] quant u8 scale [0.5] zero [128]";
    const std::string sums = repeat(n, "\n", [&](int i) {
      return name("y", i + 1) + grid + " = Add(" + name("y", i) + ", " + name("x", i) + ")";
    });
    const std::string floats = repeat(n, ", ", [&](int i) { return name("x", i) + ": f32[3,5]"; });
    // Numbers between the grid's: half way the last bit decides.
    check_on_cpu(
        "graph g(y0: f32[3,5], " + floats + ") -> (" + name("y", n) + ") {\n" + sums + "\n}", 2e-2,
        20);
  }
}

TEST(CpuElementwise, AnyNumberOfPostOps) {
  const auto op = [](int i) {
    return i % 3 == 0   ? std::string(" + Add(z)")
           : i % 3 == 1 ? " + Clip(low, high)"
                        : " + LeakyRelu {alpha=0.9}";
  };
  for (const int n : {22, 23, 24, 60, 400}) {
    const std::string chain = repeat(n, "", op);
    const std::string bounds = "const low: f32[] = -4\nconst high: f32[] = 4\n";
    check_on_cpu(graph2("f32[1,3,4,4]", "f32[1,3,4,4]", bounds + "y = Tanh(x)" + chain), 4e-6);
    check_on_cpu(graph2("f32[1,3,4,4]", "f32[1,3,4,4]",
                        bounds + "const w: f32[3,3,1,1] = random 1 -1 1\ny = Conv(x, w)" + chain),
                 4e-6);
  }
}

TEST(CpuElementwise, BatchNormalization) {
  const std::string body =
      "const g: f32[5] = random 1 0.5 1.5\nconst b: f32[5] = random 2 -1 1\n"
      "const m: f32[5] = random 3 -1 1\nconst v: f32[5] = random 4 0.5 2\n"
      "y = BatchNormalization(x, g, b, m, v)";
  check_on_cpu(graph1("f32[2,5,7,3]", body), 1e-6);
  check_on_cpu(graph1("f32[9,5]", body), 1e-6);
}

TEST(CpuConv, Shapes) {
  struct Case {
    const char *x, *w, *attributes;
  };
  for (const Case& c : std::vector<Case>{
           {"f32[1,3,17,19]", "f32[8,3,3,3]", "{pads=[1,1,1,1], strides=[2,2]}"},
           {"f32[2,16,9,9]", "f32[24,16,1,1]", ""},
           {"f32[1,16,20,20]", "f32[16,16,3,3]", "{pads=[1,1,1,1]}"},
           {"f32[1,12,11,13]", "f32[12,1,5,5]", "{group=12, pads=[2,2,2,2]}"},
           {"f32[1,8,10,10]", "f32[6,4,3,3]", "{group=2, dilations=[2,2]}"},
           {"f32[1,5,10,7]", "f32[7,5,3,2]", "{auto_pad=\"SAME_UPPER\", strides=[2,2]}"},
           {"f32[1,5,10,7]", "f32[7,5,3,2]", "{auto_pad=\"SAME_LOWER\"}"},
           {"f32[2,4,33]", "f32[5,4,3]", "{pads=[2,0], strides=[2]}"},
           {"f32[1,32,1,1]", "f32[10,32,1,1]", ""}}) {
    check_on_cpu(graph1(c.x, std::string("const w: ") + c.w + " = random 5 -0.3 0.3\n" +
                                 "y = Conv(x, w) " + c.attributes),
                 1e-5);
  }
}

TEST(CpuConv, PostOps) {
  const std::string head =
      "graph g(x: f32[1,6,9,10], r: f32[1,8,9,10], s: f32[8,1,1], least: f32[]) -> (y) {\n"
      "const low: f32[] = -0.25\nconst high: f32[] = 0.5\n"
      "const w: f32[8,6,3,3] = random 5 -0.3 0.3\nconst b: f32[8] = random 6 -1 1\n"
      "y = Conv(x, w, b) {pads=[1,1,1,1]} ";
  for (const char* ops : {"+ Relu",
                          "+ Clip(low, high)",
                          "+ Clip(low)",
                          "+ Clip(_, high)",
                          "+ Clip(least)",
                          "+ Relu + Clip(least, high)",
                          "+ LeakyRelu {alpha=0.3}",
                          "+ HardSwish",
                          "+ HardSigmoid",
                          "+ Sigmoid",
                          "+ Swish",
                          "+ Tanh",
                          "+ Gelu",
                          "+ Add(r)",
                          "+ Add(r) + Relu",
                          "+ Relu + Add(r)",
                          "+ Relu + Add(r) + Tanh",
                          "+ Mul(s)",
                          "+ Mul(s) + Relu + Add(r)",
                          "+ Add(s) + HardSwish",
                          "+ Relu + Sigmoid",
                          "+ Add(r) + Add(r)"}) {
    check_on_cpu(head + ops + "\n}", 1e-5);
  }
}

TEST(CpuConv, Transposed) {
  struct Case {
    const char *x, *w, *attributes;
  };
  for (const Case& c : std::vector<Case>{
           {"f32[1,6,7,5]", "f32[6,4,2,2]", "{strides=[2,2]}"},
           {"f32[1,6,7,5]", "f32[6,4,3,3]",
            "{strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]}"},
           {"f32[2,6,7,5]", "f32[6,2,3,3]", "{group=2, dilations=[2,1]}"},
           {"f32[1,6,7,5]", "f32[6,3,4,4]", "{strides=[3,3], auto_pad=\"SAME_UPPER\"}"},
           {"f32[1,6,7]", "f32[6,3,4]", "{strides=[2]}"}}) {
    check_on_cpu(graph1(c.x, std::string("const w: ") + c.w + " = random 5 -0.3 0.3\n" +
                                 "y = ConvTranspose(x, w) " + c.attributes + " + Relu"),
                 1e-5);
  }
}

TEST(CpuMatMul, Forms) {
  for (const auto& [a, b] :
       std::vector<std::pair<const char*, const char*>>{{"f32[5,7]", "f32[7,9]"},
                                                        {"f32[2,3,5,7]", "f32[2,3,7,4]"},
                                                        {"f32[2,3,5,7]", "f32[7,4]"},
                                                        {"f32[5,7]", "f32[3,7,4]"},
                                                        {"f32[2,1,5,7]", "f32[3,7,4]"},
                                                        {"f32[7]", "f32[7,4]"},
                                                        {"f32[5,7]", "f32[7]"},
                                                        {"f32[7]", "f32[7]"},
                                                        {"f32[1,33]", "f32[33,70]"}}) {
    check_on_cpu(graph2(a, b, "y = MatMul(x, z)"), 1e-5);
    check_on_cpu(graph1(a, std::string("const w: ") + b + " = random 3 -1 1\ny = MatMul(x, w)"),
                 1e-5);
    check_on_cpu(graph1(b, std::string("const w: ") + a + " = random 3 -1 1\ny = MatMul(w, x)"),
                 1e-5);
  }
}

TEST(CpuMatMul, TransposedOperandsNeedNoCopies) {
  const std::string text =
      "graph g(q: f32[1,10,24], k: f32[1,10,24]) -> (y) {\n"
      "const s: i64[4] = 1 10 3 8\n"
      "a = Reshape(q, s)\nb = Transpose(a) {perm=[0,2,1,3]}\n"
      "c = Reshape(k, s)\nd = Transpose(c) {perm=[0,2,3,1]}\n"
      "e = MatMul(b, d)\nf = Softmax(e)\n"
      "h = Transpose(c) {perm=[0,2,1,3]}\ni = MatMul(f, h)\n"
      "j = Transpose(i) {perm=[0,2,1,3]}\nconst t: i64[3] = 1 10 24\ny = Reshape(j, t)\n}";
  check_on_cpu(text, 1e-5);
  const CpuRun run = run_on_cpu(text);
  // Only the result of the second product is put into another order.
  EXPECT_EQ(count_steps(run, "reorder") + count_steps(run, "copy"), 1);
}

TEST(CpuGemm, Forms) {
  for (const char* c : {"f32[9]", "f32[1]", "f32[1,9]", "f32[5,9]", "f32[5,1]"}) {
    for (const char* attributes : {"{transA=0, transB=0}", "{transA=0, transB=1}",
                                   "{transA=1, transB=0, alpha=0.5}", "{transA=1, transB=1}"}) {
      const bool ta = std::string(attributes).find("transA=1") != std::string::npos;
      const bool tb = std::string(attributes).find("transB=1") != std::string::npos;
      const std::string x = ta ? "f32[7,5]" : "f32[5,7]", w = tb ? "f32[9,7]" : "f32[7,9]";
      check_on_cpu(graph1(x, "const w: " + w + " = random 1 -1 1\nconst c: " + c +
                                 " = random 2 -1 1\ny = Gemm(x, w, c) " + attributes + " + Relu"),
                   1e-5);
      check_on_cpu("graph g(x: " + x + ", w: " + w + ", c: " + c +
                       ") -> (y) {\ny = Gemm(x, w, c) " + attributes + "\n}",
                   1e-5);
    }
  }
  check_on_cpu(graph1("f32[5,7]",
                      "const w: f32[7,9] = random 1 -1 1\nconst c: f32[9] = random 2 -1 1"
                      "\ny = Gemm(x, w, c) {beta=0.5}"),
               1e-5);
}

TEST(CpuPool, Windows) {
  for (const char* op : {"MaxPool", "AveragePool"}) {
    for (const char* attributes : {"{kernel_shape=[2,2], strides=[2,2]}",
                                   "{kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]}",
                                   "{kernel_shape=[3,2], ceil_mode=1, strides=[2,2]}",
                                   "{kernel_shape=[3,3], auto_pad=\"SAME_UPPER\", strides=[2,1]}",
                                   "{kernel_shape=[2,2], dilations=[2,2]}"}) {
      for (const char* x : {"f32[1,3,10,13]", "f32[2,17,9,8]", "f32[1,64,7,7]"}) {
        check_on_cpu(graph1(x, std::string("y = ") + op + "(x) " + attributes), 1e-6);
      }
    }
    check_on_cpu(
        graph1("f32[2,5,33]", std::string("y = ") + op + "(x) {kernel_shape=[4], strides=[3]}"),
        1e-6);
  }
  check_on_cpu(graph1("f32[1,8,9,9]",
                      "y = AveragePool(x) {kernel_shape=[3,3], pads=[1,1,1,1], "
                      "count_include_pad=1, strides=[2,2], ceil_mode=1}"),
               1e-6);
  check_on_cpu(graph1("f32[2,13,9,8]", "y = GlobalAveragePool(x)"), 1e-6);
  check_on_cpu(graph1("f32[2,13,9,8]", "y = GlobalMaxPool(x)"), 1e-6);
}

TEST(CpuReduce, AnyAxes) {
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSumSquare",
                         "ReduceL1", "ReduceL2"}) {
    for (const char* axes : {"i64[1] = 0", "i64[1] = 1", "i64[1] = -1", "i64[2] = 2 3",
                             "i64[2] = 0 2", "i64[4] = 0 1 2 3", "i64[2] = 1 3"}) {
      for (const char* keep : {"0", "1"}) {
        check_on_cpu(graph1("f32[3,5,7,19]", std::string("const a: ") + axes + "\ny = " + op +
                                                 "(x, a) {keepdims=" + keep + "}"),
                     1e-6);
      }
    }
    check_on_cpu(graph1("f32[3,5]", std::string("y = ") + op + "(x)"), 1e-6);
    check_on_cpu(graph1("f32[3,1,5]", std::string("const a: i64[1] = 1\ny = ") + op + "(x, a)"),
                 1e-6);
  }
  check_on_cpu(graph1("f32[2,100000]", "const a: i64[1] = 1\ny = ReduceSum(x, a)"), 1e-6);
}

TEST(CpuSoftmax, AnyAxis) {
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    for (const char* axis : {"0", "1", "2", "-1"}) {
      for (const char* x : {"f32[2,3,5]", "f32[4,17,33]", "f32[1,1,1]", "f32[3,2,1025]"}) {
        check_on_cpu(graph1(x, std::string("y = ") + op + "(x) {axis=" + axis + "}"), 2e-6, 20);
      }
    }
  }
}

TEST(CpuNorm, LayerGroupInstance) {
  const std::string wb = "const s: f32[19] = random 1 0.5 1.5\nconst b: f32[19] = random 2 -1 1\n";
  check_on_cpu(graph1("f32[3,5,19]", wb + "y = LayerNormalization(x, s, b)"), 2e-6);
  check_on_cpu(graph1("f32[3,5,19]", wb + "y = LayerNormalization(x, s)"), 2e-6);
  check_on_cpu(graph1("f32[3,5,19]", wb + "y = RMSNormalization(x, s)"), 2e-6);
  check_on_cpu(graph1("f32[3,5,19]",
                      "const s: f32[5,19] = random 1 0.5 1.5\n"
                      "y = LayerNormalization(x, s) {axis=1}"),
               2e-6);
  const std::string c = "const s: f32[12] = random 1 0.5 1.5\nconst b: f32[12] = random 2 -1 1\n";
  check_on_cpu(graph1("f32[2,12,9,7]", c + "y = InstanceNormalization(x, s, b)"), 5e-6);
  check_on_cpu(graph1("f32[2,12,9,7]", c + "y = GroupNormalization(x, s, b) {num_groups=3}"), 5e-6);
  const std::string conv = "const w: f32[12,4,1,1] = random 3 -1 1\na = Conv(x, w)\n";
  check_on_cpu(graph1("f32[2,4,9,7]", c + conv + "y = InstanceNormalization(a, s, b)"), 5e-6);
  check_on_cpu(graph1("f32[2,4,9,7]", c + conv + "y = GroupNormalization(a, s, b) {num_groups=3}"),
               5e-6);
}

TEST(CpuResize, Modes) {
  for (const char* mode : {"nearest", "linear"}) {
    for (const char* coordinates : {"half_pixel", "asymmetric", "align_corners",
                                    "pytorch_half_pixel", "half_pixel_symmetric"}) {
      for (const char* scales : {"f32[4] = 1 1 2 2", "f32[4] = 1 1 0.6 1.7", "f32[4] = 1 1 1 3"}) {
        for (const char* x : {"f32[1,3,5,7]", "f32[2,16,4,6]", "f32[1,1,5,7]"}) {
          check_on_cpu(
              graph1(x, std::string("const s: ") + scales + "\ny = Resize(x, _, s) {mode=\"" +
                            mode + "\", coordinate_transformation_mode=\"" + coordinates + "\"}"),
              2e-6);
        }
      }
    }
    check_on_cpu(graph1("f32[1,3,5,7]", std::string("const z: i64[4] = 1 3 9 4\n"
                                                    "y = Resize(x, _, _, z) {mode=\"") +
                                            mode + "\"}"),
                 2e-6);
    check_on_cpu(graph1("f32[1,3,5]", std::string("const s: f32[3] = 1 1 2\n"
                                                  "y = Resize(x, _, s) {mode=\"") +
                                          mode + "\"}"),
                 2e-6);
  }
}

TEST(CpuMove, ConcatSplitSlicePadGather) {
  check_on_cpu("graph g(a: f32[2,3,4], b: f32[2,5,4]) -> (y) {\ny = Concat(a, b) {axis=1}\n}", 0);
  check_on_cpu("graph g(a: i64[3], b: i64[2]) -> (y) {\ny = Concat(a, b) {axis=0}\n}", 0);
  check_on_cpu(
      "graph g(x: f32[2,9,4]) -> (a, b) {\nconst s: i64[2] = 4 5\n"
      "a, c = Split(x, s) {axis=1}\nb = Relu(c)\n}",
      0);
  check_on_cpu(graph1("f32[5,8,9]",
                      "const s: i64[2] = 1 -2\nconst e: i64[2] = 4 -9\n"
                      "const a: i64[2] = 0 2\nconst t: i64[2] = 2 -3\n"
                      "y = Slice(x, s, e, a, t)"),
               0);
  for (const char* mode : {"constant", "edge", "reflect", "wrap"}) {
    check_on_cpu(
        graph1("f32[2,3,5,4]", std::string("const p: i64[8] = 0 0 1 2 0 0 3 1\n"
                                           "const v: f32[] = 1.5\ny = Pad(x, p, v) {mode=\"") +
                                   mode + "\"}"),
        0);
  }
  check_on_cpu(graph1("f32[6,5]", "const p: i64[4] = -1 2 0 -3\ny = Pad(x, p)"), 0);
  check_on_cpu(graph1("f32[2,3]", "const r: i64[2] = 3 2\ny = Tile(x, r)"), 0);
  check_on_cpu(graph1("f32[3,1]", "const r: i64[3] = 2 3 4\ny = Expand(x, r)"), 0);
  check_on_cpu(graph1("f32[3,4,5]", "const i: i64[2,2] = 0 -1 3 1\ny = Gather(x, i) {axis=1}"), 0);
  check_on_cpu(graph1("f32[3,4,5]", "const i: i64[] = -2\ny = Gather(x, i) {axis=2}"), 0);
  check_on_cpu("graph g(i: i64[2,3], x: f32[4,2,5]) -> (y) {\ny = Gather(x, i) {axis=1}\n}", 0);
  check_on_cpu(graph1("f32[2,12,3,5]", "y = DepthToSpace(x) {blocksize=2, mode=\"DCR\"}"), 0);
  check_on_cpu(graph1("f32[2,12,3,5]", "y = DepthToSpace(x) {blocksize=2, mode=\"CRD\"}"), 0);
  check_on_cpu(graph1("f32[2,3,4,6]", "y = SpaceToDepth(x) {blocksize=2}"), 0);
  check_on_cpu(graph1("f32[2,3,4]", "a = Transpose(x) {perm=[2,0,1]}\ny = Transpose(a)"), 0);
  for (const char* type : {"u8", "i64", "bool", "f64", "i16"}) {
    check_on_cpu(graph1(std::string(type) + "[37,41]", "y = Transpose(x) {perm=[1,0]}"), 0);
  }
}

}  // namespace
}  // namespace mnn::testing
