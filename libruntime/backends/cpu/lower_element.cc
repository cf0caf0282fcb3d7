// Elementwise nodes and post-ops as expressions.
#include <algorithm>
#include <cmath>

#include "libruntime/backends/cpu/element.h"
#include "libruntime/core/post_op.h"

namespace mnn::cpu {
namespace {

// What an operand is while an expression is built: a register, or a number known now.
struct Operand {
  int reg = -1;
  float number = 0;
  bool is_number() const { return reg < 0; }
};

// Names the operators and source layers of every node a step computes.
void describe(const Lowering& l, const std::vector<const Node*>& nodes, StepInfo& info) {
  if (nodes.empty()) return;
  info.op.clear();
  info.origin.clear();
  for (const Node* n : nodes) {
    const StepInfo own = describe_step(l.graph(), *n);
    info.op += (info.op.empty() ? "" : "+") + own.op;
    for (const std::string& name : own.origin) {
      if (std::find(info.origin.begin(), info.origin.end(), name) == info.origin.end()) {
        info.origin.push_back(name);
      }
    }
  }
}

void add_expression(Lowering& l, Expression expression, const std::vector<const Node*>& nodes,
                    const Array& out) {
  std::vector<Array> in = expression.sources;
  auto loop = std::make_shared<const ExpressionLoop>(std::move(expression), out, l.kernels());
  const Array outs[] = {out};
  Step& step = l.add_step("expression", in, outs, loop->work(), nullptr);
  // The result may take the place of a source that is walked in the same way.
  for (const Array& a : in) {
    const auto same =
        std::count_if(in.begin(), in.end(), [&](const Array& b) { return b.storage == a.storage; });
    if (same == 1 && a.offset == 0 && out.offset == 0 && a.item_bytes() == out.item_bytes() &&
        a.strides == out.strides) {
      step.in_place = a.storage;
      break;
    }
  }
  describe(l, nodes, step.info);
  const int parts = step.parts;
  const int64_t floats = loop->scratch_floats();
  int scratch = -1;
  if (floats > 0) scratch = l.add_scratch(floats * parts * static_cast<int64_t>(sizeof(float)));
  l.last_step().run = [loop, scratch, floats, parts](const Run& run, int, int part) {
    float* own =
        scratch < 0 ? nullptr : reinterpret_cast<float*>(run.storage(scratch)) + floats * part;
    loop->run(run, own, part, parts);
  };
}

class ExpressionBuilder {
 public:
  ExpressionBuilder(Lowering& l, Dims dims) : l_(l), dims_(std::move(dims)) {}

  Result<Operand> value(ValueId v);
  Operand array(const Array& a) {
    ids_.push_back(kNoValue);
    arrays_.push_back(a);
    return {static_cast<int>(ids_.size() - 1), 0};
  }

  Result<Operand> node(const Node& n);
  Result<Operand> unary_node(const Node& n, const UnaryRow& row, Operand x);
  Result<Operand> post_ops(const Node& n, Operand x, size_t from);
  Result<Operand> cut(const Node& n, Operand x);

