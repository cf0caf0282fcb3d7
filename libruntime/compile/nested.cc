// Plans inside plans: sub-graphs of control flow, and what waits for shapes that depend on data.
#include <algorithm>
#include <chrono>

#include "libruntime/compile/plan_cache.h"
#include "libruntime/compile/subgraphs.h"
#include "libruntime/core/control_flow.h"
#include "libruntime/core/quant.h"

namespace mnn {
namespace {

// What an outline takes for a dimension that depends on data.
constexpr int64_t kMadeUpDim = 16;

using Clock = std::chrono::steady_clock;

int64_t elapsed_ns(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

// A type an outline can plan for.
Type made_up(Type type) {
  if (type.kind != Type::Kind::kTensor || !type.shape) return type;
  for (Dim& d : *type.shape) {
    if (!d.known()) d = Dim(kMadeUpDim);
  }
  return type;
}

// What an outline says of a graph it found no shapes for.
void add_unplanned(const PlanCache& cache, std::vector<StepInfo>& steps) {
  if (cache.latest() != nullptr) return;
  for (const Node& node : cache.graph().nodes) {
    steps.push_back(describe_step(cache.graph(), node));
    steps.back().backend = kUnplanned;
  }
}

void append_captures_to_inputs(Graph& graph) {
  graph.inputs.insert(graph.inputs.end(), graph.captures.begin(), graph.captures.end());
  graph.captures.clear();
}

int64_t profiled_ns(NestedExecutable& executable) {
  std::vector<StepProfile> rows;
  executable.for_each_cache(
      [&](PlanCache& cache) { cache.for_each([&](const Plan& plan) { plan.add_profile(rows); }); });
  int64_t total = 0;
  for (const StepProfile& row : rows) total += row.total_ns;
  return total;
}

class Control : public NestedExecutable {
 public:
  Control(const Graph& graph, Node node, const PlanOptions& options, int depth)
      : info_(describe_step(graph, node)),
        node_(std::move(node)),
        estimate_(static_cast<double>(info_.macs)),
        trips_(trip_count(graph, node_)),
        outline_(options.outline) {
    info_.kernel = "control";
    info_.backend = "session";
    info_.macs = 0;  // the steps inside have them
    where_ = "node " + display_name(graph, node_) + " (" + node_.op + ")";
    for (const Graph& g : node_.subgraphs) {
      Graph body = g;
      append_captures_to_inputs(body);
      caches_.emplace_back(std::move(body), options, InputMemory::kFed, depth);
    }
    warm(graph);
    for (const ValueId v : node_.outputs) {
      quant_.push_back(v == kNoValue ? std::nullopt : graph.value(v).quant);
      if (v != kNoValue && !graph.value(v).type.is_static()) grows_ = true;
    }
    grows_ |= node_.op != "If";
  }

  bool grows() const override { return grows_; }
  void set_timer(StepTimer timer) override { timer_ = std::move(timer); }
  std::vector<StepInfo> steps() const override {
    std::vector<StepInfo> steps = {info_};
    if (!outline_) return steps;
    for (const PlanCache& cache : caches_) add_unplanned(cache, steps);
    return steps;
  }
  // Of the branch that has more, or of all trips as far as they can be counted.
  MacCounts macs() const override {
    MacCounts most;
    bool planned = false;
    for (const PlanCache& cache : caches_) {
      if (cache.latest() == nullptr) continue;
      planned = true;
      const MacCounts own = cache.latest()->macs();
      if (own.all > most.all) most = own;
    }
    if (!planned) return {estimate_, 0};
    const auto trips = static_cast<double>(trips_);
    return {most.all * trips, most.int8 * trips};
  }
  void for_each_cache(const std::function<void(PlanCache&)>& f) override {
    for (PlanCache& cache : caches_) f(cache);
  }

  Status run(std::span<const Tensor> in, std::span<Tensor> out) override {
    if (!timer_) return run_untimed(in, out).context(where_);
    const int64_t inside = profiled_ns(*this);
    const auto start = Clock::now();
    const Status status = run_untimed(in, out).context(where_);
    const int64_t total = elapsed_ns(start);
    timer_(0, std::max<int64_t>(0, total - (profiled_ns(*this) - inside)));
    return status;
  }

 private:
  Status run_untimed(std::span<const Tensor> in, std::span<Tensor> out) {
    std::vector<const Tensor*> inputs;
    size_t next = 0;
    for (const ValueId v : node_.inputs) inputs.push_back(v == kNoValue ? nullptr : &in[next++]);
    const auto run_one = [this](const Graph& g, std::span<const Tensor> feeds) {
      return run_body(static_cast<size_t>(&g - node_.subgraphs.data()), feeds);
    };
    MNN_ASSIGN_OR_RETURN(std::vector<Tensor> made,
                         run_control_flow(node_, inputs, in.subspan(next), run_one));
    size_t wanted = 0;
    for (size_t i = 0; i < node_.outputs.size(); ++i) {
      if (node_.outputs[i] == kNoValue) continue;
      if (quant_[i] && made[i].dtype() == DType::kF32) {
        MNN_ASSIGN_OR_RETURN(made[i], round_to_grid(made[i], *quant_[i]));
      }
      MNN_RETURN_IF_ERROR(deliver_output(made[i], out[wanted++]));
    }
    return {};
  }

  Result<std::vector<Tensor>> run_body(size_t which, std::span<const Tensor> feeds) {
    PlanCache& cache = caches_[which];
    MNN_ASSIGN_OR_RETURN(Plan * plan, cache.find(feeds));
    for (size_t i = 0; i < feeds.size(); ++i) plan->feed(i, feeds[i]);
    MNN_RETURN_IF_ERROR(plan->run());
    std::vector<Tensor> results;
    for (size_t i = 0; i < cache.graph().outputs.size(); ++i) {
      results.push_back(plan->output(i));
      // The next trip of a loop runs the same plan: it would write over what it reads.
      if (node_.op == "If") continue;
      MNN_ASSIGN_OR_RETURN(results.back(), results.back().clone());
    }
    return results;
  }

  // Plans ahead what the first run will most likely need.
  void warm(const Graph& graph) {
    std::vector<Type> types = first_trip_types(graph, node_);
    if (outline_) {
      for (Type& type : types) type = made_up(std::move(type));
    }
    for (PlanCache& cache : caches_) cache.warm(types);
  }

  StepInfo info_;
  const Node node_;
  const double estimate_;  // MACs of a run
  const int64_t trips_;
  const bool outline_;
  std::string where_;
  std::vector<PlanCache> caches_;                  // one per sub-graph
  std::vector<std::optional<QuantParams>> quant_;  // per output
  bool grows_ = false;
  StepTimer timer_;
};

class Late : public NestedExecutable {
 public:
  Late(Graph graph, const PlanOptions& options, int depth)
      : cache_(std::move(graph), options, InputMemory::kFed, depth), outline_(options.outline) {
    if (!outline_) return;
    std::vector<Type> types;
    for (const ValueId v : cache_.graph().inputs) {
      types.push_back(made_up(cache_.graph().value(v).type));
    }
    cache_.warm(types);
  }

  bool grows() const override { return true; }
  std::vector<StepInfo> steps() const override {
    std::vector<StepInfo> steps;
    if (outline_) add_unplanned(cache_, steps);
    return steps;
  }
  MacCounts macs() const override {
    return cache_.latest() == nullptr ? MacCounts{} : cache_.latest()->macs();
  }
  void for_each_cache(const std::function<void(PlanCache&)>& f) override { f(cache_); }

  Status run(std::span<const Tensor> in, std::span<Tensor> out) override {
    MNN_ASSIGN_OR_RETURN(Plan * plan, cache_.find(in));
    for (size_t i = 0; i < in.size(); ++i) plan->feed(i, in[i]);
    MNN_RETURN_IF_ERROR(plan->run());
    for (size_t i = 0; i < out.size(); ++i) out[i] = plan->output(i);
    return {};
  }

 private:
  PlanCache cache_;
  const bool outline_;
};

class Outline : public Executable {
 public:
  Outline(const Graph& segment, const Backends& backends, size_t lane) {
    for (const Node& node : segment.nodes) {
      StepInfo step = describe_step(segment, node);
      step.backend = backends[lane]->name();
      step.seconds = backends[lane]->cost(step);
      if (lane > 0) step.why = backends[0]->why_not(segment, node).value_or("");
      steps_.push_back(std::move(step));
    }
  }
  Status run(std::span<const Tensor>, std::span<Tensor>) override {
    return internal_error("an outline does not run");
  }
  std::vector<StepInfo> steps() const override { return steps_; }

 private:
  std::vector<StepInfo> steps_;
};

}  // namespace

std::unique_ptr<Executable> make_outline(const Graph& segment, const Backends& backends, int lane) {
  return std::make_unique<Outline>(segment, backends, static_cast<size_t>(lane));
}

std::unique_ptr<NestedExecutable> make_control(const Graph& graph, Node node,
                                               const PlanOptions& options, int depth) {
  return std::make_unique<Control>(graph, std::move(node), options, depth);
}

std::unique_ptr<NestedExecutable> make_late(Graph graph, const PlanOptions& options, int depth) {
  return std::make_unique<Late>(std::move(graph), options, depth);
}

}  // namespace mnn
