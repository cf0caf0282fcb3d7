// What QuantParams mean, in one place: every backend, the quantizer and the reports agree with
// this.
#pragma once

#include <cmath>

#include "libruntime/core/graph.h"

namespace mnn {

struct QuantRange {
  int32_t low, high;
};
// The stored values of a quantized type: kU8 0…255, kI8 -128…127, kI32 all.
QuantRange quant_range(DType storage);

// Rounds half to even (std::nearbyint in the default mode) and saturates. NaN becomes the zero
// point.
inline int32_t quantize_one(float x, float scale, int32_t zero_point, QuantRange range) {
  const float scaled = x / scale;
  if (!(scaled == scaled)) return zero_point;
  const double shifted = std::nearbyint(static_cast<double>(scaled)) + zero_point;
  if (shifted <= range.low) return range.low;
  if (shifted >= range.high) return range.high;
  return static_cast<int32_t>(shifted);
}

// f32 -> params.storage, same dims. `axis` must index a dim with as many entries as scales.
Result<Tensor> quantize_tensor(const Tensor& real, const QuantParams& params);
// params.storage -> f32, same dims.
Result<Tensor> dequantize_tensor(const Tensor& stored, const QuantParams& params);
// dequantize(quantize(x)): what a consumer of a quantized value reads.
Result<Tensor> round_to_grid(const Tensor& real, const QuantParams& params);
// The f32 tensor of the source layer: `t` times the divisors of each channel. `axis` must index a
// dim with as many entries as divisors.
Result<Tensor> without_smoothing(const Tensor& t, const ChannelDivisors& smoothing);
// The real values of a constant, quantized or not.
Result<Tensor> constant_as_real(const Value& value);

}  // namespace mnn
