// Constant and shape folding: evaluates what depends on constants only.
#pragma once

#include "libruntime/core/graph.h"

namespace mnn {

struct FoldLimits {
  // An output larger than this is folded only when it is no larger than the node's constant inputs
  // together.
  int64_t max_output_bytes = int64_t{64} << 20;
  double max_seconds = 20.0;
};

// Infers types, replaces nodes whose inputs are constants (and values that shape inference knows,
// such as Shape of a static tensor) by constants, removes what became dead, and prunes an If whose
// condition is constant. Never runs a Loop. Linear time in nodes. Returns the number of nodes
// folded.
Result<int> fold_constants(Graph& graph, const FoldLimits& limits = {});

}  // namespace mnn
