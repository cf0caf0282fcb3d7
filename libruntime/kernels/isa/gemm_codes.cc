// Rows of s8 times weights in 8 to 2 bits, unpacked in registers. The sums of a part are exact
// integers: of bytes that may be large by halves where products are added by pairs in int16.
#include "libruntime/kernels/isa/byte_dot.h"
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/store_f32.h"

namespace mnn::MNN_ISA {
namespace {

constexpr int64_t kPrefetch = 2048;  // bytes of codes ahead

#if defined(MNN_SIMD_GENERIC)
constexpr int kDepthUnroll = 1;
#else
constexpr int kDepthUnroll = 2;
#endif

#if !MNN_BYTE_DOT && !defined(MNN_SIMD_GENERIC)
#define MNN_PAIRS_OF_BYTES 1
#if MNN_VECTOR_BYTES == 64
MNN_INLINE VI pairs(VI u, VI s) {
  return reinterpret_cast<VI>(
      _mm512_maddubs_epi16(reinterpret_cast<__m512i>(u), reinterpret_cast<__m512i>(s)));
}
MNN_INLINE VI add_pairs(VI words, int16_t factor) {
  return reinterpret_cast<VI>(
      _mm512_madd_epi16(reinterpret_cast<__m512i>(words), _mm512_set1_epi16(factor)));
}
#elif MNN_VECTOR_BYTES == 32
MNN_INLINE VI pairs(VI u, VI s) {
  return reinterpret_cast<VI>(
      _mm256_maddubs_epi16(reinterpret_cast<__m256i>(u), reinterpret_cast<__m256i>(s)));
}
MNN_INLINE VI add_pairs(VI words, int16_t factor) {
  return reinterpret_cast<VI>(
      _mm256_madd_epi16(reinterpret_cast<__m256i>(words), _mm256_set1_epi16(factor)));
}
#else
MNN_INLINE VI pairs(VI u, VI s) {
  return reinterpret_cast<VI>(
      _mm_maddubs_epi16(reinterpret_cast<__m128i>(u), reinterpret_cast<__m128i>(s)));
}
MNN_INLINE VI add_pairs(VI words, int16_t factor) {
  return reinterpret_cast<VI>(
      _mm_madd_epi16(reinterpret_cast<__m128i>(words), _mm_set1_epi16(factor)));
}
#endif
MNN_INLINE VI add_words(VI a, VI b) {
  return reinterpret_cast<VI>(reinterpret_cast<VS>(a) + reinterpret_cast<VS>(b));
}
#else
#define MNN_PAIRS_OF_BYTES 0
#endif

// Blocks whose sums fit in int16: each plane adds 2 * 15 * 127 (pairs of codes: 2 * 3 * 127).
template <CodeKind kKind>
constexpr int64_t kRunBlocks = kKind == kNibbleCodes ? 4 : 8;

// The codes of plane p as bytes.
template <CodeKind kKind>
MNN_INLINE VI plane(VI words, int p) {
  if constexpr (kKind == kNibbleCodes) return (words >> (4 * p)) & 0x0f0f0f0f;
  if constexpr (kKind == kPairCodes) return (words >> (2 * p)) & 0x03030303;
  return words;
}

// sum + codes * x; a sum is what finish_run() takes.
template <CodeKind kKind>
MNN_INLINE VI dot(VI sum, VI codes, VI x) {
#if defined(MNN_SIMD_GENERIC)
  return sum + byte_product(codes, x, 0) + byte_product(codes, x, 1) + byte_product(codes, x, 2) +
         byte_product(codes, x, 3);
#elif MNN_BYTE_DOT
  return dot_bytes(sum, codes, x);
#else
  if constexpr (kKind == kByteCodes) {
    return sum + add_pairs(pairs(codes & 0x0f0f0f0f, x), 1) +
           add_pairs(pairs((codes >> 4) & 0x0f0f0f0f, x), 16);
  }
  return add_words(sum, pairs(codes, x));
#endif
}

template <CodeKind kKind, int kRows, int kVectors>
void tile(const TileCodes& t) {
  constexpr int kPlanes = planes_of(kKind);
  constexpr bool kRuns = MNN_PAIRS_OF_BYTES && kKind != kByteCodes;
  VF total[kRows][kVectors] = {};
  const int8_t* row[kRows];
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) row[m] = t.a + m * t.a_stride;
  const uint8_t* w = t.codes;
  const int64_t step = t.columns * 4;
  int64_t at = 0;
  for (int64_t part = 0, done = 0; part < t.parts; ++part) {
    VI sum[kRows][kVectors];
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v)
        sum[m][v] = splat_int(-t.zero * t.a_sums[m * t.parts + part]);
    const int64_t end = done + t.part_blocks < t.blocks ? done + t.part_blocks : t.blocks;
    while (done < end) {
      int64_t stop = end;
      VI run[kRows][kVectors];
      if constexpr (kRuns) {
        if (done + kRunBlocks<kKind> < end) stop = done + kRunBlocks<kKind>;
#pragma GCC unroll 16
        for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 16
          for (int v = 0; v < kVectors; ++v) run[m][v] = VI{};
      }
      auto& into = [&]() -> VI(&)[kRows][kVectors] {
        if constexpr (kRuns) {
          return run;
        } else {
          return sum;
        }
      }();
#pragma GCC unroll kDepthUnroll
      for (; done < stop; ++done, w += step, at += 4 * kPlanes) {
        VI words[kVectors];
        __builtin_prefetch(w + kPrefetch);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) words[v] = load_int(w + v * kLanes * 4);
#pragma GCC unroll 4
        for (int p = 0; p < kPlanes; ++p) {
          VI codes[kVectors];
#pragma GCC unroll 16
          for (int v = 0; v < kVectors; ++v) codes[v] = plane<kKind>(words[v], p);
#pragma GCC unroll 16
          for (int m = 0; m < kRows; ++m) {
            const VI x = splat_int(group_at(row[m] + at + p * 4));
#pragma GCC unroll 16
            for (int v = 0; v < kVectors; ++v) into[m][v] = dot<kKind>(into[m][v], codes[v], x);
          }
        }
      }
#if MNN_PAIRS_OF_BYTES
      if constexpr (kRuns) {
#pragma GCC unroll 16
        for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 16
          for (int v = 0; v < kVectors; ++v) sum[m][v] += add_pairs(run[m][v], 1);
      }
#endif
    }
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const VF scale = load(t.scale + part * t.columns + v * kLanes);
#pragma GCC unroll 16
      for (int m = 0; m < kRows; ++m) total[m][v] = madd(to_float(sum[m][v]), scale, total[m][v]);
    }
    if (t.shift == nullptr) continue;
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const VF shift = load(t.shift + part * t.columns + v * kLanes);
#pragma GCC unroll 16
      for (int m = 0; m < kRows; ++m) {
        const VF sums = splat(static_cast<float>(-t.a_sums[m * t.parts + part]));
        total[m][v] = madd(sums, shift, total[m][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
    const VF scale = splat(t.a_scale[m]);
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v)
      total[m][v] = madd(total[m][v], scale, load(t.bias + v * kLanes));
  }
  store_clamped<kRows, kVectors>(total, t);
}

