// Flags that several commands share. Heavy (CLI11): included by the command's one source file only.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "apps/common/image.h"
#include "apps/common/terminal.h"

namespace mnn::cli {

struct CommonFlags {
  bool json = false;
  bool verbose = false;
  bool quiet = false;
  std::string log_file;
  int threads = 1;
};

// --json --version -v -q --log-file --threads, which every command takes, and the footer with the
// working example.
void add_common_flags(CLI::App& app, CommonFlags& flags, const std::string& example);

// --report FILE, repeatable.
void add_report_flag(CLI::App& app, std::vector<std::string>& reports, const std::string& what);

// --shape NAME=d,d,… as given; parse_shapes turns them into dims, -1 for '?'.
void add_shape_flag(CLI::App& app, std::vector<std::string>& shapes);
using ShapeMap = std::map<std::string, std::vector<int64_t>>;
Result<ShapeMap> parse_shapes(const std::vector<std::string>& shapes);

// --image-size, --image-mean, --image-scale, --image-layout, --image-color: how images become
// inputs.
void add_image_flags(CLI::App& app, ImageOptions& images);

// Parses argv, starts the log, runs `body` and turns its Status into the exit code. Every failure,
// exceptions included, ends in one line "mnn: error: …" on stderr.
int run_command(CLI::App& app, CommonFlags& flags, int argc, char** argv,
                const std::function<Status()>& body);

}  // namespace mnn::cli
