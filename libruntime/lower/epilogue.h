// What the kernels of a product apply while they store: activations, the residual add, a factor.
// Plain, for kernels of any device.
#pragma once

#include <stdint.h>

namespace mnn {

// What a, b of PostOp mean:
//   kClip low, high · kLeakyRelu, kElu alpha · kHardSigmoid alpha, beta · the others use none.
// kHardSwish is x * clip(x / 6 + 0.5, 0, 1); kSwish x * sigmoid(x); kGelu the erf form, kGeluTanh
// the tanh form; kMish x * tanh(softplus(x)).
enum class Activation : uint8_t {
  kNone,
  kRelu,
  kClip,
  kLeakyRelu,
  kHardSigmoid,
  kHardSwish,
  kSigmoid,
  kSwish,
  kTanh,
  kGelu,
  kGeluTanh,
  kElu,
  kMish,
};

struct PostOp {
  Activation kind = Activation::kNone;
  float a = 0, b = 0;
};

// What happens to a result before it is stored: y = after(before(x) + residual). The residual has
// the shape of the output; without one only `before` may be set or only `after`, not both.
// Kernels with byte outputs also do y * factor + offset at the end; the others need 1 and 0.
struct Epilogue {
  PostOp before, after;
  bool residual = false;
  float factor = 1, offset = 0;
};

}  // namespace mnn
