// fp32 depthwise convolution. A tile is one register of channels by up to eight outputs along x:
// each input column is loaded once per kernel row and feeds every output it belongs to. Channels go
// in cache lines, and all rows of a line before the next line: what neighbouring rows and the
// registers of a line share stays in L1.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {
namespace {

#if MNN_VECTOR_BYTES >= 32 && !defined(MNN_SIMD_GENERIC)
constexpr int kWidest = 8;  // outputs in a tile
#else
constexpr int kWidest = 3;
#endif
constexpr int kLineFloats = 16;               // a cache line
constexpr int kMostFloats = 8 * kLineFloats;  // channels a tile passes over
constexpr int64_t kGroupBytes = 16 * 1024;

constexpr int kMostRows = 8;  // kernel rows of the tiles of fixed width

alignas(64) const float kZeros[kMostFloats] = {};

// What one tile needs, for the registers of a group of channels.
struct Tile {
  const float* x;                   // first kernel row inside the input, first column of the tile
  int64_t rows, row_step, column;   // kernel rows inside; floats from row to row, column to column
  int64_t left, right;              // columns [left, right) of the tile are inside the input
  int64_t width, stride, dilation;  // of the kernel along x, for the general tile
  const float* w;                   // of the first kernel row
  int64_t w_vector;                 // floats from one register's weights to the next one's
  const float* bias;
  float* y;
  const float* residual;
  int64_t y_step;
  int64_t vectors, channels;
  float low, high;
};

// The pixel of column j, or zeros outside the input. Without a branch: which columns are outside
// changes from tile to tile.
MNN_INLINE const float* column_or_zeros(const Tile& t, const float* row, int64_t j) {
  const auto outside = static_cast<uintptr_t>(j < t.left) | static_cast<uintptr_t>(j >= t.right);
  const auto inner = reinterpret_cast<uintptr_t>(row + j * t.column);
  const auto zeros = reinterpret_cast<uintptr_t>(kZeros);
  return reinterpret_cast<const float*>(inner ^ ((inner ^ zeros) & (0 - outside)));
}

template <int kOutputs, bool kCareful>
MNN_INLINE void finish(const Tile& t, int64_t v, VF (&acc)[kOutputs]) {
  const VF low = splat(t.low), high = splat(t.high);
  const int64_t n = kCareful ? t.channels - v * kLanes : kLanes, step = t.y_step;
  float* y = t.y + v * kLanes;
  if (t.residual) {
    const float* residual = t.residual + v * kLanes;
#pragma GCC unroll 8
    for (int i = 0; i < kOutputs; ++i) acc[i] += load_part(residual + i * step, n);
  }
#pragma GCC unroll 8
  for (int i = 0; i < kOutputs; ++i) {
    const VF value = vmin(high, vmax(low, acc[i]));
    if constexpr (kCareful) {
      store_part(y + i * step, value, n);
    } else {
      store(y + i * step, value);
    }
  }
}

// kBorder: some columns may lie outside the input.
template <int kWidth, int kStride, int kOutputs, bool kBorder>
void tile(const Tile& t) {
  constexpr int kColumns = (kOutputs - 1) * kStride + kWidth;
  [[maybe_unused]] const float* pixels[kBorder ? kMostRows * kColumns : 1];
  if constexpr (kBorder) {
    const float* row = t.x;
    for (int64_t r = 0; r < t.rows; ++r, row += t.row_step)
#pragma GCC unroll 32
      for (int j = 0; j < kColumns; ++j) pixels[r * kColumns + j] = column_or_zeros(t, row, j);
  }
  for (int64_t v = 0; v < t.vectors; ++v) {
    VF acc[kOutputs];
#pragma GCC unroll 8
    for (int i = 0; i < kOutputs; ++i) acc[i] = load(t.bias + v * kLanes);
    const float* row = t.x + v * kLanes;
    const float* w = t.w + v * t.w_vector;
    for (int64_t r = 0; r < t.rows; ++r, row += t.row_step, w += kWidth * kLanes) {
      VF tap[kWidth];
#pragma GCC unroll 8
      for (int k = 0; k < kWidth; ++k) tap[k] = load(w + k * kLanes);
#pragma GCC unroll 32
      for (int j = 0; j < kColumns; ++j) {
        const VF in = load(kBorder ? pixels[r * kColumns + j] + v * kLanes : row + j * t.column);
#pragma GCC unroll 8
        for (int k = 0; k < kWidth; ++k) {
          if (j >= k && (j - k) % kStride == 0 && (j - k) / kStride < kOutputs)
            acc[(j - k) / kStride] = madd(in, tap[k], acc[(j - k) / kStride]);
        }
      }
    }
    finish<kOutputs, false>(t, v, acc);
  }
}

// Any width, stride and dilation. kCareful: columns may lie outside the input, and the last
// register may not be full.
template <int kOutputs, bool kCareful>
void any_tile(const Tile& t) {
  for (int64_t v = 0; v < t.vectors; ++v) {
    VF acc[kOutputs];
#pragma GCC unroll 8
    for (int i = 0; i < kOutputs; ++i) acc[i] = load(t.bias + v * kLanes);
    const float* row = t.x + v * kLanes;
    const float* w = t.w + v * t.w_vector;
    const int64_t n = t.channels - v * kLanes;
    for (int64_t r = 0; r < t.rows; ++r, row += t.row_step) {
      for (int64_t k = 0; k < t.width; ++k, w += kLanes) {
        const VF tap = load(w);
#pragma GCC unroll 8
        for (int i = 0; i < kOutputs; ++i) {
          const int64_t j = i * t.stride + k * t.dilation;
          const VF in =
              kCareful ? load_part(column_or_zeros(t, row, j), n) : load(row + j * t.column);
          acc[i] = madd(in, tap, acc[i]);
        }
      }
    }
    finish<kOutputs, kCareful>(t, v, acc);
  }
}

using TileFn = void (*)(const Tile&);
struct Tiles {
  TileFn plain[kWidest + 1], border[kWidest + 1];
};

template <int kWidth, int kStride, int kOutputs>
constexpr void set_tile(Tiles& t) {
  if constexpr (kWidth > 0) {
    t.plain[kOutputs] = tile<kWidth, kStride, kOutputs, false>;
    t.border[kOutputs] = tile<kWidth, kStride, kOutputs, true>;
  } else {
    t.plain[kOutputs] = any_tile<kOutputs, false>;
    t.border[kOutputs] = any_tile<kOutputs, true>;
  }
  if constexpr (kOutputs > 1) set_tile<kWidth, kStride, kOutputs - 1>(t);
}

template <int kWidth, int kStride>
constexpr Tiles make_tiles() {
  Tiles t{};
  set_tile<kWidth, kStride, kWidest>(t);
  return t;
}

constexpr Tiles kTiles3s1 = make_tiles<3, 1>(), kTiles3s2 = make_tiles<3, 2>(),
                kTiles5s1 = make_tiles<5, 1>(), kTiles5s2 = make_tiles<5, 2>(),
                kTiles7s1 = make_tiles<7, 1>(), kTiles7s2 = make_tiles<7, 2>(),
                kTilesAny = make_tiles<0, 0>();

// `dilation`: of the columns of a tile.
const Tiles& choose(const DepthwiseF32& d, int64_t dilation) {
  if (dilation != 1 || d.kh > kMostRows || d.stride_w > 2) return kTilesAny;
  if (d.kw == 3) return d.stride_w == 1 ? kTiles3s1 : kTiles3s2;
  if (d.kw == 5) return d.stride_w == 1 ? kTiles5s1 : kTiles5s2;
  if (d.kw == 7) return d.stride_w == 1 ? kTiles7s1 : kTiles7s2;
  return kTilesAny;
}

// The one register of channels that is not full.
void run_tail(const Tile& full, int64_t outputs) {
  Tile t = full;
  const int64_t c = full.vectors * kLanes;
  t.x += c;
  t.w += full.vectors * t.w_vector;
  t.bias += c;
  t.y += c;
  if (t.residual) t.residual += c;
  t.channels -= c;
  t.vectors = 1;
  kTilesAny.border[outputs](t);
}

void depthwise(const DepthwiseF32& d) {
  // With stride 1 the outputs of a tile lie as far apart as the taps: between the columns they
  // share, a dilated kernel is a plain one.
  const int64_t spread = d.stride_w == 1 ? d.dilation_w : 1;
  const int64_t dilation = d.dilation_w / spread;
  const Tiles& tiles = choose(d, dilation);
  const int64_t reach = (d.kw - 1) * dilation;
  Tile t;
  t.row_step = d.dilation_h * d.x_row_stride;
  t.column = d.x_stride * spread;
  t.width = d.kw;
  t.stride = d.stride_w;
  t.dilation = dilation;
  t.w_vector = d.kh * d.kw * kLanes;
  t.y_step = d.y_stride * spread;
  t.low = d.low;
  t.high = d.high;
  const int64_t lines = kGroupBytes / (d.kh * d.iw * kLineFloats * 4);
  const int64_t group = lines < 1                           ? kLineFloats
                        : lines * kLineFloats < kMostFloats ? lines * kLineFloats
                                                            : kMostFloats;
  for (int64_t c = 0; c < d.channels; c += group) {
    t.channels = d.channels - c;
    t.vectors = (t.channels < group ? t.channels : group) / kLanes;
    t.bias = d.bias + c;
    const bool tail = t.channels < group && t.channels % kLanes != 0;
    for (int64_t oy = d.oy_begin; oy < d.oy_end; ++oy) {
      int64_t iy = oy * d.stride_h - d.pad_top, first = 0;
      for (; first < d.kh && iy < d.iy_begin; ++first) iy += d.dilation_h;
      t.rows = 0;
      for (int64_t y = iy; first + t.rows < d.kh && y < d.iy_end; y += d.dilation_h) ++t.rows;
      t.w = d.w + (c / kLanes * d.kh + first) * d.kw * kLanes;
      const float* row = d.x + iy * d.x_row_stride + c;
      const int64_t at = (oy - d.oy_begin) * d.y_row_stride + c;
      for (int64_t phase = 0; phase < spread && phase < d.ow; ++phase) {
        const int64_t width = (d.ow - phase + spread - 1) / spread;
        const int64_t count = (width + kWidest - 1) / kWidest;
        const int64_t least = width / count, more = width % count;
        int64_t x = phase;
        for (int64_t i = 0; i < count; ++i) {
          const int64_t outputs = least + (i < more ? 1 : 0);
          const int64_t ix = x * d.stride_w - d.pad_left;
          t.x = row + ix * d.x_stride;
          t.left = ix >= 0 ? 0 : (-ix + spread - 1) / spread;
          t.right = (d.iw - ix + spread - 1) / spread;
          t.y = d.y + at + x * d.y_stride;
          t.residual = d.residual ? d.residual + at + x * d.y_stride : nullptr;
          const bool inside = ix >= 0 && ix + ((outputs - 1) * d.stride_w + reach) * spread < d.iw;
          (inside ? tiles.plain : tiles.border)[outputs](t);
          if (tail) run_tail(t, outputs);
          x += outputs * spread;
        }
      }
    }
  }
}

}  // namespace

void fill_depthwise_f32(KernelTable& table) { table.depthwise_f32 = depthwise; }

}  // namespace mnn::MNN_ISA
