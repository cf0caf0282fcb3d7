// A graph as ONNX JSON: the protobuf JSON mapping of ModelProto, which Netron opens.
#pragma once

#include <string>

#include "libruntime/core/graph.h"

namespace mnn {

// For viewing: a fused node keeps its operator's name and says in string attributes what was fused
// into it ("fused"), which source layers it came from ("origin") and how its output is quantized
// ("quantization"). Constants of more than `max_constant_bytes` have no data.
std::string onnx_json(const Graph& graph, int64_t max_constant_bytes = 1024);

}  // namespace mnn
