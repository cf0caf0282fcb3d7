// Whole files: memory-mapped reading, writing under a temporary name, hashes.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "libruntime/core/status.h"

namespace mnn {

// Asked about every path that map_file is about to read, or AtomicFile to write, before the file is
// touched; an error refuses it. Process-wide, for programs: set before the first file is opened.
using FileGuard = std::function<Status(const std::string& path)>;
void set_file_guards(FileGuard reading, FileGuard writing);

// A file mapped read-only; regular files only. An empty file has an empty span. kNotAccessible with
// the reason otherwise.
struct MappedFile {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};
Result<MappedFile> map_file(const std::string& path);
// Says that these bytes were read and will not be soon: what of them lies in a mapped file leaves
// memory, and comes back from the file when somebody reads it. Other memory is left alone.
void release_pages(std::span<const std::byte> bytes);

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
  AtomicFile(std::string path, char* temporary, int fd)
      : path_(std::move(path)), temporary_(temporary), fd_(fd) {}
  std::string path_;
  char* temporary_;  // its entry among the files that remove_temporary_files() knows
  int fd_ = -1;
};
Status write_file(const std::string& path, std::string_view text);
// Removes the temporary file of every AtomicFile that is not committed. Async-signal-safe: for the
// handler of a signal that ends the process.
void remove_temporary_files();

std::string sha256_hex(std::span<const std::byte> bytes);

}  // namespace mnn
