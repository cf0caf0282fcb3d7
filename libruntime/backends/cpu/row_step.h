// Operators that work on rows of floats, such as Softmax.
#pragma once

#include "libruntime/backends/cpu/lowering.h"

namespace mnn::cpu {

// Makes `rows` rows of the result.
using RowsFn = std::function<void(const Run& run, const float* from, float* to, int64_t rows)>;

// A step that makes the node's output, row by row of `n`, from those of x, which is dense with rows
// of n innermost; straight to bytes where the output is stored as such. `f` may read `more`, and
// takes about `work` operations an element.
Status lower_rows(Lowering& l, const Node& node, const std::string& kernel, const Array& x,
                  std::span<const Array> more, int64_t n, int64_t work, RowsFn f);

}  // namespace mnn::cpu
