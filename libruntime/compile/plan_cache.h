// The list of plans a session, or a sub-graph inside a plan, keeps.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "libruntime/compile/plan.h"

namespace mnn {

// Plans of one graph for the shapes it was last run with, made on demand. Those of the last
// kKeptPlans shapes are kept; they share packed weights, so that each costs its arena.
class PlanCache {
 public:
  static constexpr size_t kKeptPlans = 4;

  PlanCache(Graph graph, const PlanOptions& options, InputMemory memory, int depth)
      : graph_(std::move(graph)), options_(options), memory_(memory), depth_(depth) {}

  // The plan for inputs of these shapes: the one there is, or a new one in the place of that whose
  // last use is longest ago. A shape that fails changes nothing.
  Result<Plan*> find(std::span<const Tensor> feeds);
  Result<Plan*> find(const std::vector<std::vector<int64_t>>& dims);
  // The same ahead of time, from types; nothing happens when they are open or the plan fails.
  void warm(const std::vector<Type>& types);
  const Graph& graph() const { return graph_; }
  template <typename F>
  void for_each(F&& f) const {
    for (const Entry& entry : entries_) f(*entry.plan);
  }
  // The plan last used; null when there is none yet.
  Plan* latest() const { return entries_.empty() ? nullptr : entries_.front().plan.get(); }
  void set_profiling(bool on);

 private:
  struct Key {
    DType dtype;
    std::vector<int64_t> dims;
  };
  struct Entry {
    std::vector<Key> key;
    std::unique_ptr<Plan> plan;
  };
  // Null: there is none yet.
  template <typename Same>
  Plan* known(Same&& same);
  Result<Plan*> add(std::vector<Key> key);

  Graph graph_;
  const PlanOptions& options_;
  const InputMemory memory_;
  const int depth_;
  std::vector<Entry> entries_;  // the most recently used first
  bool profiling_ = false;
};

}  // namespace mnn
