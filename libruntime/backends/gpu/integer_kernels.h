// The operators of "mnn_integer".
#pragma once

namespace mnn::gpu {

// Comparisons give 0 or 1; kWhere takes the second where the first is not 0, else the third.
enum class IntegerOp : int {
  kSame,
  kAdd,
  kSub,
  kMul,
  kMin,
  kMax,
  kEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kWhere,
};

}  // namespace mnn::gpu
