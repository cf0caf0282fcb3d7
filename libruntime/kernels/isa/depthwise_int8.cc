// int8 depthwise convolution, 16 channels at a time. Two kernel rows, or two columns of the last
// row, are interleaved, so one multiply-add of int16 pairs does two taps exactly; each column is
// interleaved once and feeds every output of the tile it belongs to.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/int8_post.h"
#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {
namespace {

constexpr int kChannels = 16;                // of a tile
constexpr int kParts = kChannels / kLanes;   // registers they take
constexpr int kWidest = kParts > 2 ? 2 : 4;  // outputs in a tile
constexpr int kTap = 2 * kChannels;          // weights of a pair of taps

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

#if defined(MNN_SIMD_GENERIC) || MNN_VECTOR_BYTES == 16
// Position i of the parts is channel kOrder[i].
constexpr int kOrder[kChannels] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
// The parts with their channels in order.
MNN_INLINE void sort(VI (&)[kParts]) {}
#else
// Unpacking works in halves of a register, so channels are out of order until sort().
constexpr int kOrder[kChannels] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15};
MNN_INLINE void sort(VI (&parts)[kParts]) {
#if MNN_VECTOR_BYTES == 64
  const auto v = reinterpret_cast<__m512i>(parts[0]);
  parts[0] = reinterpret_cast<VI>(_mm512_shuffle_i64x2(v, v, 0xd8));
#else
  const auto a = reinterpret_cast<__m256i>(parts[0]), b = reinterpret_cast<__m256i>(parts[1]);
  parts[0] = reinterpret_cast<VI>(_mm256_permute2x128_si256(a, b, 0x20));
  parts[1] = reinterpret_cast<VI>(_mm256_permute2x128_si256(a, b, 0x31));
#endif
}
#endif

// Channels of pixel `a` in the low halves of the parts, of `b` in the high ones, in kOrder.
MNN_INLINE void pair_up(const int16_t* a, const int16_t* b, VI (&pairs)[kParts]) {
#if defined(MNN_SIMD_GENERIC)
  typedef uint16_t Words __attribute__((vector_size(kLanes * 2)));
  for (int i = 0; i < kParts; ++i) {
    Words x, y;
    __builtin_memcpy(&x, a + i * kLanes, sizeof(x));
    __builtin_memcpy(&y, b + i * kLanes, sizeof(y));
    pairs[i] = __builtin_convertvector(x, VI) | __builtin_convertvector(y, VI) << 16;
  }
#elif MNN_VECTOR_BYTES == 16
  for (int i = 0; i < 2; ++i) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(a + 8 * i));
    const __m128i y = _mm_loadu_si128(reinterpret_cast<const __m128i*>(b + 8 * i));
    pairs[2 * i] = reinterpret_cast<VI>(_mm_unpacklo_epi16(x, y));
    pairs[2 * i + 1] = reinterpret_cast<VI>(_mm_unpackhi_epi16(x, y));
  }
#else
  const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a));
  const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
  const __m256i low = _mm256_unpacklo_epi16(x, y), high = _mm256_unpackhi_epi16(x, y);
#if MNN_VECTOR_BYTES == 64
  pairs[0] = reinterpret_cast<VI>(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
#else
  pairs[0] = reinterpret_cast<VI>(low);
  pairs[1] = reinterpret_cast<VI>(high);
#endif
#endif
}

MNN_INLINE void add_tap(VI (&sums)[kParts], const VI (&in)[kParts], const int16_t* w) {
#pragma GCC unroll 4
  for (int p = 0; p < kParts; ++p) sums[p] = pair_dot(sums[p], in[p], load_int(w + p * kLanes * 2));
}

// Any epilogue, over the sums of a tile in memory: one copy of it for all tiles.
__attribute__((noinline)) void finish_any(const DepthwiseInt8& d, const int32_t* sums,
                                          int64_t outputs, int64_t at) {
  SumBlock block{sums, outputs, kChannels, d.channels, d.scale, d.bias, d.y_inverse, d.y_zero};
  block.y = advance(d.y, d.post->output, at);
  if (d.residual) block.residual = advance(d.residual, d.post->residual, at);
  finish_block(block, *d.post, [&](int64_t i) { return i * d.y_stride; });
}

// Outputs whose window starts at x, the first of them at element `at` of y. kWidth 0: any kernel.
// Pairs of kernel rows; the last of an odd number of rows is taken by pairs of columns, or its
// last column with itself, where the second weight is zero.
template <int kWidth, int kStride, int kOutputs>
MNN_INLINE void tile(const DepthwiseInt8& d, const int16_t* x, int64_t at) {
  VI acc[kOutputs][kParts];
#pragma GCC unroll 4
  for (int i = 0; i < kOutputs; ++i)
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) acc[i][p] = load_int(d.start + p * kLanes);
  const int16_t* w = d.w;
  const int64_t row_step = d.x_row_stride * d.dilation_h;
  if constexpr (kWidth > 0) {
    constexpr int kColumns = (kOutputs - 1) * kStride + kWidth;
    for (int64_t ky = 0; ky + 1 < d.kh; ky += 2, w += kWidth * kTap, x += 2 * row_step) {
#pragma GCC unroll 16
      for (int j = 0; j < kColumns; ++j) {
        VI in[kParts];
        pair_up(x + j * kChannels, x + row_step + j * kChannels, in);
#pragma GCC unroll 8
        for (int k = 0; k < kWidth; ++k) {
          if (j < k || (j - k) % kStride != 0 || (j - k) / kStride >= kOutputs) continue;
          add_tap(acc[(j - k) / kStride], in, w + k * kTap);
        }
      }
    }
    if (d.kh % 2 != 0) {
#pragma GCC unroll 16
      for (int j = 0; j < kColumns; ++j) {
        VI in[kParts];
        pair_up(x + j * kChannels, x + (j + 1 < kColumns ? j + 1 : j) * kChannels, in);
#pragma GCC unroll 8
        for (int k = 0; k < kWidth; k += 2) {
          if (j < k || (j - k) % kStride != 0 || (j - k) / kStride >= kOutputs) continue;
          add_tap(acc[(j - k) / kStride], in, w + k / 2 * kTap);
        }
      }
    }
  } else {
    const int64_t step = d.stride_w * kChannels, next = d.dilation_w * kChannels;
    for (int64_t ky = 0; ky + 1 < d.kh; ky += 2, x += 2 * row_step)
      for (int64_t k = 0; k < d.kw; ++k, w += kTap)
#pragma GCC unroll 4
        for (int i = 0; i < kOutputs; ++i) {
          VI in[kParts];
          const int16_t* pixel = x + i * step + k * next;
          pair_up(pixel, pixel + row_step, in);
          add_tap(acc[i], in, w);
        }
    if (d.kh % 2 != 0)
      for (int64_t k = 0; k < d.kw; k += 2, w += kTap)
#pragma GCC unroll 4
        for (int i = 0; i < kOutputs; ++i) {
          VI in[kParts];
          const int16_t* pixel = x + i * step + k * next;
          pair_up(pixel, k + 1 < d.kw ? pixel + next : pixel, in);
          add_tap(acc[i], in, w);
        }
  }

