// What nodes that only move elements read: as views of their input, or as tables of indices.
// Decoded for every back end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libruntime/lower/array.h"

namespace mnn {

// The axes of the input in the order of a Transpose's result.
std::vector<int> transpose_axes(const NodeView& n);
// Why the bounds of a Slice are not known; nullopt when they are.
std::optional<std::string> why_no_slice(const NodeView& n);
// What a Slice with static shapes and known bounds leaves of `a`.
Array sliced(const NodeView& n, Array a);
// The parts of a Split, one per output.
std::vector<Array> split_parts(const NodeView& n, const Array& a);

// Blocks of a DepthToSpace or SpaceToDepth: the input reshaped, then its axes in this order.
struct BlockShuffle {
  Dims split;
  std::vector<int> perm;
};
BlockShuffle block_shuffle(const NodeView& n);

// Per axis of the result, which index of the input each of its indices reads; kOutside: the fill.
inline constexpr int64_t kOutside = -1;
using AxisIndices = std::vector<Dims>;
// Why the pads, axes or fill of a Pad are not known; nullopt when they are.
std::optional<std::string> why_no_pads(const NodeView& n);
AxisIndices padded_indices(const NodeView& n);
AxisIndices tiled_indices(const Dims& from, const Dims& to);
// All of them, in order.
AxisIndices straight_indices(const Dims& dims);

// Which axes of its input a reduction or global pooling takes away.
std::optional<std::string> why_no_axes(const NodeView& n);
std::vector<bool> reduced_axes(const NodeView& n);

}  // namespace mnn
