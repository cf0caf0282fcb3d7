// What a matrix kernel can do while it stores its result moves into Node::fused:
//   [Add of a constant bias] [activation] [Add of a residual] [activation]
//   [activation] [Mul by a constant number] [Add of a constant number]
//   [any of these] [Mul by a positive constant per channel], where the result lies on a grid
// A bias only on MatMul, which has no input for one; without a residual one activation only. The
// second form is what is left of a learned affine map after an activation (on Conv only).
#include <algorithm>
#include <numeric>
#include <span>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"

namespace mnn {
namespace {

// What of the epilogue of a node is taken.
struct Epilogue {
  bool bias = false, before = false, residual = false, after = false;
  bool factor = false, offset = false;
};

Epilogue epilogue_of(const Graph& graph, const Node& node) {
  Epilogue e;
  for (const FusedOp& f : node.fused) {
    if (f.op != "Add" && f.op != "Mul") {
      (e.residual ? e.after : e.before) = true;
    } else if (graph.constant(node.inputs[static_cast<size_t>(f.operand())])) {
      (f.op == "Mul" ? e.factor : e.before ? e.offset : e.bias) = true;
    } else {
      e.residual = true;
    }
  }
  return e;
}

class EpilogueFuser {
 public:
  explicit EpilogueFuser(Graph& graph)
      : graph_(graph),
        uses_(index_uses(graph)),
        removed_(graph.nodes.size(), 0),
        place_(graph.nodes.size()) {
    std::iota(place_.begin(), place_.end(), size_t{0});
  }

  int run() {
    int fused = 0;
    for (size_t n = 0; n < place_.size(); ++n) {
      const auto id = static_cast<NodeId>(n);
      const Node& node = graph_.node(id);
      if (!node.subgraphs.empty() || !node.fused.empty() || node.outputs.empty()) continue;
      const bool done = fuse_number(id) || fuse_factors(id) ||
                        (node.op == "Add" ? fuse_add(id) : fuse_activation(id));
      if (!done) continue;
      removed_[n] = 1;
      ++fused;
    }
    if (fused > 0) compact();
    return fused;
  }

 private:
  // The linear node that makes `v` for nobody but one reader; -1 when there is none.
  NodeId private_linear(ValueId v) const {
    if (v == kNoValue || !is_tensor_of(graph_, v, DType::kF32)) return -1;
    const auto i = static_cast<size_t>(v);
    if (uses_.output_uses[i] > 0 || uses_.consumers[i].size() != 1) return -1;
    const NodeId p = uses_.producer[i];
    return p >= 0 && has_traits(graph_.node(p).op, kLinear) && !graph_.value(v).quant ? p : -1;
  }

  // `node` becomes a post-op of `linear` with these other inputs: its value gets a new maker.
  void absorb(NodeId linear, NodeId node, std::span<const ValueId> operands) {
    Node& l = graph_.node(linear);
    const Node& n = graph_.node(node);
    FusedOp f{n.op, n.attributes, {}};
    for (const ValueId v : operands) {
      f.operands.push_back(v == kNoValue ? -1 : static_cast<int>(l.inputs.size()));
      if (v != kNoValue) l.inputs.push_back(v);
    }
    l.fused.push_back(std::move(f));
    l.outputs[0] = n.outputs[0];
    uses_.producer[static_cast<size_t>(n.outputs[0])] = linear;
    if (!n.name.empty()) l.name = n.name;
    l.origin.insert(l.origin.end(), n.origin.begin(), n.origin.end());
    drop_repeats(l.origin);
  }

  bool fuse_activation(NodeId id) {
    const Node& node = graph_.node(id);
    const NodeId linear = private_linear(input_of(node, 0));
    if (linear < 0) return false;
    const Epilogue e = epilogue_of(graph_, graph_.node(linear));
    if ((e.residual ? e.after : e.before) || e.factor || e.offset) return false;
    if (!is_kernel_activation(graph_, node)) return false;
    absorb(linear, id, std::span(node.inputs).subspan(1));
    return true;
  }

  // A Mul or Add with one constant number after a convolution's activation.
  bool fuse_number(NodeId id) {
    const Node& node = graph_.node(id);
    if ((node.op != "Mul" && node.op != "Add") || node.inputs.size() != 2) return false;
    for (size_t i = 0; i < 2; ++i) {
      const ValueId value = node.inputs[i], other = node.inputs[1 - i];
      const NodeId linear = private_linear(value);
      const Tensor* number = graph_.constant(other);
      if (linear < 0 || number == nullptr || number->elements() != 1 ||
          number->dtype() != DType::kF32 || graph_.node(linear).op != "Conv" ||
          !same_type(graph_, value, node.outputs[0])) {
        continue;
      }
      const Epilogue e = epilogue_of(graph_, graph_.node(linear));
      if (!e.before || e.residual || e.offset || (node.op == "Mul" && e.factor)) continue;
      absorb(linear, id, {{other}});
      return true;
    }
    return false;
  }

