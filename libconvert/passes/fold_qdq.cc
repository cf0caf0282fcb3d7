// QuantizeLinear, DequantizeLinear and packed weights become annotations of values: a network that
// was quantized elsewhere keeps its own scales and runs on integer kernels.
#include <algorithm>

#include "libconvert/passes/conditions.h"
#include "libconvert/passes/passes.h"
#include "libconvert/passes/quant_constants.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"

namespace mnn {
namespace {

// What Quantize- or DequantizeLinear with constant parameters means for a value of type `type`;
// nullopt when a parameter is computed or the encoding has no annotation. A zero point of zeros is
// left out, so that equal meanings compare equal.
std::optional<QuantParams> params_of(const Graph& graph, const Node& node, const Type& type,
                                     DType storage) {
  const Tensor* scale = graph.constant(node.inputs[1]);
  const ValueId zero_id = input_of(node, 2);
  const Tensor* zero = graph.constant(zero_id);
  if (scale == nullptr || (zero_id != kNoValue && zero == nullptr)) return std::nullopt;
  QuantParams p;
  p.storage = storage;
  p.scale = *scale;
  if (zero != nullptr) {
    const Result<std::vector<double>> values = zero->to_doubles();
    const bool all_zero =
        values.ok() && std::ranges::all_of(*values, [](double v) { return v == 0; });
    if (!all_zero) p.zero_point = *zero;
  }
  p.group = attr_int(node, "block_size");
  if (p.group == 0 && scale->elements() == 1) {
    p.scale = p.scale.reshaped({});
    if (p.zero_point.defined()) p.zero_point = p.zero_point.reshaped({});
  } else {
    if (!type.shape) return std::nullopt;
    const Result<size_t> axis = normalize_axis(attr_int(node, "axis"), type.rank());
    if (!axis.ok()) return std::nullopt;
    p.axis = static_cast<int>(*axis);
  }
  return check_quant(p, type).ok() ? std::optional(std::move(p)) : std::nullopt;
}

// Bytes with one scale for the whole tensor or one a channel: what an activation may be annotated
// with.
bool suits_activation(const QuantParams& p) {
  return (p.axis < 0 || p.axis == 1) && p.is_plain() &&
         (p.storage == DType::kU8 || p.storage == DType::kI8);
}

bool is_f32(const Graph& graph, ValueId v) { return is_tensor_of(graph, v, DType::kF32); }

// Whether the node hands on elements of its first input, moved, repeated or left out.
bool moves_first_input(const Node& node) {
  return has_traits(node.op, kMoves) && reads_first_only(node);
}

// Elements that are only moved about stay on their grid: what a view or a transpose makes of them
// has the same annotation, so that the operators behind it find it too.
int hand_on_grids(Graph& graph) {
  int changes = 0;
  for (const Node& node : graph.nodes) {
    if (!moves_first_input(node) || !node.fused.empty() || node.outputs.size() != 1) continue;
    if (graph.value(node.inputs[0]).kind == ValueKind::kConstant) continue;
    const std::optional<QuantParams>& grid = graph.value(node.inputs[0]).quant;
    Value& moved = graph.value(node.outputs[0]);
    if (!grid || grid->axis >= 0 || !suits_activation(*grid) || moved.quant ||
        moved.kind != ValueKind::kTemporary || graph.is_result(node.outputs[0]) ||
        !is_f32(graph, node.outputs[0])) {
      continue;
    }
    moved.quant = *grid;
    ++changes;
  }
  return changes;
}

class Folder {
 public:
  explicit Folder(Graph& graph)
      : graph_(graph), uses_(index_uses(graph)), same_as_(graph.values.size(), kNoValue) {}

  int run() {
    for (size_t n = 0; n < graph_.nodes.size(); ++n) fold_dequantize(static_cast<NodeId>(n));
    for (const Node& node : graph_.nodes) annotate_before(node);
    for (Node& node : graph_.nodes) {
      for (auto* list : {&node.inputs, &node.captures}) {
        for (ValueId& v : *list) v = resolve(v);
      }
    }
    std::erase_if(graph_.nodes, [](const Node& node) { return node.op.empty(); });
    return changes_;
  }

