#include "libconvert/frontends/tensorflow/types.h"

namespace mnn::tensorflow {

DType dtype_of(int32_t type) {
  constexpr int32_t kReference = 100;
  switch (type > kReference ? type - kReference : type) {
    case 1: return DType::kF32;
    case 2: return DType::kF64;
    case 3: return DType::kI32;
    case 4: return DType::kU8;
    case 5: return DType::kI16;
    case 6: return DType::kI8;
    case 7: return DType::kString;
    case 8: return DType::kC64;
    case 9: return DType::kI64;
    case 10: return DType::kBool;
    case 14: return DType::kBF16;
    case 17: return DType::kU16;
    case 18: return DType::kC128;
    case 19: return DType::kF16;
    case 22: return DType::kU32;
    case 23: return DType::kU64;
    case 24: return DType::kF8E5M2;
    case 25: return DType::kF8E4M3FN;
    default: return DType::kUndefined;
  }
}

}  // namespace mnn::tensorflow
