#include "libconvert/frontends/torch/source_text.h"

#include "libconvert/frontends/torch/tokens.h"

namespace mnn::torch {
namespace {

constexpr int kMaxSourceDepth = 300;  // of expressions and blocks in each other
using TokenKind = Token::Kind;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  Result<Source> run() {
    Source source;
    while (!is(TokenKind::kEnd)) {
      const Status status = read_definition(source);
      if (!status.ok()) return status.context("line " + std::to_string(token().line));
    }
    return source;
  }

 private:
  const Token& token() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  bool is(TokenKind kind) const { return token().kind == kind; }
  bool is_op(std::string_view text) const { return is(TokenKind::kOp) && token().text == text; }
  bool is_word(std::string_view text) const { return is(TokenKind::kName) && token().text == text; }
  void advance() {
    if (at_ + 1 < tokens_.size()) ++at_;
  }
  bool take_op(std::string_view text) {
    if (!is_op(text)) return false;
    advance();
    return true;
  }
  bool take_word(std::string_view text) {
    if (!is_word(text)) return false;
    advance();
    return true;
  }
  Status expect_op(std::string_view text) {
    if (take_op(text)) return {};
    return invalid("expected '" + std::string(text) + "', found '" + token().text + "'");
  }
  Status expect(TokenKind kind, const char* what) {
    if (!is(kind)) {
      return invalid(std::string("expected ") + what + ", found '" + token().text + "'");
    }
    advance();
    return {};
  }
  Status end_line() { return expect(TokenKind::kNewline, "the end of the line"); }
  Result<std::string> name() {
    std::string text = token().text;
    MNN_RETURN_IF_ERROR(expect(TokenKind::kName, "a name"));
    return text;
  }

  Status read_definition(Source& source) {
    if (is(TokenKind::kNewline)) {
      advance();
      return {};
    }
    if (take_word("class")) {
      MNN_ASSIGN_OR_RETURN(Class made, read_class());
      std::string key = made.name;
      if (source.classes.emplace(std::move(key), std::move(made)).second) return {};
      return invalid("a class is defined twice");
    }
    if (is_word("def")) {
      MNN_ASSIGN_OR_RETURN(Function made, read_function());
      std::string key = made.name;
      if (source.functions.emplace(std::move(key), std::move(made)).second) return {};
      return invalid("a function is defined twice");
    }
    // `import`, and names given to constants, say nothing about the network.
    while (!is(TokenKind::kNewline) && !is(TokenKind::kEnd)) advance();
    return end_line();
  }

  Result<Class> read_class() {
    Class made;
    MNN_ASSIGN_OR_RETURN(made.name, name());
    if (take_op("(")) {
      if (!is_op(")")) {
        MNN_ASSIGN_OR_RETURN(const Expr base, expression());
        made.base = base.dotted();
      }
      MNN_RETURN_IF_ERROR(expect_op(")"));
    }
    MNN_RETURN_IF_ERROR(open_block());
    while (!is(TokenKind::kDedent)) MNN_RETURN_IF_ERROR(read_member(made));
    advance();
    return made;
  }

  Status read_member(Class& made) {
    if (is_word("def")) {
      MNN_ASSIGN_OR_RETURN(Function method, read_function());
      std::string key = method.name;
      if (made.methods.emplace(std::move(key), std::move(method)).second) return {};
      return invalid("a method is defined twice");
    }
    if (take_word("pass")) return end_line();
    MNN_ASSIGN_OR_RETURN(const Expr target, expression());
    std::string field = target.text;
    // __annotations__["0"] = TYPE, for names that Python does not take.
    const bool annotation = target.kind == Expr::Kind::kIndex;
    if (annotation) field = target.items[1].text;
    if (take_op(":")) {
      MNN_ASSIGN_OR_RETURN(Expr type, expression());
      made.fields.emplace_back(field, std::move(type));
    }
    if (take_op("=")) {
      MNN_ASSIGN_OR_RETURN(Expr value, expression());
      if (annotation) {
        made.fields.emplace_back(field, std::move(value));
      } else {
        made.constants.insert_or_assign(field, std::move(value));
      }
    }
    return end_line();
  }

  Result<Function> read_function() {
    Function made;
    made.line = token().line;
    advance();  // "def"
    MNN_ASSIGN_OR_RETURN(made.name, name());
    MNN_RETURN_IF_ERROR(expect_op("("));
    while (!is_op(")")) {
      Parameter parameter;
      MNN_ASSIGN_OR_RETURN(parameter.name, name());
      if (take_op(":")) {
        MNN_ASSIGN_OR_RETURN(parameter.type, expression());
      }
      if (take_op("=")) {
        parameter.has_default = true;
        MNN_ASSIGN_OR_RETURN(parameter.fallback, expression());
      }
      made.parameters.push_back(std::move(parameter));
      if (!take_op(",")) break;
    }
    MNN_RETURN_IF_ERROR(expect_op(")"));
    if (take_op("->")) {
      MNN_ASSIGN_OR_RETURN(made.returns, expression());
    }
    MNN_ASSIGN_OR_RETURN(made.body, block());
    return made;
  }