  Operand unary(UnaryOp op, Operand x, float a = 0, float b = 0) {
    Expression::Op e;
    e.kind = Expression::Kind::kUnary;
    e.unary = l_.kernels().unary[static_cast<int>(op)];
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

  // Sources in one order of axes; the expression with the order its result is to have.
  Status finish(Operand result);
  Expression expression;
  Order order;
  std::vector<const Node*> nodes;  // in the order they are computed

 private:
  bool is_absorbed(ValueId v) const;
  int in_register(Operand x) {
    if (!x.is_number()) return x.reg;
    const float number[] = {x.number};
    return array(l_.constant_array(Tensor::of<float>({}, number))).reg;
  }
  bool is_unary(const Expression::Op& e, UnaryOp op) const {
    return e.kind == Expression::Kind::kUnary &&
           e.unary == l_.kernels().unary[static_cast<int>(op)];
  }
  void simplify();
  Operand push(Expression::Op e) {
    e.out = kFirst + temporaries_++;
    expression.ops.push_back(e);
    return {e.out, 0};
  }

  static constexpr int kFirst = 1000;  // registers from here on are temporaries
  Lowering& l_;
  Dims dims_;
  std::vector<ValueId> ids_;  // of the sources; kNoValue for given arrays
  std::vector<Array> arrays_;
  int temporaries_ = 0;
};

// A number, an absorbed node's result, or a source.
Result<Operand> ExpressionBuilder::value(ValueId v) {
  if (const Tensor* t = l_.constant(v); t != nullptr && t->elements() == 1) {
    if (t->dtype() == DType::kF32) return Operand{-1, *t->data<float>()};
    if (t->dtype() == DType::kBool) return Operand{-1, *t->data<bool>() ? 1.0f : 0.0f};
  }
  if (l_.made_here(v) && is_absorbed(v)) return node(l_.maker(v));
  for (size_t i = 0; i < ids_.size(); ++i) {
    if (ids_[i] == v) return Operand{static_cast<int>(i), 0};
  }
  ids_.push_back(v);
  arrays_.emplace_back();
  return Operand{static_cast<int>(ids_.size() - 1), 0};
}

// Ends the expression so far when it has its fill: what comes next reads its result. Of nodes that
// are too long for one, which are alone in theirs, `x` is all that is still wanted of it.
Result<Operand> ExpressionBuilder::cut(const Node& n, Operand x) {
  if (expression_size(n) <= kMaxExpression || expression.ops.size() < kMaxExpression) return x;
  MNN_RETURN_IF_ERROR(finish(x));
  const Array part = l_.allocate(DType::kF32, dims_, order);
  add_expression(l_, std::move(expression), {&n}, part);
  expression = {};
  ids_.clear();
  arrays_.clear();
  temporaries_ = 0;
  return array(part);
}

bool ExpressionBuilder::is_absorbed(ValueId v) const {
  const Node& maker = l_.maker(v);
  return l_.absorbed(static_cast<NodeId>(&maker - l_.graph().nodes.data()));
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
  e.binary = l_.kernels().binary[static_cast<int>(op)];
  e.x = in_register(x);
  e.y = in_register(y);
  return push(e);
}

// What an operator with one input of data makes of `x`.
Result<Operand> ExpressionBuilder::unary_node(const Node& n, const UnaryRow& row, Operand x) {
  const NodeView view(l_.graph(), n);
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
    const Tensor *gain = l_.constant(n.inputs[1]), *bias = l_.constant(n.inputs[2]);
    const Tensor *mean = l_.constant(n.inputs[3]), *variance = l_.constant(n.inputs[4]);
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
    const Operand s = array(l_.constant_array(Tensor::of<float>(dims, scale)));
    const Operand t = array(l_.constant_array(Tensor::of<float>(dims, shift)));
    return binary(BinaryOp::kAdd, binary(BinaryOp::kMul, x, s), t);
  }
  const bool tanh_form = n.op == "Gelu" && view.attr_string("approximate") == "tanh";
  auto parameter = [&](std::string_view name) {
    if (name.starts_with("detect_")) return static_cast<float>(view.attr_int(name) != 0);
    return name.empty() ? 0.0f : static_cast<float>(view.attr_float(name));
  };
  return unary(tanh_form ? UnaryOp::kGeluTanh : row.kernel, x, parameter(row.a), parameter(row.b));
}

Result<Operand> ExpressionBuilder::node(const Node& n) {
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
      MNN_ASSIGN_OR_RETURN(r, cut(n, r));
      MNN_ASSIGN_OR_RETURN(const Operand y, value(n.inputs[i]));
      r = binary(row->kernel, r, y);
    }
    if (operands == 1) r = unary(UnaryOp::kMulBy, r, 1.0f);
    if (n.op == "Mean") r = unary(UnaryOp::kDivBy, r, static_cast<float>(operands));
  }
  nodes.push_back(&n);
  MNN_ASSIGN_OR_RETURN(r, post_ops(n, r, 0));
  const Value& out = l_.graph().value(n.outputs[0]);
  // Inside an expression the rounding to a grid is an operator; at its end the store does it.
  const auto grid = grid_of(out);
  const bool inner = l_.absorbed(static_cast<NodeId>(&n - l_.graph().nodes.data()));
  if (grid && inner) r = unary(UnaryOp::kGrid, r, grid->scale, static_cast<float>(grid->zero));
  return r;
}

