// Tensors that a script makes of numbers and of lists of them.
#include <algorithm>

#include "libconvert/frontends/torch/script_operators.h"

namespace mnn::torch {
namespace {

// The types of numbers, a wider one behind a narrower.
enum class Width : uint8_t { kBool, kInt, kFloat };
Width width_of(const Arg& number) {
  if (number.get<FloatArg>() != nullptr) return Width::kFloat;
  return number.get<IntArg>() != nullptr ? Width::kInt : Width::kBool;
}
bool is_number(const Arg& arg) {
  return arg.get<IntArg>() != nullptr || arg.get<FloatArg>() != nullptr ||
         arg.get<BoolArg>() != nullptr;
}
// The value of a number that is known.
std::optional<double> known_number(const Arg& arg) {
  if (const auto* n = arg.get<IntArg>()) {
    return n->known() ? std::optional(static_cast<double>(n->value)) : std::nullopt;
  }
  if (const auto* n = arg.get<FloatArg>())
    return n->known() ? std::optional(n->value) : std::nullopt;
  const auto* n = arg.get<BoolArg>();
  return n != nullptr && n->known() ? std::optional(n->value ? 1.0 : 0.0) : std::nullopt;
}

// A constant of numbers that are all known.
Tensor tensor_of(const std::vector<Arg>& numbers, Width width, std::vector<int64_t> dims) {
  constexpr DType kTypes[] = {DType::kBool, DType::kI64, DType::kF32};
  Tensor t = *Tensor::allocate(kTypes[static_cast<int>(width)], std::move(dims));
  for (size_t i = 0; i < numbers.size(); ++i) {
    switch (width) {
      case Width::kBool: t.data<bool>()[i] = numbers[i].get<BoolArg>()->value; break;
      case Width::kInt: {
        const auto* whole = numbers[i].get<IntArg>();
        t.data<int64_t>()[i] = whole != nullptr ? whole->value : numbers[i].get<BoolArg>()->value;
        break;
      }
      case Width::kFloat: t.data<float>()[i] = static_cast<float>(*known_number(numbers[i])); break;
    }
  }
  return t;
}

Result<ScriptValue> made_of(Interpreter& interpreter, const ScriptValue& value, int depth) {
  constexpr int kMostDepth = 16;
  if (depth > kMostDepth) return limit_exceeded("a tensor of lists that are nested too deeply");
  if (as<TensorRef>(value) != nullptr) return value;
  const auto* list = as<ListValue*>(value);
  if (list == nullptr) {
    MNN_ASSIGN_OR_RETURN(const Arg number, interpreter.to_arg(value));
    if (!is_number(number)) return unsupported("a tensor made of " + kind_of(value));
    if (known_number(number)) {
      return interpreter.add_constant(tensor_of({number}, width_of(number), {}));
    }
    return ScriptValue(as<SymbolicNumber>(value)->tensor);
  }
  const std::vector<ScriptValue> items = (*list)->items;
  std::vector<Arg> numbers;
  Width width = items.empty() ? Width::kFloat : Width::kBool;
  for (const ScriptValue& item : items) {
    if (as<ListValue*>(item) != nullptr || as<TensorRef>(item) != nullptr) break;
    MNN_ASSIGN_OR_RETURN(Arg number, interpreter.to_arg(item));
    if (!is_number(number) || !known_number(number)) break;
    width = std::max(width, width_of(number));
    numbers.push_back(std::move(number));
  }
  if (numbers.size() == items.size()) {
    return interpreter.add_constant(
        tensor_of(numbers, width, {static_cast<int64_t>(numbers.size())}));
  }
  std::vector<ScriptValue> parts;
  for (const ScriptValue& item : items) {
    MNN_ASSIGN_OR_RETURN(ScriptValue part, made_of(interpreter, item, depth + 1));
    parts.push_back(std::move(part));
  }
  return interpreter.call_operator("aten::stack", {interpreter.add_list(std::move(parts))}, {});
}

// tensor(data, dtype, …), as_tensor(data, dtype, …)
Result<bool> tensor(ScriptCall& call) {
  if (call.args.empty()) return false;
  MNN_ASSIGN_OR_RETURN(call.result, made_of(call.interpreter, call.args[0], 0));
  ScriptValue dtype = None{};
  if (call.args.size() > 1 && as<int64_t>(call.args[1]) != nullptr) dtype = call.args[1];
  for (const auto& [name, value] : call.keywords) {
    if (name == "dtype" && !is_none(value)) dtype = value;
  }
  if (is_none(dtype) || as<TensorRef>(call.result) == nullptr) return true;
  MNN_ASSIGN_OR_RETURN(call.result,
                       call.interpreter.call_operator("aten::to", {call.result, dtype}, {}));
  return true;
}

}  // namespace

const std::map<std::string_view, ScriptOperator>& tensor_operators() {
  static const std::map<std::string_view, ScriptOperator> table = {
      {"aten::tensor", tensor},
      {"aten::as_tensor", tensor},
  };
  return table;
}

}  // namespace mnn::torch
