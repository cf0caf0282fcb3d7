#include "libruntime/core/half.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mnn {
namespace {

constexpr double kLeastSnrDb = 50;  // normal numbers have 70 dB and more as f16, 55 as bf16
constexpr int64_t kLeastElements = 64;
constexpr size_t kMostPerLayer = 16;  // constants remembered: layers have one to four
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

// How a constant is stored: undefined, as it is; else as a 16-bit tensor, times `scale` if defined.
struct Stored {
  Tensor half, scale;
};

// Stores f32 constants of at least `min_elements` as `choose` says.
template <typename F>
Status store_under_casts(Graph& graph, int64_t min_elements, F&& choose) {
  std::vector<Node> made;
  auto add = [&](const char* op, std::vector<ValueId> inputs, ValueId output) {
    Node& node = made.emplace_back();
    node.op = op;
    node.inputs = std::move(inputs);
    node.outputs = {output};
  };
  const size_t count = graph.values.size();
  for (size_t v = 0; v < count; ++v) {
    const auto id = static_cast<ValueId>(v);
    const Tensor* data = graph.constant(id);
    if (data == nullptr || data->dtype() != DType::kF32 || data->elements() < min_elements)
      continue;
    if (graph.is_result(id)) continue;
    MNN_ASSIGN_OR_RETURN(Stored stored, choose(graph, id, *data));
    if (!stored.half.defined()) continue;
    Value& value = graph.value(id);
    const Type type = value.type;
    value.kind = ValueKind::kTemporary;
    value.data = {};
    const ValueId half = graph.add_constant(std::move(stored.half), std::exchange(value.name, {}));
    const ValueId wide = stored.scale.defined() ? graph.add_temporary({}, type) : id;
    add("Cast", {half}, wide);
    made.back().attributes["to"] = kF32;
    if (wide != id) add("Mul", {wide, graph.add_constant(std::move(stored.scale))}, id);
  }
  graph.nodes.insert(graph.nodes.begin(), std::make_move_iterator(made.begin()),
                     std::make_move_iterator(made.end()));
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
    const bool half = std::ranges::any_of(node.outputs, [&](ValueId v) {
      return v != kNoValue && is_half(graph.value(v).type.dtype);
    });
    std::vector<Tensor> constants;
    for (const ValueId v : node.inputs) {
      const Tensor* t = v == kNoValue ? nullptr : graph.constant(v);
      if (t && is_half(t->dtype()) && t->elements() >= kLeastElements) constants.push_back(*t);
    }
    std::vector<std::string> names = node.origin;
    names.push_back(display_name(graph, node));
    for (const std::string& name : names) {
      if (!half) continue;
      std::vector<Tensor>& all = storage.layers[name];
      for (const Tensor& t : constants) {
        if (all.size() < kMostPerLayer) all.push_back(t);
      }
    }
    for (const Graph& g : node.subgraphs) collect_storage(g, storage);
  }
}

// The factors along `axis` that make `data` of `half`, to the last bits of f32; undefined: none do.
Result<Tensor> factors_along(const Tensor& half, const Tensor& data, size_t axis) {
  const std::vector<int64_t>& dims = data.dims();
  int64_t outer = 1, inner = 1;
  for (size_t d = 0; d < axis; ++d) outer *= dims[d];
  for (size_t d = axis + 1; d < dims.size(); ++d) inner *= dims[d];
  std::vector<int64_t> shape(dims.size(), 1);
  shape[axis] = dims[axis];
  MNN_ASSIGN_OR_RETURN(const Tensor wide, convert_floats(half, DType::kF32));
  MNN_ASSIGN_OR_RETURN(Tensor factors, Tensor::allocate(DType::kF32, std::move(shape)));
  const float *w = wide.data<float>(), *x = data.data<float>();
  for (int64_t c = 0; c < dims[axis]; ++c) {
    auto for_each = [&](auto&& f) {
      for (int64_t o = 0; o < outer; ++o) {
        for (int64_t i = 0; i < inner; ++i) {
          const int64_t at = (o * dims[axis] + c) * inner + i;
          if (!f(static_cast<double>(w[at]), static_cast<double>(x[at]))) return false;
        }
      }
      return true;
    };
    double product = 0, square = 0;
    for_each([&](double a, double b) {
      product += a * b;
      square += a * a;
      return true;
    });
    const auto factor = static_cast<float>(square > 0 ? product / square : 1.0);
    const bool fits = for_each(
        [&](double a, double b) { return std::abs(a * factor - b) <= 0x1p-22 * std::abs(b); });
    if (!fits) return Tensor();
    factors.data<float>()[c] = factor;
  }
  return factors;
}

