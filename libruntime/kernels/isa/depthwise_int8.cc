// int8 depthwise convolution of a block of channels, which is two registers of sums
// wide or one. Two kernel rows, or two columns of the last row, are interleaved as int16, so one
// multiply-add of pairs does two taps exactly; each column is interleaved once and feeds every
// output of the tile it belongs to. Sums go through a small buffer, so that the epilogue runs over
// many pixels with its constants in registers.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/int8_post.h"
#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {
namespace {

#if defined(MNN_SIMD_GENERIC)
constexpr int kWidest = 2;  // outputs in a tile
#else
constexpr int kWidest = 6;
#endif
constexpr int64_t kPixels = 48;  // that go through the epilogue together

// kParts registers of channels. Part i of join(a, b) has channels of pixel `a` in the low halves of
// the lanes and of `b` in the high ones.
#if defined(MNN_SIMD_GENERIC)

template <int kRegisters>
struct Block {
  static constexpr int kParts = kRegisters;
  struct Pixel {
    VI part[kParts];
  };
  static MNN_INLINE Pixel at(const uint8_t* p) {
    typedef uint8_t Bytes __attribute__((vector_size(kLanes)));
    Pixel x;
    for (int i = 0; i < kParts; ++i) {
      Bytes bytes;
      __builtin_memcpy(&bytes, p + i * kLanes, kLanes);
      x.part[i] = __builtin_convertvector(bytes, VI);
    }
    return x;
  }
  static MNN_INLINE VI join(const Pixel& a, const Pixel& b, int i) {
    return a.part[i] | b.part[i] << 16;
  }
};
using Wide = Block<2>;
using Narrow = Block<1>;

constexpr int wide_channel(int i) { return i; }
MNN_INLINE void sort(VI&, VI&) {}

#else

struct Wide {
  static constexpr int kParts = 2;
  using Pixel = VS;
  static MNN_INLINE Pixel at(const uint8_t* p) { return load_words(p); }
  static MNN_INLINE VI join(Pixel a, Pixel b, int i) {
#if MNN_VECTOR_BYTES == 64
    const auto x = reinterpret_cast<__m512i>(a), y = reinterpret_cast<__m512i>(b);
    return reinterpret_cast<VI>(i == 0 ? _mm512_unpacklo_epi16(x, y) : _mm512_unpackhi_epi16(x, y));
#elif MNN_VECTOR_BYTES == 32
    const auto x = reinterpret_cast<__m256i>(a), y = reinterpret_cast<__m256i>(b);
    return reinterpret_cast<VI>(i == 0 ? _mm256_unpacklo_epi16(x, y) : _mm256_unpackhi_epi16(x, y));
#else
    const auto x = reinterpret_cast<__m128i>(a), y = reinterpret_cast<__m128i>(b);
    return reinterpret_cast<VI>(i == 0 ? _mm_unpacklo_epi16(x, y) : _mm_unpackhi_epi16(x, y));
#endif
  }
};

struct Narrow {
  static constexpr int kParts = 1;
  using Pixel = __m128i;  // bytes
  static MNN_INLINE Pixel at(const uint8_t* p) {
#if MNN_VECTOR_BYTES == 64
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
#elif MNN_VECTOR_BYTES == 32
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
#else
    int32_t bytes;
    __builtin_memcpy(&bytes, p, sizeof(bytes));
    return _mm_cvtsi32_si128(bytes);
#endif
  }
  static MNN_INLINE VI join(Pixel a, Pixel b, int) {
#if MNN_VECTOR_BYTES == 64
    return reinterpret_cast<VI>(
        _mm512_or_si512(_mm512_cvtepu8_epi32(a), _mm512_slli_epi32(_mm512_cvtepu8_epi32(b), 16)));
#elif MNN_VECTOR_BYTES == 32
    return reinterpret_cast<VI>(_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)));
#else
    return reinterpret_cast<VI>(_mm_cvtepu8_epi16(_mm_unpacklo_epi8(a, b)));
#endif
  }
};

