// What a search measured as a JSON file, so that a run that was ended can go on where it was.
#pragma once

#include "libquant/search/evaluations.h"

namespace mnn {

// A file that is there must have been written for the same `identity`, by part ("model",
// "samples", "settings"): kUsage names the file and what differs, kInvalidArgument a file that is
// something else. One that is not there is made with the first result. Files are replaced as a
// whole, under a temporary name and renamed.
Result<std::unique_ptr<Evaluations>> open_evaluations(
    const std::string& path, const std::map<std::string, std::string>& identity);

}  // namespace mnn
