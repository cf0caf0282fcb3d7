// The derivatives of poolings and depthwise convolutions over channels-last images. Every sum is
// taken channel by channel in one order, without contraction: the same bits for any register width
// and any split of the channels.
#include "libruntime/kernels/isa/vector_parts.h"
#include "libruntime/kernels/isa/window_taps.h"

namespace mnn::MNN_ISA {
namespace {

void max_pool_gradient(const float* x, const float* dy, float* dx, int64_t oh, const PoolRow& p,
                       int64_t first, int64_t last) {
  const int64_t step_y = p.dilation_h * p.iw * p.c, step_x = p.dilation_w * p.c;
  for (int64_t oy = 0; oy < oh; ++oy) {
    const int64_t top = oy * p.stride_h - p.pad_top;
    const Taps v = inside(top, p.kh, p.dilation_h, p.ih);
    for (int64_t ox = 0; ox < p.ow; ++ox, dy += p.c) {
      const int64_t left = ox * p.stride_w - p.pad_left;
      const Taps h = inside(left, p.kw, p.dilation_w, p.iw);
      if (v.low == v.high || h.low == h.high) continue;
      const int64_t base =
          (top + v.low * p.dilation_h) * p.iw * p.c + (left + h.low * p.dilation_w) * p.c;
      for (int64_t j = first; j < last; j += kLanes) {
        const int64_t n = last - j;
        VF best = load_part(x + base + j, n);
        VI place{};
        int32_t tap = 0;
        for (int64_t ky = v.low; ky < v.high; ++ky) {
          const float* q = x + base + j + (ky - v.low) * step_y;
          for (int64_t kx = h.low; kx < h.high; ++kx, q += step_x, ++tap) {
            const VF a = load_part(q, n);
            // NaN beats every number, the first of them wins.
            const VI better = (a > best) | ((a != a) & (best == best));
            best = better ? a : best;
            place = better ? splat_int(tap) : place;
          }
        }
        const VI part = bits(load_part(dy + j, n));
        tap = 0;
        for (int64_t ky = v.low; ky < v.high; ++ky) {
          float* to = dx + base + j + (ky - v.low) * step_y;
          for (int64_t kx = h.low; kx < h.high; ++kx, to += step_x, ++tap) {
            const VI here = place == splat_int(tap);
            store_part(to, load_part(to, n) + from_bits(part & here), n);
          }
        }
      }
    }
  }
}

void depthwise_weight_gradient(const float* x, const float* dy, float* dw, int64_t oy,
                               const PoolRow& p, int64_t first, int64_t last) {
  const int64_t top = oy * p.stride_h - p.pad_top;
  const Taps v = inside(top, p.kh, p.dilation_h, p.ih);
  const int64_t step = p.stride_w * p.c;
  for (int64_t ky = v.low; ky < v.high; ++ky) {
    const float* row = x + (top + ky * p.dilation_h) * p.iw * p.c;
    for (int64_t kx = 0; kx < p.kw; ++kx) {
      // Outputs whose tap lies inside the row.
      const int64_t offset = kx * p.dilation_w - p.pad_left;
      int64_t low = 0, high = p.ow;
      while (low < high && low * p.stride_w + offset < 0) ++low;
      while (high > low && (high - 1) * p.stride_w + offset >= p.iw) --high;
      float* to = dw + (ky * p.kw + kx) * p.c;
      for (int64_t j = first; j < last; j += kLanes) {
        const int64_t n = last - j;
        const float* a = row + (low * p.stride_w + offset) * p.c + j;
        const float* g = dy + low * p.c + j;
        VF sum{};
        if (n >= kLanes) {
          for (int64_t ox = low; ox < high; ++ox, a += step, g += p.c) sum += load(a) * load(g);
        } else {
          for (int64_t ox = low; ox < high; ++ox, a += step, g += p.c) {
            sum += load_part(a, n) * load_part(g, n);
          }
        }
        store_part(to + j, load_part(to + j, n) + sum, n);
      }
    }
  }
}

}  // namespace

void fill_window_gradient(VectorKernels& k) {
  k.max_pool_gradient = max_pool_gradient;
  k.depthwise_weight_gradient = depthwise_weight_gradient;
}

}  // namespace mnn::MNN_ISA
