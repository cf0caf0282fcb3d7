#include "apps/common/terminal.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <system_error>

namespace mnn::cli {
namespace {

Verbosity current_verbosity = Verbosity::kNormal;
std::shared_ptr<spdlog::logger> logger;

bool wants_color(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  if (no_color != nullptr && *no_color != '\0') return false;
  if (term != nullptr && std::string_view(term) == "dumb") return false;
  return isatty(fd) == 1;
}

// A line of a log begins with its time: "2025-01-31T".
bool is_log(std::string_view text) {
  constexpr std::string_view kTime = "0000-00-00T";
  if (text.size() < kTime.size()) return false;
  for (size_t i = 0; i < kTime.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kTime[i] == '0' ? !digit : text[i] != kTime[i]) return false;
  }
  return true;
}

// What is there must be a log, or empty, to be replaced: a log file may be named by mistake, and is
// opened before it is known what else the command reads.
Status check_log_file(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0) return {};
  std::array<char, 16> head{};
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), head.size());
  if (is_log({head.data(), static_cast<size_t>(file.gcount())})) return {};
  return usage_error("--log-file " + path + ": is there already and is no log; not replaced");
}

}  // namespace

ExitCode exit_code(const Status& status) {
  switch (status.code()) {
    case Code::kOk: return kDone;
    case Code::kInternal: return kFailed;
    case Code::kUsage: return kWrongUsage;
    case Code::kThreshold: return kThresholdMissed;
    case Code::kInvalidArgument: return kMalformed;
    case Code::kUnsupported: return kNotSupported;
    case Code::kNotAccessible: return kFileTrouble;
    case Code::kLimit: return kLimitReached;
  }
  return kFailed;
}

Status start_log(Verbosity verbosity, const std::string& log_file) {
  current_verbosity = verbosity;
  if (!log_file.empty()) MNN_RETURN_IF_ERROR(check_log_file(log_file));
  auto terminal = std::make_shared<spdlog::sinks::stderr_sink_st>();
  terminal->set_pattern("%v");
  terminal->set_level(verbosity == Verbosity::kQuiet     ? spdlog::level::warn
                      : verbosity == Verbosity::kVerbose ? spdlog::level::debug
                                                         : spdlog::level::info);
  std::vector<spdlog::sink_ptr> sinks = {terminal};
  if (!log_file.empty()) {
    try {
      auto file = std::make_shared<spdlog::sinks::basic_file_sink_st>(log_file, true);
      file->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
      sinks.push_back(file);
    } catch (const spdlog::spdlog_ex& e) {
      return not_accessible(
          log_file + ": the log file cannot be written: " + std::generic_category().message(errno));
    }
  }
  logger = std::make_shared<spdlog::logger>("mnn", sinks.begin(), sinks.end());
  logger->set_level(spdlog::level::debug);
  logger->flush_on(spdlog::level::debug);
  return {};
}

bool is_quiet() { return current_verbosity == Verbosity::kQuiet; }

namespace {

spdlog::logger& log() {
  if (!logger) (void)start_log(Verbosity::kNormal, {});
  return *logger;
}

}  // namespace

void log_info(const std::string& text) { log().info("{}", text); }
void log_detail(const std::string& text) { log().debug("{}", text); }
void log_warning(const std::string& text) { log().warn("mnn: warning: {}", text); }

int fail(const Status& status) {
  const std::string& message = status.message();
  const std::string first = message.substr(0, message.find('\n'));
  for (size_t at = message.find('\n'); at != std::string::npos;) {
    const size_t next = message.find('\n', at + 1);
    log().error("  {}", message.substr(at + 1, next == std::string::npos ? next : next - at - 1));
    at = next;
  }
  const bool color = color_on_stderr();
  log().error("{} {}", colored("mnn: error:", Color::kRed, color), first);
  return exit_code(status);
}

bool color_on_stdout() { return wants_color(STDOUT_FILENO); }
bool color_on_stderr() { return wants_color(STDERR_FILENO); }

std::string colored(std::string_view text, Color color, bool on) {
  if (!on) return std::string(text);
  constexpr std::array<const char*, 5> kCodes = {"31", "32", "33", "1", "2"};
  return "\033[" + std::string(kCodes[static_cast<size_t>(color)]) + "m" + std::string(text) +
         "\033[0m";
}

