// What the rows of MatMul and of its integer relatives share.
#pragma once

#include <optional>
#include <vector>

#include "libruntime/core/op.h"
#include "libruntime/core/ops/broadcast.h"

namespace mnn {

// The shape of input `a` times input `b` as numpy.matmul has it; nullopt when a rank is unknown.
Result<std::optional<Shape>> matmul_shape(const OpContext& c, size_t a, size_t b);

// The product of concrete operands as a batch of matrix products.
struct MatMulPlan {
  int64_t rows = 0, inner = 0, columns = 0;
  std::vector<int64_t> batch, batch_a, batch_b;

  MatMulPlan(std::vector<int64_t> a, std::vector<int64_t> b);

  // Calls f(index, index of a's matrix, index of b's matrix) for each matrix product.
  template <typename F>
  void for_each_batch(F f) const {
    const std::vector<int64_t>* const operands[] = {&batch_a, &batch_b};
    BroadcastRows walk(batch, operands);
    while (walk.next()) {
      for (int64_t i = 0; i < walk.count(); ++i) {
        f(walk.begin() + i, walk.offset(0) + i * walk.step(0), walk.offset(1) + i * walk.step(1));
      }
    }
  }
};

}  // namespace mnn
