// The bytes of the .mnn container (docs/file-format.md): header, section table, chunk checksums.
// Private to libruntime/core/io.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libruntime/core/graph.h"
#include "libruntime/core/io/mnn_file.h"

namespace mnn {

inline constexpr std::string_view kModelMagic = "MNNTBX";
inline constexpr size_t kHeaderBytes = 64, kSectionEntryBytes = 64, kChunkHashBytes = 16;
inline constexpr uint64_t kTensorAlignment = 64, kPageAlignment = 4096;
inline constexpr uint64_t kChunkBytes = uint64_t{1} << 20;
// Reading a graph takes many times its bytes of memory: larger ones are refused.
inline constexpr uint64_t kMaxGraphBytes = uint64_t{1} << 28;
inline constexpr uint64_t kMaxMetadataBytes = uint64_t{1} << 28;
inline constexpr int kMaxSubgraphDepth = 32, kMaxMetadataDepth = 64;
inline constexpr uint32_t kMaxSections = 64;
// Tensors with fewer bytes live in the graph section.
inline constexpr int64_t kInlineBytes = 64;

enum class SectionKind : uint32_t {
  kGraph = 1,
  kWeights = 2,
  kMetadata = 3,
  kGolden = 4,
  kSignature = 5,  // reserved
  kChunks = 6,
};
std::string section_name(SectionKind kind);

// A section with this flag is covered by the chunk table.
inline constexpr uint32_t kSectionChunked = 1;
// A reader that does not know the kind of a section with this flag must refuse the file.
inline constexpr uint32_t kSectionRequired = 2;

struct Section {
  // Other numbers are kinds of newer versions.
  SectionKind kind = SectionKind::kGraph;
  uint32_t flags = 0;
  uint64_t offset = 0, bytes = 0;
  std::array<std::byte, 32> sha256{};
};

using ChunkHash = std::array<std::byte, kChunkHashBytes>;

// The header and section table of a file of `file_bytes` bytes.
std::vector<std::byte> encode_layout(std::span<const Section> sections, uint64_t file_bytes);
// Reads them back. Sections are in order, inside the file and apart from each other; what is
// between them is zero.
Result<std::vector<Section>> decode_layout(std::span<const std::byte> file);
const Section* find_section(std::span<const Section> sections, SectionKind kind);
inline std::span<const std::byte> section_bytes(std::span<const std::byte> file, const Section& s) {
  return file.subspan(s.offset, s.bytes);
}

uint64_t xxh3_64(std::span<const std::byte> bytes);
ChunkHash chunk_hash(std::span<const std::byte> chunk);

// SHA-256 and chunk checksums of bytes that come in pieces.
class SectionHasher {
 public:
  explicit SectionHasher(bool chunked);
  ~SectionHasher();
  SectionHasher(const SectionHasher&) = delete;
  SectionHasher& operator=(const SectionHasher&) = delete;
  void add(std::span<const std::byte> bytes);
  std::array<std::byte, 32> sha256();
  // After sha256().
  const std::vector<ChunkHash>& chunks() const { return chunks_; }

 private:
  void finish_chunk();
  struct State;
  std::unique_ptr<State> state_;
  uint64_t in_chunk_ = 0;
  std::vector<ChunkHash> chunks_;
};

inline uint64_t round_up(uint64_t bytes, uint64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

// Where the bytes of a section's tensors come from: pieces at ascending offsets, zeros between.
struct DataSection {
  struct Piece {
    std::span<const std::byte> bytes;
    uint64_t offset;
  };
  std::vector<Piece> pieces;
  uint64_t bytes = 0;
};

// A model as its graph section and the bytes beside it, which point into the model.
struct EncodedModel {
  std::vector<std::byte> graph;
  DataSection weights, golden;
};
Result<EncodedModel> encode_model(const Model& model);

// The data sections a graph section refers to. Tensors keep `owner`.
struct DataSections {
  std::span<const std::byte> weights, golden;
  std::shared_ptr<const void> weights_owner, golden_owner;
};
// Checks everything and never trusts a count. Fills the graph and the golden tensors.
Result<Model> decode_model(std::span<const std::byte> graph, const DataSections& data);

// What a reader must know beyond the tables of the first version to read the graph right, by name.
std::vector<std::string> required_features(const Graph& graph);
bool is_known_feature(std::string_view name);

// What must hold of a model in a file beyond verify(): constants fit their types, golden tensors
// their graph.
Status check_model(const Model& model);
// An object, not nested too deeply; returns it with sorted keys.
Result<std::string> canonical_metadata(std::string_view json);
Status check_metadata(std::string_view json);

}  // namespace mnn
