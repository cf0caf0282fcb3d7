// Operators between layers that read and write bytes without floats in memory.
#include <gtest/gtest.h>

#include "tests/cpu/cpu_testing.h"

namespace mnn::testing {
namespace {

const std::string kX = " quant u8 scale [0.02] zero [128]";
const std::string kZ = " quant u8 scale [0.013] zero [90]";
const std::string kY = " quant u8 scale [0.03] zero [100]";

// Within one step of the reference, seldom off at all, by that kernel alone.
void check(const std::string& text, const std::string& kernel, double step) {
  for (const std::string& isa : {std::string(), std::string("sse41")}) {
    const CpuRun one = run_on_cpu(text, 1, isa, 2), two = run_on_cpu(text, 2, isa, 2);
    ASSERT_FALSE(one.outputs.empty()) << text;
    EXPECT_EQ(count_steps(one, kernel), 1) << text;
    EXPECT_EQ(count_steps(one, "expression"), 0) << text;
    const auto r = *one.expected[0].to_doubles(), y = *one.outputs[0].to_doubles();
    int64_t off = 0;
    for (size_t i = 0; i < r.size(); ++i) {
      ASSERT_LE(std::abs(r[i] - y[i]), step * 1.001) << text;
      off += std::abs(r[i] - y[i]) > step * 0.5 ? 1 : 0;
    }
    EXPECT_LE(off, static_cast<int64_t>(r.size() / 20 + 1)) << text;
    EXPECT_TRUE(identical(one.outputs[0], two.outputs[0])) << text;
  }
}

void check_bytes(const std::string& inputs, const std::string& body, const std::string& kernel) {
  check("graph g(" + inputs + ") -> (y) {\n" + body + "\n}", kernel, 0.03);
}

TEST(CpuBytes, Sums) {
  for (const char* dims : {"f32[1,3,5,7]", "f32[2,40,9,11]", "f32[3,5]", "f32[1]"}) {
    const std::string type = dims;
    const std::string inputs = "x: " + type + kX + ", z: " + type + kZ;
    check_bytes(inputs, "y" + kY + " = Add(x, z)", "add_u8");
    check_bytes(inputs, "s = Add(x, z)\ny" + kY + " = Relu(s)", "add_u8");
    check_bytes(
        inputs,
        "const l: f32[] = -0.71\nconst h: f32[] = 1.3\ns = Add(x, z)\ny" + kY + " = Clip(s, l, h)",
        "add_u8");
  }
}

// A pool that changes nothing but the order of the axes, as a convolution leaves them.
std::string last(const std::string& to, const std::string& from, const std::string& grid,
                 const std::string& kernel = "[1,1]") {
  return to + grid + " = AveragePool(" + from + ") {kernel_shape=" + kernel + "}\n";
}

TEST(CpuBytes, GatedImages) {
  struct Shape {
    const char *image, *gate, *kernel;
  };
  for (const Shape& s :
       {Shape{"[1,3,5,7]", "[1,3,1,1]", "[1,1]"}, Shape{"[2,40,9,11]", "[2,40,1,1]", "[1,1]"},
        Shape{"[1,24,1,1]", "[1,24,1,1]", "[1,1]"}, Shape{"[2,33,6]", "[2,33,1]", "[1]"}}) {
    const std::string inputs = std::string("x: f32") + s.image + kX + ", g: f32" + s.gate;
    const std::string image = last("a", "x", kX, s.kernel);
    check_bytes(inputs, image + "y" + kY + " = Mul(a, g)", "scale_u8");
    check_bytes(inputs, image + "y" + kY + " = Mul(g, a)", "scale_u8");
    check_bytes(inputs + kZ, image + "y" + kY + " = Mul(a, g)", "scale_u8");
    check_bytes(inputs, image + "m = Mul(a, g)\ny" + kY + " = Add(a, m)", "scale_u8");
    const std::string two = inputs + ", z: f32" + s.image + kZ;
    const std::string images = image + last("b", "z", kZ, s.kernel);
    check_bytes(two, images + "m = Mul(g, a)\ny" + kY + " = Add(m, b)", "scale_u8");
    check_bytes(two, images + "m = Mul(a, g)\nn = Add(a, m)\ny" + kY + " = Add(b, n)", "scale_u8");
    check_bytes(two, images + "m = Mul(a, g)\nn = Add(b, a)\ny" + kY + " = Add(m, n)", "scale_u8");
  }
}

// Written right into their part of a Concat.
TEST(CpuBytes, IntoASlice) {
  const std::string w =
      "const w: f32[4,5,1,1] quant i8 scale [0.01] zero [0] = random 3 -127 127\n";
  for (const bool sum : {true, false}) {
    const std::string text = "graph g(x: f32[1,5,6,7]" + kX + ", z: f32[1,5,6,7]" + kZ +
                             ", g: f32[1,5,1,1]) -> (y) {\n" + w + last("p", "x", kX) +
                             last("q", "z", kZ) + "a" + kY + " = Conv(p, w)\nb" + kY + " = " +
                             (sum ? "Add(p, q)" : "Mul(p, g)") + "\ny" + kY +
                             " = Concat(a, b) {axis=1}\n}";
    check(text, sum ? "add_u8" : "scale_u8", 0.03);
  }
}

TEST(CpuBytes, Averages) {
  const std::string axes = "const a: i64[2] = 2 3\nconst b: i64[2] = -1 -2\n";
  for (const char* type : {"f32[1,3,5,7]", "f32[2,70,13,11]"}) {
    const std::string inputs = std::string("x: ") + type + kX;
    for (const std::string& out : {kY, std::string()}) {
      const double step = out.empty() ? 1e-5 : 0.03;
      for (const char* mean :
           {"GlobalAveragePool(x)", "ReduceMean(x, a)", "ReduceMean(x, b) {keepdims=0}"})
        check("graph g(" + inputs + ") -> (y) {\n" + axes + "y" + out + " = " + mean + "\n}",
              "mean_u8", step);
      for (const char* pool : {"kernel_shape=[3,3]", "kernel_shape=[2,3], strides=[2,1]",
                               "kernel_shape=[3,3], pads=[1,1,1,1]",
                               "kernel_shape=[3,3], pads=[1,0,1,2], count_include_pad=1",
                               "kernel_shape=[2,2], strides=[2,2], ceil_mode=1"})
        check("graph g(" + inputs + ") -> (y) {\ny" + out + " = AveragePool(x) {" + pool + "}\n}",
              "average_pool_u8", step);
    }
  }
  // Other axes have no such kernel.
  const std::string text = "graph g(x: f32[1,3,5,7]" + kX + ") -> (y) {\nconst a: i64[2] = 1 2\ny" +
                           kY + " = ReduceMean(x, a)\n}";
  EXPECT_EQ(count_steps(run_on_cpu(text), "mean_u8"), 0);
}

TEST(CpuBytes, RowsOfFloatsToBytes) {
  const std::string unit = " quant u8 scale [0.004] zero [0]";
  for (const char* type : {"f32[3,5,7]", "f32[2,70,131]", "f32[2,5000]"}) {
    const std::string head = std::string("graph g(x: ") + type + ") -> (y) {\n";
    check(head + "y" + unit + " = Softmax(x)\n}", "softmax_u8", 0.004);
    const std::string n = std::string(type).substr(std::string(type).rfind(',') + 1);
    const std::string norm =
        "const s: f32[" + n + " = random 1 0.5 1\nconst b: f32[" + n + " = random 2 -1 1\n";
    check(head + norm + "y" + kX + " = LayerNormalization(x, s, b)\n}", "layer_norm_u8", 0.02);
  }
}

TEST(CpuBytes, LinearResize) {
  const std::string scales = "const s: f32[4] = 1 1 2 1.5\n";
  for (const char* type : {"f32[1,3,5,8]", "f32[2,40,6,4]", "f32[1,1,5,8]"})
    for (const std::string& out : {kX, kY})
      for (const char* mode : {"half_pixel", "align_corners", "asymmetric"})
        check("graph g(x: " + std::string(type) + kX + ") -> (y) {\n" + scales + "y" + out +
                  " = Resize(x, _, s) {mode=\"linear\", coordinate_transformation_mode=\"" + mode +
                  "\"}\n}",
              "resize_linear_u8", 0.03);
}

}  // namespace
}  // namespace mnn::testing
