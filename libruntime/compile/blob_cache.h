// What devices have compiled, kept on disk from one program to the next.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mnn {

// Blobs by key, each a file of its own named by the key's hash. A blob that is torn, of another
// format or of another key is not found. Failures to write are silent: without its cache a program
// is slower and no less right. Any number of processes may share a folder.
class BlobCache {
 public:
  static constexpr int64_t kMostBytes = int64_t{256} << 20;  // the oldest go when there are more

  // In MNN_CACHE_DIR (empty: no cache), else in the user's cache folder, else nowhere.
  static BlobCache of_user();
  explicit BlobCache(std::string folder) : folder_(std::move(folder)) {}

  std::optional<std::string> get(std::string_view key) const;
  void put(std::string_view key, std::string_view blob) const;
  void drop(std::string_view key) const;

 private:
  std::string path_of(std::string_view key) const;
  void trim() const;

  const std::string folder_;  // empty: nothing is kept
};

}  // namespace mnn
