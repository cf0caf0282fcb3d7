// Elementwise nodes and post-ops as steps: expressions are bound to arrays.
#include <algorithm>

#include "libruntime/backends/cpu/element.h"

namespace mnn::cpu {
namespace {

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

void add_expression(Lowering& l, BoundExpression expression, const std::vector<const Node*>& nodes,
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

// The order of axes in which most bytes of the sources lie; channels last wins a tie.
Order common_order(const Lowering& l, const Expression& e, const std::vector<Array>& sources,
                   const Dims& dims) {
  OrderVotes votes;
  for (size_t i = 0; i < sources.size(); ++i) {
    const Array& a = sources[i];
    if (a.elements() != product(dims) || l.constant_storage(a)) continue;
    // The result so far is where it is.
    votes.add(order_of(broadcast_to(a, dims)), e.sources[i].so_far() ? INT32_MAX : a.item_bytes());
  }
  return votes.winner(dims.size());
}

// Arrays for the sources, values in one order of axes. `so_far`: what the expression goes on with.
Result<BoundExpression> bind_sources(Lowering& l, Expression e, const Dims& dims,
                                     const std::optional<Array>& so_far) {
  BoundExpression bound;
  for (const Expression::Source& s : e.sources) {
    bound.sources.push_back(s.so_far()             ? *so_far
                            : s.constant.defined() ? l.constant_array(s.constant)
                                                   : l.stored(s.value));
  }
  bound.order = common_order(l, e, bound.sources, dims);
  for (size_t i = 0; i < e.sources.size(); ++i) {
    Array& a = bound.sources[i];
    const ValueId v = e.sources[i].value;
    const bool full = v != kNoValue && a.elements() == product(dims);
    if (full && order_of(broadcast_to(a, dims)) != bound.order) {
      // The axes that are there, in the order of the result.
      const size_t missing = dims.size() - a.rank();
      Order own;
      for (const int axis : bound.order) {
        if (axis >= static_cast<int>(missing)) own.push_back(axis - static_cast<int>(missing));
      }
      if (a.grid) {
        MNN_ASSIGN_OR_RETURN(a, l.stored(v, own));
      } else {
        MNN_ASSIGN_OR_RETURN(a, l.real(v, own));
      }
    }
    a = broadcast_to(a, dims);
  }
  bound.ops = std::move(e.ops);
  bound.registers = e.registers;
  return bound;
}

// The last part, bound; those before it become steps.
Result<BoundExpression> bind_last(Lowering& l, const Node& node, std::vector<Expression> parts,
                                  std::optional<Array> so_far) {
  const Dims dims = l.dims(node.outputs[0]);
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(BoundExpression part, bind_sources(l, std::move(parts[i]), dims, so_far));
    so_far = l.allocate(DType::kF32, dims, part.order);
    add_expression(l, std::move(part), {&node}, *so_far);
  }
  return bind_sources(l, std::move(parts.back()), dims, so_far);
}

ExpressionHooks hooks(Lowering& l) {
  return {l.reader(), [&l](ValueId v) { return l.absorbed_maker(v); }};
}

}  // namespace

Status lower_elementwise(Lowering& l, const Node& node) {
  const ValueId v = node.outputs[0];
  MNN_ASSIGN_OR_RETURN(ExpressionList list, node_expression(l.graph(), node, hooks(l)));
  MNN_ASSIGN_OR_RETURN(BoundExpression e, bind_last(l, node, std::move(list.parts), std::nullopt));
  const Order order = e.order;
  const std::optional<Grid> grid = l.grid(v);
  if (grid) {
    MNN_ASSIGN_OR_RETURN(const bool done, lower_byte_expression(l, e, v));
    if (done) {
      describe(l, list.nodes, l.last_step().info);
      return {};
    }
  }
  const Array y = l.allocate_output(v, order, grid);
  add_expression(l, std::move(e), list.nodes, y);
  l.define(v, y);
  return {};
}

Status apply_post_ops(Lowering& l, const Node& node, Array y, size_t from) {
  const ValueId v = node.outputs[0];
  MNN_ASSIGN_OR_RETURN(ExpressionList list, post_op_expression(l.graph(), node, from, hooks(l)));
  MNN_ASSIGN_OR_RETURN(BoundExpression e, bind_last(l, node, std::move(list.parts), y));
  const Array out = l.grid(v) ? l.allocate_output(v, order_of(y), l.grid(v)) : y;
  add_expression(l, std::move(e), list.nodes, out);
  l.define(v, out);
  return {};
}

}  // namespace mnn::cpu
