// Zip archives in memory: stored and deflated entries, 64-bit sizes. Every offset and size is
// checked against the file before use, and nothing is ever unpacked to disk.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "libruntime/core/io/file.h"
#include "libruntime/core/status.h"

namespace mnn {

struct ZipEntry {
  std::string name;
  uint64_t flags = 0, method = 0, crc = 0, packed = 0, unpacked = 0;
  uint64_t offset = 0;  // of its local header
};

class ZipArchive {
 public:
  ZipArchive(ZipArchive&&) = default;
  ZipArchive& operator=(ZipArchive&&) = default;
  // Reads the directory. kInvalidArgument when it is malformed, names an entry twice, or when
  // entries overlap each other or the directory.
  static Result<ZipArchive> open(MappedFile file);
  // In the order of the directory.
  const std::vector<ZipEntry>& entries() const { return entries_; }
  const ZipEntry* find(std::string_view name) const;
  // A stored entry is a slice of the file, which it keeps alive; a deflated one is unpacked, and
  // its checksum verified. kLimit beyond `most` bytes; kUnsupported for other methods.
  Result<MappedFile> read(const ZipEntry& entry, uint64_t most) const;

 private:
  ZipArchive() = default;
  MappedFile file_;
  std::vector<ZipEntry> entries_;
  std::unordered_map<std::string_view, size_t> by_name_;
};

// Of the bytes that read() gives.
Status verify_checksum(const ZipEntry& entry, std::span<const std::byte> bytes);
// The names of the entries, in the order of the directory. Looks at nothing else.
Result<std::vector<std::string>> zip_names(std::span<const std::byte> bytes);

}  // namespace mnn
