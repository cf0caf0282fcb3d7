#include "libconvert/frontends/common/options.h"

#include <algorithm>
#include <charconv>

#include "libruntime/core/nearest.h"

namespace mnn::frontend {

Status check_keys(const Frontend& frontend, const ImportOptions& options) {
  std::vector<std::string> names;
  std::string all;
  for (const ImportKey& key : frontend.keys) {
    names.push_back(key.name);
    all += (all.empty() ? "" : ", ") + key.name;
  }
  for (const auto& [key, value] : options.keys) {
    if (std::ranges::find(names, key) != names.end()) continue;
    const std::string near = nearest(names, key);
    return usage_error("the " + frontend.format + " front end has no key '" + key + "'; " +
                       (!near.empty()   ? "did you mean " + near + "?"
                        : names.empty() ? "it has none"
                                        : "it has " + all));
  }
  return {};
}

std::string text_key(const ImportOptions& options, const std::string& key,
                     const std::string& fallback) {
  const auto it = options.keys.find(key);
  return it == options.keys.end() ? fallback : it->second;
}

Result<int64_t> int_key(const ImportOptions& options, const std::string& key, int64_t fallback,
                        int64_t low, int64_t high) {
  const auto it = options.keys.find(key);
  if (it == options.keys.end()) return fallback;
  const std::string& text = it->second;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= low && value <= high) {
    return value;
  }
  return usage_error("key " + key + ": expected a whole number from " + std::to_string(low) +
                     " to " + std::to_string(high) + ", found '" + text + "'");
}

}  // namespace mnn::frontend
