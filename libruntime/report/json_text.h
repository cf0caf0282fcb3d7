// How every command prints JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace mnn {

// Indented, one line end at the end; what is not UTF-8 in a model's names becomes U+FFFD.
inline std::string json_text(const nlohmann::ordered_json& json) {
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace mnn
