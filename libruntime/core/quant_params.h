// How a value is stored when quantized. The tensors of an encoding are shared like a constant's
// data: copying QuantParams copies handles, and a file keeps them in its weights section.
#pragma once

#include <span>

#include "libruntime/core/tensor.h"

namespace mnn {

// A rotation that spreads outliers before quantization (QuaRot, arXiv:2404.00456): along `axis`, in
// blocks of `block` = 2^n entries, w -> H (signs * w) / sqrt(block), H the Hadamard matrix in
// Sylvester's order. What is stored is the rotated tensor.
struct Rotation {
  int axis = 0;
  int64_t block = 0;
  Tensor signs;  // i8 of 1 or -1, one an index along `axis`
};

// real = (code - zero_point) * scale + offset, where
//   code   = the stored number, or codebook[stored];
//   scale  = `scale` times its `super_scale`; likewise offset with `super_offset`.
// The type of the value stays the expressed one (f32): whoever stores it rounds to nearest even and
// saturates. docs/quantization-encoding.md has the shapes and what the formats of others map to.
struct QuantParams {
  DType storage = DType::kU8;  // a row of core/storage.h
  // -1: one scale for the whole tensor. Else an entry per index along `axis`, or, with `group`, an
  // entry per `group` consecutive indices: then scale has the value's dims, that of `axis` divided
  // by `group` and rounded up.
  int axis = -1;
  int64_t group = 0;
  Tensor scale;  // f32, f16, bf16, f8e8m0, f8e4m3fn; an integer type where super_scale is given
  Tensor zero_point;  // dims of scale, an integer or float type; absent: 0
  Tensor offset;      // dims of scale; absent: 0
  // Second level: a factor per `super_group` consecutive entries of scale and offset along `axis`;
  // with super_group 0 one for the whole tensor.
  Tensor super_scale, super_offset;
  int64_t super_group = 0;
  Tensor codebook;  // f32, one entry a code of `storage`; absent: codes are numbers
  std::optional<Rotation> rotation;

  int64_t entries() const { return scale.elements(); }
  // Of entry i of scale: as computed with, second level included.
  float scale_at(int64_t i) const;
  float zero_point_at(int64_t i) const;
  float offset_at(int64_t i) const;
  // Only scales and whole zero points, one for the tensor or one an index along the axis: what
  // kernels that compute on the codes themselves take.
  bool is_plain() const;
};
// Same meaning and same bytes.
bool operator==(const QuantParams& a, const QuantParams& b);

// f32 scales and i32 zero points.
QuantParams tensor_quant(DType storage, float scale, int32_t zero_point);
// Without zero points they are 0.
QuantParams axis_quant(DType storage, int axis, std::span<const float> scales,
                       std::span<const int32_t> zero_points = {});

struct Type;
// Whether the encoding makes sense for a value of `type`: dims, element types, ranges.
Status check_quant(const QuantParams& params, const Type& type);

}  // namespace mnn
