#include "libruntime/compile/plan_cache.h"

#include <algorithm>

#include "libruntime/core/bind_shapes.h"

namespace mnn {
namespace {

// What a body declares of its inner shapes need not hold for what it is fed with.
void forget_shapes(Graph& graph) {
  for (Value& value : graph.values) {
    if (value.kind == ValueKind::kTemporary) value.type.shape.reset();
  }
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) forget_shapes(g);
  }
}

}  // namespace

template <typename Same>
Plan* PlanCache::known(Same&& same) {
  const auto it = std::find_if(entries_.begin(), entries_.end(),
                               [&](const Entry& entry) { return same(entry.key); });
  if (it == entries_.end()) return nullptr;
  std::rotate(entries_.begin(), it, it + 1);
  return latest();
}

Result<Plan*> PlanCache::find(std::span<const Tensor> feeds) {
  if (feeds.size() != graph_.inputs.size()) {
    return invalid("expected " + std::to_string(graph_.inputs.size()) + " inputs, found " +
                   std::to_string(feeds.size()));
  }
  Plan* plan = known([&](const std::vector<Key>& key) {
    return std::equal(feeds.begin(), feeds.end(), key.begin(), [](const Tensor& t, const Key& k) {
      return t.dtype() == k.dtype && t.dims() == k.dims;
    });
  });
  if (plan != nullptr) return plan;
  std::vector<Key> key;
  for (const Tensor& t : feeds) key.push_back({t.dtype(), t.dims()});
  return add(std::move(key));
}

Result<Plan*> PlanCache::find(const std::vector<std::vector<int64_t>>& dims) {
  if (dims.size() != graph_.inputs.size()) {
    Graph graph = graph_;
    return bind_inputs(graph, dims);  // which says what it expected
  }
  Plan* plan = known([&](const std::vector<Key>& key) {
    return std::equal(dims.begin(), dims.end(), key.begin(),
                      [](const auto& d, const Key& k) { return d == k.dims; });
  });
  if (plan != nullptr) return plan;
  std::vector<Key> key;
  for (size_t i = 0; i < dims.size(); ++i) {
    key.push_back({graph_.value(graph_.inputs[i]).type.dtype, dims[i]});
  }
  return add(std::move(key));
}

void PlanCache::warm(const std::vector<Type>& types) {
  if (types.size() != graph_.inputs.size()) return;
  std::vector<Key> key;
  for (const Type& type : types) {
    if (!type.is_static()) return;
    key.push_back({type.dtype, known_dims(*type.shape)});
  }
  (void)add(std::move(key)).ok();
}

Result<Plan*> PlanCache::add(std::vector<Key> key) {
  std::vector<std::vector<int64_t>> dims;
  for (const Key& k : key) dims.push_back(k.dims);
  auto compile = [&](bool trust) -> Result<std::unique_ptr<Plan>> {
    Graph graph = graph_;
    if (!trust) forget_shapes(graph);
    for (size_t i = 0; i < key.size(); ++i) {
      Type& type = graph.value(graph.inputs[i]).type;
      if (type.kind != Type::Kind::kTensor) continue;
      type.dtype = key[i].dtype;
      if (!trust) type.shape.reset();
    }
    MNN_RETURN_IF_ERROR(bind_inputs(graph, dims));
    return Plan::compile(std::move(graph), options_, memory_, depth_);
  };
  auto plan = compile(true);
  // What feeds a sub-graph need not agree with what it declares.
  if (!plan.ok() && memory_ == InputMemory::kFed) {
    auto again = compile(false);
    if (again.ok()) plan = std::move(again);
  }
  if (!plan.ok()) return plan.status();
  if (entries_.size() == kKeptPlans) entries_.pop_back();
  entries_.insert(entries_.begin(), {std::move(key), std::move(plan).value()});
  if (profiling_) entries_.front().plan->set_profiling(true);
  return entries_.front().plan.get();
}

void PlanCache::set_profiling(bool on) {
  profiling_ = on;
  for (Entry& entry : entries_) entry.plan->set_profiling(on);
}

}  // namespace mnn
