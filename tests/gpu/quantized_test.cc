// Quantized models on devices: what is computed from bytes is what the CPU computes, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>

#include "libruntime/core/metrics.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/text.h"
#include "libruntime/session.h"
#include "tests/gpu/devices.h"

namespace mnn {
namespace {

// A grid of its own for each value, where nothing else is said.
const std::string kX = " quant u8 scale [0.02] zero [128]";
const std::string kA = " quant u8 scale [0.013] zero [90]";
const std::string kB = " quant i8 scale [0.03] zero [3]";

struct Case {
  std::string name;
  std::string inputs, statements;
  std::vector<std::string> tensors;
  std::vector<std::string> kernels;  // that must compute it
  double int8 = 1;                   // share of the MACs
  bool exact = true;                 // else within a step of the grid
};

std::string weights(const std::string& name, const std::string& dims, int outputs) {
  std::string scales;
  for (int i = 0; i < outputs; ++i) {
    scales += (i == 0 ? "" : ",") + std::to_string(0.004 + 0.001 * (i % 5));
  }
  return "const " + name + ": f32" + dims + " quant i8 scale [" + scales + "] zero [" + [&] {
    std::string zeros = "0";
    for (int i = 1; i < outputs; ++i) zeros += ",0";
    return zeros;
  }() + "] axis 0 = random 3 -127 127\n";
}

std::vector<Case> cases() {
  const std::string x = "x: f32[2,6,9,7]" + kX;
  const std::string tensor = "f32[2,6,9,7] = random 5 -2.5 2.5";
  const std::string w = weights("w", "[10,6,3,3]", 10) + weights("p", "[5,6,1,1]", 5) +
                        "const c: f32[10] = random 4 -1 1\n";
  std::vector<Case> all;
  all.push_back({"conv",
                 x,
                 w + "y: f32[2,10,9,7]" + kA + " = Conv(x, w, c) {pads=[1,1,1,1]} + Relu",
                 {tensor},
                 {"mnn_conv_bytes"}});
  all.push_back({"strides, dilations and odd channels",
                 x,
                 w + "const d: f32[7,6,3,2] quant i8 scale [0.01] zero [0] = random 9 -127 127\n" +
                     "y: f32[2,7,4,4]" + kB +
                     " = Conv(x, d) {pads=[1,0,1,1], strides=[2,2], dilations=[2,1]}",
                 {tensor},
                 {"mnn_conv_bytes"}});
  all.push_back({"point, residual of bytes",
                 x + ", r: f32[2,5,9,7]" + kB,
                 w + "y: f32[2,5,9,7]" + kA + " = Conv(x, p) + Add(r) + Clip(lo, hi)\n",
                 {tensor, "f32[2,5,9,7] = random 6 -3 3"},
                 {"mnn_conv_bytes"}});
  all.back().statements = "const lo: f32[] = -1\nconst hi: f32[] = 1.5\n" + all.back().statements;
  all.push_back({"floats as result, residual of floats",
                 x + ", r: f32[2,5,9,7]",
                 w + "y = Conv(x, p) + LeakyRelu{alpha=0.1} + Add(r)",
                 {tensor, "f32[2,5,9,7] = random 6 -3 3"},
                 {"mnn_conv_bytes"}});
  all.push_back({"depthwise",
                 x,
                 weights("d", "[6,1,3,3]", 6) + "const e: f32[6] = random 4 -1 1\n" +
                     "y: f32[2,6,5,4]" + kA +
                     " = Conv(x, d, e) {pads=[1,1,1,1], strides=[2,2], group=6} + HardSwish",
                 {tensor},
                 {"mnn_depthwise_bytes"}});
  all.push_back(
      {"groups",
       "x: f32[1,8,5,5]" + kX,
       weights("d", "[12,4,3,3]", 12) + "y: f32[1,12,3,3]" + kA + " = Conv(x, d) {group=2}",
       {"f32[1,8,5,5] = random 5 -2.5 2.5"},
       {}});
  all.push_back({"groups of four",
                 "x: f32[1,8,5,5]" + kX,
                 weights("d", "[8,4,3,3]", 8) + "y: f32[1,8,3,3]" + kA + " = Conv(x, d) {group=2}",
                 {"f32[1,8,5,5] = random 5 -2.5 2.5"},
                 {"mnn_conv_bytes"}});
  all.push_back({"one axis",
                 "x: f32[2,6,11]" + kX,
                 weights("d", "[9,6,3]", 9) + "y: f32[2,9,9]" + kA + " = Conv(x, d)",
                 {"f32[2,6,11] = random 5 -2.5 2.5"},
                 {"mnn_conv_bytes"}});
  all.push_back({"matmul",
                 "x: f32[2,3,11]" + kX,
                 "const m: f32[11,7] quant i8 scale [0.01] zero [0] = random 3 -127 127\n"
                 "const c: f32[7] = random 4 -1 1\ny: f32[2,3,7]" +
                     kA + " = MatMul(x, m) + Add(c)",
                 {"f32[2,3,11] = random 5 -2.5 2.5"},
                 {"mnn_conv_bytes"}});
  all.push_back({"gemm",
                 "x: f32[5,16]" + kX,
                 weights("m", "[9,16]", 9) + "const c: f32[9] = random 4 -1 1\ny = Gemm(x, m, c) "
                                             "{transB=1}",
                 {"f32[5,16] = random 5 -2.5 2.5"},
                 {"mnn_conv_bytes"}});
  // Where bytes are made first, so that what follows finds them.
  const std::string first = w + "a: f32[2,10,9,7]" + kA + " = Conv(x, w, c) {pads=[1,1,1,1]}\n";
  all.push_back({"sum and clamp",
                 x,
                 first + "b: f32[2,10,9,7]" + kB + " = Conv(x, w) {pads=[1,1,1,1]}\n" +
                     "y: f32[2,10,9,7]" + kX + " = Add(a, b) + Relu",
                 {tensor},
                 {"mnn_byte_expression"}});
  all.push_back({"functions",
                 x,
                 first + "y: f32[2,10,9,7]" + kX + " = Sigmoid(a)",
                 {tensor},
                 {"mnn_byte_expression"},
                 1,
                 false});
  all.push_back({"gates",
                 "x: f32[2,6,9,7]" + kX + ", g: f32[2,8,1,1]",
                 weights("v", "[8,6,1,1]", 8) + "a: f32[2,8,9,7]" + kA + " = Conv(x, v)\n" +
                     "y: f32[2,8,9,7]" + kX + " = Mul(a, g)",
                 {tensor, "f32[2,8,1,1] = random 8 0 1"},
                 {"mnn_byte_expression"},
                 1,
                 false});
  all.push_back(
      {"greatest",
       x,
       first + "y: f32[2,10,4,3]" + kA + " = MaxPool(a) {kernel_shape=[3,3], strides=[2,2]}",
       {tensor},
       {"mnn_pool_bytes"}});
  all.push_back(
      {"average with pads",
       x,
       first + "y: f32[2,10,9,7]" + kB + " = AveragePool(a) {kernel_shape=[3,3], pads=[1,1,1,1]}",
       {tensor},
       {"mnn_pool_bytes"}});
  all.push_back({"mean, reshape, product",
                 x,
                 first + weights("m", "[4,10]", 4) + "g: f32[2,10,1,1]" + kX +
                     " = GlobalAveragePool(a)\nf: f32[2,10]" + kX + " = Flatten(g)\ny: f32[2,4]" +
                     kA + " = Gemm(f, m) {transB=1}",
                 {tensor},
                 {"mnn_mean_bytes"}});
  all.push_back({"concatenation",
                 "x: f32[2,6,9,7]" + kX,
                 weights("v", "[8,6,1,1]", 8) + weights("u", "[4,6,1,1]", 4) + "a: f32[2,8,9,7]" +
                     kA + " = Conv(x, v)\nb: f32[2,4,9,7]" + kA +
                     " = Conv(x, u)\ny: f32[2,12,9,7]" + kA + " = Concat(a, b) {axis=1}",
                 {tensor},
                 {"mnn_copy"}});
  return all;
}

Result<std::unique_ptr<Session>> open(const Graph& graph, const std::string& backend) {
  SessionOptions options;
  options.backends = {backend};
  options.fallback = backend == "cpu";
  return Session::create(graph, options);
}

// Weights in codes of all widths under float inputs.
std::vector<Case> coded_cases() {
  std::vector<Case> all;
  for (const char* type : {"u4", "i4", "u2", "u3", "u6", "i8"}) {
    const std::string t = type;
    const std::string codes = t[0] == 'u' ? "0 3" : "-8 7";
    all.push_back({"product, groups of " + t,
                   "x: f32[3,16]",
                   "const w: f32[9,16] quant " + t + " scale f16[9,2] random 2 0.1 0.5" +
                       (t[0] == 'u' ? " zero " + t + "[9,2] random 4 0 3" : "") +
                       " axis 1 group 8 = random 3 " + codes + "\ny = Gemm(x, w) {transB=1}",
                   {"f32[3,16] = random 5 -1 1"},
                   {"mnn_gemm_codes"},
                   0});
    all.push_back({"row times columns of " + t,
                   "x: f32[1,13]",
                   "const w: f32[13,11] quant " + t + " scale f32[11] random 2 0.1 0.5" +
                       " axis 1 = random 3 " + codes + "\ny = MatMul(x, w) + Relu",
                   {"f32[1,13] = random 5 -1 1"},
                   {"mnn_gemm_codes"},
                   0});
    all.push_back({"convolution, outputs of " + t,
                   "x: f32[1,5,7,6]",
                   "const w: f32[9,5,3,3] quant " + t + " scale f32[9] random 2 0.1 0.5" +
                       " axis 0 = random 3 " + codes + "\ny = Conv(x, w) {pads=[1,1,1,1]}",
                   {"f32[1,5,7,6] = random 5 -1 1"},
                   {"mnn_conv_codes"},
                   0});
    all.push_back({"depthwise, " + t,
                   "x: f32[1,5,7,6]",
                   "const w: f32[5,1,3,3] quant " + t + " scale f32[5] random 2 0.1 0.5" +
                       " axis 0 = random 3 " + codes + "\ny = Conv(x, w) {pads=[1,1,1,1], group=5}",
                   {"f32[1,5,7,6] = random 5 -1 1"},
                   {"mnn_conv_single_codes"},
                   0});
    all.push_back({"table of " + t,
                   "x: i64[4]",
                   "const w: f32[10,24] quant " + t + " scale f16[10,3] random 2 0.1 0.5" +
                       " axis 1 group 8 = random 3 " + codes + "\ny = Gather(w, x)",
                   {"i64[4] = 9 0 -2 3"},
                   {"mnn_gather_codes"},
                   0});
  }
  all.push_back(
      {"convolution, groups of inputs",
       "x: f32[1,16,5,4]",
       "const w: f32[8,8,2,2] quant i4 scale f16[8,2,2,2] random 2 0.1 0.5 axis 1 group 4 "
       "= random 3 -8 7\ny = Conv(x, w) {group=2}",
       {"f32[1,16,5,4] = random 5 -1 1"},
       {"mnn_conv_codes"},
       0});
  return all;
}

TEST(Quantized, WeightsStayInTheirCodes) {
  const std::vector<std::string> devices = device_backends();
  for (const Case& c : coded_cases()) {
    SCOPED_TRACE(c.name);
    auto parsed = parse_graph("graph g(" + c.inputs + ") -> (y) {\n" + c.statements + "\n}");
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    const std::vector<Tensor> inputs = {std::move(parse_tensor(c.tensors[0])).value()};
    const auto expected = run_reference(*parsed, inputs);
    ASSERT_TRUE(expected.ok()) << expected.status().message();
    for (const std::string& name : devices) {
      SCOPED_TRACE(name);
      auto session = open(*parsed, name);
      ASSERT_TRUE(session.ok()) << session.status().message();
      const auto found = (*session)->run(inputs);
      ASSERT_TRUE(found.ok()) << found.status().message();
      const Status close = all_close((*expected)[0], (*found)[0], 1e-5, 1e-5);
      EXPECT_TRUE(close.ok()) << close.message();
      const auto steps = (*session)->steps();
      EXPECT_TRUE(std::any_of(steps.begin(), steps.end(),
                              [&](const StepInfo& s) { return s.kernel == c.kernels[0]; }));
    }
  }
}

TEST(Quantized, HalvesTakeHalfTheMemory) {
  const auto graph = std::move(parse_graph(R"(graph g(x: f32[1,16,9,9], m: f32[4,64]) -> (y, z) {
    const w: f32[32,16,3,3] = random 1 -1 1
    const v: f32[64,128] = random 2 -1 1
    y = Conv(x, w)
    z = MatMul(m, v) + Relu
  })"))
                         .value();
  const std::vector<Tensor> inputs = {
      std::move(parse_tensor("f32[1,16,9,9] = random 5 -1 1")).value(),
      std::move(parse_tensor("f32[4,64] = random 6 -1 1")).value()};
  const auto expected = run_reference(graph, inputs);
  ASSERT_TRUE(expected.ok());
  for (const std::string& name : device_backends()) {
    SCOPED_TRACE(name);
    SessionOptions options;
    options.backends = {name};
    const auto whole = std::move(Session::create(graph, options)).value();
    options.backend_options[name]["precision"] = "fp16";
    const auto half = std::move(Session::create(graph, options)).value();
    ASSERT_TRUE(whole->run(inputs).ok());
    const auto found = half->run(inputs);
    ASSERT_TRUE(found.ok()) << found.status().message();
    for (size_t i = 0; i < found->size(); ++i) {
      EXPECT_FALSE(all_close((*expected)[i], (*found)[i], 1e-6, 1e-6).ok())
          << "nothing was rounded";
      const Status close = all_close((*expected)[i], (*found)[i], 0, 2e-2);
      EXPECT_TRUE(close.ok()) << close.message();
    }
    EXPECT_LT(half->memory().packed_bytes, whole->memory().packed_bytes * 55 / 100);
    options.backend_options[name]["precision"] = "fp8";
    EXPECT_FALSE(Session::create(graph, options).ok());
  }
}

TEST(Quantized, IsWhatTheCpuComputes) {
  const std::vector<std::string> devices = device_backends();
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    auto parsed = parse_graph("graph g(" + c.inputs + ") -> (y) {\n" + c.statements + "\n}");
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < c.tensors.size(); ++i) {
      const Tensor t = std::move(parse_tensor(c.tensors[i])).value();
      const auto& grid = parsed->value(parsed->inputs[i]).quant;
      inputs.push_back(grid ? std::move(round_to_grid(t, *grid)).value() : t);
    }
    auto cpu = open(*parsed, "cpu");
    ASSERT_TRUE(cpu.ok()) << cpu.status().message();
    const auto expected = (*cpu)->run(inputs);
    ASSERT_TRUE(expected.ok()) << expected.status().message();
    for (const std::string& name : devices) {
      SCOPED_TRACE(name);
      auto session = open(*parsed, name);
      ASSERT_TRUE(session.ok()) << session.status().message();
      const auto found = (*session)->run(inputs);
      ASSERT_TRUE(found.ok()) << found.status().message();
      if (c.exact && !c.kernels.empty()) {
        EXPECT_TRUE(identical((*expected)[0], (*found)[0]))
            << all_close((*expected)[0], (*found)[0], 0, 0).message();
      } else {
        const Status close = all_close((*expected)[0], (*found)[0], 0, 0.021);
        EXPECT_TRUE(close.ok()) << close.message();
      }
      for (const std::string& kernel : c.kernels) {
        const auto steps = (*session)->steps();
        EXPECT_TRUE(std::any_of(steps.begin(), steps.end(), [&](const StepInfo& s) {
          return s.kernel == kernel;
        })) << kernel;
        EXPECT_EQ((*session)->int8_mac_share(), c.int8);
      }
    }
  }
}

}  // namespace
}  // namespace mnn
