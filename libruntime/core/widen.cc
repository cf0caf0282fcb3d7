// Computing in f32 what is declared as 16-bit floats.
#include <algorithm>
#include <utility>

#include "libruntime/core/half.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

bool is_half_tensor(const Type& type) {
  return type.kind == Type::Kind::kTensor && is_half(type.dtype);
}

bool any_value(const Graph& graph, bool (*condition)(const Type&)) {
  if (std::ranges::any_of(graph.values, [&](const Value& v) { return condition(v.type); }))
    return true;
  return std::ranges::any_of(graph.nodes, [&](const Node& node) {
    return std::ranges::any_of(node.subgraphs,
                               [&](const Graph& g) { return any_value(g, condition); });
  });
}

bool is_half_collection(const Type& type) {
  return type.kind != Type::Kind::kTensor && is_half(type.dtype);
}

// Rewrites one graph. Every value declared as a 16-bit float has up to two forms: a wide one, which
// operators read and make, and the declared one, for the border and for what cannot do otherwise.
class Widener {
 public:
  Widener(Graph& graph, bool top) : graph_(graph), top_(top) {
    const size_t count = graph.values.size();
    declared_.assign(count, DType::kUndefined);
    wide_.assign(count, kNoValue);
    narrow_.assign(count, kNoValue);
    same_.assign(count, kNoValue);
    rounded_.assign(count, 0);
    output_.assign(count, 0);
    for (const ValueId v : graph.results()) output_[at(v)] = 1;
    for (size_t v = 0; v < count; ++v) {
      Value& value = graph.values[v];
      if (!is_half_tensor(value.type)) continue;
      declared_[v] = value.type.dtype;
      if (value.kind == ValueKind::kTemporary) continue;
      if (!top && value.kind == ValueKind::kInput) {
        value.type.dtype = DType::kF32;
        wide_[v] = static_cast<ValueId>(v);
      } else {
        narrow_[v] = static_cast<ValueId>(v);
      }
    }
  }

  Status run() {
    std::vector<Node> nodes = std::move(graph_.nodes);
    graph_.nodes.clear();
    for (Node& node : nodes) MNN_RETURN_IF_ERROR(take(std::move(node)));
    if (top_) {
      for (const ValueId v : graph_.results()) {
        if (is_declared_half(v)) MNN_RETURN_IF_ERROR(narrow(v).status());
      }
      return {};
    }
    for (ValueId& v : graph_.outputs) {
      MNN_ASSIGN_OR_RETURN(v, read(v));
    }
    return {};
  }

 private:
  static size_t at(ValueId v) { return static_cast<size_t>(v); }
  bool is_declared_half(ValueId v) const { return declared_[at(v)] != DType::kUndefined; }

  // What an operator that computes in f32 reads in place of `v`.
  Result<ValueId> read(ValueId v) {
    if (v == kNoValue) return v;
    if (is_declared_half(v)) return wide(v);
    return same_[at(v)] == kNoValue ? v : same_[at(v)];
  }
  // What an operator that wants the declared types reads.
  Result<ValueId> read_declared(ValueId v) {
    if (v == kNoValue || !is_declared_half(v)) return read(v);
    return narrow(v);
  }

  void add_cast(ValueId from, ValueId to, DType type, const Node* origin = nullptr) {
    Node cast;
    cast.op = "Cast";
    cast.attributes["to"] = static_cast<int64_t>(type);
    cast.inputs = {from};
    cast.outputs = {to};
    if (origin != nullptr) cast.origin = {display_name(graph_, *origin)};
    graph_.add_node(std::move(cast));
  }

  Result<ValueId> wide(ValueId v) {
    ValueId& w = wide_[at(v)];
    if (w != kNoValue) return w;
    Value value = graph_.value(v);
    value.type.dtype = DType::kF32;
    if (value.kind == ValueKind::kConstant) {
      if (!value.quant) {
        MNN_ASSIGN_OR_RETURN(value.data, convert_floats(value.data, DType::kF32));
      }
      return w = graph_.add_value(std::move(value));
    }
    w = graph_.add_temporary({}, std::move(value.type));
    add_cast(narrow_[at(v)], w, DType::kF32);
    return w;
  }

  Result<ValueId> narrow(ValueId v) {
    ValueId& n = narrow_[at(v)];
    if (n != kNoValue) return n;
    Type type = graph_.value(v).type;
    type.dtype = declared_[at(v)];
    n = top_ && output_[at(v)] ? v : graph_.add_temporary({}, std::move(type));
    add_cast(wide_[at(v)], n, declared_[at(v)]);
    return n;
  }

