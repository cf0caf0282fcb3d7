// A graph whose nodes are all of one opset as a ModelProto.
#pragma once

#include "libconvert/exporters/onnx/exporter.h"

namespace mnn::onnx_export {

// Serializes. Nodes that the opset has in an older form are written in it; what it cannot say is
// reported. `out` gets the model, what is external and the operators.
Status write_model_proto(Graph graph, const OnnxExportOptions& options, OnnxExport& out,
                         Diagnostics& diagnostics);

}  // namespace mnn::onnx_export
