#include "apps/flows/file_roles.h"

#include <sys/stat.h>

#include <filesystem>
#include <mutex>

namespace mnn::flows {
namespace {

namespace fs = std::filesystem;

std::string named(const std::string& what, const std::string& path) { return what + " " + path; }

// What an output must not be. Of a file that no flag names `what` is empty.
std::string an_input(const std::string& what, const std::string& path) {
  return (what.empty() ? "a file that the command reads"
                       : "the file that " + named(what, path) + " is read from") +
         std::string("; inputs are never changed");
}

std::string place_of(const std::string& path) {
  std::error_code ec;
  return fs::weakly_canonical(fs::absolute(path, ec), ec).lexically_normal().string();
}

// Of a regular file; devices and folders may serve twice.
std::optional<std::pair<dev_t, ino_t>> identity_of(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return std::nullopt;
  return std::pair(info.st_dev, info.st_ino);
}

// Standard input and output are no files that can be mapped or renamed.
Status check_name(const std::string& what, const std::string& path, const char* why) {
  if (path != "-") return {};
  return usage_error(what + " -: " + why + "; a file of that name is ./-");
}

// Files may be opened by several threads.
std::mutex opening;

}  // namespace

Status FileRoles::reads(const std::string& what, const std::string& path) {
  MNN_RETURN_IF_ERROR(check_name(what, path,
                                 "the standard input is not read: files are mapped into memory, "
                                 "which a pipe cannot be"));
  const auto identity = identity_of(path);
  if (!identity || inputs_.contains(*identity)) return {};
  for (const Output& output : outputs_) {
    if (output.identity == identity) {
      return usage_error(named(output.what, output.path) + " is " + an_input(what, path));
    }
  }
  inputs_.emplace(*identity, Named{what, path});
  return {};
}

Status FileRoles::writes(const std::string& what, const std::string& path) {
  MNN_RETURN_IF_ERROR(check_name(what, path,
                                 "files are written under another name and renamed, which the "
                                 "standard output cannot be"));
  Output file{{what, path}, identity_of(path), place_of(path)};
  const auto input = file.identity ? inputs_.find(*file.identity) : inputs_.end();
  if (input != inputs_.end()) {
    return usage_error(named(what, path) + " is " +
                       an_input(input->second.what, input->second.path));
  }
  std::error_code ec;
  const bool special = !file.identity && fs::exists(path, ec);
  for (const Output& other : outputs_) {
    if (special || (file.identity ? file.identity != other.identity : file.place != other.place)) {
      continue;
    }
    return usage_error(named(what, path) + " and " + named(other.what, other.path) +
                       " are the same file");
  }
  outputs_.push_back(std::move(file));
  return {};
}

void FileRoles::updates(const std::string& path) {
  if (const auto identity = identity_of(path)) inputs_.erase(*identity);
}

Status FileRoles::about_to_read(const std::string& path) {
  const std::lock_guard lock(opening);
  const auto identity = identity_of(path);
  if (!identity || inputs_.contains(*identity)) return {};
  // What this process wrote itself it may look at.
  if (!written_.empty() && was_written(path)) return {};
  return reads("", path);
}

Status FileRoles::about_to_write(const std::string& path) {
  const std::lock_guard lock(opening);
  const auto identity = identity_of(path);
  const auto input = identity ? inputs_.find(*identity) : inputs_.end();
  if (input != inputs_.end()) {
    return usage_error(path + " would replace " + an_input(input->second.what, input->second.path));
  }
  written_.insert(place_of(path));
  return {};
}

bool FileRoles::is_input(const std::string& path) const {
  const auto identity = identity_of(path);
  return identity && inputs_.contains(*identity);
}

bool FileRoles::was_written(const std::string& path) const {
  return written_.contains(place_of(path));
}

FileRoles& file_roles() {
  static FileRoles roles;
  return roles;
}

}  // namespace mnn::flows
