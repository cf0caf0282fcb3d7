#include "apps/flows/junit.h"

#include <algorithm>

#include "libruntime/report/format.h"

namespace mnn::flows {
namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";

// How many bytes the UTF-8 character at `at` takes; 0 when it is none that XML 1.0 can hold.
size_t character(const std::string& text, size_t at) {
  const auto byte = [&](size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return lead >= 0x20 || lead == '\n' || lead == '\t' ? 1 : 0;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  unsigned code = lead & (0xFFU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
    code = code << 6 | (byte(i) & 0x3FU);
  }
  const bool shortest = code >= (length == 4 ? 0x10000U : length == 3 ? 0x800U : 0x80U);
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return shortest && !surrogate && code <= 0x10FFFF && code != 0xFFFE && code != 0xFFFF ? length
                                                                                        : 0;
}

std::string xml_escape(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t length = character(text, at);
    switch (length == 1 ? text[at] : '\0') {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\n': out += "&#10;"; break;
      case '\t': out += "&#9;"; break;
      default: out += length == 0 ? kReplacement : text.substr(at, length);
    }
    at += std::max<size_t>(length, 1);
  }
  return out;
}

}  // namespace

std::string junit_xml(const std::string& suite, const std::vector<JUnitCase>& cases,
                      std::optional<double> seconds) {
  const auto count = [&](auto&& wanted) {
    return std::to_string(std::count_if(cases.begin(), cases.end(), wanted));
  };
  const std::string counts =
      "name=\"" + xml_escape(suite) + "\" tests=\"" + std::to_string(cases.size()) +
      "\" failures=\"" + count([](const JUnitCase& c) { return !c.failure.empty(); }) +
      "\" errors=\"0\" skipped=\"" +
      count([](const JUnitCase& c) { return c.failure.empty() && !c.skipped.empty(); }) + "\"" +
      (seconds ? " time=\"" + format_number(*seconds, 3) + "\"" : "");
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites " + counts +
                    ">\n<testsuite " + counts + ">\n";
  for (const JUnitCase& c : cases) {
    out += "<testcase classname=\"" + xml_escape(suite + "." + c.group) + "\" name=\"" +
           xml_escape(c.name) + "\"";
    if (c.seconds) out += " time=\"" + format_number(*c.seconds, 6) + "\"";
    if (!c.failure.empty()) {
      out += "><failure message=\"" + xml_escape(c.failure) + "\">" + xml_escape(c.failure) +
             "</failure></testcase>\n";
    } else if (!c.skipped.empty()) {
      out += "><skipped message=\"" + xml_escape(c.skipped) + "\"/></testcase>\n";
    } else if (!c.output.empty()) {
      out += "><system-out>" + xml_escape(c.output) + "</system-out></testcase>\n";
    } else {
      out += "/>\n";
    }
  }
  return out + "</testsuite>\n</testsuites>\n";
}

}  // namespace mnn::flows
