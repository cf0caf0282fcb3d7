// Samples for models of one input.
#pragma once

#include <vector>

#include "apps/flows/compare.h"

namespace mnn::flows {

// Two, of small numbers of both signs.
inline CompareInputs two_samples(std::vector<int64_t> dims) {
  CompareInputs inputs;
  inputs.count = 2;
  inputs.load = [dims](size_t sample) -> Result<std::vector<Tensor>> {
    auto t = Tensor::allocate(DType::kF32, dims);
    for (int64_t i = 0; i < t->elements(); ++i) {
      t->data<float>()[i] = static_cast<float>(i % 7) - 2.5f + static_cast<float>(sample);
    }
    return std::vector<Tensor>{*t};
  };
  return inputs;
}

}  // namespace mnn::flows
