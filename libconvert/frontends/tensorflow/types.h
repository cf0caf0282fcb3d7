// TensorFlow's element types (types.proto).
#pragma once

#include "libruntime/core/dtype.h"

namespace mnn::tensorflow {

// References (over 100) are what they refer to. kUndefined for what the IR has no type for:
// resources, variants, quantized types, numbers that are no type.
DType dtype_of(int32_t type);

}  // namespace mnn::tensorflow
