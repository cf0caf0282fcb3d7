// The metadata section: a JSON object. The only place of the core that includes the JSON library.
#include <nlohmann/json.hpp>

#include "libruntime/core/io/mnn_layout.h"

namespace mnn {
namespace {

// Whoever walks the parsed object may do so by recursion.
bool nests_too_deeply(std::string_view json) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    if (depth > kMaxMetadataDepth) return true;
  }
  return false;
}

Result<nlohmann::json> parse_object(std::string_view text) {
  if (text.size() > kMaxMetadataBytes) return limit_exceeded("the metadata is too large");
  if (nests_too_deeply(text)) {
    return invalid("the metadata nests deeper than " + std::to_string(kMaxMetadataDepth));
  }
  nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return invalid("the metadata is not a JSON object");
  return json;
}

}  // namespace

Result<std::string> canonical_metadata(std::string_view text) {
  MNN_ASSIGN_OR_RETURN(const nlohmann::json json, parse_object(text));
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Status check_metadata(std::string_view text) { return parse_object(text).status(); }

}  // namespace mnn
