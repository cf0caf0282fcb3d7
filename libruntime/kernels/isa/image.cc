// Pooling and resizing of channels-last rows.
#include "libruntime/kernels/isa/bytes.h"
#include "libruntime/kernels/isa/simd_math.h"
#include "libruntime/kernels/isa/vector_parts.h"
#include "libruntime/kernels/isa/window_taps.h"

namespace mnn::MNN_ISA {
namespace {

struct Max {
  static MNN_INLINE VF first() { return splat(-__builtin_inff()); }
  static MNN_INLINE VF next(VF acc, VF x) { return vmax(x, acc); }
};
struct Sum {
  static MNN_INLINE VF first() { return VF{}; }
  static MNN_INLINE VF next(VF acc, VF x) { return acc + x; }
};

// What an average divides by.
static MNN_INLINE float divisor(int64_t oy, int64_t ox, const Taps& v, const Taps& h,
                                const PoolRow& p) {
  int64_t count = (v.high - v.low) * (h.high - h.low);
  if (p.count_pads) {
    const Taps all_v = inside(oy * p.stride_h, p.kh, p.dilation_h, p.end_h);
    const Taps all_h = inside(ox * p.stride_w, p.kw, p.dilation_w, p.end_w);
    count = all_v.high * all_h.high;
  }
  return count > 0 ? static_cast<float>(count) : 1.0f;
}

template <typename Op>
static MNN_INLINE void pool_row(const float* x, float* y, int64_t oy, const PoolRow& p,
                                bool average) {
  const int64_t top = oy * p.stride_h - p.pad_top;
  const Taps v = inside(top, p.kh, p.dilation_h, p.ih);
  const int64_t step_y = p.dilation_h * p.iw * p.c, step_x = p.dilation_w * p.c;
  for (int64_t ox = 0; ox < p.ow; ++ox, y += p.c) {
    const int64_t left = ox * p.stride_w - p.pad_left;
    const Taps h = inside(left, p.kw, p.dilation_w, p.iw);
    const float scale = average ? divisor(oy, ox, v, h, p) : 1.0f;
    const float* base =
        x + (top + v.low * p.dilation_h) * p.iw * p.c + (left + h.low * p.dilation_w) * p.c;
    int64_t j = 0;
    for (; j + 2 * kLanes <= p.c; j += 2 * kLanes) {
      VF a = Op::first(), b = a;
      const float* row = base + j;
      for (int64_t ky = v.low; ky < v.high; ++ky, row += step_y) {
        const float* q = row;
        for (int64_t kx = h.low; kx < h.high; ++kx, q += step_x) {
          a = Op::next(a, load(q));
          b = Op::next(b, load(q + kLanes));
        }
      }
      store(y + j, average ? a / splat(scale) : a);
      store(y + j + kLanes, average ? b / splat(scale) : b);
    }
    for (; j < p.c; j += kLanes) {
      VF a = Op::first();
      const float* row = base + j;
      for (int64_t ky = v.low; ky < v.high; ++ky, row += step_y) {
        const float* q = row;
        for (int64_t kx = h.low; kx < h.high; ++kx, q += step_x) {
          a = Op::next(a, load_part(q, p.c - j));
        }
      }
      store_part(y + j, average ? a / splat(scale) : a, p.c - j);
    }
  }
}

void max_pool(const float* x, float* y, int64_t oy, const PoolRow& p) {
  pool_row<Max>(x, y, oy, p, false);
}
void average_pool(const float* x, float* y, int64_t oy, const PoolRow& p) {
  pool_row<Sum>(x, y, oy, p, true);
}

// One pixel, kBytes channels at a time; the last ones overlap those before them.
template <int kBytes>
MNN_INLINE void max_pixel(const uint8_t* base, uint8_t* y, const Taps& v, const Taps& h,
                          int64_t step_y, int64_t step_x, int64_t channels) {
  typedef uint8_t Bytes __attribute__((vector_size(kBytes)));
  for (int64_t c = 0; c < channels; c += kBytes) {
    const int64_t j = c + kBytes <= channels ? c : channels - kBytes;
    Bytes a{};
    const uint8_t* row = base + j;
    for (int64_t ky = v.low; ky < v.high; ++ky, row += step_y) {
      const uint8_t* q = row;
      for (int64_t kx = h.low; kx < h.high; ++kx, q += step_x) {
        Bytes b;
        __builtin_memcpy(&b, q, sizeof(b));
        a = a > b ? a : b;
      }
    }
    __builtin_memcpy(y + j, &a, sizeof(a));
  }
}

void max_pool_u8(const uint8_t* x, uint8_t* y, int64_t oy, const PoolRow& p) {
  const int64_t top = oy * p.stride_h - p.pad_top;
  const Taps v = inside(top, p.kh, p.dilation_h, p.ih);
  const int64_t step_y = p.dilation_h * p.iw * p.c, step_x = p.dilation_w * p.c;
  for (int64_t ox = 0; ox < p.ow; ++ox, y += p.c) {
    const int64_t left = ox * p.stride_w - p.pad_left;
    const Taps h = inside(left, p.kw, p.dilation_w, p.iw);
    const uint8_t* base =
        x + (top + v.low * p.dilation_h) * p.iw * p.c + (left + h.low * p.dilation_w) * p.c;
    if (p.c >= MNN_VECTOR_BYTES) {
      max_pixel<MNN_VECTOR_BYTES>(base, y, v, h, step_y, step_x, p.c);
    } else if (p.c >= 16) {
      max_pixel<16>(base, y, v, h, step_y, step_x, p.c);
    } else if (p.c >= 8) {
      max_pixel<8>(base, y, v, h, step_y, step_x, p.c);
    } else {
      max_pixel<1>(base, y, v, h, step_y, step_x, p.c);
    }
  }
}

// Sums of bytes are exact; (sum - zeros) * factor / count + offset is rounded to a byte or stored.
template <bool kBytes>
MNN_INLINE void average_row_u8(const uint8_t* x, void* y, int64_t oy, const PoolRow& p, float zero,
                               float factor, float offset) {
  const int64_t top = oy * p.stride_h - p.pad_top;
  const Taps v = inside(top, p.kh, p.dilation_h, p.ih);
  const int64_t step_y = p.dilation_h * p.iw * p.c, step_x = p.dilation_w * p.c;
  const VF add = splat(offset);
  for (int64_t ox = 0; ox < p.ow; ++ox) {
    const int64_t left = ox * p.stride_w - p.pad_left;
    const Taps h = inside(left, p.kw, p.dilation_w, p.iw);
    const VF scale = splat(factor / divisor(oy, ox, v, h, p));
    const VF zeros = splat(static_cast<float>((v.high - v.low) * (h.high - h.low)) * zero);
    const uint8_t* base =
        x + (top + v.low * p.dilation_h) * p.iw * p.c + (left + h.low * p.dilation_w) * p.c;
    for (int64_t j = 0; j < p.c; j += kLanes) {
      const int64_t n = p.c - j;
      VI sum{};
      const uint8_t* row = base + j;
      for (int64_t ky = v.low; ky < v.high; ++ky, row += step_y) {
        const uint8_t* q = row;
        for (int64_t kx = h.low; kx < h.high; ++kx, q += step_x)
          sum += n >= kLanes ? load_bytes(q) : load_some_bytes(q, n);
      }
      const VF r = (to_float(sum) - zeros) * scale + add;
      const int64_t at = ox * p.c + j;
      if (!kBytes) {
        store_part(static_cast<float*>(y) + at, r, n);
      } else {
        store_rounded(static_cast<uint8_t*>(y) + at, clamp_byte(r), n);
      }
    }
  }
}

void average_pool_u8(const uint8_t* x, uint8_t* y, int64_t oy, const PoolRow& p, float zero,
                     float factor, float offset) {
  average_row_u8<true>(x, y, oy, p, zero, factor, offset);
}
void average_pool_u8_to_float(const uint8_t* x, float* y, int64_t oy, const PoolRow& p, float zero,
                              float factor) {
  average_row_u8<false>(x, y, oy, p, zero, factor, 0);
}

void bilinear(const float* top, const float* bottom, float ty, const int32_t* left,
              const int32_t* right, const float* tx, int64_t ow, int64_t c, float* y) {
  const VF v = splat(ty), u = splat(1.0f) - v;
  if (c == 1) {
    for (int64_t ox = 0; ox < ow; ++ox) {
      const float t = tx[ox], s = 1.0f - t;
      const float a = top[left[ox]] * s + top[right[ox]] * t;
      const float b = bottom[left[ox]] * s + bottom[right[ox]] * t;
      y[ox] = a * (1.0f - ty) + b * ty;
    }
    return;
  }
  for (int64_t ox = 0; ox < ow; ++ox, y += c) {
    const VF t = splat(tx[ox]), s = splat(1.0f) - t;
    const float* a0 = top + left[ox] * c;
    const float* a1 = top + right[ox] * c;
    const float* b0 = bottom + left[ox] * c;
    const float* b1 = bottom + right[ox] * c;
    for (int64_t j = 0; j < c; j += kLanes) {
      const VF a = load_part(a0 + j, c - j) * s + load_part(a1 + j, c - j) * t;
      const VF b = load_part(b0 + j, c - j) * s + load_part(b1 + j, c - j) * t;
      store_part(y + j, a * u + b * v, c - j);
    }
  }
}

void bilinear_u8(const uint8_t* top, const uint8_t* bottom, float ty, const int32_t* left,
                 const int32_t* right, const float* tx, int64_t ow, int64_t c, float factor,
                 float offset, uint8_t* y) {
  const VF v = splat(ty), u = splat(1.0f) - v, scale = splat(factor), add = splat(offset);
  for (int64_t ox = 0; ox < ow; ++ox, y += c) {
    const VF t = splat(tx[ox]), s = splat(1.0f) - t;
    const uint8_t* a0 = top + left[ox] * c;
    const uint8_t* a1 = top + right[ox] * c;
    const uint8_t* b0 = bottom + left[ox] * c;
    const uint8_t* b1 = bottom + right[ox] * c;
    const auto mix = [&](VF p0, VF p1, VF q0, VF q1) __attribute__((always_inline)) {
      return ((p0 * s + p1 * t) * u + (q0 * s + q1 * t) * v) * scale + add;
    };
    int64_t j = 0;
    for (; j + kLanes <= c; j += kLanes)
      store_rounded(y + j,
                    clamp_byte(mix(widen(a0 + j), widen(a1 + j), widen(b0 + j), widen(b1 + j))),
                    kLanes);
    if (j < c) {
      const auto part = [&](const uint8_t* p) __attribute__((always_inline)) {
        return widen_some(p + j, c - j);
      };
      store_rounded(y + j, clamp_byte(mix(part(a0), part(a1), part(b0), part(b1))), c - j);
    }
  }
}

void mix_rows(const float* const* rows, const float* weights, int64_t count, float* y, int64_t n) {
  int64_t j = 0;
  for (; j + 4 * kLanes <= n; j += 4 * kLanes) {
    VF a{}, b{}, c{}, d{};
    for (int64_t i = 0; i < count; ++i) {
      const VF w = splat(weights[i]);
      const float* x = rows[i] + j;
      a = madd(load(x), w, a);
      b = madd(load(x + kLanes), w, b);
      c = madd(load(x + 2 * kLanes), w, c);
      d = madd(load(x + 3 * kLanes), w, d);
    }
    store(y + j, a);
    store(y + j + kLanes, b);
    store(y + j + 2 * kLanes, c);
    store(y + j + 3 * kLanes, d);
  }
  for (; j < n; j += kLanes) {
    VF a{};
    for (int64_t i = 0; i < count; ++i)
      a = madd(load_part(rows[i] + j, n - j), splat(weights[i]), a);
    store_part(y + j, a, n - j);
  }
}

}  // namespace

void fill_image(VectorKernels& k) {
  k.max_pool = max_pool;
  k.average_pool = average_pool;
  k.max_pool_u8 = max_pool_u8;
  k.average_pool_u8 = average_pool_u8;
  k.average_pool_u8_to_float = average_pool_u8_to_float;
  k.bilinear = bilinear;
  k.mix_rows = mix_rows;
  k.bilinear_u8 = bilinear_u8;
}

}  // namespace mnn::MNN_ISA
