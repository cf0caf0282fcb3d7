// The functions that are compiled once per instruction set, and the plain structs they take. No
// templates and no library types in here: see isa/simd.h.
#pragma once

#include <stdint.h>

namespace mnn {

constexpr int kMaxVectors = 8;  // registers across a tile
constexpr int kMaxTileRows = 12;

// One register tile of a product: rows of A are read where they lie, one pointer per row and tap.
// C[m][0..n) = clamp(bias + sum over taps, k of a[tap][m][k] * w[tap][k][:] [+ residual]).
struct TileF32 {
  const float* const* a = nullptr;  // a[tap * a_tap_stride + m]
  int64_t a_tap_stride = 0;
  int64_t a_offset = 0;  // added to every pointer: first channel of a group
  int64_t taps = 0, k = 0;
  const float* w = nullptr;  // [taps][k][vectors * lanes], rows w_stride apart
  int64_t w_stride = 0;
  const float* bias = nullptr;  // [vectors * lanes]
  const int64_t* y_offset =
      nullptr;  // row m of C starts at y + y_offset[m], so does the residual's
  float* y = nullptr;
  const float* residual = nullptr;  // may be null
  float low = 0, high = 0;
  int64_t n = 0;
};

// One row of outputs of a depthwise convolution, channels [0, channels):
// y[x][c] = clamp(bias[c] + sum of row[ky][x * stride + kx * dilation - pad][c] * w[c][ky][kx]
//                 [+ residual]).
struct DepthwiseRowF32 {
  const float* const* row = nullptr;  // kernel rows inside the input: their pixel 0
  const int64_t* ky = nullptr;        // and which kernel row each is
  int64_t rows = 0;
  int64_t iw = 0, ow = 0;
  int64_t kh = 0, kw = 0, stride = 0, dilation = 0, pad = 0;
  int64_t x_stride = 0, y_stride = 0;  // floats from pixel to pixel
  const float* w = nullptr;            // [channels / lanes, rounded up][kh][kw][lanes]
  const float* bias = nullptr;         // padded to lanes
  const float* residual = nullptr;     // may be null; strides of y
  float* y = nullptr;
  int64_t channels = 0;
  float low = 0, high = 0;
};

using TileF32Fn = void (*)(const TileF32&);
using UnaryF32Fn = void (*)(const float* x, float* y, int64_t n, float a, float b);

struct KernelTable {
  const char* isa = nullptr;
  int lanes = 0;  // floats in a register

  // tile_f32[v][m]: v registers wide, m rows high; rows_f32[v]: most rows there are for v.
  int vectors_f32 = 0;
  int rows_f32[kMaxVectors + 1] = {};
  TileF32Fn tile_f32[kMaxVectors + 1][kMaxTileRows + 1] = {};

  void (*depthwise_row_f32)(const DepthwiseRowF32&) = nullptr;

  UnaryF32Fn activation_f32[16] = {};  // by Activation
  // out[k][j] = scale * b[k * stride + j], or b[j * stride + k] when transposed, for k < depth and
  // j < width; columns up to nr are zero.
  void (*pack_f32)(const float* b, int64_t stride, int64_t depth, int64_t width, int64_t nr,
                   float scale, float* out) = nullptr;
  void (*pack_transposed_f32)(const float* b, int64_t stride, int64_t depth, int64_t width,
                              int64_t nr, float scale, float* out) = nullptr;
  void (*add_f32)(const float* x, float* y, int64_t n) = nullptr;  // y += x
};

}  // namespace mnn
