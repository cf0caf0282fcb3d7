#include "libconvert/frontends/common/side_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <filesystem>

namespace mnn::frontend {
namespace {

namespace fs = std::filesystem;

// The longest location a file system takes.
constexpr size_t kMaxLocation = PATH_MAX;

std::string real_path(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return {};
  std::string text = resolved;
  std::free(resolved);
  return text;
}

std::string folder_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

bool inside(const std::string& path, const std::string& folder) {
  const std::string prefix = folder == "/" ? folder : folder + "/";
  return path.size() > prefix.size() && path.compare(0, prefix.size(), prefix) == 0;
}

}  // namespace

SourceFiles::SourceFiles(std::string path) : path_(std::move(path)) {
  std::error_code ec;
  is_folder_ = fs::is_directory(path_, ec);
  main_ = path_;
  folder_ = is_folder_ ? path_ : folder_of(path_);
}

std::vector<std::string> SourceFiles::list(std::string_view ending,
                                           const std::string& inside) const {
  std::vector<std::string> names;
  std::error_code ec;
  const fs::path folder = inside.empty() ? fs::path(path_) : fs::path(path_) / inside;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename().string();
    std::error_code kind;
    if (name.ends_with(ending) && !it->is_directory(kind)) {
      names.push_back(inside.empty() ? name : inside + "/" + name);
    }
  }
  std::ranges::sort(names);
  return names;
}

Result<MappedFile> SourceFiles::open_main(const std::string& name) {
  main_ = is_folder_ ? path_ + "/" + name : path_;
  folder_ = folder_of(main_);
  return add(is_folder_ ? name : fs::path(path_).filename().string(), main_, kMaxSourceBytes);
}

Result<MappedFile> SourceFiles::open(const std::string& location, int64_t most) {
  const auto known = at_.find(location);
  if (known != at_.end()) return files_[known->second].file;
  MNN_ASSIGN_OR_RETURN(const std::string path, resolve(location));
  // A pipe or device must not even be opened: opening may block.
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return invalid("file " + location + " is not a regular file");
  }
  MNN_ASSIGN_OR_RETURN(MappedFile file,
                       add(fs::path(location).lexically_normal().string(), path, most));
  at_[location] = at_[path];
  return file;
}

Result<MappedFile> SourceFiles::open_given(const std::string& path) {
  return add(fs::path(path).filename().string(), path, kMaxSourceBytes);
}

Result<std::string> SourceFiles::resolve(const std::string& location) const {
  if (location.empty()) return invalid("a file without a name");
  if (location.size() >= kMaxLocation) return invalid("the name of a file is too long");
  if (location.find('\0') != std::string::npos) return invalid("the name of a file holds a NUL");
  if (location[0] == '/') return invalid("file " + location + " is not a relative path");
  const std::string resolved = real_path(folder_ + "/" + location);
  if (resolved.empty()) return not_accessible("file " + location + " is not there");
  // A model that is itself a link (a download cache) may have its data beside the link's target.
  for (const std::string& root :
       {real_path(is_folder_ ? path_ : folder_), folder_of(real_path(main_))}) {
    if (!root.empty() && inside(resolved, root)) return resolved;
  }
  return invalid("file " + location + " is outside the model's folder");
}

Result<MappedFile> SourceFiles::add(const std::string& name, const std::string& path,
                                    int64_t most) {
  const std::string real = real_path(path);
  const auto known = at_.find(real);
  if (known != at_.end()) return files_[known->second].file;
  MNN_ASSIGN_OR_RETURN(MappedFile file, map_file(path));
  const auto size = static_cast<int64_t>(file.bytes.size());
  const int64_t left = kMaxSourceBytes - bytes_;
  if (size > std::min(most, left)) {
    return limit_exceeded("file " + name + " has " + std::to_string(size) + " bytes, at most " +
                          std::to_string(std::min(most, left)) + " are read");
  }
  bytes_ += size;
  at_[real] = files_.size();
  files_.push_back({name, file});
  return file;
}

}  // namespace mnn::frontend

namespace mnn {

std::string source_sha256(std::span<const SourceFile> files) {
  if (files.empty()) return {};
  std::vector<const SourceFile*> order;
  for (const SourceFile& f : files) order.push_back(&f);
  std::sort(order.begin() + 1, order.end(),
            [](const SourceFile* a, const SourceFile* b) { return a->name < b->name; });
  std::string digests;
  for (const SourceFile* f : order) digests += sha256_hex(f->file.bytes) + "\n";
  if (files.size() == 1) return digests.substr(0, digests.size() - 1);
  return sha256_hex(std::as_bytes(std::span(digests)));
}

}  // namespace mnn
