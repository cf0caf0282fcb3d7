// fp32 depthwise convolution, one output row at a time. A tile is one register of channels by up to
// eight outputs along x: each input column is loaded once per kernel row and feeds every output it
// belongs to. Channels go in cache lines, so the registers of one line share what was fetched.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {
namespace {

#if MNN_VECTOR_BYTES >= 32 && !defined(MNN_SIMD_GENERIC)
constexpr int kWidest = 8;  // outputs in a tile
#else
constexpr int kWidest = 3;
#endif
constexpr int kLineVectors = MNN_VECTOR_BYTES >= 64 ? 1 : 64 / MNN_VECTOR_BYTES;

alignas(64) const float kZeros[kLanes] = {};

// kCareful: columns may lie outside the input, or fewer than kLanes channels are left.
struct Place {
  const float* w;
  int64_t c;  // first channel
  int64_t x;  // first output
};

template <bool kCareful>
MNN_INLINE VF column(const DepthwiseRowF32& d, const float* row, int64_t ix, int64_t c) {
  if constexpr (!kCareful) return load(row + ix * d.x_stride + c);
  const bool inside = ix >= 0 && ix < d.iw;
  if (d.channels - c >= kLanes) return load(inside ? row + ix * d.x_stride + c : kZeros);
  return inside ? load_tail(row + ix * d.x_stride + c, static_cast<int>(d.channels - c)) : VF{};
}

template <int kOutputs, bool kCareful>
MNN_INLINE void finish(const DepthwiseRowF32& d, const Place& at, VF (&acc)[kOutputs]) {
  const VF low = splat(d.low), high = splat(d.high);
#pragma GCC unroll 8
  for (int i = 0; i < kOutputs; ++i) {
    const int64_t offset = (at.x + i) * d.y_stride + at.c;
    if constexpr (kCareful) {
      const int64_t n = d.channels - at.c;
      if (d.residual) acc[i] += load_part(d.residual + offset, n);
      store_part(d.y + offset, vmin(high, vmax(low, acc[i])), n);
    } else {
      if (d.residual) acc[i] += load(d.residual + offset);
      store(d.y + offset, vmin(high, vmax(low, acc[i])));
    }
  }
}

template <int kWidth, int kStride, int kOutputs, bool kCareful>
void tile(const DepthwiseRowF32& d, const Place& at) {
  VF acc[kOutputs];
#pragma GCC unroll 8
  for (int i = 0; i < kOutputs; ++i) acc[i] = load(d.bias + at.c);
  const int64_t ix = at.x * kStride - d.pad;
  for (int64_t r = 0; r < d.rows; ++r) {
    const float* row = d.row[r];
    const float* w = at.w + d.ky[r] * kWidth * kLanes;
    VF tap[kWidth];
#pragma GCC unroll 8
    for (int k = 0; k < kWidth; ++k) tap[k] = load(w + k * kLanes);
#pragma GCC unroll 32
    for (int j = 0; j < (kOutputs - 1) * kStride + kWidth; ++j) {
      const VF in = column<kCareful>(d, row, ix + j, at.c);
#pragma GCC unroll 8
      for (int k = 0; k < kWidth; ++k) {
        if (j >= k && (j - k) % kStride == 0 && (j - k) / kStride < kOutputs)
          acc[(j - k) / kStride] = madd(in, tap[k], acc[(j - k) / kStride]);
      }
    }
  }
  finish<kOutputs, kCareful>(d, at, acc);
}

// Any width, stride and dilation.
template <int kOutputs, bool kCareful>
void any_tile(const DepthwiseRowF32& d, const Place& at) {
  VF acc[kOutputs];
#pragma GCC unroll 8
  for (int i = 0; i < kOutputs; ++i) acc[i] = load(d.bias + at.c);
  for (int64_t r = 0; r < d.rows; ++r) {
    const float* w = at.w + d.ky[r] * d.kw * kLanes;
    int64_t ix = at.x * d.stride - d.pad;
    for (int64_t k = 0; k < d.kw; ++k, w += kLanes, ix += d.dilation) {
      const VF tap = load(w);
#pragma GCC unroll 8
      for (int i = 0; i < kOutputs; ++i)
        acc[i] = madd(column<kCareful>(d, d.row[r], ix + i * d.stride, at.c), tap, acc[i]);
    }
  }
  finish<kOutputs, kCareful>(d, at, acc);
}

using TileFn = void (*)(const DepthwiseRowF32&, const Place&);
struct Tiles {
  TileFn plain[kWidest + 1], careful[kWidest + 1];
};

template <int kWidth, int kStride, int kOutputs>
constexpr void set_tile(Tiles& t) {
  if constexpr (kWidth > 0) {
    t.plain[kOutputs] = tile<kWidth, kStride, kOutputs, false>;
    t.careful[kOutputs] = tile<kWidth, kStride, kOutputs, true>;
  } else {
    t.plain[kOutputs] = any_tile<kOutputs, false>;
    t.careful[kOutputs] = any_tile<kOutputs, true>;
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
                kTilesAny = make_tiles<0, 0>();

const Tiles& choose(const DepthwiseRowF32& d) {
  if (d.dilation == 1 && d.kw == 3 && d.stride == 1) return kTiles3s1;
  if (d.dilation == 1 && d.kw == 3 && d.stride == 2) return kTiles3s2;
  if (d.dilation == 1 && d.kw == 5 && d.stride == 1) return kTiles5s1;
  if (d.dilation == 1 && d.kw == 5 && d.stride == 2) return kTiles5s2;
  return kTilesAny;
}

void row(const DepthwiseRowF32& d) {
  const Tiles& tiles = choose(d);
  const int64_t count = (d.ow + kWidest - 1) / kWidest;
  const int64_t least = d.ow / count, more = d.ow % count;
  const int64_t vectors = (d.channels + kLanes - 1) / kLanes;
  const int64_t reach = (d.kw - 1) * d.dilation;
  for (int64_t line = 0; line < vectors; line += kLineVectors) {
    const int64_t end = line + kLineVectors < vectors ? line + kLineVectors : vectors;
    int64_t x = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t outputs = least + (i < more ? 1 : 0);
      const int64_t first = x * d.stride - d.pad;
      const bool inside = first >= 0 && first + (outputs - 1) * d.stride + reach < d.iw;
      for (int64_t v = line; v < end; ++v) {
        const Place at = {d.w + v * d.kh * d.kw * kLanes, v * kLanes, x};
        const bool plain = inside && (v + 1) * kLanes <= d.channels;
        (plain ? tiles.plain : tiles.careful)[outputs](d, at);
      }
      x += outputs;
    }
  }
}

}  // namespace

void fill_depthwise_f32(KernelTable& table) { table.depthwise_row_f32 = row; }

}  // namespace mnn::MNN_ISA
