// The .mnn file: a container made to be memory-mapped (docs/file-format.md).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

// A model as it is stored: the graph, facts about where it came from, and golden data.
struct Model {
  Graph graph;
  std::string metadata_json = "{}";                   // an object; keys sorted when written
  std::vector<Tensor> golden_inputs, golden_outputs;  // both empty, or one per input and output
};

inline constexpr int kFormatMajor = 1;
inline constexpr int kFormatMinor = 0;

// Writes under a temporary name in the same folder and renames. The same model gives the same
// bytes. Fails when the graph does not verify: what is written can be read.
Status write_model(const Model& model, const std::string& path);
Result<std::vector<std::byte>> try_serialize_model(const Model& model);
// The same; empty on failure.
std::vector<std::byte> serialize_model(const Model& model);

struct ReadOptions {
  bool check_weights = true;  // verify the chunk checksums of weights and golden data, too
};
// Maps the file; constants point into the mapping, which lives as long as any of them. Hostile
// bytes give an error, never a crash: every offset, count and checksum is checked.
Result<Model> read_model(const std::string& path, const ReadOptions& options = {});
Result<Model> parse_model(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                          const ReadOptions& options = {});
// Whether these first bytes are those of our .mnn file.
bool is_model_file(std::span<const std::byte> head);

struct SectionInfo {
  std::string name;
  int64_t offset = 0, bytes = 0;
  std::string sha256;   // hex, as stored
  bool intact = false;  // recomputed
};
// Every section with its recomputed hash, and every weight chunk checked: `inspect --verify`.
Result<std::vector<SectionInfo>> verify_file(const std::string& path);

}  // namespace mnn
