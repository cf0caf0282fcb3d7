// Attention as two products and a softmax, which the quantizer knows: as one operator its products
// would stay float.
#pragma once

#include "libruntime/core/graph.h"

namespace mnn {

// Spells out every f32 Attention of four dims with one set of heads, without a cache, a window or a
// cap; others stay. Returns how many.
Result<int> spell_out_attention(Graph& graph);

}  // namespace mnn