  Status take(Node node) {
    auto half = [&](ValueId v) { return v != kNoValue && is_declared_half(v); };
    const bool touched = std::ranges::any_of(node.inputs, half) ||
                         std::ranges::any_of(node.outputs, half) ||
                         std::ranges::any_of(node.captures, half);
    const bool inside = std::ranges::any_of(
        node.subgraphs, [](const Graph& g) { return any_value(g, is_half_tensor); });
    if (!touched && !inside) return keep(std::move(node));
    if (!node.subgraphs.empty()) {
      return handles_collections(node) ? keep(std::move(node)) : take_control(std::move(node));
    }
    if (node.op == "Cast" && node.inputs.size() == 1 && node.outputs.size() == 1) {
      if (is_declared_half(node.outputs[0])) return take_cast_to_half(std::move(node));
      return take_cast_from_half(std::move(node));
    }
    MNN_ASSIGN_OR_RETURN(const bool can, can_widen(node));
    return can ? widen_node(std::move(node)) : keep(std::move(node));
  }

  // The node as it is, with everything it reads and makes of the declared type.
  Status keep(Node node) {
    for (auto* list : {&node.inputs, &node.captures}) {
      for (ValueId& v : *list) {
        MNN_ASSIGN_OR_RETURN(v, read_declared(v));
      }
    }
    for (const ValueId v : node.outputs) {
      if (v != kNoValue && is_declared_half(v)) narrow_[at(v)] = v;
    }
    graph_.add_node(std::move(node));
    return {};
  }

  // Whether the operator makes f32 of f32 where it makes 16-bit floats of such.
  Result<bool> can_widen(const Node& node) {
    Node trial = node;
    for (ValueId& v : trial.inputs) {
      MNN_ASSIGN_OR_RETURN(v, read(v));
    }
    const auto made = infer_node(graph_, trial);
    if (!made.ok() || made->size() != node.outputs.size()) return false;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId v = node.outputs[i];
      if (v == kNoValue) continue;
      const Type &type = (*made)[i].type, &old = graph_.value(v).type;
      const DType wanted = is_declared_half(v) ? DType::kF32 : old.dtype;
      if (type.kind != old.kind || type.dtype != wanted) return false;
    }
    return true;
  }

  Status widen_node(Node node) {
    for (auto* list : {&node.inputs, &node.captures}) {
      for (ValueId& v : *list) {
        MNN_ASSIGN_OR_RETURN(v, read(v));
      }
    }
    // A narrower type for inner steps than the node computes in.
    const auto inner = node.attributes.find("softmax_precision");
    if (inner != node.attributes.end()) {
      const auto* type = std::get_if<int64_t>(&inner->second);
      if (type != nullptr && is_half(static_cast<DType>(*type)))
        inner->second = static_cast<int64_t>(DType::kF32);
    }
    for (ValueId& v : node.outputs) {
      if (v == kNoValue || !is_declared_half(v)) continue;
      const ValueId declared = v;
      if (top_ && output_[at(v)]) {
        Type type = graph_.value(v).type;
        type.dtype = DType::kF32;
        v = graph_.add_temporary({}, std::move(type));
        std::swap(graph_.value(v).quant, graph_.value(declared).quant);
      } else {
        graph_.value(v).type.dtype = DType::kF32;
      }
      wide_[at(declared)] = v;
    }
    graph_.add_node(std::move(node));
    return {};
  }

  bool handles_collections(const Node& node) const {
    auto collection = [&](ValueId v) {
      return v != kNoValue && is_half_collection(graph_.value(v).type);
    };
    return std::ranges::any_of(node.inputs, collection) ||
           std::ranges::any_of(node.outputs, collection) ||
           std::ranges::any_of(node.captures, collection) ||
           std::ranges::any_of(node.subgraphs,
                               [](const Graph& g) { return any_value(g, is_half_collection); });
  }

  Status take_control(Node node) {
    for (Graph& g : node.subgraphs) MNN_RETURN_IF_ERROR(Widener(g, false).run());
    return widen_node(std::move(node));
  }

  // A 16-bit type is a way to store: what reads it computes with what was to be stored.
  Status take_cast_to_half(Node node) {
    const ValueId from = node.inputs[0], to = node.outputs[0];
    const Type& type = graph_.value(from).type;
    const bool half = is_declared_half(from);
    if (type.kind != Type::Kind::kTensor || !is_plain(type.dtype) || graph_.value(to).quant)
      return keep(std::move(node));
    if (half || type.dtype == DType::kF32) {
      MNN_ASSIGN_OR_RETURN(wide_[at(to)], read(from));
    } else {
      Type f32 = graph_.value(to).type;
      f32.dtype = DType::kF32;
      wide_[at(to)] = graph_.add_temporary({}, std::move(f32));
      MNN_ASSIGN_OR_RETURN(const ValueId x, read(from));
      add_cast(x, wide_[at(to)], DType::kF32, &node);
    }
    rounded_[at(to)] = !half;
    narrow_[at(to)] = to;
    MNN_ASSIGN_OR_RETURN(node.inputs[0], read(from));
    graph_.add_node(std::move(node));
    return {};
  }

  // Two Casts of the source that follow each other are there to round.
  Status take_cast_from_half(Node node) {
    const ValueId from = node.inputs[0], to = node.outputs[0];
    const DType type = graph_.value(to).type.dtype;
    if (rounded_[at(from)] || !is_plain(type)) return keep(std::move(node));
    MNN_ASSIGN_OR_RETURN(node.inputs[0], wide(from));
    if (type == DType::kF32 && !(top_ && output_[at(to)]) && !graph_.value(to).quant) {
      same_[at(to)] = node.inputs[0];
      return {};
    }
    graph_.add_node(std::move(node));
    return {};
  }

  static bool is_plain(DType type) {
    return dispatch_plain(type, []<typename T>() {});
  }

  Graph& graph_;
  const bool top_;
  // By ids of the values that were there at the start.
  std::vector<DType> declared_;  // the 16-bit type; kUndefined for other values
  std::vector<ValueId> wide_, narrow_;
  std::vector<ValueId> same_;  // of an f32 value: what it is a no-op Cast of
  std::vector<char> rounded_;  // made by a Cast from a wider type
  std::vector<char> output_;
};

