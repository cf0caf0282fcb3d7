// The border of a TorchScript model: which inputs the arguments of its method become, and which
// outputs what it returns. Private to the front end.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "libconvert/frontends/common/border.h"
#include "libconvert/frontends/torch/interpreter.h"

namespace mnn::torch {

// What the caller says of a model.
struct ScriptSettings {
  ShapeMap shapes;
  std::map<std::string, std::string> arguments;  // values of numbers and texts, by parameter
  std::map<std::string, DType> dtypes;           // of inputs
  std::string method = "forward";
  bool traced_shapes = false;  // inputs have the shapes of the example a model was traced with
};

// The arguments for a call of `method`: graph inputs, defaults, what the settings say.
Result<std::vector<ScriptValue>> add_arguments(Interpreter& interpreter, const Function& method,
                                               const ScriptSettings& settings, const Hints& hints,
                                               const Pickled* traced,
                                               std::vector<std::pair<std::string, int>>& inputs);
// The tensors and numbers of a value in order, None left out.
Status flatten(Interpreter& interpreter, const ScriptValue& value, std::vector<ScriptValue>& out,
               int depth = 0);

}  // namespace mnn::torch
