// Products with weights in codes: as with the floats they stand for, for every width and layout.
#include <cmath>

#include "libruntime/core/quant.h"
#include "libruntime/core/storage.h"
#include "libruntime/kernels/code_panels.h"
#include "tests/kernels/kernel_testing.h"

namespace mnn::testing {
namespace {

struct Case {
  int64_t m, n, k, group;
  bool transposed;
  float alpha;
};

const Case kCases[] = {
    {1, 1, 1, 0, false, 1},      {1, 100, 64, 32, false, 1},   {1, 33, 70, 16, true, 1},
    {7, 17, 35, 16, false, 1},   {13, 64, 31, 0, true, 2},     {61, 130, 72, 32, true, 1},
    {40, 96, 128, 64, false, 1}, {250, 3, 20, 0, false, 0.5f},
};

// Random codes with everything an encoding may have.
WeightCodes random_codes(const Case& c, DType storage, bool zeros, bool offsets, uint32_t seed) {
  const StorageType& row = *find_storage(storage);
  WeightCodes w;
  w.transposed = c.transposed;
  const std::vector<int64_t> dims = c.transposed ? std::vector{c.n, c.k} : std::vector{c.k, c.n};
  const int k_axis = c.transposed ? 1 : 0;
  const auto fill = [&](Tensor& t, const StorageType& of, uint32_t s) {
    const auto numbers = random_floats(static_cast<size_t>(t.elements()), s, 0, 1);
    std::vector<double> codes;
    for (const float f : numbers)
      codes.push_back(std::floor(of.low + static_cast<double>(f) * (of.high - of.low + 1)));
    for (double& v : codes) v = std::min(v, of.high);
    of.pack(codes.data(), 0, t.elements(), t.raw());
  };
  w.stored = *Tensor::allocate(storage, dims);
  fill(w.stored, row, seed);
  QuantParams& q = w.params;
  q.storage = storage;
  q.group = c.group;
  q.axis = c.group > 0 ? k_axis : 1 - k_axis;
  std::vector<int64_t> entries = {c.n};
  if (c.group > 0) {
    entries = dims;
    entries[static_cast<size_t>(k_axis)] = (c.k + c.group - 1) / c.group;
  }
  q.scale = *Tensor::allocate(DType::kF16, entries);
  const auto scales = random_floats(static_cast<size_t>(q.scale.elements()), seed + 1, 0.01f, 0.1f);
  for (size_t i = 0; i < scales.size(); ++i) q.scale.data<Half>()[i] = Half(scales[i]);
  if (zeros) {
    q.zero_point = *Tensor::allocate(storage, entries);
    fill(q.zero_point, row, seed + 2);
  }
  if (offsets) {
    q.offset = *Tensor::allocate(DType::kF32, entries);
    const auto shifts = random_floats(static_cast<size_t>(q.offset.elements()), seed + 3);
    std::copy(shifts.begin(), shifts.end(), q.offset.data<float>());
  }
  EXPECT_TRUE(check_quant(q, tensor_type(DType::kF32, to_shape(dims))).ok());
  EXPECT_TRUE(takes_codes(q, dims, c.transposed));
  return w;
}

TEST(GemmCodes, MatchesTheFloatsTheyStandFor) {
  uint32_t seed = 100;
  for (const Case& c : kCases) {
    for (const DType storage : {DType::kI8, DType::kU8, DType::kU6, DType::kU4, DType::kI4,
                                DType::kU3, DType::kU2, DType::kI2}) {
      const bool zeros = seed % 2 == 0, offsets = seed % 3 == 0;
      const WeightCodes w = random_codes(c, storage, zeros, offsets, seed);
      seed += 7;
      const Tensor real = *dequantize_tensor(w.stored, w.params);
      GemmGeometry g;
      g.m = c.m, g.n = c.n, g.k = c.k, g.alpha = c.alpha;
      const auto a = random_floats(static_cast<size_t>(c.m * c.k), ++seed);
      const auto bias = random_floats(static_cast<size_t>(c.n), ++seed);
      const auto residual = random_floats(static_cast<size_t>(c.m * c.n), ++seed);
      Epilogue e;
      e.residual = true;
      e.after = {Activation::kTanh, 0, 0};
      std::vector<double> want;
      for (int64_t m = 0; m < c.m; ++m) {
        for (int64_t n = 0; n < c.n; ++n) {
          double sum = 0;
          for (int64_t k = 0; k < c.k; ++k)
            sum +=
                static_cast<double>(a[static_cast<size_t>(m * c.k + k)]) *
                static_cast<double>(real.data<float>()[c.transposed ? n * c.k + k : k * c.n + n]);
          want.push_back(finish(e,
                                static_cast<double>(c.alpha) * sum + bias[static_cast<size_t>(n)],
                                residual[static_cast<size_t>(m * c.n + n)]));
        }
      }
      for (const auto& isa : test_isas()) {
        std::vector<float> first;
        for (int threads = 1; threads <= 3; ++threads) {
          auto kernel = make_gemm_codes(g, w, bias.data(), e, {isa, threads});
          ASSERT_TRUE(kernel.ok()) << kernel.status().message();
          std::vector<float> y(static_cast<size_t>(c.m * c.n), 42);
          run_kernel(**kernel, {a.data(), nullptr, residual.data(), y.data(), nullptr});
          double error = 0;
          for (size_t i = 0; i < y.size(); ++i)
            error = std::max(error, std::fabs(want[i] - static_cast<double>(y[i])));
          ASSERT_LT(error, 2e-4) << (*kernel)->name() << " " << dtype_name(storage) << " " << c.m
                                 << "x" << c.n << "x" << c.k << " group " << c.group;
          if (first.empty()) first = y;
          EXPECT_TRUE(first == y) << (*kernel)->name() << " with " << threads << " threads";
        }
      }
    }
  }
}

// Memory is what the codes take, and one block serves any number of rows.
TEST(GemmCodes, PackedOnceInTheirBits) {
  WeightsCache cache;
  const Case c = {1, 256, 512, 64, false, 1};
  WeightCodes w = random_codes(c, DType::kU4, true, false, 5);
  w.id = cache.identify(w.stored);
  for (const auto& isa : test_isas()) {
    const int64_t before = cache.packs();
    std::vector<MatrixKernelPtr> kernels;
    for (const int64_t m : {1, 9, 300}) {
      GemmGeometry g;
      g.m = m, g.n = c.n, g.k = c.k;
      KernelOptions options;
      options.isa = isa;
      options.weights = &cache;
      auto kernel = make_gemm_codes(g, w, nullptr, {}, options);
      ASSERT_TRUE(kernel.ok());
      kernels.push_back(std::move(kernel).value());
    }
    EXPECT_EQ(cache.packs() - before, 2) << isa;  // the codes, the bias
    // Half a byte a weight, 8 bytes a group, the bias.
    EXPECT_LE(kernels[0]->packed_bytes(), 512 * 256 / 2 + 8 * 256 * 8 + 4096) << isa;
  }
}

TEST(GemmCodes, WhatIsNotTaken) {
  const std::vector<int64_t> dims = {64, 32};
  QuantParams q = random_codes({1, 32, 64, 32, false, 1}, DType::kU4, true, false, 6).params;
  EXPECT_TRUE(takes_codes(q, dims, false));
  EXPECT_FALSE(takes_codes(q, dims, true));  // groups lie along the columns then
  EXPECT_FALSE(takes_codes(q, {2, 32, 32}, false));
  QuantParams f = q;
  f.storage = DType::kF16;
  EXPECT_FALSE(takes_codes(f, dims, false));
  QuantParams rotated = q;
  rotated.rotation.emplace();
  EXPECT_FALSE(takes_codes(rotated, dims, false));
}

}  // namespace
}  // namespace mnn::testing