  // A Mul with one number per channel that evens out the ranges before the result is rounded.
  bool fuse_factors(NodeId id) {
    const Node& node = graph_.node(id);
    if (node.op != "Mul" || node.inputs.size() != 2 || !graph_.value(node.outputs[0]).quant) {
      return false;
    }
    for (size_t i = 0; i < 2; ++i) {
      const ValueId value = node.inputs[i], other = node.inputs[1 - i];
      const NodeId linear = private_linear(value);
      if (linear < 0 || !are_factors(value, other, graph_.node(linear)) ||
          !same_type(graph_, value, node.outputs[0])) {
        continue;
      }
      const Epilogue e = epilogue_of(graph_, graph_.node(linear));
      if (e.factor || e.offset) continue;
      absorb(linear, id, {{other}});
      return true;
    }
    return false;
  }

  // Whether `other` is a constant of positive numbers, one per channel of the layer's result.
  bool are_factors(ValueId value, ValueId other, const Node& linear) const {
    const Tensor* t = graph_.constant(other);
    const Type& type = graph_.value(value).type;
    if (t == nullptr || t->dtype() != DType::kF32 || !type.shape || type.rank() < 2) return false;
    const size_t axis = has_traits(linear.op, kConvolves) ? 1 : type.rank() - 1;
    const size_t behind = type.rank() - axis;
    const Dim& channels = (*type.shape)[axis];
    if (!channels.known() || t->elements() != channels.value() || t->rank() < behind ||
        t->dims()[t->rank() - behind] != channels.value() || channels.value() < 2) {
      return false;
    }
    return std::ranges::all_of(t->span<float>(), [](float x) { return x > 0; });
  }

  bool fuse_add(NodeId id) {
    const ValueId a = graph_.node(id).inputs[0], b = graph_.node(id).inputs[1];
    const NodeId of_a = private_linear(a), of_b = private_linear(b);
    // The later of two has the other one's result at hand.
    if (of_b >= 0 && (of_a < 0 || place(of_b) > place(of_a))) {
      return fuse_operand(id, of_b, b, a) || (of_a >= 0 && fuse_operand(id, of_a, a, b));
    }
    return of_a >= 0 &&
           (fuse_operand(id, of_a, a, b) || (of_b >= 0 && fuse_operand(id, of_b, b, a)));
  }

  bool fuse_operand(NodeId id, NodeId linear, ValueId value, ValueId other) {
    const Epilogue e = epilogue_of(graph_, graph_.node(linear));
    if (graph_.constant(other)) {
      const std::optional<ValueId> bias = bias_of(linear, value, other);
      if (!bias || !graph_.node(linear).fused.empty()) return false;
      absorb(linear, id, {{*bias}});
      return true;
    }
    // The operand cannot depend on `linear`: nobody else reads that one's result.
    if (e.residual || e.factor || e.offset || !same_type(graph_, value, other) ||
        !same_type(graph_, value, graph_.node(id).outputs[0])) {
      return false;
    }
    absorb(linear, id, {{other}});
    const NodeId maker = uses_.producer[static_cast<size_t>(other)];
    if (maker >= 0 && place(maker) > place(linear)) place_[static_cast<size_t>(linear)] = place(id);
    return true;
  }

  // A constant added to a MatMul with constant weights, as a vector over its columns.
  std::optional<ValueId> bias_of(NodeId linear, ValueId value, ValueId other) {
    const Node& node = graph_.node(linear);
    const Tensor* weight = graph_.constant(node.inputs[1]);
    const Type& type = graph_.value(value).type;
    if (node.op != "MatMul" || !weight || weight->rank() < 2 || !type.shape) return std::nullopt;
    const int64_t columns = weight->dims().back();
    const auto bias = along_axis(graph_, other, type.rank(), type.rank() - 1, columns);
    if (!bias) return std::nullopt;
    if (graph_.value(other).type.rank() == 1 && graph_.constant(other)->elements() == columns) {
      return other;
    }
    const std::optional<Tensor> flat = to_f32(*bias, {columns});
    if (!flat) return std::nullopt;
    const ValueId made = graph_.add_constant(*flat);
    uses_.producer.push_back(-1);
    uses_.consumers.emplace_back();
    uses_.output_uses.push_back(0);
    return made;
  }

  size_t place(NodeId n) const { return place_[static_cast<size_t>(n)]; }

  void compact() {
    std::vector<size_t> order;
    for (size_t n = 0; n < place_.size(); ++n) {
      if (!removed_[n]) order.push_back(n);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return place_[a] < place_[b]; });
    std::vector<Node> nodes;
    nodes.reserve(order.size());
    for (const size_t n : order) nodes.push_back(std::move(graph_.nodes[n]));
    graph_.nodes = std::move(nodes);
  }

  Graph& graph_;
  Uses uses_;
  std::vector<char> removed_;
  std::vector<size_t> place_;
};

}  // namespace

Result<int> fuse_epilogues(Graph& graph) {
  int fused = 0;
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) {
      MNN_ASSIGN_OR_RETURN(const int inner, fuse_epilogues(g));
      fused += inner;
    }
  }
  return fused + EpilogueFuser(graph).run();
}

}  // namespace mnn
