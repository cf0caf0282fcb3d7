// What the code of a TorchScript model computes with while it is converted: tensors of the graph,
// numbers that are known or depend on the input's shape, containers, modules.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "libconvert/frontends/torch/pickle.h"
#include "libconvert/frontends/torch/source_text.h"
#include "libconvert/frontends/torch/tensors.h"

namespace mnn::torch {

struct ListValue;
struct DictValue;
struct ObjectValue;

// A tensor of one graph: `level` 0 is the main graph, 1 a sub-graph in it.
struct TensorRef {
  int level = 0;
  TensorId id = -1;
  auto operator<=>(const TensorRef&) const = default;
};
// A number the graph computes: a 0-d tensor.
struct SymbolicNumber {
  enum class Kind : uint8_t { kInt, kFloat, kBool };
  Kind kind = Kind::kInt;
  TensorRef tensor;
  bool operator==(const SymbolicNumber&) const = default;
};
// What there is no value of: of a failed operator, of a variable that only one branch sets.
struct Undefined {
  std::string why;            // "the branches of an `if` …"; empty for a failed operator
  std::vector<int> failures;  // of Interpreter, that it comes from
  bool operator==(const Undefined&) const = default;
};
struct FunctionRef {
  const Function* function = nullptr;
  bool operator==(const FunctionRef&) const = default;
};
struct ClassRef {
  const Class* type = nullptr;
  std::string name;
  bool operator==(const ClassRef&) const = default;
};

// Containers are owned by the interpreter and shared, as Python's are.
using ScriptValue =
    std::variant<None, Undefined, TensorRef, SymbolicNumber, int64_t, double, bool, std::string,
                 ListValue*, DictValue*, ObjectValue*, FunctionRef, ClassRef>;

struct ListValue {
  std::vector<ScriptValue> items;
  bool tuple = false;
  const Class* type = nullptr;  // of a named tuple
};

struct DictValue {
  std::vector<std::pair<ScriptValue, ScriptValue>> items;  // in insertion order
};

struct ObjectValue {
  std::string path;  // "layer1.0.conv"; empty for the model itself
  std::string class_name;
  const Class* type = nullptr;
  const Pickled* state = nullptr;  // attributes that nobody has read yet
  std::map<std::string, ScriptValue, std::less<>> attributes;
};

template <typename T>
const T* as(const ScriptValue& value) {
  return std::get_if<T>(&value);
}
inline bool is_none(const ScriptValue& value) { return std::holds_alternative<None>(value); }
// "a tensor", "an int", for messages.
std::string kind_of(const ScriptValue& value);

}  // namespace mnn::torch
