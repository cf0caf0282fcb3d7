#include "libruntime/core/format.h"

#include <array>
#include <cstdio>

namespace mnn {
namespace {

std::string fixed(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

}  // namespace

std::string format_bytes(int64_t bytes) {
  if (bytes < 1000) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes) / 1000;
  constexpr std::array<const char*, 5> kUnits = {"kB", "MB", "GB", "TB", "PB"};
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return fixed(value, value < 10 ? 2 : 1) + " " + kUnits[unit];
}

std::string format_percent(double share, int decimals) {
  double step = 1;
  for (int i = 0; i < decimals; ++i) step /= 10;
  const std::string text = fixed(100 * share, decimals);
  if (share < 1 && text == fixed(100, decimals)) return ">" + fixed(100 - step, decimals);
  if (share > 0 && text == fixed(0, decimals)) return "<" + fixed(step, decimals);
  return text;
}

}  // namespace mnn
