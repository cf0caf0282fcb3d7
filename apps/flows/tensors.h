// Tensors in folders, as `mnn run` reads and writes them, and seeded random inputs.
#pragma once

#include <string>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn::flows {

// Reads one tensor per graph input from DIR: input_<i>.npy|.pb, i counting `source_inputs`, or
// <name>.npy|.pb with characters outside [A-Za-z0-9._-] percent-encoded. Types must match.
Result<std::vector<Tensor>> read_inputs(
    const std::string& dir, const Graph& graph,
    const std::vector<std::pair<std::string, int>>& source_inputs);
// Whether DIR is a folder with a file for each of them.
bool holds_inputs(const std::string& dir, const Graph& graph,
                  const std::vector<std::pair<std::string, int>>& source_inputs);
// output_<i>.npy|.pb or <name>.npy|.pb, one per graph output; absent ones are undefined tensors.
// Fails when there is none at all.
Result<std::vector<Tensor>> read_expected(const std::string& dir, const Graph& graph);

struct WrittenOutput {
  std::string name, file, dtype;
  std::vector<int64_t> shape;
};
// Writes output_<i>.npy, or .pb where `as_pb` or NumPy lacks the type, as it does of sequences and
// optionals. Creates DIR.
Result<std::vector<WrittenOutput>> write_outputs(const std::string& dir, const Graph& graph,
                                                 const std::vector<Tensor>& outputs, bool as_pb);
// One value under `stem` plus an ending; returns the file's path.
Result<std::string> write_tensor(const std::string& stem, const Tensor& tensor,
                                 const std::string& name, bool as_pb,
                                 Type::Kind kind = Type::Kind::kTensor);

// Standard normal floats, integers and bools 0 or 1; the same seed gives the same tensors.
Result<std::vector<Tensor>> random_inputs(const Graph& graph,
                                          const std::vector<std::vector<int64_t>>& dims,
                                          uint64_t seed);

std::string percent_encode(const std::string& name);
Status make_folder(const std::string& dir);
// kNotAccessible with the reason unless DIR is a folder that can be read.
Status check_folder(const std::string& dir);
// Names of what is in DIR, sorted; hidden entries included.
Result<std::vector<std::string>> list_folder(const std::string& dir);
bool is_folder(const std::string& path);

}  // namespace mnn::flows
