#include "apps/flows/eval_command.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <optional>

#include "apps/flows/tensors.h"
#include "libruntime/core/io/file.h"
#include "libruntime/report/format.h"

namespace mnn::flows {
namespace {

using Clock = std::chrono::steady_clock;

// Of what the program prints the end is kept.
constexpr size_t kKept = size_t{1} << 16;

// For a POSIX shell.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

std::string with_folders(std::string command, const std::string& ref, const std::string& test) {
  bool named = false;
  for (const auto& [key, dir] : {std::pair{"{ref}", ref}, {"{test}", test}}) {
    const std::string text = quoted(dir);
    for (size_t at = command.find(key); at != std::string::npos;
         at = command.find(key, at + text.size())) {
      command.replace(at, std::strlen(key), text);
      named = true;
    }
  }
  return named ? command : command + " " + quoted(ref) + " " + quoted(test);
}

// The last word that is a number as a whole.
std::optional<double> last_number(const std::string& text) {
  constexpr const char* kBlank = " \t\r\n";
  for (size_t end = text.find_last_not_of(kBlank); end != std::string::npos;) {
    const size_t before = text.find_last_of(kBlank, end);
    const size_t begin = before == std::string::npos ? 0 : before + 1;
    double value = 0;
    const auto [stop, error] = std::from_chars(&text[begin], &text[end] + 1, value);
    if (error == std::errc() && stop == &text[end] + 1) return value;
    if (before == std::string::npos) break;
    end = text.find_last_not_of(kBlank, before);
  }
  return std::nullopt;
}

// Reads until the end or the deadline; false: the deadline came first.
bool read_until(int fd, Clock::time_point deadline, std::string& out) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd p{fd, POLLIN, 0};
    const int ready = poll(&p, 1, static_cast<int>(std::min<int64_t>(left, 1000)));
    if (ready < 0 && errno != EINTR) return true;
    if (ready <= 0) continue;
    char buffer[4096];
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return true;
    out.append(buffer, static_cast<size_t>(n));
    if (out.size() > 2 * kKept) out.erase(0, out.size() - kKept);
  }
}

// Waits for the shell itself, which may outlive its output.
bool wait_until(pid_t child, Clock::time_point deadline, int& status) {
  for (;;) {
    const pid_t done = waitpid(child, &status, WNOHANG);
    if (done == child || (done < 0 && errno != EINTR)) return true;
    if (Clock::now() >= deadline) return false;
    usleep(5000);
  }
}

}  // namespace

Result<Evaluation> Evaluation::create() {
  std::error_code error;
  std::string dir = (std::filesystem::temp_directory_path(error) / "mnn-eval-XXXXXX").string();
  if (error || mkdtemp(dir.data()) == nullptr)
    return not_accessible("--eval: no temporary folder: " + std::string(std::strerror(errno)));
  return Evaluation(dir);
}

Evaluation::~Evaluation() {
  std::error_code ignored;
  if (!dir_.empty()) std::filesystem::remove_all(dir_, ignored);
}

Status Evaluation::add(const Graph& graph, const std::string& name,
                       const std::vector<Tensor>& reference, const std::vector<Tensor>& test) {
  const std::string step = "/step_" + std::to_string(count_++);
  MNN_RETURN_IF_ERROR(write_outputs(dir_ + "/ref" + step, graph, reference, false).status());
  MNN_RETURN_IF_ERROR(write_outputs(dir_ + "/test" + step, graph, test, false).status());
  names_ += name + "\n";
  return {};
}

Result<double> Evaluation::run(const EvalCommand& eval) const {
  const auto bad = [](const std::string& why) { return invalid("--eval: the program " + why); };
  const std::string ref = dir_ + "/ref", test = dir_ + "/test";
  for (const std::string& side : {ref, test})
    MNN_RETURN_IF_ERROR(write_file(side + "/samples.txt", names_));
  const std::string command = with_folders(eval.command, ref, test);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    return not_accessible("--eval: " + std::string(std::strerror(errno)));
  const pid_t child = fork();
  if (child < 0) {
    close(ends[0]);
    close(ends[1]);
    return not_accessible("--eval: " + std::string(std::strerror(errno)));
  }
  if (child == 0) {
    // A group of its own, to be ended as one; it does not outlive us.
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(ends[1], STDOUT_FILENO);
    execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  setpgid(child, child);
  close(ends[1]);
  const auto deadline =
      Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(eval.timeout * 1000));
  std::string output;
  int status = 0;
  const bool ended = read_until(ends[0], deadline, output) && wait_until(child, deadline, status);
  close(ends[0]);
  if (!ended) {
    kill(-child, SIGKILL);
    waitpid(child, &status, 0);
    return bad("did not end within " + format_number(eval.timeout, 0) + " s (--eval-timeout)");
  }
  if (WIFSIGNALED(status)) return bad("was ended by signal " + std::to_string(WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0)
    return bad("ended with exit code " + std::to_string(WEXITSTATUS(status)));
  const std::optional<double> value = last_number(output);
  if (!value) return bad("printed no number");
  if (!std::isfinite(*value)) return bad("printed a number that is not finite");
  return *value;
}

}  // namespace mnn::flows
