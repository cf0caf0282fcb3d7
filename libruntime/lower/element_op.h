// The operators of elementwise expressions, as every back end has them. Plain, for kernels of any
// device.
#pragma once

#include <stdint.h>

namespace mnn {

// y = f(x; a, b).
enum class UnaryOp : uint8_t {
  kRelu,
  kClip,             // a low, b high
  kLeakyRelu,        // a slope
  kThresholdedRelu,  // a
  kElu,              // a
  kSelu,             // a alpha, b gamma
  kCelu,             // a
  kHardSigmoid,      // a x + b in [0, 1]
  kHardSwish,
  kSigmoid,
  kSwish,  // x sigmoid(a x)
  kTanh,
  kGelu,
  kGeluTanh,
  kMish,
  kSoftplus,
  kSoftsign,
  kErf,
  kExp,
  kLog,
  kSqrt,
  kRsqrt,
  kReciprocal,
  kAbs,
  kNeg,
  kFloor,
  kCeil,
  kRound,
  kSign,
  kSquare,
  kNot,      // 1 when x is 0
  kMulBy,    // x * a
  kAddTo,    // x + a
  kAffine,   // x * a + b, rounded twice
  kGate,     // x * min(max(x + a, 0), b)
  kDivBy,    // x / a
  kDivide,   // a / x
  kSubFrom,  // a - x
  kMaxWith,
  kMinWith,
  kGrid,  // rounded to the u8 grid of scale a, zero point b
  kSin,
  kCos,
  kPowBy,  // x ^ a
  kIsNaN,
  kIsInf,  // 1: a for infinity, b for minus infinity
  kTan,
  kAsin,
  kAcos,
  kAtan,
  kSinh,
  kCosh,
  kAsinh,
  kAcosh,
  kAtanh,
  kCount,
};
// y = f(a, b). Comparisons and logic give 0 or 1.
enum class BinaryOp : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMax,
  kMin,
  kPow,
  kMod,    // the remainder of the division, with the sign of a
  kPRelu,  // b is the slope
  kEqual,
  kLess,
  kLessOrEqual,
  kGreater,
  kGreaterOrEqual,
  kAnd,
  kOr,
  kXor,
  kCount,
};

}  // namespace mnn
