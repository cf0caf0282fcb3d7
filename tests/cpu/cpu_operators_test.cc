// Operators whose operands are computed, have three spatial axes, or read elements at computed
// places, against the reference kernels.
#include <gtest/gtest.h>

#include "tests/cpu/cpu_testing.h"

namespace mnn::testing {
namespace {

std::string graph(const std::string& inputs, const std::string& body) {
  return "graph g(" + inputs + ") -> (y) {\n" + body + "\n}\n";
}

TEST(CpuConv, ComputedWeights) {
  struct Case {
    const char *x, *w, *attributes;
  };
  for (const Case& c :
       std::vector<Case>{{"f32[1,3,9,8]", "f32[8,3,3,3]", "{pads=[1,1,1,1], strides=[2,2]}"},
                         {"f32[2,16,7,9]", "f32[24,16,1,1]", ""},
                         {"f32[1,12,8,9]", "f32[12,1,5,5]", "{group=12, pads=[2,2,2,2]}"},
                         {"f32[1,8,9,7]", "f32[6,4,3,3]", "{group=2, dilations=[2,2]}"},
                         {"f32[2,4,33]", "f32[5,4,3]", "{pads=[2,0], strides=[2]}"},
                         {"f32[1,9,5,6]", "f32[2,9,3,3]", ""}}) {
    const std::string inputs = std::string("x: ") + c.x + ", w: " + c.w;
    const std::string outputs = std::string(c.w).substr(4, std::string(c.w).find(',') - 4);
    check_on_cpu(graph(inputs, std::string("y = Conv(x, w) ") + c.attributes), 1e-5);
    check_on_cpu(graph(inputs + ", b: f32[" + outputs + "]",
                       std::string("y = Conv(x, w, b) ") + c.attributes + " + HardSwish"),
                 1e-5);
    // A constant of the two.
    check_on_cpu(graph(std::string("x: ") + c.x + ", b: f32[" + outputs + "]",
                       std::string("const w: ") + c.w + " = random 1 -1 1\ny = Conv(x, w, b) " +
                           c.attributes),
                 1e-5);
  }
  check_on_cpu(graph("x: f32[1,6,7,5], w: f32[6,4,3,3], b: f32[4]",
                     "y = ConvTranspose(x, w, b) {strides=[2,2], pads=[1,1,1,1], "
                     "output_padding=[1,1]} + Relu"),
               1e-5);
  check_on_cpu(graph("x: f32[2,6,7], w: f32[6,2,4]", "y = ConvTranspose(x, w) {group=2}"), 1e-5);
}

TEST(CpuConv, ThreeDimensions) {
  struct Case {
    const char *x, *w, *attributes;
  };
  for (const Case& c : std::vector<Case>{
           {"f32[1,3,5,9,8]", "f32[8,3,3,3,3]", "{pads=[1,1,1,1,1,1], strides=[1,2,2]}"},
           {"f32[2,17,3,4,5]", "f32[9,17,1,1,1]", ""},
           {"f32[1,16,5,4,6]", "f32[16,16,3,1,1]", "{pads=[1,0,0,1,0,0]}"},
           {"f32[1,16,3,24,24]", "f32[16,16,1,3,3]", "{pads=[0,1,1,0,1,1]}"},
           {"f32[1,8,6,5,7]", "f32[6,4,2,3,3]", "{group=2, dilations=[2,1,2]}"},
           {"f32[1,18,4,5,6]", "f32[18,1,3,3,3]", "{group=18, pads=[1,1,1,1,1,1]}"},
           {"f32[1,5,7,6,5]", "f32[7,5,2,2,2]", "{auto_pad=\"SAME_UPPER\", strides=[2,2,2]}"}}) {
    check_on_cpu(graph(std::string("x: ") + c.x, std::string("const w: ") + c.w +
                                                     " = random 5 -0.3 0.3\ny = Conv(x, w) " +
                                                     c.attributes + " + Relu"),
                 1e-5);
  }
  for (const char* attributes : {"{strides=[2,2,2]}", "{pads=[1,0,1,1,1,0], strides=[1,2,3]}",
                                 "{dilations=[2,1,1], output_padding=[1,0,1], strides=[2,2,2]}"}) {
    check_on_cpu(graph("x: f32[1,6,3,5,4]", std::string("const w: f32[6,4,2,3,3] = random 5 -1 1\n"
                                                        "y = ConvTranspose(x, w) ") +
                                                attributes),
                 1e-5);
  }
}

TEST(CpuPool, ThreeDimensions) {
  for (const char* op : {"MaxPool", "AveragePool"}) {
    for (const char* attributes : {"{kernel_shape=[2,2,2], strides=[2,2,2]}",
                                   "{kernel_shape=[1,3,3], pads=[0,1,1,0,1,1], strides=[1,2,2]}",
                                   "{kernel_shape=[3,3,2], pads=[1,1,0,1,1,1], strides=[2,1,2]}",
                                   "{kernel_shape=[3,2,2], ceil_mode=1, strides=[2,2,2]}",
                                   "{kernel_shape=[2,2,2], dilations=[2,1,2]}"}) {
      for (const char* x : {"f32[1,3,6,7,8]", "f32[2,17,5,6,5]"}) {
        check_on_cpu(graph(std::string("x: ") + x, std::string("y = ") + op + "(x) " + attributes),
                     1e-6);
      }
    }
  }
  check_on_cpu(graph("x: f32[1,8,5,6,7]",
                     "y = AveragePool(x) {kernel_shape=[3,3,3], pads=[1,1,1,1,1,1], "
                     "count_include_pad=1, strides=[2,2,2], ceil_mode=1}"),
               1e-6);
  check_on_cpu(graph("x: f32[2,13,3,4,5]", "y = GlobalAveragePool(x)"), 1e-6);
  check_on_cpu(graph("x: f32[2,13,3,4,5]", "y = GlobalMaxPool(x)"), 1e-6);
}

TEST(CpuElementwise, TrigonometryAndItsInverses) {
  for (const char* op :
       {"Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh"}) {
    const std::string name = op;
    for (const char* dims : {"f32[1]", "f32[3,7]", "f32[4099]"}) {
      check_on_cpu(graph(std::string("x: ") + dims, "y = " + name + "(x)"), 2e-6, 0.999f);
    }
    // Outside the domain the result is NaN as in the reference; far out it overflows alike.
    for (const float range : {4.0f, 90.0f, 3e4f}) {
      if (name == "Tan" && range > 4) continue;  // near a pole nothing can be compared
      if ((name == "Sinh" || name == "Cosh") && range > 89) continue;
      check_on_cpu(graph("x: f32[501]", "y = " + name + "(x)"), 2e-6, range);
    }
  }
  check_on_cpu(graph("x: f32[33]", "const z: f32[] = 0\na = Div(x, z)\ny = IsInf(a)"), 0);
  check_on_cpu(graph("x: f32[33]",
                     "const z: f32[] = 0\na = Div(x, z)\n"
                     "y = IsInf(a) {detect_negative=0}"),
               0);
  check_on_cpu(graph("x: f32[5,33], z: f32[33]", "y = Mod(x, z) {fmod=1}"), 1e-6, 9);
}

TEST(CpuSample, Grids) {
  for (const char* mode : {"linear", "nearest", "cubic"}) {
    for (const char* padding : {"zeros", "border", "reflection"}) {
      for (const char* aligned : {"0", "1"}) {
        const std::string y = std::string("y = GridSample(x, g) {align_corners=") + aligned +
                              ", mode=\"" + mode + "\", padding_mode=\"" + padding + "\"}";
        check_on_cpu(graph("x: f32[2,5,6,7], g: f32[2,4,3,2]", y), 2e-6, 1.7f);
        check_on_cpu(graph("x: f32[1,19,4,4], g: f32[1,5,5,2]", y), 2e-6, 1.2f);
        if (std::string(mode) == "cubic") continue;
        check_on_cpu(graph("x: f32[1,3,4,5,6], g: f32[1,2,3,4,3]", y), 2e-6, 1.3f);
      }
    }
  }
  check_on_cpu(graph("x: f32[2,5,9], g: f32[2,4,1]", "y = GridSample(x, g)"), 2e-6, 1.3f);
}

TEST(CpuSample, DeformedConvolutions) {
  const std::string inputs = "x: f32[1,6,7,8], o: f32[1,18,7,8]";
  const std::string weights =
      "const w: f32[5,6,3,3] = random 1 -1 1\nconst b: f32[5] = random 2 -1 1\n";
  check_on_cpu(graph(inputs, weights + "y = DeformConv(x, w, o) {pads=[1,1,1,1]}"), 1e-5, 2);
  check_on_cpu(graph(inputs + ", m: f32[1,9,7,8]",
                     weights + "y = DeformConv(x, w, o, b, m) {pads=[1,1,1,1]} + Relu"),
               1e-5, 2);
  // Groups of weights and of offsets that do not coincide.
  check_on_cpu(graph("x: f32[2,12,5,6], o: f32[2,24,2,3], m: f32[2,12,2,3]",
                     "const w: f32[4,6,2,2] = random 1 -1 1\n"
                     "y = DeformConv(x, w, o, _, m) {group=2, offset_group=3, strides=[2,2]}"),
               1e-5, 2);
}

TEST(CpuResize, AnyAxisAndMode) {
  for (const char* scales : {"f32[4] = 1 2 3 1", "f32[4] = 1.5 1 1 0.6", "f32[4] = 2 2 0.5 1.3",
                             "f32[4] = 1 1 1 1", "f32[4] = 1 1 2 2"}) {
    for (const char* how :
         {"mode=\"nearest\"", "mode=\"linear\"", "mode=\"cubic\"", "antialias=1, mode=\"linear\"",
          "antialias=1, mode=\"cubic\"", "exclude_outside=1, mode=\"cubic\"",
          "coordinate_transformation_mode=\"align_corners\", mode=\"linear\""}) {
      for (const char* x : {"f32[1,5,6,17]", "f32[2,3,4,2]", "f32[1,1,6,7]"}) {
        check_on_cpu(graph(std::string("x: ") + x, std::string("const s: ") + scales +
                                                       "\ny = Resize(x, _, s) {" + how + "}"),
                     2e-6);
      }
    }
  }
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    check_on_cpu(graph("x: f32[1,3,4,5,6]", std::string("const z: i64[5] = 1 3 8 7 9\n"
                                                        "y = Resize(x, _, _, z) {mode=\"") +
                                                mode + "\"}"),
                 2e-6);
    check_on_cpu(graph("x: f32[1,2,8,8]",
                       std::string("const r: f32[8] = 0 0 0.2 0.1 1 1 1.3 0.7\n"
                                   "const z: i64[4] = 1 2 5 6\ny = Resize(x, r, _, z) {"
                                   "coordinate_transformation_mode=\"tf_crop_and_resize\", "
                                   "extrapolation_value=7.5, mode=\"") +
                           mode + "\"}"),
                 2e-6);
  }
}

TEST(CpuScan, RunningSums) {
  for (const char* type : {"f32", "i64", "i32"}) {
    for (const char* attributes :
         {"", "{exclusive=1}", "{reverse=1}", "{exclusive=1, reverse=1}"}) {
      for (const char* axis : {"0", "1", "-1"}) {
        for (const char* dims : {"[3,7,130]", "[5,1,1]", "[2,67,3]"}) {
          check_on_cpu(
              graph(std::string("x: ") + type + dims,
                    std::string("const a: i64[] = ") + axis + "\ny = CumSum(x, a) " + attributes),
              1e-6);
        }
      }
    }
  }
  check_on_cpu(graph("x: f32[2,3,5]",
                     "t = Transpose(x) {perm=[2,0,1]}\nconst a: i64[] = 1\n"
                     "y = CumSum(t, a)"),
               1e-6);
}

TEST(CpuScan, ExtremesAlongAnAxis) {
  for (const char* op : {"ArgMax", "ArgMin"}) {
    for (const char* axis : {"0", "1", "2"}) {
      for (const char* more : {"", ", keepdims=0", ", select_last_index=1"}) {
        for (const char* dims : {"f32[3,7,130]", "f32[5,1,33]", "f32[2,67,3]"}) {
          const std::string attributes = std::string(" {axis=") + axis + more + "}";
          check_on_cpu(
              graph(std::string("x: ") + dims, std::string("y = ") + op + "(x)" + attributes), 0);
          // Equal elements, and NaN where zero is divided by zero.
          check_on_cpu(graph(std::string("x: ") + dims,
                             std::string("r = Round(x)\ny = ") + op + "(r)" + attributes),
                       0, 2);
          check_on_cpu(
              graph(std::string("x: ") + dims,
                    std::string("r = Round(x)\nq = Div(r, r)\ny = ") + op + "(q)" + attributes),
              0, 2);
        }
      }
    }
  }
}

TEST(CpuAttention, Forms) {
  const std::string q = "q: f32[2,6,5,8], k: f32[2,3,7,8], v: f32[2,3,7,4]";
  for (const char* attributes :
       {"", "{is_causal=1}", "{scale=0.3, softcap=2.5}", "{left_window_size=2}",
        "{left_window_size=1, right_window_size=1}"}) {
    check_on_cpu(graph(q, std::string("y = Attention(q, k, v) ") + attributes), 2e-6, 2);
    for (const char* mask : {"f32[5,7]", "f32[2,1,5,7]", "f32[6,1,7]", "f32[5,6]", "bool[5,7]",
                             "bool[2,6,5,7]", "bool[1,4]"}) {
      check_on_cpu(
          graph(q + ", m: " + mask, std::string("y = Attention(q, k, v, m) ") + attributes), 2e-6,
          2);
    }
    const std::string past = ", a: f32[2,3,4,8], b: f32[2,3,4,4]";
    for (const char* mode : {"0", "1", "2", "3"}) {
      std::string more = attributes;
      more = more.empty()
                 ? std::string("{qk_matmul_output_mode=") + mode + "}"
                 : more.substr(0, more.size() - 1) + ", qk_matmul_output_mode=" + mode + "}";
      // -inf in the scores that are masked has no difference to compare, so they are kept finite.
      check_on_cpu(
          "graph g(" + q + past + ") -> (y, c, d, f) {\n" +
              "y, c, d, e = Attention(q, k, v, _, a, b) " + more +
              "\nconst low: f32[] = -99\nconst high: f32[] = 99\nf = Clip(e, low, high)\n}",
          2e-6, 2);
    }
  }
  check_on_cpu(graph("q: f32[2,5,24], k: f32[2,7,12], v: f32[2,7,6]",
                     "y = Attention(q, k, v) {kv_num_heads=2, q_num_heads=4} + Relu"),
               2e-6, 2);
  check_on_cpu(graph("q: f32[2,1,24], k: f32[2,7,12], v: f32[2,7,12]",
                     "y = Attention(q, k, v) {kv_num_heads=2, q_num_heads=4}"),
               2e-6, 2);
}

TEST(CpuIndex, GatherAndScatter) {
  for (const char* axis : {"0", "1", "-1"}) {
    for (const char* type : {"f32", "i64", "u8", "i16"}) {
      check_on_cpu(graph(std::string("x: ") + type + "[3,4,5], i: i64[2,3,4]",
                         std::string("y = GatherElements(x, i) {axis=") + axis + "}"),
                   0);
    }
    for (const char* reduction : {"none", "add", "mul", "max", "min"}) {
      for (const char* type : {"f32", "i64", "i32"}) {
        check_on_cpu(
            graph(std::string("x: ") + type + "[3,4,5], i: i32[2,3,4], u: " + type + "[2,3,4]",
                  std::string("y = ScatterElements(x, i, u) {axis=") + axis + ", reduction=\"" +
                      reduction + "\"}"),
            1e-6);
      }
    }
  }
  // Negative indices.
  check_on_cpu(graph("x: f32[3,4]", "const i: i64[2,2] = -1 0 2 -3\ny = GatherElements(x, i)"), 0);
  check_on_cpu(graph("x: f32[4,3,5]", "const i: i64[2,2] = -1 0 2 -3\ny = GatherND(x, i)"), 0);
  for (const char* i : {"i64[6,2]", "i32[2,3,1]", "i64[3]"}) {
    check_on_cpu(graph(std::string("x: f32[2,2,2,5], i: ") + i, "y = GatherND(x, i)"), 0);
  }
  check_on_cpu(graph("x: f32[3,2,4], i: i64[3,5,1]", "y = GatherND(x, i) {batch_dims=1}"), 0);
  for (const char* reduction : {"none", "add", "max"}) {
    const std::string y = std::string("y = ScatterND(x, i, u) {reduction=\"") + reduction + "\"}";
    check_on_cpu(graph("x: f32[2,2,5], i: i64[3,2], u: f32[3,5]", y), 1e-6);
    check_on_cpu(graph("x: f32[4,3], i: i64[6,1], u: f32[6,3]", y), 1e-6);
  }
}

TEST(CpuSelect, TopKAndTriangles) {
  for (const char* attributes : {"", "{largest=0}", "{axis=0}", "{axis=1, largest=0}"}) {
    for (const char* k : {"1", "3"}) {
      for (const char* dims : {"f32[3,7,130]", "f32[5,3,4]"}) {
        for (const char* x :
             {"a = Mul(x, x)\n", "a = Round(x)\n", "r = Round(x)\na = Div(r, r)\n"}) {  // ties, NaN
          check_on_cpu("graph g(x: " + std::string(dims) + ") -> (y, i) {\n" + x +
                           "const k: i64[1] = " + k + "\ny, i = TopK(a, k) " + attributes + "\n}",
                       0, 2);
        }
      }
    }
  }
  for (const char* diagonal : {"0", "2", "-1", "-9", "9"}) {
    for (const char* upper : {"0", "1"}) {
      for (const char* type : {"f32[2,4,5]", "i64[5,3]", "bool[3,3]"}) {
        check_on_cpu(
            graph(std::string("x: ") + type, std::string("const k: i64[] = ") + diagonal +
                                                 "\ny = Trilu(x, k) {upper=" + upper + "}"),
            0);
      }
    }
  }
}

TEST(CpuCast, BetweenTypes) {
  for (const char* to : {"u8", "i8", "f64", "bool"}) {
    check_on_cpu(graph("x: f32[501]", std::string("y = Cast(x) {to=") + to + "}"), 0, 100);
  }
  check_on_cpu(graph("x: f32[501]",
                     "const c: f32[] = 1e19\na = Mul(x, c)\nb = Cast(a) {to=u8}\n"
                     "y = Cast(b) {to=f32}"),
               0, 4);
  check_on_cpu(graph("x: f32[501]", "const c: f32[] = 1e9\na = Mul(x, c)\ny = Cast(a) {to=i8}"), 0,
               9);
  for (const char* from : {"u8", "i8", "i32", "i64", "bool"}) {
    for (const char* to : {"u8", "i16", "i32", "i64", "f64", "bool", "f32"}) {
      check_on_cpu(
          graph("x: f32[7,9]", std::string("a = Cast(x) {to=f64}\nb = Cast(x) {to=") + from +
                                   "}\nc = Cast(b) {to=" + to +
                                   "}\nd = Transpose(c) {perm=[1,0]}\ny = Cast(d) {to=f64}"),
          0, 200);
    }
  }
  check_on_cpu("graph g(x: f32[5,7], l: f32[], h: f32[1]) -> (y) {\ny = Clip(x, l, h)\n}", 0);
  check_on_cpu("graph g(x: f32[5,7], h: f32[]) -> (y) {\ny = Clip(x, _, h)\n}", 0);
}

TEST(CpuMatMul, IntegersAndDoubles) {
  struct Case {
    const char *a, *b;
  };
  for (const Case& c :
       {Case{"[5,7]", "[7,9]"}, Case{"[2,3,5,8]", "[2,3,8,70]"}, Case{"[1,130]", "[130,33]"},
        Case{"[2,3,19,12]", "[12,64]"}, Case{"[5,7]", "[3,7,4]"}, Case{"[2,1,13,7]", "[3,7,17]"}}) {
    const std::string floats = std::string("x: f32") + c.a + ", w: f32" + c.b;
    for (const char* types : {"u8 u8", "u8 i8", "i8 i8", "i8 u8"}) {
      const std::string t = types;
      const std::string body =
          "a = Cast(x) {to=" + t.substr(0, 2) + "}\nb = Cast(w) {to=" + t.substr(3) + "}\n";
      check_on_cpu(graph(floats, body + "y = MatMulInteger(a, b)"), 0, 250);
      check_on_cpu(graph(floats, body + "const p: " + t.substr(0, 2) + "[] = 77\nconst q: " +
                                     t.substr(3) + "[1] = 3\ny = MatMulInteger(a, b, p, q)"),
                   0, 250);
    }
    check_on_cpu(graph(floats, "a = Cast(x) {to=f64}\nb = Cast(w) {to=f64}\ny = MatMul(a, b)"),
                 1e-14);
  }
  for (const char* attributes : {"", "{pads=[1,1,1,1]}", "{dilations=[2,1], strides=[2,2]}",
                                 "{auto_pad=\"SAME_UPPER\", strides=[2,2]}"}) {
    for (const char* zeros : {"", ", p", ", p, q"}) {
      check_on_cpu(graph("x: f32[2,5,8,9]",
                         std::string("const w: i8[7,5,3,3] = random 1 -100 100\n"
                                     "const p: u8[] = 99\nconst q: i8[] = -5\na = Cast(x) {to=u8}\n"
                                     "y = ConvInteger(a, w") +
                             zeros + ") " + attributes),
                   0, 250);
    }
  }
  check_on_cpu("graph g(x: f32[33,70]) -> (y, s, z) {\ny, s, z = DynamicQuantizeLinear(x)\n}", 1e-7,
               3);
  for (const char* attributes :
       {"{beta=0.3}", "{alpha=0.1, transB=1}", "{transA=1, transB=1}", "{alpha=2, transA=1}"}) {
    const bool ta = std::string(attributes).find("transA=1") != std::string::npos;
    const bool tb = std::string(attributes).find("transB=1") != std::string::npos;
    for (const char* c : {"[9]", "[5,1]", "[5,9]", "[]"}) {
      check_on_cpu(graph(std::string("x: f32") + (ta ? "[7,5]" : "[5,7]") + ", w: f32" +
                             (tb ? "[9,7]" : "[7,9]") + ", c: f32" + c,
                         "a = Cast(x) {to=f64}\nb = Cast(w) {to=f64}\nd = Cast(c) {to=f64}\n"
                         "y = Gemm(a, b, d) " +
                             std::string(attributes)),
                   1e-14);
    }
  }
}

TEST(CpuAttention, RotaryEmbedding) {
  for (const char* attributes : {"{interleaved=0", "{interleaved=1"}) {
    const std::string a = attributes;
    check_on_cpu(graph("x: f32[2,3,5,8], c: f32[2,5,4], s: f32[2,5,4]",
                       "y = RotaryEmbedding(x, c, s) " + a + "}"),
                 1e-6);
    check_on_cpu(
        graph("x: f32[2,5,24], c: f32[7,2], s: f32[7,2], p: i64[2,5]",
              "y = RotaryEmbedding(x, c, s, p) " + a + ", num_heads=3, rotary_embedding_dim=4}"),
        1e-6);
  }
}

}  // namespace
}  // namespace mnn::testing
