#include "apps/flows/fill_thresholds.h"

#include <algorithm>
#include <cmath>

#include "apps/flows/file_roles.h"

namespace mnn::flows {
namespace {

// What a later run may be worse by: latency swings with the neighbours.
constexpr double kMemoryMargin = 1.1, kRatioMargin = 1.25;

}  // namespace

int64_t round_size(double bytes) {
  const double unit = std::pow(10.0, std::max(0.0, std::floor(std::log10(bytes)) - 1));
  return static_cast<int64_t>(std::ceil(bytes / unit) * unit);
}

ThresholdFiller::ThresholdFiller(Project project, std::string command)
    : project_(std::move(project)),
      command_(std::move(command)),
      waits_(std::ranges::find(project_.fill, command_) != project_.fill.end()) {}

Result<ThresholdFiller> ThresholdFiller::open(const std::string& folder,
                                              const std::string& command) {
  MNN_ASSIGN_OR_RETURN(Project project, read_project(folder));
  return ThresholdFiller(std::move(project), command);
}

Result<std::string> ThresholdFiller::write() {
  std::erase(project_.fill, command_);
  file_roles().updates(project_.path(kProjectFile));
  MNN_RETURN_IF_ERROR(write_project(project_));
  if (text_.empty()) return std::string();
  return project_.path(kProjectFile) + ": thresholds from this result: " + text_;
}

std::string ThresholdFiller::wait(const std::string& why) const {
  return project_.path(kProjectFile) + ": no thresholds from this result: " + why;
}

Result<std::string> fill_from_bench(const std::string& folder,
                                    const std::vector<BenchModel>& models) {
  MNN_ASSIGN_OR_RETURN(ThresholdFiller filler, ThresholdFiller::open(folder, kFillBench));
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
