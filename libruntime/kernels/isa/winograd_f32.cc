// The transforms of Winograd convolution F(2x2, 3x3) and F(4x4, 3x3), one register of channels at a
// time: interpolation points 0, 1, -1 (, 2, -2) and infinity.
#include "libruntime/kernels/isa/families.h"
#include "libruntime/kernels/isa/simd.h"

namespace mnn::MNN_ISA {
namespace {

// One row or column of the input transform, in place.
MNN_INLINE void input_line(VF (&d)[4]) {
  const VF d0 = d[0] - d[2], d1 = d[1] + d[2], d2 = d[2] - d[1], d3 = d[1] - d[3];
  d[0] = d0, d[1] = d1, d[2] = d2, d[3] = d3;
}

MNN_INLINE void input_line(VF (&d)[6]) {
  const VF four = splat(4.0f), five = splat(5.0f), two = splat(2.0f);
  const VF first = madd(four, d[0], d[4] - five * d[2]);
  const VF last = madd(four, d[1], d[5] - five * d[3]);
  const VF a = d[4] - four * d[2], b = d[3] - four * d[1];
  const VF c = d[4] - d[2], e = two * (d[3] - d[1]);
  d[0] = first, d[1] = a + b, d[2] = a - b, d[3] = c + e, d[4] = c - e, d[5] = last;
}

// One row or column of the output transform.
MNN_INLINE void output_line(const VF (&m)[4], VF (&y)[2]) {
  y[0] = m[0] + m[1] + m[2];
  y[1] = m[1] - m[2] - m[3];
}

MNN_INLINE void output_line(const VF (&m)[6], VF (&y)[4]) {
  const VF s = m[1] + m[2], d = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
  y[0] = m[0] + s + s2;
  y[1] = madd(splat(2.0f), d2, d);
  y[2] = madd(splat(4.0f), s2, s);
  y[3] = madd(splat(8.0f), d2, d) + m[5];
}

template <int kIn, bool kTail>
MNN_INLINE void input_channels(const WinogradInput& t, int64_t c) {
  const int rest = static_cast<int>(t.channels - c);
  VF grid[kIn][kIn];
#pragma GCC unroll 6
  for (int x = 0; x < kIn; ++x) {
    VF d[kIn];
#pragma GCC unroll 6
    for (int y = 0; y < kIn; ++y) {
      const float* pixel = t.pixels[y * kIn + x] + c;
      d[y] = kTail ? load_tail(pixel, rest) : load(pixel);
    }
    input_line(d);
#pragma GCC unroll 6
    for (int y = 0; y < kIn; ++y) grid[y][x] = d[y];
  }
  float* v = t.v + c;
  for (int y = 0; y < kIn; ++y) {
    VF d[kIn];
#pragma GCC unroll 6
    for (int x = 0; x < kIn; ++x) d[x] = grid[y][x];
    input_line(d);
#pragma GCC unroll 6
    for (int x = 0; x < kIn; ++x, v += t.v_frequency) store(v, d[x]);
  }
}

template <int kIn>
void input(const WinogradInput& t) {
  int64_t c = 0;
  for (; c + kLanes <= t.channels; c += kLanes) input_channels<kIn, false>(t, c);
  if (c < t.channels) input_channels<kIn, true>(t, c);
}

template <int kIn>
void output(const WinogradOutput& t) {
  constexpr int kOut = kIn - 2;
  const VF low = splat(t.low), high = splat(t.high);
  for (int64_t c = 0; c < t.channels; c += kLanes) {
    const int64_t n = t.channels - c;
    const VF bias = load(t.bias + c);
    VF grid[kIn][kOut];
    const float* m = t.m + c;
    for (int y = 0; y < kIn; ++y) {
      VF line[kIn];
#pragma GCC unroll 6
      for (int x = 0; x < kIn; ++x, m += t.m_frequency) line[x] = load(m);
      output_line(line, grid[y]);
    }
#pragma GCC unroll 4
    for (int x = 0; x < kOut; ++x) {
      if (x >= t.columns) break;
      VF line[kIn], out[kOut];
#pragma GCC unroll 6
      for (int y = 0; y < kIn; ++y) line[y] = grid[y][x];
      output_line(line, out);
      float* p = t.y + x * t.y_step + c;
      const float* r = t.residual ? t.residual + x * t.y_step + c : nullptr;
#pragma GCC unroll 4
      for (int y = 0; y < kOut; ++y) {
        if (y >= t.rows) break;
        VF value = out[y] + bias;
        if (r) value += load_part(r + y * t.y_row_step, n);
        store_part(p + y * t.y_row_step, vmin(high, vmax(low, value)), n);
      }
    }
  }
}

}  // namespace

void fill_winograd_f32(KernelTable& table) {
  table.winograd_input[0] = input<4>;
  table.winograd_input[1] = input<6>;
  table.winograd_output[0] = output<4>;
  table.winograd_output[1] = output<6>;
}

}  // namespace mnn::MNN_ISA
