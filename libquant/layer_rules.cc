#include "libquant/layer_rules.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string_view>

#include "libquant/plan.h"
#include "libquant/weights/weight_role.h"
#include "libruntime/core/nearest.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

constexpr std::array<std::string_view, 8> kSchemes = {"int8", "w8", "w6",  "w4",
                                                      "w3",   "w2", "f16", "float"};
constexpr size_t kNamed = 5;

bool fits(const std::string& pattern, const Graph& graph, const Node& node) {
  const auto one = [&](const std::string& name) {
    return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
  };
  return one(display_name(graph, node)) || std::ranges::any_of(node.origin, one);
}

bool has_weights(const Graph& graph, const Node& node) {
  for (size_t i = 0; i < node.own_inputs(); ++i) {
    if (node.inputs[i] == kNoValue || !is_weight(graph.value(node.inputs[i]))) continue;
    if (weight_role(graph, node, i)) return true;
  }
  return false;
}

// Whether there is anything to say of the layer.
bool is_layer(const Graph& graph, const Node& node) {
  return has_traits(node.op, kLinear) || has_weights(graph, node);
}

std::string why_not(const Graph& graph, NodeId id, bool main, const std::string& scheme) {
  if (scheme == "float") return {};
  if (!main) return "it stands in a sub-graph, whose layers are of the model's scheme or float";
  if (scheme == "int8") return why_not_int8(graph, id);
  if (has_weights(graph, graph.node(id))) return {};
  return "it reads no float constant of " + std::to_string(kLeastWeights) +
         " elements or more as weights";
}

void for_each_node(const Graph& graph, bool main,
                   const std::function<void(const Graph&, NodeId, bool main)>& see) {
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    see(graph, static_cast<NodeId>(n), main);
    for (const Graph& inner : graph.nodes[n].subgraphs) for_each_node(inner, false, see);
  }
}

// The layers a pattern that fits none was most likely meant to be.
std::string likely(const Graph& graph, const std::string& pattern) {
  std::vector<std::string> names, near;
  for_each_node(graph, true, [&](const Graph& g, NodeId id, bool) {
    if (is_layer(g, g.node(id))) names.push_back(display_name(g, g.node(id)));
  });
  std::string bare = pattern;
  std::erase(bare, '*');
  for (const std::string& name : names) {
    if (!bare.empty() && near.size() < kNamed && name.find(bare) != std::string::npos)
      near.push_back(name);
  }
  if (near.empty()) {
    if (const std::string one = nearest(names, bare); !one.empty()) near.push_back(one);
  }
  const bool meant = !near.empty();
  const std::vector<std::string>& told = meant ? near : names;
  std::string text;
  for (size_t i = 0; i < std::min(kNamed, told.size()); ++i)
    text += (text.empty() ? "" : ", ") + told[i];
  if (text.empty()) return "; there is no layer with products or weights";
  return (meant ? "; did you mean " : "; layers are ") + text +
         (told.size() > kNamed ? ", …" : "") + (meant ? "?" : "");
}

}  // namespace

Status check_layer_scheme(const std::string& scheme) {
  if (std::ranges::find(kSchemes, scheme) != kSchemes.end()) return {};
  return usage_error("scheme " + scheme +
                     " of a layer: expected int8, w8, w6, w4, w3, w2, f16 or "
                     "float");
}

std::string why_not_int8(const Graph& graph, NodeId id) {
  const QuantPlan plan = plan_quantization(graph);
  if (std::ranges::any_of(plan.layers, [&](const QuantLayer& l) { return l.node == id; }))
    return {};
  const Node& node = graph.node(id);
  if (!has_traits(node.op, kLinear)) return node.op + " has no int8 kernel";
  const Backend& backend = quantization_backend();
  for (const ComputeForm form : {ComputeForm::kU8xS8, ComputeForm::kU8xU8}) {
    const bool constant = node.own_inputs() > 1 && node.inputs[1] != kNoValue &&
                          graph.value(node.inputs[1]).kind == ValueKind::kConstant;
    if (constant != (form == ComputeForm::kU8xS8)) continue;
    if (const auto why = backend.why_not_form(graph, node, form)) return *why;
  }
  return "its operands are no f32 activations and f32 constants";
}

Result<std::map<const Node*, std::string>> schemes_by_hand(const Graph& graph,
                                                           const QuantOptions& options) {
  std::vector<LayerRule> rules = options.layers;
  for (const std::string& pattern : options.keep_float) rules.push_back({pattern, "float"});
  const size_t by_layer = options.layers.size();
  std::map<const Node*, std::string> schemes;
  for (size_t r = 0; r < rules.size(); ++r) {
    const auto& [pattern, scheme] = rules[r];
    const std::string flag =
        r < by_layer ? "--layer " + pattern + "=" + scheme : "--keep-float " + pattern;
    MNN_RETURN_IF_ERROR(check_layer_scheme(scheme));
    std::string other;  // fits, and is no layer
    bool found = false;
    Status refused;
    for_each_node(graph, true, [&](const Graph& g, NodeId id, bool main) {
      const Node& node = g.node(id);
      if (!fits(pattern, g, node) || !refused.ok()) return;
      if (!is_layer(g, node)) {
        other = display_name(g, node) + " (" + node.op + ")";
        return;
      }
      found = true;
      schemes[&node] = scheme;
      if (const std::string why = why_not(g, id, main, scheme); !why.empty()) {
        refused = usage_error(flag + ": layer " + display_name(g, node) + " (" + node.op +
                              ") cannot be " + scheme + ": " + why);
      }
    });
    MNN_RETURN_IF_ERROR(refused);
    if (found) continue;
    if (!other.empty()) {
      return usage_error(flag + ": " + other + " has neither products nor weights to quantize");
    }
    return usage_error(flag + ": no layer has such a name" + likely(graph, pattern));
  }
  return schemes;
}

}  // namespace mnn
