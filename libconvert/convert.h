// The public face of libconvert: a source model in, a fused graph out.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libruntime/core/bind_shapes.h"
#include "libruntime/core/diagnostic.h"
#include "libruntime/core/graph.h"
#include "libruntime/core/io/file.h"
#include "libruntime/core/rewrite.h"

namespace mnn {

struct ImportedModel;
namespace frontend {
class SourceFiles;
}

struct ImportOptions {
  ShapeMap shapes;  // by source name of an input; what they contradict gives way
  // What a front end offers besides (Frontend::keys).
  std::map<std::string, std::string> keys;
  // Where given: what is known of a model whose import fails, its format, facts and diagnostics.
  ImportedModel* failed = nullptr;
};

// A file a source model was read from, as it was then.
struct SourceFile {
  std::string name;  // in the source's folder
  MappedFile file;
};
// One hash of all files of a source, the model's own first: of a single file its SHA-256; of
// several the SHA-256 of a text with theirs, one a line, the model's own first and the others in
// the order of their names (`sha256sum MODEL OTHERS… | cut -c-64 | sha256sum`).
std::string source_sha256(std::span<const SourceFile> files);

struct ImportedModel {
  Graph graph;
  std::string format;                        // "onnx"
  std::map<std::string, std::string> facts;  // opset, producer, ir_version…
  // The source's input list in its order: the graph's inputs and, where a source lists them,
  // initializers that have a default. Index into graph.inputs, -1 for a listed initializer.
  std::vector<std::pair<std::string, int>> source_inputs;
  Diagnostics diagnostics;        // warnings and notes; errors fail the import
  std::vector<SourceFile> files;  // every file that was read, the model's own first
};

// A setting of one front end: ImportOptions::keys.
struct ImportKey {
  std::string name, help;
};

// A reader of one source format.
struct Frontend {
  std::string format;
  std::string sources;  // what it reads: "a .onnx file, or a folder that holds one"
  // Whether it looks like the format. Of a folder there are no bytes, of a file all: reads a
  // bounded part, opens nothing.
  bool (*recognizes)(std::span<const std::byte> bytes, const frontend::SourceFiles& source);
  // Opens files through `source` only: what it opened is reported and hashed.
  Result<ImportedModel> (*import)(frontend::SourceFiles& source, const ImportOptions& options);
  std::vector<std::string> (*operators)();  // "ai.onnx::Conv 1-22"
  std::vector<ImportKey> keys;
};
const std::vector<Frontend>& frontends();
// The front end for this file or folder. What none reads is named where it is known (formats.h):
// kUnsupported for another framework's model, kInvalidArgument for what is no model.
Result<const Frontend*> detect_frontend(const std::string& path,
                                        const std::vector<Frontend>& among = frontends());
// kUsage when there is a key the front end does not have.
Result<ImportedModel> import_model(const std::string& path, const ImportOptions& options = {},
                                   const std::vector<Frontend>& among = frontends());

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