 private:
  ValueId resolve(ValueId v) const {
    while (v != kNoValue && static_cast<size_t>(v) < same_as_.size() &&
           same_as_[static_cast<size_t>(v)] != kNoValue) {
      v = same_as_[static_cast<size_t>(v)];
    }
    return v;
  }

  // Elements of a value that was quantized keep their order's owner: DequantizeLinear behind
  // operators that only move elements goes to their front.
  void move_up(Node& dequantize) {
    for (;;) {
      const ValueId q = dequantize.inputs[0];
      const NodeId p = uses_.producer[static_cast<size_t>(q)];
      if (p < 0 || uses_.consumers[static_cast<size_t>(q)].size() != 1 || graph_.is_result(q))
        return;
      Node& mover = graph_.node(p);
      if (!moves_first_input(mover) || !mover.fused.empty() || mover.outputs.size() != 1) return;
      const ValueId from = mover.inputs[0];
      // Who quantized it must be in sight, or nothing is won.
      const NodeId maker = uses_.producer[static_cast<size_t>(from)];
      const bool in_sight = graph_.value(from).kind != ValueKind::kTemporary ||
                            (maker >= 0 && (graph_.node(maker).op == "QuantizeLinear" ||
                                            moves_first_input(graph_.node(maker))));
      if (!in_sight) return;
      Type type = graph_.value(dequantize.outputs[0]).type;
      type.shape = graph_.value(from).type.shape;
      const ValueId real = graph_.add_temporary({}, type);
      same_as_.push_back(kNoValue);
      const NodeId self = static_cast<NodeId>(&dequantize - graph_.nodes.data());
      auto& readers = uses_.consumers[static_cast<size_t>(from)];
      std::replace(readers.begin(), readers.end(), p, self);
      uses_.producer.push_back(self);
      uses_.consumers.push_back({p});
      uses_.output_uses.push_back(0);
      uses_.producer[static_cast<size_t>(dequantize.outputs[0])] = p;
      mover.inputs[0] = real;
      mover.outputs[0] = dequantize.outputs[0];
      dequantize.inputs[0] = from;
      dequantize.outputs[0] = real;
      ++changes_;
    }
  }

  void fold_dequantize(NodeId n) {
    if (graph_.node(n).op != "DequantizeLinear" || !graph_.node(n).fused.empty()) return;
    if (attr_int(graph_.node(n), "block_size") == 0 && scale_is_one(graph_.node(n))) {
      move_up(graph_.node(n));
    }
    Node& node = graph_.node(n);
    const ValueId q = node.inputs[0], y = node.outputs[0];
    const Value& stored = graph_.value(q);
    if (stored.type.kind != Type::Kind::kTensor || graph_.value(y).quant) return;
    const auto p = params_of(
        graph_, node, graph_.value(y).type.shape ? graph_.value(y).type : real_type(stored.type),
        stored.type.dtype);
    if (!p) return;
    if (stored.kind == ValueKind::kConstant && !stored.quant) {
      become_constant(node, stored.data, *p);
      return;
    }
    if (!suits_activation(*p) || !is_f32(graph_, y)) return;
    const NodeId maker = uses_.producer[static_cast<size_t>(q)];
    if (maker >= 0 && graph_.node(maker).op == "QuantizeLinear") {
      fold_pair(n, maker, *p);
    } else if (!graph_.is_result(y)) {
      graph_.value(y).quant = *p;  // whatever made the codes: they lie on this grid
      ++changes_;
    }
  }

  bool scale_is_one(const Node& node) const {
    const Tensor* scale = graph_.constant(node.inputs[1]);
    return scale != nullptr && scale->elements() == 1;
  }

