#include "libruntime/core/text_scanner.h"

#include <algorithm>
#include <charconv>

namespace mnn {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.';
}
bool is_word_char(char c) { return is_name_char(c) || c == '-' || c == '+'; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void TextScanner::skip_blanks() {
  while (!at_end() && is_blank(text_[pos_])) ++pos_;
}

void TextScanner::skip_lines() {
  while (!at_end()) {
    if (is_blank(text_[pos_]) || text_[pos_] == '\n') {
      ++pos_;
    } else if (text_[pos_] == '#') {
      pos_ = std::min(text_.find('\n', pos_), text_.size());
    } else {
      return;
    }
  }
}

bool TextScanner::at_statement_end() {
  skip_blanks();
  return at_end() || peek() == '\n' || peek() == '#' || peek() == '}';
}

bool TextScanner::eat(char c) {
  skip_blanks();
  if (at_end() || text_[pos_] != c) return false;
  ++pos_;
  return true;
}

bool TextScanner::eat_line(char c) {
  skip_lines();
  return eat(c);
}

bool TextScanner::eat_word(std::string_view word) {
  skip_blanks();
  if (text_.substr(pos_, word.size()) != word) return false;
  if (pos_ + word.size() < text_.size() && is_name_char(text_[pos_ + word.size()])) return false;
  pos_ += word.size();
  return true;
}

bool TextScanner::at_name() const {
  return !at_end() && (is_name_char(peek()) || peek() == '"' || peek() == '%');
}

Status TextScanner::expect(char c) {
  if (eat(c)) return {};
  return fail(std::string("expected '") + c + "', found " + found());
}

Status TextScanner::expect_word(std::string_view word) {
  if (eat_word(word)) return {};
  return fail("expected '" + std::string(word) + "', found " + found());
}

Result<TextName> TextScanner::name() {
  skip_blanks();
  TextName n;
  if (peek() == '"') {
    n.quoted = true;
    MNN_ASSIGN_OR_RETURN(n.text, quoted());
    return n;
  }
  if (peek() == '%') {
    n.numbered = true;
    ++pos_;
  }
  const size_t begin = pos_;
  while (!at_end() && is_name_char(text_[pos_])) ++pos_;
  if (pos_ == begin) return fail("expected a name, found " + found());
  n.text = text_.substr(begin, pos_ - begin);
  return n;
}

Result<std::string> TextScanner::quoted() {
  skip_blanks();
  if (peek() != '"') return fail("expected a quoted string, found " + found());
  const size_t begin = pos_++;
  std::string out;
  while (!at_end() && text_[pos_] != '"' && text_[pos_] != '\n') {
    char c = text_[pos_++];
    if (c == '\\') {
      if (at_end()) break;
      c = text_[pos_++];
      if (c == 'n') {
        c = '\n';
      } else if (c == 't') {
        c = '\t';
      } else if (c == 'x') {
        const int high = pos_ + 1 < text_.size() ? hex_digit(text_[pos_]) : -1;
        const int low = high >= 0 ? hex_digit(text_[pos_ + 1]) : -1;
        if (low < 0) return fail("expected two hex digits after \\x, found " + found());
        c = static_cast<char>(high * 16 + low);
        pos_ += 2;
      } else if (c != '"' && c != '\\') {
        --pos_;
        return fail("expected one of \\\" \\\\ \\n \\t \\xHH, found " + found());
      }
    }
    out += c;
  }
  if (peek() != '"') return fail_at(begin, "the string is not closed on its line");
  ++pos_;
  return out;
}

std::string_view TextScanner::word() {
  skip_blanks();
  const size_t begin = pos_;
  while (!at_end() && is_word_char(text_[pos_])) ++pos_;
  return text_.substr(begin, pos_ - begin);
}

Result<int64_t> TextScanner::integer() {
  skip_blanks();
  const size_t begin = pos_;
  const std::string_view w = word();
  int64_t value = 0;
  const auto r = std::from_chars(w.data(), w.data() + w.size(), value);
  if (w.empty() || r.ec != std::errc() || r.ptr != w.data() + w.size()) {
    pos_ = begin;
    return fail("expected an integer, found " + found());
  }
  return value;
}

Result<Shape> TextScanner::shape_after_bracket(bool& rank_known) {
  rank_known = true;
  Shape shape;
  if (eat_line(']')) return shape;
  skip_lines();
  if (peek() == '*') {
    ++pos_;
    MNN_RETURN_IF_ERROR(expect(']'));
    rank_known = false;
    return shape;
  }
  while (true) {
    skip_lines();
    const size_t begin = pos_;
    int depth = 0;
    while (!at_end() && text_[pos_] != '\n' &&
           (depth > 0 || (text_[pos_] != ',' && text_[pos_] != ']'))) {
      if (text_[pos_] == '(') ++depth;
      if (text_[pos_] == ')') --depth;
      ++pos_;
    }
    std::string_view text = text_.substr(begin, pos_ - begin);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    const Result<Dim> dim = Dim::parse(text);
    if (!dim.ok()) return fail_at(begin, dim.status().message());
    if (dim->known() && dim->value() < 0) {
      return fail_at(begin, "dimension " + dim->str() + " is negative");
    }
    shape.push_back(*dim);
    if (eat(',')) continue;
    MNN_RETURN_IF_ERROR(expect(']'));
    return shape;
  }
}

Result<Type> TextScanner::type() {
  skip_blanks();
  Type t;
  int closing = 0;
  if (eat_word("optional")) {
    MNN_RETURN_IF_ERROR(expect('('));
    t.kind = Type::Kind::kOptionalTensor;
    ++closing;
  }
  if (eat_word("seq")) {
    MNN_RETURN_IF_ERROR(expect('('));
    t.kind = closing ? Type::Kind::kOptionalSequence : Type::Kind::kSequence;
    ++closing;
  }
  skip_blanks();
  const size_t begin = pos_;
  while (!at_end() && is_name_char(text_[pos_])) ++pos_;
  const std::string_view name = text_.substr(begin, pos_ - begin);
  const std::optional<DType> dtype = parse_dtype(name);
  if (!dtype && name != "undefined") {
    pos_ = begin;
    return fail("expected a type such as f32[n,3], found " + found());
  }
  t.dtype = dtype.value_or(DType::kUndefined);
  MNN_RETURN_IF_ERROR(expect('['));
  bool rank_known = false;
  MNN_ASSIGN_OR_RETURN(Shape shape, shape_after_bracket(rank_known));
  if (rank_known) t.shape = std::move(shape);
  for (; closing > 0; --closing) MNN_RETURN_IF_ERROR(expect(')'));
  return t;
}

Status TextScanner::fail_at(size_t position, const std::string& message) const {
  const std::string_view before = text_.substr(0, position);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  return invalid("line " + std::to_string(line) + ", column " +
                 std::to_string(before.size() - line_begin + 1) + ": " + message);
}

std::string TextScanner::found() const {
  if (at_end()) return "the end of the text";
  if (text_[pos_] == '\n') return "the end of the line";
  std::string_view rest = text_.substr(pos_, 24);
  size_t length = 0;
  while (length < rest.size() && is_word_char(rest[length])) ++length;
  return quote_text(rest.substr(0, std::max<size_t>(length, 1)));
}

namespace {

// Length of the well-formed UTF-8 sequence that starts `text`, 0 when there is none.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char c = byte(0);
  const size_t length = c < 0x80   ? 1
                        : c < 0xc2 ? 0
                        : c < 0xe0 ? 2
                        : c < 0xf0 ? 3
                        : c < 0xf5 ? 4
                                   : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  if (length == 3 && ((c == 0xe0 && byte(1) < 0xa0) || (c == 0xed && byte(1) > 0x9f))) return 0;
  if (length == 4 && ((c == 0xf0 && byte(1) < 0x90) || (c == 0xf4 && byte(1) > 0x8f))) return 0;
  return length;
}

}  // namespace

