#include "libruntime/core/differentiate.h"

#include <algorithm>

#include "libruntime/core/builder.h"
#include "libruntime/core/expand.h"
#include "libruntime/core/ops/gradients.h"

namespace mnn {
namespace {

// Decompositions of decompositions; a deeper chain is a cycle in the op table.
constexpr int kMaxRounds = 16;

bool is_float_tensor(const Type& type) {
  return type.kind == Type::Kind::kTensor && is_float(type.dtype);
}

// Which values change when one of `xs` does, through floats, in sequences too: by nodes [first,
// last).
std::vector<char> dependents(const Graph& graph, size_t first, size_t last,
                             std::span<const ValueId> xs) {
  std::vector<char> depends(graph.values.size(), 0);
  for (const ValueId x : xs) {
    if (x != kNoValue) depends[static_cast<size_t>(x)] = is_float(graph.value(x).type.dtype);
  }
  for (size_t n = first; n < last; ++n) {
    const Node& node = graph.nodes[n];
    bool any = false;
    for (const auto* list : {&node.inputs, &node.captures}) {
      for (const ValueId v : *list) any |= v != kNoValue && depends[static_cast<size_t>(v)];
    }
    if (!any) continue;
    for (const ValueId v : node.outputs) {
      if (v != kNoValue) depends[static_cast<size_t>(v)] |= is_float(graph.value(v).type.dtype);
    }
  }
  return depends;
}

// Which values `y` is made of.
std::vector<char> ancestors(const Graph& graph, ValueId y) {
  std::vector<char> needed(graph.values.size(), 0);
  needed[static_cast<size_t>(y)] = 1;
  for (size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    const bool made = std::ranges::any_of(
        node.outputs, [&](ValueId v) { return v != kNoValue && needed[static_cast<size_t>(v)]; });
    if (!made) continue;
    for (const auto* list : {&node.inputs, &node.captures}) {
      for (const ValueId v : *list) {
        if (v != kNoValue) needed[static_cast<size_t>(v)] = 1;
      }
    }
  }
  return needed;
}

bool any_of_values(const std::vector<ValueId>& values, const std::vector<char>& in) {
  return std::ranges::any_of(
      values, [&](ValueId v) { return v != kNoValue && in[static_cast<size_t>(v)]; });
}

// Takes apart what lies between xs and y and has no derivative as it is, until nothing does.
Status expand_path(Graph& graph, ValueId y, std::span<const ValueId> xs) {
  for (int round = 0; round < kMaxRounds; ++round) {
    MNN_RETURN_IF_ERROR(infer_types(graph));
    const std::vector<char> depends = dependents(graph, 0, graph.nodes.size(), xs);
    const std::vector<char> needed = ancestors(graph, y);
    std::vector<Node> nodes = std::move(graph.nodes);
    graph.nodes.clear();
    bool changed = false;
    for (Node& node : nodes) {
      const OpDef* def = find_op(node.op);
      const bool on_path =
          any_of_values(node.outputs, needed) && any_of_values(node.outputs, depends);
      if (on_path && !node.fused.empty()) {
        split_post_ops(graph, node);
      } else if (on_path && def != nullptr && def->gradient == nullptr &&
                 def->decompose != nullptr) {
        MNN_RETURN_IF_ERROR(
            expand_node(graph, def->decompose, node)
                .context("node " + display_name(graph, node) + " (" + node.op + ")"));
      } else {
        graph.add_node(std::move(node));
        continue;
      }
      changed = true;
    }
    if (!changed) return {};
    MNN_RETURN_IF_ERROR(sort_nodes(graph));
  }
  return internal_error("an operator decomposes into itself");
}

// The derivatives gathered so far, per value as a list of summands.
class Gathered {
 public:
  void add(ValueId v, ValueId part) {
    const auto i = static_cast<size_t>(v);
    if (i >= parts_.size()) parts_.resize(i + 1);
    parts_[i].push_back(part);
  }
  // Their sum, kNoValue without any; from then on that is the only summand.
  ValueId sum(Builder& b, ValueId v) {
    const auto i = static_cast<size_t>(v);
    if (v == kNoValue || i >= parts_.size() || parts_[i].empty()) return kNoValue;
    if (parts_[i].size() > 1) {
      const ValueId all = b.op(parts_[i].size() == 2 ? "Add" : "Sum", parts_[i]);
      parts_[i] = {all};
    }
    return parts_[i][0];
  }

