// Rows that products round to 8 bits as they run (activation_bits), as nodes in front of them.
#include "libconvert/exporters/onnx/unfold.h"
#include "libruntime/core/builder.h"
#include "libruntime/core/op.h"

namespace mnn::onnx_export {
namespace {

// x on the grid of 127 steps up to the largest magnitude along `axis`, as the product has it.
ValueId rounded(Builder& b, ValueId x, int64_t axis) {
  // Rows of less are taken as nothing by the product; here as steps that are no larger.
  constexpr float kLeast = 1e-30f;
  const ValueId most = b.op("ReduceMax", {b.op("Abs", {x}), b.ints({axis})});
  const ValueId factor = b.op("Div", {b.scalar(127.0f), b.op("Max", {most, b.scalar(kLeast)})});
  const ValueId codes = b.op("Round", {b.op("Mul", {x, factor})});
  return b.op("Mul", {codes, b.op("Div", {most, b.scalar(127.0f)})});
}

}  // namespace

Status unfold_rounding(Graph& graph, bool dequantize) {
  const size_t count = graph.nodes.size();
  for (size_t n = 0; n < count; ++n) {
    for (Graph& inner : graph.nodes[n].subgraphs)
      MNN_RETURN_IF_ERROR(unfold_rounding(inner, dequantize));
    const Node node = graph.nodes[n];
    if (node.op != "MatMul" && node.op != "Gemm") continue;
    const AttributeReader attributes(node, *find_op(node.op));
    const bool rounds = attributes.attr_int("activation_bits") != 0;
    graph.nodes[n].attributes.erase("activation_bits");
    if (!rounds || dequantize) continue;
    const bool turned = node.op == "Gemm" && attributes.attr_int("transA") != 0;
    Builder b(graph, node.origin);
    const ValueId x = rounded(b, node.inputs[0], turned ? 0 : -1);
    graph.nodes[n].inputs[0] = x;
  }
  return sort_nodes(graph);
}

}  // namespace mnn::onnx_export
