#include "libconvert/frontends/tensorflow/text.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <string_view>

#include "libconvert/frontends/common/proto_text.h"

namespace mnn::tensorflow {
namespace {

constexpr size_t kMostText = size_t{1} << 28;
constexpr int kMostDepth = 64;  // of messages in each other

// The numbers of the types, which the text calls by name (types.proto); 0 for what is no type.
int type_number(std::string_view name) {
  static const std::map<std::string_view, int> numbers = {
      {"DT_FLOAT", 1},          {"DT_DOUBLE", 2},      {"DT_INT32", 3},   {"DT_UINT8", 4},
      {"DT_INT16", 5},          {"DT_INT8", 6},        {"DT_STRING", 7},  {"DT_COMPLEX64", 8},
      {"DT_INT64", 9},          {"DT_BOOL", 10},       {"DT_QINT8", 11},  {"DT_QUINT8", 12},
      {"DT_QINT32", 13},        {"DT_BFLOAT16", 14},   {"DT_QINT16", 15}, {"DT_QUINT16", 16},
      {"DT_UINT16", 17},        {"DT_COMPLEX128", 18}, {"DT_HALF", 19},   {"DT_RESOURCE", 20},
      {"DT_VARIANT", 21},       {"DT_UINT32", 22},     {"DT_UINT64", 23}, {"DT_FLOAT8_E5M2", 24},
      {"DT_FLOAT8_E4M3FN", 25}, {"DT_INT4", 29},       {"DT_UINT4", 30}};
  constexpr std::string_view kReference = "_REF";
  constexpr int kReferences = 100;
  const bool reference = name.ends_with(kReference);
  if (reference) name.remove_suffix(kReference.size());
  const auto at = numbers.find(name);
  return at == numbers.end() ? 0 : at->second + (reference ? kReferences : 0);
}

// The text with types as numbers, outside of strings and comments; columns stay, lines do.
std::string with_numbers(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  };
  for (size_t at = 0; at < text.size();) {
    const size_t from = at;
    const char c = text[at];
    if (c == '"' || c == '\'') {
      for (++at; at < text.size() && text[at] != c && text[at] != '\n'; ++at) {
        if (text[at] == '\\') ++at;
      }
      at = std::min(at + 1, text.size());
    } else if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
    } else if (is_word(c)) {
      while (at < text.size() && is_word(text[at])) ++at;
      const std::string_view word = text.substr(from, at - from);
      const int number = word.starts_with("DT_") ? type_number(word) : 0;
      if (number != 0) {
        std::string digits = std::to_string(number);
        digits.resize(word.size(), ' ');
        out += digits;
        continue;
      }
    } else {
      ++at;
    }
    out += text.substr(from, at - from);
  }
  return out;
}

}  // namespace

Status parse_text(std::span<const std::byte> text, google::protobuf::Message& message) {
  if (text.size() > kMostText) return limit_exceeded("more than 256 MiB of text");
  const std::string numbered =
      with_numbers({reinterpret_cast<const char*>(text.data()), text.size()});
  return frontend::parse_proto_text(std::as_bytes(std::span(numbered)), kMostDepth,
                                    "its text is damaged", message);
}

}  // namespace mnn::tensorflow
