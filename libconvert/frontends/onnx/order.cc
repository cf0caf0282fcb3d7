#include "libconvert/frontends/onnx/order.h"

#include <algorithm>
#include <functional>
#include <unordered_map>

namespace mnn::onnx {
namespace {

using Names = std::unordered_set<std::string_view>;

void collect_free(const GraphProto& graph, Names& out);

// Calls `f` for every sub-graph among the node's attributes.
template <typename F>
void for_each_subgraph(const NodeProto& node, F&& f) {
  for (const AttributeProto& a : node.attribute()) {
    if (a.has_g()) f(a.g());
    for (const GraphProto& g : a.graphs()) f(g);
  }
}

void collect_reads(const NodeProto& node, Names& out) {
  for (const std::string& name : node.input()) {
    if (!name.empty()) out.insert(name);
  }
  for_each_subgraph(node, [&](const GraphProto& g) { collect_free(g, out); });
}

// Names a sub-graph reads and does not make.
void collect_free(const GraphProto& graph, Names& out) {
  Names reads, made;
  for (const NodeProto& node : graph.node()) {
    collect_reads(node, reads);
    made.insert(node.output().begin(), node.output().end());
  }
  for (const ValueInfoProto& v : graph.output()) reads.insert(v.name());
  for (const ValueInfoProto& v : graph.input()) made.insert(v.name());
  for (const TensorProto& t : graph.initializer()) made.insert(t.name());
  for (const SparseTensorProto& t : graph.sparse_initializer()) made.insert(t.values().name());
  for (const std::string_view name : reads) {
    if (!made.contains(name)) out.insert(name);
  }
}

Status cycle_error(const Nodes& nodes, const std::vector<int>& waiting) {
  std::string names;
  int shown = 0;
  for (int n = 0; n < nodes.size() && shown < 4; ++n) {
    if (waiting[static_cast<size_t>(n)] == 0) continue;
    names += (shown++ ? ", " : "") + plain_name(nodes.Get(n));
  }
  return invalid("the graph has a cycle through or before " + names);
}

}  // namespace

Result<NodeOrder> order_nodes(const Nodes& nodes, const std::vector<std::string_view>& outputs) {
  const auto count = static_cast<size_t>(nodes.size());
  NodeOrder order;
  std::unordered_map<std::string_view, int> maker;
  for (int n = 0; n < nodes.size(); ++n) {
    for (const std::string& name : nodes.Get(n).output()) {
      if (name.empty()) continue;
      const auto [first, fresh] = maker.emplace(name, n);
      if (fresh) continue;
      return invalid("nodes " + plain_name(nodes.Get(first->second)) + " and " +
                     plain_name(nodes.Get(n)) + " both make '" + name + "'");
    }
  }
  std::vector<std::vector<int>> makers(count), readers(count);
  std::vector<int> waiting(count, 0);
  bool sorted = true;
  for (size_t n = 0; n < count; ++n) {
    Names reads;
    collect_reads(nodes.Get(static_cast<int>(n)), reads);
    for (const std::string_view name : reads) {
      order.read.insert(name);
      const auto it = maker.find(name);
      if (it == maker.end()) continue;
      makers[n].push_back(it->second);
      readers[static_cast<size_t>(it->second)].push_back(static_cast<int>(n));
      ++waiting[n];
      sorted &= static_cast<size_t>(it->second) < n;
    }
  }
  order.read.insert(outputs.begin(), outputs.end());

  order.live.assign(count, 0);
  std::vector<int> work;
  auto want = [&](int n) {
    if (order.live[static_cast<size_t>(n)]) return;
    order.live[static_cast<size_t>(n)] = 1;
    work.push_back(n);
  };
  for (const std::string_view name : outputs) {
    const auto it = maker.find(name);
    if (it != maker.end()) want(it->second);
  }
  while (!work.empty()) {
    const auto n = static_cast<size_t>(work.back());
    work.pop_back();
    for (const int m : makers[n]) want(m);
  }

  order.sequence.reserve(count);
  if (sorted) {
    for (size_t n = 0; n < count; ++n) order.sequence.push_back(static_cast<int>(n));
    return order;
  }
  // Among the nodes that are ready the one that stood first goes first.
  const auto later = std::greater<int>();
  std::vector<int> heap;
  for (size_t n = 0; n < count; ++n) {
    if (waiting[n] == 0) heap.push_back(static_cast<int>(n));
  }
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const int n = heap.back();
    heap.pop_back();
    order.sequence.push_back(n);
    for (const int r : readers[static_cast<size_t>(n)]) {
      if (--waiting[static_cast<size_t>(r)] > 0) continue;
      heap.push_back(r);
      std::push_heap(heap.begin(), heap.end(), later);
    }
  }
  if (order.sequence.size() != count) return cycle_error(nodes, waiting);
  return order;
}

std::string_view domain_of(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view() : domain;
}

std::string op_text(const NodeProto& node) {
  const std::string_view domain = domain_of(node.domain());
  return domain.empty() ? node.op_type() : std::string(domain) + "::" + node.op_type();
}

std::string plain_name(const NodeProto& node) {
  if (!node.name().empty()) return node.name();
  for (const std::string& output : node.output()) {
    if (!output.empty()) return node.op_type() + "_" + output;
  }
  return node.op_type();
}

}  // namespace mnn::onnx
