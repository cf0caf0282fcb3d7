#include <functional>

#include "libruntime/core/io/file.h"
#include "libruntime/core/io/mnn_file.h"
#include "libruntime/core/io/mnn_layout.h"

namespace mnn {
namespace {

using Sink = std::function<Status(std::span<const std::byte>)>;

Status emit_zeros(uint64_t count, const Sink& sink) {
  static constexpr std::byte kZeros[kPageAlignment] = {};
  for (; count > 0; count -= std::min<uint64_t>(count, sizeof kZeros)) {
    MNN_RETURN_IF_ERROR(sink(std::span(kZeros).first(std::min<uint64_t>(count, sizeof kZeros))));
  }
  return {};
}

Status emit(const DataSection& data, const Sink& sink) {
  uint64_t at = 0;
  for (const DataSection::Piece& piece : data.pieces) {
    MNN_RETURN_IF_ERROR(emit_zeros(piece.offset - at, sink));
    MNN_RETURN_IF_ERROR(sink(piece.bytes));
    release_pages(piece.bytes);
    at = piece.offset + piece.bytes.size();
  }
  return {};
}

DataSection as_data(std::span<const std::byte> bytes) { return {{{bytes, 0}}, bytes.size()}; }

// Sections in file order. Small ones come first, so that whoever reads the beginning of a file
// knows all about the rest.
struct Layout {
  std::vector<Section> sections;
  std::vector<DataSection> contents;
  uint64_t bytes = 0;

  void add(SectionKind kind, uint32_t flags, const DataSection& data,
           const std::array<std::byte, 32>& sha256) {
    sections.push_back({kind, flags, 0, data.bytes, sha256});
    contents.push_back(data);
  }

  void place() {
    bytes = kHeaderBytes + sections.size() * kSectionEntryBytes;
    for (Section& s : sections) {
      s.offset = round_up(bytes, s.flags & kSectionChunked ? kPageAlignment : kTensorAlignment);
      bytes = s.offset + s.bytes;
    }
  }
};

std::array<std::byte, 32> hash_of(const DataSection& data, std::vector<ChunkHash>* chunks) {
  SectionHasher hasher(chunks != nullptr);
  // Hashing never fails.
  (void)emit(data, [&](std::span<const std::byte> bytes) {
    hasher.add(bytes);
    return Status();
  });
  const auto digest = hasher.sha256();
  if (chunks) chunks->insert(chunks->end(), hasher.chunks().begin(), hasher.chunks().end());
  return digest;
}

Status emit_model(const Model& model, const Sink& sink) {
  MNN_RETURN_IF_ERROR(check_model(model));
  MNN_ASSIGN_OR_RETURN(const std::string metadata, canonical_metadata(model.metadata_json));
  MNN_ASSIGN_OR_RETURN(const EncodedModel encoded, encode_model(model));

  std::vector<ChunkHash> chunks;
  const auto weights_hash = hash_of(encoded.weights, &chunks);
  const auto golden_hash = hash_of(encoded.golden, &chunks);
  const DataSection graph = as_data(encoded.graph);
  const DataSection meta = as_data(std::as_bytes(std::span(metadata)));
  const DataSection chunk_table = as_data(std::as_bytes(std::span(chunks)));
  Layout layout;
  layout.add(SectionKind::kGraph, kSectionRequired, graph, hash_of(graph, nullptr));
  layout.add(SectionKind::kMetadata, 0, meta, hash_of(meta, nullptr));
  layout.add(SectionKind::kChunks, kSectionRequired, chunk_table, hash_of(chunk_table, nullptr));
  layout.add(SectionKind::kWeights, kSectionRequired | kSectionChunked, encoded.weights,
             weights_hash);
  if (!model.golden_inputs.empty() || !model.golden_outputs.empty()) {
    layout.add(SectionKind::kGolden, kSectionChunked, encoded.golden, golden_hash);
  }
  layout.place();

  const std::vector<std::byte> head = encode_layout(layout.sections, layout.bytes);
  MNN_RETURN_IF_ERROR(sink(head));
  uint64_t at = head.size();
  for (size_t i = 0; i < layout.sections.size(); ++i) {
    MNN_RETURN_IF_ERROR(emit_zeros(layout.sections[i].offset - at, sink));
    MNN_RETURN_IF_ERROR(emit(layout.contents[i], sink));
    at = layout.sections[i].offset + layout.sections[i].bytes;
  }
  return {};
}

}  // namespace

Status write_model(const Model& model, const std::string& path) {
  MNN_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  const Status status =
      emit_model(model, [&](std::span<const std::byte> bytes) { return file.append(bytes); });
  if (!status.ok()) {
    return status.code() == Code::kNotAccessible ? status : status.context(path);
  }
  return file.commit();
}

Result<std::vector<std::byte>> try_serialize_model(const Model& model) {
  std::vector<std::byte> out;
  MNN_RETURN_IF_ERROR(emit_model(model, [&](std::span<const std::byte> bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
    return Status();
  }));
  return out;
}

std::vector<std::byte> serialize_model(const Model& model) {
  Result<std::vector<std::byte>> bytes = try_serialize_model(model);
  return bytes.ok() ? *std::move(bytes) : std::vector<std::byte>();
}

}  // namespace mnn