  Status open_block() {
    MNN_RETURN_IF_ERROR(expect_op(":"));
    MNN_RETURN_IF_ERROR(end_line());
    return expect(TokenKind::kIndent, "an indented block");
  }

  Result<std::vector<Stmt>> block() {
    if (++depth_ > kMaxSourceDepth) return limit_exceeded("the source is nested too deeply");
    MNN_RETURN_IF_ERROR(open_block());
    std::vector<Stmt> body;
    while (!is(TokenKind::kDedent)) {
      MNN_ASSIGN_OR_RETURN(Stmt made, statement());
      body.push_back(std::move(made));
    }
    advance();
    --depth_;
    return body;
  }

  Result<Stmt> statement() {
    Stmt made;
    made.line = token().line;
    if (take_word("pass")) {
      MNN_RETURN_IF_ERROR(end_line());
      return made;
    }
    if (take_word("return")) {
      made.kind = Stmt::Kind::kReturn;
      if (!is(TokenKind::kNewline)) {
        MNN_ASSIGN_OR_RETURN(made.value, expressions());
      }
      MNN_RETURN_IF_ERROR(end_line());
      return made;
    }
    if (is_word("if") || is_word("while") || is_word("with")) {
      made.kind = is_word("if")      ? Stmt::Kind::kIf
                  : is_word("while") ? Stmt::Kind::kWhile
                                     : Stmt::Kind::kWith;
      advance();
      MNN_ASSIGN_OR_RETURN(made.value, expression());
      MNN_ASSIGN_OR_RETURN(made.body, block());
      if (made.kind == Stmt::Kind::kIf && take_word("else")) {
        MNN_ASSIGN_OR_RETURN(made.orelse, block());
      }
      return made;
    }
    if (take_word("for")) {
      made.kind = Stmt::Kind::kFor;
      MNN_ASSIGN_OR_RETURN(Expr target, expression());
      made.targets.push_back(std::move(target));
      if (!take_word("in")) return invalid("expected 'in'");
      MNN_ASSIGN_OR_RETURN(made.value, expression());
      MNN_ASSIGN_OR_RETURN(made.body, block());
      return made;
    }
    return assignment(std::move(made));
  }

  Result<Stmt> assignment(Stmt made) {
    MNN_ASSIGN_OR_RETURN(Expr left, expressions());
    made.kind = Stmt::Kind::kExpr;
    // `x: T = value` declares a type too.
    if (take_op(":")) MNN_RETURN_IF_ERROR(expression().status());
    if (take_op("=")) {
      made.kind = Stmt::Kind::kAssign;
      // `a, = x` takes the only item of x.
      if (left.kind == Expr::Kind::kTuple && left.items.size() > 1) {
        made.targets = std::move(left.items);
      } else {
        made.targets.push_back(std::move(left));
      }
      MNN_ASSIGN_OR_RETURN(made.value, expressions());
    } else {
      made.value = std::move(left);
    }
    MNN_RETURN_IF_ERROR(end_line());
    return made;
  }

  // One, or several with commas: a tuple.
  Result<Expr> expressions() {
    MNN_ASSIGN_OR_RETURN(Expr first, expression());
    if (!is_op(",")) return first;
    Expr tuple = make(Expr::Kind::kTuple);
    tuple.items.push_back(std::move(first));
    while (take_op(",")) {
      if (is_op("=") || is(TokenKind::kNewline)) break;
      MNN_ASSIGN_OR_RETURN(Expr item, expression());
      tuple.items.push_back(std::move(item));
    }
    return tuple;
  }

  Expr make(Expr::Kind kind) const {
    Expr made;
    made.kind = kind;
    made.line = token().line;
    return made;
  }

  Result<Expr> expression() {
    if (++depth_ > kMaxSourceDepth) return limit_exceeded("the source is nested too deeply");
    Result<Expr> made = postfix();
    --depth_;
    return made;
  }

  Result<Expr> postfix() {
    MNN_ASSIGN_OR_RETURN(Expr made, primary());
    for (int links = 0;; ++links) {
      // Each link nests what is before it one deeper.
      if (links > kMaxSourceDepth) return limit_exceeded("the source is nested too deeply");
      if (take_op(".")) {
        Expr member = make(Expr::Kind::kMember);
        MNN_ASSIGN_OR_RETURN(member.text, name());
        member.items.push_back(std::move(made));
        made = std::move(member);
      } else if (is_op("(")) {
        MNN_ASSIGN_OR_RETURN(made, call(std::move(made)));
      } else if (take_op("[")) {
        Expr index = make(Expr::Kind::kIndex);
        index.items.push_back(std::move(made));
        MNN_ASSIGN_OR_RETURN(Expr at, subscript());
        index.items.push_back(std::move(at));
        MNN_RETURN_IF_ERROR(expect_op("]"));
        made = std::move(index);
      } else {
        return made;
      }
    }
  }

