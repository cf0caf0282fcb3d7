#include "libquant/train/random_matrix.h"

#include "libruntime/core/splitmix.h"

namespace mnn {

Result<Tensor> random_matrix(int64_t rows, int64_t columns, double most, uint64_t seed) {
  MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(DType::kF32, {rows, columns}));
  SplitMix64 random(seed);
  for (int64_t i = 0; i < t.elements(); ++i)
    t.data<float>()[i] = static_cast<float>((2.0 * random.uniform() - 1.0) * most);
  return t;
}

}  // namespace mnn
