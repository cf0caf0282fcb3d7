#include "libruntime/report/format.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace mnn {
std::string format_bytes(int64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1000;
  constexpr std::array<const char*, 5> kUnits = {"kB", "MB", "GB", "TB", "PB"};
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return format_number(value, value < 10 ? 2 : 1) + " " + kUnits[unit];
}

std::string format_percent(double share, int decimals) {
  double step = 1;
  for (int i = 0; i < decimals; ++i) step /= 10;
  const std::string text = format_number(100 * share, decimals);
  if (share < 1 && text == format_number(100, decimals))
    return ">" + format_number(100 - step, decimals);
  if (share > 0 && text == format_number(0, decimals)) return "<" + format_number(step, decimals);
  return text;
}

std::string format_number(double value, int decimals) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 512> text{};  // the largest double has 309 digits
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return text.data();
}

std::string format_significant(double value, int digits) {
  if (!std::isfinite(value)) return format_number(value, 0);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*g", digits, value);
  return text.data();
}

std::string scientific(double value) {
  if (!std::isfinite(value)) return format_number(value, 0);
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1e", value);
  return text.data();
}

std::string format_count(double value) {
  constexpr std::array<const char*, 5> kUnits = {"", " k", " M", " G", " T"};
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return format_number(value, unit == 0 ? 0 : (value < 10 ? 2 : 1)) + kUnits[unit];
}

}  // namespace mnn
