// Makes the checksums of a changed .mnn file right again: a fuzzer cannot guess them, whoever makes
// a file on purpose can.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "libruntime/core/io/mnn_layout.h"

namespace mnn {

// The header's file size, the chunk table, the sections' SHA-256 and the checksums of header and
// section table, as far as what they cover is inside the file.
inline void repair_checksums(std::vector<std::byte>& b) {
  auto get = [&](size_t at) {
    uint64_t v = 0;
    for (size_t i = 0; i < 8; ++i) v |= static_cast<uint64_t>(b[at + i]) << (8 * i);
    return v;
  };
  auto put = [&](size_t at, uint64_t v) {
    for (size_t i = 0; i < 8; ++i) b[at + i] = static_cast<std::byte>(v >> (8 * i));
  };
  if (b.size() < kHeaderBytes) return;
  const uint64_t count = get(8) >> 32;  // u32 at 12
  const uint64_t table = kHeaderBytes, end = table + count * kSectionEntryBytes;
  if (count > kMaxSections || end > b.size()) return;
  put(24, b.size());
  struct Range {
    uint64_t entry, kind, flags, offset, bytes;
  };
  std::vector<Range> sections;
  for (uint64_t i = 0; i < count; ++i) {
    const size_t entry = table + i * kSectionEntryBytes;
    const Range r{entry, get(entry) & 0xffffffff, get(entry) >> 32, get(entry + 8),
                  get(entry + 16)};
    if (r.offset <= b.size() && r.bytes <= b.size() - r.offset) sections.push_back(r);
  }
  for (const Range& table_of : sections) {
    if (table_of.kind != static_cast<uint64_t>(SectionKind::kChunks)) continue;
    uint64_t to = table_of.offset;
    for (const Range& r : sections) {
      if (!(r.flags & kSectionChunked)) continue;
      for (uint64_t at = 0; at < r.bytes; at += kChunkBytes, to += kChunkHashBytes) {
        if (to + kChunkHashBytes > table_of.offset + table_of.bytes) break;
        const ChunkHash hash = chunk_hash(
            std::span(b).subspan(r.offset + at, std::min<uint64_t>(kChunkBytes, r.bytes - at)));
        std::copy(hash.begin(), hash.end(), b.begin() + static_cast<long>(to));
      }
    }
  }
  for (const Range& r : sections) {
    SectionHasher hasher(false);
    hasher.add(std::span(b).subspan(r.offset, r.bytes));
    const auto digest = hasher.sha256();
    std::copy(digest.begin(), digest.end(), b.begin() + static_cast<long>(r.entry + 24));
  }
  put(40, xxh3_64(std::span(b).subspan(table, end - table)));
  put(56, xxh3_64(std::span(b).first(56)));
}

}  // namespace mnn