  static Type real_type(const Type& stored) {
    Type type = stored;
    type.dtype = DType::kF32;
    return type;
  }

  // The node's output becomes a quantized constant; one of 32 bits an ordinary one, for nothing is
  // smaller then.
  void become_constant(Node& node, const Tensor& codes, const QuantParams& p) {
    Value& y = graph_.value(node.outputs[0]);
    Value made = y;
    made.kind = ValueKind::kConstant;
    made.data = codes;
    made.quant = p;
    made.type.shape = to_shape(codes.dims());
    if (dtype_bits(p.storage) >= 32 || codes.elements() == 1) {
      Result<Tensor> real = constant_as_real(made);
      if (!real.ok()) return;
      made.data = *std::move(real);
      made.quant.reset();
    }
    y = std::move(made);
    drop(node);
  }

  void drop(Node& node) {
    node = {};
    ++changes_;
  }

  // x -> QuantizeLinear -> DequantizeLinear -> y: y is x on a grid.
  void fold_pair(NodeId n, NodeId maker, const QuantParams& p) {
    const Node& quantize = graph_.node(maker);
    const ValueId x = resolve(quantize.inputs[0]);
    Node& node = graph_.node(n);
    const ValueId y = node.outputs[0];
    const auto q = params_of(graph_, quantize, graph_.value(x).type, p.storage);
    if (!q || *q != p || !is_f32(graph_, x)) return;
    if (const Tensor* data = graph_.constant(x)) {
      const Result<Tensor> codes = quantize_tensor(*data, p);
      if (codes.ok()) become_constant(node, *codes, p);
      return;
    }
    const bool annotated = annotate(x, p);
    if (annotated && !graph_.is_result(y)) {
      same_as_[static_cast<size_t>(y)] = x;
      drop(node);
      return;
    }
    ValueId on_grid = x;
    if (!annotated) {
      // Others read x as it is: a copy goes onto the grid, one for all its readers.
      const auto known = copies_.find(maker);
      if (known != copies_.end() && !graph_.is_result(y)) {
        same_as_[static_cast<size_t>(y)] = known->second;
        drop(node);
        return;
      }
      if (!graph_.is_result(y)) {
        to_identity(node, x);
        graph_.value(y).quant = p;
        copies_.emplace(maker, y);
        return;
      }
      Node copy;
      copy.op = "Identity";
      copy.origin = node.origin;
      copy.inputs = {x};
      on_grid = graph_.add_temporary({}, graph_.value(x).type);
      same_as_.push_back(kNoValue);
      graph_.value(on_grid).quant = p;
      copy.outputs = {on_grid};
      to_identity(node, on_grid);
      graph_.add_node(std::move(copy));
      return;
    }
    to_identity(node, on_grid);
  }

  void to_identity(Node& node, ValueId x) {
    node.op = "Identity";
    node.inputs = {x};
    node.attributes.clear();
    ++changes_;
  }

  // Puts x itself on the grid when nobody reads it otherwise. True when it is on it.
  bool annotate(ValueId x, const QuantParams& p) {
    Value& value = graph_.value(x);
    if (value.quant) return *value.quant == p;
    const bool may = value.kind == ValueKind::kTemporary || value.kind == ValueKind::kInput;
    if (!may || graph_.is_result(x) || static_cast<size_t>(x) >= uses_.consumers.size())
      return false;
    for (const NodeId r : uses_.consumers[static_cast<size_t>(x)]) {
      const Node& reader = graph_.node(r);
      if (reader.op != "QuantizeLinear" || reader.inputs[0] != x) return false;
      const auto q =
          params_of(graph_, reader, value.type, graph_.value(reader.outputs[0]).type.dtype);
      if (!q || *q != p) return false;
    }
    value.quant = p;
    return true;
  }

