#include "libruntime/lower/expression.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "libruntime/core/post_op.h"

namespace mnn {
namespace {

// What an operand is while an expression is built: a register, or a number known now.
struct Operand {
  int reg = -1;
  float number = 0;
  bool is_number() const { return reg < 0; }
};

class ExpressionBuilder {
 public:
  ExpressionBuilder(const Graph& graph, const ExpressionHooks& hooks)
      : graph_(graph), hooks_(hooks) {}

  Operand source(Expression::Source from) {
    expression_.sources.push_back(std::move(from));
    return {static_cast<int>(expression_.sources.size() - 1), 0};
  }
  // `inner`: it is taken in by another node.
  Result<Operand> node(const Node& n, bool inner);
  Result<Operand> post_ops(const Node& n, Operand x, size_t from);
  ExpressionList finish(Operand result) {
    close(result);
    return std::move(list_);
  }

 private:
  Result<Operand> value(ValueId v);
  Result<Operand> unary_node(const Node& n, const UnaryRow& row, Operand x);
  Operand unary(UnaryOp op, Operand x, float a = 0, float b = 0) {
    Expression::Op e;
    e.kind = Expression::Kind::kUnary;
    e.unary = op;
    e.a = a;
    e.b = b;
    e.x = in_register(x);
    return push(e);
  }
  Operand binary(BinaryOp op, Operand x, Operand y);
  Operand select(Operand c, Operand x, Operand y) {
    Expression::Op e;
    e.kind = Expression::Kind::kSelect;
    e.x = in_register(c);
    e.y = in_register(x);
    e.z = in_register(y);
    return push(e);
  }
  int in_register(Operand x) {
    if (!x.is_number()) return x.reg;
    const float number[] = {x.number};
    return source({kNoValue, Tensor::of<float>({}, number)}).reg;
  }
  Operand push(Expression::Op e) {
    e.out = kFirst + temporaries_++;
    expression_.ops.push_back(e);
    return {e.out, 0};
  }
  Operand cut(const Node& n, Operand x);
  void simplify();
  void close(Operand result);

