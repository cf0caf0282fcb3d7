// The public face of libconvert: a source model in, a fused graph out.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libruntime/core/diagnostic.h"
#include "libruntime/core/graph.h"
#include "libruntime/core/rewrite.h"

namespace mnn {

struct ImportedModel;

struct ImportOptions {
  // Source name of an input -> dims; -1 keeps a dim dynamic.
  std::map<std::string, std::vector<int64_t>> shapes;
  int64_t node_budget = 1 << 20;  // nodes after inlining functions
  int max_subgraph_depth = 64;
  // Where given: what is known of a model whose import fails, its format, facts and diagnostics.
  ImportedModel* failed = nullptr;
};

struct ImportedModel {
  Graph graph;
  std::string format;                        // "onnx"
  std::map<std::string, std::string> facts;  // opset, producer, ir_version…
  // The source's input list in its order: the graph's inputs and, where a source lists them,
  // initializers that have a default. Index into graph.inputs, -1 for a listed initializer.
  std::vector<std::pair<std::string, int>> source_inputs;
  Diagnostics diagnostics;  // warnings and notes; errors fail the import
};

// A reader of one source format.
struct Frontend {
  std::string format;
  // Whether these first bytes (or this path, for folders and text formats) look like it.
  bool (*recognizes)(std::span<const std::byte> head, const std::string& path);
  Result<ImportedModel> (*import)(const std::string& path, const ImportOptions& options);
  std::vector<std::string> (*operators)();  // "ai.onnx::Conv 1-22"
};
const std::vector<Frontend>& frontends();
// The front end for this file. What none reads is named where it is known (formats.h): kUnsupported
// for another framework's model, kInvalidArgument for what is no model.
Result<const Frontend*> detect_frontend(const std::string& path);
Result<ImportedModel> import_model(const std::string& path, const ImportOptions& options = {});

struct OptimizeOptions {
  bool fuse = true;
  PassOptions passes;
};
struct OptimizeReport {
  int64_t nodes_before =
      0;  // plan steps of the imported graph: constants and shape arithmetic excluded
  int64_t nodes_unfused = 0;  // after folding and clean-up, without fusion
  int64_t nodes_after = 0;
  std::vector<std::pair<std::string, int>> changes;  // per pass, all its runs together
};
// Runs the pass pipeline (passes/pipeline.cc) in place.
Result<OptimizeReport> optimize(Graph& graph, const OptimizeOptions& options = {});
// Nodes a plan would run, sub-graphs included. Not counted: nodes that depend on constants and
// shapes only (known once shapes are bound), nodes that are wanted only as sizes, axes or
// positions, those that only look at the same bytes another way (Reshape, Squeeze, Unsqueeze,
// Flatten, Identity), and the Casts that take in and hand out 16-bit floats.
int64_t count_plan_steps(const Graph& graph);

// ONNX TensorProto files (.pb) as test data.
Result<Tensor> read_tensor_pb(const std::string& path, std::string* name = nullptr);
Status write_tensor_pb(const std::string& path, const Tensor& tensor, const std::string& name);
// The same of any value: a TensorProto, SequenceProto or OptionalProto, as the type's kind says.
Result<Tensor> read_value_pb(const std::string& path, const Type& type);
Status write_value_pb(const std::string& path, const Tensor& value, Type::Kind kind,
                      const std::string& name);

}  // namespace mnn