  // What is only read to be quantized, by readers of the codes themselves.
  void annotate_before(const Node& node) {
    if (node.op != "QuantizeLinear" || !node.fused.empty()) return;
    const ValueId x = resolve(node.inputs[0]);
    if (!is_f32(graph_, x) || graph_.value(x).kind != ValueKind::kTemporary) return;
    const auto p =
        params_of(graph_, node, graph_.value(x).type, graph_.value(node.outputs[0]).type.dtype);
    if (p && suits_activation(*p) && !graph_.value(x).quant && annotate(x, *p)) ++changes_;
  }

  Graph& graph_;
  Uses uses_;
  std::vector<ValueId> same_as_;
  std::map<NodeId, ValueId> copies_;  // per QuantizeLinear: its input on the grid
  int changes_ = 0;
};

// x / c -> codes -> * c with one c a channel is a scale per channel, as mnn export writes it.
bool is_channel_grid(const Match& m) {
  const Tensor *c = m.constant("c"), *again = m.constant("again");
  const Tensor *zero = m.constant("zero"), *back_zero = m.constant("back_zero");
  const Type& type = m.type("x");
  const Node &q = m.node("quantize"), &dq = m.node("dequantize");
  if (!type.shape || !identical(*c, *again) || !identical(*zero, *back_zero) ||
      c->dtype() != DType::kF32 || c->rank() == 0 || c->rank() > type.rank() ||
      c->dims()[0] != c->elements() || zero->dims() != std::vector<int64_t>{c->elements()} ||
      !is_filled_with(m.graph, m.at("ones"), 1) || !is_filled_with(m.graph, m.at("back_ones"), 1)) {
    return false;
  }
  const auto axis = static_cast<int64_t>(type.rank() - c->rank());
  const auto on_axis = [&](const Node& node) {
    const Result<size_t> at = normalize_axis(attr_int(node, "axis"), type.rank());
    return at.ok() && static_cast<int64_t>(*at) == axis && attr_int(node, "block_size") == 0;
  };
  return on_axis(q) && on_axis(dq);
}

ValueId to_channel_grid(Builder& b, const Match& m) {
  const Tensor c = *m.constant("c");
  const Builder::Attributes axis = {{"axis", static_cast<int64_t>(m.type("x").rank() - c.rank())}};
  const ValueId zero = m.at("zero"), scale = b.constant(c.reshaped({c.elements()}));
  const ValueId codes = b.op("QuantizeLinear", {m.at("x"), scale, zero}, axis);
  return b.op("DequantizeLinear", {codes, scale, zero}, axis);
}

const std::vector<Rule>& rules() {
  static const std::vector<Rule> all = {
      {"PackedWeights",
       with_any_inputs("MatMulNBits"),
       [](Builder& b, const Match& m) { return unpack_matmul_n_bits(b, m.root_node()); },
       {}},
      {"ChannelGrid",
       op("Mul", {op("DequantizeLinear",
                     {op("QuantizeLinear",
                         {op("Div", {any("x"), constant("c")}), constant("ones"), constant("zero")},
                         "quantize"),
                      constant("back_ones"), constant("back_zero")},
                     "dequantize"),
                  constant("again")}),
       to_channel_grid, is_channel_grid},
  };
  return all;
}

}  // namespace

Result<int> fold_qdq(Graph& graph) {
  MNN_ASSIGN_OR_RETURN(int changes, apply_counted(graph, rules()));
  const auto walk = [&](const auto& self, Graph& g) -> Status {
    for (Node& node : g.nodes) {
      for (Graph& inner : node.subgraphs) MNN_RETURN_IF_ERROR(self(self, inner));
    }
    const int folded = Folder(g).run();
    changes += folded;
    if (folded > 0) MNN_RETURN_IF_ERROR(sort_nodes(g));
    changes += hand_on_grids(g);
    MNN_ASSIGN_OR_RETURN(const int moved, move_quantized_constants(g));
    changes += moved;
    return {};
  };
  MNN_RETURN_IF_ERROR(walk(walk, graph));
  return changes;
}

}  // namespace mnn
