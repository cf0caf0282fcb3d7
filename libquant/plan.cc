#include "libquant/plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>

#include "libruntime/compile/registry.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

bool is_float_activation(const Graph& g, ValueId v) {
  if (v == kNoValue) return false;
  const Value& value = g.value(v);
  return value.kind != ValueKind::kConstant && value.kind != ValueKind::kState && !value.quant &&
         value.type.kind == Type::Kind::kTensor && value.type.dtype == DType::kF32;
}

const Tensor* float_constant(const Graph& g, const Node& n, size_t i) {
  if (i >= n.own_inputs()) return nullptr;
  const Tensor* t = g.constant(n.inputs[i]);
  return t && t->dtype() == DType::kF32 ? t : nullptr;
}

// Fills `layer` when the node has an int8 kernel.
bool as_layer(const Graph& g, NodeId id, QuantLayer& layer) {
  const Node& n = g.node(id);
  if (!has_traits(n.op, kLinear)) return false;
  const bool transposed = n.op == "ConvTranspose", conv = n.op == "Conv" || transposed;
  if (n.own_inputs() < 2 || !is_float_activation(g, n.inputs[0])) return false;
  if (n.outputs[0] == kNoValue) return false;
  const AttributeReader attributes(n, *find_op(n.op));
  // The correction of biases takes these as they are.
  if (n.op == "Gemm" &&
      (attributes.attr_int("transA") != 0 || attributes.attr_float("beta") != 1.0)) {
    return false;
  }
  const Backend& backend = quantization_backend();
  layer = {id, n.inputs[0], kNoValue, kNoValue, n.outputs[0], 0, kNoValue};
  if (!conv && is_float_activation(g, n.inputs[1])) {
    layer.second = n.inputs[1];
    return !backend.why_not_form(g, n, ComputeForm::kU8xU8);
  }
  const Tensor* weight = float_constant(g, n, 1);
  if (weight == nullptr || weight->elements() == 0) return false;
  if (backend.why_not_form(g, n, ComputeForm::kU8xS8)) return false;
  layer.weight = n.inputs[1];
  if (conv) {
    layer.weight_axis = transposed ? 1 : 0;
  } else if (n.op == "MatMul") {
    layer.weight_axis = 1;
    return true;
  } else {
    layer.weight_axis = attributes.attr_int("transB") != 0 ? 0 : 1;
  }
  if (n.own_inputs() > 2 && n.inputs[2] != kNoValue) {
    if (float_constant(g, n, 2) == nullptr) return false;
    layer.bias = n.inputs[2];
  }
  return true;
}

// Operators whose outputs hold elements of their first input and nothing else, or averages of them
// that stay inside its range.
bool keeps_grid(const Node& n) {
  if (!n.fused.empty()) return false;
  if (n.op == "Resize") return AttributeReader(n, *find_op(n.op)).attr_string("mode") != "cubic";
  return (has_traits(n.op, kMoves) || has_traits(n.op, kExtreme)) && reads_first_only(n);
}

bool is_concat(const Node& n) { return n.op == "Concat" && n.fused.empty(); }

// Whether `node` averages exactly the axes of space of an image.
bool averages_space(const Graph& g, const Node& n) {
  const Type& x = g.value(n.inputs[0]).type;
  if (!x.shape || x.rank() < 3) return false;
  if (n.op == "GlobalAveragePool") return true;
  if (n.op != "ReduceMean" || n.own_inputs() < 2 || n.inputs[1] == kNoValue) return false;
  const Tensor* t = g.constant(n.inputs[1]);
  if (t == nullptr) return false;
  const Result<std::vector<int64_t>> axes = t->to_ints();
  if (!axes.ok()) return false;
  std::set<int64_t> gone;
  const auto rank = static_cast<int64_t>(x.rank());
  for (const int64_t a : *axes) gone.insert(a < 0 ? a + rank : a);
  return static_cast<int64_t>(gone.size()) == rank - 2 && *gone.begin() == 2;
}

