// Numbers and conditions from tensors, also where a script computes known ones with tensors: scales
// from the sizes of images, lengths from thresholds.
#include <algorithm>
#include <map>

#include "libconvert/frontends/torch/interpreter.h"
#include "libruntime/core/op.h"

namespace mnn::torch {

std::optional<Tensor> Interpreter::evaluated(ValueId id) {
  constexpr size_t kMostNodes = 256;  // looked at, from the last one on
  constexpr int64_t kMostElements = 1024;
  const Graph& graph = draft().graph;
  Graph part;
  std::map<ValueId, ValueId> inside;  // of `graph`, in `part`
  std::vector<const Node*> needed;
  std::vector<ValueId> wanted = {id};
  const size_t first = graph.nodes.size() - std::min(graph.nodes.size(), kMostNodes);
  for (size_t n = graph.nodes.size(); n-- > first && !wanted.empty();) {
    const Node& node = graph.nodes[n];
    const auto makes = [&](ValueId v) {
      return std::ranges::find(node.outputs, v) != node.outputs.end();
    };
    if (std::ranges::none_of(wanted, makes)) continue;
    if (!node.subgraphs.empty() || !node.captures.empty()) return std::nullopt;
    std::erase_if(wanted, makes);
    needed.push_back(&node);
    for (const ValueId input : node.inputs) {
      if (input == kNoValue || inside.contains(input)) continue;
      const Tensor* constant = graph.constant(input);
      if (constant == nullptr) {
        const bool made = graph.value(input).kind == ValueKind::kTemporary;
        if (!made) return std::nullopt;
        wanted.push_back(input);
      } else if (constant->elements() > kMostElements) {
        return std::nullopt;
      } else {
        inside.emplace(input, part.add_constant(*constant));
      }
    }
  }
  if (!wanted.empty()) return std::nullopt;
  const auto value_of = [&](ValueId v) {
    if (v == kNoValue) return v;
    const auto [known, is_new] = inside.try_emplace(v, kNoValue);
    if (is_new) known->second = part.add_temporary();
    return known->second;
  };
  for (auto node = needed.rbegin(); node != needed.rend(); ++node) {
    Node copy = **node;
    for (ValueId& v : copy.inputs) v = value_of(v);
    for (ValueId& v : copy.outputs) v = value_of(v);
    part.add_node(std::move(copy));
  }
  part.outputs = {inside.at(id)};
  if (!infer_types(part).ok()) return std::nullopt;
  for (const Value& value : part.values) {
    const bool fits = value.type.is_static() &&
                      checked_elements(known_dims(*value.type.shape)).value_or(kMostElements + 1) <=
                          kMostElements;
    if (!fits) return std::nullopt;
  }
  Result<std::vector<Tensor>> result = run_reference(part, {});
  if (!result.ok() || result->size() != 1) return std::nullopt;
  return std::move((*result)[0]);
}

Result<ScriptValue> Interpreter::number_from(const ScriptValue& value, SymbolicNumber::Kind kind) {
  using Number = SymbolicNumber::Kind;
  TensorRef ref;
  if (const auto* tensor = as<TensorRef>(value)) ref = *tensor;
  if (const auto* symbolic = as<SymbolicNumber>(value)) {
    if (symbolic->kind == kind) return value;
    ref = symbolic->tensor;
  }
  MNN_ASSIGN_OR_RETURN(TensorArg tensor, read(ref));
  Graph& graph = draft().graph;
  const Tensor* constant = graph.constant(tensor.id);
  const std::optional<Tensor> computed = constant == nullptr ? evaluated(tensor.id) : std::nullopt;
  if (computed) constant = &*computed;
  if (constant != nullptr && constant->elements() == 1) {
    MNN_ASSIGN_OR_RETURN(const std::vector<double> reals, constant->to_doubles());
    if (kind == Number::kFloat) return ScriptValue(reals[0]);
    if (kind == Number::kBool) return ScriptValue(reals[0] != 0);
    if (is_float(constant->dtype())) return ScriptValue(static_cast<int64_t>(reals[0]));
    MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> ints, constant->to_ints());
    return ScriptValue(ints[0]);
  }
  const ShapeValues* known = draft().types.known(tensor.id);
  if (known != nullptr && known->size() == 1 && (*known)[0].known()) {
    const int64_t number = (*known)[0].value();
    if (kind == Number::kFloat) return ScriptValue(static_cast<double>(number));
    if (kind == Number::kBool) return ScriptValue(number != 0);
    return ScriptValue(number);
  }
  frontend::NodeBuilder builder(draft(), budget_);
  builder.name = origin("number");
  const Type& type = type_of(tensor);
  ValueId id = tensor.id;
  if (!type.shape || type.rank() != 0) id = builder.reshape(id, {});
  const DType wanted = kind == Number::kInt     ? DType::kI64
                       : kind == Number::kFloat ? DType::kF32
                                                : DType::kBool;
  id = builder.cast(id, wanted);
  MNN_RETURN_IF_ERROR(builder.status);
  const ScriptValue made = add_tensor({id});
  return ScriptValue(SymbolicNumber{kind, *as<TensorRef>(made)});
}

Result<std::optional<bool>> Interpreter::truth(const ScriptValue& value) {
  if (const auto* flag = as<bool>(value)) return std::optional(*flag);
  if (const auto* number = as<int64_t>(value)) return std::optional(*number != 0);
  if (const auto* number = as<double>(value)) return std::optional(*number != 0);
  if (as<TensorRef>(value) == nullptr && as<SymbolicNumber>(value) == nullptr) {
    return invalid("expected a condition, found " + kind_of(value));
  }
  const std::optional<Dim> dim = dim_of(value);
  if (dim && dim->known()) return std::optional(!dim->is(0));
  if (dim && (at_least(*dim, 1) || at_least(-*dim, 1))) return std::optional(true);
  MNN_ASSIGN_OR_RETURN(const ScriptValue flag, number_from(value, SymbolicNumber::Kind::kBool));
  if (const auto* known = as<bool>(flag)) return std::optional(*known);
  return std::optional<bool>();
}

Result<ValueId> Interpreter::condition(const ScriptValue& value) {
  MNN_ASSIGN_OR_RETURN(const ScriptValue flag, number_from(value, SymbolicNumber::Kind::kBool));
  const auto* symbolic = as<SymbolicNumber>(flag);
  if (symbolic == nullptr) return internal_error("a condition is known");
  MNN_ASSIGN_OR_RETURN(const TensorArg tensor, read(symbolic->tensor));
  return tensor.id;
}

}  // namespace mnn::torch
