#include "apps/common/flags.h"

#include <csignal>
#include <iostream>

#include "apps/common/flag_table.h"

namespace mnn::cli {

void add_common_flags(CLI::App& app, CommonFlags& flags, const std::string& example) {
  app.add_flag("--json", flags.json, "Print the result as one JSON object");
  app.add_flag("-v,--verbose", flags.verbose, "Say more on stderr");
  app.add_flag("-q,--quiet", flags.quiet, "Say only warnings and errors on stderr")
      ->excludes("--verbose");
  app.add_option("--log-file", flags.log_file, "Write everything said to this file too")
      ->type_name("FILE");
  app.add_option("--threads", flags.threads, "Threads; 0: all this process may use")
      ->type_name("N")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.set_version_flag("--version", std::string("mnn-toolbox ") + MNN_VERSION);
  app.footer("Example:\n  " + example);
  app.get_formatter()->column_width(34);
}

void add_report_flag(CLI::App& app, std::vector<std::string>& reports, const std::string& what) {
  app.add_option("--report", reports, what)
      ->type_name("FILE")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
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

void add_image_flags(CLI::App& app, ImageOptions& images) {
  app.add_option_function<std::vector<int64_t>>(
         "--image-size",
         [&images](const std::vector<int64_t>& size) {
           images.height = size[0];
           images.width = size[1];
         },
         "Height and width images are resized to; default: the input's own")
      ->type_name("H,W")
      ->delimiter(',')
      ->expected(2)
      ->check(CLI::PositiveNumber);
  app.add_option("--image-mean", images.mean,
                 "Subtracted from the pixels (0…255), per channel or one")
      ->delimiter(',')
      ->type_name("M,…");
  app.add_option("--image-scale", images.scale, "Multiplied after that; default 1/255")
      ->delimiter(',')
      ->type_name("S,…");
  app.add_option("--image-layout", images.layout, "Layout of the input")
      ->check(CLI::IsMember({"nchw", "nhwc"}))
      ->capture_default_str();
  app.add_option("--image-color", images.color, "Order of the channels")
      ->check(CLI::IsMember({"rgb", "bgr", "gray"}))
      ->capture_default_str();
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

}  // namespace

int run_command(CLI::App& app, CommonFlags& flags, int argc, char** argv,
                const std::function<Status()>& body) {
  if (argc == 2 && std::string_view(argv[1]) == kFlagTableFlag) {
    std::cout << flag_table_json(flag_table(app));
    return kDone;
  }
  // A reader that went away is a failed write, not the end by a signal.
  std::signal(SIGPIPE, SIG_IGN);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return kDone;
  } catch (const CLI::CallForVersion& e) {
    std::cout << e.what() << "\n";
    return kDone;
  } catch (const CLI::ParseError& e) {
    return fail(usage_error(usage_text(app, e) + " (see " + app.get_name() + " --help)"));
  }
  const Verbosity verbosity = flags.quiet     ? Verbosity::kQuiet
                              : flags.verbose ? Verbosity::kVerbose
                                              : Verbosity::kNormal;
  const Status log = start_log(verbosity, flags.log_file);
  if (!log.ok()) return fail(log);
  try {
    const Status status = body();
    std::cout.flush();
    if (status.ok() && !std::cout) {
      return fail(not_accessible("the result cannot be written to the standard output"));
    }
    return status.ok() ? kDone : fail(status);
  } catch (const std::bad_alloc&) {
    return fail(limit_exceeded("out of memory"));
  } catch (const std::exception& e) {
    return fail(internal_error(e.what()));
  }
}

}  // namespace mnn::cli
