// Every operator of the format: its number, its name and what it becomes.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "libconvert/frontends/tflite/op.h"

namespace mnn::tflite {

// Of those the importer itself unfolds, and of operators that are known by name alone.
inline constexpr int kCustomCode = 32, kIf = 118, kWhile = 119, kCallOnce = 129, kVarHandle = 142,
                     kReadVariable = 143, kAssignVariable = 144;
// Numbers over 127 do not fit into the old field, which is 127 then.
inline int builtin_code(const fb::OperatorCode& code) {
  return std::max<int>(code.deprecated_builtin_code(), code.builtin_code());
}

using RowFn = void (*)(OpNode&);
struct OpRow {
  int code = 0;
  std::string_view name;
  RowFn convert = nullptr;       // null: not supported, or the importer's own
  std::string_view target = {};  // the IR's operator where names differ and nothing else does
  int inputs = 0;                // of such a one
};

// The name of a builtin operator's number, empty when there is none.
std::string_view builtin_name(int code);
// The row that converts an operator, null when nothing does.
const OpRow* find_builtin(int code);
const OpRow* find_custom(std::string_view name);
// Operators the importer itself unfolds: sub-graphs, variables.
bool is_structural(int code);
// "ADD", "custom TFLite_Detection_PostProcess", supported ones only.
std::vector<std::string> supported_operators();

// The rows' functions, by theme.
#define MNN_TFLITE(function) void function(OpNode& n);
#include "libconvert/frontends/tflite/op_list.inc"
#undef MNN_TFLITE

}  // namespace mnn::tflite
