// What a search measured, kept in a file so that a run that was ended can go on where it was.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libruntime/core/metrics.h"
#include "libruntime/core/status.h"

namespace mnn {

// Results of evaluations by name. Numbers come back bit by bit, so that a search that goes on takes
// the same way.
class Evaluations {
 public:
  // A file that is there must have been written for the same `identity`, by part ("model",
  // "samples", "settings"): kUsage names the file and what differs, kInvalidArgument a file that
  // is something else. One that is not there is made with the first result.
  static Result<std::unique_ptr<Evaluations>> open(
      const std::string& path, const std::map<std::string, std::string>& identity);

  // The numbers kept under `name`, else those of `make`, which are kept. The file is replaced as a
  // whole, under a temporary name and renamed, whenever a sixteenth more is known.
  Result<std::vector<double>> get(const std::string& name,
                                  const std::function<Result<std::vector<double>>()>& make);
  // Writes what is not in the file yet.
  Status flush();

 private:
  std::string path_;
  std::map<std::string, std::string> identity_;
  std::map<std::string, std::vector<double>> kept_;
  size_t written_ = 0;  // of kept_, in the file
};

// The same where nothing is kept (null). kInvalidArgument unless there are `count` numbers.
Result<std::vector<double>> get_evaluation(
    Evaluations* kept, const std::string& name, size_t count,
    const std::function<Result<std::vector<double>>()>& make);

// Metrics as numbers to keep, so many.
inline constexpr size_t kMetricNumbers = 8;
std::vector<double> numbers_of(const ErrorMetrics& metrics);
ErrorMetrics metrics_from(const std::vector<double>& numbers);

}  // namespace mnn
