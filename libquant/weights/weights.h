// Weights to int8: symmetric, [-127, 127], one scale per output channel.
#pragma once

#include <optional>

#include "libquant/quantize.h"
#include "libruntime/kernels/byte_pairs.h"

namespace mnn {

struct QuantizedWeights {
  Tensor stored;       // i8
  QuantParams params;  // axis = the output channels
  double snr_db = 0;   // of the dequantized weights
  WeightScale method = WeightScale::kAbsMax;
  bool overflow_fix = false;
};
// `axis` indexes the output channels of an f32 tensor. kMse searches the scale of least squared
// error among shrunk ones, then refits it by least squares. With `fix` the scale of a channel is
// raised as far as it must be for products of bytes to be added by pairs in int16 without overflow
// (byte_pairs.h); `fix` says which weights are neighbours, the other axes in the tensor's order.
Result<QuantizedWeights> quantize_weights(const Tensor& weights, int axis, WeightScale method,
                                          const std::optional<WeightRuns>& fix = {});

}  // namespace mnn
