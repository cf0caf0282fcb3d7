// From a TensorFlow program to a Graph.
#pragma once

#include "libconvert/convert.h"
#include "libconvert/frontends/tensorflow/program.h"

namespace mnn::tensorflow {

struct Limits {
  int64_t nodes;  // after functions and branches are unfolded
  int depth;      // of branches and loops in each other
};

// The graph of what the outputs depend on: functions are inlined, variables are constants, branches
// and loops of both kinds (If, While, Case; Switch, Merge, Enter, Exit) become If and Loop, lists
// and arrays of tensors become tensors with one more axis in front. Inputs and outputs keep the
// names, order, types and layout of `program`. Handles of variables may be handed to functions;
// a variable without content that is read is an error naming it.
//
// Every operator that has no row is named, with its node (kUnsupported); what contradicts itself is
// kInvalidArgument, more nodes or depth than `limits` kLimit. `options.failed` gets what is known
// then. The caller sets ImportedModel::format where it is not "tensorflow".
//
// A pass over the GraphDef may put operators of its own in: a name that no TensorFlow operator has
// ("_LSTM"), with a row in the table (op_map.cc) and its function in op_list.inc, like any other.
Result<ImportedModel> import_program(Program&& program, const ImportOptions& options,
                                     Limits limits);

// "Conv2D": those with a row and those the importer itself unfolds, in byte order.
std::vector<std::string> supported_operators();

}  // namespace mnn::tensorflow
