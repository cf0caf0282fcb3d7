// Which files a command reads and which it writes: one that is both, or that two outputs name, is
// refused before anything is touched.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "libruntime/core/status.h"

namespace mnn::flows {

// Flags register their files before the command starts; what they do not name (external data,
// samples, a project's files) is registered when it is met: every read and write passes here first.
// All errors are kUsage. Two paths are the same file when device and inode are, whatever they are
// called; files that are not there yet, when they would be.
class FileRoles {
 public:
  // `what` names the file in messages: "--output", "MODEL".
  Status reads(const std::string& what, const std::string& path);
  Status writes(const std::string& what, const std::string& path);

  // A file that the command keeps up to date: read, and then replaced. Only mnn.json is.
  void updates(const std::string& path);

  // Asked before a file is opened to be read or replaced.
  Status about_to_read(const std::string& path);
  Status about_to_write(const std::string& path);
  // Whether it is an input, named by a flag or read.
  bool is_input(const std::string& path) const;
  // Whether this process wrote it, or began to.
  bool was_written(const std::string& path) const;

 private:
  using Identity = std::pair<dev_t, ino_t>;
  struct Named {
    std::string what, path;
  };
  struct Output : Named {
    std::optional<Identity> identity;  // of the regular file that is there
    std::string place;                 // the absolute path, links resolved
  };

  std::map<Identity, Named> inputs_;
  std::vector<Output> outputs_;
  std::set<std::string> written_;  // places
};

// The process's own; its guards are set by run_command.
FileRoles& file_roles();

}  // namespace mnn::flows