size_t terminal_width() {
  constexpr size_t kDefault = 80, kLeast = 20, kMost = 10000;
  const char* text = std::getenv("COLUMNS");
  size_t width = 0;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), width);
  winsize size{};
  if (width == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) width = size.ws_col;
  return width == 0 ? kDefault : std::clamp(width, kLeast, kMost);
}

void print_text(const std::string& text) { std::cout << wrap_text(text, terminal_width()); }

int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

double seconds_since_start() {
  static const auto start = std::chrono::steady_clock::now();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Progress::Progress()
    : active_(current_verbosity != Verbosity::kQuiet && isatty(STDERR_FILENO) == 1),
      start_(seconds_since_start()) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

flows::Events Progress::events() {
  return {.stages = [this](const auto& stages) { plan(stages); },
          .progress = [this](const std::string& stage, int64_t done,
                             int64_t total) { update(stage, done, total); },
          .info = log_info,
          .warning = log_warning};
}

void Progress::plan(const std::vector<std::pair<std::string, double>>& stages) {
  stages_ = stages;
  stage_ = 0;
}

double Progress::share(const std::string& phase, int64_t done, int64_t total) {
  const double part = std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0);
  if (stages_.empty()) return part;
  double all = 0, before = 0, weight = 0;
  bool found = false;
  for (size_t i = 0; i < stages_.size(); ++i) {
    const bool here = stages_[i].first == phase;
    if (here) stage_ = std::max(stage_, i);
    if (here) weight = stages_[i].second;
    found |= here;
    before += found ? 0 : stages_[i].second;
    all += stages_[i].second;
  }
  return found ? (before + weight * part) / all : 0;
}

void Progress::update(const std::string& phase, int64_t done, int64_t total) {
  if (total <= 0) return;
  share_ = std::max(share_, share(phase, done, total));
  const std::string& stage = stages_.empty() ? phase : stages_[stage_].first;
  if (stage != logged_) {
    logged_ = stage;
    if (drawn_) std::fputs("\r\033[K", stderr);
    log_detail("stage " + stage + ": begun after " + format_number(seconds_since_start(), 2) +
               " s, peak memory " + format_bytes(peak_memory()));
  }
  if (active_) draw(phase);
}

// "3/7 layer errors  [=====     ]  42 %  12 s left", in one line of the terminal.
void Progress::draw(const std::string& phase) {
  constexpr double kTellAfter = 2, kTellFrom = 0.03;  // seconds, share: before, it is a guess
  constexpr size_t kBar = 30, kLeastBar = 6;
  winsize size{};
  const size_t width =
      (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80) - 1U;
  const std::string count =
      stages_.size() > 1 ? std::to_string(stage_ + 1) + "/" + std::to_string(stages_.size()) + " "
                         : "";
  const int percent = static_cast<int>(100 * share_);
  std::string tail = " " + std::to_string(percent) + "%";
  const double elapsed = seconds_since_start() - start_;
  if (elapsed > kTellAfter && share_ > kTellFrom) {
    const double left = elapsed * (1 - share_) / share_;
    tail += "  " +
            (left < 90 ? format_number(left, 0) + " s" : format_number(left / 60, 0) + " min") +
            " left";
  }
  std::string line = count + phase;
  if (line.size() < 24) line.resize(24, ' ');
  if (line.size() + tail.size() + kLeastBar + 3 > width) {
    const size_t room = width > tail.size() ? width - tail.size() : 1;
    line = shorten_middle(count + phase, room) + tail;
    if (text_width(line) > width) line = std::to_string(percent) + "%";
  } else {
    const size_t columns = std::min(kBar, width - line.size() - tail.size() - 3);
    std::string bar(columns, ' ');
    std::fill_n(bar.begin(), static_cast<size_t>(share_ * static_cast<double>(columns)), '=');
    line += " [" + bar + "]" + tail;
  }
  if (line == last_line_) return;
  last_line_ = line;
  drawn_ = true;
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
}

}  // namespace mnn::cli
