// Flags that several commands share. Heavy (CLI11): included by the command's one source file only.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/common/terminal.h"
#include "apps/flows/eval_command.h"
#include "libruntime/core/bind_shapes.h"

namespace mnn::cli {

struct CommonFlags {
  bool json = false;
  bool verbose = false;
  bool quiet = false;
  std::string log_file;
  int threads = 1;  // a command that measures or searches takes 0

  // Every option that names a FILE or DIR says here what becomes of it; see file_roles.h.
  CLI::Option* reads(CLI::Option* option);
  CLI::Option* writes(CLI::Option* option);
  std::vector<const CLI::Option*> inputs, outputs;
  const CLI::Option* reports = nullptr;  // --report
};

// What a number may be; the message says so, a bound beyond 10^9 apart.
CLI::Validator whole_number(int64_t low, int64_t high = INT64_MAX);
CLI::Validator real_number(double low, double high);

// --json --version -v -q --log-file --threads, which every command takes, and the footer with the
// working example.
void add_common_flags(CLI::App& app, CommonFlags& flags, const std::string& example);

// --report FILE, repeatable. A command that fails before it wrote one leaves one that says why.
void add_report_flag(CLI::App& app, CommonFlags& flags, std::vector<std::string>& reports,
                     const std::string& what);

// --shape NAME=d,d,… as given; parse_shapes turns them into dims, -1 for '?'.
void add_shape_flag(CLI::App& app, std::vector<std::string>& shapes);
Result<ShapeMap> parse_shapes(const std::vector<std::string>& shapes);

// --import KEY=VALUE, repeatable, as given; parse_import_keys splits them.
// --eval, --min-eval and --eval-timeout.
void add_eval_flags(CLI::App& app, flows::EvalCommand& eval, std::optional<double>& min_eval);
void add_import_flag(CLI::App& app, std::vector<std::string>& keys);
Result<std::map<std::string, std::string>> parse_import_keys(const std::vector<std::string>& keys);

// A result as --json prints it, with the facts of the run.
void print_json(nlohmann::ordered_json out);

// Parses argv, checks that no output is an input, starts the log, runs `body` and turns its Status
// into the exit code. Every failure, exceptions included, ends in one line "mnn: error: …" on
// stderr; with --json it is an object on stdout too, unless the result was printed.
// The log is told the command line, the version and, at the end, the time and memory it took.
int run_command(CLI::App& app, CommonFlags& flags, int argc, char** argv,
                const std::function<Status()>& body);

}  // namespace mnn::cli
