// The transforms of exact integer Winograd convolution, F(2x2, 3x3) and F(4x4, 3x3). Weights are
// scaled so that all of their transform are integers (see kernels/winograd_int8.cc); sums are taken
// modulo 2^32, which the last step undoes because what it is to give fits.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/int8_post.h"
#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {
namespace {

typedef int16_t WordsAny __attribute__((vector_size(MNN_VECTOR_BYTES), aligned(1), may_alias));

// One row or column of the input transform, in place.
MNN_INLINE void input_line(VS (&d)[4]) {
  const VS d0 = d[0] - d[2], d1 = d[1] + d[2], d2 = d[2] - d[1], d3 = d[1] - d[3];
  d[0] = d0, d[1] = d1, d[2] = d2, d[3] = d3;
}

MNN_INLINE void input_line(VS (&d)[6]) {
  const VS c = d[4] - d[2], e = (d[3] - d[1]) * 2;
  const VS a = d[4] - d[2] * 4, b = d[3] - d[1] * 4;
  const VS first = (d[0] - d[2]) * 4 + c, last = d[5] - d[3] - e * 2;
  d[0] = first, d[1] = a + b, d[2] = a - b, d[3] = c + e, d[4] = c - e, d[5] = last;
}

// One row or column of the output transform: y[i] is its true value times 2 (F(2x2)), or times 24,
// 12, 6, 6.
MNN_INLINE void output_line(const VU (&m)[4], VU (&y)[2]) {
  y[0] = m[0] + m[0] + m[1] + m[2];
  y[1] = m[1] - m[2] - m[3] - m[3];
}

MNN_INLINE void output_line(const VU (&m)[6], VU (&y)[4]) {
  const VU s = m[1] + m[2], d = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
  y[0] = (m[0] + s) * 4u + m[0] * 2u + s2;
  y[1] = d * 2u + d2;
  y[2] = s + s2;
  y[3] = d + (d2 + m[5]) * 2u + m[5] * 4u;
}

template <int kIn>
MNN_INLINE void input_channels(const uint8_t* const* pixels, int64_t c, int32_t zero, int16_t* v,
                               int64_t step) {
  VS grid[kIn][kIn];
#pragma GCC unroll 6
  for (int x = 0; x < kIn; ++x) {
    VS d[kIn];
#pragma GCC unroll 6
    for (int y = 0; y < kIn; ++y) d[y] = load_words(pixels[y * kIn + x] + c);
    input_line(d);
#pragma GCC unroll 6
    for (int y = 0; y < kIn; ++y) grid[y][x] = d[y];
  }
  // Every line of the transform has the sum 0 but the second, -6 or 2: so the zero point shows in
  // one frequency only.
  constexpr int kShare = kIn == 6 ? 36 : 4;
  const VS zeros = static_cast<int16_t>(kShare * zero) - VS{};
#pragma GCC unroll 6
  for (int y = 0; y < kIn; ++y) {
    VS d[kIn];
#pragma GCC unroll 6
    for (int x = 0; x < kIn; ++x) d[x] = grid[y][x];
    input_line(d);
    if (y == 1) d[1] -= zeros;
#pragma GCC unroll 6
    for (int x = 0; x < kIn; ++x, v += step) *reinterpret_cast<WordsAny*>(v) = d[x];
  }
}

template <int kIn>
void input(const WinogradInputInt8& t) {
  if (t.channels >= kWords) {
    for (int64_t c = 0; c + kWords <= t.channels; c += kWords)
      input_channels<kIn>(t.pixels, c, t.zero, t.v + c, t.v_frequency);
    if (t.channels % kWords != 0) {
      const int64_t c = t.channels - kWords;
      input_channels<kIn>(t.pixels, c, t.zero, t.v + c, t.v_frequency);
    }
    return;
  }
  // v has room for a whole register.
  uint8_t bytes[kIn * kIn][kWords] = {};
  const uint8_t* pixels[kIn * kIn];
  for (int i = 0; i < kIn * kIn; ++i) {
    __builtin_memcpy(bytes[i], t.pixels[i], static_cast<size_t>(t.channels));
    pixels[i] = bytes[i];
  }
  input_channels<kIn>(pixels, 0, t.zero, t.v, t.v_frequency);
}

// What is left of the scales of output lines y and x.
template <int kOut>
MNN_INLINE VI unscale(VU v, int y, int x) {
  if constexpr (kOut == 2) return to_signed(v) >> 2;
  constexpr int kShifts[] = {3, 2, 1, 1};
  constexpr uint32_t kNinth = 0x38e38e39;  // its product with 9 is 1 modulo 2^32
  return to_signed(v * kNinth) >> (kShifts[y] + kShifts[x]);
}

template <int kIn>
MNN_INLINE void output_channels(const WinogradOutputInt8& t, int64_t c, int32_t* sums) {
  constexpr int kOut = kIn - 2;
  VU grid[kIn][kOut];
  const int32_t* m = t.m + c;
#pragma GCC unroll 6
  for (int y = 0; y < kIn; ++y) {
    VU line[kIn];
#pragma GCC unroll 6
    for (int x = 0; x < kIn; ++x, m += t.m_frequency) line[x] = to_unsigned(load_int(m));
    output_line(line, grid[y]);
  }
#pragma GCC unroll 4
  for (int x = 0; x < kOut; ++x) {
    VU line[kIn], out[kOut];
#pragma GCC unroll 6
    for (int y = 0; y < kIn; ++y) line[y] = grid[y][x];
    output_line(line, out);
#pragma GCC unroll 4
    for (int y = 0; y < kOut; ++y)
      store_int(sums + (y * kOut + x) * kWords, unscale<kOut>(out[y], y, x));
  }
}

// What the epilogue of two registers of channels needs.
struct Channels {
  const float* scale;
  const float* bias;
  const float* y_inverse;
  const int32_t* y_zero;
  const Int8Post* post;
};

// A row of pixels in whole registers with a plain epilogue.
template <int kPixels>
MNN_INLINE void put_row(const Channels& t, const int32_t* sums, uint8_t* y, const void* residual,
                        int64_t step) {
  VI row[kPixels][2];
#pragma GCC unroll 4
  for (int x = 0; x < kPixels; ++x)
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) row[x][v] = load_int(sums + x * kWords + v * kLanes);
  store_plain<kPixels, 2>(row, t, y, residual, [&](int64_t x) { return x * step; });
}

