// Weights to int8: symmetric, [-127, 127], one scale per output channel.
#pragma once

#include <optional>

#include "libquant/types.h"
#include "libruntime/core/graph.h"
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
// error among shrunk ones, then refits it by least squares. With `fix` products with bytes can be
// added by pairs in int16 without overflow (byte_pairs.h): of the scales from there up the one of
// least squared error, the largest pairs clipped where need be. `fix` says which weights are
// neighbours, the other axes in the tensor's order.
Result<QuantizedWeights> quantize_weights(const Tensor& weights, int axis, WeightScale method,
                                          const std::optional<WeightRuns>& fix = {});

}  // namespace mnn