// Unpacking works in pieces of 16 bytes: the channel of a wide block at position i of its sums.
constexpr int wide_channel(int i) {
  const int part = i / kLanes, piece = i % kLanes / 4;
  return piece * 8 + part * 4 + i % 4;
}
// The parts of a wide block with their channels in order.
MNN_INLINE void sort(VI& low, VI& high) {
#if MNN_VECTOR_BYTES == 64
  const auto a = reinterpret_cast<__m512i>(low), b = reinterpret_cast<__m512i>(high);
  low = reinterpret_cast<VI>(
      _mm512_permutex2var_epi64(a, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), b));
  high = reinterpret_cast<VI>(
      _mm512_permutex2var_epi64(a, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), b));
#elif MNN_VECTOR_BYTES == 32
  const auto a = reinterpret_cast<__m256i>(low), b = reinterpret_cast<__m256i>(high);
  low = reinterpret_cast<VI>(_mm256_permute2x128_si256(a, b, 0x20));
  high = reinterpret_cast<VI>(_mm256_permute2x128_si256(a, b, 0x31));
#else
  (void)low, (void)high;
#endif
}

#endif

// acc + the products of int16 pairs with a register of weights at `w`.
MNN_INLINE VI pair_dot(VI acc, VI a, const int16_t* w) {
#if defined(MNN_SIMD_GENERIC)
  const VI b = load_int(w);
  return acc + ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#elif MNN_VECTOR_BYTES == 64
  return acc + reinterpret_cast<VI>(_mm512_madd_epi16(reinterpret_cast<__m512i>(a),
                                                      reinterpret_cast<__m512i>(load_int(w))));
#elif MNN_VECTOR_BYTES == 32
  // In asm with the weights in memory: otherwise GCC 12 keeps them in registers and spills sums, or
  // makes all products of an output first.
  VI product;
  asm("vpmaddwd %2, %1, %0" : "=x"(product) : "x"(a), "m"(*reinterpret_cast<const VIAny*>(w)));
  acc += product;
  asm("" : "+x"(acc));
  return acc;
#else
  acc += reinterpret_cast<VI>(
      _mm_madd_epi16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(load_int(w))));
  asm("" : "+x"(acc));
  return acc;
#endif
}

// The input rows under the kernel rows that are inside, and the weights of those.
struct Window {
  const uint8_t* const* rows;
  int64_t count, row_step;  // every row_step-th one
  int64_t x_stride;
  const int16_t* pairs;  // from the first row on
  const int16_t* last;   // of the last row alone
  const int32_t* start;
  int64_t kw, step, next;  // bytes from one output to the next, from one tap to the next
};

