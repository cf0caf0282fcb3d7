#include "libruntime/core/half.h"

#include <algorithm>
#include <cmath>

namespace mnn {
namespace {

constexpr double kLeastSnrDb = 50;  // normal numbers have 70 dB and more as f16, 55 as bf16
constexpr int64_t kLeastElements = 64;
constexpr int64_t kF32 = static_cast<int64_t>(DType::kF32);

// Why a 16-bit type cannot hold what `half` was made from; empty: it can.
std::string objection(const ErrorSums& sums) {
  if (sums.not_finite > 0) return "values beyond 65504";
  const ErrorMetrics m = metrics_of(sums);
  if (sums.ref_squared > 0 && m.snr_db < kLeastSnrDb) return "values too small for f16";
  return {};
}

struct Narrowed {
  Tensor half;
  ErrorSums error;
};
Result<Narrowed> round_to(const Tensor& data, DType type) {
  Narrowed out;
  MNN_ASSIGN_OR_RETURN(out.half, convert_floats(data, type));
  MNN_RETURN_IF_ERROR(out.error.add(data, out.half));
  return out;
}

bool is_exact(const ErrorSums& sums) { return sums.not_finite == 0 && sums.max_abs_error == 0; }

// Stores f32 constants of at least `min_elements` as what `choose` makes of them; an undefined
// tensor leaves one as it is.
template <typename F>
Status store_under_casts(Graph& graph, int64_t min_elements, F&& choose) {
  std::vector<Node> casts;
  const size_t count = graph.values.size();
  for (size_t v = 0; v < count; ++v) {
    const auto id = static_cast<ValueId>(v);
    const Tensor* data = graph.constant(id);
    if (data == nullptr || data->dtype() != DType::kF32 || data->elements() < min_elements)
      continue;
    if (graph.is_result(id)) continue;
    MNN_ASSIGN_OR_RETURN(Tensor half, choose(graph, id, *data));
    if (!half.defined()) continue;
    const ValueId stored = graph.add_constant(std::move(half), graph.value(id).name);
    Value& value = graph.value(id);
    value.kind = ValueKind::kTemporary;
    value.data = {};
    value.name.clear();
    Node cast;
    cast.op = "Cast";
    cast.attributes["to"] = kF32;
    cast.inputs = {stored};
    cast.outputs = {id};
    casts.push_back(std::move(cast));
  }
  graph.nodes.insert(graph.nodes.begin(), std::make_move_iterator(casts.begin()),
                     std::make_move_iterator(casts.end()));
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) MNN_RETURN_IF_ERROR(store_under_casts(g, min_elements, choose));
  }
  return {};
}

void collect_storage(const Graph& graph, HalfStorage& storage) {
  auto add = [&](DType type) {
    if (is_half(type) && std::ranges::find(storage.types, type) == storage.types.end())
      storage.types.push_back(type);
  };
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::kConstant && !value.quant) add(value.data.dtype());
  }
  for (const Node& node : graph.nodes) {
    for (const ValueId v : node.outputs) {
      if (v == kNoValue || !is_half(graph.value(v).type.dtype)) continue;
      const DType type = graph.value(v).type.dtype;
      storage.layers.emplace(display_name(graph, node), type);
      for (const std::string& name : node.origin) storage.layers.emplace(name, type);
    }
    for (const Graph& g : node.subgraphs) collect_storage(g, storage);
  }
}

// The one 16-bit type of all source layers that the nodes stand for; kUndefined when there is none.
DType type_of_layers(const Graph& graph, const std::vector<NodeId>& readers,
                     const HalfStorage& storage) {
  DType type = DType::kUndefined;
  auto agree = [&](const std::string& name) {
    const auto it = storage.layers.find(name);
    if (it == storage.layers.end() || (type != DType::kUndefined && type != it->second))
      return false;
    type = it->second;
    return true;
  };
  for (const NodeId n : readers) {
    const Node& node = graph.node(n);
    const bool all = node.origin.empty() ? agree(display_name(graph, node))
                                         : std::ranges::all_of(node.origin, agree);
    if (!all) return DType::kUndefined;
  }
  return type;
}

