// Text that fits a terminal: widths, wrapping, tables.
#include <algorithm>

#include "libruntime/report/format.h"

namespace mnn {
namespace {

using Row = std::vector<std::string>;

constexpr size_t kStackBelow = 60;  // columns of a terminal
constexpr size_t kLeastName = 24;   // columns that are left of a long name
constexpr size_t kGap = 2, kIndent = 4;

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The first byte behind the character, or the escape sequence, at `at`.
size_t next_character(std::string_view text, size_t at) {
  if (text[at] == '\033') {
    const size_t end = text.find('m', at);
    return end == std::string_view::npos ? text.size() : end + 1;
  }
  do ++at;
  while (at < text.size() && continues(text[at]));
  return at;
}

// How many bytes of `text` fill `width` columns.
size_t bytes_of(std::string_view text, size_t width) {
  size_t at = 0;
  for (size_t columns = 0; at < text.size();) {
    const bool escape = text[at] == '\033';
    if (!escape && columns == width) break;
    columns += escape ? 0 : 1;
    at = next_character(text, at);
  }
  return at;
}

std::string padded(const std::string& text, size_t width, bool to_right) {
  const std::string pad(width - std::min(width, text_width(text)), ' ');
  return to_right ? pad + text : text + pad;
}

void append_line(std::string& out, std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  if (!line.empty()) out += line + "\n";
}

class Table {
 public:
  Table(const std::vector<Row>& rows, const TableStyle& style) : rows_(rows), style_(style) {
    for (const Row& row : rows_) columns_ = std::max(columns_, row.size());
    for (Row& row : rows_) row.resize(columns_);
    measure();
  }

  std::vector<std::string> rows() {
    if (!fits()) {
      if (style_.width < kStackBelow) return stacked();
      const std::vector<Row> whole = rows_;
      shorten_names(style_.width);
      // Where that was not enough columns go on in another line, and there is room for names.
      if (!fits()) {
        rows_ = whole;
        measure();
        shorten_names(style_.width * columns_);
      }
    }
    return lines();
  }

 private:
  void measure() {
    width_.assign(columns_, 0);
    for (const Row& row : rows_) {
      for (size_t c = 0; c < columns_; ++c) width_[c] = std::max(width_[c], text_width(row[c]));
    }
  }

  size_t total() const {
    size_t sum = 0, shown = 0;
    for (const size_t w : width_) {
      sum += w;
      shown += w > 0;
    }
    return shown == 0 ? 0 : sum + kGap * (shown - 1);
  }
  bool fits() const { return style_.width == 0 || total() <= style_.width; }
  bool is_right(size_t c) const {
    return std::find(style_.right.begin(), style_.right.end(), c) != style_.right.end();
  }
  bool holds_names(size_t c) const {
    if (is_right(c) || std::ranges::find(style_.whole, c) != style_.whole.end()) return false;
    return std::none_of(rows_.begin() + (style_.head && !rows_.empty() ? 1 : 0), rows_.end(),
                        [&](const Row& row) { return row[c].find(' ') != std::string::npos; });
  }

  // None is wider than half a line; the widest first, until the table has `room` or they are short
  // enough.
  void shorten_names(size_t room) {
    std::vector<size_t> names;
    for (size_t c = 0; c < columns_; ++c) {
      if (!holds_names(c)) continue;
      names.push_back(c);
      for (Row& row : rows_) row[c] = shorten_middle(row[c], style_.width / 2);
    }
    measure();
    while (total() > room) {
      size_t widest = columns_;
      for (const size_t c : names) {
        if (width_[c] > kLeastName && (widest == columns_ || width_[c] > width_[widest]))
          widest = c;
      }
      if (widest == columns_) break;
      const size_t over = total() - room;
      const size_t to = width_[widest] - std::min(over, width_[widest] - kLeastName);
      for (Row& row : rows_) row[widest] = shorten_middle(row[widest], to);
      measure();
    }
  }