#pragma GCC unroll 4
  for (int i = 0; i < kOutputs; ++i) sort(acc[i]);
  if constexpr (kPlainTiles) {
    if (d.post->plain != PlainPost::kNone && d.channels == kChannels) {
      // The residual of a plain epilogue is bytes.
      const void* residual = d.residual ? static_cast<const uint8_t*>(d.residual) + at : nullptr;
      store_plain<kOutputs, kParts>(acc, d, static_cast<uint8_t*>(d.y) + at, residual,
                                    [&](int64_t i) { return i * d.y_stride; });
      return;
    }
  }
  alignas(64) int32_t sums[kOutputs * kChannels];
#pragma GCC unroll 4
  for (int i = 0; i < kOutputs; ++i)
#pragma GCC unroll 4
    for (int p = 0; p < kParts; ++p) store_int(sums + i * kChannels + p * kLanes, acc[i][p]);
  finish_any(d, sums, kOutputs, at);
}

template <int kWidth, int kStride, int kOutputs>
MNN_INLINE void rest(const DepthwiseInt8& d, const int16_t* x, int64_t at, int64_t outputs) {
  if constexpr (kOutputs > 0) {
    if (outputs == kOutputs) {
      tile<kWidth, kStride, kOutputs>(d, x, at);
    } else {
      rest<kWidth, kStride, kOutputs - 1>(d, x, at, outputs);
    }
  }
}

template <int kWidth, int kStride>
void rows(const DepthwiseInt8& d) {
  const int64_t stride = kWidth > 0 ? kStride : d.stride_w;
  for (int64_t oy = 0; oy < d.rows; ++oy) {
    const int16_t* x = d.x + oy * d.stride_h * d.x_row_stride;
    int64_t at = oy * d.y_row_stride, ox = 0;
    for (; ox + kWidest <= d.ow; ox += kWidest) {
      tile<kWidth, kStride, kWidest>(d, x, at);
      x += kWidest * stride * kChannels;
      at += kWidest * d.y_stride;
    }
    rest<kWidth, kStride, kWidest - 1>(d, x, at, d.ow - ox);
  }
}

void depthwise(const DepthwiseInt8& d) {
  const bool close = d.dilation_w == 1;
  if (close && d.kw == 3 && d.stride_w == 1) return rows<3, 1>(d);
  if (close && d.kw == 3 && d.stride_w == 2) return rows<3, 2>(d);
  if (close && d.kw == 5 && d.stride_w == 1) return rows<5, 1>(d);
  if (close && d.kw == 5 && d.stride_w == 2) return rows<5, 2>(d);
  rows<0, 0>(d);
}

MNN_INLINE void widen16(const uint8_t* x, int16_t* y) {
#if defined(MNN_SIMD_GENERIC)
  for (int i = 0; i < kChannels; ++i) y[i] = x[i];
#else
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x));
  auto* out = reinterpret_cast<__m128i*>(y);
#if MNN_VECTOR_BYTES == 16
  _mm_storeu_si128(out, _mm_cvtepu8_epi16(bytes));
  _mm_storeu_si128(out + 1, _mm_unpackhi_epi8(bytes, _mm_setzero_si128()));
#else
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_cvtepu8_epi16(bytes));
#endif
#endif
}

void widen_pixels(const uint8_t* x, int64_t pixels, int64_t stride, int64_t channels, int16_t* y,
                  int64_t block_stride) {
  for (int64_t c = 0; c < channels; c += kChannels, x += kChannels, y += block_stride) {
    const int64_t n = channels - c;
    if (n >= kChannels) {
      for (int64_t i = 0; i < pixels; ++i) widen16(x + i * stride, y + i * kChannels);
      continue;
    }
    for (int64_t i = 0; i < pixels; ++i) {
      uint8_t bytes[kChannels] = {};
      __builtin_memcpy(bytes, x + i * stride, static_cast<size_t>(n));
      widen16(bytes, y + i * kChannels);
    }
  }
}

}  // namespace

void fill_depthwise_int8(KernelTable& table) {
  table.depthwise_int8 = depthwise;
  table.widen_pixels = widen_pixels;
  for (int i = 0; i < kChannels; ++i) table.depthwise_int8_order[i] = kOrder[i];
}

}  // namespace mnn::MNN_ISA
