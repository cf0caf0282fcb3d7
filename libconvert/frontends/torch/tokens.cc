#include "libconvert/frontends/torch/tokens.h"

#include <cctype>
#include <charconv>

namespace mnn::torch {
namespace {

constexpr size_t kMaxSourceText = size_t{1} << 27;
constexpr size_t kMaxIndents = 100;

bool begins_name(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view text) : text_(text) {}

  Result<std::vector<Token>> run() {
    if (text_.size() > kMaxSourceText) return limit_exceeded("the source is too long");
    while (at_ < text_.size()) {
      const Status status = line_start_ ? read_indent() : read_token();
      if (!status.ok()) return status.context("line " + std::to_string(line_));
    }
    const bool ended = tokens_.empty() || tokens_.back().kind == Token::Kind::kNewline;
    if (!ended) add(Token::Kind::kNewline);
    for (; indents_.size() > 1; indents_.pop_back()) add(Token::Kind::kDedent);
    add(Token::Kind::kEnd);
    return std::move(tokens_);
  }

 private:
  Token& add(Token::Kind kind, std::string text = {}) {
    tokens_.push_back({kind, line_, std::move(text)});
    return tokens_.back();
  }
  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  Status read_indent() {
    size_t width = 0;
    while (peek() == ' ') ++width, ++at_;
    if (at_ >= text_.size()) return {};
    if (peek() == '\n' || peek() == '\r' || peek() == '#') return skip_line();
    line_start_ = false;
    if (width > indents_.back()) {
      if (indents_.size() > kMaxIndents) return limit_exceeded("blocks are nested too deeply");
      indents_.push_back(width);
      add(Token::Kind::kIndent);
    }
    for (; width < indents_.back(); indents_.pop_back()) add(Token::Kind::kDedent);
    return width == indents_.back() ? Status() : invalid("the indentation fits no block");
  }

  Status skip_line() {
    while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    if (at_ < text_.size()) ++at_;
    ++line_;
    line_start_ = true;
    return {};
  }

  Status read_token() {
    const char c = peek();
    if (c == ' ' || c == '\t' || c == '\r') {
      ++at_;
      return {};
    }
    if (c == '#') {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      return {};
    }
    if (c == '\n') {
      if (depth_ == 0) {
        add(Token::Kind::kNewline);
        line_start_ = true;
      }
      ++at_;
      ++line_;
      return {};
    }
    if (begins_name(c)) {
      const size_t begin = at_;
      while (begins_name(peek()) || is_digit(peek())) ++at_;
      add(Token::Kind::kName, std::string(text_.substr(begin, at_ - begin)));
      return {};
    }
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return read_number();
    if (c == '"' || c == '\'') return read_string(c);
    return read_operator(c);
  }

  Status read_operator(char c) {
    if (c == '-' && peek(1) == '>') {
      at_ += 2;
      add(Token::Kind::kOp, "->");
      return {};
    }
    constexpr std::string_view kOps = "()[]{}:,.=-";
    if (kOps.find(c) == std::string_view::npos) {
      return invalid(std::string("unexpected character '") + c + "'");
    }
    if (c == '(' || c == '[' || c == '{') ++depth_;
    if ((c == ')' || c == ']' || c == '}') && --depth_ < 0) return invalid("a bracket too many");
    ++at_;
    add(Token::Kind::kOp, std::string(1, c));
    return {};
  }

  Status read_number() {
    const size_t begin = at_;
    bool real = false;
    while (is_digit(peek())) ++at_;
    if (peek() == '.') {
      real = true;
      ++at_;
      while (is_digit(peek())) ++at_;
    }
    const size_t sign = peek(1) == '-' || peek(1) == '+' ? 2 : 1;
    if ((peek() == 'e' || peek() == 'E') && is_digit(peek(sign))) {
      real = true;
      at_ += sign;
      while (is_digit(peek())) ++at_;
    }
    if (peek() == 'j') return unsupported("complex literals");
    const char *first = text_.data() + begin, *last = text_.data() + at_;
    Token& token = add(real ? Token::Kind::kFloat : Token::Kind::kInt);
    if (real) {
      // Beyond what a double holds: infinity or 0, as Python has it.
      std::from_chars(first, last, token.real);
      return {};
    }
    const auto [end, error] = std::from_chars(first, last, token.number);
    if (error == std::errc() && end == last) return {};
    return invalid("the number " + std::string(first, last) + " does not fit 64 bits");
  }

  Status read_string(char quote) {
    ++at_;
    std::string value;
    while (peek() != quote) {
      if (at_ >= text_.size() || peek() == '\n') return invalid("a string does not end");
      if (peek() != '\\') {
        value += text_[at_++];
        continue;
      }
      ++at_;
      MNN_RETURN_IF_ERROR(read_escape(value));
    }
    ++at_;
    add(Token::Kind::kString, std::move(value));
    return {};
  }

  Status read_escape(std::string& value) {
    const char c = peek();
    ++at_;
    constexpr std::string_view kFrom = "abfnrtv\\'\"", kTo = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t known = kFrom.find(c); c != '\0' && known != std::string_view::npos) {
      value += kTo[known];
      return {};
    }
    const bool hex = c == 'x';
    const char* first = text_.data() + at_ - (hex ? 0 : 1);
    const char* last = text_.data() + std::min(text_.size(), at_ + 2);
    unsigned code = 0;
    const auto [end, error] = std::from_chars(first, last, code, hex ? 16 : 8);
    if (error != std::errc()) return invalid("an unknown escape in a string");
    at_ = static_cast<size_t>(end - text_.data());
    value += static_cast<char>(code);
    return {};
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1, depth_ = 0;
  bool line_start_ = true;
  std::vector<size_t> indents_{0};
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view text) { return Tokenizer(text).run(); }

}  // namespace mnn::torch
