// What a search measured, kept by name; report/evaluations_file.h keeps it in a file.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libruntime/core/metrics.h"
#include "libruntime/core/status.h"

namespace mnn {

// Results of evaluations by name. Numbers come back bit by bit, so that a search that goes on takes
// the same way.
class Evaluations {
 public:
  using Results = std::map<std::string, std::vector<double>>;
  // `kept` is known already; `write` is handed all results, whenever a sixteenth more is known.
  Evaluations(Results kept, std::function<Status(const Results&)> write)
      : kept_(std::move(kept)), write_(std::move(write)), written_(kept_.size()) {}

  // The numbers kept under `name`, else those of `make`, which are kept.
  Result<std::vector<double>> get(const std::string& name,
                                  const std::function<Result<std::vector<double>>()>& make);
  // Writes what was not written yet.
  Status flush();

 private:
  Results kept_;
  std::function<Status(const Results&)> write_;
  size_t written_ = 0;  // of kept_
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