// A constant times factors that have its rank, and an extent of 1 where they repeat.
bool is_constant_product(const Graph& graph, const Node& node) {
  if (node.op != "Mul" || node.inputs.size() != 2 || !node.fused.empty() ||
      node.outputs.size() != 1 || node.outputs[0] == kNoValue ||
      graph.value(node.outputs[0]).quant) {
    return false;
  }
  const auto constant = [&](size_t i) {
    return node.inputs[i] == kNoValue ? nullptr : graph.constant(node.inputs[i]);
  };
  const Tensor *x = constant(0), *factors = constant(1);
  return x != nullptr && factors != nullptr && x->dtype() == DType::kF32 &&
         factors->dtype() == DType::kF32 &&
         std::ranges::equal(x->dims(), factors->dims(),
                            [](int64_t d, int64_t f) { return f == d || f == 1; });
}

}  // namespace

Status widen_constants(Graph& graph, WideConstants form) {
  constexpr int64_t kLarge = 1 << 16;  // elements
  std::vector<Node> left;
  left.reserve(graph.nodes.size());
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) MNN_RETURN_IF_ERROR(widen_constants(g, form));
    const bool product = is_constant_product(graph, node);
    if ((!product && !is_widening(graph, node)) || graph.is_result(node.outputs[0])) {
      left.push_back(std::move(node));
      continue;
    }
    const Tensor* stored = graph.constant(node.inputs[0]);
    const bool as_stored =
        form == WideConstants::kStored && !product && stored->elements() >= kLarge;
    Tensor data;
    if (as_stored) {
      data = *stored;
    } else if (product) {
      const Tensor* const in[] = {stored, graph.constant(node.inputs[1])};
      auto made = run_node(node, in);
      if (!made.ok()) return made.status().context("node " + display_name(graph, node));
      data = std::move((*made)[0]);
    } else {
      MNN_ASSIGN_OR_RETURN(data, convert_floats(*stored, DType::kF32));
    }
    Value& value = graph.value(node.outputs[0]);
    value.kind = ValueKind::kConstant;
    value.type = tensor_type(DType::kF32, to_shape(data.dims()));
    if (value.name.empty()) value.name = graph.value(node.inputs[0]).name;
    if (as_stored) {
      value.quant.emplace();
      value.quant->storage = data.dtype();
      value.quant->scale = Tensor::scalar(1.0f);
    }
    value.data = std::move(data);
  }
  const bool changed = left.size() != graph.nodes.size();
  graph.nodes = std::move(left);
  if (changed) remove_dead(graph);
  return {};
}

