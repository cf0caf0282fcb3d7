// int8 depthwise convolution. Bytes of two kernel rows are interleaved
// and widened to pairs of int16, so one multiply-add of pairs does two taps exactly; each column is
// prepared once per pair of rows and feeds every output it belongs to.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/int8_post.h"
#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {
namespace {

constexpr int kChannels = 16;                // of a tile
constexpr int kParts = kChannels / kLanes;   // registers they take
constexpr int kWidest = kParts > 2 ? 2 : 4;  // outputs in a tile
constexpr int kLineBlocks = 64 / kChannels;  // tiles sharing a cache line

MNN_INLINE VI pair_dot(VI acc, VI a, VI w) {
#if defined(MNN_SIMD_GENERIC)
  return acc + ((a << 16) >> 16) * ((w << 16) >> 16) + (a >> 16) * (w >> 16);
#elif MNN_VECTOR_BYTES == 64
  return acc + reinterpret_cast<VI>(
                   _mm512_madd_epi16(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(w)));
#elif MNN_VECTOR_BYTES == 32
  return acc + reinterpret_cast<VI>(
                   _mm256_madd_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(w)));
#else
  return acc + reinterpret_cast<VI>(
                   _mm_madd_epi16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(w)));
#endif
}

// Lane c of the parts: first[c] in the low half, second[c] in the high one.
MNN_INLINE void load_pairs(const uint8_t* first, const uint8_t* second, VI (&pairs)[kParts]) {
#if defined(MNN_SIMD_GENERIC)
  typedef uint8_t Bytes __attribute__((vector_size(kLanes)));
  for (int p = 0; p < kParts; ++p) {
    Bytes a, b;
    __builtin_memcpy(&a, first + p * kLanes, kLanes);
    __builtin_memcpy(&b, second + p * kLanes, kLanes);
    pairs[p] = __builtin_convertvector(a, VI) | __builtin_convertvector(b, VI) << 16;
  }
#else
  const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(first));
  const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(second));
  const __m128i lo = _mm_unpacklo_epi8(a, b), hi = _mm_unpackhi_epi8(a, b);
#if MNN_VECTOR_BYTES == 64
  pairs[0] = reinterpret_cast<VI>(_mm512_cvtepu8_epi16(_mm256_set_m128i(hi, lo)));
#elif MNN_VECTOR_BYTES == 32
  pairs[0] = reinterpret_cast<VI>(_mm256_cvtepu8_epi16(lo));
  pairs[1] = reinterpret_cast<VI>(_mm256_cvtepu8_epi16(hi));
#else
  pairs[0] = reinterpret_cast<VI>(_mm_cvtepu8_epi16(lo));
  pairs[1] = reinterpret_cast<VI>(_mm_unpackhi_epi8(lo, _mm_setzero_si128()));
  pairs[2] = reinterpret_cast<VI>(_mm_cvtepu8_epi16(hi));
  pairs[3] = reinterpret_cast<VI>(_mm_unpackhi_epi8(hi, _mm_setzero_si128()));
#endif
#endif
}

// What one tile of 16 channels needs.
struct Tile {
  const uint8_t* x;              // kernel row 0 (which may lie outside), first column of the tile
  int64_t ky_begin, ky_end, kh;  // kernel rows [ky_begin, ky_end) are inside the input
  int64_t row_step, column;      // bytes from row to row, column to column
  int64_t left, right;           // columns [left, right) of the tile are inside
  int64_t width, stride, dilation;  // of the kernel along x, for the general tile
  const int16_t* w;
  const uint8_t* pads;
  const int32_t* start;
  const float* scale;
  const float* bias;
  const float* y_inverse;
  const int32_t* y_zero;
  void* y;
  const void* residual;
  int64_t y_step;
  int64_t channels;
  const Int8Post* post;
};

// A kernel row: outside the input all its columns are the pads.
struct Row {
  const uint8_t* x;
  int64_t column;
};
MNN_INLINE Row row_at(const Tile& t, int64_t ky) {
  if (ky >= t.ky_begin && ky < t.ky_end) return {t.x + ky * t.row_step, t.column};
  return {t.pads, 0};
}

// Without a branch: which columns are outside changes from tile to tile.
MNN_INLINE const uint8_t* inside_or_pads(const Tile& t, const uint8_t* pixel, int64_t j) {
  const auto outside = static_cast<uintptr_t>(j < t.left) | static_cast<uintptr_t>(j >= t.right);
  const auto inner = reinterpret_cast<uintptr_t>(pixel);
  const auto pads = reinterpret_cast<uintptr_t>(t.pads);
  return reinterpret_cast<const uint8_t*>(inner ^ ((inner ^ pads) & (0 - outside)));
}

