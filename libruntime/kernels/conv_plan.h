// What convolutions and products share about geometry.
#pragma once

#include "libruntime/kernels/conv.h"
#include "libruntime/kernels/gemm.h"
#include "libruntime/kernels/plan.h"

namespace mnn {

// The geometry with its strides filled in. Fails when a size is not positive, the groups do not
// divide the channels, or a tensor or the packed weights would exceed 2^62 bytes.
Result<ConvGeometry> check_geometry(const ConvGeometry& geometry, int64_t element_bytes);

// The geometry with its strides and offsets filled in. Fails when a size is not positive, a row
// passes its stride, offsets are missing, or anything would exceed 2^62 bytes.
Result<GemmGeometry> check_product(const GemmGeometry& geometry);

// Input rows that output row `oy` of a transposed convolution is made of, with others between them
// where strides and dilations leave rows out.
Range transposed_input_rows(const ConvGeometry& g, int64_t oy);

// Walks a grid of h x w points per image in memory order, from point `index` on.
struct PixelWalk {
  PixelWalk(int64_t height, int64_t width, int64_t index) : h(height), w(width) {
    x = index % w;
    y = index / w % h;
    n = index / w / h;
  }
  void next() {
    if (++x < w) return;
    x = 0;
    if (++y < h) return;
    y = 0;
    ++n;
  }
  // `count` points of the same row, at most to its end.
  void skip(int64_t count) {
    x += count - 1;
    next();
  }
  int64_t h, w;
  int64_t n, y, x;
};

}  // namespace mnn