// One number per channel of an image.
bool is_gate(const Type& t) {
  if (!t.shape || t.rank() < 3) return false;
  return std::all_of(t.shape->begin() + 2, t.shape->end(), [](const Dim& d) { return d.is(1); });
}

// Computed element by element, so that chains of them need no memory in between, and of slopes that
// make no more of the rounding of what they read.
bool is_elementwise(const Node& n) {
  return has_traits(n.op, kActivation) || has_traits(n.op, kPerChannel) || n.op == "Add" ||
         n.op == "Mul";
}

// The inputs that an operator with a kernel for bytes reads as such; none: it has no such kernel.
std::vector<ValueId> byte_inputs(const Graph& g, const Node& n) {
  if (n.inputs.empty() || n.inputs[0] == kNoValue || !n.fused.empty()) return {};
  if (n.op == "AveragePool" || averages_space(g, n)) return {n.inputs[0]};
  if (!is_elementwise(n)) return {};
  if (n.op != "Add" && n.op != "Mul") return {n.inputs[0]};
  const ValueId a = n.inputs[0], b = n.inputs[1];
  if (!is_float_activation(g, a) || !is_float_activation(g, b)) return {};
  const Type &ta = g.value(a).type, &tb = g.value(b).type;
  if (!ta.shape || !tb.shape || ta.rank() != tb.rank()) return {};
  if (n.op == "Add")
    return same_shape(*ta.shape, *tb.shape) ? std::vector{a, b} : std::vector<ValueId>{};
  if (is_gate(ta) != is_gate(tb)) return {is_gate(ta) ? b : a};
  return {};
}

// Values that could be bytes because operators with kernels for bytes read them, though no layer
// does. Visited backwards, so that all readers of a value are known when it is its turn.
class Between {
 public:
  Between(const Graph& graph, const std::set<NodeId>& layers, const std::vector<char>& wanted)
      : graph_(graph),
        uses_(index_uses(graph)),
        layers_(layers),
        wanted_(wanted),
        asked_(graph.values.size(), 0),
        inside_(graph.values.size(), 0) {}

  // Whether the first output of `id` lies between layers.
  bool visit(NodeId id) {
    const Node& node = graph_.node(id);
    const auto out = static_cast<size_t>(node.outputs[0]);
    const std::vector<ValueId> reads = byte_inputs(graph_, node);
    bool found = false;
    if (!wanted_[out] && asked_[out] && node.outputs.size() == 1) {
      const std::vector<NodeId>& readers = uses_.consumers[out];
      if (is_elementwise(node) && !reads.empty() && readers.size() == 1 && joins(readers[0])) {
        // Computed where it is read, never stored.
        inside_[out] = 1;
      } else {
        const bool makes_bytes =
            layers_.count(id) > 0 || !reads.empty() || keeps_grid(node) || is_concat(node);
        found = makes_bytes && std::all_of(readers.begin(), readers.end(), [&](NodeId r) {
                  return reads_bytes(r, static_cast<ValueId>(out));
                });
      }
    }
    if (found || wanted_[out] || inside_[out])
      for (const ValueId v : reads) asked_[static_cast<size_t>(v)] = 1;
    return found;
  }

 private:
  bool joins(NodeId id) const {
    const Node& n = graph_.node(id);
    return is_elementwise(n) && !byte_inputs(graph_, n).empty();
  }

  bool reads_bytes(NodeId id, ValueId v) const {
    if (layers_.count(id) > 0) return true;
    const Node& n = graph_.node(id);
    const std::vector<ValueId> reads = byte_inputs(graph_, n);
    const bool found = std::find(reads.begin(), reads.end(), v) != reads.end();
    if (found && !is_elementwise(n)) return true;
    const auto out = static_cast<size_t>(n.outputs[0]);
    return (wanted_[out] || inside_[out]) && (found || keeps_grid(n) || is_concat(n));
  }

  const Graph& graph_;
  const Uses uses_;
  const std::set<NodeId>& layers_;
  const std::vector<char>& wanted_;
  std::vector<char> asked_;   // by an operator that makes bytes
  std::vector<char> inside_;  // made by an operator inside the expression of another
};

