// The source text that TorchScript archives hold (code/*.py), a small subset of Python: classes,
// functions, statements and expressions. Types are read as expressions.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libruntime/core/status.h"

namespace mnn::torch {

struct Expr {
  enum class Kind : uint8_t {
    kNone,
    kBool,    // number
    kInt,     // number
    kFloat,   // real
    kString,  // text
    kName,    // text
    kMember,  // items[0].text
    kCall,    // items[0](items[1], …, keyword=…)
    kIndex,   // items[0][items[1]]
    kSlice,   // begin:end:step, kNone where absent; only inside kIndex
    kList,
    kTuple,
    kDict,  // keys and values in turn
  };
  Kind kind = Kind::kNone;
  int line = 0;
  int64_t number = 0;
  double real = 0;
  std::string text;
  std::vector<Expr> items;
  std::vector<std::pair<std::string, Expr>> keywords;  // of kCall

  // "torch.nn.relu" of names and members; empty for anything else.
  std::string dotted() const;
};

struct Stmt {
  enum class Kind : uint8_t {
    kAssign,  // targets = value
    kIf,      // if value: body else: orelse
    kFor,     // for targets[0] in value: body
    kWhile,   // while value: body
    kWith,    // with value: body
    kReturn,
    kPass,
    kExpr,
  };
  Kind kind = Kind::kPass;
  int line = 0;
  std::vector<Expr> targets;
  Expr value;
  std::vector<Stmt> body, orelse;
};

struct Parameter {
  std::string name;
  Expr type;
  bool has_default = false;
  Expr fallback;
};

struct Function {
  std::string name;
  int line = 0;
  std::vector<Parameter> parameters;
  Expr returns;
  std::vector<Stmt> body;
};

struct Class {
  std::string name;
  std::string base;                                    // "Module", "NamedTuple", "" …
  std::vector<std::pair<std::string, Expr>> fields;    // annotated attributes in order: their types
  std::map<std::string, Expr, std::less<>> constants;  // Final attributes with a value
  std::map<std::string, Function, std::less<>> methods;
};

// One file.
struct Source {
  std::map<std::string, Class, std::less<>> classes;
  std::map<std::string, Function, std::less<>> functions;
};

// kInvalidArgument with the line where the text is no such source; kLimit when it is nested too
// deeply or too long.
Result<Source> parse_source(std::string_view text);

}  // namespace mnn::torch
