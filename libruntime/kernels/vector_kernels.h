// Kernels on plain arrays: elementwise, reductions, normalization, pooling, resizing, moving. They
// neither allocate nor know about threads; every element's result is independent of how the caller
// cuts its work.
#pragma once

#include <cstdint>
#include <string_view>

#include "libruntime/lower/element_op.h"

namespace mnn {

enum class ReduceOp : uint8_t { kSum, kMax, kMin, kSumSquare, kSumAbs, kCount };

using UnaryFn = void (*)(const float* x, float* y, int64_t n, float a, float b);
using BinaryFn = void (*)(const float* a, const float* b, float* y, int64_t n);

// One output row of a pooling window over NHWC; see isa/image.cc.
struct PoolRow {
  int64_t ih = 1, iw = 1, c = 1, ow = 1;
  int64_t kh = 1, kw = 1;
  int64_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0;
  // Average: what divides counts pads up to these ends (exclusive, in padded coordinates that may
  // pass the input), or only real elements.
  bool count_pads = false;
  int64_t end_h = 0, end_w = 0;
};

struct VectorKernels {
  const char* isa;
  // x may be y.
  UnaryFn unary[static_cast<int>(UnaryOp::kCount)];
  // a or b may be y.
  BinaryFn binary[static_cast<int>(BinaryOp::kCount)];
  // y = c != 0 ? a : b.
  void (*select)(const float* c, const float* a, const float* b, float* y, int64_t n);
  void (*fill)(float* y, float value, int64_t n);

  // u8 grids: real = (q - zero) * scale; to_u8 divides, rounds half to even and saturates.
  void (*from_u8)(const uint8_t* x, float* y, int64_t n, float scale, int zero);
  void (*to_u8)(const float* x, uint8_t* y, int64_t n, float scale, int zero);
  // The same with a grid per element of the row.
  void (*from_u8_row)(const uint8_t* x, float* y, int64_t n, const float* scales,
                      const float* zeros);
  void (*to_u8_row)(const float* x, uint8_t* y, int64_t n, const float* scales, const float* zeros);
  void (*from_bool)(const uint8_t* x, float* y, int64_t n);
  void (*to_bool)(const float* x, uint8_t* y, int64_t n);
  // 16-bit floats, rounded half to even, infinite beyond their range.
  void (*from_f16)(const uint16_t* x, float* y, int64_t n);
  void (*to_f16)(const float* x, uint16_t* y, int64_t n);
  void (*from_bf16)(const uint16_t* x, float* y, int64_t n);
  void (*to_bf16)(const float* x, uint16_t* y, int64_t n);
  // Truncated towards zero and wrapped; what no int64 holds saturates first, NaN is 0.
  void (*truncate_to_bytes)(const float* x, uint8_t* y, int64_t n);
  void (*lookup)(const uint8_t* x, uint8_t* y, int64_t n, const uint8_t* table);
  // Numbers become bytes: rounded half to even, saturated.
  // y = a * a_factor + b * b_factor + offset, clamped to [low, high].
  void (*add_u8)(const uint8_t* a, const uint8_t* b, uint8_t* y, int64_t n, float a_factor,
                 float b_factor, float offset, float low, float high);
  // y[r, j] = (x[r, j] - zero) * factors[j] + b[r, j] * b_factor + offset; rows of x and b follow
  // each other. b may be null.
  void (*scale_u8)(const uint8_t* x, const uint8_t* b, uint8_t* y, int64_t rows, int64_t n,
                   int64_t y_stride, const float* factors, float zero, float b_factor,
                   float offset);

  // One row to one number: op over x[0..n), n > 0.
  float (*reduce_row)(ReduceOp op, const float* x, int64_t n);
  // y[j] = op over i of x[i * stride + j], j < n. `first` starts y, otherwise y goes on.
  void (*reduce_column)(ReduceOp op, const float* x, float* y, int64_t rows, int64_t stride,
                        int64_t n, bool first);

