// int8 products of two computed matrices must give the bytes of the formula in gemm.h.
#include <cmath>
#include <cstring>

#include "tests/kernels/kernel_testing.h"

namespace mnn::testing {
namespace {

struct Problem {
  GemmGeometry g;
  std::vector<uint8_t> a, b;
  std::vector<float> bias, residual;
  QuantU8 b_grid;
  ConvQuant quant;
  Epilogue epilogue;
};

Problem make_problem(int64_t batch, int64_t m, int64_t n, int64_t k, bool transposed,
                     uint32_t seed) {
  Problem p;
  p.g.batch = batch, p.g.m = m, p.g.n = n, p.g.k = k;
  p.g.b_transposed = transposed;
  // Rows and matrices apart from each other.
  p.g.a_stride = k + 3;
  p.g.b_stride = (transposed ? k : n) + 2;
  p.a = random_u8(static_cast<size_t>(batch * m * p.g.a_stride), seed);
  p.b = random_u8(static_cast<size_t>(batch * (transposed ? n : k) * p.g.b_stride), seed + 1);
  p.bias = random_floats(static_cast<size_t>(n), seed + 2, -2, 2);
  p.residual = random_floats(static_cast<size_t>(batch * m * n), seed + 3, -3, 3);
  p.quant.in = {0.02f, static_cast<int>(seed * 37 % 256)};
  p.b_grid = {0.013f, static_cast<int>(seed * 91 % 256)};
  p.quant.residual_type = ResidualType::kF32;
  p.quant.out = QuantU8{0.02f * 0.013f * 75 * 75 * std::sqrt(static_cast<float>(k)) / 60, 119};
  return p;
}

void check(const Problem& p) {
  const GemmGeometry& g = p.g;
  std::vector<float> real;
  const float scale = p.quant.in.scale * (p.b_grid.scale * g.alpha);
  for (int64_t i = 0; i < g.batch; ++i) {
    const auto item = static_cast<size_t>(i);
    const int64_t a0 = g.a_offsets.empty() ? i * g.m * g.a_stride : g.a_offsets[item];
    const int64_t b0 =
        g.b_offsets.empty() ? i * (g.b_transposed ? g.n : g.k) * g.b_stride : g.b_offsets[item];
    for (int64_t m = 0; m < g.m; ++m)
      for (int64_t n = 0; n < g.n; ++n) {
        int32_t sum = 0;
        for (int64_t k = 0; k < g.k; ++k) {
          const int64_t at = g.b_transposed ? n * g.b_stride + k : k * g.b_stride + n;
          sum += (p.a[static_cast<size_t>(a0 + m * g.a_stride + k)] - p.quant.in.zero_point) *
                 (p.b[static_cast<size_t>(b0 + at)] - p.b_grid.zero_point);
        }
        float v = static_cast<float>(sum) * scale + p.bias[static_cast<size_t>(n)];
        if (p.epilogue.residual) v += p.residual[real.size()];
        if (p.epilogue.after.kind == Activation::kRelu) v = v < 0 ? 0 : v;
        real.push_back(v);
      }
  }
  std::vector<uint8_t> want;
  for (const float v : real) {
    if (!p.quant.out) break;
    const auto zero = static_cast<float>(p.quant.out->zero_point);
    const float scaled = v * (1.0f / p.quant.out->scale);
    want.push_back(static_cast<uint8_t>(
        static_cast<int>(std::nearbyintf(std::min(255 - zero, std::max(-zero, scaled)))) +
        p.quant.out->zero_point));
  }
  for (const auto& isa : test_isas())
    for (int threads = 1; threads <= 3; ++threads) {
      const auto kernel =
          make_matmul_int8(g, p.b_grid, p.bias.data(), p.quant, p.epilogue, {isa, threads});
      ASSERT_TRUE(kernel.ok()) << kernel.status().message();
      const std::string what = std::string((*kernel)->name()) + " " + std::to_string(g.batch) +
                               "x" + std::to_string(g.m) + "x" + std::to_string(g.n) + "x" +
                               std::to_string(g.k) + (g.b_transposed ? "t" : "");
      if (p.quant.out) {
        std::vector<uint8_t> y(real.size() + 1, 0xa5);
        run_kernel(**kernel, {p.a.data(), p.b.data(), p.residual.data(), y.data(), nullptr},
                   threads == 2);
        EXPECT_EQ(std::memcmp(want.data(), y.data(), want.size()), 0) << what;
        EXPECT_EQ(y.back(), 0xa5) << what;
      } else {
        std::vector<float> y(real.size(), NAN);
        run_kernel(**kernel, {p.a.data(), p.b.data(), p.residual.data(), y.data(), nullptr},
                   threads == 2);
        EXPECT_EQ(std::memcmp(real.data(), y.data(), real.size() * sizeof(float)), 0) << what;
      }
    }
}

TEST(MatMulInt8, BytesAreThoseOfTheFormula) {
  const int64_t sizes[][4] = {{1, 1, 1, 1},     {1, 1, 37, 5},   {2, 3, 16, 8},
                              {3, 7, 17, 13},   {2, 13, 64, 32}, {1, 97, 33, 64},
                              {5, 50, 101, 31}, {1, 2, 9, 130},  {4, 128, 40, 32}};
  uint32_t seed = 1;
  for (const auto& s : sizes)
    for (const bool transposed : {false, true}) {
      Problem p = make_problem(s[0], s[1], s[2], s[3], transposed, ++seed * 11);
      check(p);
      p.epilogue.after = {Activation::kRelu, 0, 0};
      check(p);
      p.epilogue.residual = true;
      check(p);
      p.quant.out.reset();
      p.g.alpha = 0.125f;
      check(p);
    }
}

TEST(MatMulInt8, ZeroPointsAndBytesAtTheirEnds) {
  for (const bool transposed : {false, true})
    for (const int a_zero : {0, 128, 255})
      for (const int b_zero : {0, 127, 128, 255}) {
        Problem p = make_problem(2, 9, 21, 70, transposed, 5);
        for (size_t i = 0; i < p.a.size(); ++i) p.a[i] = i % 5 < 4 ? 255 : 0;
        for (size_t i = 0; i < p.b.size(); ++i) p.b[i] = i % 7 < 6 ? 0 : 255;
        p.quant.in.zero_point = a_zero;
        p.b_grid.zero_point = b_zero;
        p.quant.out.reset();
        check(p);
      }
}

TEST(MatMulInt8, RepeatedMatrices) {
  Problem p = make_problem(4, 10, 12, 15, true, 8);
  const int64_t b = p.g.n * p.g.b_stride, a = p.g.m * p.g.a_stride;
  p.g.b_offsets = {b, b, 0, b};
  p.g.a_offsets = {0, 3 * a, a, a};
  check(p);
}

// Sums over a constant B with the zero points of A in each run, one or one a column of B.
void check_sums(const Problem& p, const std::vector<uint8_t>& b_zeros, int a_zero) {
  const GemmGeometry& g = p.g;
  std::vector<int32_t> want;
  for (int64_t m = 0; m < g.m; ++m)
    for (int64_t n = 0; n < g.n; ++n) {
      const int b_zero = b_zeros[b_zeros.size() == 1 ? 0 : static_cast<size_t>(n)];
      int32_t sum = 0;
      for (int64_t k = 0; k < g.k; ++k) {
        const int64_t at = g.b_transposed ? n * g.b_stride + k : k * g.b_stride + n;
        sum += (p.a[static_cast<size_t>(m * g.a_stride + k)] - a_zero) *
               (p.b[static_cast<size_t>(at)] - b_zero);
      }
      want.push_back(sum);
    }
  for (const auto& isa : test_isas())
    for (int threads = 1; threads <= 3; ++threads) {
      const auto kernel = make_gemm_integer(g, p.b.data(), b_zeros, {isa, threads});
      ASSERT_TRUE(kernel.ok()) << kernel.status().message();
      std::vector<int32_t> y(want.size() + 1, 1234567);
      KernelArgs args{p.a.data(), nullptr, nullptr, y.data(), nullptr};
      args.x_zero = a_zero;
      run_kernel(**kernel, args, threads == 2);
      EXPECT_EQ(y.back(), 1234567);
      y.pop_back();
      EXPECT_EQ(y, want) << (*kernel)->name() << " " << g.m << "x" << g.n << "x" << g.k
                         << (g.b_transposed ? "t" : "") << " " << threads << " threads";
    }
}

TEST(MatMulInt8, SumsOverAConstantMatrix) {
  const int64_t sizes[][3] = {{1, 1, 1},    {1, 37, 5},   {3, 16, 8},    {7, 17, 13},
                              {13, 64, 32}, {97, 33, 64}, {50, 101, 31}, {2, 9, 130}};
  uint32_t seed = 3;
  for (const auto& s : sizes)
    for (const bool transposed : {false, true}) {
      const Problem p = make_problem(1, s[0], s[1], s[2], transposed, ++seed * 13);
      const std::vector<uint8_t> columns = random_u8(static_cast<size_t>(s[1]), seed);
      for (const int a_zero : {0, 93, 255}) {
        check_sums(p, {128}, a_zero);
        check_sums(p, {7}, a_zero);
        check_sums(p, columns, a_zero);
        check_sums(p, std::vector<uint8_t>(static_cast<size_t>(s[1]), 200), a_zero);
      }
    }
  const Problem p = make_problem(1, 2, 3, 4, false, 1);
  EXPECT_FALSE(make_gemm_integer(p.g, p.b.data(), std::vector<uint8_t>(2, 0), {}).ok());
}

TEST(MatMulInt8, RefusesWhatItCannotDo) {
  Problem p = make_problem(1, 2, 3, 4, false, 1);
  GemmGeometry g = p.g;
  g.k = g.a_stride = 32897;
  g.b_stride = 3;
  EXPECT_EQ(make_matmul_int8(g, p.b_grid, nullptr, p.quant, {}, {}).status().code(),
            Code::kUnsupported);
  g = p.g;
  g.alpha = -1;
  EXPECT_EQ(make_matmul_int8(g, p.b_grid, nullptr, p.quant, {}, {}).status().code(),
            Code::kUnsupported);
  EXPECT_FALSE(make_matmul_int8(p.g, {0, 3}, nullptr, p.quant, {}, {}).ok());
  EXPECT_FALSE(make_matmul_int8(p.g, {1, 256}, nullptr, p.quant, {}, {}).ok());
}

}  // namespace
}  // namespace mnn::testing
