// Reads post-ops (FusedOp): the one place that knows how a fused operator is held.
#pragma once

#include <optional>

#include "libruntime/core/graph.h"

namespace mnn {

// Post-op `i` as a node of its own, which reads `x` and makes `y`.
Node post_op(const Node& node, size_t i, ValueId x = kNoValue, ValueId y = kNoValue);

struct ClipBounds {
  double low, high;  // infinite where there is none
};
// The bounds of a Clip, a node or a post-op as one; nullopt when one is computed or NaN.
std::optional<ClipBounds> clip_bounds(const Graph& graph, const Node& clip);

}  // namespace mnn
