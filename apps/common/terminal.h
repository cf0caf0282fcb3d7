// What a person sees: stdout carries the result, stderr the talk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/flows/events.h"
#include "libruntime/report/format.h"

namespace mnn::cli {

// How much a command says on stderr; set once by the common flags.
enum class Verbosity { kQuiet, kNormal, kVerbose };
// The log file replaces an earlier log; kUsage when another file is there.
Status start_log(Verbosity verbosity, const std::string& log_file);
bool is_quiet();                            // only the verdict is printed
void log_info(const std::string& text);     // normal and up
void log_detail(const std::string& text);   // verbose only
void log_warning(const std::string& text);  // always

// Prints the last line of a failed command, "mnn: error: …", after one line per further problem,
// and returns the exit code.
int fail(const Status& status);

// Colour is used on a terminal unless NO_COLOR is set to something.
bool color_on_stdout();
bool color_on_stderr();
enum class Color { kRed, kGreen, kYellow, kBold, kDim };
std::string colored(std::string_view text, Color color, bool on);

// Columns of the terminal: COLUMNS, else what stdout says, else 80.
size_t terminal_width();
// On stdout, lines wrapped to the terminal.
void print_text(const std::string& text);

// Peak memory of this process in bytes.
int64_t peak_memory();
// Since the process began to work.
double seconds_since_start();

// A progress bar on stderr; silent unless stderr is a terminal and the command is not quiet. It
// never runs back. The log is told of each stage, when it began and the memory till then.
class Progress {
 public:
  Progress();
  ~Progress();  // clears the line
  // All that will come, with weights; without it each phase is a stage of its own.
  void plan(const std::vector<std::pair<std::string, double>>& stages);
  void update(const std::string& phase, int64_t done, int64_t total);
  // A workflow's talk: its progress in this bar, its messages in the log.
  flows::Events events();

 private:
  // Of everything, 0…1.
  double share(const std::string& phase, int64_t done, int64_t total);
  void draw(const std::string& phase);

  bool active_ = false;
  bool drawn_ = false;
  double start_ = 0;
  std::vector<std::pair<std::string, double>> stages_;
  size_t stage_ = 0;
  double share_ = 0;
  std::string logged_, last_line_;
};

}  // namespace mnn::cli
