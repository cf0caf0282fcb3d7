#include "libruntime/core/io/mnn_layout.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include <algorithm>
#include <cstdlib>

namespace mnn {
namespace {

// Offsets inside the header.
constexpr size_t kAtMajor = 6, kAtMinor = 8, kAtSections = 12, kAtTable = 16, kAtFileBytes = 24,
                 kAtFlags = 32, kAtTableHash = 40, kAtHeaderHash = 56;

void put(std::vector<std::byte>& out, size_t at, uint64_t value, size_t width) {
  for (size_t i = 0; i < width; ++i) out[at + i] = static_cast<std::byte>(value >> (8 * i));
}

uint64_t get(std::span<const std::byte> bytes, size_t at, size_t width) {
  uint64_t value = 0;
  for (size_t i = 0; i < width; ++i) value |= static_cast<uint64_t>(bytes[at + i]) << (8 * i);
  return value;
}

bool all_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte(0); });
}

bool is_known(SectionKind kind) {
  return kind >= SectionKind::kGraph && kind <= SectionKind::kChunks;
}

Status check_header(std::span<const std::byte> file) {
  if (!is_model_file(file)) return invalid("not a .mnn file: it does not begin with MNNTBX");
  if (file.size() < kHeaderBytes) return invalid("the file ends in its header");
  const uint64_t major = get(file, kAtMajor, 2), minor = get(file, kAtMinor, 2);
  if (major == 0 || major > static_cast<uint64_t>(kFormatMajor)) {
    return unsupported("the file has format version " + std::to_string(major) + "." +
                       std::to_string(minor) + ", this program reads versions up to " +
                       std::to_string(kFormatMajor) + ".x: use a newer one");
  }
  if (get(file, kAtHeaderHash, 8) != xxh3_64(file.first(kAtHeaderHash))) {
    return invalid("the header is damaged: its checksum does not match");
  }
  const uint64_t bytes = get(file, kAtFileBytes, 8);
  if (bytes != file.size()) {
    return invalid("the file should have " + std::to_string(bytes) + " bytes, it has " +
                   std::to_string(file.size()));
  }
  if (get(file, kAtFlags, 8) != 0) {
    return unsupported("the file uses features (flags " + std::to_string(get(file, kAtFlags, 8)) +
                       ") that this program does not have");
  }
  return {};
}

Section decode_section(std::span<const std::byte> entry) {
  Section s;
  s.kind = static_cast<SectionKind>(get(entry, 0, 4));
  s.flags = static_cast<uint32_t>(get(entry, 4, 4));
  s.offset = get(entry, 8, 8);
  s.bytes = get(entry, 16, 8);
  std::copy_n(entry.begin() + 24, s.sha256.size(), s.sha256.begin());
  return s;
}

}  // namespace

std::string section_name(SectionKind kind) {
  switch (kind) {
    case SectionKind::kGraph: return "graph";
    case SectionKind::kWeights: return "weights";
    case SectionKind::kMetadata: return "metadata";
    case SectionKind::kGolden: return "golden";
    case SectionKind::kSignature: return "signature";
    case SectionKind::kChunks: return "chunks";
  }
  return "unknown (" + std::to_string(static_cast<uint32_t>(kind)) + ")";
}

std::vector<std::byte> encode_layout(std::span<const Section> sections, uint64_t file_bytes) {
  std::vector<std::byte> out(kHeaderBytes + sections.size() * kSectionEntryBytes);
  for (size_t i = 0; i < kModelMagic.size(); ++i) out[i] = static_cast<std::byte>(kModelMagic[i]);
  put(out, kAtMajor, kFormatMajor, 2);
  put(out, kAtMinor, kFormatMinor, 2);
  put(out, kAtSections, sections.size(), 4);
  put(out, kAtTable, kHeaderBytes, 8);
  put(out, kAtFileBytes, file_bytes, 8);
  for (size_t i = 0; i < sections.size(); ++i) {
    const Section& s = sections[i];
    const size_t at = kHeaderBytes + i * kSectionEntryBytes;
    put(out, at, static_cast<uint32_t>(s.kind), 4);
    put(out, at + 4, s.flags, 4);
    put(out, at + 8, s.offset, 8);
    put(out, at + 16, s.bytes, 8);
    std::copy(s.sha256.begin(), s.sha256.end(), out.begin() + static_cast<long>(at + 24));
  }
  put(out, kAtTableHash, xxh3_64(std::span(out).subspan(kHeaderBytes)), 8);
  put(out, kAtHeaderHash, xxh3_64(std::span(out).first(kAtHeaderHash)), 8);
  return out;
}

