// mnn: finds and runs mnn-<command>, beside itself or on PATH, so anybody can add a command.

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "apps/common/commands.h"
#include "libruntime/core/nearest.h"

namespace {

using namespace mnn::cli;

void print_help(FILE* to) {
  std::fprintf(to,
               "Converts, compresses, checks and benchmarks neural networks.\n\n"
               "Usage: mnn COMMAND [OPTIONS]\n       mnn COMMAND --help\n\nCommands:\n");
  for (const auto& [name, what] : list_commands()) {
    std::fprintf(to, "  %-10s %s\n", name.c_str(), what.c_str());
  }
  std::fprintf(to, "\nExample:\n  mnn convert model.onnx -o model.mnn\n");
}

}  // namespace

int main(int argc, char** argv) {
  std::string command = argc > 1 ? argv[1] : "";
  if (command == "--version" || command == "version") {
    std::printf("mnn-toolbox %s\n", MNN_VERSION);
    return 0;
  }
  // mnn help quant is mnn quant --help.
  std::string help_flag = "--help";
  if (command == "help" && argc > 2) {
    command = argv[2];
    argv[2] = help_flag.data();
    argc = 3;
    argv[3] = nullptr;
  }
  if (command.empty()) {
    print_help(stdout);
    std::fprintf(stderr, "mnn: error: expected a command, found nothing\n");
    return 2;
  }
  if (command == "--help" || command == "-h" || command == "help") {
    print_help(stdout);
    return 0;
  }
  if (command[0] == '-' || command.find('/') != std::string::npos) {
    std::fprintf(stderr, "mnn: error: expected a command, found '%s' (see mnn --help)\n",
                 command.c_str());
    return 2;
  }
  const auto found = find_commands();
  const auto it = found.find(command);
  if (it == found.end()) {
    std::string names;
    std::vector<std::string> known;
    for (const auto& [name, path] : found) {
      names += (names.empty() ? "" : ", ") + name;
      known.push_back(name);
    }
    const std::string near = mnn::nearest(known, command);
    std::fprintf(stderr, "mnn: error: '%s' is not a command; %s%s\n", command.c_str(),
                 near.empty() ? "there are " : "did you mean ",
                 near.empty() ? names.c_str() : (near + "?").c_str());
    return 2;
  }
  argv[1] = const_cast<char*>(it->second.c_str());
  execv(it->second.c_str(), argv + 1);
  std::fprintf(stderr, "mnn: error: %s: %s\n", it->second.c_str(), std::strerror(errno));
  return 6;
}
