// Numbers as every report and table prints them.
#pragma once

#include <cstdint>
#include <string>

namespace mnn {

std::string format_bytes(int64_t bytes);  // "4.7 MB"

// 100 * share with so many decimals. What is not exactly 0 or 1 is not printed as 0 or 100: "<0.1",
// ">99.9".
std::string format_percent(double share, int decimals);

}  // namespace mnn
