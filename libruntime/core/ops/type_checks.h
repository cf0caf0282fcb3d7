// Checks that inference functions of operator rows share: element types, ranks, equal types.
#pragma once

#include <cstdint>
#include <string>

#include "libruntime/core/op.h"

namespace mnn {

// A set of element types, one bit each.
using TypeMask = uint32_t;

constexpr TypeMask mask_of(DType dtype) { return TypeMask{1} << static_cast<unsigned>(dtype); }
template <typename... D>
constexpr TypeMask mask_of(DType first, D... rest) {
  return mask_of(first) | mask_of(rest...);
}
inline constexpr TypeMask kFloats = mask_of(DType::kF16, DType::kBF16, DType::kF32, DType::kF64);
inline constexpr TypeMask kSignedInts = mask_of(DType::kI8, DType::kI16, DType::kI32, DType::kI64);
inline constexpr TypeMask kUnsignedInts =
    mask_of(DType::kU8, DType::kU16, DType::kU32, DType::kU64);
inline constexpr TypeMask kInts = kSignedInts | kUnsignedInts;
inline constexpr TypeMask kNumbers = kFloats | kInts;
inline constexpr TypeMask kPlain = kNumbers | mask_of(DType::kBool);

// Input i is there and is a tensor with a type of `allowed`.
Status expect_input(const OpContext& c, size_t i, TypeMask allowed);
// Input i is absent or as expect_input says.
Status expect_optional_input(const OpContext& c, size_t i, TypeMask allowed);
// Input i has the element type of input `like`.
Status expect_like(const OpContext& c, size_t i, size_t like);
// Input i, when its rank is known, has `rank` dimensions.
Status expect_rank(const OpContext& c, size_t i, size_t rank);
// Input i, when its shape is known, holds one element.
Status expect_scalar(const OpContext& c, size_t i);
// `found` may be `expected`; `what` names the dimension in the error.
Status expect_dim(const Dim& found, const Dim& expected, const std::string& what);
// An error that names a type no reference kernel was written for.
Status no_kernel_for(const KernelContext& c, DType dtype);

// Output 0 is of input 0's type, which `allowed` limits.
template <TypeMask allowed>
Status infer_same_type(OpContext& c) {
  MNN_RETURN_IF_ERROR(expect_input(c, 0, allowed));
  c.out[0].type = c.in[0];
  return {};
}

}  // namespace mnn