// Outputs whose window starts at byte `at` of the rows. kWidth 0: any kernel.
template <typename B, int kWidth, int kStride, int kOutputs>
MNN_INLINE void tile(const Window& t, int64_t at, int32_t* sums) {
  constexpr int kChannels = B::kParts * kLanes, kTap = 2 * kChannels;
  using Pixel = typename B::Pixel;
  VI acc[kOutputs][B::kParts];
#pragma GCC unroll 8
  for (int i = 0; i < kOutputs; ++i)
#pragma GCC unroll 2
    for (int p = 0; p < B::kParts; ++p) acc[i][p] = load_int(t.start + p * kLanes);
  const auto add = [](VI(&sum)[B::kParts], const Pixel& a, const Pixel& b, const int16_t* w)
      __attribute__((always_inline)) {
#pragma GCC unroll 2
    for (int p = 0; p < B::kParts; ++p)
      sum[p] = pair_dot(sum[p], B::join(a, b, p), w + p * kLanes * 2);
  };
  const int16_t* w = t.pairs;
  int64_t r = 0;
  if constexpr (kWidth > 0) {
    constexpr int kColumns = (kOutputs - 1) * kStride + kWidth;
    // Column j of the tile is column j - i * kStride of output i.
    const auto meets = [](int j, int i, int step) {
      const int k = j - i * kStride;
      return k >= 0 && k < kWidth && k % step == 0;
    };
    for (; r + 1 < t.count; r += 2, w += 2 * kWidth * kTap) {
      const uint8_t* x = t.rows[r * t.row_step] + at;
      const uint8_t* below = t.rows[(r + 1) * t.row_step] + at;
#pragma GCC unroll 32
      for (int j = 0; j < kColumns; ++j) {
        const Pixel a = B::at(x + j * t.x_stride), b = B::at(below + j * t.x_stride);
#pragma GCC unroll 2
        for (int p = 0; p < B::kParts; ++p) {
          const VI in = B::join(a, b, p);
#pragma GCC unroll 8
          for (int i = 0; i < kOutputs; ++i)
            if (meets(j, i, 1))
              acc[i][p] = pair_dot(acc[i][p], in, w + (j - i * kStride) * kTap + p * kLanes * 2);
        }
      }
    }
    if (r < t.count) {
      const uint8_t* x = t.rows[r * t.row_step] + at;
      Pixel a = B::at(x);
#pragma GCC unroll 32
      for (int j = 0; j < kColumns; ++j) {
        // The last weight of a row of odd width has none beside it.
        const Pixel b = j + 1 < kColumns ? B::at(x + (j + 1) * t.x_stride) : a;
#pragma GCC unroll 2
        for (int p = 0; p < B::kParts; ++p) {
          const VI in = B::join(a, b, p);
#pragma GCC unroll 8
          for (int i = 0; i < kOutputs; ++i)
            if (meets(j, i, 2))
              acc[i][p] =
                  pair_dot(acc[i][p], in, t.last + (j - i * kStride) / 2 * kTap + p * kLanes * 2);
        }
        a = b;
      }
    }
  } else {
    for (; r + 1 < t.count; r += 2, w += t.kw * kTap) {
      const uint8_t* x = t.rows[r * t.row_step] + at;
      const uint8_t* below = t.rows[(r + 1) * t.row_step] + at;
      for (int64_t k = 0; k < t.kw; ++k, w += kTap, x += t.next, below += t.next)
#pragma GCC unroll 8
        for (int i = 0; i < kOutputs; ++i)
          add(acc[i], B::at(x + i * t.step), B::at(below + i * t.step), w);
    }
    if (r < t.count) {
      const uint8_t* x = t.rows[r * t.row_step] + at;
      w = t.last;
      for (int64_t k = 0; k < t.kw; k += 2, w += kTap, x += 2 * t.next) {
        const int64_t beside = k + 1 < t.kw ? t.next : 0;
#pragma GCC unroll 8
        for (int i = 0; i < kOutputs; ++i)
          add(acc[i], B::at(x + i * t.step), B::at(x + i * t.step + beside), w);
      }
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kOutputs; ++i)
#pragma GCC unroll 2
    for (int p = 0; p < B::kParts; ++p) store_int(sums + i * kChannels + p * kLanes, acc[i][p]);
}

// One tile of `outputs`, at most kOutputs.
template <typename B, int kWidth, int kStride, int kOutputs>
MNN_INLINE void some(const Window& t, int64_t at, int64_t outputs, int32_t* sums) {
  if constexpr (kOutputs > 1) {
    if (outputs < kOutputs) return some<B, kWidth, kStride, kOutputs - 1>(t, at, outputs, sums);
  }
  tile<B, kWidth, kStride, kOutputs>(t, at, sums);
}

// Pixels from byte `at` on, in tiles of nearly equal size.
template <typename B, int kWidth, int kStride>
void run_tiles(const Window& t, int64_t at, int64_t pixels, int32_t* sums) {
  const int64_t count = (pixels + kWidest - 1) / kWidest;
  const int64_t least = pixels / count, more = pixels % count;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t outputs = least + (i < more ? 1 : 0);
    some<B, kWidth, kStride, kWidest>(t, at, outputs, sums);
    at += outputs * t.step;
    sums += outputs * B::kParts * kLanes;
  }
}

using TilesFn = void (*)(const Window&, int64_t at, int64_t pixels, int32_t* sums);

template <typename B>
TilesFn choose_tiles(const DepthwiseInt8& d) {
  if (d.dilation_w != 1 || d.stride_w > 2) return run_tiles<B, 0, 0>;
  if (d.kw == 3) return d.stride_w == 1 ? run_tiles<B, 3, 1> : run_tiles<B, 3, 2>;
  if (d.kw == 5) return d.stride_w == 1 ? run_tiles<B, 5, 1> : run_tiles<B, 5, 2>;
  return run_tiles<B, 0, 0>;
}

