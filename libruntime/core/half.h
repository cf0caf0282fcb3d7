// Constants stored as f16 and computed with as f32: half the bytes, no other arithmetic.
#pragma once

#include <string>
#include <vector>

#include "libruntime/core/graph.h"
#include "libruntime/core/metrics.h"

namespace mnn {

struct HalfReport {
  int64_t narrowed = 0;  // constants stored as f16 now
  int64_t bytes_saved = 0;
  ErrorSums error;                // of all narrowed ones together
  std::vector<std::string> kept;  // f32 constants that f16 cannot hold, and why
};
// Replaces every f32 constant of at least `min_elements` that f16 holds (finite values stay finite,
// at least 50 dB) by an f16 constant under a Cast to f32, sub-graphs included.
Result<HalfReport> narrow_constants(Graph& graph, int64_t min_elements = 64);

// Makes every such Cast the f32 constant again: what a session and the quantizer start from.
Status widen_constants(Graph& graph);

// Whether `node` is a Cast of an f16 constant to f32.
bool is_widening(const Graph& graph, const Node& node);

}  // namespace mnn
