// The best classes of a classifier's output.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libruntime/core/tensor.h"

namespace mnn::flows {

struct TopClass {
  int64_t index = 0;
  double value = 0;   // the output's own, be it a logit or a probability
  std::string label;  // empty without labels
};

// One label a line, a last empty line left out; kInvalidArgument when there is none.
Result<std::vector<std::string>> read_labels(const std::string& path);

// The `k` largest elements of one sample's scores, largest first, of equals the first: a float
// output with one axis longer than 1. Other outputs, and labels of another number, are usage
// errors.
Result<std::vector<TopClass>> top_classes(const Tensor& scores, size_t k,
                                          const std::vector<std::string>& labels);

}  // namespace mnn::flows
