// Multiply-accumulates of one node, those of its sub-graphs included.
#include <algorithm>

#include "libruntime/compile/backend.h"
#include "libruntime/compile/subgraphs.h"
#include "libruntime/core/op.h"

namespace mnn {

int64_t count_macs(const Graph& graph, const Node& node) {
  int64_t most = macs_of(graph, node);
  for (size_t i = 0; i < node.subgraphs.size(); ++i) {
    const Graph body = first_trip(graph, node, i);
    int64_t sum = 0;
    for (const Node& inner : body.nodes) {
      if (__builtin_add_overflow(sum, count_macs(body, inner), &sum)) return 0;
    }
    most = std::max(most, sum);
  }
  const int64_t trips = node.subgraphs.empty() ? 1 : trip_count(graph, node);
  int64_t macs = 0;
  return __builtin_mul_overflow(most, trips, &macs) || macs == INT64_MAX ? 0 : macs;
}

}  // namespace mnn
