// The settings of a front end: keys with values, declared in its row (Frontend::keys).
#pragma once

#include "libconvert/convert.h"

namespace mnn::frontend {

// kUsage when a key is given that the front end does not have, with the nearest one it has.
Status check_keys(const Frontend& frontend, const ImportOptions& options);

// The value of a key, or `fallback` where it is not given. A number outside [low, high], or what is
// none, is kUsage.
std::string text_key(const ImportOptions& options, const std::string& key,
                     const std::string& fallback);
Result<int64_t> int_key(const ImportOptions& options, const std::string& key, int64_t fallback,
                        int64_t low, int64_t high);

}  // namespace mnn::frontend
