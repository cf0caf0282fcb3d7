// The compatibility report of a conversion: what the model is made of and what became of it.
#pragma once

#include <string>

#include "apps/flows/check.h"
#include "apps/flows/model_io.h"
#include "apps/flows/placement.h"

namespace mnn::flows {

// A few lines for a person, as all text here of at most `width` columns.
std::string conversion_summary(const LoadedModel& loaded, const Placement& placement,
                               const std::string& output, int64_t bytes, size_t width);
// One line per operator: how often, what was fused, what runs it.
std::string operator_summary(const LoadedModel& loaded, const Placement& placement, size_t width);
// A usage error unless the name ends in .json, .html or .md.
Status check_report_name(const std::string& path);
// With `checks`, against expected outputs, comes their verdict.
Status write_conversion_report(const std::string& path, const LoadedModel& loaded,
                               const Placement& placement, int64_t bytes,
                               const std::vector<OutputCheck>& checks = {});

}  // namespace mnn::flows
