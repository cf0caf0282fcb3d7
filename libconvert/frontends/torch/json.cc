#include "libconvert/frontends/torch/json.h"

#include <cmath>
#include <limits>

namespace mnn::torch {
namespace {

// The same text with bare non-finite numbers in quotes.
std::string quoted_numbers(std::string_view text) {
  std::string out;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      out += c;
      if (c == '\\' && i + 1 < text.size()) out += text[++i];
      if (c == '"') in_string = false;
      continue;
    }
    in_string = c == '"';
    bool replaced = false;
    for (const std::string_view word : {"-Infinity", "Infinity", "NaN"}) {
      if (!text.substr(i).starts_with(word)) continue;
      out += '"' + std::string(word) + '"';
      i += word.size() - 1;
      replaced = true;
      break;
    }
    if (!replaced) out += c;
  }
  return out;
}

}  // namespace

Result<Json> parse_json(std::span<const std::byte> bytes, const std::string& what) {
  constexpr size_t kMost = size_t{1} << 29;
  if (bytes.size() > kMost) return limit_exceeded(what + " is larger than 512 MiB");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Json parsed = Json::parse(text, nullptr, false);
  if (parsed.is_discarded()) parsed = Json::parse(quoted_numbers(text), nullptr, false);
  if (parsed.is_discarded()) return invalid(what + " is no sound JSON");
  return parsed;
}

const Json* member(const Json* j, std::string_view key) {
  if (j == nullptr || !j->is_object()) return nullptr;
  const auto it = j->find(std::string(key));
  return it == j->end() ? nullptr : &*it;
}

Tagged tagged(const Json& j) {
  if (!j.is_object() || j.size() != 1) return {};
  return {j.begin().key(), &*j.begin()};
}

std::string text_of(const Json* j) {
  return j != nullptr && j->is_string() ? j->get<std::string>() : std::string();
}

bool number_of(const Json* j, double& out) {
  if (j == nullptr) return false;
  if (j->is_number()) {
    out = j->get<double>();
    return true;
  }
  const std::string text = text_of(j);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (text == "Infinity" || text == "inf") return out = kInfinity, true;
  if (text == "-Infinity" || text == "-inf") return out = -kInfinity, true;
  if (text == "NaN" || text == "nan") return out = std::numeric_limits<double>::quiet_NaN(), true;
  return false;
}

bool int_of(const Json* j, int64_t& out) {
  if (j == nullptr || !j->is_number_integer()) return false;
  if (j->is_number_unsigned() &&
      j->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return false;
  }
  out = j->get<int64_t>();
  return true;
}

std::span<const Json> elements(const Json* j) {
  if (j == nullptr || !j->is_array()) return {};
  const auto& array = j->get_ref<const Json::array_t&>();
  return {array.data(), array.size()};
}

}  // namespace mnn::torch