// How to make `data`, which nodes of these layers read, of one of the layers' 16-bit constants.
Result<Stored> scaled_constant(const Graph& graph, const std::vector<NodeId>& readers,
                               const Tensor& data, const HalfStorage& storage) {
  for (const NodeId n : readers) {
    std::vector<std::string> names = graph.node(n).origin;
    if (names.empty()) names.push_back(display_name(graph, graph.node(n)));
    for (const std::string& name : names) {
      const auto layer = storage.layers.find(name);
      if (layer == storage.layers.end()) continue;
      for (const Tensor& half : layer->second) {
        if (half.dims() != data.dims()) continue;
        for (size_t axis = 0; axis < data.rank(); ++axis) {
          MNN_ASSIGN_OR_RETURN(Tensor factors, factors_along(half, data, axis));
          if (factors.defined()) return Stored{half, std::move(factors)};
        }
      }
    }
  }
  return Stored{};
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

std::vector<char> storage_nodes(const Graph& graph) {
  std::vector<char> found(graph.nodes.size(), 0), widened(graph.values.size(), 0);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    if (is_widening(graph, node)) widened[static_cast<size_t>(node.outputs[0])] = 1;
    found[n] = is_storage_cast(graph, node) ||
               (node.op == "Mul" && node.inputs.size() == 2 && node.inputs[0] != kNoValue &&
                node.inputs[1] != kNoValue && widened[static_cast<size_t>(node.inputs[0])] &&
                graph.constant(node.inputs[1]) != nullptr);
  }
  return found;
}

Result<HalfReport> narrow_constants(Graph& graph, int64_t min_elements) {
  HalfReport report;
  auto choose = [&](const Graph& g, ValueId id, const Tensor& data) -> Result<Stored> {
    MNN_ASSIGN_OR_RETURN(Narrowed made, round_to(data, DType::kF16));
    const std::string why = objection(made.error);
    if (!why.empty()) {
      const std::string& name = g.value(id).name;
      report.kept.push_back((name.empty() ? "a constant " + data.type_str() : name) + ": " + why);
      return Stored{};
    }
    ++report.narrowed;
    report.bytes_saved += data.bytes() - made.half.bytes();
    report.error.merge(made.error);
    return Stored{std::move(made.half), {}};
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
  auto choose = [&](const Graph& g, ValueId id, const Tensor& data) -> Result<Stored> {
    if (indexed != &g) {
      uses = index_uses(g);
      indexed = &g;
    }
    Stored chosen;
    for (const DType type : storage.types) {
      MNN_ASSIGN_OR_RETURN(Narrowed made, round_to(data, type));
      if (is_exact(made.error)) chosen.half = std::move(made.half);
      if (chosen.half.defined()) break;
    }
    if (!chosen.half.defined()) {
      const std::vector<NodeId>& readers = uses.consumers[static_cast<size_t>(id)];
      MNN_ASSIGN_OR_RETURN(chosen, scaled_constant(g, readers, data, storage));
    }
    restored += chosen.half.defined();
    return chosen;
  };
  MNN_RETURN_IF_ERROR(store_under_casts(graph, kLeastElements, choose));
  return restored;
}

}  // namespace mnn
