// The files a source model lies in: one file with others beside it, or a folder.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "libconvert/convert.h"
#include "libruntime/core/io/file.h"

namespace mnn::frontend {

// What all files of one source may have together: all of it is hashed.
inline constexpr int64_t kMaxSourceBytes = int64_t{1} << 38;

// Opens files for a front end and keeps account of them. Names come from the model, so they are not
// trusted: only regular files whose real path lies in the model's folder are opened. Each is mapped
// once and stays mapped as long as somebody holds it.
class SourceFiles {
 public:
  // Touches nothing but to see whether `path` is a folder.
  explicit SourceFiles(std::string path);
  const std::string& path() const { return path_; }
  bool is_folder() const { return is_folder_; }
  // Names in a source folder (or the folder `inside` of it) of what is no folder and ends so, in
  // byte order; empty when it cannot be read.
  std::vector<std::string> list(std::string_view ending, const std::string& inside = {}) const;

  // The model's own file: the source, or in a source folder the file `name`, which the model has no
  // say in. Later locations are relative to its folder.
  Result<MappedFile> open_main(const std::string& name = {});
  // A file the model names, of at most `most` bytes.
  Result<MappedFile> open(const std::string& location, int64_t most = kMaxSourceBytes);
  // A file the caller names, wherever it lies.
  Result<MappedFile> open_given(const std::string& path);

  // What was opened so far, the model's own file first.
  const std::vector<SourceFile>& files() const { return files_; }

 private:
  Result<std::string> resolve(const std::string& location) const;
  Result<MappedFile> add(const std::string& name, const std::string& path, int64_t most);

  std::string path_;
  bool is_folder_ = false;
  std::string main_, folder_;         // the model's own file; locations are relative to the folder
  std::map<std::string, size_t> at_;  // location or real path -> index into files_
  std::vector<SourceFile> files_;
  int64_t bytes_ = 0;
};

}  // namespace mnn::frontend
