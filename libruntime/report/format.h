// Numbers as every report and table prints them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mnn {

std::string format_bytes(int64_t bytes);  // "4.7 MB"

// 100 * share with so many decimals. What is not exactly 0 or 1 is not printed as 0 or 100: "<0.1",
// ">99.9".
std::string format_percent(double share, int decimals);

// Columns padded to their widest cell; numbers (columns listed in `right`) aligned right.
std::string format_table(const std::vector<std::vector<std::string>>& rows,
                         const std::vector<size_t>& right);
std::string format_number(double value, int decimals);
std::string format_significant(double value, int digits);  // "0.01234", "1.5e-07"
std::string format_count(double value);                    // "1.23 G"
std::string scientific(double value);                      // "1.2e-05"

}  // namespace mnn
