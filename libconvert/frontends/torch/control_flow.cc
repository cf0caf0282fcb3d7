// Branches and loops whose course is known in a run only: If and Loop.
#include <algorithm>

#include "libconvert/frontends/torch/interpreter.h"

namespace mnn::torch {

Status Interpreter::exec_if(const Stmt& stmt, const ScriptValue& value, Frame& frame, Flow& flow) {
  if (as<Undefined>(value) != nullptr) {
    return invalid("a condition depends on what failed");
  }
  MNN_ASSIGN_OR_RETURN(const std::optional<bool> taken, truth(value));
  if (taken) return exec(*taken ? stmt.body : stmt.orelse, frame, flow);
  return unsupported("a condition that depends on the input");
}

Status Interpreter::exec_loop(const Stmt&, const ScriptValue*, Frame&) {
  return unsupported("a loop whose rounds depend on the input");
}

}  // namespace mnn::torch