bool casts_to_f32(const Node& node) {
  const auto to = node.attributes.find("to");
  const auto* type = to == node.attributes.end() ? nullptr : std::get_if<int64_t>(&to->second);
  return type != nullptr && *type == kF32;
}

bool is_plain_cast(const Node& node) {
  return node.op == "Cast" && node.inputs.size() == 1 && node.outputs.size() == 1 &&
         node.fused.empty() && node.inputs[0] != kNoValue && node.outputs[0] != kNoValue;
}

}  // namespace

Result<Tensor> convert_floats(const Tensor& t, DType to) {
  MNN_ASSIGN_OR_RETURN(Tensor out, Tensor::allocate(to, t.dims()));
  const bool known = dispatch_float(t.dtype(), [&]<typename From>() {
    dispatch_float(to, [&]<typename To>() {
      const From* x = t.data<From>();
      To* y = out.data<To>();
      for (int64_t i = 0; i < t.elements(); ++i) {
        y[i] = store_from_compute<To>(load_as_compute(x[i]));
      }
    });
  });
  if (!known) return invalid("expected floats, found " + t.type_str());
  return out;
}

bool is_widening(const Graph& graph, const Node& node) {
  if (!is_plain_cast(node) || !casts_to_f32(node)) return false;
  const Tensor* data = graph.constant(node.inputs[0]);
  return data != nullptr && is_half(data->dtype()) && !graph.value(node.outputs[0]).quant;
}

bool is_storage_cast(const Graph& graph, const Node& node) {
  if (is_widening(graph, node)) return true;
  if (!is_plain_cast(node)) return false;
  const Value &from = graph.value(node.inputs[0]), &to = graph.value(node.outputs[0]);
  const bool taken_in = from.kind == ValueKind::kInput || from.kind == ValueKind::kState;
  return (taken_in && is_half(from.type.dtype) && to.type.dtype == DType::kF32) ||
         (graph.is_result(node.outputs[0]) && from.type.dtype == DType::kF32 &&
          is_half(to.type.dtype));
}

Result<HalfReport> narrow_constants(Graph& graph, int64_t min_elements) {
  HalfReport report;
  auto choose = [&](const Graph& g, ValueId id, const Tensor& data) -> Result<Tensor> {
    MNN_ASSIGN_OR_RETURN(Narrowed made, round_to(data, DType::kF16));
    const std::string why = objection(made.error);
    if (!why.empty()) {
      const std::string& name = g.value(id).name;
      report.kept.push_back((name.empty() ? "a constant " + data.type_str() : name) + ": " + why);
      return Tensor();
    }
    ++report.narrowed;
    report.bytes_saved += data.bytes() - made.half.bytes();
    report.error.merge(made.error);
    return std::move(made.half);
  };
  MNN_RETURN_IF_ERROR(store_under_casts(graph, min_elements, choose));
  return report;
}

HalfStorage half_storage(const Graph& graph) {
  HalfStorage storage;
  collect_storage(graph, storage);
  return storage;
}

Result<int> restore_half(Graph& graph, const HalfStorage& storage) {
  if (storage.empty()) return 0;
  int restored = 0;
  // Made anew for each graph: store_under_casts goes into sub-graphs by itself.
  const Graph* indexed = nullptr;
  Uses uses;
  auto choose = [&](const Graph& g, ValueId id, const Tensor& data) -> Result<Tensor> {
    if (indexed != &g) {
      uses = index_uses(g);
      indexed = &g;
    }
    Tensor chosen;
    for (const DType type : storage.types) {
      MNN_ASSIGN_OR_RETURN(Narrowed made, round_to(data, type));
      if (is_exact(made.error)) chosen = std::move(made.half);
      if (chosen.defined()) break;
    }
    const DType type = type_of_layers(g, uses.consumers[static_cast<size_t>(id)], storage);
    if (!chosen.defined() && type != DType::kUndefined) {
      MNN_ASSIGN_OR_RETURN(Narrowed made, round_to(data, type));
      if (objection(made.error).empty()) chosen = std::move(made.half);
    }
    restored += chosen.defined();
    return chosen;
  };
  MNN_RETURN_IF_ERROR(store_under_casts(graph, kLeastElements, choose));
  return restored;
}

}  // namespace mnn
