#include "libquant/weights/activation_bits.h"

#include "libruntime/kernels/code_panels.h"
#include "libruntime/lower/node_view.h"

namespace mnn {

int set_activation_bits(Graph& graph) {
  int count = 0;
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) count += set_activation_bits(g);
    if (node.op != "MatMul" && node.op != "Gemm") continue;
    node.attributes.erase("activation_bits");
    const NodeView n(graph, node);
    if (!n.is_constant(1) || !n.in(1).quant || n.is_constant(0) || n.in_type(0) != DType::kF32)
      continue;
    if (n.in(0).quant) continue;  // bytes on a grid already
    const bool turned = node.op == "Gemm" && n.attr_int("transB") != 0;
    if (!takes_codes_int8(*n.in(1).quant, n.in_dims(1), turned)) continue;
    node.attributes["activation_bits"] = int64_t{8};
    ++count;
  }
  return count;
}

}  // namespace mnn
