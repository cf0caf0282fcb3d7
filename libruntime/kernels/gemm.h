// Matrix products on row-major data: C = epilogue(alpha * A * B + bias).
#pragma once

#include <span>
#include <vector>

#include "libruntime/kernels/conv.h"
#include "libruntime/kernels/kernel.h"

namespace mnn {

// A [m, k], B [k, n] (or [n, k] when b_transposed), C [m, n]. Strides of a row in elements, 0:
// dense. Batched: item i of `batch` reads A at a_offsets[i] and B at b_offsets[i] (elements;
// repeated offsets broadcast; empty: i * m * a_stride, i * rows of B * b_stride) and writes C at i
// * m * c_stride; the residual is laid out like C.
struct GemmGeometry {
  int64_t m = 1, n = 1, k = 1;
  int64_t a_stride = 0, b_stride = 0, c_stride = 0;
  bool b_transposed = false;
  float alpha = 1;
  int64_t batch = 1;
  std::vector<int64_t> a_offsets, b_offsets;
};

// B constant: `b` is packed now (batched: one matrix per distinct offset). bias [n] or null.
Result<MatrixKernelPtr> make_gemm_f32(const GemmGeometry& geometry, const Weights<float>& b,
                                      const float* bias, const Epilogue& epilogue,
                                      const KernelOptions& options);

// B constant in codes (takes_codes()), one matrix for all items: kept in its bits, unpacked panel
// by panel in each run, bit for bit as dequantize_tensor() says where alpha is 1.
struct WeightCodes;
Result<MatrixKernelPtr> make_gemm_codes(const GemmGeometry& geometry, const WeightCodes& b,
                                        const float* bias, const Epilogue& epilogue,
                                        const KernelOptions& options);

// The same with the rows of A quantized to s8 in each run, each with its own scale (QuantizeRow of
// kernel_table.h); takes_codes_int8(). Sums are exact within the rows of B that share a scale.
Result<MatrixKernelPtr> make_gemm_codes_int8(const GemmGeometry& geometry, const WeightCodes& b,
                                             const float* bias, const Epilogue& epilogue,
                                             const KernelOptions& options);

// B comes with each run in KernelArgs::b and is packed into scratch.
Result<MatrixKernelPtr> make_matmul_f32(const GemmGeometry& geometry, const float* bias,
                                        const Epilogue& epilogue, const KernelOptions& options);

// Both double, B comes with each run; `alpha` in the place of the geometry's.
Result<MatrixKernelPtr> make_matmul_f64(const GemmGeometry& geometry, double alpha,
                                        const KernelOptions& options);

// Products that make_matmul_int8 and make_matmul_integer sum exactly, at most.
inline constexpr int64_t kMostByteProducts = 32896;  // times 255 times 255 stays below 2^31

// A on the grid quant.in and B on the grid `b`, both u8 and computed: B comes with each run and is
// packed into scratch. The sum of (a - a_zero) * (b - b_zero) is exact, so k is at most
// kMostByteProducts; the rest is as in make_conv_int8 with b.scale * alpha, alpha above 0, in the
// place of weight_scales.
Result<MatrixKernelPtr> make_matmul_int8(const GemmGeometry& geometry, const QuantU8& b,
                                         const float* bias, const ConvQuant& quant,
                                         const Epilogue& epilogue, const KernelOptions& options);

// Both u8, B comes with each run, C int32: the sum of (a - x_zero) * (b - b_zero), exact, with the
// zero points of KernelArgs. k is at most kMostByteProducts, alpha must be 1.
Result<MatrixKernelPtr> make_matmul_integer(const GemmGeometry& geometry,
                                            const KernelOptions& options);

// The same with B constant, packed once; `b_zeros` are its zero points: one, or one a column.
Result<MatrixKernelPtr> make_gemm_integer(const GemmGeometry& geometry, const Weights<uint8_t>& b,
                                          std::span<const uint8_t> b_zeros,
                                          const KernelOptions& options);

// A u8, B s8 constant, weight_scales [n]; formulas and limits as in make_conv_int8. alpha and batch
// must be 1.
Result<MatrixKernelPtr> make_gemm_int8(const GemmGeometry& geometry, const Weights<int8_t>& b,
                                       const float* bias, const ConvQuant& quant,
                                       const Epilogue& epilogue, const KernelOptions& options);

}  // namespace mnn
