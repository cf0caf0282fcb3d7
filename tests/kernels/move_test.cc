#include <gtest/gtest.h>

#include <vector>

#include "libruntime/kernels/vector_kernels.h"
#include "tests/kernels/kernel_testing.h"

namespace mnn::testing {
namespace {

// Sides around the sizes of tiles, dense and in wider arrays; nothing beside the result is written.
template <typename T>
void check_transpose(const VectorKernels& kernels, int64_t rows, int64_t cols, int64_t more_x,
                     int64_t more_y) {
  const int64_t xs = cols + more_x, ys = rows + more_y;
  std::vector<T> x(static_cast<size_t>(rows * xs)), y(static_cast<size_t>(cols * ys), T{7});
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(i * 37 + i / 251);
  kernels.transpose(x.data(), y.data(), rows, cols, xs, ys, sizeof(T));
  for (int64_t j = 0; j < cols; ++j)
    for (int64_t i = 0; i < ys; ++i) {
      const T want = i < rows ? x[static_cast<size_t>(i * xs + j)] : T{7};
      ASSERT_EQ(y[static_cast<size_t>(j * ys + i)], want)
          << kernels.isa << " " << sizeof(T) << " bytes, " << rows << " x " << cols << " strides "
          << xs << ", " << ys << " at " << j << ", " << i;
    }
}

TEST(Transpose, MovesEveryElement) {
  for (const auto& isa : test_isas()) {
    const VectorKernels* kernels = find_vector_kernels(isa);
    if (kernels == nullptr) continue;
    for (const int64_t rows : {1, 2, 3, 4, 5, 7, 8, 9, 16, 58, 65, 130})
      for (const int64_t cols : {1, 2, 3, 7, 8, 15, 16, 17, 31, 64, 77, 200})
        for (const int64_t more : {0, 3}) {
          check_transpose<uint8_t>(*kernels, rows, cols, more, more);
          check_transpose<uint8_t>(*kernels, rows, cols, more, 3 - more);
          check_transpose<uint16_t>(*kernels, rows, cols, more, more);
          check_transpose<uint32_t>(*kernels, rows, cols, more, 3 - more);
          check_transpose<uint64_t>(*kernels, rows, cols, more, more);
        }
  }
}

}  // namespace
}  // namespace mnn::testing
