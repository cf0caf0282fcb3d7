#include "libruntime/compile/partition.h"

#include <algorithm>
#include <functional>
#include <map>
#include <unordered_map>

namespace mnn {
namespace {

// What each node waits for and who waits for it, as flat lists.
struct Dependencies {
  std::vector<int> waiting;                // makers not yet scheduled, once per use
  std::vector<std::vector<NodeId>> after;  // readers of what the node makes
};

Dependencies index_dependencies(const Graph& graph, const std::vector<NodeId>& producer) {
  Dependencies d;
  d.waiting.assign(graph.nodes.size(), 0);
  d.after.resize(graph.nodes.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const auto* list : {&graph.nodes[n].inputs, &graph.nodes[n].captures}) {
      for (const ValueId v : *list) {
        if (v == kNoValue) continue;
        const NodeId p = producer[static_cast<size_t>(v)];
        if (p < 0) continue;
        ++d.waiting[n];
        d.after[static_cast<size_t>(p)].push_back(static_cast<NodeId>(n));
      }
    }
  }
  return d;
}

// Ready nodes of every lane, the earliest first.
class ReadyList {
 public:
  void push(int lane, NodeId node) {
    std::vector<NodeId>& heap = heaps_[lane];
    heap.push_back(node);
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  }
  bool any(int lane) const {
    const auto it = heaps_.find(lane);
    return it != heaps_.end() && !it->second.empty();
  }
  NodeId pop(int lane) {
    std::vector<NodeId>& heap = heaps_[lane];
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const NodeId node = heap.back();
    heap.pop_back();
    return node;
  }
  // The least preferred lane with ready nodes: what only it can run is done with before the main
  // backend starts, which then runs longer without a break.
  std::optional<int> next_lane() const {
    for (auto it = heaps_.rbegin(); it != heaps_.rend(); ++it) {
      if (!it->second.empty()) return it->first;
    }
    return std::nullopt;
  }

 private:
  std::map<int, std::vector<NodeId>> heaps_;
};

}  // namespace

std::vector<Segment> partition(const Graph& graph, const std::vector<int>& lanes, int alone,
                               int last) {
  std::vector<NodeId> producer(graph.values.size(), -1);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const ValueId v : graph.nodes[n].outputs) {
      if (v != kNoValue) producer[static_cast<size_t>(v)] = static_cast<NodeId>(n);
    }
  }
  Dependencies deps = index_dependencies(graph, producer);
  ReadyList ready;
  auto offer = [&](NodeId n) {
    const int lane = lanes[static_cast<size_t>(n)];
    if (lane != last) ready.push(lane, n);
  };
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (deps.waiting[n] == 0) offer(static_cast<NodeId>(n));
  }
  std::vector<Segment> segments;
  std::vector<int> segment_of(graph.nodes.size(), -1);
  while (const auto lane = ready.next_lane()) {
    Segment segment;
    segment.lane = *lane;
    while (ready.any(*lane)) {
      const NodeId n = ready.pop(*lane);
      segment.nodes.push_back(n);
      segment_of[static_cast<size_t>(n)] = static_cast<int>(segments.size());
      for (const NodeId reader : deps.after[static_cast<size_t>(n)]) {
        if (--deps.waiting[static_cast<size_t>(reader)] == 0) offer(reader);
      }
      if (*lane == alone) break;
    }
    segments.push_back(std::move(segment));
  }
  Segment rest;
  rest.lane = last;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (lanes[n] != last) continue;
    rest.nodes.push_back(static_cast<NodeId>(n));
    segment_of[n] = static_cast<int>(segments.size());
  }
  if (!rest.nodes.empty()) segments.push_back(std::move(rest));

  // The border: a value is needed outside when a node of another segment reads it or the graph
  // returns it.
  std::vector<char> needed(graph.values.size(), 0);
  for (const ValueId v : graph.outputs) needed[static_cast<size_t>(v)] = 1;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    for (const auto* list : {&graph.nodes[n].inputs, &graph.nodes[n].captures}) {
      for (const ValueId v : *list) {
        if (v == kNoValue) continue;
        const NodeId p = producer[static_cast<size_t>(v)];
        if (p >= 0 && segment_of[static_cast<size_t>(p)] != segment_of[n]) {
          needed[static_cast<size_t>(v)] = 1;
        }
      }
    }
  }
  std::vector<int> seen_in(graph.values.size(), -1);  // the last segment that listed the value
  for (size_t s = 0; s < segments.size(); ++s) {
    Segment& segment = segments[s];
    for (const NodeId n : segment.nodes) {
      for (const auto* list : {&graph.node(n).inputs, &graph.node(n).captures}) {
        for (const ValueId v : *list) {
          if (v == kNoValue || graph.value(v).kind == ValueKind::kConstant) continue;
          const NodeId p = producer[static_cast<size_t>(v)];
          if (p >= 0 && segment_of[static_cast<size_t>(p)] == static_cast<int>(s)) continue;
          if (seen_in[static_cast<size_t>(v)] == static_cast<int>(s)) continue;
          seen_in[static_cast<size_t>(v)] = static_cast<int>(s);
          segment.inputs.push_back(v);
        }
      }
      for (const ValueId v : graph.node(n).outputs) {
        if (v != kNoValue && needed[static_cast<size_t>(v)]) segment.outputs.push_back(v);
      }
    }
  }
  return segments;
}

Graph extract(const Graph& graph, const Segment& segment) {
  Graph part;
  part.name = graph.name;
  std::unordered_map<ValueId, ValueId> map;
  auto local = [&](ValueId v) {
    if (v == kNoValue) return kNoValue;
    const auto [it, fresh] = map.emplace(v, kNoValue);
    if (fresh) it->second = part.add_value(graph.value(v));
    return it->second;
  };
  for (const ValueId v : segment.inputs) {
    const ValueId id = local(v);
    part.value(id).kind = ValueKind::kInput;
    part.value(id).data = {};
    part.inputs.push_back(id);
  }
  part.nodes.reserve(segment.nodes.size());
  for (const NodeId n : segment.nodes) {
    Node node = graph.node(n);
    for (auto* list : {&node.inputs, &node.captures, &node.outputs}) {
      for (ValueId& v : *list) v = local(v);
    }
    part.nodes.push_back(std::move(node));
  }
  for (const ValueId v : segment.outputs) part.outputs.push_back(local(v));
  return part;
}

}  // namespace mnn
