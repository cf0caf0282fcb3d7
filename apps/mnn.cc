// mnn: finds and runs mnn-<command>, beside itself or on PATH, so anybody can add a command.
#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace {

struct Known {
  const char* name;
  const char* what;
};
constexpr std::array kKnown = {
    Known{"init", "start a project from a model"},
    Known{"convert", "turn a model of another framework into a .mnn"},
    Known{"quant", "compress a model and report the error of each layer"},
    Known{"bench", "measure latency, memory and load time"},
    Known{"run", "run a model on given or random inputs"},
    Known{"compare", "compare two models layer by layer"},
    Known{"inspect", "show what is in a model"},
};

std::string own_folder() {
  std::array<char, 4096> path{};
  const ssize_t n = readlink("/proc/self/exe", path.data(), path.size() - 1);
  if (n <= 0) return {};
  const std::string text(path.data(), static_cast<size_t>(n));
  return text.substr(0, text.rfind('/'));
}

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

// Every mnn-<command> by name, the first folder winning.
std::map<std::string, std::string> find_commands() {
  std::map<std::string, std::string> found;
  for (const std::string& folder : search_folders()) {
    DIR* dir = opendir(folder.c_str());
    if (dir == nullptr) continue;
    while (const dirent* entry = readdir(dir)) {
      const std::string name = entry->d_name;
      if (name.rfind("mnn-", 0) != 0 || name.size() <= 4) continue;
      const std::string path = folder + "/" + name;
      if (access(path.c_str(), X_OK) == 0) found.emplace(name.substr(4), path);
    }
    closedir(dir);
  }
  return found;
}

void print_help() {
  std::printf(
      "Converts, compresses, checks and benchmarks neural networks.\n\n"
      "Usage: mnn COMMAND [OPTIONS]\n       mnn COMMAND --help\n\nCommands:\n");
  const auto found = find_commands();
  for (const Known& k : kKnown) {
    if (found.contains(k.name)) std::printf("  %-10s %s\n", k.name, k.what);
  }
  for (const auto& [name, path] : found) {
    const bool known =
        std::any_of(kKnown.begin(), kKnown.end(), [&](const Known& k) { return name == k.name; });
    if (!known) std::printf("  %-10s %s\n", name.c_str(), path.c_str());
  }
  std::printf("\nExample:\n  mnn convert model.onnx -o model.mnn\n");
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "--version") {
    std::printf("mnn-toolbox %s\n", MNN_VERSION);
    return 0;
  }
  if (command == "--help" || command == "-h" || command == "help") {
    print_help();
    return 0;
  }
  if (command.empty() || command[0] == '-' || command.find('/') != std::string::npos) {
    std::fprintf(stderr, "mnn: error: expected a command, found %s (see mnn --help)\n",
                 command.empty() ? "nothing" : ("'" + command + "'").c_str());
    return 2;
  }
  const auto found = find_commands();
  const auto it = found.find(command);
  if (it == found.end()) {
    std::string names;
    for (const auto& [name, path] : found) names += (names.empty() ? "" : ", ") + name;
    std::fprintf(stderr, "mnn: error: '%s' is not a command; there are %s\n", command.c_str(),
                 names.empty() ? "none" : names.c_str());
    return 2;
  }
  argv[1] = const_cast<char*>(it->second.c_str());
  execv(it->second.c_str(), argv + 1);
  std::fprintf(stderr, "mnn: error: %s: %s\n", it->second.c_str(), std::strerror(errno));
  return 6;
}