  // y[i * step + j] = sum of x[k * step + j] over k <= i, or k < i when exclusive, for i < rows and
  // j < n; step may be negative.
  void (*running_sum)(const float* x, float* y, int64_t rows, int64_t step, int64_t n,
                      bool exclusive);
  // index[j] = where among x[i * stride + j], i < rows, the greatest or least is: the first, or the
  // last of equal ones. The first NaN is both.
  void (*arg_column)(const float* x, int32_t* index, int64_t rows, int64_t stride, int64_t n,
                     bool least, bool last);

  // sums[j] = sum over i of x[i * stride + j], j < n.
  void (*sum_u8)(const uint8_t* x, int32_t* sums, int64_t rows, int64_t stride, int64_t n);

  // Over rows of n: y = softmax(x); log: its logarithm. x may be y.
  void (*softmax)(const float* x, float* y, int64_t rows, int64_t n, bool log);
  // Softmax down the n rows of [n, inner], one row every `stride` elements. x may be y.
  void (*softmax_column)(const float* x, float* y, int64_t n, int64_t inner, int64_t stride,
                         bool log);
  // y = (x - mean) / sqrt(var + epsilon) * gamma + beta per row; gamma, beta [n] or null. rms: no
  // mean is taken.
  void (*normalize)(const float* x, float* y, int64_t rows, int64_t n, const float* gamma,
                    const float* beta, float epsilon, bool rms);
  // y[j] (+)= sum over i of (x[i * stride + j] - mean[j])^2.
  void (*column_variance)(const float* x, const float* mean, float* y, int64_t rows, int64_t stride,
                          int64_t n, bool first);
  // y[r, j] = x[r, j] * scale[j] + shift[j]. x may be y.
  void (*scale_shift)(const float* x, float* y, int64_t rows, int64_t n, const float* scale,
                      const float* shift);

  // Output row oy of NHWC pooling: y [ow, c].
  void (*max_pool)(const float* x, float* y, int64_t oy, const PoolRow& pool);
  void (*average_pool)(const float* x, float* y, int64_t oy, const PoolRow& pool);
  void (*max_pool_u8)(const uint8_t* x, uint8_t* y, int64_t oy, const PoolRow& pool);
  // (average - zero) * factor, plus offset as a byte.
  void (*average_pool_u8)(const uint8_t* x, uint8_t* y, int64_t oy, const PoolRow& pool, float zero,
                          float factor, float offset);
  void (*average_pool_u8_to_float)(const uint8_t* x, float* y, int64_t oy, const PoolRow& pool,
                                   float zero, float factor);

  // The derivative of max_pool for channels [first, last) of an image: adds to dx [ih, iw, c] what
  // dy [oh, ow, c] says of the place where each maximum of x was found, the first of equal ones.
  void (*max_pool_gradient)(const float* x, const float* dy, float* dx, int64_t oh,
                            const PoolRow& pool, int64_t first, int64_t last);
  // The derivative of a depthwise convolution by its weights dw [kh, kw, c], for channels [first,
  // last): adds what output row oy, dy [ow, c], and the image x say of them.
  void (*depthwise_weight_gradient)(const float* x, const float* dy, float* dw, int64_t oy,
                                    const PoolRow& window, int64_t first, int64_t last);

  // One output row [ow, c] of a bilinear resize: rows `top` and `bottom` mixed by ty, pixels
  // left[i] and right[i] by tx[i].
  void (*bilinear)(const float* top, const float* bottom, float ty, const int32_t* left,
                   const int32_t* right, const float* tx, int64_t ow, int64_t c, float* y);
  // y[j] = sum over i of rows[i][j] * weights[i], j < n.
  void (*mix_rows)(const float* const* rows, const float* weights, int64_t count, float* y,
                   int64_t n);
  // The mixture times factor plus offset as a byte.
  void (*bilinear_u8)(const uint8_t* top, const uint8_t* bottom, float ty, const int32_t* left,
                      const int32_t* right, const float* tx, int64_t ow, int64_t c, float factor,
                      float offset, uint8_t* y);

  // y[c, r] = x[r, c]; strides in elements of 1, 2, 4 or 8 bytes.
  void (*transpose)(const void* x, void* y, int64_t rows, int64_t cols, int64_t x_stride,
                    int64_t y_stride, int bytes);
};

// The kernels of `isa`, a name of available_isas(). Null for any other.
const VectorKernels* find_vector_kernels(std::string_view isa);

}  // namespace mnn