  // What stands between square brackets: an index, several, or a slice.
  Result<Expr> subscript() {
    Expr parts = make(Expr::Kind::kSlice);
    Expr list = make(Expr::Kind::kTuple);
    bool slice = false;
    for (;;) {
      Expr part = make(Expr::Kind::kNone);
      if (!is_op(":") && !is_op("]") && !is_op(",")) {
        MNN_ASSIGN_OR_RETURN(part, expression());
      }
      (slice || is_op(":") ? parts : list).items.push_back(std::move(part));
      if (take_op(":")) {
        slice = true;
        continue;
      }
      if (!take_op(",") || is_op("]")) break;
    }
    if (slice) {
      parts.items.resize(3);
      return parts;
    }
    if (list.items.size() == 1) return std::move(list.items[0]);
    return list;
  }

  Result<Expr> call(Expr callee) {
    Expr made = make(Expr::Kind::kCall);
    made.items.push_back(std::move(callee));
    advance();  // "("
    while (!is_op(")")) {
      const bool keyword =
          is(TokenKind::kName) && next().kind == TokenKind::kOp && next().text == "=";
      if (keyword) {
        MNN_ASSIGN_OR_RETURN(std::string key, name());
        advance();  // "="
        MNN_ASSIGN_OR_RETURN(Expr value, expression());
        made.keywords.emplace_back(std::move(key), std::move(value));
      } else {
        MNN_ASSIGN_OR_RETURN(Expr value, expression());
        made.items.push_back(std::move(value));
      }
      if (!take_op(",")) break;
    }
    MNN_RETURN_IF_ERROR(expect_op(")"));
    return made;
  }

  Status items_until(std::string_view close, Expr& into) {
    while (!is_op(close)) {
      MNN_ASSIGN_OR_RETURN(Expr item, expression());
      into.items.push_back(std::move(item));
      if (!take_op(",")) break;
    }
    return expect_op(close);
  }

  Result<Expr> primary() {
    Expr made = make(Expr::Kind::kNone);
    if (take_op("-")) return negative();
    if (take_op("(")) return parenthesized();
    if (take_op("[")) {
      made.kind = Expr::Kind::kList;
      MNN_RETURN_IF_ERROR(items_until("]", made));
      return made;
    }
    if (take_op("{")) return dict();
    const Token& t = token();
    switch (t.kind) {
      case TokenKind::kInt: made.kind = Expr::Kind::kInt; break;
      case TokenKind::kFloat: made.kind = Expr::Kind::kFloat; break;
      case TokenKind::kString: made.kind = Expr::Kind::kString; break;
      case TokenKind::kName: made.kind = Expr::Kind::kName; break;
      default: return invalid("expected a value, found '" + t.text + "'");
    }
    made.number = t.number;
    made.real = t.real;
    made.text = t.text;
    if (made.kind == Expr::Kind::kName) {
      if (t.text == "None") made.kind = Expr::Kind::kNone;
      if (t.text == "True" || t.text == "False") {
        made.kind = Expr::Kind::kBool;
        made.number = t.text == "True";
      }
    }
    advance();
    return made;
  }

  Result<Expr> negative() {
    MNN_ASSIGN_OR_RETURN(Expr made, expression());
    if (made.kind == Expr::Kind::kInt) {
      made.number = -made.number;
    } else if (made.kind == Expr::Kind::kFloat) {
      made.real = -made.real;
    } else if (made.kind == Expr::Kind::kName && made.text == "inf") {
      made.kind = Expr::Kind::kFloat;
      made.real = -__builtin_inf();
    } else {
      return invalid("expected a number after '-'");
    }
    return made;
  }

  Result<Expr> parenthesized() {
    Expr tuple = make(Expr::Kind::kTuple);
    if (take_op(")")) return tuple;
    MNN_ASSIGN_OR_RETURN(Expr first, expression());
    if (take_op(")")) return first;
    MNN_RETURN_IF_ERROR(expect_op(","));
    tuple.items.push_back(std::move(first));
    MNN_RETURN_IF_ERROR(items_until(")", tuple));
    return tuple;
  }

  Result<Expr> dict() {
    Expr made = make(Expr::Kind::kDict);
    while (!is_op("}")) {
      MNN_ASSIGN_OR_RETURN(Expr key, expression());
      MNN_RETURN_IF_ERROR(expect_op(":"));
      MNN_ASSIGN_OR_RETURN(Expr value, expression());
      made.items.push_back(std::move(key));
      made.items.push_back(std::move(value));
      if (!take_op(",")) break;
    }
    MNN_RETURN_IF_ERROR(expect_op("}"));
    return made;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

std::string Expr::dotted() const {
  std::string path;
  const Expr* at = this;
  for (; at->kind == Kind::kMember; at = &at->items[0]) path = "." + at->text + path;
  return at->kind == Kind::kName ? at->text + path : std::string();
}

Result<Source> parse_source(std::string_view text) {
  MNN_ASSIGN_OR_RETURN(std::vector<Token> tokens, tokenize(text));
  return Parser(std::move(tokens)).run();
}

}  // namespace mnn::torch
