#include "libconvert/frontends/common/order.h"

#include <algorithm>
#include <unordered_map>

namespace mnn::frontend {
namespace {

using Display = std::function<std::string(size_t)>;

Status cycle_error(const std::vector<int>& waiting, const Display& display) {
  std::string names;
  int shown = 0;
  for (size_t n = 0; n < waiting.size() && shown < 4; ++n) {
    if (waiting[n] == 0) continue;
    names += (shown++ ? ", " : "") + display(n);
  }
  return invalid("the graph has a cycle through or before " + names);
}

// Marks the nodes that the makers of `outputs` depend on, those included.
std::vector<char> mark_live(const std::vector<std::vector<int>>& makers,
                            const std::vector<int>& wanted) {
  std::vector<char> live(makers.size(), 0);
  std::vector<int> work;
  const auto want = [&](int n) {
    if (live[static_cast<size_t>(n)]) return;
    live[static_cast<size_t>(n)] = 1;
    work.push_back(n);
  };
  for (const int n : wanted) want(n);
  while (!work.empty()) {
    const auto n = static_cast<size_t>(work.back());
    work.pop_back();
    for (const int m : makers[n]) want(m);
  }
  return live;
}

}  // namespace

Result<NodeOrder> order_nodes(std::span<const NodeNames> nodes,
                              std::span<const std::string_view> outputs, const Display& display) {
  const size_t count = nodes.size();
  NodeOrder order;
  std::unordered_map<std::string_view, int> maker;
  for (size_t n = 0; n < count; ++n) {
    for (const std::string_view name : nodes[n].makes) {
      if (name.empty()) continue;
      const auto [first, fresh] = maker.emplace(name, static_cast<int>(n));
      if (fresh) continue;
      return invalid("nodes " + display(static_cast<size_t>(first->second)) + " and " + display(n) +
                     " both make '" + std::string(name) + "'");
    }
  }
  std::vector<std::vector<int>> makers(count), readers(count);
  std::vector<int> waiting(count, 0);
  bool sorted = true;
  for (size_t n = 0; n < count; ++n) {
    const std::unordered_set<std::string_view> reads(nodes[n].reads.begin(), nodes[n].reads.end());
    for (const std::string_view name : reads) {
      if (name.empty()) continue;
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
  std::vector<int> wanted;
  for (const std::string_view name : outputs) {
    const auto it = maker.find(name);
    if (it != maker.end()) wanted.push_back(it->second);
  }
  order.live = mark_live(makers, wanted);

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
  if (order.sequence.size() != count) return cycle_error(waiting, display);
  return order;
}

}  // namespace mnn::frontend
