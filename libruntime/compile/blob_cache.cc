#include "libruntime/compile/blob_cache.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include "libruntime/core/io/file.h"
#include "libruntime/core/io/mnn_layout.h"

namespace mnn {
namespace {

namespace fs = std::filesystem;

constexpr char kMagic[8] = {'M', 'N', 'N', 'B', 'L', 'O', 'B', '1'};

// Before the key and the payload.
struct Header {
  char magic[8];
  uint64_t key_bytes, blob_bytes, hash;  // of key and blob
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

BlobCache BlobCache::of_user() {
  if (const char* given = std::getenv("MNN_CACHE_DIR")) return BlobCache(given);
  if (const char* base = std::getenv("XDG_CACHE_HOME"); base != nullptr && *base != '\0') {
    return BlobCache(std::string(base) + "/mnn-toolbox/kernels");
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    return BlobCache(std::string(home) + "/.cache/mnn-toolbox/kernels");
  }
  return BlobCache("");
}

std::string BlobCache::path_of(std::string_view key) const {
  return folder_ + "/" + sha256_hex(bytes_of(key)) + ".blob";
}

std::optional<std::string> BlobCache::get(std::string_view key) const {
  if (folder_.empty()) return std::nullopt;
  const std::string path = path_of(key);
  const Result<MappedFile> file = map_file(path);
  if (!file.ok()) return std::nullopt;
  Header header;
  if (file->bytes.size() < sizeof(header)) return std::nullopt;
  std::memcpy(&header, file->bytes.data(), sizeof(header));
  const auto rest = file->bytes.subspan(sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || header.key_bytes != key.size() ||
      rest.size() < key.size() || header.blob_bytes != rest.size() - key.size() ||
      header.hash != xxh3_64(rest) || std::memcmp(rest.data(), key.data(), key.size()) != 0) {
    drop(key);
    return std::nullopt;
  }
  const auto blob = rest.subspan(key.size());
  std::error_code ignored;
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
  return std::string(reinterpret_cast<const char*>(blob.data()), blob.size());
}

void BlobCache::put(std::string_view key, std::string_view blob) const {
  if (folder_.empty()) return;
  std::error_code error;
  fs::create_directories(folder_, error);
  std::string rest(key);
  rest += blob;
  Header header{{}, key.size(), blob.size(), xxh3_64(bytes_of(rest))};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  Result<AtomicFile> file = AtomicFile::create(path_of(key));
  if (!file.ok()) return;
  if (!file->append(std::as_bytes(std::span(&header, 1))).ok()) return;
  if (!file->append(bytes_of(rest)).ok()) return;
  if (file->commit().ok()) trim();
}

void BlobCache::drop(std::string_view key) const {
  if (folder_.empty()) return;
  std::error_code ignored;
  fs::remove(path_of(key), ignored);
}

void BlobCache::trim() const {
  struct File {
    fs::file_time_type used;
    fs::path path;
    int64_t bytes;
  };
  std::vector<File> files;
  int64_t total = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (entry.path().extension() != ".blob") continue;
    const auto bytes = static_cast<int64_t>(entry.file_size(error));
    if (error) continue;
    files.push_back({entry.last_write_time(error), entry.path(), bytes});
    total += bytes;
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) {
    return a.used != b.used ? a.used < b.used : a.path < b.path;
  });
  for (size_t i = 0; i < files.size() && total > kMostBytes; ++i) {
    fs::remove(files[i].path, error);
    total -= files[i].bytes;
  }
}

}  // namespace mnn
