// What QuantParams mean, in one place: every backend, the quantizer and the reports agree with
// this.
#pragma once

#include <cmath>

#include "libruntime/core/graph.h"
#include "libruntime/core/storage.h"

namespace mnn {

// Rounds half to even (std::nearbyint in the default mode) and saturates to the codes of `storage`.
// NaN becomes the zero point.
inline double quantize_one(float x, float scale, double zero_point, const StorageType& storage) {
  const float scaled = x / scale;
  if (!(scaled == scaled)) return zero_point;
  const double code = std::nearbyint(static_cast<double>(scaled)) + zero_point;
  return code <= storage.low ? storage.low : code >= storage.high ? storage.high : code;
}

// f32 -> params.storage, same dims. An error when the params do not fit the dims (check_quant).
Result<Tensor> quantize_tensor(const Tensor& real, const QuantParams& params);
// params.storage -> f32, same dims.
Result<Tensor> dequantize_tensor(const Tensor& stored, const QuantParams& params);
// dequantize(quantize(x)): what a consumer of a quantized value reads.
Result<Tensor> round_to_grid(const Tensor& real, const QuantParams& params);
// The f32 tensor of the source layer: `t` times the divisors of each channel. `axis` must index a
// dim with as many entries as divisors.
Result<Tensor> without_smoothing(const Tensor& t, const ChannelDivisors& smoothing);
// Whether the last post-op of `node` is no operator of the source: it divides the channels of the
// first output, which says so.
bool ends_in_smoothing(const Graph& graph, const Node& node);
// The real values of a constant, quantized or not, in the value's own type.
Result<Tensor> constant_as_real(const Value& value);
// Rotates an f32 tensor in place as Rotation says; `back` undoes it.
Status rotate(Tensor& tensor, const Rotation& rotation, bool back);
// Bytes of everything an encoding keeps beside the codes.
int64_t encoding_bytes(const QuantParams& params);
// Bytes of the constants of a graph and its sub-graphs, each tensor once however many values share
// it, with what their encodings keep beside the codes.
int64_t constant_bytes(const Graph& graph);
// One line for people: "u8, scale 0.02, zero 128", "u4 in groups of 32 along axis 1, f16 scales".
std::string describe_quant(const QuantParams& params);

}  // namespace mnn