  static constexpr int kFirst = 1000;  // registers from here on are temporaries
  const Graph& graph_;
  const ExpressionHooks& hooks_;
  ExpressionList list_;    // finished parts
  Expression expression_;  // the one being built
  int temporaries_ = 0;
};

// A number, an absorbed node's result, or a source.
Result<Operand> ExpressionBuilder::value(ValueId v) {
  if (const Tensor* t = hooks_.constant(v); t != nullptr && t->elements() == 1) {
    if (t->dtype() == DType::kF32) return Operand{-1, *t->data<float>()};
    if (t->dtype() == DType::kBool) return Operand{-1, *t->data<bool>() ? 1.0f : 0.0f};
  }
  if (const Node* maker = hooks_.absorbed(v)) return node(*maker, true);
  const auto& sources = expression_.sources;
  for (size_t i = 0; i < sources.size(); ++i) {
    if (sources[i].value == v) return Operand{static_cast<int>(i), 0};
  }
  return source({v, {}});
}

// Ends the expression so far when it has its fill: what comes next reads its result. Of nodes that
// are too long for one, which are alone in theirs, `x` is all that is still wanted of it.
Operand ExpressionBuilder::cut(const Node& n, Operand x) {
  if (expression_size(n) <= kMaxExpression || expression_.ops.size() < kMaxExpression) return x;
  close(x);
  return source({});
}

Operand ExpressionBuilder::binary(BinaryOp op, Operand x, Operand y) {
  if (y.is_number()) {
    const float c = y.number;
    switch (op) {
      case BinaryOp::kAdd: return unary(UnaryOp::kAddTo, x, c);
      case BinaryOp::kSub: return unary(UnaryOp::kAddTo, x, -c);
      case BinaryOp::kMul: return unary(UnaryOp::kMulBy, x, c);
      case BinaryOp::kDiv: return unary(UnaryOp::kDivBy, x, c);
      case BinaryOp::kPRelu: return unary(UnaryOp::kLeakyRelu, x, c);
      case BinaryOp::kMax: return unary(UnaryOp::kMaxWith, x, c);
      case BinaryOp::kMin: return unary(UnaryOp::kMinWith, x, c);
      case BinaryOp::kPow:
        if (c == 2.0f) return unary(UnaryOp::kSquare, x);
        if (c == 0.5f) return unary(UnaryOp::kSqrt, x);
        if (c == -0.5f) return unary(UnaryOp::kRsqrt, x);
        if (c == -1.0f) return unary(UnaryOp::kReciprocal, x);
        if (c == 3.0f) return binary(BinaryOp::kMul, unary(UnaryOp::kSquare, x), x);
        return unary(UnaryOp::kPowBy, x, c);
      default: break;
    }
  } else if (x.is_number()) {
    const float c = x.number;
    switch (op) {
      case BinaryOp::kAdd: return unary(UnaryOp::kAddTo, y, c);
      case BinaryOp::kSub: return unary(UnaryOp::kSubFrom, y, c);
      case BinaryOp::kMul: return unary(UnaryOp::kMulBy, y, c);
      case BinaryOp::kDiv: return unary(UnaryOp::kDivide, y, c);
      case BinaryOp::kMax: return unary(UnaryOp::kMaxWith, y, c);
      case BinaryOp::kMin: return unary(UnaryOp::kMinWith, y, c);
      default: break;
    }
  }
  Expression::Op e;
  e.kind = Expression::Kind::kBinary;
  e.binary = op;
  e.x = in_register(x);
  e.y = in_register(y);
  return push(e);
}

// What an operator with one input of data makes of `x`.
Result<Operand> ExpressionBuilder::unary_node(const Node& n, const UnaryRow& row, Operand x) {
  const NodeView view(graph_, n);
  if (n.op == "Clip") {
    auto bound = [&](size_t i, float open) -> Result<Operand> {
      return view.has_input(i) ? value(n.inputs[i]) : Operand{-1, open};
    };
    MNN_ASSIGN_OR_RETURN(const Operand low, bound(1, -INFINITY));
    MNN_ASSIGN_OR_RETURN(const Operand high, bound(2, INFINITY));
    return low.is_number() && high.is_number()
               ? unary(UnaryOp::kClip, x, low.number, high.number)
               : binary(BinaryOp::kMin, binary(BinaryOp::kMax, x, low), high);
  }
  if (n.op == "Cast") {
    // Numbers that become truth values are 0 or 1 from here on.
    const bool truth = view.out().type.dtype == DType::kBool;
    return truth ? unary(UnaryOp::kNot, unary(UnaryOp::kNot, x)) : unary(UnaryOp::kMulBy, x, 1.0f);
  }
  if (n.op == "BatchNormalization") {
    const Tensor *gain = hooks_.constant(n.inputs[1]), *bias = hooks_.constant(n.inputs[2]);
    const Tensor *mean = hooks_.constant(n.inputs[3]), *variance = hooks_.constant(n.inputs[4]);
    const double epsilon = view.attr_float("epsilon");
    if (gain == nullptr || bias == nullptr || mean == nullptr || variance == nullptr) {
      return internal_error("a parameter cannot be read");
    }
    Dims dims(view.in_dims(0).size() - 1, 1);
    dims[0] = gain->elements();
    std::vector<float> scale, shift;
    for (int64_t i = 0; i < gain->elements(); ++i) {
      const double s = gain->data<float>()[i] / std::sqrt(variance->data<float>()[i] + epsilon);
      scale.push_back(static_cast<float>(s));
      shift.push_back(static_cast<float>(bias->data<float>()[i] - mean->data<float>()[i] * s));
    }
    const Operand s = source({kNoValue, Tensor::of<float>(dims, scale)});
    const Operand t = source({kNoValue, Tensor::of<float>(dims, shift)});
    return binary(BinaryOp::kAdd, binary(BinaryOp::kMul, x, s), t);
  }
  const bool tanh_form = n.op == "Gelu" && view.attr_string("approximate") == "tanh";
  auto parameter = [&](std::string_view name) {
    if (name.starts_with("detect_")) return static_cast<float>(view.attr_int(name) != 0);
    return name.empty() ? 0.0f : static_cast<float>(view.attr_float(name));
  };
  return unary(tanh_form ? UnaryOp::kGeluTanh : row.kernel, x, parameter(row.a), parameter(row.b));
}

Result<Operand> ExpressionBuilder::node(const Node& n, bool inner) {
  Operand r;
  if (const UnaryRow* row = find_unary(n.op)) {
    MNN_ASSIGN_OR_RETURN(const Operand x, value(n.inputs[0]));
    MNN_ASSIGN_OR_RETURN(r, unary_node(n, *row, x));
  } else if (n.op == "Where") {
    MNN_ASSIGN_OR_RETURN(const Operand c, value(n.inputs[0]));
    MNN_ASSIGN_OR_RETURN(const Operand x, value(n.inputs[1]));
    MNN_ASSIGN_OR_RETURN(const Operand y, value(n.inputs[2]));
    r = select(c, x, y);
  } else {
    const BinaryRow* row = find_binary(n.op);
    MNN_ASSIGN_OR_RETURN(r, value(n.inputs[0]));
    const size_t operands = n.own_inputs();
    for (size_t i = 1; i < operands; ++i) {
      r = cut(n, r);
      MNN_ASSIGN_OR_RETURN(const Operand y, value(n.inputs[i]));
      r = binary(row->kernel, r, y);
    }
    if (operands == 1) r = unary(UnaryOp::kMulBy, r, 1.0f);
    if (n.op == "Mean") r = unary(UnaryOp::kDivBy, r, static_cast<float>(operands));
  }
  list_.nodes.push_back(&n);
  MNN_ASSIGN_OR_RETURN(r, post_ops(n, r, 0));
  const Value& out = graph_.value(n.outputs[0]);
  // Inside an expression the rounding to a grid is an operator; at its end the store does it.
  const auto grid = grid_of(out);
  if (grid && inner) r = unary(UnaryOp::kGrid, r, grid->scale, static_cast<float>(grid->zero));
  return r;
}

Result<Operand> ExpressionBuilder::post_ops(const Node& n, Operand x, size_t from) {
  for (size_t i = from; i < n.fused.size(); ++i) {
    x = cut(n, x);
    const Node f = post_op(n, i, kNoValue, n.outputs[0]);
    if (const UnaryRow* row = find_unary(f.op)) {
      MNN_ASSIGN_OR_RETURN(x, unary_node(f, *row, x));
      continue;
    }
    MNN_ASSIGN_OR_RETURN(const Operand y, value(f.inputs[1]));
    x = binary(find_binary(f.op)->kernel, x, y);
  }
  return x;
}

// Joins operators that one kernel does: x * clip(x + a, 0, b), and x * a + b.
void ExpressionBuilder::simplify() {
  std::map<int, int> reads;
  for (const Expression::Op& e : expression_.ops) {
    ++reads[e.x];
    if (e.kind != Expression::Kind::kUnary) ++reads[e.y];
    if (e.kind == Expression::Kind::kSelect) ++reads[e.z];
  }
  auto& ops = expression_.ops;
  for (size_t i = 0; i + 2 < ops.size(); ++i) {
    const Expression::Op &add = ops[i], &clip = ops[i + 1], &product = ops[i + 2];
    if (!add.is(UnaryOp::kAddTo) || !clip.is(UnaryOp::kClip) || clip.a != 0.0f ||
        clip.x != add.out || !product.is(BinaryOp::kMul)) {
      continue;
    }
    const bool gated = (product.x == add.x && product.y == clip.out) ||
                       (product.y == add.x && product.x == clip.out);
    if (!gated || reads[add.out] != 1 || reads[clip.out] != 1) continue;
    Expression::Op joined;
    joined.unary = UnaryOp::kGate;
    joined.a = add.a;
    joined.b = clip.b;
    joined.x = add.x;
    joined.out = product.out;
    ops[i] = joined;
    ops.erase(ops.begin() + static_cast<long>(i) + 1, ops.begin() + static_cast<long>(i) + 3);
  }
  for (size_t i = 0; i + 1 < ops.size(); ++i) {
    const Expression::Op& next = ops[i + 1];
    if (!ops[i].is(UnaryOp::kMulBy) || !next.is(UnaryOp::kAddTo) || next.x != ops[i].out ||
        reads[next.x] != 1) {
      continue;
    }
    ops[i].unary = UnaryOp::kAffine;
    ops[i].b = next.a;
    ops[i].out = next.out;
    ops.erase(ops.begin() + static_cast<long>(i) + 1);
  }
}

// The expression being built becomes a part, temporaries numbered behind its sources.
void ExpressionBuilder::close(Operand result) {
  if (result.reg < kFirst) result = unary(UnaryOp::kMulBy, result, 1.0f);
  simplify();
  const auto count = static_cast<int>(expression_.sources.size());
  for (Expression::Op& op : expression_.ops) {
    for (int* r : {&op.out, &op.x, &op.y, &op.z}) {
      if (*r >= kFirst) *r += count - kFirst;
    }
  }
  expression_.registers = count + temporaries_;
  list_.parts.push_back(std::move(expression_));
  expression_ = {};
  temporaries_ = 0;
}

}  // namespace

Result<ExpressionList> node_expression(const Graph& graph, const Node& node,
                                       const ExpressionHooks& hooks) {
  ExpressionBuilder b(graph, hooks);
  MNN_ASSIGN_OR_RETURN(const Operand result, b.node(node, false));
  return b.finish(result);
}

Result<ExpressionList> post_op_expression(const Graph& graph, const Node& node, size_t from,
                                          const ExpressionHooks& hooks) {
  ExpressionBuilder b(graph, hooks);
  MNN_ASSIGN_OR_RETURN(const Operand result, b.post_ops(node, b.source({}), from));
  return b.finish(result);
}

std::optional<ByteRange> range_behind(std::span<const Expression::Op> ops, const Grid& grid) {
  ByteRange range;
  for (size_t i = 1; i < ops.size(); ++i) {
    const Expression::Op& op = ops[i];
    const bool clip = op.is(UnaryOp::kClip);
    if ((!clip && !op.is(UnaryOp::kRelu)) || op.x != ops[i - 1].out) return std::nullopt;
    const auto byte = [&](float real) {
      return std::clamp(std::nearbyint(real / grid.scale) + static_cast<float>(grid.zero), 0.0f,
                        255.0f);
    };
    range.low = std::max(range.low, byte(clip ? op.a : 0.0f));
    range.high = std::min(range.high, clip ? byte(op.b) : 255.0f);
  }
  return range;
}

}  // namespace mnn
