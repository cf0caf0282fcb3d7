// Loading a model of any kind, by content: a .mnn, or a source model through libconvert.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "libruntime/core/bind_shapes.h"
#include "libruntime/core/diagnostic.h"
#include "libruntime/core/io/mnn_file.h"
#include "libruntime/core/rewrite.h"

namespace mnn::flows {

// How many steps a plan has, constants and shape arithmetic excluded.
struct PlanCounts {
  int64_t imported = 0, unfused = 0, fused = 0;
  std::vector<std::pair<std::string, int>> changes;  // per pass
};

struct LoadedModel {
  Model model;
  std::string path;
  std::string format;         // "mnn" for our own file, else the source's
  std::string source_format;  // of the model the .mnn was made from
  std::string source_sha256;  // of all its files: source_sha256() of libconvert/convert.h
  std::vector<std::string> source_files;
  std::map<std::string, std::string> facts;  // opset, producer…
  // The source's input list: name and index into graph.inputs (-1: a listed initializer).
  std::vector<std::pair<std::string, int>> source_inputs;
  PlanCounts counts;  // of a source model
  std::vector<std::string> notes;
  std::vector<std::string> warnings;  // those of the notes that everybody should read
};

// A source model whose import failed, as far as it was read.
struct FailedImport {
  std::string path, format;
  std::map<std::string, std::string> facts;  // opset, producer…
  Diagnostics diagnostics;                   // one error per unsupported node
};
// That of the last load_any of this thread which failed in a front end; null when there was none.
const FailedImport* last_failed_import();

struct LoadOptions {
  ShapeMap shapes;
  std::map<std::string, std::string> import_keys;  // of a source model's front end
  bool fuse = true;
  PassOptions passes;
};
// Imports and optimizes a source model in memory; maps a .mnn. `shapes` binds input dims of either.
Result<LoadedModel> load_any(const std::string& path, const LoadOptions& options = {});

// For each model those of `keys` that its front end has. kUsage where one fits none of them.
Result<std::vector<std::map<std::string, std::string>>> share_import_keys(
    const std::vector<std::string>& paths, const std::map<std::string, std::string>& keys);
// load_any() of each with its share of the keys.
Result<std::vector<LoadedModel>> load_each(const std::vector<std::string>& paths,
                                           const LoadOptions& options);

// Binds the symbols of the inputs named in `shapes` (-1 keeps a dim) and infers anew.
Status bind_shapes(Graph& graph, const ShapeMap& shapes);

// Concrete dims of every input: known ones, an unbound first dim is 1; another unbound dim is a
// usage error that names it.
Result<std::vector<std::vector<int64_t>>> concrete_input_dims(const Graph& graph);

// The metadata a .mnn made from `loaded` carries, with the options that changed the result.
std::string make_metadata(const LoadedModel& loaded,
                          const std::map<std::string, std::string>& options);

// --shape as it is kept there: "shape.x" -> "1,3,?,?".
std::map<std::string, std::string> shape_options(const ShapeMap& shapes);

// --import likewise: "import.file" -> "decoder.onnx".
std::map<std::string, std::string> import_options(const std::map<std::string, std::string>& keys);

// kUnsupported unless it is a target of this version.
Status check_target(const std::string& target);

// OUT, or for a missed threshold OUT.rejected beside it.
std::string rejected_path(const std::string& out);
// What of an earlier run would mislead after this one, whose verdict this is. A missed threshold
// leaves an older OUT as it is: its name is returned, to be told. A success removes OUT.rejected.
std::string settle_earlier(const std::string& out, const Status& verdict);

// The last part of a path.
std::string file_name(const std::string& path);

int64_t count_parameters(const Graph& graph);

}  // namespace mnn::flows
