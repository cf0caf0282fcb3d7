// The workflow of `mnn quant --stats-only`: what is seen of a part of the calibration samples, as a
// file; and of --stats: the parts put together.
#pragma once

#include <string>
#include <vector>

#include "apps/flows/quant_flow.h"
#include "libquant/calibrate/calibrate.h"

namespace mnn::flows {

struct StatsOutcome {
  std::string path;
  size_t samples = 0;    // of this file
  size_t total = 0;      // of the calibration, 0 where none was given
  bool counted = false;  // counts inside the ranges of all parts, else ranges
};
// Of samples FIRST to LAST (not included) of flow.calibration in name order, all without `part`
// ("FIRST:LAST"): ranges, or counts inside the ranges of flow.stats. Without samples flow.stats are
// put together.
Result<StatsOutcome> run_stats_flow(const QuantFlow& flow, const std::string& path,
                                    const std::string& part, const Events& events);

// kUsage for what statistics are not of.
Status check_stats_flags(const QuantFlow& flow);
// Merged. The error names the file.
Result<CalibrationStats> read_all_stats(const std::vector<std::string>& paths,
                                        const LoadedModel& model,
                                        const std::vector<std::string>& keep_float);

}  // namespace mnn::flows
