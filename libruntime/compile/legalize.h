// Which backend runs which node.
#pragma once

#include <vector>

#include "libruntime/compile/backend.h"

namespace mnn {

// The backends of a session in order of preference; the last one takes everything.
using Backends = std::vector<const Backend*>;

// Where a node goes: an index into the backends, or one of these.
inline constexpr int kControlLane = -1;  // If, Loop, Scan: runs plans of its sub-graphs
inline constexpr int kLateLane = -2;     // its shapes are known only when others have run

// Assigns every node; the graph has inferred types. The first backend that supports a node gets it.
// What only the last one would take is first taken apart: post-ops become nodes, and an operator
// becomes its decomposition when it has no reference kernel or the others take all of the parts.
// Nodes whose output types stay open go to the last backend; what reads those is late, unless
// `interpret_late` asks for the last backend there too.
Result<std::vector<int>> legalize(Graph& graph, const Backends& backends, bool interpret_late);

}  // namespace mnn
