// What the parts of the text form share: a character scanner with positions, and the writing of
// names, strings, numbers, types and elements. Private to libruntime/core.
#pragma once

#include <string>
#include <string_view>

#include "libruntime/core/graph.h"
#include "libruntime/core/text.h"

namespace mnn {

// A value, attribute or operator name as written: bare, quoted, or %N for a value without one.
struct TextName {
  std::string text;
  bool quoted = false;
  bool numbered = false;

  bool is_none() const { return !quoted && !numbered && text == "_"; }
  // Distinguishes %1 from "%1".
  std::string key() const { return (numbered ? "%" : "$") + text; }
};

class TextScanner {
 public:
  TextScanner(std::string_view text, int64_t constant_budget)
      : text_(text), constant_budget_(constant_budget) {}

  bool at_end() const { return pos_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[pos_]; }
  size_t position() const { return pos_; }
  void seek(size_t position) { pos_ = position; }
  // Skips blanks, or blanks, line ends and comments.
  void skip_blanks();
  void skip_lines();
  // Whether a statement ends here: a line end, a comment, a closing brace or the end of the text.
  bool at_statement_end();

  // Each skips blanks first (the _line forms also line ends). eat_word takes whole words only.
  bool eat(char c);
  bool eat_line(char c);
  bool eat_word(std::string_view word);
  bool at_name() const;
  Status expect(char c);
  Status expect_word(std::string_view word);

  Result<TextName> name();
  Result<std::string> quoted();
  Result<int64_t> integer();
  // A run of characters that can stand in a number, a dtype or a keyword.
  std::string_view word();
  Result<Type> type();
  // The elements of a tensor: as many as dims say, or a generator, or a hash.
  Result<Tensor> elements(DType dtype, const std::vector<int64_t>& dims);
  // "[1,2,3]": a tensor of rank 1.
  Result<Tensor> list(DType dtype);

  // "line L, column C: message"
  Status fail(const std::string& message) const { return fail_at(pos_, message); }
  Status fail_at(size_t position, const std::string& message) const;
  // What stands here, for messages.
  std::string found() const;

 private:
  Result<Shape> shape_after_bracket(bool& rank_known);
  Status generate(Tensor& tensor, std::string_view generator);
  Status element(Tensor& tensor, int64_t index);
  Result<double> number();

  std::string_view text_;
  size_t pos_ = 0;
  int64_t constant_budget_;
};

std::string quote_text(std::string_view text);
// Bare when it can be, else quoted.
std::string name_text(std::string_view name);
// Shortest decimal that reads back to the same value; always with a dot, an exponent, inf or nan.
std::string double_text(double value);
std::string dim_text(const Dim& dim);
std::string type_text(const Type& type);
// The elements, separated by blanks.
void append_elements(std::string& out, const Tensor& tensor);
uint64_t content_hash(const Tensor& tensor);

}  // namespace mnn
