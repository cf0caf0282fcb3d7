#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "libruntime/core/quant.h"
#include "libruntime/kernels/vector_kernels.h"
#include "tests/kernels/kernel_testing.h"

namespace mnn::testing {
namespace {

// Numbers around every half of the grid, beyond its ends, and no numbers at all.
TEST(Bytes, GridNumbersAreThoseOfTheDefinition) {
  for (const auto& isa : test_isas()) {
    const VectorKernels* kernels = find_vector_kernels(isa);
    if (kernels == nullptr) continue;
    for (const float scale : {1.0f, 0.1f, 0.0235294f, 3e-5f, 7e20f, 1e-39f, 3e38f})
      for (const int zero : {0, 1, 128, 255}) {
        std::vector<float> x = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 3e38f, -3e38f, 1e-45f};
        for (int i = -300; i <= 300; ++i) {
          const float half = (static_cast<float>(i) + 0.5f) * scale;
          for (const float v : {half, half * 1.3f}) {
            x.push_back(v);
            x.push_back(std::nextafterf(v, INFINITY));
            x.push_back(std::nextafterf(v, -INFINITY));
          }
        }
        std::vector<uint8_t> y(x.size());
        kernels->to_u8(x.data(), y.data(), static_cast<int64_t>(x.size()), scale, zero);
        for (size_t i = 0; i < x.size(); ++i)
          ASSERT_EQ(y[i], quantize_one(x[i], scale, zero, *find_storage(DType::kU8)))
              << isa << " " << x[i] << " on " << scale << ", " << zero;
      }
  }
}

TEST(Bytes, SumsOfColumnsAreExact) {
  for (const auto& isa : test_isas()) {
    const VectorKernels* kernels = find_vector_kernels(isa);
    if (kernels == nullptr) continue;
    for (const int64_t rows : {1, 2, 3, 255, 256, 257, 600})
      for (const int64_t n : {1, 15, 16, 33, 64}) {
        const int64_t stride = n + 5;
        std::vector<uint8_t> x(static_cast<size_t>(rows * stride), 255);
        for (size_t i = 0; i < x.size(); i += 7) x[i] = static_cast<uint8_t>(i);
        std::vector<int32_t> sums(static_cast<size_t>(n));
        kernels->sum_u8(x.data(), sums.data(), rows, stride, n);
        for (int64_t j = 0; j < n; ++j) {
          int32_t want = 0;
          for (int64_t r = 0; r < rows; ++r) want += x[static_cast<size_t>(r * stride + j)];
          ASSERT_EQ(sums[static_cast<size_t>(j)], want) << isa << " " << rows << " x " << n;
        }
      }
  }
}

}  // namespace
}  // namespace mnn::testing
