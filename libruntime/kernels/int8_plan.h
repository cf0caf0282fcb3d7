// What the int8 kernels share: checks and the constants of requantization.
#pragma once

#include "libruntime/kernels/conv.h"
#include "libruntime/kernels/kernel_table.h"
#include "libruntime/kernels/plan.h"

namespace mnn {

// The epilogue of an int8 kernel.
struct Int8Epilogue {
  Int8Post post;
  int64_t residual_bytes = 0, y_bytes = 0;  // of an element
  bool y_per_channel = false;               // byte outputs on one grid per channel
};

// Fails on a scale that is not positive and a zero point that is no byte.
Status check_grid(const char* what, const QuantU8& grid);

// The grid of an output channel; quant.out is set.
QuantU8 output_grid(const ConvQuant& quant, int64_t channel);

// The constants of requantization of a kernel's columns, while they are put together.
struct Int8Columns {
  Int8Columns(int64_t columns, bool y_per_channel);
  // Column `at` makes output channel `o` from inputs of that scale; bias [oc] or null.
  void set(int64_t at, const ConvQuant& quant, float in_scale, const float* bias, int64_t o);

  AlignedBuffer<float> scale, bias, y_inverse;
  AlignedBuffer<int32_t> y_zero;  // as y_inverse: empty without grids per channel
};

// A kernel that stores through an Int8Epilogue.
class Int8Kernel : public MatrixKernel {
 protected:
  Status keep_columns(WeightsCache* cache, const Int8Columns& made);
  const float* y_inverse(int64_t column) const {
    return y_inverse_ ? y_inverse_ + column : nullptr;
  }
  const int32_t* y_zero(int64_t column) const { return y_zero_ ? y_zero_ + column : nullptr; }

  const float *scale_ = nullptr, *bias_ = nullptr;

 private:
  const float* y_inverse_ = nullptr;
  const int32_t* y_zero_ = nullptr;
};

// Fails on scales that are not positive and zero points that are no bytes. `depth` products are
// summed: above 65793 int32 could overflow.
Result<Int8Epilogue> plan_int8(const ConvGeometry& g, const float* bias, const ConvQuant& quant,
                               const Epilogue& epilogue, int64_t depth);

// Whether the weights of every output channel are such that byte products by pairs are exact.
bool fit_in_pairs(const ConvGeometry& g, const int8_t* weights);

Result<MatrixKernelPtr> make_depthwise_int8(const ConvGeometry& g, const Weights<int8_t>& weights,
                                            const float* bias, const ConvQuant& quant,
                                            const Int8Epilogue& epilogue, const KernelTable& table,
                                            const KernelOptions& options);

// Outputs along a side of the Winograd tile that is best for the convolution: 4, 2, or 0 where the
// direct kernel is, because of its shape, the instruction set, or weights whose sums would not fit.
// `bytes`: the direct kernel multiplies bytes, not int16.
int winograd_int8_tile(const ConvGeometry& g, const int8_t* weights, int zero, bool bytes,
                       const KernelTable& table);
Result<MatrixKernelPtr> make_winograd_int8(const ConvGeometry& g, int tile,
                                           const Weights<int8_t>& weights, const float* bias,
                                           const ConvQuant& quant, const Int8Epilogue& epilogue,
                                           const KernelTable& table, const KernelOptions& options);

}  // namespace mnn
