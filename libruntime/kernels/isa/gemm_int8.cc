// The int8 register tile. Products and sums are exact: with VNNI four (u8, s8) pairs a step,
// without it both operands as int16, two pairs a step, because the byte multiply of older sets
// saturates.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/int8_post.h"
#include "libruntime/kernels/isa/simd.h"

#if defined(__AVX512VNNI__) || defined(MNN_EMULATE_VNNI)
#define MNN_BYTE_DOT 1
#else
#define MNN_BYTE_DOT 0
#endif

namespace mnn::MNN_ISA {
namespace {

#if defined(MNN_SIMD_GENERIC)
constexpr int kDepthUnroll = 1;
#else
constexpr int kDepthUnroll = 2;
#endif

constexpr int kGroup = MNN_BYTE_DOT ? 4 : 2;

// acc + the dot product of the groups in each lane: `a` u8 or s16, `w` s8 or s16.
MNN_INLINE VI dot(VI acc, VI a, VI w) {
#if defined(__AVX512VNNI__)
  // One instruction in asm with the sum in place: from the intrinsic GCC 12 makes register copies
  // and spills.
  asm("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(w));
  return acc;
#elif MNN_BYTE_DOT
  for (int shift = 0; shift < 32; shift += 8)
    acc += to_signed((to_unsigned(a) >> shift) & 255u) * ((w << (24 - shift)) >> 24);
  return acc;
#elif defined(MNN_SIMD_GENERIC)
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

MNN_INLINE int32_t group_at(const uint8_t* p) {
  typedef int32_t Group __attribute__((aligned(1), may_alias));
  return *reinterpret_cast<const Group*>(p);
}

// Any epilogue, over the sums of a tile in memory: one copy of it for all tiles.
__attribute__((noinline)) void finish_any(const TileInt8& t, const int32_t* sums, int64_t rows,
                                          int64_t width) {
  const SumBlock block{sums,   rows,        width,    t.n,        t.scale,
                       t.bias, t.y_inverse, t.y_zero, t.residual, t.y};
  finish_block(block, *t.post, [&](int64_t m) { return t.y_offset[m]; });
}

template <int kRows, int kVectors>
void tile(const TileInt8& t) {
  VI acc[kRows][kVectors];
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) acc[m][v] = load_int(t.start + v * kLanes);

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
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) b[v] = load_int(w + v * kLanes);
#pragma GCC unroll 16
      for (int m = 0; m < kRows; ++m) {
        const VI x = splat_int(group_at(row[m] + k));
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) acc[m][v] = dot(acc[m][v], x, b[v]);
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

template <int kVectors, int kRows>
void fill_rows(KernelTable& table) {
  table.tile_int8[kVectors][kRows] = tile<kRows, kVectors>;
  if constexpr (kRows > 1) fill_rows<kVectors, kRows - 1>(table);
}

template <int kVectors, int kRows>
void fill_width(KernelTable& table) {
  table.rows_int8[kVectors] = kRows;
  fill_rows<kVectors, kRows>(table);
}

void widen(const uint8_t* x, int32_t zero, int16_t* y, int64_t n) {
  typedef int16_t WordsAny __attribute__((vector_size(MNN_VECTOR_BYTES), aligned(1), may_alias));
  const VS z = static_cast<int16_t>(zero) - VS{};
  int64_t i = 0;
  for (; i + kWords <= n; i += kWords) *reinterpret_cast<WordsAny*>(y + i) = load_words(x + i) - z;
  for (; i < n; ++i) y[i] = static_cast<int16_t>(x[i] - zero);
}

}  // namespace

void fill_gemm_int8(KernelTable& table) {
  table.group_int8 = kGroup;
#if MNN_VECTOR_BYTES == 64
  table.vectors_int8 = 4;
  fill_width<4, 6>(table);
  fill_width<3, 8>(table);
  fill_width<2, 12>(table);
  fill_width<1, 12>(table);
#else
  table.vectors_int8 = 2;
  fill_width<4, 2>(table);
  fill_width<3, 2>(table);
  fill_width<2, 6>(table);
  fill_width<1, 8>(table);
#endif
  table.widen_u8 = widen;
}

}  // namespace mnn::MNN_ISA
