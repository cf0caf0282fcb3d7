// The functions that are compiled once per instruction set, and the plain structs they take. No
// templates and no library types in here: see isa/simd.h.
#pragma once

#include <stdint.h>

#include "libruntime/lower/epilogue.h"

namespace mnn {

constexpr int kMaxVectors = 8;  // registers across a tile
constexpr int kMaxTileRows = 12;
constexpr int kMaxDots = 3;  // columns of dot_f32

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

// A panel of weights in codes: w[k][c] = (code - zero) * scale + offset.
struct PanelCodes {
  const uint8_t* codes = nullptr;  // [k / per_byte, rounded up][columns]
  int per_byte = 1;                // 1, 2, 4: rows that share a byte, the first in the lowest bits
  int64_t k = 0, group = 0;        // rows; rows that share a scale, a multiple of per_byte
  int64_t columns = 0;             // a multiple of lanes
  const float* scale = nullptr;    // [k / group, rounded up][columns]
  const float* zero = nullptr;     // likewise; null: common_zero
  const float* offset = nullptr;   // likewise; may be null
  float common_zero = 0;
};

// A few rows times such a panel without offsets, unpacked in registers: as a TileF32 of one tap.
constexpr int kMostFewRows = 4;
struct FewRows {
  PanelCodes w;
  const float* const* a = nullptr;  // [rows]
  const float* bias = nullptr;      // [columns]
  const int64_t* y_offset = nullptr;
  float* y = nullptr;
  const float* residual = nullptr;
  float low = 0, high = 0;
  int64_t n = 0;
};

// A tile of a product of rows of s8 with a panel of codes, summed exactly per part (rows of B that
// share a scale): y[m][0..n) = clamp(bias + a_scale[m] * sum over parts of
// (scale * (sum of a * (code - zero)) - shift * (sum of a)) [+ residual]).
// Codes lie in blocks of 4 * planes rows: [blocks][columns] words of 32 bits, byte j of a word with
// row 4 * p + j of its block at bit p * 8 / planes.
struct TileCodes {
  const int8_t* a = nullptr;  // rows a_stride apart, zeros behind k up to whole blocks
  int64_t a_stride = 0;
  const float* a_scale = nullptr;   // [rows]
  const int32_t* a_sums = nullptr;  // [rows][parts]
  int64_t blocks = 0, part_blocks = 0, parts = 0;
  const uint8_t* codes = nullptr;
  const float* scale = nullptr;  // [parts][columns]
  const float* shift = nullptr;  // likewise; may be null
  int32_t zero = 0;
  int64_t columns = 0;  // of the panel
  const float* bias = nullptr;
  const int64_t* y_offset = nullptr;  // these as in TileF32
  float* y = nullptr;
  const float* residual = nullptr;
  float low = 0, high = 0;
  int64_t n = 0;
};

// How the codes of a TileCodes lie: bytes; bytes of 15 at most; two and four codes a byte.
enum CodeKind { kByteCodes, kSmallCodes, kNibbleCodes, kPairCodes, kCodeKinds };
constexpr int planes_of(CodeKind kind) {
  return kind == kPairCodes ? 4 : kind == kNibbleCodes ? 2 : 1;
}
using TileCodesFn = void (*)(const TileCodes&);
// Tiles are 1, 2 or 4 registers wide, up to the width of a panel.
constexpr int kMostCodeVectors = 4;
struct CodeTiles {
  int vectors = 0;                      // of a panel
  int rows[kMostCodeVectors + 1] = {};  // most rows there are for a width
  TileCodesFn tile[kCodeKinds][kMostCodeVectors + 1][kMaxTileRows + 1] = {};
};

// One row to s8, symmetric: q = round_half_even(x * (127 / largest |x|)), scale = largest / 127.
// A row without a finite largest |x| has the scale NaN and codes of 0; one of next to nothing
// (below 1e-30) has the scale 0.
struct QuantizeRow {
  const float* x = nullptr;
  int64_t k = 0, padded = 0;  // codes behind k are 0
  int64_t part = 0, parts = 0;
  int8_t* q = nullptr;
  float* scale = nullptr;   // [1]
  int32_t* sums = nullptr;  // [parts] of the codes
};

// Any number of rows of a product in double: y[m][0..n) = alpha * sum over k of a[m][k] * w[k][:].
struct TileF64 {
  const double* a = nullptr;
  int64_t a_stride = 0;
  int64_t k = 0;
  const double* w = nullptr;  // [k][columns_f64], rows w_stride apart
  int64_t w_stride = 0;
  double* y = nullptr;
  int64_t y_stride = 0;
  double alpha = 1;
  int64_t rows = 0, n = 0;
};

// Output rows [oy_begin, oy_end) of one image of a depthwise convolution, channels [0, channels):
// y[oy][ox][c] = clamp(bias[c] + sum over taps inside the input of x * w [+ residual]).
struct DepthwiseF32 {
  const float* x = nullptr;  // input pixel (0, 0), channel 0; rows [iy_begin, iy_end) exist
  int64_t iy_begin = 0, iy_end = 0, iw = 0;
  int64_t x_row_stride = 0, x_stride = 0;  // floats from row to row and from pixel to pixel
  int64_t oy_begin = 0, oy_end = 0, ow = 0;
  float* y = nullptr;               // output pixel (oy_begin, 0)
  const float* residual = nullptr;  // may be null; strides of y
  int64_t y_row_stride = 0, y_stride = 0;
  int64_t kh = 0, kw = 0, stride_h = 0, stride_w = 0, dilation_h = 0, dilation_w = 0;
  int64_t pad_top = 0, pad_left = 0;
  const float* w = nullptr;     // [channels / lanes, rounded up][kh][kw][lanes]
  const float* bias = nullptr;  // padded to lanes
  int64_t channels = 0;
  float low = 0, high = 0;
};

// Input transform of one Winograd tile: pixel pointers row by row (outside the input: zeros),
// result of frequency f at v + f * v_frequency, channels rounded up to registers.
struct WinogradInput {
  const float* const* pixels = nullptr;
  int64_t channels = 0;
  float* v = nullptr;
  int64_t v_frequency = 0;
};

// Output transform of one tile: the first rows x columns pixels of it are stored,
// y = clamp(transform(m) + bias [+ residual]).
struct WinogradOutput {
  const float* m = nullptr;
  int64_t m_frequency = 0;
  const float* bias = nullptr;  // padded to lanes
  float* y = nullptr;
  const float* residual = nullptr;
  int64_t y_step = 0, y_row_step = 0;
  int64_t rows = 0, columns = 0, channels = 0;
  float low = 0, high = 0;
};

// How an int32 sum becomes an output, in float without contraction:
// v = before(float(sum) * scale[c] + bias[c]) [+ (r - r_zero) * r_scale], v = after(v), then float,
// or round_half_even((v * factor + offset) * y_inverse) + y_zero saturated to a byte.
enum class ByteOrFloat : uint8_t { kNone, kByte, kFloat };
// Epilogues with code of their own: bytes, so small that saturation does the rest, after nothing, a
// clamp (behind a residual of bytes, if there is one, or kClampFirst: in front of it), HardSwish,
// HardSwish * factor + offset, or Swish (in front of a residual of bytes, if there is one).
enum class PlainPost : uint8_t {
  kNone,
  kSaturate,
  kClamp,
  kClampFirst,
  kHardSwish,
  kAffineHardSwish,
  kSwish
};
struct Int8Post {
  PostOp before, after;
  ByteOrFloat residual = ByteOrFloat::kNone, output = ByteOrFloat::kByte;
  float r_scale = 1;
  int32_t r_zero = 0;
  float factor = 1, offset = 0;  // byte outputs only
  float y_inverse = 1;
  int32_t y_zero = 0;
  PlainPost plain = PlainPost::kNone;
  float low = 0, high = 0;  // of the clamp, before y_inverse
};

// As TileF32 with integer operands in groups of four bytes along k: four (u8 a, s8 w) or two (s16 a
// and w). sum = start + a * w; w holds [taps][k][vectors * lanes] groups. With `sums` they are
// stored there as they are, modulo 2^32 and in whole registers, row m at y_offset[m]. Bytes
// of sets whose sums are int32 at once add row_start[m], unless it is null.
struct TileInt8 {
  const uint8_t* const* a = nullptr;
  int64_t a_tap_stride = 0;
  int64_t a_offset = 0;     // bytes
  int64_t taps = 0, k = 0;  // k: groups
  const int32_t* w = nullptr;
  const int32_t* start = nullptr;  // [vectors * lanes], as scale and bias
  const int32_t* row_start = nullptr;
  const float* scale = nullptr;
  const float* bias = nullptr;
  // Per channel in place of y_inverse and y_zero of `post`; null: those.
  const float* y_inverse = nullptr;
  const int32_t* y_zero = nullptr;
  const int64_t* y_offset = nullptr;  // elements
  void* y = nullptr;
  const void* residual = nullptr;
  const Int8Post* post = nullptr;
  int32_t* sums = nullptr;
  int64_t n = 0;
};

// Rows of int32 sums to outputs: n channels each, `width` apart, row m at y + m * y_stride
// elements, so is the residual. What is per channel is padded to registers, and so is the last row.
struct SumsInt8 {
  const int32_t* sums = nullptr;
  int64_t rows = 0, width = 0, n = 0, y_stride = 0;
  const float* scale = nullptr;
  const float* bias = nullptr;
  const float* y_inverse = nullptr;  // as of TileInt8
  const int32_t* y_zero = nullptr;
  void* y = nullptr;
  const void* residual = nullptr;
  const Int8Post* post = nullptr;
};

// Exact integer Winograd; see winograd_int8.cc. Pixels are bytes (outside the input: zero points),
// the transforms int16, of x minus its zero point. v has room for channels rounded up to a
// register.
struct WinogradInputInt8 {
  const uint8_t* const* pixels = nullptr;
  int64_t channels = 0;
  int32_t zero = 0;
  int16_t* v = nullptr;
  int64_t v_frequency = 0;
};

// Sums of products per frequency to the first rows x columns pixels of an output tile. m and all
// per channel are padded to registers; y_inverse and y_zero as of TileInt8.
struct WinogradOutputInt8 {
  const int32_t* m = nullptr;
  int64_t m_frequency = 0;
  const float* scale = nullptr;
  const float* bias = nullptr;
  const float* y_inverse = nullptr;
  const int32_t* y_zero = nullptr;
  void* y = nullptr;
  const void* residual = nullptr;
  int64_t y_step = 0, y_row_step = 0;  // elements
  int64_t rows = 0, columns = 0, channels = 0;
  const Int8Post* post = nullptr;
};

// Output rows of a block of channels of a depthwise convolution: 2 * lanes of them (a wide block)
// or lanes.
struct DepthwiseInt8 {
  // Input rows with their borders, from the one under the first kernel row of output row 0 on. Only
  // [x_begin, x_end) exist, the others are outside. Windows start at byte x_offset.
  const uint8_t* const* x = nullptr;
  int64_t x_begin = 0, x_end = 0;
  int64_t x_offset = 0, x_stride = 0;  // bytes
  int64_t rows = 0, ow = 0;
  void* y = nullptr;
  const void* residual = nullptr;
  int64_t y_stride = 0;  // elements from pixel to pixel, also from row to row
  int64_t kh = 0, kw = 0, stride_h = 0, stride_w = 0, dilation_h = 0, dilation_w = 0;
  // Pairs of taps, each [channels of the block][2]: kw pairs of every kernel row and the next one,
  // then (kw + 1) / 2 pairs of neighbours of every kernel row.
  const int16_t* w = nullptr;
  // [kh + 1]: takes off what the zero points add under the kernel rows before each.
  const int32_t* start = nullptr;
  const float* scale = nullptr;
  const float* bias = nullptr;
  const float* y_inverse = nullptr;  // as of TileInt8
  const int32_t* y_zero = nullptr;
  const Int8Post* post = nullptr;
  int64_t channels = 0;  // that exist
  bool wide = false;
};

// Pairs of taps of a block.
constexpr int64_t depthwise_int8_taps(int64_t kh, int64_t kw) {
  return (kh - 1) * kw + kh * ((kw + 1) / 2);
}

using TileInt8Fn = void (*)(const TileInt8&);
// tile[v][m] as KernelTable::tile_f32; rows[v]: most rows there are for v.
struct Int8Tiles {
  int vectors = 0;
  int rows[kMaxVectors + 1] = {};
  TileInt8Fn tile[kMaxVectors + 1][kMaxTileRows + 1] = {};
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

