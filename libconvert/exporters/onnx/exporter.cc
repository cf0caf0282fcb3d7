#include "libconvert/exporters/onnx/exporter.h"

#include <algorithm>

#include "libconvert/exporters/onnx/rows.h"
#include "libconvert/exporters/onnx/unfold.h"
#include "libconvert/exporters/onnx/writer.h"
#include "libconvert/frontends/onnx/op_map.h"
#include "libruntime/core/expand.h"
#include "libruntime/core/io/file.h"

namespace mnn {
namespace onnx_export {
namespace {

// Expansions of expansions; a deeper chain is a cycle in the tables.
constexpr int kMaxRounds = 16;
constexpr int64_t kMaxNodes = int64_t{4} << 20;

// What the operator is made of at the opset; null when it is written as it is.
Result<DecomposeFn> way_out(const Graph& graph, const Node& node, const OnnxExportOptions& o) {
  const OpDef& def = *find_op(node.op);
  const ExportRow* row = find_export_row(node.op);
  const bool early = row != nullptr && o.opset < row->same_since;
  if (early && row->expand != nullptr && (row->when == nullptr || row->when(graph, node))) {
    return row->expand;
  }
  const int since = introduced(node.op);
  if (since > 0 && since <= o.opset) return DecomposeFn{};
  if (def.decompose != nullptr) return def.decompose;
  if (o.contrib && since == 0 && onnx::find_row("com.microsoft", node.op) != nullptr) {
    return DecomposeFn{};
  }
  if (since == 0 && onnx::find_row("com.microsoft", node.op) != nullptr) {
    return unsupported("is an operator of com.microsoft: give --contrib");
  }
  if (since == 0) return unsupported("is no operator of ONNX");
  if (since > kNewestExportOpset) {
    return unsupported("came with opset " + std::to_string(since) + ", exported are " +
                       std::to_string(kOldestExportOpset) + " to " +
                       std::to_string(kNewestExportOpset));
  }
  return unsupported("came with opset " + std::to_string(since) + ": give --opset " +
                     std::to_string(since));
}

class Legalizer {
 public:
  Legalizer(const OnnxExportOptions& options, Diagnostics& diagnostics)
      : options_(options), diagnostics_(diagnostics) {}

  // One round over the graph and its sub-graphs; whether it changed something.
  Result<bool> round(Graph& graph) {
    std::vector<Node> nodes = std::move(graph.nodes);
    graph.nodes.clear();
    bool changed = false;
    for (Node& node : nodes) {
      for (Graph& inner : node.subgraphs) {
        MNN_ASSIGN_OR_RETURN(const bool inside, round(inner));
        changed |= inside;
      }
      Result<DecomposeFn> way = way_out(graph, node, options_);
      if (!way.ok()) report(graph, node, way.status());
      if (!way.ok() || *way == nullptr) {
        graph.nodes.push_back(std::move(node));
        continue;
      }
      const Status status = expand_node(graph, *way, node);
      if (status.code() == Code::kUnsupported || status.code() == Code::kInvalidArgument) {
        report(graph, node, status);
        graph.nodes.push_back(std::move(node));
        continue;
      }
      MNN_RETURN_IF_ERROR(status);
      changed = true;
    }
    if (static_cast<int64_t>(graph.nodes.size()) > kMaxNodes) {
      return limit_exceeded("the graph unfolds into more than " + std::to_string(kMaxNodes) +
                            " nodes");
    }
    MNN_RETURN_IF_ERROR(sort_nodes(graph));
    return changed;
  }

  void check_types(const Graph& graph) {
    for (const Node& node : graph.nodes) {
      for (const auto* list : {&node.inputs, &node.outputs}) {
        for (const ValueId v : *list) {
          if (v == kNoValue || !graph.value(v).type.defined()) continue;
          const DType dtype = graph.value(v).type.dtype;
          const int since = introduced(dtype);
          if (since > 0 && since <= options_.opset) continue;
          report(graph, node,
                 unsupported("type " + std::string(dtype_name(dtype)) +
                             (since > 0 ? " came with opset " + std::to_string(since)
                                        : std::string(" is none of ONNX"))));
        }
      }
      for (const Graph& inner : node.subgraphs) check_types(inner);
    }
  }

 private:
  // Once a node.
  void report(const Graph& graph, const Node& node, const Status& why) {
    const std::string name = display_name(graph, node);
    for (const Diagnostic& d : diagnostics_.items()) {
      if (d.node == name && d.op == node.op && d.message == why.message()) return;
    }
    diagnostics_.add({Severity::kError, Code::kUnsupported, name, node.op, why.message()});
  }

  const OnnxExportOptions& options_;
  Diagnostics& diagnostics_;
};

Status legalize(Graph& graph, const OnnxExportOptions& options, Diagnostics& diagnostics) {
  Legalizer legalizer(options, diagnostics);
  for (int i = 0; i < kMaxRounds; ++i) {
    MNN_RETURN_IF_ERROR(infer_types(graph));
    MNN_ASSIGN_OR_RETURN(const bool changed, legalizer.round(graph));
    if (changed) continue;
    legalizer.check_types(graph);
    return {};
  }
  return internal_error("an operator unfolds into itself");
}

}  // namespace
}  // namespace onnx_export

Result<OnnxExport> export_onnx(const Graph& source, const OnnxExportOptions& options) {
  using namespace onnx_export;
  if (options.opset < kOldestExportOpset || options.opset > kNewestExportOpset) {
    return usage_error("opset " + std::to_string(options.opset) + " is not in [" +
                       std::to_string(kOldestExportOpset) + ", " +
                       std::to_string(kNewestExportOpset) + "]");
  }
  OnnxExport out;
  Diagnostics diagnostics;
  Graph graph = source;
  split_post_ops(graph);
  out.states = states_to_border(graph);
  if (options.contrib) {
    MNN_RETURN_IF_ERROR(pack_products(graph));
    remove_dead(graph);  // the weights as they were
  }
  MNN_RETURN_IF_ERROR(unfold_rounding(graph, options.dequantize));
  MNN_RETURN_IF_ERROR(unfold_quantization(graph, options, out, diagnostics));
  MNN_RETURN_IF_ERROR(legalize(graph, options, diagnostics));
  remove_dead(graph);
  MNN_RETURN_IF_ERROR(write_model_proto(std::move(graph), options, out, diagnostics));
  return out;
}

Result<int64_t> write_onnx(const OnnxExport& model, const std::string& path,
                           const OnnxExportOptions& options) {
  int64_t bytes = static_cast<int64_t>(model.model.size());
  if (!model.external.empty()) {
    const size_t slash = path.rfind('/');
    const std::string folder =
        slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
    MNN_ASSIGN_OR_RETURN(AtomicFile data, AtomicFile::create(folder + options.external_name));
    const std::vector<std::byte> padding(static_cast<size_t>(kExternalAlignment));
    int64_t offset = 0;
    for (const Tensor& t : model.external) {
      const int64_t gap = (kExternalAlignment - offset % kExternalAlignment) % kExternalAlignment;
      MNN_RETURN_IF_ERROR(data.append({padding.data(), static_cast<size_t>(gap)}));
      MNN_RETURN_IF_ERROR(data.append({t.raw(), static_cast<size_t>(t.bytes())}));
      offset += gap + t.bytes();
    }
    MNN_RETURN_IF_ERROR(data.commit());
    bytes += offset;
  }
  MNN_RETURN_IF_ERROR(write_file(path, model.model));
  return bytes;
}

}  // namespace mnn