// The parts of a wide block as int16, its channels in order.
MNN_INLINE VS pack_words([[maybe_unused]] VI low, [[maybe_unused]] VI high) {
#if defined(MNN_SIMD_GENERIC)
  return VS{};  // no plain tiles
#elif MNN_VECTOR_BYTES == 64
  return reinterpret_cast<VS>(
      _mm512_packs_epi32(reinterpret_cast<__m512i>(low), reinterpret_cast<__m512i>(high)));
#elif MNN_VECTOR_BYTES == 32
  return reinterpret_cast<VS>(
      _mm256_packs_epi32(reinterpret_cast<__m256i>(low), reinterpret_cast<__m256i>(high)));
#else
  return reinterpret_cast<VS>(
      _mm_packs_epi32(reinterpret_cast<__m128i>(low), reinterpret_cast<__m128i>(high)));
#endif
}

// Stores words + zeros as bytes; both steps saturate.
MNN_INLINE void store_words([[maybe_unused]] uint8_t* y, [[maybe_unused]] VS words,
                            [[maybe_unused]] VS zeros) {
#if defined(MNN_SIMD_GENERIC)
#elif MNN_VECTOR_BYTES == 64
  const __m512i x =
      _mm512_adds_epi16(reinterpret_cast<__m512i>(words), reinterpret_cast<__m512i>(zeros));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(y),
                      _mm512_cvtusepi16_epi8(_mm512_max_epi16(x, _mm512_setzero_si512())));
#elif MNN_VECTOR_BYTES == 32
  const __m256i x =
      _mm256_adds_epi16(reinterpret_cast<__m256i>(words), reinterpret_cast<__m256i>(zeros));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(y),
                   _mm_packus_epi16(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)));
#else
  const __m128i x =
      _mm_adds_epi16(reinterpret_cast<__m128i>(words), reinterpret_cast<__m128i>(zeros));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(y), _mm_packus_epi16(x, x));
#endif
}

// Pixels of a whole block to bytes, element `at` of y first. Channels of scale, bias and grids are
// in the order of the sums.
template <typename B, PlainPost kForm, bool kResidual>
void finish_plain(const DepthwiseInt8& d, const int32_t* sums, int64_t pixels, int64_t at) {
  constexpr int kParts = B::kParts;
  const Int8Post& post = *d.post;
  const PlainForm<kForm> form(post);
  const VF r_scale = splat(post.r_scale);
  const VI r_zero = splat_int(post.r_zero);
  VF scale[kParts], bias[kParts], inverse[kParts];
  VI zero[kParts];
#pragma GCC unroll 2
  for (int p = 0; p < kParts; ++p) {
    scale[p] = load(d.scale + p * kLanes);
    bias[p] = load(d.bias + p * kLanes);
    inverse[p] = d.y_inverse ? load(d.y_inverse + p * kLanes) : splat(post.y_inverse);
    zero[p] = d.y_zero ? load_int(d.y_zero + p * kLanes) : splat_int(post.y_zero);
  }
  const VS zeros = pack_words(zero[0], zero[kParts - 1]);
  uint8_t* y = static_cast<uint8_t*>(d.y) + at;
  const uint8_t* residual = kResidual ? static_cast<const uint8_t*>(d.residual) + at : nullptr;
  for (int64_t i = 0; i < pixels; ++i, sums += kParts * kLanes, y += d.y_stride) {
    typename B::Pixel r{};
    if constexpr (kResidual) {
      r = B::at(residual);
      residual += d.y_stride;
    }
    VI q[kParts];
#pragma GCC unroll 2
    for (int p = 0; p < kParts; ++p) {
      VF v = form.before(to_float(load_int(sums + p * kLanes)) * scale[p] + bias[p]);
      if constexpr (kResidual) v += to_float(B::join(r, typename B::Pixel{}, p) - r_zero) * r_scale;
      q[p] = round_to_int(form.after(v) * inverse[p]);
    }
    if constexpr (kParts == 2) {
      store_words(y, pack_words(q[0], q[1]), zeros);
    } else {
      saturate_bytes(y, q[0] + zero[0]);
    }
  }
}

