// Numbers, tables and lines as every report prints them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mnn {

std::string format_bytes(int64_t bytes);  // "4.7 MB"

// 100 * share with so many decimals. What is not exactly 0 or 1 is not printed as 0 or 100: "<0.1",
// ">99.9".
std::string format_percent(double share, int decimals);
std::string format_number(double value, int decimals);
std::string format_significant(double value, int digits);  // "0.01234", "1.5e-07"
std::string format_count(double value);                    // "1.23 G"
std::string scientific(double value);                      // "1.2e-05"

// How many columns of a terminal a text takes: characters, not bytes; escape sequences take none.
size_t text_width(std::string_view text);
// At most `width` columns of it (3 and more), the middle replaced by "…": names differ at both
// ends.
std::string shorten_middle(const std::string& text, size_t width);
// What a name takes at most in a line of text.
inline constexpr size_t kNameColumns = 60;
// Lines of at most `width` columns (0: any), broken at spaces where there are some and inside a
// word else, continued behind the indentation of their line and two spaces.
std::string wrap_text(const std::string& text, size_t width);

struct TableStyle {
  std::vector<size_t> right;       // columns aligned right: numbers
  bool head = true;                // the first row names the columns
  size_t width = 0;                // columns of the terminal; 0: any
  std::vector<size_t> whole = {};  // columns that keep every character: digests
};
// Each row as its lines, columns padded to their widest cell. A table that is too wide gives up
// nothing but the middle of long names (cells of columns without spaces): its columns, most
// important first, go on in indented lines, and below 60 columns each row is a list of "name:
// value", the head an empty text.
std::vector<std::string> format_rows(const std::vector<std::vector<std::string>>& rows,
                                     const TableStyle& style);
// The rows together.
std::string format_table(const std::vector<std::vector<std::string>>& rows,
                         const TableStyle& style);

}  // namespace mnn