std::string quote_text(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    const size_t length = utf8_length(text.substr(i));
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (length > 1 || (length == 1 && c >= 0x20 && c != 0x7f)) {
      out += text.substr(i, length);
    } else {
      const auto u = static_cast<unsigned char>(c);
      out += {'\\', 'x', kHex[u >> 4], kHex[u & 15]};
    }
    i += std::max<size_t>(length, 1);
  }
  return out + "\"";
}

std::string name_text(std::string_view name) {
  // Words that mean something where a name may stand.
  constexpr std::string_view kReserved[] = {"_",     "const",     "state",    "graph",  "name",
                                            "quant", "smoothing", "captures", "stored", "update"};
  const bool bare =
      !name.empty() && std::all_of(name.begin(), name.end(), is_name_char) &&
      std::find(std::begin(kReserved), std::end(kReserved), name) == std::end(kReserved);
  return bare ? std::string(name) : quote_text(name);
}

std::string dim_text(const Dim& dim) {
  // A symbol the grammar cannot spell reads back as an unknown dimension, not as an error.
  const Result<Dim> again = Dim::parse(dim.str());
  return again.ok() && (dim.is_unknown() || again->same(dim)) ? dim.str() : "?";
}

std::string type_text(const Type& type) {
  if (!type.shape) return type.str();
  Type plain = type;
  for (Dim& d : *plain.shape) {
    if (!d.known() && dim_text(d) == "?") d = Dim::unknown();
  }
  return plain.str();
}

std::string double_text(double value) {
  if (value != value) return "nan";
  char buffer[40];
  const auto r = std::to_chars(buffer, buffer + sizeof buffer, value);
  std::string text(buffer, r.ptr);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

}  // namespace mnn
