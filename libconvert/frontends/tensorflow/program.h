// A TensorFlow graph with its border and its weights: what a frozen GraphDef and a SavedModel both
// become before the importer sees them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "libruntime/core/graph.h"
#include "libruntime/core/tensor.h"
#include "tensorflow.pb.h"

namespace mnn::tensorflow {

// One tensor at the border.
struct Feed {
  std::string name;    // what the model's user calls it: "serving_default_x:0", "x"
  std::string tensor;  // of the graph: "node:0"
  Type type;           // what the source declares; undefined where it says nothing
};

struct Program {
  GraphDef graph;
  std::vector<Feed> inputs, outputs;
  // What variables hold, under the name of the node that makes their handle (VarHandleOp) or that
  // is the variable (Variable, VariableV2).
  std::map<std::string, Tensor> variables;
  std::map<std::string, std::string> facts;  // of the file, for reports
};

}  // namespace mnn::tensorflow
