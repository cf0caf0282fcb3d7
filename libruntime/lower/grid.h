// The grids of quantized values, as kernels on bytes take them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

// real = (stored - zero) * scale, stored an unsigned byte.
struct Grid {
  float scale = 1;
  int32_t zero = 0;
  bool operator==(const Grid&) const = default;
};

// One grid per channel (axis 1) of an image.
struct ChannelGrid {
  std::vector<float> scales;
  std::vector<int32_t> zeros;
};

// The grid of a value as unsigned bytes; nullopt when it has none that bytes can hold.
std::optional<Grid> grid_of(const Value& value);
// The grids of an image's channels as unsigned bytes; nullopt when it has none such.
std::optional<ChannelGrid> channel_grid_of(const Value& value);

// Symmetric signed weights of a quantized constant: real = values * scales[output].
struct ByteWeights {
  Tensor values;              // i8, dims of the constant
  std::vector<float> scales;  // one per output
};
// Of a constant with one grid per index of `axis`, the outputs, or one for all. nullopt when it is
// none, or when its codes, moved to the zero point 0, are no signed bytes.
std::optional<ByteWeights> byte_weights(const Value& weights, int axis);

}  // namespace mnn
