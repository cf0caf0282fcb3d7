// Products with weights in codes: as with the floats they stand for, for every width and layout.
#include <cmath>
#include <limits>

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

// What the tests multiply: a [m, k], and the rest of a product.
struct Problem {
  GemmGeometry g;
  std::vector<float> a, bias, residual;
  Epilogue e;
};

Problem random_problem(const Case& c, uint32_t seed) {
  Problem p;
  p.g.m = c.m, p.g.n = c.n, p.g.k = c.k, p.g.alpha = c.alpha;
  p.a = random_floats(static_cast<size_t>(c.m * c.k), seed);
  p.bias = random_floats(static_cast<size_t>(c.n), seed + 1);
  p.residual = random_floats(static_cast<size_t>(c.m * c.n), seed + 2);
  p.e.residual = true;
  p.e.after = {Activation::kTanh, 0, 0};
  return p;
}

// With `a` in place of the problem's.
std::vector<double> expected(const Case& c, const Problem& p, const std::vector<double>& a,
                             const WeightCodes& w) {
  const Tensor real = *dequantize_tensor(w.stored, w.params);
  std::vector<double> want;
  for (int64_t m = 0; m < c.m; ++m) {
    for (int64_t n = 0; n < c.n; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < c.k; ++k)
        sum += a[static_cast<size_t>(m * c.k + k)] *
               static_cast<double>(real.data<float>()[c.transposed ? n * c.k + k : k * c.n + n]);
      want.push_back(finish(p.e,
                            static_cast<double>(c.alpha) * sum + p.bias[static_cast<size_t>(n)],
                            p.residual[static_cast<size_t>(m * c.n + n)]));
    }
  }
  return want;
}

using MakeFn = decltype(&make_gemm_codes);

// `make` on every instruction set, for one to three threads: `want` but for rounding, the same
// bytes for any number of threads.
void check_kernels(MakeFn make, const Problem& p, const WeightCodes& w,
                   const std::vector<double>& want, const std::string& what) {
  for (const auto& isa : test_isas()) {
    std::vector<float> first;
    for (int threads = 1; threads <= 3; ++threads) {
      auto kernel = make(p.g, w, p.bias.data(), p.e, {isa, threads});
      ASSERT_TRUE(kernel.ok()) << kernel.status().message();
      std::vector<float> y(want.size(), 42);
      run_kernel(**kernel, {p.a.data(), nullptr, p.residual.data(), y.data(), nullptr});
      double error = 0;
      for (size_t i = 0; i < y.size(); ++i)
        error = std::max(error, std::fabs(want[i] - static_cast<double>(y[i])));
      ASSERT_LT(error, 2e-4) << (*kernel)->name() << " " << what;
      if (first.empty()) first = y;
      EXPECT_TRUE(first == y) << (*kernel)->name() << " with " << threads << " threads";
    }
  }
}

constexpr DType kStorages[] = {DType::kI8, DType::kU8, DType::kU6, DType::kU4,
                               DType::kI4, DType::kU3, DType::kU2, DType::kI2};

std::string describe(const Case& c, DType storage) {
  return std::string(dtype_name(storage)) + " " + std::to_string(c.m) + "x" + std::to_string(c.n) +
         "x" + std::to_string(c.k) + " group " + std::to_string(c.group);
}

TEST(GemmCodes, MatchesTheFloatsTheyStandFor) {
  uint32_t seed = 100;
  for (const Case& c : kCases) {
    for (const DType storage : kStorages) {
      const WeightCodes w = random_codes(c, storage, seed % 2 == 0, seed % 3 == 0, seed);
      seed += 7;
      const Problem p = random_problem(c, seed);
      check_kernels(make_gemm_codes, p, w,
                    expected(c, p, std::vector<double>(p.a.begin(), p.a.end()), w),
                    describe(c, storage));
    }
  }
}

// As QuantizeRow says.
std::vector<double> rounded_rows(const Case& c, const std::vector<float>& a) {
  std::vector<double> rounded;
  for (int64_t m = 0; m < c.m; ++m) {
    const float* row = a.data() + m * c.k;
    float largest = 0;
    for (int64_t k = 0; k < c.k; ++k) largest = std::max(largest, std::fabs(row[k]));
    for (int64_t k = 0; k < c.k; ++k)
      rounded.push_back(std::nearbyint(row[k] * (127.0f / largest)) *
                        static_cast<double>(largest / 127.0f));
  }
  return rounded;
}

