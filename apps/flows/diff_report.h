// What `mnn diff` says.
#pragma once

#include <string>

#include "apps/flows/diff.h"

namespace mnn::flows {

// At most `max_rows` rows of each kind.
std::string diff_text(const GraphDiff& d, const std::string& a, const std::string& b,
                      size_t max_rows);
std::string diff_json(const GraphDiff& d, const std::string& a, const std::string& b);

}  // namespace mnn::flows
