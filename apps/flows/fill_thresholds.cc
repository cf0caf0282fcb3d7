#include "apps/flows/fill_thresholds.h"

#include <algorithm>
#include <cmath>

#include "apps/flows/file_roles.h"
#include "apps/flows/quant_verdict.h"
#include "libruntime/report/format.h"

namespace mnn::flows {
namespace {

// What a later run may be worse by. Latency swings with the neighbours, accuracy with the samples.
constexpr double kSnrMargin = 1.5, kSampleMargin = 3;  // dB
constexpr double kCosineMargin = 1.5;                  // times what is missing to 1
constexpr double kSizeMargin = 1.05, kMemoryMargin = 1.1, kRatioMargin = 1.25;

// Down to `digits` behind the point.
double floor_to(double value, int digits) {
  const double unit = std::pow(10.0, digits);
  return std::floor(value * unit) / unit;
}

// A size that is easily read: two digits that count, rounded up.
int64_t round_size(double bytes) {
  const double unit = std::pow(10.0, std::max(0.0, std::floor(std::log10(bytes)) - 1));
  return static_cast<int64_t>(std::ceil(bytes / unit) * unit);
}

// Opened where the project waits for the command; collects what was set.
class Filler {
 public:
  static Result<Filler> open(const std::string& folder, const std::string& command) {
    MNN_ASSIGN_OR_RETURN(Project project, read_project(folder));
    return Filler(std::move(project), command);
  }
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
  Result<std::string> write() {
    std::erase(project_.fill, command_);
    file_roles().updates(project_.path(kProjectFile));
    MNN_RETURN_IF_ERROR(write_project(project_));
    if (text_.empty()) return std::string();
    return project_.path(kProjectFile) + ": thresholds from this result: " + text_;
  }
  Result<std::string> wait(const std::string& why) const {
    return project_.path(kProjectFile) + ": no thresholds from this result: " + why;
  }

 private:
  Filler(Project project, std::string command)
      : project_(std::move(project)),
        command_(std::move(command)),
        waits_(std::ranges::find(project_.fill, command_) != project_.fill.end()) {}

  Project project_;
  std::string command_, text_;
  bool waits_;
};

}  // namespace

Result<std::string> fill_from_quant(const std::string& folder, const QuantReport& report,
                                    int64_t file_bytes) {
  MNN_ASSIGN_OR_RETURN(Filler filler, Filler::open(folder, kFillQuant));
  if (!filler.waits()) return std::string();
  MNN_ASSIGN_OR_RETURN(const Thresholds normal, gate_profile("normal"));
  double cosine = 1, snr = kExactSnrDb;
  for (const OutputError& o : report.outputs) {
    const auto [name, m] = o.worst();
    const std::string why = missed_by(m, normal);
    if (!why.empty()) {
      return filler.wait("output " + name + ": " + why + ", which --gate normal asks for");
    }
    cosine = std::min(cosine, m.cosine);
    snr = std::min(snr, m.snr_db);
  }
  if (report.outputs.empty()) return filler.wait("nothing was compared");
  Thresholds& t = filler.thresholds();
  filler.set("min_cosine", t.min_cosine,
             floor_to(std::max(*normal.min_cosine, 1 - kCosineMargin * (1 - cosine)), 6),
             format_number(cosine, 6));
  if (snr < kExactSnrDb) {
    filler.set("min_snr", t.min_snr, floor_to(std::max(*normal.min_snr, snr - kSnrMargin), 1),
               format_number(snr, 2) + " dB");
  }
  if (!report.samples.samples.empty()) {
    const double worst = report.samples.worst_first()[0].snr_db;
    if (worst < kExactSnrDb) {
      filler.set("min_sample_snr", t.min_sample_snr, floor_to(worst - kSampleMargin, 1),
                 format_number(worst, 2) + " dB");
    }
  }
  filler.set("max_size", t.max_size, round_size(kSizeMargin * static_cast<double>(file_bytes)),
             format_bytes(file_bytes));
  return filler.write();
}

Result<std::string> fill_from_bench(const std::string& folder,
                                    const std::vector<BenchModel>& models) {
  MNN_ASSIGN_OR_RETURN(Filler filler, Filler::open(folder, kFillBench));
  // There is a ratio, and a model that counts, once mnn quant has run.
  if (!filler.waits() || models.size() < 2) return std::string();
  const BenchModel& last = models.back();
  Thresholds& t = filler.thresholds();
  if (last.peak_bytes > 0) {
    filler.set("max_memory", t.max_memory,
               round_size(kMemoryMargin * static_cast<double>(last.peak_bytes)),
               format_bytes(last.peak_bytes));
  }
  const Interval ratio = ratio_interval(last.timed, models[0].timed);
  filler.set("max_ratio", t.max_ratio, std::ceil(kRatioMargin * ratio.high * 100) / 100,
             format_number(ratio.middle, 2) + " of " + file_name(models[0].path));
  return filler.write();
}

}  // namespace mnn::flows
