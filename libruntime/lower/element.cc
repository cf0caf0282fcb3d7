#include "libruntime/lower/element.h"

#include <algorithm>

#include "libruntime/core/half.h"
#include "libruntime/core/post_op.h"
#include "libruntime/lower/grid.h"

namespace mnn {
namespace {

constexpr UnaryRow kUnary[] = {
    {"Relu", UnaryOp::kRelu, "", ""},
    {"LeakyRelu", UnaryOp::kLeakyRelu, "alpha", ""},
    {"ThresholdedRelu", UnaryOp::kThresholdedRelu, "alpha", ""},
    {"Elu", UnaryOp::kElu, "alpha", ""},
    {"Selu", UnaryOp::kSelu, "alpha", "gamma"},
    {"Celu", UnaryOp::kCelu, "alpha", ""},
    {"HardSigmoid", UnaryOp::kHardSigmoid, "alpha", "beta"},
    {"HardSwish", UnaryOp::kHardSwish, "", ""},
    {"Sigmoid", UnaryOp::kSigmoid, "", ""},
    {"Swish", UnaryOp::kSwish, "alpha", ""},
    {"Tanh", UnaryOp::kTanh, "", ""},
    {"Gelu", UnaryOp::kGelu, "", ""},  // or kGeluTanh
    {"Mish", UnaryOp::kMish, "", ""},
    {"Softplus", UnaryOp::kSoftplus, "", ""},
    {"Softsign", UnaryOp::kSoftsign, "", ""},
    {"Erf", UnaryOp::kErf, "", ""},
    {"Exp", UnaryOp::kExp, "", ""},
    {"Log", UnaryOp::kLog, "", ""},
    {"Sqrt", UnaryOp::kSqrt, "", ""},
    {"Reciprocal", UnaryOp::kReciprocal, "", ""},
    {"Abs", UnaryOp::kAbs, "", ""},
    {"Neg", UnaryOp::kNeg, "", ""},
    {"Floor", UnaryOp::kFloor, "", ""},
    {"Ceil", UnaryOp::kCeil, "", ""},
    {"Round", UnaryOp::kRound, "", ""},
    {"Sign", UnaryOp::kSign, "", ""},
    {"Sin", UnaryOp::kSin, "", ""},
    {"Cos", UnaryOp::kCos, "", ""},
    {"Tan", UnaryOp::kTan, "", ""},
    {"Asin", UnaryOp::kAsin, "", ""},
    {"Acos", UnaryOp::kAcos, "", ""},
    {"Atan", UnaryOp::kAtan, "", ""},
    {"Sinh", UnaryOp::kSinh, "", ""},
    {"Cosh", UnaryOp::kCosh, "", ""},
    {"Asinh", UnaryOp::kAsinh, "", ""},
    {"Acosh", UnaryOp::kAcosh, "", ""},
    {"Atanh", UnaryOp::kAtanh, "", ""},
    {"IsInf", UnaryOp::kIsInf, "detect_positive", "detect_negative"},
    {"Not", UnaryOp::kNot, "", ""},
    {"IsNaN", UnaryOp::kIsNaN, "", ""},
    {"Clip", UnaryOp::kClip, "", ""},
    {"Cast", UnaryOp::kMulBy, "", ""},
    {"BatchNormalization", UnaryOp::kMulBy, "", ""},
};

constexpr BinaryRow kBinary[] = {
    {"Add", BinaryOp::kAdd, false, false},
    {"Sub", BinaryOp::kSub, false, false},
    {"Mul", BinaryOp::kMul, false, false},
    {"Div", BinaryOp::kDiv, false, false},
    {"Pow", BinaryOp::kPow, false, false},
    {"Mod", BinaryOp::kMod, false, false},  // with fmod
    {"PRelu", BinaryOp::kPRelu, false, false},
    {"Max", BinaryOp::kMax, true, false},
    {"Min", BinaryOp::kMin, true, false},
    {"Sum", BinaryOp::kAdd, true, false},
    {"Mean", BinaryOp::kAdd, true, false},
    {"Equal", BinaryOp::kEqual, false, false},
    {"Less", BinaryOp::kLess, false, false},
    {"LessOrEqual", BinaryOp::kLessOrEqual, false, false},
    {"Greater", BinaryOp::kGreater, false, false},
    {"GreaterOrEqual", BinaryOp::kGreaterOrEqual, false, false},
    {"And", BinaryOp::kAnd, false, true},
    {"Or", BinaryOp::kOr, false, true},
    {"Xor", BinaryOp::kXor, false, true},
};

bool same_dims(const Value& a, const Value& b) {
  return known_dims(*a.type.shape) == known_dims(*b.type.shape);
}

bool fixed(const Value& v) {
  if (!v.type.is_static() || v.type.rank() > 8) return false;
  const Dims d = known_dims(*v.type.shape);
  return std::find(d.begin(), d.end(), 0) == d.end();
}

bool all_of_type(const NodeView& n, DType dtype) {
  for (size_t i = 0; i < n.node.own_inputs(); ++i) {
    if (!n.has_input(i) || n.in_type(i) != dtype) return false;
  }
  return true;
}

// Casts between f32 and the types expressions can read and write.
bool castable(DType from, DType to) {
  auto one = [](DType t) {
    return t == DType::kBool || t == DType::kI32 || t == DType::kI64 || is_half(t);
  };
  return (from == DType::kF32 && (one(to) || to == DType::kF32)) ||
         (to == DType::kF32 && one(from));
}

// One number, constant or computed.
bool is_number(const Value& v) {
  if (v.type.dtype != DType::kF32 || !fixed(v)) return false;
  const Dims d = known_dims(*v.type.shape);
  return std::all_of(d.begin(), d.end(), [](int64_t extent) { return extent == 1; });
}

}  // namespace

const UnaryRow* find_unary(std::string_view op) {
  for (const UnaryRow& row : kUnary) {
    if (row.op == op) return &row;
  }
  return nullptr;
}
const BinaryRow* find_binary(std::string_view op) {
  for (const BinaryRow& row : kBinary) {
    if (row.op == op) return &row;
  }
  return nullptr;
}

bool is_element_post_op(const Graph& graph, const Node& node, size_t i) {
  const Node op = post_op(node, i);
  auto operands_are = [&](auto&& right) {
    return std::all_of(op.inputs.begin() + 1, op.inputs.end(),
                       [&](ValueId v) { return v == kNoValue || right(graph.value(v)); });
  };
  if (op.op == "Clip") return operands_are(is_number);
  if (op.inputs.size() == 1) return find_unary(op.op) != nullptr;
  const size_t rank = graph.value(node.outputs[0]).type.rank();
  return op.inputs.size() == 2 && find_binary(op.op) != nullptr &&
         operands_are([&](const Value& v) {
           return fixed(v) && v.type.dtype == DType::kF32 && v.type.rank() <= rank;
         });
}

bool is_element_op(std::string_view op) {
  return find_unary(op) != nullptr || find_binary(op) != nullptr || op == "Where";
}

bool is_elementwise(const Graph& graph, const Node& node) {
  if (!is_element_op(node.op)) return false;
  const BinaryRow* binary = find_binary(node.op);
  if (node.outputs.size() != 1 && node.op != "BatchNormalization") return false;
  for (const auto* list : {&node.inputs, &node.outputs}) {
    for (const ValueId v : *list) {
      if (v != kNoValue && !fixed(graph.value(v))) return false;
    }
  }
  const NodeView n(graph, node);
  for (size_t i = 0; i < node.fused.size(); ++i) {
    if (!is_element_post_op(graph, node, i)) return false;
  }
  const DType out = n.out().type.dtype;
  if (node.op == "Cast") return castable(n.in_type(0), out);
  if (node.op == "Not") return n.in_type(0) == DType::kBool;
  if (node.op == "Where") {
    return n.has_input(0) && n.in_type(1) == DType::kF32 && n.in_type(2) == DType::kF32;
  }
  if (node.op == "Mod" && n.attr_int("fmod") == 0) return false;
  if (binary != nullptr && binary->logic) return all_of_type(n, DType::kBool);
  if (node.op == "Clip") {
    for (size_t i = 1; i < node.own_inputs(); ++i) {
      if (n.has_input(i) && !is_number(n.in(i))) return false;
    }
    return n.in_type(0) == DType::kF32;
  }
  if (node.op == "BatchNormalization") {
    if (n.attr_int("training_mode") != 0) return false;
    for (size_t i = 1; i < 5; ++i) {
      if (!n.is_constant(i) || n.in_type(i) != DType::kF32) return false;
    }
    return n.in_type(0) == DType::kF32 && n.in(0).type.rank() >= 2 && !n.has_output(1);
  }
  return all_of_type(n, DType::kF32);
}

int expression_size(const Node& node) {
  const auto operands = static_cast<int>(node.own_inputs());
  int size = 1 + static_cast<int>(node.fused.size());
  const BinaryRow* binary = find_binary(node.op);
  if (binary != nullptr && binary->variadic) size += operands;
  auto takes_two = [](std::string_view op) { return op == "BatchNormalization" || op == "Clip"; };
  if (takes_two(node.op)) ++size;
  for (const FusedOp& f : node.fused) size += takes_two(f.op) ? 1 : 0;
  return size;
}

bool can_join(const Graph& graph, const Node& node, const Node& next) {
  const Value& v = graph.value(node.outputs[0]);
  const Value& y = graph.value(next.outputs[0]);
  const DType t = v.type.dtype;
  if (t != DType::kF32 && t != DType::kBool) return false;
  if (v.quant && !grid_of(v)) return false;
  // As a residual or another operand its elements must line up with the result's.
  return same_dims(v, y);
}

int expression_sources(const Graph& graph, const Node& node) {
  const bool select = node.op == "Where";
  const BinaryRow* binary = find_binary(node.op);
  const bool compares =
      binary != nullptr && graph.value(node.outputs[0]).type.dtype == DType::kBool;
  int sources = 0;
  for (const ValueId v : node.inputs) {
    if (v == kNoValue) continue;
    const Tensor* t = graph.constant(v);
    if (t == nullptr || t->elements() > 1 || select || compares) ++sources;
  }
  // Its four parameters become a factor and a summand.
  return node.op == "BatchNormalization" ? sources - 2 : sources;
}

std::vector<bool> find_absorbed(const Graph& graph, const Uses& uses, int max_sources) {
  std::vector<bool> absorbed(graph.nodes.size(), false);
  std::vector<int> size;  // of what a node's expression holds so far; 0: no expression
  std::vector<int> sources;
  for (const Node& node : graph.nodes) {
    size.push_back(is_elementwise(graph, node) ? expression_size(node) : 0);
    sources.push_back(size.back() > 0 ? expression_sources(graph, node) : 0);
  }
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (size[n] == 0) continue;
    const NodeId reader = single_reader(uses, node);
    if (reader < 0) continue;
    const Node& next = graph.node(reader);
    int& whole = size[static_cast<size_t>(reader)];
    if (whole == 0 || !can_join(graph, node, next) || whole + size[n] > kMaxExpression) continue;
    // One source of the reader becomes those of the node.
    int& all = sources[static_cast<size_t>(reader)];
    if (all - 1 + sources[n] > max_sources) continue;
    all += sources[n] - 1;
    whole += size[n];
    absorbed[n] = true;
  }
  return absorbed;
}

}  // namespace mnn
