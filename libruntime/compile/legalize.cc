#include "libruntime/compile/legalize.h"

#include <algorithm>

#include "libruntime/core/builder.h"
#include "libruntime/core/expand.h"
#include "libruntime/core/fold.h"
#include "libruntime/core/op.h"

namespace mnn {
namespace {

// Decompositions of decompositions; a deeper chain is a cycle in the op table.
constexpr int kMaxRounds = 16;
constexpr size_t kMaxNodes = size_t{4} << 20;

// How far a node's shapes are known before anything has run.
enum class Reach : uint8_t { kStatic, kOpenOutput, kLate };

std::vector<Reach> classify(const Graph& graph) {
  // Inputs and constants are at hand, whatever their type.
  std::vector<char> open(graph.values.size(), 0);
  std::vector<Reach> reach;
  reach.reserve(graph.nodes.size());
  for (const Node& node : graph.nodes) {
    Reach r = Reach::kStatic;
    for (const ValueId v : node.outputs) {
      if (v != kNoValue && !graph.value(v).type.is_static()) r = Reach::kOpenOutput;
    }
    for (const auto* list : {&node.inputs, &node.captures}) {
      for (const ValueId v : *list) {
        if (v != kNoValue && open[static_cast<size_t>(v)]) r = Reach::kLate;
      }
    }
    reach.push_back(r);
    if (r == Reach::kStatic) continue;
    for (const ValueId v : node.outputs) {
      // Nothing is planned by the shapes in a sequence or an optional, but one that is made late
      // is not there before.
      if (v == kNoValue) continue;
      const bool tensor = graph.value(v).type.kind == Type::Kind::kTensor;
      if (tensor || r == Reach::kLate) open[static_cast<size_t>(v)] = 1;
    }
  }
  return reach;
}

int first_supporting(const Graph& graph, const Node& node, const Backends& backends) {
  for (size_t b = 0; b < backends.size(); ++b) {
    if (!backends[b]->why_not(graph, node)) return static_cast<int>(b);
  }
  return -1;
}

std::vector<std::string> origin_of(const Graph& graph, const Node& node) {
  if (!node.origin.empty()) return node.origin;
  return {display_name(graph, node)};
}

// Appends the decomposition of a node.
Status decompose(Graph& graph, const OpDef& def, const Node& node) {
  const size_t first = graph.nodes.size();
  Builder b(graph, origin_of(graph, node));
  MNN_ASSIGN_OR_RETURN(std::vector<ValueId> made, def.decompose(b, node));
  for (size_t n = first; n < graph.nodes.size(); ++n) {
    if (graph.nodes[n].name.empty()) graph.nodes[n].name = display_name(graph, node);
  }
  hand_over(graph, first, std::move(made), node);
  return {};
}

// Whether the decomposition consists of nodes that backends before the last one take.
bool parts_are_supported(const Graph& graph, const OpDef& def, const Node& node,
                         const Backends& preferred) {
  if (preferred.empty()) return false;
  Graph parts;
  Node local = node;
  for (ValueId& v : local.inputs) {
    if (v == kNoValue) continue;
    Value value = graph.value(v);
    if (value.kind != ValueKind::kConstant) value.kind = ValueKind::kInput;
    const bool input = value.kind == ValueKind::kInput;
    v = parts.add_value(std::move(value));
    if (input) parts.inputs.push_back(v);
  }
  for (ValueId& v : local.outputs) {
    if (v == kNoValue) continue;
    v = parts.add_value(graph.value(v));
    parts.outputs.push_back(v);
  }
  if (!decompose(parts, def, local).ok() || !sort_nodes(parts).ok()) return false;
  if (!fold_constants(parts).ok()) return false;
  for (const Node& part : parts.nodes) {
    if (!part.subgraphs.empty() || first_supporting(parts, part, preferred) < 0) return false;
  }
  return true;
}

}  // namespace

Result<std::vector<int>> legalize(Graph& graph, const Backends& backends, bool interpret_late) {
  const Backends preferred(backends.begin(), backends.end() - 1);
  const int last = static_cast<int>(preferred.size());
  for (int round = 0; round < kMaxRounds; ++round) {
    const std::vector<Reach> reach = classify(graph);
    std::vector<Node> nodes = std::move(graph.nodes);
    graph.nodes.clear();
    std::vector<int> lanes;
    lanes.reserve(nodes.size());
    bool changed = false;
    for (size_t n = 0; n < nodes.size(); ++n) {
      Node& node = nodes[n];
      const OpDef* def = find_op(node.op);
      if (def == nullptr) return unsupported("operator " + node.op + " is not known");
      int lane = last;
      if (reach[n] == Reach::kLate && !interpret_late) {
        lane = kLateLane;
      } else if (!node.subgraphs.empty()) {
        lane = kControlLane;
      } else if (reach[n] == Reach::kStatic) {
        lane = first_supporting(graph, node, preferred);
        if (lane < 0) {
          lane = last;
          if (backends.back()->why_not(graph, node).has_value()) {
            return unsupported("operator " + node.op + " cannot be run")
                .context("node " + display_name(graph, node));
          }
          if (!preferred.empty() && !node.fused.empty()) {
            split_post_ops(graph, node);
            changed = true;
            continue;
          }
          if (def->decompose != nullptr &&
              (def->reference == nullptr || parts_are_supported(graph, *def, node, preferred))) {
            const Status status = decompose(graph, *def, node);
            if (!status.ok()) {
              return status.context("node " + display_name(graph, node) + " (" + node.op + ")");
            }
            changed = true;
            continue;
          }
        }
      }
      graph.nodes.push_back(std::move(node));
      lanes.push_back(lane);
    }
    if (!changed) return lanes;
    if (graph.nodes.size() > kMaxNodes) {
      return limit_exceeded("the graph decomposes into more than " + std::to_string(kMaxNodes) +
                            " nodes");
    }
    MNN_RETURN_IF_ERROR(sort_nodes(graph));
    MNN_ASSIGN_OR_RETURN(const int folded, fold_constants(graph));
    (void)folded;
  }
  return internal_error("an operator decomposes into itself");
}

}  // namespace mnn