class Groups {
 public:
  explicit Groups(size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), 0); }
  size_t find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(ValueId a, ValueId b) {
    const size_t x = find(static_cast<size_t>(a)), y = find(static_cast<size_t>(b));
    parent_[std::max(x, y)] = std::min(x, y);
  }

 private:
  std::vector<size_t> parent_;
};

}  // namespace

QuantParams activation_params(double low, double high) {
  low = std::min(low, 0.0);
  high = std::max(high, 0.0);
  const double width = high - low;
  // A tensor that is always zero still needs a scale; any will do.
  const float scale = width > 1e-30 ? static_cast<float>(width / 255.0) : 1.0f;
  return tensor_quant(DType::kU8, scale,
                      static_cast<int32_t>(std::clamp(std::nearbyint(-low / scale), 0.0, 255.0)));
}

const Backend& quantization_backend() {
  static const std::unique_ptr<Backend> cpu = std::move(open_backend("cpu")).value();
  return *cpu;
}

QuantPlan plan_quantization(const Graph& graph, const std::set<NodeId>& float_nodes,
                            const std::set<ValueId>& float_values) {
  QuantPlan plan;
  plan.float_nodes = float_nodes;
  plan.float_values = float_values;
  std::vector<char> wanted(graph.values.size(), 0);
  Groups groups(graph.values.size());
  std::set<NodeId> layers;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    QuantLayer layer;
    const auto id = static_cast<NodeId>(n);
    if (float_nodes.count(id) > 0 || !as_layer(graph, id, layer)) continue;
    plan.layers.push_back(layer);
    layers.insert(id);
    wanted[static_cast<size_t>(layer.input)] = 1;
    if (!layer.has_weight()) wanted[static_cast<size_t>(layer.second)] = 1;
  }
  auto can_store = [&](ValueId v) { return is_float_activation(graph, v) && !graph.is_result(v); };
  Between between(graph, layers, wanted);
  // Backwards: what only moves into a u8 value is u8 already, and on the same grid.
  for (size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    const ValueId out = node.outputs.empty() ? kNoValue : node.outputs[0];
    if (out == kNoValue) continue;
    const bool may = wanted[static_cast<size_t>(out)] || float_values.count(out) == 0;
    if (may && can_store(out) && between.visit(static_cast<NodeId>(n))) {
      plan.between.push_back(out);
      wanted[static_cast<size_t>(out)] = 1;
    }
    if (!wanted[static_cast<size_t>(out)]) continue;
    if (!is_concat(node) && !keeps_grid(node)) continue;
    const size_t inputs = is_concat(node) ? node.inputs.size() : 1;
    const bool all = std::all_of(node.inputs.begin(),
                                 node.inputs.begin() + static_cast<long>(inputs), can_store);
    if (!all) continue;
    for (size_t i = 0; i < inputs; ++i) {
      wanted[static_cast<size_t>(node.inputs[i])] = 1;
      groups.join(node.inputs[i], out);
    }
  }
  std::sort(plan.between.begin(), plan.between.end());
  // Forwards: what only moves out of a u8 value loses nothing by staying u8.
  for (const Node& node : graph.nodes) {
    if (!keeps_grid(node) || node.inputs.empty() || node.inputs[0] == kNoValue) continue;
    if (!wanted[static_cast<size_t>(node.inputs[0])]) continue;
    for (const ValueId out : node.outputs) {
      if (out == kNoValue || !can_store(out)) continue;
      wanted[static_cast<size_t>(out)] = 1;
      groups.join(node.inputs[0], out);
    }
  }
  std::vector<int> number(graph.values.size(), -1);
  for (size_t v = 0; v < graph.values.size(); ++v) {
    if (!wanted[v]) continue;
    int& id = number[groups.find(v)];
    if (id < 0) id = plan.groups++;
    plan.values.push_back(static_cast<ValueId>(v));
    plan.group.push_back(id);
  }
  return plan;
}

}  // namespace mnn
