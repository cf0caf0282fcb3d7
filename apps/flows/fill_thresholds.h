// The thresholds of a project that nobody has set: its first results set them, with a margin. That
// of mnn quant is in fill_quant.h.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "apps/flows/bench.h"
#include "apps/flows/project.h"
#include "libruntime/report/format.h"

namespace mnn::flows {

// Commands whose first result in a project sets thresholds: what `mnn init` lists in
// thresholds.fill.
inline constexpr const char* kFillQuant = "quant";
inline constexpr const char* kFillBench = "bench";

// A size that is easily read: two digits that count, rounded up.
int64_t round_size(double bytes);

// Sets what has no value in the mnn.json of `folder`, which is read anew and replaced whole.
class ThresholdFiller {
 public:
  static Result<ThresholdFiller> open(const std::string& folder, const std::string& command);
  // Whether the project waits for the command.
  bool waits() const { return waits_; }
  Thresholds& thresholds() { return project_.thresholds; }

  template <typename T>
  void set(const char* key, std::optional<T>& slot, T value, const std::string& measured) {
    if (slot) return;
    slot = value;
    text_ += (text_.empty() ? "" : ", ") + std::string(key) + " " +
             (std::is_integral_v<T> ? std::to_string(value)
                                    : format_significant(static_cast<double>(value), 7)) +
             " (measured " + measured + ")";
  }
  // What was set, to be told; empty: nothing. The project does not wait any more.
  Result<std::string> write();
  // Why nothing was set, to be told; the project waits on.
  std::string wait(const std::string& why) const;

 private:
  ThresholdFiller(Project project, std::string command);

  Project project_;
  std::string command_, text_;
  bool waits_;
};

// Peak memory of the last model, and its time over the first one's. Milliseconds are of a machine,
// and stay open. What was set, to be told; empty where thresholds.fill does not name `bench`.
Result<std::string> fill_from_bench(const std::string& folder,
                                    const std::vector<BenchModel>& models);

}  // namespace mnn::flows