Result<Operand> ExpressionBuilder::post_ops(const Node& n, Operand x, size_t from) {
  for (size_t i = from; i < n.fused.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(x, cut(n, x));
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
  for (const Expression::Op& e : expression.ops) {
    ++reads[e.x];
    if (e.kind != Expression::Kind::kUnary) ++reads[e.y];
  }
  auto& ops = expression.ops;
  const UnaryFn gate = l_.kernels().unary[static_cast<int>(UnaryOp::kGate)];
  const BinaryFn mul = l_.kernels().binary[static_cast<int>(BinaryOp::kMul)];
  for (size_t i = 0; i + 2 < ops.size(); ++i) {
    const Expression::Op &add = ops[i], &clip = ops[i + 1], &product = ops[i + 2];
    if (!is_unary(add, UnaryOp::kAddTo) || !is_unary(clip, UnaryOp::kClip) || clip.a != 0.0f ||
        clip.x != add.out || product.kind != Expression::Kind::kBinary || product.binary != mul) {
      continue;
    }
    const bool gated = (product.x == add.x && product.y == clip.out) ||
                       (product.y == add.x && product.x == clip.out);
    if (!gated || reads[add.out] != 1 || reads[clip.out] != 1) continue;
    Expression::Op joined;
    joined.unary = gate;
    joined.a = add.a;
    joined.b = clip.b;
    joined.x = add.x;
    joined.out = product.out;
    ops[i] = joined;
    ops.erase(ops.begin() + static_cast<long>(i) + 1, ops.begin() + static_cast<long>(i) + 3);
  }
  for (size_t i = 0; i + 1 < ops.size(); ++i) {
    const Expression::Op& next = ops[i + 1];
    if (!is_unary(ops[i], UnaryOp::kMulBy) || !is_unary(next, UnaryOp::kAddTo) ||
        next.x != ops[i].out || reads[next.x] != 1) {
      continue;
    }
    ops[i].unary = l_.kernels().unary[static_cast<int>(UnaryOp::kAffine)];
    ops[i].b = next.a;
    ops[i].out = next.out;
    ops.erase(ops.begin() + static_cast<long>(i) + 1);
  }
}

Status ExpressionBuilder::finish(Operand result) {
  if (result.reg < kFirst) result = unary(UnaryOp::kMulBy, result, 1.0f);
  simplify();
  // The order of axes most bytes have; channels last wins a tie.
  const int64_t elements = product(dims_);
  std::vector<std::pair<Order, int64_t>> votes;
  for (size_t i = 0; i < ids_.size(); ++i) {
    const Array a = ids_[i] == kNoValue ? arrays_[i] : l_.stored(ids_[i]);
    if (a.elements() != elements || l_.constant_storage(a)) continue;
    const Array wide = broadcast_to(a, dims_);
    const Order o = order_of(wide);
    // Given arrays are where they are: the result of the node so far.
    const int64_t weight = ids_[i] == kNoValue ? INT32_MAX : a.item_bytes();
    const auto at = std::find_if(votes.begin(), votes.end(), [&](auto& v) { return v.first == o; });
    if (at == votes.end()) {
      votes.emplace_back(o, weight);
    } else {
      at->second += weight;
    }
  }
  order = row_major(dims_.size());
  int64_t best = 0;
  for (const auto& [o, weight] : votes) {
    if (weight > best || (weight == best && order == row_major(dims_.size()))) {
      order = o;
      best = weight;
    }
  }
  for (size_t i = 0; i < ids_.size(); ++i) {
    Array a;
    if (ids_[i] == kNoValue) {
      a = arrays_[i];
    } else {
      a = l_.stored(ids_[i]);
      const bool full = a.elements() == elements;
      if (full && order_of(broadcast_to(a, dims_)) != order) {
        // The axes that are there, in the order of the result.
        const size_t missing = dims_.size() - a.rank();
        Order own;
        for (const int axis : order) {
          if (axis >= static_cast<int>(missing)) own.push_back(axis - static_cast<int>(missing));
        }
        if (a.grid) {
          MNN_ASSIGN_OR_RETURN(a, l_.stored(ids_[i], own));
        } else {
          MNN_ASSIGN_OR_RETURN(a, l_.real(ids_[i], own));
        }
      }
    }
    expression.sources.push_back(broadcast_to(a, dims_));
  }
  const auto count = static_cast<int>(ids_.size());
  for (Expression::Op& op : expression.ops) {
    for (int* r : {&op.out, &op.x, &op.y, &op.z}) {
      if (*r >= kFirst) *r += count - kFirst;
    }
  }
  expression.registers = count + temporaries_;
  return {};
}

}  // namespace

Status lower_elementwise(Lowering& l, const Node& node) {
  const ValueId v = node.outputs[0];
  ExpressionBuilder b(l, l.dims(v));
  MNN_ASSIGN_OR_RETURN(const Operand result, b.node(node));
  MNN_RETURN_IF_ERROR(b.finish(result));
  const Expression& e = b.expression;
  const std::optional<Grid> grid = l.grid(v);
  if (grid) {
    MNN_ASSIGN_OR_RETURN(const bool done, lower_byte_expression(l, e, b.order, v));
    if (done) {
      describe(l, b.nodes, l.last_step().info);
      return {};
    }
  }
  const Array y = l.allocate_output(v, b.order, grid);
  add_expression(l, std::move(b.expression), b.nodes, y);
  l.define(v, y);
  return {};
}

Status apply_post_ops(Lowering& l, const Node& node, Array y, size_t from) {
  const ValueId v = node.outputs[0];
  ExpressionBuilder b(l, l.dims(v));
  MNN_ASSIGN_OR_RETURN(const Operand result, b.post_ops(node, b.array(y), from));
  MNN_RETURN_IF_ERROR(b.finish(result));
  const Array out = l.grid(v) ? l.allocate_output(v, order_of(y), l.grid(v)) : y;
  add_expression(l, std::move(b.expression), b.nodes, out);
  l.define(v, out);
  return {};
}

}  // namespace mnn::cpu
