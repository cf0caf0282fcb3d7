// Statistics of calibration samples as a JSON file, so that parts of the samples can be looked at
// by different processes.
#pragma once

#include <map>

#include "libquant/calibrate/calibrate.h"

namespace mnn {

// `identity`: of what and how ("model", "layers"), by name.
std::string stats_json(const CalibrationStats& stats,
                       const std::map<std::string, std::string>& identity);
// kInvalidArgument for what is no such file, kUsage for one of another identity.
Result<CalibrationStats> read_stats(const std::string& text,
                                    const std::map<std::string, std::string>& identity);

}  // namespace mnn
