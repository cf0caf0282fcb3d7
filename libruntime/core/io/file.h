// Whole files: memory-mapped reading, writing under a temporary name, hashes.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "libruntime/core/status.h"

namespace mnn {

// A file mapped read-only; regular files only. An empty file has an empty span.
struct MappedFile {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};
Result<MappedFile> map_file(const std::string& path);

// Writes `path` through a temporary file in the same folder that is flushed and renamed: readers
// see the old file or the new one. On failure the temporary file is removed. append() may be called
// many times before commit().
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::string& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();  // without commit(): removes the temporary file
  Status append(std::span<const std::byte> bytes);
  Status commit();

 private:
  AtomicFile(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}
  std::string path_, temporary_;
  int fd_ = -1;
};
Status write_file(const std::string& path, std::string_view text);

std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace mnn
