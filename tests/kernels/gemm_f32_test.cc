#include <cmath>

#include "tests/kernels/kernel_testing.h"

namespace mnn::testing {
namespace {

struct Case {
  int64_t batch, m, n, k;
  bool transposed;
  int64_t extra_a, extra_b, extra_c;  // added to the row strides
  float alpha;
};

const Case kCases[] = {
    {1, 1, 1, 1, false, 0, 0, 0, 1},     {1, 1, 100, 64, false, 0, 0, 0, 1},
    {1, 1, 100, 63, true, 0, 0, 0, 1},   {1, 5, 17, 9, false, 1, 2, 3, 1},
    {1, 7, 33, 13, true, 0, 3, 1, 0.5f}, {1, 13, 64, 31, false, 0, 0, 0, 2},
    {1, 61, 67, 71, true, 0, 0, 0, 1},   {1, 300, 40, 24, false, 0, 0, 0, 1},
    {3, 6, 16, 8, false, 0, 0, 0, 1},    {5, 29, 31, 37, true, 0, 0, 0, 0.125f},
    {4, 19, 50, 16, false, 4, 6, 2, 1},  {2, 2, 24, 128, false, 0, 0, 0, 1},
    {7, 130, 3, 64, true, 0, 0, 0, 1},   {1, 250, 130, 65, false, 0, 0, 0, 1},
};

TEST(GemmF32, MatchesPlainLoops) {
  uint32_t seed = 1;
  for (const Case& c : kCases) {
    for (int form = 0; form < 2; ++form) {  // 1: all batch items share one B
      GemmGeometry g;
      g.batch = c.batch, g.m = c.m, g.n = c.n, g.k = c.k, g.b_transposed = c.transposed;
      g.alpha = c.alpha;
      g.a_stride = c.k + c.extra_a;
      g.b_stride = (c.transposed ? c.k : c.n) + c.extra_b;
      g.c_stride = c.n + c.extra_c;
      const int64_t b_rows = c.transposed ? c.n : c.k;
      if (form == 1) g.b_offsets.assign(static_cast<size_t>(c.batch), 0);
      const auto a = random_floats(static_cast<size_t>(c.batch * c.m * g.a_stride), ++seed);
      const auto b = random_floats(static_cast<size_t>(c.batch * b_rows * g.b_stride), ++seed);
      const auto bias = random_floats(static_cast<size_t>(c.n), ++seed);
      const auto residual = random_floats(static_cast<size_t>(c.batch * c.m * g.c_stride), ++seed);
      Epilogue e;
      e.residual = form == 1;
      e.after = {form == 1 ? Activation::kRelu : Activation::kTanh, 0, 0};
      std::vector<double> want;
      for (int64_t i = 0; i < c.batch; ++i)
        for (int64_t m = 0; m < c.m; ++m)
          for (int64_t n = 0; n < c.n; ++n) {
            double sum = 0;
            const int64_t b0 = form == 1 ? 0 : i * b_rows * g.b_stride;
            for (int64_t k = 0; k < c.k; ++k)
              sum += static_cast<double>(a[static_cast<size_t>((i * c.m + m) * g.a_stride + k)]) *
                     b[static_cast<size_t>(
                         b0 + (c.transposed ? n * g.b_stride + k : k * g.b_stride + n))];
            want.push_back(finish(e, c.alpha * sum + bias[static_cast<size_t>(n)],
                                  residual[static_cast<size_t>((i * c.m + m) * g.c_stride + n)]));
          }
      for (const auto& isa : test_isas())
        for (const bool constant : {false, true}) {
          std::vector<float> first;
          for (int threads = 1; threads <= 3; ++threads) {
            auto kernel = constant ? make_gemm_f32(g, b.data(), bias.data(), e, {isa, threads})
                                   : make_matmul_f32(g, bias.data(), e, {isa, threads});
            ASSERT_TRUE(kernel.ok()) << kernel.status().message();
            std::vector<float> y(static_cast<size_t>(c.batch * c.m * g.c_stride), 42);
            run_kernel(**kernel, {a.data(), b.data(), residual.data(), y.data(), nullptr});
            double error = 0, largest = 1e-30;
            size_t at = 0;
            for (size_t i = 0; i < y.size(); ++i) {
              if (i % static_cast<size_t>(g.c_stride) >= static_cast<size_t>(c.n)) {
                EXPECT_EQ(y[i], 42);
                continue;
              }
              largest = std::max(largest, std::fabs(want[at]));
              error = std::max(error, std::fabs(want[at] - y[i]));
              ++at;
            }
            EXPECT_LT(error / largest, 1e-5)
                << (*kernel)->name() << " " << c.batch << "x" << c.m << "x" << c.n << "x" << c.k;
            if (first.empty()) first = y;
            EXPECT_TRUE(first == y) << (*kernel)->name() << " with " << threads << " threads";
          }
        }
    }
  }
}

TEST(GemmF32, RefusesNonsense) {
  GemmGeometry g;
  g.m = 0;
  EXPECT_EQ(make_matmul_f32(g, nullptr, {}, {}).status().code(), Code::kInvalidArgument);
  g.m = 4;
  g.k = 8;
  g.a_stride = 7;
  EXPECT_EQ(make_matmul_f32(g, nullptr, {}, {}).status().code(), Code::kInvalidArgument);
  g.a_stride = 0;
  g.batch = 2;
  g.a_offsets = {0};
  EXPECT_EQ(make_matmul_f32(g, nullptr, {}, {}).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace mnn::testing