Result<std::vector<Section>> decode_layout(std::span<const std::byte> file) {
  MNN_RETURN_IF_ERROR(check_header(file));
  const uint64_t count = get(file, kAtSections, 4), table = get(file, kAtTable, 8);
  const uint64_t table_bytes = count * kSectionEntryBytes;
  if (count > kMaxSections || table != kHeaderBytes || table_bytes > file.size() - kHeaderBytes) {
    return invalid("the section table makes no sense");
  }
  if (get(file, kAtTableHash, 8) != xxh3_64(file.subspan(table, table_bytes))) {
    return invalid("the section table is damaged: its checksum does not match");
  }
  std::vector<Section> sections;
  uint64_t end = table + table_bytes;
  for (uint64_t i = 0; i < count; ++i) {
    const Section s =
        decode_section(file.subspan(table + i * kSectionEntryBytes, kSectionEntryBytes));
    const std::string name = section_name(s.kind);
    if (!is_known(s.kind) && (s.flags & kSectionRequired)) {
      return unsupported("the file has a section " + name + " that this program does not know");
    }
    if (is_known(s.kind) && find_section(sections, s.kind) != nullptr) {
      return invalid("section " + name + " is there twice");
    }
    if (s.offset < end || s.offset > file.size() || s.bytes > file.size() - s.offset) {
      return invalid("section " + name + " is not inside the file, behind the one before it");
    }
    if (s.offset % kTensorAlignment != 0 || s.offset - end >= kPageAlignment ||
        !all_zero(file.subspan(end, s.offset - end))) {
      return invalid("section " + name + " does not begin where it should");
    }
    end = s.offset + s.bytes;
    sections.push_back(s);
  }
  if (end != file.size()) return invalid("there is something behind the last section");
  return sections;
}

const Section* find_section(std::span<const Section> sections, SectionKind kind) {
  const auto it = std::find_if(sections.begin(), sections.end(),
                               [&](const Section& s) { return s.kind == kind; });
  return it == sections.end() ? nullptr : &*it;
}

uint64_t xxh3_64(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

namespace {

ChunkHash canonical(XXH128_hash_t hash) {
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, hash);
  ChunkHash out;
  static_assert(sizeof bytes.digest == sizeof out);
  std::memcpy(out.data(), bytes.digest, sizeof bytes.digest);
  return out;
}

}  // namespace

ChunkHash chunk_hash(std::span<const std::byte> chunk) {
  return canonical(XXH3_128bits(chunk.data(), chunk.size()));
}

struct SectionHasher::State {
  EVP_MD_CTX* sha = EVP_MD_CTX_new();
  XXH3_state_t* chunk = nullptr;
  ~State() {
    EVP_MD_CTX_free(sha);
    XXH3_freeState(chunk);
  }
};

// OpenSSL and xxHash fail here only when memory for a few hundred bytes is out.
SectionHasher::SectionHasher(bool chunked) : state_(std::make_unique<State>()) {
  if (!state_->sha || EVP_DigestInit_ex(state_->sha, EVP_sha256(), nullptr) != 1) std::abort();
  if (!chunked) return;
  state_->chunk = XXH3_createState();
  if (!state_->chunk || XXH3_128bits_reset(state_->chunk) != XXH_OK) std::abort();
}

SectionHasher::~SectionHasher() = default;

void SectionHasher::add(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(state_->sha, bytes.data(), bytes.size()) != 1) std::abort();
  while (state_->chunk && !bytes.empty()) {
    const size_t n = std::min<size_t>(bytes.size(), kChunkBytes - in_chunk_);
    XXH3_128bits_update(state_->chunk, bytes.data(), n);
    in_chunk_ += n;
    bytes = bytes.subspan(n);
    if (in_chunk_ == kChunkBytes) finish_chunk();
  }
}

void SectionHasher::finish_chunk() {
  chunks_.push_back(canonical(XXH3_128bits_digest(state_->chunk)));
  XXH3_128bits_reset(state_->chunk);
  in_chunk_ = 0;
}

std::array<std::byte, 32> SectionHasher::sha256() {
  if (in_chunk_ > 0) finish_chunk();
  std::array<std::byte, 32> digest;
  if (EVP_DigestFinal_ex(state_->sha, reinterpret_cast<unsigned char*>(digest.data()), nullptr) !=
      1) {
    std::abort();
  }
  return digest;
}

}  // namespace mnn