template <int kVectors, int kRows>
void fill_width(CodeTiles& tiles) {
  tiles.tile[kByteCodes][kVectors][kRows] = tile<kByteCodes, kRows, kVectors>;
  tiles.tile[kNibbleCodes][kVectors][kRows] = tile<kNibbleCodes, kRows, kVectors>;
  tiles.tile[kPairCodes][kVectors][kRows] = tile<kPairCodes, kRows, kVectors>;
  // Where large bytes are not added by halves, small ones are like them.
  constexpr CodeKind kSmall = MNN_PAIRS_OF_BYTES ? kSmallCodes : kByteCodes;
  tiles.tile[kSmallCodes][kVectors][kRows] = tile<kSmall, kRows, kVectors>;
  if (tiles.rows[kVectors] < kRows) tiles.rows[kVectors] = kRows;
  if constexpr (kRows > 1) fill_width<kVectors, kRows - 1>(tiles);
}

void spread(const uint8_t* codes, int planes, int64_t blocks, int64_t columns, uint8_t* out) {
  const int bits = 8 / planes;
  const VI mask = splat_int(planes == 2 ? 0x0f0f0f0f : 0x03030303);
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t c = 0; c < columns; c += kLanes) {
      const VI words = load_int(codes + (b * columns + c) * 4);
      for (int p = 0; p < planes; ++p)
        store_int(out + ((b * planes + p) * columns + c) * 4, (words >> (p * bits)) & mask);
    }
  }
}

}  // namespace

void fill_gemm_codes(KernelTable& table) {
  CodeTiles& tiles = table.code_tiles;
  tiles = {};
#if MNN_VECTOR_BYTES == 64
  tiles.vectors = 4;
  fill_width<4, 6>(tiles);
  fill_width<2, 6>(tiles);
  fill_width<1, 6>(tiles);
#else
  tiles.vectors = 2;
  fill_width<2, 3>(tiles);
  fill_width<1, 4>(tiles);
#endif
  table.spread_codes = spread;
}

}  // namespace mnn::MNN_ISA
