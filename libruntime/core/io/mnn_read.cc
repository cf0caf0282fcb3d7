#include <algorithm>
#include <set>

#include "libruntime/core/io/file.h"
#include "libruntime/core/io/mnn_file.h"
#include "libruntime/core/io/mnn_layout.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

Status check_values(const Graph& graph) {
  for (const Value& v : graph.values) {
    const std::string where = "value '" + v.name + "'";
    if (!is_stored(v) || !v.data.defined()) continue;
    const DType dtype = v.quant ? v.quant->storage : v.type.dtype;
    const bool fits = v.type.kind == Type::Kind::kTensor && v.data.dtype() == dtype &&
                      v.type.shape && same_shape(*v.type.shape, to_shape(v.data.dims()));
    if (!fits) {
      return invalid(where + " has type " + v.type.str() + ", but its data is " +
                     v.data.type_str());
    }
  }
  std::set<ValueId> border;
  for (const auto* list : {&graph.inputs, &graph.captures}) {
    for (const ValueId id : *list) {
      if (graph.value(id).kind != ValueKind::kInput || !border.insert(id).second) {
        return invalid("value '" + graph.value(id).name +
                       "' is an input twice, or not of the kind input");
      }
    }
  }
  for (const Node& node : graph.nodes) {
    for (const Graph& g : node.subgraphs) MNN_RETURN_IF_ERROR(check_values(g));
  }
  return {};
}

Status check_golden(const std::vector<Tensor>& golden, const std::vector<ValueId>& ids,
                    const Graph& graph, const std::string& what) {
  if (golden.size() != ids.size()) {
    return invalid("expected " + std::to_string(ids.size()) + " golden " + what + ", found " +
                   std::to_string(golden.size()));
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    const Type& type = graph.value(ids[i]).type;
    if (type.defined() && golden[i].defined() && type.dtype != golden[i].dtype()) {
      return invalid("golden " + what + " " + std::to_string(i) + ": expected " + type.str() +
                     ", found " + golden[i].type_str());
    }
  }
  return {};
}

// Which section the next chunk checksums belong to: chunked sections in file order.
struct ChunkedSection {
  const Section* section;
  std::span<const std::byte> hashes;
};

Result<std::vector<ChunkedSection>> chunked_sections(std::span<const Section> sections,
                                                     std::span<const std::byte> file) {
  std::vector<ChunkedSection> out;
  const Section* table = find_section(sections, SectionKind::kChunks);
  std::span<const std::byte> hashes;
  if (table) hashes = section_bytes(file, *table);
  for (const Section& s : sections) {
    if (!(s.flags & kSectionChunked)) continue;
    const uint64_t bytes = (s.bytes / kChunkBytes + (s.bytes % kChunkBytes != 0)) * kChunkHashBytes;
    if (bytes > hashes.size()) return invalid("the chunk table is too short");
    out.push_back({&s, hashes.first(bytes)});
    hashes = hashes.subspan(bytes);
  }
  if (!hashes.empty()) return invalid("the chunk table is too long");
  return out;
}

// The first chunk that is not what its checksum says; nullopt when all are.
std::optional<uint64_t> first_bad_chunk(const ChunkedSection& c, std::span<const std::byte> file) {
  const auto bytes = section_bytes(file, *c.section);
  for (uint64_t at = 0, i = 0; at < bytes.size(); at += kChunkBytes, ++i) {
    const auto chunk = bytes.subspan(at, std::min<uint64_t>(kChunkBytes, bytes.size() - at));
    const auto stored = c.hashes.subspan(i * kChunkHashBytes, kChunkHashBytes);
    const ChunkHash hash = chunk_hash(chunk);
    release_pages(chunk);
    if (!std::equal(hash.begin(), hash.end(), stored.begin())) return i;
  }
  return std::nullopt;
}

bool is_intact(const Section& s, std::span<const std::byte> file) {
  SectionHasher hasher(false);
  hasher.add(section_bytes(file, s));
  return hasher.sha256() == s.sha256;
}

Status damaged(SectionKind kind) {
  return invalid("section " + section_name(kind) + " is damaged: its checksum does not match");
}

// Tensors in a file are aligned as the file is. Bytes that are not are copied once.
Result<std::span<const std::byte>> aligned(std::span<const std::byte> bytes,
                                           std::shared_ptr<const void>& owner) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % kTensorAlignment == 0) return bytes;
  MNN_ASSIGN_OR_RETURN(const Tensor whole,
                       Tensor::wrap(DType::kU8, {static_cast<int64_t>(bytes.size())},
                                    const_cast<std::byte*>(bytes.data()))
                           .clone());
  const auto kept = std::make_shared<Tensor>(whole);
  owner = kept;
  return std::span<const std::byte>(kept->raw(), bytes.size());
}

