#include "libconvert/passes/loop_body.h"

#include <algorithm>

#include "libconvert/passes/conditions.h"

namespace mnn {
namespace {

// Operators that hand on a single element.
bool keeps_element(const std::string& op) {
  return op == "Cast" || op == "Reshape" || op == "Squeeze" || op == "Unsqueeze";
}

bool is_single(const Graph& graph, ValueId v) {
  const Type& type = graph.value(v).type;
  return type.shape && num_elements(*type.shape).is(1);
}

std::optional<int64_t> single_int(const Tensor* t) {
  if (t == nullptr || t->elements() != 1) return std::nullopt;
  const auto values = t->to_ints();
  return values.ok() && is_integer(t->dtype()) ? std::optional((*values)[0]) : std::nullopt;
}

// A comparison "count < limit" with its operands in this order.
struct Less {
  ValueId count = kNoValue, limit = kNoValue;
};
std::optional<Less> less_of(const Node& node) {
  if (node.op == "Less") return Less{node.inputs[0], node.inputs[1]};
  if (node.op == "Greater") return Less{node.inputs[1], node.inputs[0]};
  return std::nullopt;
}

// The parts of a condition that all have to hold; makers as `maker` finds them. False when there
// are more than a condition of a loop has.
bool conjuncts(ValueId v, const std::function<const Node*(ValueId)>& maker,
               std::vector<ValueId>& parts) {
  constexpr size_t kMost = 16;
  std::vector<ValueId> left = {v};
  size_t steps = 0;
  while (!left.empty()) {
    if (++steps > kMost) return false;
    const ValueId part = left.back();
    left.pop_back();
    const Node* node = maker(part);
    if (node != nullptr && node->op == "And") {
      left.insert(left.end(), node->inputs.begin(), node->inputs.end());
    } else if (node != nullptr && keeps_element(node->op)) {
      left.push_back(node->inputs[0]);
    } else {
      parts.push_back(part);
    }
  }
  return true;
}

std::vector<NodeId> makers_of(const Graph& graph) {
  std::vector<NodeId> makers(graph.values.size(), -1);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const ValueId v : graph.nodes[n].outputs) {
      if (v != kNoValue) makers[static_cast<size_t>(v)] = static_cast<NodeId>(n);
    }
  }
  return makers;
}

const Node* node_at(const Graph& graph, const std::vector<NodeId>& makers, ValueId v) {
  const NodeId n = v == kNoValue ? -1 : makers[static_cast<size_t>(v)];
  return n < 0 || !graph.node(n).fused.empty() ? nullptr : &graph.node(n);
}

}  // namespace

LoopBody::LoopBody(const Graph& around, const Node& node)
    : outer(around), loop(node), body(node.subgraphs[0]), makers_(makers_of(body)) {
  for (size_t k = 0; k < carried(); ++k) carried_[input(k)] = k;
  for (size_t i = 0; i < body.captures.size(); ++i) captured_[body.captures[i]] = loop.captures[i];
}

ValueId LoopBody::behind(ValueId v) const {
  // Each node of a body stands after what it reads, so this ends.
  for (const Node* n = node_at(body, makers_, v); n != nullptr && n->op == "Identity";
       n = node_at(body, makers_, v)) {
    v = n->inputs[0];
  }
  return v;
}

const Node* LoopBody::maker(ValueId v) const {
  return v == kNoValue ? nullptr : node_at(body, makers_, behind(v));
}

ValueId LoopBody::invariant(ValueId v) const {
  v = behind(v);
  const auto captured = captured_.find(v);
  if (captured != captured_.end()) return captured->second;
  const auto one = carried_.find(v);
  return one != carried_.end() && next(one->second) == v ? initial(one->second) : kNoValue;
}

std::optional<Tensor> LoopBody::constant(ValueId v, int depth) const {
  v = behind(v);
  if (v == kNoValue) return std::nullopt;
  if (const Tensor* t = body.constant(v)) return *t;
  const ValueId around = invariant(v);
  if (around != kNoValue) {
    const Tensor* t = outer.constant(around);
    return t == nullptr ? std::nullopt : std::optional(*t);
  }
  const auto known = computed_.find(v);
  if (known != computed_.end()) return known->second;
  return computed_[v] = compute(v, depth);
}

std::optional<Tensor> LoopBody::compute(ValueId v, int depth) const {
  constexpr int64_t kMostElements = int64_t{1} << 24;
  const Node* node = maker(v);
  if (depth == 0 || node == nullptr || !node->subgraphs.empty()) return std::nullopt;
  const Type& type = body.value(v).type;
  if (!type.is_static() || num_elements(*type.shape).value() > kMostElements) return std::nullopt;
  const OpDef* def = find_op(node->op);
  if (def == nullptr || !def->deterministic) return std::nullopt;
  std::vector<Tensor> inputs;
  for (const ValueId i : node->inputs) {
    std::optional<Tensor> t = i == kNoValue ? Tensor() : constant(i, depth - 1);
    if (!t) return std::nullopt;
    inputs.push_back(*std::move(t));
  }
  std::vector<const Tensor*> given;
  for (const Tensor& t : inputs) given.push_back(t.defined() ? &t : nullptr);
  const Result<std::vector<Tensor>> made = run_node(*node, given);
  if (!made.ok()) return std::nullopt;
  const auto at = std::ranges::find(node->outputs, v) - node->outputs.begin();
  return (*made)[static_cast<size_t>(at)];
}

