// What convolutions and products have in common: what int8 kernels take, and steps around a
// MatrixKernel.
#pragma once

#include "libruntime/backends/cpu/lowering.h"
#include "libruntime/kernels/conv.h"
#include "libruntime/lower/post_op.h"

namespace mnn::cpu {

QuantU8 quant_of(const Grid& grid);
// What an int8 kernel reads of the constant `v`, whose codes are `bytes`.
Weights<int8_t> kernel_weights(const Lowering& l, ValueId v, const ByteWeights& bytes);
// Tells the kernel how its output is stored; `quant` points into `out`.
void set_output(const ByteOutput& out, ConvQuant& quant);

// Element offsets of every matrix [.., rows, columns] of `a` for the batch dims of a product.
std::vector<int64_t> batch_offsets(const Array& a, const Dims& batch);

// A step that runs `kernel` on x (and b, the residual and a computed bias) into y.
void add_matrix_step(Lowering& l, const Node& node, MatrixKernelPtr kernel, const Array& x,
                     const Array* b, const Array* residual, const Array& y, ComputeForm form,
                     int64_t weight_bytes, const Epilogue& epilogue, const Array* bias = nullptr);

}  // namespace mnn::cpu
