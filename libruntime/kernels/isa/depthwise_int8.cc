// int8 depthwise convolution, one output row at a time. Bytes of two kernel rows are interleaved
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

struct Place {
  const int16_t* w;
  int64_t c;
  int64_t x;
};

// kCareful: columns may lie outside the input, or fewer than kChannels channels are left.
template <bool kCareful>
MNN_INLINE void column(const DepthwiseRowInt8& d, int64_t pair, int64_t ix, int64_t c,
                       VI (&pairs)[kParts]) {
  const uint8_t* first = d.row[2 * pair];
  // Without a second row its weights are zero.
  const uint8_t* second = 2 * pair + 1 < d.kh ? d.row[2 * pair + 1] : first;
  const bool inside = !kCareful || (ix >= 0 && ix < d.iw);
  first = first && inside ? first + ix * d.x_stride + c : d.pads + c;
  second = second && inside ? second + ix * d.x_stride + c : d.pads + c;
  if constexpr (kCareful) {
    const int64_t n = d.channels - c;
    if (n < kChannels) {
      uint8_t bytes[2][kChannels] = {};
      __builtin_memcpy(bytes[0], first, static_cast<size_t>(n));
      __builtin_memcpy(bytes[1], second, static_cast<size_t>(n));
      load_pairs(bytes[0], bytes[1], pairs);
      return;
    }
  }
  load_pairs(first, second, pairs);
}

// Any epilogue, over the sums of a tile in memory: one copy of it for all tiles.
__attribute__((noinline)) void finish_any(const DepthwiseRowInt8& d, const Place& at,
                                          const int32_t* sums, int64_t outputs) {
  const int64_t left = d.channels - at.c;
  const SumBlock block{
      sums,           outputs,       kChannels,  left < kChannels ? left : kChannels,
      d.scale + at.c, d.bias + at.c, d.residual, d.y};
  finish_block(block, *d.post, [&](int64_t i) { return (at.x + i) * d.y_stride + at.c; });
}

template <int kOutputs>
MNN_INLINE void finish(const DepthwiseRowInt8& d, const Place& at, VI (&acc)[kOutputs][kParts]) {
  if (d.post->clamp_only && d.channels - at.c >= kChannels) {
    auto* y = static_cast<uint8_t*>(d.y) + at.x * d.y_stride + at.c;
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) {
      const VF scale = load(d.scale + at.c + p * kLanes), bias = load(d.bias + at.c + p * kLanes);
#pragma GCC unroll 4
      for (int i = 0; i < kOutputs; ++i)
        store_bytes(y + i * d.y_stride + p * kLanes,
                    clamp_to_byte(acc[i][p], scale, bias, *d.post));
    }
    return;
  }
  alignas(64) int32_t sums[kOutputs * kChannels];
#pragma GCC unroll 4
  for (int i = 0; i < kOutputs; ++i)
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) store_int(sums + i * kChannels + p * kLanes, acc[i][p]);
  finish_any(d, at, sums, kOutputs);
}

template <int kOutputs>
MNN_INLINE void begin(const DepthwiseRowInt8& d, const Place& at, VI (&acc)[kOutputs][kParts]) {
#pragma GCC unroll 4
  for (int i = 0; i < kOutputs; ++i)
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) acc[i][p] = load_int(d.start + at.c + p * kLanes);
}

template <int kWidth, int kStride, int kOutputs, bool kCareful>
void tile(const DepthwiseRowInt8& d, const Place& at) {
  VI acc[kOutputs][kParts];
  begin<kOutputs>(d, at, acc);
  const int64_t ix = at.x * kStride - d.pad;
  const int64_t pairs = (d.kh + 1) / 2;
  for (int64_t pair = 0; pair < pairs; ++pair) {
    const int16_t* w = at.w + pair * kChannels * 2;
#pragma GCC unroll 16
    for (int j = 0; j < (kOutputs - 1) * kStride + kWidth; ++j) {
      VI in[kParts];
      column<kCareful>(d, pair, ix + j, at.c, in);
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
  finish<kOutputs>(d, at, acc);
}

template <int kOutputs, bool kCareful>
void any_tile(const DepthwiseRowInt8& d, const Place& at) {
  VI acc[kOutputs][kParts];
  begin<kOutputs>(d, at, acc);
  const int64_t pairs = (d.kh + 1) / 2;
  const int16_t* w = at.w;
  for (int64_t k = 0; k < d.kw; ++k)
    for (int64_t pair = 0; pair < pairs; ++pair, w += kChannels * 2) {
      const int64_t ix = at.x * d.stride - d.pad + k * d.dilation;
#pragma GCC unroll 4
      for (int i = 0; i < kOutputs; ++i) {
        VI in[kParts];
        column<kCareful>(d, pair, ix + i * d.stride, at.c, in);
#pragma GCC unroll 4
        for (int p = 0; p < kParts; ++p)
          acc[i][p] = pair_dot(acc[i][p], in[p], load_int(w + p * kLanes * 2));
      }
    }
  finish<kOutputs>(d, at, acc);
}

using TileFn = void (*)(const DepthwiseRowInt8&, const Place&);
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

const Tiles& choose(const DepthwiseRowInt8& d) {
  if (d.dilation == 1 && d.kw == 3 && d.stride == 1) return kTiles3s1;
  if (d.dilation == 1 && d.kw == 3 && d.stride == 2) return kTiles3s2;
  if (d.dilation == 1 && d.kw == 5 && d.stride == 1) return kTiles5s1;
  if (d.dilation == 1 && d.kw == 5 && d.stride == 2) return kTiles5s2;
  return kTilesAny;
}

void row(const DepthwiseRowInt8& d) {
  const Tiles& tiles = choose(d);
  const int64_t count = (d.ow + kWidest - 1) / kWidest;
  const int64_t least = d.ow / count, more = d.ow % count;
  const int64_t blocks = (d.channels + kChannels - 1) / kChannels;
  const int64_t block_weights = d.kw * ((d.kh + 1) / 2) * kChannels * 2;
  const int64_t reach = (d.kw - 1) * d.dilation;
  for (int64_t line = 0; line < blocks; line += kLineBlocks) {
    const int64_t end = line + kLineBlocks < blocks ? line + kLineBlocks : blocks;
    int64_t x = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t outputs = least + (i < more ? 1 : 0);
      const int64_t first = x * d.stride - d.pad;
      const bool inside = first >= 0 && first + (outputs - 1) * d.stride + reach < d.iw;
      for (int64_t b = line; b < end; ++b) {
        const Place at = {d.w + b * block_weights, b * kChannels, x};
        const bool plain = inside && (b + 1) * kChannels <= d.channels;
        (plain ? tiles.plain : tiles.careful)[outputs](d, at);
      }
      x += outputs;
    }
  }
}

}  // namespace

void fill_depthwise_int8(KernelTable& table) { table.depthwise_row_int8 = row; }

}  // namespace mnn::MNN_ISA
