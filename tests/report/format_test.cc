#include "libruntime/report/format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace mnn {
namespace {

TEST(Format, BytesHaveOneUnitEverywhere) {
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(4'700'000), "4.70 MB");
  EXPECT_EQ(format_bytes(1'073'741'824), "1.07 GB");
}

TEST(Format, PercentIsAllOrNothingOnlyWhenItIs) {
  EXPECT_EQ(format_percent(1, 1), "100.0");
  EXPECT_EQ(format_percent(0.9998, 1), ">99.9");
  EXPECT_EQ(format_percent(0.9998, 2), "99.98");
  EXPECT_EQ(format_percent(0.99999999, 2), ">99.99");
  EXPECT_EQ(format_percent(0.9994, 1), "99.9");
  EXPECT_EQ(format_percent(0, 1), "0.0");
  EXPECT_EQ(format_percent(0.0002, 1), "<0.1");
  EXPECT_EQ(format_percent(0.9998, 0), ">99");
}

size_t widest_line(const std::string& text) {
  size_t widest = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    widest = std::max(widest, text_width(std::string_view(text).substr(at, end - at)));
    at = end + 1;
  }
  return widest;
}

TEST(Format, WidthIsOfCharacters) {
  EXPECT_EQ(text_width("a…ä"), 3U);
  EXPECT_EQ(text_width("\033[31mred\033[0m"), 3U);
}

TEST(Format, NamesLoseTheirMiddle) {
  EXPECT_EQ(shorten_middle("abcdef", 6), "abcdef");
  EXPECT_EQ(shorten_middle("abcdefgh", 5), "ab…gh");
  EXPECT_EQ(shorten_middle("äöüäöü", 3), "ä…ü");
}

TEST(Format, LongLinesGoOnIndented) {
  EXPECT_EQ(wrap_text("one two three\n", 8), "one two\n  three\n");
  EXPECT_EQ(wrap_text("  one two three", 9), "  one two\n    three");
  EXPECT_EQ(wrap_text("abcdefghijkl", 8), "abcdefgh\n  ijkl");
  EXPECT_EQ(wrap_text("a: bcdefghijkl", 8), "a: bcdef\n  ghijkl");
  EXPECT_EQ(wrap_text("as it is\n\nhere\n", 0), "as it is\n\nhere\n");
}

TEST(Format, ATableFitsItsTerminal) {
  const std::vector<std::vector<std::string>> rows = {
      {"layer", "ms", "share", "operator", "why"},
      {std::string(70, 'a') + "/Conv", "1.25", "80%", "Conv+Relu", "this one is slow"},
      {"b", "0.5", "20 %", "Softmax", ""}};
  const TableStyle any = {.right = {1, 2}, .head = true, .width = 0};
  EXPECT_EQ(widest_line(format_table(rows, any)), 75 + 6 + 7 + 11 + 18U);
  for (const size_t width : {30, 40, 59, 60, 64, 80, 100}) {
    TableStyle style = any;
    style.width = width;
    std::string text = format_table(rows, style);
    EXPECT_LE(widest_line(text), width);
    std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
    // Nothing but the middle of the name is lost.
    for (const char* part : {"aaaa", "/Conv", "1.25", "80%", "Conv+Relu", "slow", "Softmax"})
      EXPECT_NE(text.find(part), std::string::npos) << width << part << "\n" << text;
  }
  EXPECT_EQ(format_rows(rows, {.right = {}, .head = true, .width = 40})[2],
            "layer: b\n  ms: 0.5\n  share: 20 %\n  operator: Softmax\n");
}

}  // namespace
}  // namespace mnn