std::string hex(const std::array<std::byte, 32>& digest) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const std::byte b : digest) {
    out += {kHex[static_cast<unsigned>(b) >> 4], kHex[static_cast<unsigned>(b) & 15]};
  }
  return out;
}

}  // namespace

Status check_model(const Model& model) {
  const Status status = verify(model.graph);
  // Whatever verify() holds to be our own mistake came from a file here.
  if (!status.ok()) {
    return status.code() == Code::kInternal ? invalid(status.message()) : status;
  }
  MNN_RETURN_IF_ERROR(check_values(model.graph));
  if (model.golden_inputs.empty() && model.golden_outputs.empty()) return {};
  MNN_RETURN_IF_ERROR(check_golden(model.golden_inputs, model.graph.inputs, model.graph, "inputs"));
  return check_golden(model.golden_outputs, model.graph.outputs, model.graph, "outputs");
}

bool is_model_file(std::span<const std::byte> head) {
  return head.size() >= kModelMagic.size() &&
         std::memcmp(head.data(), kModelMagic.data(), kModelMagic.size()) == 0;
}

Result<Model> parse_model(std::span<const std::byte> file, std::shared_ptr<const void> owner,
                          const ReadOptions& options) {
  MNN_ASSIGN_OR_RETURN(const std::vector<Section> sections, decode_layout(file));
  MNN_ASSIGN_OR_RETURN(const auto chunked, chunked_sections(sections, file));
  for (const Section& s : sections) {
    if (!(s.flags & kSectionChunked) && !is_intact(s, file)) return damaged(s.kind);
  }
  for (const ChunkedSection& c : chunked) {
    if (!options.check_weights) break;
    if (const auto bad = first_bad_chunk(c, file)) {
      return invalid("section " + section_name(c.section->kind) +
                     " is damaged: the checksum of chunk " + std::to_string(*bad) +
                     " does not match");
    }
  }
  const Section* graph = find_section(sections, SectionKind::kGraph);
  if (graph == nullptr) return invalid("there is no graph section");

  DataSections data;
  auto locate = [&](SectionKind kind, std::span<const std::byte>& bytes,
                    std::shared_ptr<const void>& keeper) -> Status {
    keeper = owner;
    const Section* s = find_section(sections, kind);
    if (s == nullptr) return {};
    MNN_ASSIGN_OR_RETURN(bytes, aligned(section_bytes(file, *s), keeper));
    return {};
  };
  MNN_RETURN_IF_ERROR(locate(SectionKind::kWeights, data.weights, data.weights_owner));
  MNN_RETURN_IF_ERROR(locate(SectionKind::kGolden, data.golden, data.golden_owner));
  std::shared_ptr<const void> graph_owner;
  MNN_ASSIGN_OR_RETURN(const auto graph_bytes, aligned(section_bytes(file, *graph), graph_owner));
  MNN_ASSIGN_OR_RETURN(Model model, decode_model(graph_bytes, data));

  if (const Section* metadata = find_section(sections, SectionKind::kMetadata)) {
    const auto bytes = section_bytes(file, *metadata);
    model.metadata_json.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    MNN_RETURN_IF_ERROR(check_metadata(model.metadata_json));
  }
  MNN_RETURN_IF_ERROR(check_model(model));
  return model;
}

Result<Model> read_model(const std::string& path, const ReadOptions& options) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  Result<Model> model = parse_model(file.bytes, file.owner, options);
  if (!model.ok()) return model.status().context(path);
  return model;
}

Result<std::vector<SectionInfo>> verify_file(const std::string& path) {
  MNN_ASSIGN_OR_RETURN(const MappedFile file, map_file(path));
  const auto sections = decode_layout(file.bytes);
  if (!sections.ok()) return sections.status().context(path);
  const auto chunked = chunked_sections(*sections, file.bytes);
  std::vector<SectionInfo> out;
  for (const Section& s : *sections) {
    SectionInfo info;
    info.name = section_name(s.kind);
    info.offset = static_cast<int64_t>(s.offset);
    info.bytes = static_cast<int64_t>(s.bytes);
    info.sha256 = hex(s.sha256);
    info.intact = is_intact(s, file.bytes);
    if (s.flags & kSectionChunked) info.intact &= chunked.ok();
    for (size_t i = 0; chunked.ok() && i < chunked->size(); ++i) {
      if ((*chunked)[i].section->kind == s.kind) {
        info.intact &= !first_bad_chunk((*chunked)[i], file.bytes).has_value();
      }
    }
    out.push_back(std::move(info));
  }
  return out;
}

}  // namespace mnn
