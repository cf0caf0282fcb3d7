#include "apps/common/flags.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstring>
#include <iostream>
#include <limits>
#include <system_error>

#include "apps/common/failure.h"
#include "apps/common/flag_table.h"
#include "apps/common/result_stream.h"
#include "apps/common/text.h"
#include "apps/flows/file_roles.h"
#include "apps/flows/run_facts.h"
#include "libruntime/core/io/file.h"
#include "libruntime/report/json_text.h"

namespace mnn::cli {

using flows::file_roles;
using flows::FileRoles;

void add_common_flags(CLI::App& app, CommonFlags& flags, const std::string& example) {
  app.add_flag("--json", flags.json, "Print the result as one JSON object");
  app.add_flag("-v,--verbose", flags.verbose, "Say more on stderr");
  app.add_flag("-q,--quiet", flags.quiet,
               "Print only the verdict; say only warnings and errors on stderr")
      ->excludes("--verbose");
  flags.writes(
      app.add_option("--log-file", flags.log_file, "Write everything said to this file too")
          ->type_name("FILE"));
  app.add_option("--threads", flags.threads, "Threads; 0: all this process may use")
      ->type_name("N")
      ->check(whole_number(0, 1024))
      ->capture_default_str();
  app.set_version_flag("--version", std::string("mnn-toolbox ") + MNN_VERSION);
  app.footer("Example:\n  " + example);
  app.get_formatter()->column_width(34);
}

CLI::Option* CommonFlags::reads(CLI::Option* option) {
  inputs.push_back(option);
  return option;
}

CLI::Option* CommonFlags::writes(CLI::Option* option) {
  outputs.push_back(option);
  return option;
}

namespace {

// A number as the whole of `text`; false when it is none.
template <typename T>
bool parse_number(const std::string& text, T& value) {
  const char* const end = text.data() + text.size();
  const char* const begin = text.data() + (text.starts_with("+") ? 1 : 0);
  const auto [at, error] = std::from_chars(begin, end, value);
  return error == std::errc() && at == end && begin != end;
}

template <typename T>
CLI::Validator number_in(const std::string& kind, T low, T high, const std::string& low_text,
                         const std::string& high_text) {
  std::string range = low_text.empty() ? "" : " from " + low_text + " to " + high_text;
  if (high_text.empty() && !low_text.empty()) range = ", " + low_text + " or more";
  const auto check = [=](const std::string& text) -> std::string {
    T value{};
    if (parse_number(text, value) && value >= low && value <= high) return {};
    return "expected " + kind + range + ", found '" + text + "'";
  };
  return CLI::Validator(check,
                        low_text.empty() || high_text.empty() ? "" : low_text + ".." + high_text);
}

// A short text of a bound; empty when it bounds nothing that anybody types.
std::string bound_text(double bound) {
  constexpr double kNobodyTypes = 1e9;
  if (!(std::abs(bound) < kNobodyTypes)) return {};
  return bound == std::floor(bound) ? std::to_string(static_cast<int64_t>(bound))
                                    : format_number(bound, 3);
}

}  // namespace

CLI::Validator whole_number(int64_t low, int64_t high) {
  return number_in("a whole number", low, high, bound_text(static_cast<double>(low)),
                   bound_text(static_cast<double>(high)));
}

CLI::Validator real_number(double low, double high) {
  return number_in("a number", low, high, bound_text(low), bound_text(high));
}

void add_report_flag(CLI::App& app, CommonFlags& flags, std::vector<std::string>& reports,
                     const std::string& what) {
  flags.reports = flags.writes(app.add_option("--report", reports, what)
                                   ->type_name("FILE")
                                   ->expected(1)
                                   ->take_all()
                                   ->allow_extra_args(false));
}

void add_shape_flag(CLI::App& app, std::vector<std::string>& shapes) {
  app.add_option("--shape", shapes,
                 "Shape of an input, NAME=d,d,… in the source's layout; ? keeps a dim dynamic. "
                 "Repeatable")
      ->type_name("NAME=DIMS")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
}

Result<ShapeMap> parse_shapes(const std::vector<std::string>& shapes) {
  ShapeMap map;
  for (const std::string& text : shapes) {
    const size_t split = text.rfind('=');
    const auto bad = [&](const std::string& why) {
      return usage_error("--shape " + text + ": " + why +
                         "; expected NAME=d,d,… such as x=1,3,224,224");
    };
    if (split == std::string::npos || split == 0) return bad("there is no name and '='");
    std::vector<int64_t> dims;
    const std::string list = text.substr(split + 1);
    for (size_t at = 0;
         at < list.size() || (at == list.size() && !list.empty() && list.back() == ',');) {
      const size_t comma = std::min(list.find(',', at), list.size());
      const std::string item = list.substr(at, comma - at);
      if (item == "?") {
        dims.push_back(-1);
      } else if (!item.empty() && item.size() <= 18 &&
                 item.find_first_not_of("0123456789") == std::string::npos) {
        dims.push_back(std::stoll(item));
      } else {
        return bad("'" + item + "' is neither a number nor '?'");
      }
      at = comma + 1;
    }
    if (!map.emplace(text.substr(0, split), std::move(dims)).second) {
      return bad("the input is named twice");
    }
  }
  return map;
}

void add_eval_flags(CLI::App& app, flows::EvalCommand& eval, std::optional<double>& min_eval) {
  app.add_option("--eval", eval.command,
                 "Run CMD REF_DIR TEST_DIR through /bin/sh on the outputs of both models and take "
                 "the last number it prints")
      ->type_name("CMD");
  app.add_option("--min-eval", min_eval, "Exit 3 when that number is lower")
      ->type_name("X")
      ->check(real_number(-1e9, 1e9));
  app.add_option("--eval-timeout", eval.timeout, "Seconds the program may take")
      ->type_name("S")
      ->check(real_number(0.1, 1e6))
      ->capture_default_str();
}

void add_import_flag(CLI::App& app, std::vector<std::string>& keys) {
  app.add_option("--import", keys,
                 "A setting of the source model's front end (mnn inspect --ops lists them). "
                 "Repeatable")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
}

Result<std::map<std::string, std::string>> parse_import_keys(const std::vector<std::string>& keys) {
  std::map<std::string, std::string> map;
  for (const std::string& text : keys) {
    const size_t split = text.find('=');
    if (split == std::string::npos || split == 0) {
      return usage_error("--import " + text + ": expected KEY=VALUE");
    }
    if (!map.emplace(text.substr(0, split), text.substr(split + 1)).second) {
      return usage_error("--import " + text + ": the key is given twice");
    }
  }
  return map;
}

namespace {

// What is wrong with the arguments, with the flag that was most likely meant.
std::string usage_text(const CLI::App& app, const CLI::ParseError& e) {
  for (const std::string& left : app.remaining()) {
    if (!left.starts_with("-") || left == "-") continue;
    const std::string flag = left.substr(0, left.find('='));
    const std::string near = nearest_flag(flag_table(app), flag);
    return "unknown flag " + flag + (near.empty() ? "" : "; did you mean " + near + "?");
  }
  return e.what();
}

// See RunFacts::command.
std::string command_line(const CLI::App& app, const CommonFlags& flags) {
  constexpr std::array<std::string_view, 5> kTalk = {"--json", "--verbose", "--quiet", "--log-file",
                                                     "--threads"};
  std::string line = app.get_name();
  for (const CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    const bool output =
        std::find(flags.outputs.begin(), flags.outputs.end(), option) != flags.outputs.end();
    if (option->count() == 0 || output ||
        std::find(kTalk.begin(), kTalk.end(), name) != kTalk.end())
      continue;
    if (option->get_items_expected_max() == 0) {
      line += " " + name;
      continue;
    }
    for (const std::string& value : option->results()) {
      line += (option->get_positional() ? " " : " " + name + " ") + shell_word(value);
    }
  }
  return line;
}

// An option of type FILE or DIR whose role nobody gave; nullptr: there is none.
const CLI::Option* roleless(const CLI::App& app, const CommonFlags& flags) {
  const auto has = [](const std::vector<const CLI::Option*>& list, const CLI::Option* option) {
    return std::find(list.begin(), list.end(), option) != list.end();
  };
  for (const CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    const bool names_file = type.starts_with("FILE") || type.starts_with("DIR");
    if (names_file && !has(flags.inputs, option) && !has(flags.outputs, option)) return option;
  }
  return nullptr;
}

Status register_files(const CommonFlags& flags) {
  FileRoles& roles = file_roles();
  for (const CLI::Option* option : flags.inputs) {
    for (const std::string& path : option->results()) {
      MNN_RETURN_IF_ERROR(roles.reads(option->get_name(), path));
    }
  }
  for (const CLI::Option* option : flags.outputs) {
    // What is written into a folder is looked at file by file.
    if (option->get_type_name().starts_with("DIR")) continue;
    for (const std::string& path : option->results()) {
      MNN_RETURN_IF_ERROR(roles.writes(option->get_name(), path));
    }
  }
  set_file_guards([](const std::string& path) { return file_roles().about_to_read(path); },
                  [](const std::string& path) { return file_roles().about_to_write(path); });
  return {};
}

// Ends the process as the signal would have, without what was half written.
void on_signal(int signal) {
  remove_temporary_files();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void handle_signals() {
  // A reader that went away is a failed write, not the end by a signal.
  std::signal(SIGPIPE, SIG_IGN);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    if (std::signal(signal, on_signal) == SIG_IGN) std::signal(signal, SIG_IGN);
  }
}

Status run_body(const std::function<Status()>& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return limit_exceeded("out of memory");
  } catch (const std::system_error& e) {
    // Threads are refused where memory or processes are limited.
    const bool limit = e.code() == std::errc::resource_unavailable_try_again ||
                       e.code() == std::errc::not_enough_memory;
    return limit ? limit_exceeded(e.what()) : internal_error(e.what());
  } catch (const std::exception& e) {
    return internal_error(e.what());
  }
}

// The reports that were to be written, unless they were. Wrong usage leaves nothing.
void report_failure(const CLI::App& app, const CommonFlags& flags, const Status& status) {
  if (flags.reports == nullptr || status.code() == Code::kUsage) return;
  for (const std::string& path : flags.reports->results()) {
    if (file_roles().was_written(path)) continue;
    const Status written = write_failure_report(path, app.get_name(), status);
    if (!written.ok()) log_warning(written.message());
  }
}

}  // namespace

