// The text form of a dimension, read.
#include <cctype>

#include "libruntime/core/dim.h"

namespace mnn {
namespace {

constexpr int kMaxParseDepth = 16;
constexpr size_t kMaxParsedText = 1024;  // str() never gives as much

// expression := product (('+' | '-') product)*; product := ['-'] factor ('*' factor)*;
// factor := number | symbol | "floor((" expression ")/(" expression "))" |
//           ("max" | "min") "(" expression "," expression ")"
class DimParser {
 public:
  explicit DimParser(std::string_view text) : text_(text) {}

  Result<Dim> parse() {
    if (text_.size() > kMaxParsedText) return fail();
    skip();
    if (text_.substr(pos_) == "?") return Dim::unknown();
    MNN_ASSIGN_OR_RETURN(const Dim d, expression());
    skip();
    if (pos_ != text_.size()) return fail();
    return d;
  }

 private:
  Status fail() const {
    return invalid("'" + std::string(text_) + "' is not a dimension (at character " +
                   std::to_string(pos_) + ")");
  }
  void skip() {
    while (pos_ < text_.size() && text_[pos_] == ' ') ++pos_;
  }
  bool eat(std::string_view token) {
    skip();
    if (text_.substr(pos_, token.size()) != token) return false;
    pos_ += token.size();
    return true;
  }
  Result<Dim> expression() {
    if (++depth_ > kMaxParseDepth) return fail();
    MNN_ASSIGN_OR_RETURN(Dim sum, product());
    while (true) {
      if (eat("+")) {
        MNN_ASSIGN_OR_RETURN(const Dim d, product());
        sum = sum + d;
      } else if (eat("-")) {
        MNN_ASSIGN_OR_RETURN(const Dim d, product());
        sum = sum - d;
      } else {
        --depth_;
        return sum;
      }
    }
  }
  Result<Dim> product() {
    Dim result(eat("-") ? -1 : 1);
    do {
      MNN_ASSIGN_OR_RETURN(const Dim d, factor());
      result = result * d;
    } while (eat("*"));
    return result;
  }
  Result<Dim> factor() {
    if (eat("floor((")) {
      MNN_ASSIGN_OR_RETURN(const Dim a, expression());
      if (!eat(")/(")) return fail();
      MNN_ASSIGN_OR_RETURN(const Dim b, expression());
      if (!eat("))")) return fail();
      return floor_div(a, b);
    }
    const bool larger = eat("max(");
    if (larger || eat("min(")) {
      MNN_ASSIGN_OR_RETURN(const Dim a, expression());
      if (!eat(",")) return fail();
      MNN_ASSIGN_OR_RETURN(const Dim b, expression());
      if (!eat(")")) return fail();
      return larger ? larger_of(a, b) : smaller_of(a, b);
    }
    skip();
    const size_t begin = pos_;
    if (pos_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[pos_]))) {
      int64_t value = 0;
      while (pos_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[pos_]))) {
        if (__builtin_mul_overflow(value, int64_t{10}, &value) ||
            __builtin_add_overflow(value, int64_t{text_[pos_] - '0'}, &value)) {
          return fail();
        }
        ++pos_;
      }
      return Dim(value);
    }
    while (pos_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[pos_])) ||
                                   text_[pos_] == '_' || text_[pos_] == '.')) {
      ++pos_;
    }
    if (pos_ == begin) return fail();
    return Dim::symbol(std::string(text_.substr(begin, pos_ - begin)));
  }

  std::string_view text_;
  size_t pos_ = 0;
  int depth_ = 0;
};

}  // namespace

Result<Dim> Dim::parse(std::string_view text) { return DimParser(text).parse(); }

}  // namespace mnn