// Pixels of a whole block to floats: a clamp to [low, high], or HardSwish.
template <typename B, bool kSwish>
void finish_floats(const DepthwiseInt8& d, const int32_t* sums, int64_t pixels, int64_t at,
                   const Bounds& bounds) {
  constexpr int kParts = B::kParts;
  const VF low = splat(bounds.low), high = splat(bounds.high);
  VF scale[kParts], bias[kParts];
#pragma GCC unroll 2
  for (int p = 0; p < kParts; ++p) {
    scale[p] = load(d.scale + p * kLanes);
    bias[p] = load(d.bias + p * kLanes);
  }
  float* y = static_cast<float*>(d.y) + at;
  for (int64_t i = 0; i < pixels; ++i, sums += kParts * kLanes, y += d.y_stride) {
    VI sum[2] = {load_int(sums), load_int(sums + (kParts - 1) * kLanes)};
    if constexpr (kParts == 2) sort(sum[0], sum[1]);
#pragma GCC unroll 2
    for (int p = 0; p < kParts; ++p) {
      const VF v = to_float(sum[p]) * scale[p] + bias[p];
      store(y + p * kLanes, kSwish ? HardSwish::at(v, v, v) : vmin(high, vmax(low, v)));
    }
  }
}

// Any epilogue, channels of scale, bias and grids in their own order.
template <typename B>
void finish_any(const DepthwiseInt8& d, int32_t* sums, int64_t pixels, int64_t at) {
  constexpr int kChannels = B::kParts * kLanes;
  const Int8Post& post = *d.post;
  if (d.channels == kChannels && post.output == ByteOrFloat::kFloat &&
      post.residual == ByteOrFloat::kNone && post.before.kind == Activation::kNone) {
    Bounds bounds;
    if (clamp_bounds(post.after, &bounds))
      return finish_floats<B, false>(d, sums, pixels, at, bounds);
    if (post.after.kind == Activation::kHardSwish)
      return finish_floats<B, true>(d, sums, pixels, at, bounds);
  }
  if constexpr (B::kParts == 2) {
    for (int64_t i = 0; i < pixels; ++i) {
      int32_t* pixel = sums + i * kChannels;
      VI low = load_int(pixel), high = load_int(pixel + kLanes);
      sort(low, high);
      store_int(pixel, low);
      store_int(pixel + kLanes, high);
    }
  }
  SumBlock block{sums, pixels, kChannels, d.channels, d.scale, d.bias, d.y_inverse, d.y_zero};
  block.y = advance(d.y, d.post->output, at);
  if (d.residual) block.residual = advance(d.residual, d.post->residual, at);
  finish_block(block, *d.post, [&](int64_t i) { return i * d.y_stride; });
}

template <typename B>
void finish(const DepthwiseInt8& d, int32_t* sums, int64_t pixels, int64_t at) {
  if constexpr (kPlainTiles) {
    if (d.channels == B::kParts * kLanes) {
      if (d.post->plain != PlainPost::kNone) {
        with_plain_form(d.post->plain, d.residual != nullptr, [&](auto choice) {
          finish_plain<B, choice.form, choice.residual>(d, sums, pixels, at);
        });
        return;
      }
    }
  }
  finish_any<B>(d, sums, pixels, at);
}