TEST(GemmCodesInt8, MatchesRoundedRows) {
  uint32_t seed = 900;
  for (const Case& c : kCases) {
    for (const DType storage : kStorages) {
      const WeightCodes w = random_codes(c, storage, seed % 2 == 0, seed % 3 == 0, seed);
      seed += 7;
      const Problem p = random_problem(c, seed);
      check_kernels(make_gemm_codes_int8, p, w, expected(c, p, rounded_rows(c, p.a), w),
                    describe(c, storage));
    }
  }
}

// The largest codes and activations: no sum on the way may saturate.
TEST(GemmCodesInt8, SumsOfExtremes) {
  for (const DType storage : {DType::kI8, DType::kU8, DType::kU4, DType::kU2}) {
    const Case c = {5, 40, 512, 256, false, 1};
    WeightCodes w = random_codes(c, storage, false, false, 3);
    const double high = find_storage(storage)->high;
    const std::vector<double> codes(static_cast<size_t>(w.stored.elements()), high);
    find_storage(storage)->pack(codes.data(), 0, w.stored.elements(), w.stored.raw());
    std::fill_n(w.params.scale.data<Half>(), w.params.scale.elements(), Half(0x1p-8f));
    Problem p = random_problem(c, 4);
    p.e = {};
    std::fill(p.a.begin(), p.a.end(), 127.0f);
    p.bias.assign(p.bias.size(), 0.0f);
    for (const auto& isa : test_isas()) {
      auto kernel = make_gemm_codes_int8(p.g, w, p.bias.data(), p.e, {isa, 1});
      ASSERT_TRUE(kernel.ok());
      std::vector<float> y(static_cast<size_t>(c.m * c.n));
      run_kernel(**kernel, {p.a.data(), nullptr, nullptr, y.data(), nullptr});
      for (const float v : y)
        ASSERT_EQ(v, static_cast<float>(512 * 127 * high / 256)) << (*kernel)->name();
    }
  }
}

// Rows of nothing give the bias, rows that are not finite no number.
TEST(GemmCodesInt8, RowsWithoutAScale) {
  const Case c = {4, 20, 35, 16, true, 1};
  const WeightCodes w = random_codes(c, DType::kU4, true, false, 8);
  Problem p = random_problem(c, 9);
  p.e = {};
  std::fill_n(p.a.begin(), c.k, 0.0f);
  p.a[static_cast<size_t>(c.k) + 3] = std::numeric_limits<float>::quiet_NaN();
  p.a[static_cast<size_t>(2 * c.k) + 34] = -std::numeric_limits<float>::infinity();
  for (const auto& isa : test_isas()) {
    auto kernel = make_gemm_codes_int8(p.g, w, p.bias.data(), p.e, {isa, 1});
    ASSERT_TRUE(kernel.ok());
    std::vector<float> y(static_cast<size_t>(c.m * c.n));
    run_kernel(**kernel, {p.a.data(), nullptr, nullptr, y.data(), nullptr});
    for (size_t n = 0; n < 20; ++n) {
      EXPECT_EQ(y[n], p.bias[n]);
      EXPECT_TRUE(std::isnan(y[20 + n]) && std::isnan(y[40 + n])) << (*kernel)->name();
      EXPECT_TRUE(std::isfinite(y[60 + n]));
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
  EXPECT_TRUE(takes_codes_int8(q, dims, false));
  QuantParams short_groups =
      random_codes({1, 32, 64, 4, false, 1}, DType::kU4, true, false, 6).params;
  EXPECT_TRUE(takes_codes(short_groups, dims, false));
  EXPECT_FALSE(takes_codes_int8(short_groups, dims, false));
  EXPECT_FALSE(takes_codes_int8(q, dims, true));
  QuantParams rotated = q;
  rotated.rotation.emplace();
  EXPECT_FALSE(takes_codes(rotated, dims, false));
}

}  // namespace
}  // namespace mnn::testing
