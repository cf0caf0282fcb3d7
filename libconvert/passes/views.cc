// Operators that only look at the same bytes another way: chains of them become one, and they step
// aside where they stand between two operators that could become one.
#include <algorithm>
#include <array>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"
#include "libconvert/passes/permute.h"

namespace mnn {
namespace {

const Type& type_of(const Match& m, ValueId v) { return m.graph.value(v).type; }

// The shape operand of a Reshape from `in` to `out` that holds for all values of the symbols:
// numbers, 0 for a dim that stays in its place, -1 for the only one that is neither.
std::optional<std::vector<int64_t>> shape_operand(const Type& in, const Type& out) {
  if (in.kind != Type::Kind::kTensor || out.kind != in.kind || !in.shape || !out.shape) {
    return std::nullopt;
  }
  std::vector<int64_t> dims;
  int kept = 0, open = 0;
  for (size_t i = 0; i < out.rank(); ++i) {
    const Dim& d = (*out.shape)[i];
    if (d.known()) {
      if (d.value() == 0) return std::nullopt;
      dims.push_back(d.value());
    } else if (i < in.rank() && d.same((*in.shape)[i])) {
      ++kept;
      dims.push_back(0);
    } else {
      ++open;
      dims.push_back(-1);
    }
  }
  // Beside a kept dim that turns out to be 0, what -1 stands for could not be told.
  if (open > 1 || (open == 1 && kept > 0)) return std::nullopt;
  return dims;
}

// The node that makes `v` when it is a view whose source may be read instead.
const Node* view_making(const Match& m, ValueId v) {
  const Node* maker = m.producer(v);
  const bool is_free =
      maker && has_traits(maker->op, kView) && adds_no_rounding(m.graph, maker->inputs[0], v);
  return is_free ? maker : nullptr;
}

ValueId reshape(Builder& b, ValueId x, const std::vector<int64_t>& dims) {
  return b.op("Reshape", {x, b.ints(dims)});
}

// Which dim of the source each dim is; -1 for a dim of 1 that came from nowhere.
using Axes = std::vector<int>;

bool is_one(const Dim& d) { return d.is(1); }

// Follows dims through a view that only adds and drops dims of 1.
std::optional<Axes> through_view(const Axes& axes, const Type& in, const Type& out) {
  if (!in.shape || !out.shape) return std::nullopt;
  Axes result;
  size_t i = 0;
  for (const Dim& d : *out.shape) {
    if (is_one(d)) {
      result.push_back(-1);
      continue;
    }
    while (i < in.rank() && is_one((*in.shape)[i])) ++i;
    if (i == in.rank() || !d.same((*in.shape)[i])) return std::nullopt;
    result.push_back(axes[i++]);
  }
  while (i < in.rank() && is_one((*in.shape)[i])) ++i;
  if (i != in.rank()) return std::nullopt;
  return result;
}

Axes through_perm(const Axes& axes, const Perm& perm) {
  Axes result;
  for (const int64_t p : perm) result.push_back(axes[static_cast<size_t>(p)]);
  return result;
}

// A value seen as dims of the source of the Transpose before it: Transpose, then maybe a view.
struct Transposed {
  ValueId source = kNoValue;
  Axes axes;
};

std::optional<Transposed> transposed(const Match& m, ValueId v) {
  const Node* view = view_making(m, v);
  const ValueId made = view ? view->inputs[0] : v;
  const Node* first = m.producer(made);
  const std::optional<Perm> perm = first ? perm_of(m.graph, *first) : std::nullopt;
  if (!perm || !adds_no_rounding(m.graph, first->inputs[0], made)) return std::nullopt;
  Axes axes(perm->begin(), perm->end());
  // Dims of 1 are all alike: those are labelled by what is left of them.
  const Type& source = type_of(m, first->inputs[0]);
  for (int& a : axes) {
    if (is_one((*source.shape)[static_cast<size_t>(a)])) a = -1;
  }
  if (view) {
    const std::optional<Axes> seen = through_view(axes, type_of(m, made), type_of(m, v));
    if (!seen) return std::nullopt;
    axes = *seen;
  }
  return Transposed{first->inputs[0], axes};
}

// Builds the value with these dims of `source`, of type `out`, with one Transpose at most. kNoValue
// when a shape cannot be written down.
ValueId arrange(Builder& b, ValueId source, const Axes& axes, const Type& out) {
  const Type from = b.type(source);
  Axes order;
  for (const int a : axes) {
    if (a >= 0) order.push_back(a);
  }
  if (std::is_sorted(order.begin(), order.end())) {
    const auto dims = shape_operand(from, out);
    return dims ? reshape(b, source, *dims) : kNoValue;
  }
  Axes kept = order;
  std::sort(kept.begin(), kept.end());
  Type dense = from, turned = from;
  dense.shape->clear();
  turned.shape->clear();
  Perm perm;
  for (const int a : kept) dense.shape->push_back((*from.shape)[static_cast<size_t>(a)]);
  for (const int a : order) {
    turned.shape->push_back((*from.shape)[static_cast<size_t>(a)]);
    perm.push_back(std::ranges::find(kept, a) - kept.begin());
  }
  const auto in_dims = shape_operand(from, dense), out_dims = shape_operand(turned, out);
  if (!in_dims || !out_dims) return kNoValue;
  const ValueId x = from.rank() == dense.rank() ? source : reshape(b, source, *in_dims);
  const ValueId t = b.op("Transpose", {x}, {{"perm", perm}});
  return out.rank() == turned.rank() ? t : reshape(b, t, *out_dims);
}

// One view for several; every view a Reshape where its shape can be written down.
void add_view_rules(std::vector<Rule>& rules) {
  for (const std::string& view : ops_with(kView)) {
    if (has_traits(view, kElementwise)) continue;  // Identity: its dims are the same
    rules.push_back({"MergeViews", with_any_inputs(view),
                     [](Builder& b, const Match& m) {
                       const Node* inner = view_making(m, m.root_node().inputs[0]);
                       if (!inner) return kNoValue;
                       const ValueId x = inner->inputs[0];
                       if (same_type(m.graph, x, m.output())) return x;
                       const auto dims = shape_operand(type_of(m, x), type_of(m, m.output()));
                       return dims ? reshape(b, x, *dims) : kNoValue;
                     },
                     nullptr});
    rules.push_back({"ViewAsReshape", with_any_inputs(view),
                     [](Builder& b, const Match& m) {
                       const Node& node = m.root_node();
                       const ValueId x = node.inputs[0];
                       const auto dims = shape_operand(type_of(m, x), type_of(m, m.output()));
                       if (!dims) return kNoValue;
                       if (node.op == "Reshape" && ints_of(m.graph, node.inputs[1]) == dims &&
                           attr_int(node, "allowzero") == 0) {
                         return kNoValue;
                       }
                       return reshape(b, x, *dims);
                     },
                     nullptr});
  }
}

// Two Transposes with a view of dims of 1 between them, and a Transpose of dims of 1 only.
void add_transpose_rules(std::vector<Rule>& rules) {
  rules.push_back({"TransposeOfOnes", op("Transpose", {any("x")}),
                   [](Builder& b, const Match& m) {
                     const auto t = transposed(m, m.output());
                     if (!t) return kNoValue;
                     Axes order;
                     for (const int a : t->axes) {
                       if (a >= 0) order.push_back(a);
                     }
                     if (!std::is_sorted(order.begin(), order.end())) return kNoValue;
                     return arrange(b, t->source, t->axes, Type(type_of(m, m.output())));
                   },
                   nullptr});
  rules.push_back({"MergeTransposesAcrossView", op("Transpose", {any("y")}),
                   [](Builder& b, const Match& m) {
                     const auto outer = perm_of(m.graph, m.root_node());
                     const auto inner = transposed(m, m.at("y"));
                     if (!outer || !inner || !view_making(m, m.at("y"))) return kNoValue;
                     const Type out = type_of(m, m.output());
                     return arrange(b, inner->source, through_perm(inner->axes, *outer), out);
                   },
                   nullptr});
}

// One index of an axis of a Transpose: taken from the axis it was, when the rest keeps its order.
Rule gather_before_transpose() {
  return {"GatherBeforeTranspose", op("Gather", {any("y"), constant("index")}),
          [](Builder& b, const Match& m) {
            const Type& type = type_of(m, m.at("y"));
            const auto t = transposed(m, m.at("y"));
            if (!t || !type.shape || m.constant("index")->rank() != 0) return kNoValue;
            const auto axis = normalize_axis(attr_int(m.root_node(), "axis"), type.rank());
            if (!axis.ok() || t->axes[*axis] < 0) return kNoValue;
            const int taken = t->axes[*axis];
            int last = -1;
            for (const int a : t->axes) {
              if (a < 0 || a == taken) continue;
              if (a < last) return kNoValue;
              last = a;
            }
            const Type out = type_of(m, m.output());
            const Shape& whole = *type_of(m, t->source).shape;
            Shape rest;
            for (size_t i = 0; i < whole.size(); ++i) {
              if (static_cast<int>(i) != taken) rest.push_back(whole[i]);
            }
            const auto dims = shape_operand(tensor_type(out.dtype, std::move(rest)), out);
            if (!dims) return kNoValue;
            const ValueId index = m.at("index");
            const ValueId g = b.op("Gather", {t->source, index}, {{"axis", int64_t{taken}}});
            return reshape(b, g, *dims);
          },
          nullptr};
}

// act(view(linear)) as view(act(linear)), and the same for a residual and a bias: so that the
// linear's epilogue can take them.
void add_epilogue_rules(std::vector<Rule>& rules) {
  auto linear_behind = [](const Match& m, ValueId view_out) -> ValueId {
    const Node* view = m.producer(view_out);
    const ValueId y = view->inputs[0];
    const Node* maker = m.producer(y);
    return maker && has_traits(maker->op, kLinear) && m.reads[static_cast<size_t>(y)] == 1 &&
                   !m.graph.value(y).quant && is_tensor_of(m.graph, y, DType::kF32)
               ? y
               : kNoValue;
  };
  const Pattern view = op("Reshape", {any("y"), constant("shape")}, "view");
  for (const std::string_view act : kernel_activations()) {
    // Of one input of data and constants.
    std::vector<Pattern> inputs = {view};
    const auto all = static_cast<size_t>(find_op(act)->max_inputs);
    while (inputs.size() < all) inputs.push_back(constant("c" + std::to_string(inputs.size())));
    rules.push_back(
        {"ActivationBeforeView", op(std::string(act), inputs),
         [linear_behind](Builder& b, const Match& m) {
           const ValueId y = linear_behind(m, m.at("view"));
           if (y == kNoValue) return kNoValue;
           const Node root = m.root_node();
           std::vector<ValueId> in = root.inputs;
           in[0] = y;
           return b.op("Reshape", {b.op(root.op, std::move(in), root.attributes), m.at("shape")});
         },
         nullptr});
  }
  rules.push_back(
      {"AddBeforeView", commutative(op("Add", {view, any("r")})),
       [linear_behind](Builder& b, const Match& m) {
         const ValueId y = linear_behind(m, m.at("view")), r = m.at("r");
         if (y == kNoValue || !same_type(m.graph, m.at("view"), m.output())) return kNoValue;
         const Type inner = type_of(m, y), outer = type_of(m, m.at("view"));
         if (const Tensor* bias = m.graph.constant(r)) {
           // One value per column, and the columns stay.
           if (bias->rank() != 1 || !inner.shape || inner.rank() == 0 ||
               !inner.shape->back().is(bias->elements()) ||
               !outer.shape->back().is(bias->elements())) {
             return kNoValue;
           }
           return b.op("Reshape", {b.op("Add", {y, r}), m.at("shape")});
         }
         const auto dims = shape_operand(type_of(m, r), inner);
         if (!dims || !same_type(m.graph, m.at("view"), r)) return kNoValue;
         return b.op("Reshape", {b.op("Add", {y, reshape(b, r, *dims)}), m.at("shape")});
       },
       nullptr});
}

std::vector<Rule> view_rules() {
  std::vector<Rule> rules;
  add_view_rules(rules);
  add_transpose_rules(rules);
  rules.push_back(gather_before_transpose());
  add_epilogue_rules(rules);
  return rules;
}

}  // namespace

Result<int> simplify_views(Graph& graph) {
  static const std::vector<Rule> rules = view_rules();
  return apply_counted(graph, rules);
}

}  // namespace mnn
