// Gradient of ai.onnx.preview.training: the derivatives of a value with respect to others, which
// become nodes when the model is read.
#include <algorithm>

#include "libconvert/frontends/onnx/importer.h"
#include "libruntime/core/builder.h"
#include "libruntime/core/differentiate.h"

namespace mnn::onnx {
namespace {

// Each of them walks the graph, and derivatives of derivatives grow with every one.
constexpr int kMostGradients = 64;
constexpr size_t kMostNodes = 100'000;

// Computes `y` once more with other values in the place of some; `y` itself when it depends on
// none of them.
ValueId recompute(Graph& graph, ValueId y, std::map<ValueId, ValueId> in_place_of) {
  for (size_t n = 0, end = graph.nodes.size(); n < end; ++n) {
    const bool reads = std::ranges::any_of(graph.nodes[n].inputs,
                                           [&](ValueId v) { return in_place_of.contains(v); });
    if (!reads) continue;
    Node copy = graph.nodes[n];
    for (auto* list : {&copy.inputs, &copy.captures}) {
      for (ValueId& v : *list) {
        if (const auto it = in_place_of.find(v); it != in_place_of.end()) v = it->second;
      }
    }
    for (ValueId& v : copy.outputs) {
      if (v == kNoValue || in_place_of.contains(v)) continue;
      v = in_place_of[v] = graph.add_temporary({}, graph.value(v).type);
    }
    graph.add_node(std::move(copy));
  }
  const auto it = in_place_of.find(y);
  return it == in_place_of.end() ? y : it->second;
}

}  // namespace

Status Importer::add_gradient(NodeProto& proto, const std::string& name, Scope& scope,
                              const Frame& frame) {
  if (scope.outer != nullptr) return unsupported("a Gradient inside a sub-graph is not supported");
  std::vector<std::string> xs, zs;
  std::string y_name;
  for (AttributeProto& a : *proto.mutable_attribute()) {
    MNN_ASSIGN_OR_RETURN(AttributeProto * bound, bound_attribute(a, frame));
    if (bound == nullptr) continue;
    if (a.name() == "xs") xs = texts(bound->strings());
    if (a.name() == "zs") zs = texts(bound->strings());
    if (a.name() == "y") y_name = bound->s();
  }
  std::vector<std::string> names = xs;
  names.insert(names.end(), zs.begin(), zs.end());
  if (xs.empty() || names.size() != static_cast<size_t>(proto.input_size()) ||
      proto.output_size() != static_cast<int>(xs.size())) {
    return invalid("expected an input for each of xs and zs and an output for each of xs, found " +
                   std::to_string(proto.input_size()) + " and " +
                   std::to_string(proto.output_size()));
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<ValueId> named, resolve_all(scope, names));
  MNN_ASSIGN_OR_RETURN(std::vector<ValueId> given, resolve_all(scope, texts(proto.input())));
  MNN_ASSIGN_OR_RETURN(ValueId y, resolve(scope, y_name));
  for (const ValueId v : named) {
    if (is_undefined(scope, v)) return {};
  }
  for (const ValueId v : given) {
    if (is_undefined(scope, v)) return {};
  }
  if (is_undefined(scope, y)) return {};
  Graph& graph = scope.draft.graph;
  const size_t before = graph.nodes.size();
  if (++gradients_ > kMostGradients || before > kMostNodes) {
    return limit_exceeded("expected at most " + std::to_string(kMostGradients) +
                          " Gradients, in a graph of at most " + std::to_string(kMostNodes) +
                          " nodes");
  }
  std::map<ValueId, ValueId> in_place_of;
  for (size_t i = 0; i < names.size(); ++i) {
    if (named[i] != given[i]) in_place_of[named[i]] = given[i];
  }
  if (!in_place_of.empty()) y = recompute(graph, y, in_place_of);
  given.resize(xs.size());
  MNN_ASSIGN_OR_RETURN(std::vector<ValueId> made, differentiate(graph, y, given));
  Builder b(graph, {name});
  for (size_t i = 0; i < made.size(); ++i) {
    // Nothing depends on it.
    if (made[i] == kNoValue) {
      const ValueId zero = b.scalar(0.0, graph.value(given[i]).type.dtype);
      made[i] = b.op("Expand", {zero, b.op("Shape", {given[i]})});
    }
    // Names go to values of their own: one derivative may be that of two.
    made[i] = b.op("Identity", {made[i]});
  }
  MNN_RETURN_IF_ERROR(infer_types(graph));
  budget_ -= static_cast<int64_t>(graph.nodes.size() - before);
  if (budget_ < 0) return limit_exceeded("the derivatives have more nodes than a model may have");
  return define_results(scope, texts(proto.output()), made, frame.prefix);
}

}  // namespace mnn::onnx