  // Any number of rows of 1 to kMaxDots columns. w holds [n][taps][k rounded up to lanes], columns
  // w_stride apart; no float of a is read behind k. a_offset is not used.
  void (*dot_f32)(const TileF32&, int64_t rows) = nullptr;

  int columns_f64 = 0;
  void (*tile_f64)(const TileF64&) = nullptr;

  // Groups of four: a holds u8, w s8. Without instructions that add to int32 at once
  // (`pairs_saturate`) the products are added by pairs in int16, which is exact for weights that
  // fit_in_pairs (int8_plan.h) only.
  Int8Tiles bytes_int8;
  bool pairs_saturate = false;
  // Groups of two: a holds s16, zero point subtracted, and so does w.
  Int8Tiles words_int8;
  // y[i] = x[i] - zero
  void (*widen_u8)(const uint8_t* x, int32_t zero, int16_t* y, int64_t n) = nullptr;
  // A run-time matrix B of bytes, rows `stride` apart, as a panel of TileInt8::w for columns
  // [0, width): pairs of rows minus `zero`, or fours of them minus 128 with their sums per column.
  // Columns up to nr are zero.
  void (*pack_pairs)(const uint8_t* b, int64_t stride, int64_t depth, int64_t width, int64_t nr,
                     int32_t zero, int32_t* out) = nullptr;
  void (*pack_fours)(const uint8_t* b, int64_t stride, int64_t depth, int64_t width, int64_t nr,
                     int32_t* out, int32_t* sums) = nullptr;
  void (*minus_128)(const uint8_t* x, int8_t* y, int64_t n) = nullptr;
  int32_t (*sum_u8)(const uint8_t* x, int64_t n) = nullptr;
  void (*add_i32)(const int32_t* x, int32_t* y, int64_t n) = nullptr;  // y += x
  void (*finish_int8)(const SumsInt8&) = nullptr;
  void (*depthwise_int8)(const DepthwiseInt8&) = nullptr;
  // Which channel of a wide block is at a position of w and start; with a plain epilogue, where
  // depthwise_int8_plain, also of the other numbers per channel of a block that is full.
  uint8_t depthwise_int8_order[32] = {};
  bool depthwise_int8_plain = false;
  // Copies up to 64 channels of pixels that are `stride` bytes apart.
  void (*copy_pixels)(const uint8_t* x, int64_t pixels, int64_t stride, int64_t channels,
                      uint8_t* y, int64_t y_stride) = nullptr;

