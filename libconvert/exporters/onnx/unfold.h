// What an IR graph holds as annotations, as nodes: post-ops, states, quantization. Sub-graphs are
// walked. What comes out is a graph of the IR again.
#pragma once

#include "libconvert/exporters/onnx/exporter.h"

namespace mnn::onnx_export {

// Every post-op becomes a node of its own. The source layers of the node are spread over them, the
// last one to the last.
void split_post_ops(Graph& graph);

// States become inputs, their next contents outputs, behind those that are there.
std::vector<ExportedState> states_to_border(Graph& graph);

// Products with weights of 4 and 8 bits in groups, or one scale an output, become MatMulNBits.
Status pack_products(Graph& graph);

// Rows that products round as they run are rounded by nodes in front of them; not at all with
// `dequantize`.
Status unfold_rounding(Graph& graph, bool dequantize);

// Annotations become QuantizeLinear and DequantizeLinear. Biases stay floats: in units of the sums
// they would lose what bias correction gained, and nothing that is read back would be the same.
// What cannot be said so is reported under the names of the nodes that read it, unless it is a
// constant and options.dequantize is set.
Status unfold_quantization(Graph& graph, const OnnxExportOptions& options, OnnxExport& out,
                           Diagnostics& diagnostics);

// The codes of a constant as the narrowest type of 4 or 8 bits that ONNX has and the opset knows.
Result<Tensor> widen_codes(const Tensor& codes, int opset);

}  // namespace mnn::onnx_export