std::optional<int64_t> LoopBody::count(ValueId v, int depth) const {
  constexpr int64_t kFarthest = int64_t{1} << 40;
  v = behind(v);
  if (v == body.inputs[0]) return 0;
  if (depth == 0 || v == kNoValue || !is_single(body, v)) return std::nullopt;
  const auto one = carried_.find(v);
  if (one != carried_.end()) {
    // Plus 1 a trip.
    const Node* step = maker(next(one->second));
    if (step == nullptr || step->op != "Add") return std::nullopt;
    const bool first = behind(step->inputs[0]) == v;
    if (!first && behind(step->inputs[1]) != v) return std::nullopt;
    const std::optional<Tensor> by = constant(step->inputs[first ? 1 : 0]);
    const auto from = single_int(outer.constant(initial(one->second)));
    if (!by || single_int(&*by) != 1 || !from || std::abs(*from) > kFarthest) return std::nullopt;
    return from;
  }
  const Node* node = maker(v);
  if (node == nullptr) return std::nullopt;
  if (keeps_element(node->op)) {
    if (!is_integer(body.value(v).type.dtype)) return std::nullopt;
    return count(node->inputs[0], depth - 1);
  }
  if (node->op != "Add") return std::nullopt;
  for (const size_t i : {0, 1}) {
    const std::optional<Tensor> by = constant(node->inputs[1 - i]);
    const auto more = by ? single_int(&*by) : std::nullopt;
    if (!more || std::abs(*more) > kFarthest) continue;
    const auto from = count(node->inputs[i], depth - 1);
    if (from) return *from + *more;
  }
  return std::nullopt;
}

std::vector<Dim> LoopBody::limits(const std::function<Dim(ValueId)>& dim_of) const {
  std::vector<Dim> found;
  const auto of_tensor = [](const std::optional<Tensor>& t) {
    const auto value = t ? single_int(&*t) : std::nullopt;
    return value ? Dim(*value) : Dim::unknown();
  };
  const auto is_true = [](const std::optional<Tensor>& t) {
    return t && t->dtype() == DType::kBool && t->elements() == 1 && t->data<bool>()[0];
  };
  if (loop.inputs[0] != kNoValue) {
    const Tensor* trips = outer.constant(loop.inputs[0]);
    found.push_back(trips != nullptr ? of_tensor(*trips) : dim_of(loop.inputs[0]));
    if (found.back().is_unknown()) return {};
  }
  std::vector<ValueId> parts;
  const auto inside = [&](ValueId v) { return maker(v); };
  if (!conjuncts(body.outputs[0], inside, parts)) return {};
  // Per condition inside: where its count starts before the first trip, and its limit around.
  std::vector<std::pair<int64_t, ValueId>> conditions;
  for (const ValueId part : parts) {
    if (is_true(constant(part)) || behind(part) == body.inputs[1]) continue;
    const Node* node = maker(part);
    const auto less = node == nullptr ? std::nullopt : less_of(*node);
    // It is asked at the end of a trip, of the count that the next one would have.
    const auto at = less ? count(less->count) : std::nullopt;
    if (!at) return {};
    const std::optional<Tensor> known = constant(less->limit);
    ValueId around = kNoValue;
    for (ValueId v = less->limit; around == kNoValue && v != kNoValue;) {
      around = invariant(v);
      const Node* view = maker(v);
      v = view != nullptr && keeps_element(view->op) ? view->inputs[0] : kNoValue;
    }
    const Dim limit = known                ? of_tensor(known)
                      : around != kNoValue ? dim_of(around)
                                           : Dim::unknown();
    if (limit.is_unknown()) return {};
    found.push_back(limit - Dim(*at - 1));
    if (!known) conditions.emplace_back(*at - 1, around);
  }
  // The first trip is made on the same conditions.
  if (loop.inputs[1] == kNoValue) return found;
  const std::vector<NodeId> makers = makers_of(outer);
  const auto outside = [&](ValueId v) { return node_at(outer, makers, v); };
  std::vector<ValueId> first;
  if (!conjuncts(loop.inputs[1], outside, first)) return {};
  const auto element = [&](ValueId v) {
    for (const Node* n = outside(v); n != nullptr && keeps_element(n->op); n = outside(v)) {
      v = n->inputs[0];
    }
    return v;
  };
  for (const ValueId part : first) {
    if (const Tensor* t = outer.constant(part)) {
      if (is_true(*t)) continue;
      return {};
    }
    const Node* node = outside(part);
    const auto less = node == nullptr ? std::nullopt : less_of(*node);
    const auto from = less ? single_int(outer.constant(less->count)) : std::nullopt;
    if (!from || !std::ranges::any_of(conditions, [&](const auto& c) {
          return c.first == *from && element(c.second) == element(less->limit);
        })) {
      return {};
    }
  }
  return found;
}

}  // namespace mnn