 private:
  std::vector<std::vector<ValueId>> parts_;
};

Result<std::vector<ValueId>> gradient_of(Builder& b, const Node& node,
                                         std::span<const ValueId> outputs) {
  const OpDef* def = find_op(node.op);
  if (def == nullptr) return unsupported("operator " + node.op + " is not known");
  if (!node.fused.empty()) return internal_error("post-ops were not taken apart");
  if (def->gradient != nullptr) return def->gradient(b, node, outputs);
  if (def->decompose != nullptr) return gradient_through(b, node, outputs, def->decompose);
  return unsupported("the operator has no derivative; leave it out of what is trained");
}

// Walks nodes [first, last) from the last on. New nodes go to the end of the graph.
Status walk_back(Graph& graph, size_t first, size_t last, const std::vector<char>& depends,
                 Gathered& gathered) {
  for (size_t n = last; n-- > first;) {
    const Node node = graph.nodes[n];  // a copy: adding nodes moves the vector
    if (!any_of_values(node.inputs, depends) && !any_of_values(node.captures, depends)) continue;
    const std::string name = display_name(graph, node);
    Builder b(graph, node.origin.empty() ? std::vector<std::string>{name} : node.origin);
    std::vector<ValueId> outputs;
    for (const ValueId v : node.outputs) {
      const bool takes = v != kNoValue && depends[static_cast<size_t>(v)];
      outputs.push_back(takes ? gathered.sum(b, v) : kNoValue);
    }
    if (std::ranges::all_of(outputs, [](ValueId v) { return v == kNoValue; })) continue;
    const size_t before = graph.nodes.size();
    Result<std::vector<ValueId>> made = gradient_of(b, node, outputs);
    if (!made.ok()) return made.status().context("node " + name + " (" + node.op + ")");
    for (size_t i = before; i < graph.nodes.size(); ++i) {
      if (graph.nodes[i].name.empty()) {
        graph.nodes[i].name = name + "/backward/" + graph.nodes[i].op;
      }
    }
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId x = node.inputs[i];
      if (x == kNoValue || !depends[static_cast<size_t>(x)]) continue;
      const ValueId dx = i < made->size() ? (*made)[i] : kNoValue;
      if (dx == kNoValue) {
        return unsupported("the operator has no derivative with respect to input " +
                           std::to_string(i))
            .context("node " + name + " (" + node.op + ")");
      }
      if (dx != kFlat) gathered.add(x, dx);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<ValueId>> differentiate(Graph& graph, ValueId y, std::span<const ValueId> xs) {
  for (const ValueId x : xs) {
    if (graph.value(x).quant) {
      return unsupported("value '" + graph.value(x).name +
                         "' is quantized: derivatives are taken of float models");
    }
  }
  MNN_RETURN_IF_ERROR(expand_path(graph, y, xs));
  if (!is_float_tensor(graph.value(y).type)) {
    return invalid("value '" + graph.value(y).name + "' of type " + graph.value(y).type.str() +
                   " has no derivative: expected floats");
  }
  const size_t last = graph.nodes.size();
  const std::vector<char> depends = dependents(graph, 0, last, xs);
  Gathered gathered;
  Builder b(graph);
  if (depends[static_cast<size_t>(y)]) {
    const Type type = graph.value(y).type;
    ValueId one = b.scalar(1.0, type.dtype);
    if (!type.shape || !type.shape->empty()) one = b.op("Expand", {one, b.op("Shape", {y})});
    gathered.add(y, one);
    MNN_RETURN_IF_ERROR(walk_back(graph, 0, last, depends, gathered));
  }
  std::vector<ValueId> result;
  for (const ValueId x : xs) result.push_back(gathered.sum(b, x));
  MNN_RETURN_IF_ERROR(infer_types(graph));
  for (size_t i = 0; i < xs.size(); ++i) {
    if (result[i] == kNoValue) continue;
    const Type &x = graph.value(xs[i]).type, &dx = graph.value(result[i]).type;
    const bool same = x.dtype == dx.dtype &&
                      (!x.is_static() || !dx.is_static() || same_shape(*x.shape, *dx.shape));
    if (!same) {
      return internal_error("the derivative of '" + graph.value(xs[i]).name + "' of type " +
                            x.str() + " has type " + dx.str());
    }
  }
  return result;
}

Result<std::vector<ValueId>> gradient_through(Builder& b, const Node& node,
                                              std::span<const ValueId> outputs,
                                              DecomposeFn expand) {
  Graph& graph = b.graph();
  const size_t first = graph.nodes.size();
  MNN_ASSIGN_OR_RETURN(const std::vector<ValueId> made, expand(b, node));
  TypeInference inference(graph);
  for (size_t n = first; n < graph.nodes.size(); ++n) {
    Node part = graph.nodes[n];
    MNN_RETURN_IF_ERROR(inference.infer(part));
  }
  const size_t last = graph.nodes.size();
  const std::span<const ValueId> xs(node.inputs.data(), node.own_inputs());
  const std::vector<char> depends = dependents(graph, first, last, xs);
  Gathered gathered;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == kNoValue) continue;
    if (i >= made.size() || made[i] == kNoValue) {
      return internal_error("output " + std::to_string(i) + " of " + node.op + " is missing");
    }
    gathered.add(made[i], outputs[i]);
  }
  MNN_RETURN_IF_ERROR(walk_back(graph, first, last, depends, gathered));
  std::vector<ValueId> result;
  for (const ValueId x : xs) result.push_back(x == kNoValue ? kNoValue : gathered.sum(b, x));
  return result;
}

}  // namespace mnn
