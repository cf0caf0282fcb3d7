// The int8 register tiles, of bytes and of int16. Sums are exact: of bytes with VNNI always,
// without it for weights whose products fit in int16 by pairs.
#include "libruntime/kernels/isa/byte_dot.h"
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/int8_post.h"

namespace mnn::MNN_ISA {
namespace {

#if defined(MNN_SIMD_GENERIC)
constexpr int kDepthUnroll = 1;
#else
constexpr int kDepthUnroll = 2;
#endif

// How far ahead weights are asked for: those of a panel come from memory once, faster than the CPU
// foresees.
constexpr int64_t kPrefetch = 2048 / 4;

enum class Operands { kBytes, kWords };

#if defined(MNN_SIMD_GENERIC)
// Two of them added; as the x86 instruction, which saturates to int16, unless VNNI is emulated.
MNN_INLINE VI byte_pair(VI x, VI w, int i) {
  const VI sum = byte_product(x, w, i) + byte_product(x, w, i + 1);
  if (MNN_BYTE_DOT) return sum;
  const VI low = sum < -32768 ? splat_int(-32768) : sum;
  return low > 32767 ? splat_int(32767) : low;
}
#endif

// acc + the dot product of the groups in each lane.
template <Operands kOperands>
MNN_INLINE VI dot(VI acc, VI a, VI w) {
  constexpr bool kBytes = kOperands == Operands::kBytes;
#if defined(MNN_SIMD_GENERIC)
  if (kBytes) return acc + byte_pair(a, w, 0) + byte_pair(a, w, 2);
  return acc + ((a << 16) >> 16) * ((w << 16) >> 16) + (a >> 16) * (w >> 16);
#elif MNN_VECTOR_BYTES == 64
  __m512i x = reinterpret_cast<__m512i>(a), y = reinterpret_cast<__m512i>(w);
#if MNN_BYTE_DOT
  if (kBytes) return dot_bytes(acc, a, w);
#endif
  if (kBytes) {
    x = _mm512_maddubs_epi16(x, y);
    y = _mm512_set1_epi16(1);
  }
  return acc + reinterpret_cast<VI>(_mm512_madd_epi16(x, y));
#elif MNN_VECTOR_BYTES == 32
  __m256i x = reinterpret_cast<__m256i>(a), y = reinterpret_cast<__m256i>(w);
  if (kBytes) {
    x = _mm256_maddubs_epi16(x, y);
    y = _mm256_set1_epi16(1);
  }
  return acc + reinterpret_cast<VI>(_mm256_madd_epi16(x, y));
#else
  __m128i x = reinterpret_cast<__m128i>(a), y = reinterpret_cast<__m128i>(w);
  if (kBytes) {
    x = _mm_maddubs_epi16(x, y);
    y = _mm_set1_epi16(1);
  }
  return acc + reinterpret_cast<VI>(_mm_madd_epi16(x, y));
#endif
}

// Any epilogue, over the sums of a tile in memory: one copy of it for all tiles.
__attribute__((noinline)) void finish_any(const TileInt8& t, const int32_t* sums, int64_t rows,
                                          int64_t width) {
  const SumBlock block{sums,   rows,        width,    t.n,        t.scale,
                       t.bias, t.y_inverse, t.y_zero, t.residual, t.y};
  finish_block(block, *t.post, [&](int64_t m) { return t.y_offset[m]; });
}

template <Operands kOperands, int kRows, int kVectors>
void tile(const TileInt8& t) {
  VI acc[kRows][kVectors];
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) acc[m][v] = load_int(t.start + v * kLanes);
  if constexpr (MNN_BYTE_DOT && kOperands == Operands::kBytes) {
    if (t.row_start) {
#pragma GCC unroll 16
      for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) acc[m][v] += splat_int(t.row_start[m]);
    }
  }

  const int32_t* w = t.w;
  const uint8_t* const* a = t.a;
  const int64_t depth = t.k * 4;
  for (int64_t tap = 0; tap < t.taps; ++tap, a += t.a_tap_stride) {
    const uint8_t* row[kRows];
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) row[m] = a[m] + t.a_offset;
#pragma GCC unroll kDepthUnroll
    for (int64_t k = 0; k < depth; k += 4, w += kVectors * kLanes) {
      VI b[kVectors];
      __builtin_prefetch(w + kPrefetch);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) b[v] = load_int(w + v * kLanes);
#pragma GCC unroll 16
      for (int m = 0; m < kRows; ++m) {
        const VI x = splat_int(group_at(row[m] + k));
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) acc[m][v] = dot<kOperands>(acc[m][v], x, b[v]);
      }
    }
  }

  if (t.sums) {
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) store_int(t.sums + t.y_offset[m] + v * kLanes, acc[m][v]);
    return;
  }
  if constexpr (kPlainTiles) {
    if (t.post->plain != PlainPost::kNone && t.n == kVectors * kLanes) {
      store_plain<kRows, kVectors>(acc, t, static_cast<uint8_t*>(t.y), t.residual,
                                   [&](int64_t m) { return t.y_offset[m]; });
      return;
    }
  }
  alignas(64) int32_t sums[kRows * kVectors * kLanes];
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) store_int(sums + (m * kVectors + v) * kLanes, acc[m][v]);
  finish_any(t, sums, kRows, kVectors * kLanes);
}

template <Operands kOperands, int kVectors, int kRows>
void fill_rows(Int8Tiles& tiles) {
  tiles.tile[kVectors][kRows] = tile<kOperands, kRows, kVectors>;
  if constexpr (kRows > 1) fill_rows<kOperands, kVectors, kRows - 1>(tiles);
}

template <Operands kOperands, int kVectors, int kRows>
void fill_width(Int8Tiles& tiles) {
  tiles.rows[kVectors] = kRows;
  fill_rows<kOperands, kVectors, kRows>(tiles);
}

template <Operands kOperands>
void fill_tiles(Int8Tiles& tiles) {
#if MNN_VECTOR_BYTES == 64
  tiles.vectors = 4;
  fill_width<kOperands, 4, 6>(tiles);
  fill_width<kOperands, 3, 8>(tiles);
  fill_width<kOperands, 2, 12>(tiles);
  fill_width<kOperands, 1, 12>(tiles);
#else
  tiles.vectors = 2;
  fill_width<kOperands, 4, 2>(tiles);
  fill_width<kOperands, 3, 2>(tiles);
  fill_width<kOperands, 2, 6>(tiles);
  fill_width<kOperands, 1, 8>(tiles);
#endif
}

#if !defined(MNN_ISA_BASE)
void widen(const uint8_t* x, int32_t zero, int16_t* y, int64_t n) {
  typedef int16_t WordsAny __attribute__((vector_size(MNN_VECTOR_BYTES), aligned(1), may_alias));
  const VS z = static_cast<int16_t>(zero) - VS{};
  int64_t i = 0;
  for (; i + kWords <= n; i += kWords) *reinterpret_cast<WordsAny*>(y + i) = load_words(x + i) - z;
  for (; i < n; ++i) y[i] = static_cast<int16_t>(x[i] - zero);
}
#endif

}  // namespace

void fill_gemm_int8(KernelTable& table) {
  table.pairs_saturate = !MNN_BYTE_DOT;
  fill_tiles<Operands::kBytes>(table.bytes_int8);
#if !defined(MNN_ISA_BASE)
  fill_tiles<Operands::kWords>(table.words_int8);
  table.widen_u8 = widen;
#endif
}

}  // namespace mnn::MNN_ISA