  // Which columns stand together in a line.
  std::vector<std::vector<size_t>> groups() const {
    std::vector<std::vector<size_t>> all = {{}};
    size_t used = 0;
    for (size_t c = 0; c < columns_; ++c) {
      if (width_[c] == 0) continue;
      const size_t more = width_[c] + (all.back().empty() ? 0 : kGap);
      if (style_.width > 0 && !all.back().empty() && used + more > style_.width) {
        all.emplace_back();
        used = kIndent + width_[c];
      } else {
        used += more;
      }
      all.back().push_back(c);
    }
    return all;
  }

  std::vector<std::string> lines() const {
    std::vector<std::string> texts;
    const auto grouped = groups();
    for (const Row& row : rows_) {
      std::string text;
      for (size_t g = 0; g < grouped.size(); ++g) {
        std::string line = g == 0 ? "" : std::string(kIndent, ' ');
        for (const size_t c : grouped[g]) {
          line += (c == grouped[g].front() ? "" : std::string(kGap, ' ')) +
                  padded(row[c], width_[c], is_right(c));
        }
        std::string own;
        append_line(own, std::move(line));
        text += wrap_text(own, style_.width);
      }
      texts.push_back(text.empty() ? "\n" : text);
    }
    return texts;
  }

  std::vector<std::string> stacked() const {
    std::vector<std::string> texts;
    for (size_t r = 0; r < rows_.size(); ++r) {
      std::string text;
      if (style_.head && r == 0) {
        texts.push_back(text);
        continue;
      }
      std::string line;
      for (size_t c = 0; c < columns_; ++c) {
        const std::string cell =
            holds_names(c) ? shorten_middle(rows_[r][c], 2 * style_.width) : rows_[r][c];
        if (cell.empty()) continue;
        if (!style_.head) {
          line += (line.empty() ? "" : "  ") + cell;
          continue;
        }
        const std::string& name = rows_[0][c];
        append_line(text, (text.empty() ? "" : "  ") + (name.empty() ? "" : name + ": ") + cell);
      }
      append_line(text, line);
      texts.push_back(wrap_text(text, style_.width));
    }
    return texts;
  }

  std::vector<Row> rows_;
  const TableStyle& style_;
  size_t columns_ = 0;
  std::vector<size_t> width_;
};

// One line, which has no line end, in lines of at most `width`.
void wrap_line(std::string_view line, size_t width, std::string& out) {
  const size_t spaces = std::min(line.find_first_not_of(' '), line.size());
  const std::string indent(std::min(spaces + 2, width / 2), ' ');
  for (bool first = true;; first = false) {
    const size_t room = first ? width : width - indent.size();
    if (!first) out += indent;
    if (text_width(line) <= room) break;
    size_t end = bytes_of(line, room);
    // Where the words part; a word that no line can hold is cut.
    const size_t space = line.rfind(' ', end);
    const size_t begin = first ? spaces : 0;
    if (space != std::string_view::npos && space > begin) {
      const std::string_view word = line.substr(space + 1, line.find(' ', space + 1) - space - 1);
      if (space == end || text_width(word) <= width - indent.size()) end = space;
    }
    out += line.substr(0, end);
    out += '\n';
    line.remove_prefix(end);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  }
  out += line;
}

}  // namespace

size_t text_width(std::string_view text) {
  size_t width = 0;
  for (size_t at = 0; at < text.size(); at = next_character(text, at)) width += text[at] != '\033';
  return width;
}

std::string shorten_middle(const std::string& text, size_t width) {
  const size_t all = text_width(text);
  if (all <= width) return text;
  const size_t back = width / 2, front = width - 1 - back;
  return text.substr(0, bytes_of(text, front)) + "…" + text.substr(bytes_of(text, all - back));
}

std::string wrap_text(const std::string& text, size_t width) {
  constexpr size_t kLeastWidth = 8;
  if (width == 0) return text;
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    wrap_line(std::string_view(text).substr(at, end - at), std::max(width, kLeastWidth), out);
    if (end < text.size()) out += '\n';
    at = end + 1;
  }
  return out;
}

std::vector<std::string> format_rows(const std::vector<std::vector<std::string>>& rows,
                                     const TableStyle& style) {
  return Table(rows, style).rows();
}

std::string format_table(const std::vector<std::vector<std::string>>& rows,
                         const TableStyle& style) {
  std::string out;
  for (const std::string& row : format_rows(rows, style)) out += row;
  return out;
}

}  // namespace mnn