// kCareful: columns may lie outside the input, or fewer than 16 channels are left.
template <bool kCareful>
MNN_INLINE void load_column(const Tile& t, const Row& a, const Row& b, int64_t j,
                            VI (&pairs)[kParts]) {
  const uint8_t* first = a.x + j * a.column;
  const uint8_t* second = b.x + j * b.column;
  if constexpr (kCareful) {
    first = inside_or_pads(t, first, j);
    second = inside_or_pads(t, second, j);
    if (t.channels < kChannels) {
      uint8_t bytes[2][kChannels] = {};
      __builtin_memcpy(bytes[0], first, static_cast<size_t>(t.channels));
      __builtin_memcpy(bytes[1], second, static_cast<size_t>(t.channels));
      load_pairs(bytes[0], bytes[1], pairs);
      return;
    }
  }
  load_pairs(first, second, pairs);
}

// Any epilogue, over the sums of a tile in memory: one copy of it for all tiles.
__attribute__((noinline)) void finish_any(const Tile& t, const int32_t* sums, int64_t outputs) {
  const int64_t n = t.channels < kChannels ? t.channels : kChannels;
  const SumBlock block{sums,   outputs,     kChannels, n,          t.scale,
                       t.bias, t.y_inverse, t.y_zero,  t.residual, t.y};
  finish_block(block, *t.post, [&](int64_t i) { return i * t.y_step; });
}

template <int kOutputs>
MNN_INLINE void finish(const Tile& t, VI (&acc)[kOutputs][kParts]) {
  if (t.post->clamp_only && t.channels >= kChannels) {
    auto* y = static_cast<uint8_t*>(t.y);
    const Clamp clamp(*t.post);
    const int64_t step = t.y_step;
    VF scale[kParts], bias[kParts];
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) {
      scale[p] = load(t.scale + p * kLanes);
      bias[p] = load(t.bias + p * kLanes);
    }
#pragma GCC unroll 4
    for (int i = 0; i < kOutputs; ++i, y += step) {
      if constexpr (kParts == 1) {
        store_bytes(y, clamp(acc[i][0], scale[0], bias[0]));
      } else {
#pragma GCC unroll 4
        for (int p = 0; p < kParts; p += 2)
          store_bytes(y + p * kLanes, clamp(acc[i][p], scale[p], bias[p]),
                      clamp(acc[i][p + 1], scale[p + 1], bias[p + 1]));
      }
    }
    return;
  }
  alignas(64) int32_t sums[kOutputs * kChannels];
#pragma GCC unroll 4
  for (int i = 0; i < kOutputs; ++i)
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) store_int(sums + i * kChannels + p * kLanes, acc[i][p]);
  finish_any(t, sums, kOutputs);
}

template <int kOutputs>
MNN_INLINE void begin(const Tile& t, VI (&acc)[kOutputs][kParts]) {
#pragma GCC unroll 4
  for (int i = 0; i < kOutputs; ++i)
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) acc[i][p] = load_int(t.start + p * kLanes);
}

template <int kWidth, int kStride, int kOutputs, bool kCareful>
void tile(const Tile& t) {
  VI acc[kOutputs][kParts];
  begin<kOutputs>(t, acc);
  const int64_t pairs = (t.kh + 1) / 2;
  const int16_t* w = t.w;
  for (int64_t pair = 0; pair < pairs; ++pair, w += kChannels * 2) {
    const Row a = row_at(t, 2 * pair);
    const Row b = 2 * pair + 1 < t.kh ? row_at(t, 2 * pair + 1) : a;  // or its weights are zero
#pragma GCC unroll 16
    for (int j = 0; j < (kOutputs - 1) * kStride + kWidth; ++j) {
      VI in[kParts];
      load_column<kCareful>(t, a, b, j, in);
#pragma GCC unroll 8
      for (int k = 0; k < kWidth; ++k) {
        if (j < k || (j - k) % kStride != 0 || (j - k) / kStride >= kOutputs) continue;
        const int16_t* tap = w + k * pairs * kChannels * 2;
#pragma GCC unroll 4
        for (int p = 0; p < kParts; ++p) {
          VI& sum = acc[(j - k) / kStride][p];
          sum = pair_dot(sum, in[p], load_int(tap + p * kLanes * 2));
        }
      }
    }
  }
  finish<kOutputs>(t, acc);
}

