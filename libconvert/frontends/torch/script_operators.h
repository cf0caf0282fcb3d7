// The operators that TorchScript's code calls on numbers, lists, strings and dicts: what the
// interpreter evaluates. Private to the front end.
#pragma once

#include <map>
#include <optional>
#include <string_view>

#include "libconvert/frontends/torch/interpreter.h"

namespace mnn::torch {

const std::map<std::string_view, ScriptOperator>& number_operators();     // script_numbers.cc
const std::map<std::string_view, ScriptOperator>& container_operators();  // script_containers.cc
const std::map<std::string_view, ScriptOperator>& tensor_operators();     // script_tensors.cc
const std::map<std::string_view, ScriptOperator>& quantized_operators();  // script_quantized.cc

// Whether two values are equal; nullopt where that is known in a run only.
Result<std::optional<bool>> equal_values(Interpreter& interpreter, const ScriptValue& a,
                                         const ScriptValue& b);
// Whether an operator works in place: "aten::add_".
bool writes(std::string_view op);
// range_length of what depends on the input's shape.
Result<bool> symbolic_range(ScriptCall& call);

}  // namespace mnn::torch