template <typename B>
void rows(const DepthwiseInt8& d) {
  constexpr int kChannels = B::kParts * kLanes, kTap = 2 * kChannels;
  alignas(64) int32_t sums[kPixels * kChannels], start[kChannels];
  Window t;
  t.row_step = d.dilation_h;
  t.x_stride = d.x_stride;
  t.start = start;
  t.kw = d.kw;
  t.step = d.stride_w * d.x_stride;
  t.next = d.dilation_w * d.x_stride;
  t.count = -1;
  const TilesFn tiles = choose_tiles<B>(d);
  int64_t filled = 0, done = 0, first = 0;  // pixels in `sums`, and before them; kernel row
  for (int64_t oy = 0; oy < d.rows; ++oy) {
    const int64_t top = oy * d.stride_h;
    int64_t k = 0, count = 0;
    while (k < d.kh && top + k * d.dilation_h < d.x_begin) ++k;
    while (k + count < d.kh && top + (k + count) * d.dilation_h < d.x_end) ++count;
    if (k != first || count != t.count) {
      first = k;
      t.count = count;
      t.pairs = d.w + first * d.kw * kTap;
      const int64_t last = count > 0 ? first + count - 1 : 0;
      t.last = d.w + ((d.kh - 1) * d.kw + last * ((d.kw + 1) / 2)) * kTap;
      const int32_t* before = d.start + first * kChannels;
      for (int i = 0; i < kChannels; i += kLanes)
        store_int(start + i, load_int(before + count * kChannels + i) - load_int(before + i));
    }
    t.rows = d.x + top + first * d.dilation_h;
    for (int64_t ox = 0; ox < d.ow;) {
      // A row that fits is not cut.
      const int64_t left = d.ow - ox;
      if (filled == kPixels || (left <= kPixels && filled + left > kPixels)) {
        finish<B>(d, sums, filled, done * d.y_stride);
        done += filled;
        filled = 0;
      }
      const int64_t pixels = left < kPixels - filled ? left : kPixels - filled;
      tiles(t, d.x_offset + ox * t.step, pixels, sums + filled * kChannels);
      filled += pixels;
      ox += pixels;
    }
  }
  finish<B>(d, sums, filled, done * d.y_stride);
}

void depthwise(const DepthwiseInt8& d) { return d.wide ? rows<Wide>(d) : rows<Narrow>(d); }

typedef int64_t Half __attribute__((vector_size(16), aligned(1), may_alias));
typedef int64_t Quarter __attribute__((aligned(1), may_alias));

// kHalves * 16 bytes, and `rest` more; the last ones may overlap those before them.
template <int kHalves>
void copy_lines(const uint8_t* x, int64_t pixels, int64_t stride, int64_t rest, uint8_t* y,
                int64_t y_stride) {
  const int64_t last = kHalves * 16 + rest - 16;
  for (int64_t i = 0; i < pixels; ++i, x += stride, y += y_stride) {
#pragma GCC unroll 4
    for (int64_t j = 0; j < kHalves; ++j)
      *reinterpret_cast<Half*>(y + 16 * j) = *reinterpret_cast<const Half*>(x + 16 * j);
    if (rest > 0) *reinterpret_cast<Half*>(y + last) = *reinterpret_cast<const Half*>(x + last);
  }
}

void copy_pixels(const uint8_t* x, int64_t pixels, int64_t stride, int64_t channels, uint8_t* y,
                 int64_t y_stride) {
  const int64_t rest = channels % 16;
  switch (channels / 16) {
    case 4: return copy_lines<4>(x, pixels, stride, rest, y, y_stride);
    case 3: return copy_lines<3>(x, pixels, stride, rest, y, y_stride);
    case 2: return copy_lines<2>(x, pixels, stride, rest, y, y_stride);
    case 1: return copy_lines<1>(x, pixels, stride, rest, y, y_stride);
    default: break;
  }
  for (int64_t i = 0; i < pixels; ++i, x += stride, y += y_stride) {
    if (channels >= 8) {
      *reinterpret_cast<Quarter*>(y) = *reinterpret_cast<const Quarter*>(x);
      *reinterpret_cast<Quarter*>(y + channels - 8) =
          *reinterpret_cast<const Quarter*>(x + channels - 8);
    } else {
      for (int64_t j = 0; j < channels; ++j) y[j] = x[j];
    }
  }
}

}  // namespace

void fill_depthwise_int8(KernelTable& table) {
  table.depthwise_int8 = depthwise;
  table.copy_pixels = copy_pixels;
  for (int i = 0; i < 2 * kLanes; ++i)
    table.depthwise_int8_order[i] = static_cast<uint8_t>(wide_channel(i));
  table.depthwise_int8_plain = kPlainTiles;
}

}  // namespace mnn::MNN_ISA
