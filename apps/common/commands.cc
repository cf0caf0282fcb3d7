#include "apps/common/commands.h"

#include <dirent.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

namespace mnn::cli {
namespace {

struct Known {
  std::string_view name, what;
};
constexpr std::array kKnown = {
    Known{"init", "start a project from a model"},
    Known{"convert", "turn a model of another framework into a .mnn"},
    Known{"quant", "compress a model and report the error of each layer"},
    Known{"train", "teach a model other classes"},
    Known{"reproduce", "make a quantized file again and compare the bytes"},
    Known{"export", "write a model for other runtimes, as ONNX"},
    Known{"bench", "measure latency, memory and load time"},
    Known{"run", "run a model on given or random inputs"},
    Known{"compare", "compare two models layer by layer"},
    Known{"diff", "show what differs between two models"},
    Known{"report", "join time, error and size of each layer"},
    Known{"inspect", "show what is in a model"},
    Known{"completion", "print completion scripts and manual pages"},
};

std::vector<std::string> search_folders() {
  std::vector<std::string> folders = {own_folder()};
  const char* path = std::getenv("PATH");
  const std::string list = path == nullptr ? "" : path;
  for (size_t at = 0; at <= list.size();) {
    const size_t colon = std::min(list.find(':', at), list.size());
    if (colon > at) folders.push_back(list.substr(at, colon - at));
    at = colon + 1;
  }
  std::erase(folders, "");
  return folders;
}

bool is_program(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && access(path.c_str(), X_OK) == 0;
}

}  // namespace

std::string own_folder() {
  std::array<char, 4096> path{};
  const ssize_t n = readlink("/proc/self/exe", path.data(), path.size() - 1);
  std::string text(path.data(), static_cast<size_t>(std::max<ssize_t>(n, 0)));
  // Where /proc is not mounted, the name it was started by.
  const char* started = n > 0 ? nullptr : reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  if (started != nullptr) text = started;
  return text.find('/') == std::string::npos ? std::string() : text.substr(0, text.rfind('/'));
}

std::map<std::string, std::string> commands_in(const std::string& folder) {
  std::map<std::string, std::string> found;
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return found;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    const std::string path = folder + "/" + name;
    if (name.starts_with("mnn-") && name.size() > 4 && is_program(path)) {
      found.emplace(name.substr(4), path);
    }
  }
  closedir(dir);
  return found;
}

std::map<std::string, std::string> find_commands() {
  std::map<std::string, std::string> found;
  for (const std::string& folder : search_folders()) found.merge(commands_in(folder));
  return found;
}

std::vector<std::pair<std::string, std::string>> list_commands() {
  auto found = find_commands();
  std::vector<std::pair<std::string, std::string>> list;
  for (const Known& k : kKnown) {
    if (found.erase(std::string(k.name)) > 0) list.emplace_back(k.name, k.what);
  }
  list.insert(list.end(), found.begin(), found.end());
  return list;
}

std::string command_summary(const std::string& name) {
  for (const Known& k : kKnown) {
    if (k.name == name) return std::string(k.what);
  }
  return {};
}

}  // namespace mnn::cli
