// Weights to int8: symmetric, [-127, 127], one scale per output channel.
#pragma once

#include "libquant/quantize.h"

namespace mnn {

struct QuantizedWeights {
  Tensor stored;       // i8
  QuantParams params;  // axis = the output channels
  double snr_db = 0;   // of the dequantized weights
  WeightScale method = WeightScale::kAbsMax;
};
// `axis` indexes the output channels of an f32 tensor. kMse searches the scale of least squared
// error among shrunk ones, then refits it by least squares.
Result<QuantizedWeights> quantize_weights(const Tensor& weights, int axis, WeightScale method);

}  // namespace mnn