template <int kOutputs, bool kCareful>
void any_tile(const Tile& t) {
  VI acc[kOutputs][kParts];
  begin<kOutputs>(t, acc);
  const int64_t pairs = (t.kh + 1) / 2;
  const int16_t* w = t.w;
  for (int64_t k = 0; k < t.width; ++k)
    for (int64_t pair = 0; pair < pairs; ++pair, w += kChannels * 2) {
      const Row a = row_at(t, 2 * pair);
      const Row b = 2 * pair + 1 < t.kh ? row_at(t, 2 * pair + 1) : a;
#pragma GCC unroll 4
      for (int i = 0; i < kOutputs; ++i) {
        VI in[kParts];
        load_column<kCareful>(t, a, b, i * t.stride + k * t.dilation, in);
#pragma GCC unroll 4
        for (int p = 0; p < kParts; ++p)
          acc[i][p] = pair_dot(acc[i][p], in[p], load_int(w + p * kLanes * 2));
      }
    }
  finish<kOutputs>(t, acc);
}

using TileFn = void (*)(const Tile&);
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

const Tiles& choose(const DepthwiseInt8& d) {
  if (d.dilation_w == 1 && d.kw == 3 && d.stride_w == 1) return kTiles3s1;
  if (d.dilation_w == 1 && d.kw == 3 && d.stride_w == 2) return kTiles3s2;
  if (d.dilation_w == 1 && d.kw == 5 && d.stride_w == 1) return kTiles5s1;
  if (d.dilation_w == 1 && d.kw == 5 && d.stride_w == 2) return kTiles5s2;
  return kTilesAny;
}

// All rows of a cache line of channels before the next line.
void depthwise(const DepthwiseInt8& d) {
  const Tiles& tiles = choose(d);
  const int64_t count = (d.ow + kWidest - 1) / kWidest;
  const int64_t least = d.ow / count, more = d.ow % count;
  const int64_t blocks = (d.channels + kChannels - 1) / kChannels;
  const int64_t block_weights = d.kw * ((d.kh + 1) / 2) * kChannels * 2;
  const int64_t reach = (d.kw - 1) * d.dilation_w;
  Tile t;
  t.kh = d.kh;
  t.row_step = d.dilation_h * d.x_row_stride;
  t.column = d.x_stride;
  t.width = d.kw;
  t.stride = d.stride_w;
  t.dilation = d.dilation_w;
  t.y_step = d.y_stride;
  t.post = d.post;
  for (int64_t line = 0; line < blocks; line += kLineBlocks) {
    const int64_t end = line + kLineBlocks < blocks ? line + kLineBlocks : blocks;
    for (int64_t oy = d.oy_begin; oy < d.oy_end; ++oy) {
      const int64_t iy = oy * d.stride_h - d.pad_top;
      t.ky_begin = 0;
      while (t.ky_begin < d.kh && iy + t.ky_begin * d.dilation_h < d.iy_begin) ++t.ky_begin;
      t.ky_end = d.kh;
      while (t.ky_end > t.ky_begin && iy + (t.ky_end - 1) * d.dilation_h >= d.iy_end) --t.ky_end;
      int64_t x = 0;
      for (int64_t i = 0; i < count; ++i) {
        const int64_t outputs = least + (i < more ? 1 : 0);
        const int64_t ix = x * d.stride_w - d.pad_left;
        t.left = -ix;
        t.right = d.iw - ix;
        const bool inside = ix >= 0 && ix + (outputs - 1) * d.stride_w + reach < d.iw;
        for (int64_t b = line; b < end; ++b) {
          const int64_t c = b * kChannels;
          const int64_t at = (oy - d.oy_begin) * d.y_row_stride + x * d.y_stride + c;
          t.x = d.x + iy * d.x_row_stride + ix * d.x_stride + c;
          t.w = d.w + b * block_weights;
          t.pads = d.pads + c;
          t.start = d.start + c;
          t.scale = d.scale + c;
          t.bias = d.bias + c;
          t.y_inverse = d.y_inverse ? d.y_inverse + c : nullptr;
          t.y_zero = d.y_zero ? d.y_zero + c : nullptr;
          t.y = advance(d.y, d.post->output, at);
          t.residual = d.residual ? advance(d.residual, d.post->residual, at) : nullptr;
          t.channels = d.channels - c;
          const bool plain = inside && t.channels >= kChannels;
          (plain ? tiles.plain : tiles.careful)[outputs](t);
        }
        x += outputs;
      }
    }
  }
}

}  // namespace

void fill_depthwise_int8(KernelTable& table) { table.depthwise_int8 = depthwise; }

}  // namespace mnn::MNN_ISA