  // [0]: F(2x2, 3x3), [1]: F(4x4, 3x3).
  void (*winograd_input[2])(const WinogradInput&) = {};
  void (*winograd_output[2])(const WinogradOutput&) = {};

  void (*winograd_input_int8[2])(const WinogradInputInt8&) = {};
  void (*winograd_output_int8[2])(const WinogradOutputInt8&) = {};

  void (*depthwise_f32)(const DepthwiseF32&) = nullptr;

  UnaryF32Fn activation_f32[16] = {};  // by Activation
  // out[k][j] = scale * b[k * stride + j], or b[j * stride + k] when transposed, for k < depth and
  // j < width; columns up to nr are zero.
  void (*pack_f32)(const float* b, int64_t stride, int64_t depth, int64_t width, int64_t nr,
                   float scale, float* out) = nullptr;
  void (*pack_transposed_f32)(const float* b, int64_t stride, int64_t depth, int64_t width,
                              int64_t nr, float scale, float* out) = nullptr;
  // As floats, [k][columns].
  void (*unpack_codes)(const PanelCodes& panel, float* out) = nullptr;
  void (*few_rows[kMostFewRows + 1])(const FewRows& args) = {};  // by the number of rows
  CodeTiles code_tiles;
  // Words of nibbles or pairs as words of small codes, blocks of planes * words each.
  void (*spread_codes)(const uint8_t* codes, int planes, int64_t blocks, int64_t columns,
                       uint8_t* out) = nullptr;
  void (*quantize_row)(const QuantizeRow& args) = nullptr;
  // pack_transposed_f32 of any words, unscaled.
  void (*pack_words)(const void* b, int64_t stride, int64_t depth, int64_t width, int64_t nr,
                     void* out) = nullptr;
  void (*add_f32)(const float* x, float* y, int64_t n) = nullptr;  // y += x
};

}  // namespace mnn
