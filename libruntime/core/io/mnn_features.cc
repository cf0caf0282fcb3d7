// Features of a file that not every reader has: a reader refuses a file that names one it does not
// know, instead of reading it wrong.
#include <algorithm>
#include <functional>

#include "libruntime/core/io/mnn_layout.h"

namespace mnn {
namespace {

bool any_graph(const Graph& graph, const std::function<bool(const Graph&)>& holds) {
  if (holds(graph)) return true;
  return std::ranges::any_of(graph.nodes, [&](const Node& node) {
    return std::ranges::any_of(node.subgraphs, [&](const Graph& g) { return any_graph(g, holds); });
  });
}

template <typename F>
bool any_quant(const Graph& graph, F&& holds) {
  return any_graph(graph, [&](const Graph& g) {
    return std::ranges::any_of(g.values,
                               [&](const Value& v) { return v.quant && holds(*v.quant); });
  });
}

struct Feature {
  std::string_view name;
  bool (*used)(const Graph&);
};

constexpr Feature kFeatures[] = {
    {"quantization in groups",
     [](const Graph& g) { return any_quant(g, [](const auto& q) { return q.group > 0; }); }},
    {"quantization offsets",
     [](const Graph& g) { return any_quant(g, [](const auto& q) { return q.offset.defined(); }); }},
    {"second-level quantization scales",
     [](const Graph& g) {
       return any_quant(
           g, [](const auto& q) { return q.super_scale.defined() || q.super_offset.defined(); });
     }},
    {"quantization codebooks",
     [](const Graph& g) {
       return any_quant(g, [](const auto& q) { return q.codebook.defined(); });
     }},
    {"rotated quantization",
     [](const Graph& g) {
       return any_quant(g, [](const auto& q) { return q.rotation.has_value(); });
     }},
    {"state updates",
     [](const Graph& g) {
       return any_graph(g, [](const Graph& one) { return !one.updates.empty(); });
     }},
};

}  // namespace

std::vector<std::string> required_features(const Graph& graph) {
  std::vector<std::string> names;
  for (const Feature& f : kFeatures) {
    if (f.used(graph)) names.emplace_back(f.name);
  }
  return names;
}

bool is_known_feature(std::string_view name) {
  return std::ranges::any_of(kFeatures, [&](const Feature& f) { return f.name == name; });
}

}  // namespace mnn
