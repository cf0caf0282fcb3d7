// What the convolution kernels share about geometry.
#pragma once

#include "libruntime/kernels/conv.h"

namespace mnn {

// The geometry with its strides filled in. Fails when a size is not positive, the groups do not
// divide the channels, or a tensor or the packed weights would exceed 2^62 bytes.
Result<ConvGeometry> check_geometry(const ConvGeometry& geometry, int64_t element_bytes);

// Walks the output pixels in memory order from pixel `index` on.
struct PixelWalk {
  PixelWalk(const ConvGeometry& g, int64_t index) : oh(g.oh), ow(g.ow) {
    ox = index % ow;
    oy = index / ow % oh;
    n = index / ow / oh;
  }
  void next() {
    if (++ox < ow) return;
    ox = 0;
    if (++oy < oh) return;
    oy = 0;
    ++n;
  }
  int64_t oh, ow;
  int64_t n, oy, ox;
};

}  // namespace mnn
