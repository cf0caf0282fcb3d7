// What a person says of single layers: --layer PATTERN=scheme, --keep-float PATTERN.
#pragma once

#include <map>
#include <string>

#include "libquant/types.h"
#include "libruntime/core/graph.h"

namespace mnn {

// "int8", "w8", "w6", "w4", "w3", "w2", "f16" and "float": what a layer may be stored and computed
// as. kUsage for another word.
Status check_layer_scheme(const std::string& scheme);

// The scheme per node that a rule names, sub-graphs included; of several that fit the last one, and
// keep_float above all. Patterns stand for a layer's name or that of one of its source layers, * in
// them for any text. kUsage for a pattern that fits no layer, with the names that are near, and for
// a scheme that a layer cannot have, with the reason; layers without products or weights are passed
// over as long as the pattern fits others.
Result<std::map<const Node*, std::string>> schemes_by_hand(const Graph& graph,
                                                           const QuantOptions& options);

// Why the node of the main graph cannot be int8; empty: it can.
std::string why_not_int8(const Graph& graph, NodeId node);

}  // namespace mnn
