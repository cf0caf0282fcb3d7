// The tokens of TorchScript's source text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libruntime/core/status.h"

namespace mnn::torch {

struct Token {
  enum class Kind : uint8_t { kName, kInt, kFloat, kString, kOp, kNewline, kIndent, kDedent, kEnd };
  Kind kind = Kind::kEnd;
  int line = 0;
  std::string text;  // of a string what it stands for
  int64_t number = 0;
  double real = 0;
};

// Line ends inside brackets are none. Ends with kEnd after the kDedents that close all blocks.
Result<std::vector<Token>> tokenize(std::string_view text);

}  // namespace mnn::torch
