// JSON of a model file, which may lie: every access says what is missing by a null or a default,
// nothing throws.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "libruntime/core/status.h"

namespace mnn::torch {

using Json = nlohmann::json;

// Takes bare NaN, Infinity and -Infinity, as older writers have them, as strings.
Result<Json> parse_json(std::span<const std::byte> bytes, const std::string& what);

// The member; null where `j` is null, no object, or has none.
const Json* member(const Json* j, std::string_view key);
// The only member of an object with one.
struct Tagged {
  std::string tag;
  const Json* value = nullptr;
};
Tagged tagged(const Json& j);
std::string text_of(const Json* j);
// Numbers, or non-finite ones as strings.
bool number_of(const Json* j, double& out);
bool int_of(const Json* j, int64_t& out);
// The elements of an array; none where it is none.
std::span<const Json> elements(const Json* j);

}  // namespace mnn::torch
