// Shape, type and shape-value inference over a graph: one pass in node order.
#include <algorithm>

#include "libruntime/core/op.h"
#include "libruntime/core/post_op.h"

namespace mnn {
namespace {

using Known = std::vector<std::optional<ShapeValues>>;

bool can_hold_shape_values(const Type& type) {
  return type.kind == Type::Kind::kTensor &&
         (type.dtype == DType::kI64 || type.dtype == DType::kI32 || type.dtype == DType::kBool);
}

// Numbers a narrow type wraps around are those of the run.
void forget_wrapped(ShapeValues& values, DType dtype) {
  if (dtype != DType::kI32) return;
  for (Dim& d : values) {
    if (d.known() && d.value() != static_cast<int32_t>(d.value())) d = Dim::unknown();
  }
}

// Keeps of `old` what `fresh` does not tell; refuses a contradiction.
Status merge_type(Type& fresh, const Type& old) {
  if (!old.defined()) return {};
  if (!fresh.defined()) {
    fresh = old;
    return {};
  }
  if (fresh.dtype != old.dtype || fresh.kind != old.kind) {
    return invalid("its output is declared as " + old.str() + " but computes to " + fresh.str());
  }
  if (!old.shape) return {};
  if (!fresh.shape) {
    fresh.shape = old.shape;
    return {};
  }
  if (fresh.shape->size() != old.shape->size()) {
    return invalid("its output is declared as " + old.str() + " but computes to " + fresh.str());
  }
  for (size_t i = 0; i < fresh.shape->size(); ++i) {
    Dim& f = (*fresh.shape)[i];
    const Dim& o = (*old.shape)[i];
    if (f.known() && o.known() && f.value() != o.value()) {
      return invalid("its output is declared as " + old.str() + " but computes to " + fresh.str());
    }
    if (f.is_unknown() || (!f.known() && o.known())) f = o;
  }
  return {};
}

bool may_be_same(const Type& a, const Type& b) {
  if (a.dtype != b.dtype || a.kind != b.kind) return false;
  if (!a.shape || !b.shape) return true;
  return std::equal(a.shape->begin(), a.shape->end(), b.shape->begin(), b.shape->end(),
                    [](const Dim& x, const Dim& y) {
                      return !x.known() || !y.known() || x.value() == y.value();
                    });
}

// Runs the row's inference; sequences and optionals are for operators that say so.
Status infer_by_row(OpContext& c) {
  MNN_RETURN_IF_ERROR(c.def.infer(c));
  if (c.def.is(kContainers)) return {};
  for (size_t i = 0; i < c.in.size(); ++i) {
    if (c.in[i].kind == Type::Kind::kTensor) continue;
    return invalid("input " + std::to_string(i) + ": expected a tensor, found " + c.in[i].str());
  }
  return {};
}

// A post-op means what its operator means, and leaves the type as it is.
Status check_fused(const Graph& graph, const Node& node, const Type& type) {
  for (size_t i = 0; i < node.fused.size(); ++i) {
    const FusedOp& f = node.fused[i];
    const OpDef* def = find_op(f.op);
    if (def == nullptr) return unsupported("fused operator " + f.op + " is not known");
    const Node post = post_op(node, i, node.outputs[0], node.outputs[0]);
    OpContext c(post, *def);
    c.in = {type};
    for (size_t k = 1; k < post.inputs.size(); ++k) {
      const ValueId v = post.inputs[k];
      c.in.push_back(v == kNoValue ? Type() : graph.value(v).type);
    }
    c.constants.assign(c.in.size(), nullptr);
    c.known_values.assign(c.in.size(), nullptr);
    c.out.resize(1);
    MNN_RETURN_IF_ERROR(infer_by_row(c).context("fused " + f.op));
    if (!may_be_same(c.out[0].type, type)) {
      return invalid("fused " + f.op + ": expected a result of type " + type.str() + ", found " +
                     c.out[0].type.str());
    }
  }
  return {};
}

Result<std::vector<OpContext::Output>> infer_one(const Graph& graph, const Node& node,
                                                 const Known* known) {
  const OpDef* def = find_op(node.op);
  if (def == nullptr) return unsupported("operator " + node.op + " is not known");
  OpContext c(node, *def);
  const size_t own = node.own_inputs();
  c.in.resize(own);
  c.constants.assign(own, nullptr);
  c.known_values.assign(own, nullptr);
  c.out.resize(node.outputs.size());
  for (size_t i = 0; i < own; ++i) {
    const ValueId v = node.inputs[i];
    if (v == kNoValue) continue;
    c.in[i] = graph.value(v).type;
    c.constants[i] = graph.constant(v);
    if (known && (*known)[static_cast<size_t>(v)])
      c.known_values[i] = &(*known)[static_cast<size_t>(v)];
  }
  if (def->infer == nullptr) return internal_error(node.op + " has no inference");
  MNN_RETURN_IF_ERROR(infer_by_row(c));
  if (!node.fused.empty()) MNN_RETURN_IF_ERROR(check_fused(graph, node, c.out[0].type));
  return std::move(c.out);
}

// What the node's inputs tell about the inputs of its body. A Loop's carried values may change
// shape from trip to trip, so that only their element types hold; a Scan's states may not. The body
// of SequenceMap gets one element of every sequence.
void set_body_inputs(const Graph& graph, const Node& node, Graph& body) {
  auto outer_type = [&](size_t i) {
    const ValueId v = i < node.inputs.size() ? node.inputs[i] : kNoValue;
    return v == kNoValue ? Type() : graph.value(v).type;
  };
  auto refine = [&](size_t i, Type type) {
    Type& inner = body.value(body.inputs[i]).type;
    if (type.defined() && merge_type(type, inner).ok()) inner = std::move(type);
  };
  if (node.op == "Loop") {
    for (size_t i = 0; i < body.inputs.size(); ++i) {
      Type type = tensor_type(i == 0 ? DType::kI64 : DType::kBool, {});
      if (i >= 2) {
        type = outer_type(i);
        type.shape.reset();
      }
      refine(i, std::move(type));
    }
    return;
  }
  if (node.op == "SequenceMap") {
    for (size_t i = 0; i < std::min(body.inputs.size(), node.inputs.size()); ++i) {
      Type type = outer_type(i);
      type.kind = Type::Kind::kTensor;
      refine(i, std::move(type));
    }
    return;
  }
  const OpDef* def = find_op(node.op);
  if (node.op != "Scan" || def == nullptr) return;
  const AttributeReader attributes(node, *def);
  const int64_t scanned = attributes.attr_int("num_scan_inputs");
  const std::vector<int64_t> axes = attributes.attr_ints("scan_input_axes");
  const auto count = static_cast<int64_t>(std::min(body.inputs.size(), node.inputs.size()));
  for (int64_t i = 0; i < count; ++i) {
    Type type = outer_type(static_cast<size_t>(i));
    const int64_t k = i - (static_cast<int64_t>(node.inputs.size()) - scanned);
    if (k >= 0 && type.shape) {
      const bool given = k < static_cast<int64_t>(axes.size());
      const auto axis =
          normalize_axis(given ? axes[static_cast<size_t>(k)] : 0, type.shape->size());
      if (!axis.ok()) return;  // the node's own inference says so
      type.shape->erase(type.shape->begin() + static_cast<long>(*axis));
    }
    refine(static_cast<size_t>(i), std::move(type));
  }
}

}  // namespace

Status TypeInference::infer_subgraph(const Node& outer, Graph& g) {
  TypeInference inside(g);
  for (size_t i = 0; i < g.captures.size(); ++i) {
    g.value(g.captures[i]).type = graph_.value(outer.captures[i]).type;
    if (const ShapeValues* values = known(outer.captures[i])) inside.learn(g.captures[i], *values);
    // A captured constant is an ordinary input inside.
    const Tensor* constant = graph_.constant(outer.captures[i]);
    if (constant == nullptr || constant->elements() > kMaxShapeValues ||
        !can_hold_shape_values(graph_.value(outer.captures[i]).type)) {
      continue;
    }
    if (const auto ints = constant->to_ints(); ints.ok()) {
      inside.learn(g.captures[i], ShapeValues(ints->begin(), ints->end()));
    }
  }
  set_body_inputs(graph_, outer, g);
  for (Node& node : g.nodes) {
    MNN_RETURN_IF_ERROR(inside.infer(node).context("in its sub-graph " + g.name));
  }
  return {};
}

namespace {

// Infers an If as though its `impossible` branch made what the other one makes.
Result<std::vector<OpContext::Output>> infer_without(const Graph& graph, const Node& node,
                                                     const Graph& impossible) {
  Node twice = node;
  const size_t skipped = static_cast<size_t>(&impossible - node.subgraphs.data());
  twice.subgraphs[skipped] = node.subgraphs[1 - skipped];
  return infer_one(graph, twice, nullptr);
}

}  // namespace

void TypeInference::learn(ValueId v, ShapeValues values) {
  known_.resize(graph_.values.size());
  known_[static_cast<size_t>(v)] = std::move(values);
}

Status TypeInference::infer(Node& node) {
  known_.resize(graph_.values.size());
  auto where = [&] { return "node " + display_name(graph_, node) + " (" + node.op + ")"; };
  // Shapes may make one branch of an If impossible: exporters guard code that way. Only taking it
  // is an error, and the other one tells the types.
  const Graph* impossible = nullptr;
  for (Graph& g : node.subgraphs) {
    const Status status = infer_subgraph(node, g);
    if (status.ok()) continue;
    const bool may_not_run = node.op == "If" && status.code() == Code::kInvalidArgument;
    if (!may_not_run || impossible != nullptr) return status.context(where());
    impossible = &g;
  }
  auto outputs =
      impossible ? infer_without(graph_, node, *impossible) : infer_one(graph_, node, &known_);
  if (!outputs.ok()) return outputs.status().context(where());
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == kNoValue) continue;
    OpContext::Output& o = (*outputs)[i];
    const Status status = merge_type(o.type, graph_.value(v).type);
    if (!status.ok()) return status.context(where());
    graph_.value(v).type = std::move(o.type);
    if (o.values && can_hold_shape_values(graph_.value(v).type) &&
        static_cast<int64_t>(o.values->size()) <= kMaxShapeValues) {
      forget_wrapped(*o.values, graph_.value(v).type.dtype);
      known_[static_cast<size_t>(v)] = std::move(o.values);
    }
  }
  return {};
}

const ShapeValues* TypeInference::known(ValueId v) const {
  const auto i = static_cast<size_t>(v);
  return v != kNoValue && i < known_.size() && known_[i] ? &*known_[i] : nullptr;
}

Status infer_types(Graph& graph) {
  TypeInference inference(graph);
  for (Node& node : graph.nodes) MNN_RETURN_IF_ERROR(inference.infer(node));
  return {};
}

Result<std::vector<OpContext::Output>> infer_node(
    const Graph& graph, const Node& node,
    std::span<const std::optional<ShapeValues>> known_values) {
  if (known_values.empty()) return infer_one(graph, node, nullptr);
  const Known known(known_values.begin(), known_values.end());
  return infer_one(graph, node, &known);
}

}  // namespace mnn