// Two registers of channels at a time, as many as an epilogue stores at once.
template <int kIn>
void output(const WinogradOutputInt8& t) {
  constexpr int kOut = kIn - 2;
  alignas(64) int32_t sums[kOut * kOut * kWords];
  for (int64_t c = 0; c < t.channels; c += kWords) {
    output_channels<kIn>(t, c, sums);
    if (c + kLanes < t.channels) output_channels<kIn>(t, c + kLanes, sums + kLanes);
    const int64_t n = t.channels - c < kWords ? t.channels - c : kWords;
    const Channels channels = {t.scale + c, t.bias + c, t.y_inverse ? t.y_inverse + c : nullptr,
                               t.y_zero ? t.y_zero + c : nullptr, t.post};
    [[maybe_unused]] const bool plain = t.post->plain != PlainPost::kNone && n == kWords;
    for (int64_t y = 0; y < t.rows; ++y) {
      const int64_t at = y * t.y_row_step + c;
      const int32_t* row = sums + y * kOut * kWords;
      void* out = advance(t.y, t.post->output, at);
      const void* residual = t.residual ? advance(t.residual, t.post->residual, at) : nullptr;
      if constexpr (kPlainTiles) {
        if (plain && t.columns == kOut) {
          put_row<kOut>(channels, row, static_cast<uint8_t*>(out), residual, t.y_step);
          continue;
        }
      }
      const SumBlock block{row,        t.columns,          kWords,          n,        t.scale + c,
                           t.bias + c, channels.y_inverse, channels.y_zero, residual, out};
      finish_block(block, *t.post, [&](int64_t x) { return x * t.y_step; });
    }
  }
}

}  // namespace

void fill_winograd_int8(KernelTable& table) {
  table.winograd_input_int8[0] = input<4>;
  table.winograd_input_int8[1] = input<6>;
  table.winograd_output_int8[0] = output<4>;
  table.winograd_output_int8[1] = output<6>;
}

}  // namespace mnn::MNN_ISA
