// An IR graph as an ONNX model: standard operators of a chosen opset, quantization as
// QuantizeLinear and DequantizeLinear, sub-graphs as attributes, states as inputs and outputs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "libruntime/core/diagnostic.h"
#include "libruntime/core/graph.h"

namespace mnn {

inline constexpr int kOldestExportOpset = 13;
inline constexpr int kNewestExportOpset = 21;

struct OnnxExportOptions {
  int opset = kNewestExportOpset;
  // Operators of com.microsoft where the opset has no word: MatMulNBits for products with weights
  // of 4 or 8 bits, 16-bit QuantizeLinear and DequantizeLinear below opset 21.
  bool contrib = false;
  // Constants in an encoding that DequantizeLinear lacks are written as floats.
  bool dequantize = false;
  // Constants of at least this many bytes go into a file of their own; negative: they do when the
  // model would not fit into one protobuf message.
  int64_t external_bytes = -1;
  std::string external_name;  // of that file, in the model's folder
  std::map<std::string, std::string> metadata;
};

// A state of the graph: an input that a caller starts with zeros (or `initial`, where the graph has
// other contents) and feeds with the output of the run before.
struct ExportedState {
  std::string input, output;
  bool zeros = true;
};

struct OnnxExport {
  std::string model;             // a serialized ModelProto
  std::vector<Tensor> external;  // in the order and at the places that the model says
  std::vector<ExportedState> states;
  std::map<std::string, int64_t> operators;  // "Conv", "com.microsoft::MatMulNBits": how many
  int64_t quantized_constants = 0, quantized_values = 0, dequantized_constants = 0;
};

// Offsets of external tensors are multiples of this, so that a reader can map them.
inline constexpr int64_t kExternalAlignment = 4096;

// Names of inputs, outputs and layers stay. kUnsupported when the opset cannot say a node; all such
// nodes are named. kUsage for an opset out of range.
Result<OnnxExport> export_onnx(const Graph& graph, const OnnxExportOptions& options);

// Writes the model to `path` and what is external beside it as options.external_name; each under a
// temporary name and renamed, the data first. Returns the bytes of both.
Result<int64_t> write_onnx(const OnnxExport& model, const std::string& path,
                           const OnnxExportOptions& options);

}  // namespace mnn
