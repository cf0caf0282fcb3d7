// Operators that hand on what they get.
#include <algorithm>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"

namespace mnn {
namespace {

using Condition = bool (*)(const Graph& graph, const Node& node);

bool always(const Graph&, const Node&) { return true; }

bool is_inference(const Graph& graph, const Node& node) {
  const ValueId training = input_of(node, 2);
  return training == kNoValue || is_filled_with(graph, training, 0);
}

bool keeps_type(const Graph& graph, const Node& node) {
  return same_type(graph, node.inputs[0], node.outputs[0]);
}

bool has_one_input(const Graph&, const Node& node) { return node.own_inputs() == 1; }

bool keeps_order(const Graph& graph, const Node& node) {
  const Type& type = graph.value(node.inputs[0]).type;
  std::vector<int64_t> perm = attr_ints(node, "perm");
  if (perm.empty()) return type.shape && type.rank() <= 1;
  return std::is_sorted(perm.begin(), perm.end());
}

// A round trip that loses nothing is two casts: see drop_cast_pair.
bool keeps_dtype(const Graph& graph, const Node& node) {
  const Type &in = graph.value(node.inputs[0]).type, &out = graph.value(node.outputs[0]).type;
  return in.kind == Type::Kind::kTensor && in.defined() && in.dtype == out.dtype;
}

bool pads_nothing(const Graph& graph, const Node& node) {
  const auto pads = ints_of(graph, input_of(node, 1));
  return pads && std::all_of(pads->begin(), pads->end(), [](int64_t p) { return p == 0; });
}

// A slice of the same shape with step -1 would be a reversal.
bool takes_all(const Graph& graph, const Node& node) {
  const ValueId steps = input_of(node, 4);
  return keeps_type(graph, node) && (steps == kNoValue || is_filled_with(graph, steps, 1));
}

// With sizes the scale is exactly 1 where the shape stays; with scales it need not be.
bool keeps_size(const Graph& graph, const Node& node) {
  if (attr_string(node, "coordinate_transformation_mode") == "tf_crop_and_resize") return false;
  const ValueId scales = input_of(node, 2), sizes = input_of(node, 3);
  return keeps_type(graph, node) && (sizes != kNoValue || is_filled_with(graph, scales, 1));
}

bool is_one_by_one_pool(const Graph& graph, const Node& node) {
  const std::vector<int64_t> kernel = attr_ints(node, "kernel_shape");
  return keeps_type(graph, node) && !kernel.empty() &&
         std::all_of(kernel.begin(), kernel.end(), [](int64_t k) { return k == 1; }) &&
         std::ranges::all_of(attr_ints(node, "strides"), [](int64_t s) { return s == 1; }) &&
         std::ranges::all_of(attr_ints(node, "pads"), [](int64_t p) { return p == 0; });
}

Rule drop(const std::string& op_type, Condition condition) {
  return {"Drop" + op_type, with_any_inputs(op_type),
          [](Builder&, const Match& m) { return m.root_node().inputs[0]; },
          [condition](const Match& m) { return condition(m.graph, m.root_node()); }};
}

// x op c with every element of c neutral, in either order when the operator commutes.
Rule drop_neutral(const std::string& op_type, double neutral, bool commutes) {
  Pattern p = op(op_type, {any("x"), constant("c")});
  if (commutes) p = commutative(p);
  return {"DropNeutral" + op_type, p, [](Builder&, const Match& m) { return m.at("x"); },
          [neutral](const Match& m) {
            const ValueId x = m.at("x"), c = m.at("c");
            const Type &in = m.graph.value(x).type, &out = m.graph.value(m.output()).type;
            return is_filled_with(m.graph, c, neutral) && in.dtype == out.dtype &&
                   (same_type(m.graph, x, m.output()) || scalar_keeps_shape(m.graph, x, c));
          }};
}

// Whether every value of `from` is exactly a value of `to`.
bool holds_all(DType to, DType from) {
  if (from == DType::kBool) return is_integer(to) || to == DType::kF32 || to == DType::kF64;
  const int from_bits = dtype_bits(from), to_bits = dtype_bits(to);
  if (is_integer(from) && is_integer(to)) {
    if (is_signed_integer(from) == is_signed_integer(to)) return to_bits >= from_bits;
    return is_signed_integer(to) && to_bits > from_bits;
  }
  if (is_integer(from)) {
    return (to == DType::kF32 && from_bits <= 16) || (to == DType::kF64 && from_bits <= 32);
  }
  return ((from == DType::kF16 || from == DType::kBF16) &&
          (to == DType::kF32 || to == DType::kF64)) ||
         (from == DType::kF32 && to == DType::kF64);
}

// Cast there and back, where nothing was lost on the way.
Rule drop_cast_pair() {
  auto source = [](const Match& m) {
    const Node* first = m.producer(m.at("wide"));
    const bool is_cast = first && first->op == "Cast" && !m.graph.value(m.at("wide")).quant;
    return is_cast ? first->inputs[0] : kNoValue;
  };
  return {"DropCastPair", op("Cast", {any("wide")}),
          [source](Builder&, const Match& m) { return source(m); },
          [source](const Match& m) {
            const ValueId x = source(m);
            if (x == kNoValue || m.graph.value(x).type.kind != Type::Kind::kTensor) return false;
            const DType from = m.graph.value(x).type.dtype;
            return from == m.graph.value(m.output()).type.dtype &&
                   holds_all(m.type("wide").dtype, from);
          }};
}

std::vector<Rule> identity_rules() {
  std::vector<Rule> rules = {
      drop("Identity", always),
      drop("Dropout", is_inference),
      drop("Reshape", keeps_type),
      drop("Flatten", keeps_type),
      drop("Squeeze", keeps_type),
      drop("Unsqueeze", keeps_type),
      drop("Expand", keeps_type),
      drop("Tile", keeps_type),
      drop("Transpose", keeps_order),
      drop("Cast", keeps_dtype),
      drop("Pad", pads_nothing),
      drop("Slice", takes_all),
      drop("Resize", keeps_size),
      drop("AveragePool", is_one_by_one_pool),
      drop("MaxPool", is_one_by_one_pool),
      drop_neutral("Add", 0, true),
      drop_neutral("Sub", 0, false),
      drop_neutral("Mul", 1, true),
      drop_neutral("Div", 1, false),
      drop_neutral("Pow", 1, false),
      drop_cast_pair(),
  };
  for (const char* variadic : {"Concat", "Sum", "Max", "Min", "Mean"}) {
    rules.push_back(drop(variadic, has_one_input));
  }
  return rules;
}

}  // namespace

Result<int> apply_counted(Graph& graph, const std::vector<Rule>& rules) {
  MNN_ASSIGN_OR_RETURN(const RuleHits hits, apply_rules(graph, rules));
  int sum = 0;
  for (const auto& [rule, count] : hits.count) sum += count;
  return sum;
}

Result<int> remove_identities(Graph& graph) {
  static const std::vector<Rule> rules = identity_rules();
  return apply_counted(graph, rules);
}

}  // namespace mnn