Status widen(Graph& graph, WideConstants form) {
  MNN_RETURN_IF_ERROR(widen_constants(graph, form));
  if (!any_value(graph, is_half_tensor)) return {};
  // Types that were never inferred tell nothing of what is made; and a graph that contradicts
  // itself is left as it is, for whoever runs it to say so.
  Graph wide = graph;
  if (!infer_types(wide).ok()) return {};
  MNN_RETURN_IF_ERROR(Widener(wide, true).run());
  remove_dead(wide);
  if (!infer_types(wide).ok() || !verify(wide).ok()) return {};
  graph = std::move(wide);
  return {};
}

HalfBorder widen_border(Graph& graph) {
  HalfBorder border;
  border.inputs.assign(graph.inputs.size(), DType::kUndefined);
  border.outputs.assign(graph.outputs.size(), DType::kUndefined);
  const Uses uses = index_uses(graph);
  std::vector<char> dropped(graph.nodes.size(), 0);
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const ValueId v = graph.inputs[i];
    const std::vector<NodeId>& readers = uses.consumers[static_cast<size_t>(v)];
    const bool taken_in = std::ranges::all_of(readers, [&](NodeId n) {
      const Node& cast = graph.node(n);
      return is_storage_cast(graph, cast) && !graph.is_result(cast.outputs[0]) &&
             !graph.value(cast.outputs[0]).quant;
    });
    if (!is_half_tensor(graph.value(v).type) || graph.is_result(v) || !taken_in) continue;
    for (const NodeId n : readers) {
      replace_uses(graph, graph.node(n).outputs[0], v);
      dropped[static_cast<size_t>(n)] = 1;
    }
    border.inputs[i] = std::exchange(graph.value(v).type.dtype, DType::kF32);
  }
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    const ValueId v = graph.outputs[i];
    const NodeId cast = uses.producer[static_cast<size_t>(v)];
    if (cast < 0 || !is_half_tensor(graph.value(v).type) ||
        !uses.consumers[static_cast<size_t>(v)].empty() ||
        uses.output_uses[static_cast<size_t>(v)] != 1 ||
        !is_storage_cast(graph, graph.node(cast))) {
      continue;
    }
    const ValueId wide = graph.node(cast).inputs[0];
    const NodeId maker = uses.producer[static_cast<size_t>(wide)];
    if (maker < 0 || graph.is_result(wide) || dropped[static_cast<size_t>(maker)]) continue;
    std::ranges::replace(graph.node(maker).outputs, wide, v);
    replace_uses(graph, wide, v);
    dropped[static_cast<size_t>(cast)] = 1;
    border.outputs[i] = std::exchange(graph.value(v).type.dtype, DType::kF32);
  }
  std::vector<Node> left;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!dropped[n]) left.push_back(std::move(graph.nodes[n]));
  }
  graph.nodes = std::move(left);
  remove_dead(graph);
  return border;
}

void narrow_border(Graph& graph, const HalfBorder& border) {
  auto cast = [](ValueId from, ValueId to, DType type) {
    Node node;
    node.op = "Cast";
    node.attributes["to"] = static_cast<int64_t>(type);
    node.inputs = {from};
    node.outputs = {to};
    return node;
  };
  // A value of the same name that stands for `v` at the border.
  auto declared = [&](ValueId v, DType dtype, ValueKind kind) {
    Value value;
    value.name = std::exchange(graph.value(v).name, {});
    value.type = graph.value(v).type;
    value.type.dtype = dtype;
    value.kind = kind;
    return graph.add_value(std::move(value));
  };
  std::vector<Node> first;
  for (size_t i = 0; i < border.inputs.size(); ++i) {
    if (border.inputs[i] == DType::kUndefined) continue;
    const ValueId v = graph.inputs[i];
    graph.value(v).kind = ValueKind::kTemporary;
    graph.inputs[i] = declared(v, border.inputs[i], ValueKind::kInput);
    first.push_back(cast(graph.inputs[i], v, DType::kF32));
  }
  graph.nodes.insert(graph.nodes.begin(), std::make_move_iterator(first.begin()),
                     std::make_move_iterator(first.end()));
  for (size_t i = 0; i < border.outputs.size(); ++i) {
    if (border.outputs[i] == DType::kUndefined) continue;
    const ValueId v = graph.outputs[i];
    graph.outputs[i] = declared(v, border.outputs[i], ValueKind::kTemporary);
    graph.add_node(cast(v, graph.outputs[i], border.outputs[i]));
  }
}

}  // namespace mnn
