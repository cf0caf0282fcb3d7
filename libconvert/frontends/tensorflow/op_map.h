// Every operator of TensorFlow the front end reads, and what it becomes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libconvert/frontends/tensorflow/op.h"

namespace mnn::tensorflow {

// What the importer itself makes of a node; kRow is left to the row.
enum class Structure : uint8_t {
  kRow,
  kConstant,     // Const
  kPlaceholder,  // an input that nobody asked for
  kPass,         // output i is input i, of one or of many
  kNothing,      // has no outputs that count
  kCall,         // a function in attribute f
  kIf,
  kCase,
  kWhile,
  kSwitch,  // also of many ways
  kMerge,
  kEnter,
  kExit,
  kHandle,    // makes a variable's handle
  kVariable,  // is a variable
  kRead,      // its content by its handle
  kGather,    // the same, at places
  kAssign,
  kList,  // lists and arrays of tensors
};

using RowFn = void (*)(OpNode&);
struct OpRow {
  std::string_view name;
  RowFn convert = nullptr;
  std::string_view target = {};  // the IR's operator where names differ and nothing else does
  int inputs = 0;                // of such a one
  Structure structure = Structure::kRow;
  // The names of the output arguments where there are several: "values indices".
  std::string_view outputs = {};
  bool list = false;  // the one output argument is a list
};

// Null when nothing converts it.
const OpRow* find_row(std::string_view op);

// The rows' functions, by theme.
#define MNN_TENSORFLOW(function) void function(OpNode& n);
#include "libconvert/frontends/tensorflow/op_list.inc"
#undef MNN_TENSORFLOW

}  // namespace mnn::tensorflow
