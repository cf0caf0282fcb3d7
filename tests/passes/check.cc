#include "tests/passes/check.h"

#include <algorithm>
#include <cmath>

#include "libruntime/core/op.h"
#include "libruntime/core/text.h"

namespace mnn {
namespace {

uint64_t next(uint64_t& state) {
  state += 0x9e3779b97f4a7c15u;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

Bindings bindings_of(const Graph& graph) {
  std::vector<std::string> symbols;
  for (const Value& v : graph.values) {
    if (!v.type.shape) continue;
    for (const Dim& d : *v.type.shape) d.collect_symbols(symbols);
  }
  Bindings bindings;
  for (const std::string& s : symbols) {
    int64_t sum = 0;
    for (const char c : s) sum += c;
    bindings[s] = 2 + sum % 4;
  }
  return bindings;
}

}  // namespace

Graph with_bound_symbols(Graph graph) {
  const Bindings bindings = bindings_of(graph);
  for (Value& v : graph.values) {
    if (v.type.shape) v.type.shape = bind_shape(*v.type.shape, bindings);
  }
  return graph;
}

Result<std::vector<Tensor>> made_up_inputs(const Graph& graph, uint64_t seed) {
  const Bindings bindings = bindings_of(graph);
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs) {
    const Type& type = graph.value(id).type;
    std::vector<int64_t> dims;
    for (const Dim& d : type.shape ? *type.shape : Shape{}) {
      const Dim bound = d.bind(bindings);
      dims.push_back(bound.known() ? bound.value() : 2);
    }
    MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(type.dtype, dims));
    dispatch_plain(type.dtype, [&]<typename T>() {
      for (int64_t i = 0; i < t.elements(); ++i) {
        const double unit = static_cast<double>(next(seed) >> 11) * 0x1p-53;
        const double value = is_float(type.dtype) ? unit * 4 - 2 : std::floor(unit * 2);
        t.data<T>()[i] = store_from_compute<T>(static_cast<compute_t<T>>(value));
      }
    });
    inputs.push_back(std::move(t));
  }
  return inputs;
}

std::string disagreement(const Graph& before, const Graph& after, uint64_t seed, double tolerance,
                         double least) {
  const auto inputs = made_up_inputs(before, seed);
  if (!inputs.ok()) return inputs.status().message();
  const auto expected = run_reference(before, *inputs);
  if (!expected.ok()) return "before: " + expected.status().message();
  const auto found = run_reference(after, *inputs);
  if (!found.ok()) return "after: " + found.status().message();
  if (expected->size() != found->size()) return "the number of outputs differs";
  for (size_t o = 0; o < expected->size(); ++o) {
    const Tensor &e = (*expected)[o], &f = (*found)[o];
    const std::string where = "output " + std::to_string(o);
    if (e.type_str() != f.type_str()) return where + ": " + e.type_str() + ", " + f.type_str();
    if (!is_float(e.dtype())) {
      if (!identical(e, f)) return where + " differs";
      continue;
    }
    const std::vector<double> a = *e.to_doubles(), b = *f.to_doubles();
    double largest = least;
    for (const double v : a) largest = std::isfinite(v) ? std::max(largest, std::abs(v)) : largest;
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) continue;
      if (!(std::abs(a[i] - b[i]) <= tolerance * largest)) {
        return where + "[" + std::to_string(i) + "]: " + std::to_string(a[i]) + " became " +
               std::to_string(b[i]);
      }
    }
  }
  return "";
}

std::string shape_of(Graph graph) {
  remove_dead(graph);
  if (const Status s = sort_nodes(graph); !s.ok()) return s.message();
  std::vector<char> border(graph.values.size(), 0);
  for (const auto* list : {&graph.inputs, &graph.outputs}) {
    for (const ValueId v : *list) border[static_cast<size_t>(v)] = 1;
  }
  // Values in the order of their first mention, so that equal graphs have equal text.
  std::vector<ValueId> order, place(graph.values.size(), kNoValue);
  auto mention = [&](ValueId v) {
    if (v == kNoValue || place[static_cast<size_t>(v)] != kNoValue) return;
    place[static_cast<size_t>(v)] = static_cast<ValueId>(order.size());
    order.push_back(v);
  };
  for (const ValueId v : graph.inputs) mention(v);
  for (const Node& node : graph.nodes) {
    for (const auto* list : {&node.inputs, &node.captures, &node.outputs}) {
      for (const ValueId v : *list) mention(v);
    }
  }
  for (size_t v = 0; v < graph.values.size(); ++v) mention(static_cast<ValueId>(v));
  std::vector<Value> values;
  for (const ValueId v : order) {
    Value value = graph.value(v);
    if (!border[static_cast<size_t>(v)]) {
      value.name = "v" + std::to_string(values.size());
      if (value.kind == ValueKind::kTemporary) value.type = {};
    }
    values.push_back(std::move(value));
  }
  graph.values = std::move(values);
  auto rename = [&](std::vector<ValueId>& ids) {
    for (ValueId& v : ids) v = v == kNoValue ? v : place[static_cast<size_t>(v)];
  };
  rename(graph.inputs);
  rename(graph.outputs);
  for (Node& node : graph.nodes) {
    rename(node.inputs);
    rename(node.outputs);
    rename(node.captures);
    node.name.clear();
    node.origin.clear();
  }
  if (const Status s = infer_types(graph); !s.ok()) return s.message();
  return print_graph(graph);
}

}  // namespace mnn