void print_json(nlohmann::ordered_json out) {
  flows::add_run_facts(out);
  std::cout << json_text(out);
}

int run_command(CLI::App& app, CommonFlags& flags, int argc, char** argv,
                const std::function<Status()>& body) {
  handle_signals();
  seconds_since_start();
  ResultStream result;
  bool json = std::any_of(argv, argv + argc, [](const char* a) { return !strcmp(a, "--json"); });
  const auto end_with = [&](const Status& status) {
    if (json && result.untouched()) {
      std::cout << failure_json(status);
      std::cout.flush();
    }
    return fail(status);
  };
  if (argc == 2 && std::string_view(argv[1]) == kFlagTableFlag) {
    if (const CLI::Option* option = roleless(app, flags)) {
      return fail(
          internal_error(option->get_name() + " does not say whether it is read or written"));
    }
    std::cout << flag_table_json(flag_table(app));
    return kDone;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return kDone;
  } catch (const CLI::CallForVersion& e) {
    std::cout << e.what() << "\n";
    return kDone;
  } catch (const CLI::ParseError& e) {
    return end_with(usage_error(usage_text(app, e) + " (see " + app.get_name() + " --help)"));
  }
  json = flags.json;
  Status status = register_files(flags);
  if (!status.ok()) return end_with(status);
  const Verbosity verbosity = flags.quiet     ? Verbosity::kQuiet
                              : flags.verbose ? Verbosity::kVerbose
                                              : Verbosity::kNormal;
  status = start_log(verbosity, flags.log_file);
  if (!status.ok()) return end_with(status);
  flows::run_facts().command = command_line(app, flags);
  std::string line;
  for (int i = 0; i < argc; ++i) line += (i == 0 ? "" : " ") + shell_word(argv[i]);
  log_detail(flows::run_facts().tool + ": " + line);
  status = run_body(body);
  std::cout.flush();
  log_detail("ended with exit code " + std::to_string(exit_code(status)) + " after " +
             format_number(seconds_since_start(), 2) + " s, peak memory " +
             format_bytes(peak_memory()));
  // A reader that has seen enough is no failure.
  if (status.ok() && result.error() != 0 && result.error() != EPIPE) {
    return fail(not_accessible("the result cannot be written to the standard output: " +
                               std::generic_category().message(result.error())));
  }
  if (status.ok()) return kDone;
  report_failure(app, flags, status);
  return end_with(status);
}

}  // namespace mnn::cli
