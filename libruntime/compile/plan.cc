#include "libruntime/compile/plan.h"

#include <algorithm>

#include "libruntime/compile/partition.h"
#include "libruntime/compile/plan_cache.h"
#include "libruntime/core/fold.h"
#include "libruntime/core/memory_plan.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"
#include "libruntime/process_limits.h"

namespace mnn {
namespace {

// Plans nested deeper than this interpret what is late: each level costs a copy of the rest of the
// graph and some stack.
constexpr int kMaxLateDepth = 16;

// Captured constants become constants of the sub-graphs, so that backends can pack them.
void internalize_constants(const Graph& graph, Node& node) {
  for (size_t c = node.captures.size(); c-- > 0;) {
    const Value& outer = graph.value(node.captures[c]);
    if (outer.kind != ValueKind::kConstant) continue;
    for (Graph& g : node.subgraphs) {
      Value& inner = g.value(g.captures[c]);
      inner.kind = ValueKind::kConstant;
      inner.data = outer.data;
      inner.quant = outer.quant;
      inner.type = outer.type;
      g.captures.erase(g.captures.begin() + static_cast<long>(c));
    }
    node.captures.erase(node.captures.begin() + static_cast<long>(c));
  }
}

// Bytes of a value with a static shape; an error when they are more than `most`.
Result<int64_t> bytes_of(const Value& value, int64_t most) {
  const auto elements = checked_elements(known_dims(*value.type.shape));
  const auto bytes = elements ? storage_bytes(value.type.dtype, *elements) : std::nullopt;
  if (!bytes || *bytes > most) {
    return limit_exceeded("value '" + value.name + "' of type " + value.type.str() +
                          " is larger than the " + std::to_string(most) +
                          " bytes of memory this process may use");
  }
  return *bytes;
}

}  // namespace

struct Plan::Step {
  std::unique_ptr<Executable> executable;
  NestedExecutable* nested = nullptr;  // the same, when it runs plans
  std::vector<ValueId> in_values, out_values;
  std::vector<Tensor> in, out;
  std::vector<Slot> loose_in, loose_out;
  std::vector<ValueId> released;  // loose values nobody reads afterwards
  int64_t workspace_bytes = 0;
  std::vector<StepProfile> profile;
};

Plan::Plan(Graph graph, const PlanOptions& options, InputMemory memory, int depth)
    : graph_(std::move(graph)),
      options_(options),
      memory_(memory),
      depth_(depth),
      most_bytes_(usable_memory()) {}

Plan::~Plan() = default;

Result<std::unique_ptr<Plan>> Plan::compile(Graph graph, const PlanOptions& options,
                                            InputMemory memory, int depth) {
  std::unique_ptr<Plan> plan(new Plan(std::move(graph), options, memory, depth));
  MNN_RETURN_IF_ERROR(plan->build());
  return plan;
}

Status Plan::build() {
  MNN_ASSIGN_OR_RETURN(const int folded, fold_constants(graph_));
  (void)folded;
  MNN_ASSIGN_OR_RETURN(const std::vector<int> lanes,
                       legalize(graph_, options_.backends, depth_ >= kMaxLateDepth));
  // Backends make plans as long as what they plan for.
  for (const Node& node : graph_.nodes) {
    for (const auto* list : {&node.inputs, &node.outputs}) {
      for (const ValueId v : *list) {
        if (v == kNoValue) continue;
        const Value& value = graph_.value(v);
        if (value.type.is_static() && value.type.dtype != DType::kString)
          MNN_RETURN_IF_ERROR(bytes_of(value, most_bytes_).status());
      }
    }
  }
  storage_.assign(graph_.values.size(), Storage::kNone);
  tensors_.resize(graph_.values.size());
  auto set_storage = [&](ValueId v, bool buffer) {
    const Type& type = graph_.value(v).type;
    storage_[static_cast<size_t>(v)] = buffer && type.is_static() && type.dtype != DType::kString
                                           ? Storage::kBuffer
                                           : Storage::kLoose;
  };
  for (size_t v = 0; v < graph_.values.size(); ++v) {
    if (is_stored(graph_.values[v])) storage_[v] = Storage::kFixed;
  }
  for (const ValueId v : graph_.inputs) set_storage(v, memory_ == InputMemory::kOwned);

  for (const Segment& segment : partition(graph_, lanes, kControlLane, kLateLane)) {
    for (const ValueId v : segment.outputs) set_storage(v, segment.lane != kLateLane);
    switch (segment.lane) {
      case kControlLane: MNN_RETURN_IF_ERROR(add_control(segment)); break;
      case kLateLane: add_late(segment); break;
      default: MNN_RETURN_IF_ERROR(add_segment(segment)); break;
    }
  }
  if (options_.outline) return {};
  MNN_RETURN_IF_ERROR(place());
  return connect();
}

void Plan::add_step(std::unique_ptr<Step> step) {
  step->workspace_bytes = step->executable->workspace_bytes();
  steps_.push_back(std::move(step));
}

Status Plan::add_segment(const Segment& segment) {
  auto step = std::make_unique<Step>();
  const Graph part = extract(graph_, segment);
  if (options_.outline) {
    step->executable = make_outline(part, options_.backends, segment.lane);
  } else {
    const Backend& backend = *options_.backends[static_cast<size_t>(segment.lane)];
    auto executable = backend.compile(part, options_.compile);
    if (!executable.ok()) return executable.status().context("backend " + backend.name());
    step->executable = std::move(executable).value();
  }
  step->in_values = segment.inputs;
  step->out_values = segment.outputs;
  add_step(std::move(step));
  return {};
}

Status Plan::add_control(const Segment& segment) {
  Node node = graph_.node(segment.nodes[0]);
  internalize_constants(graph_, node);
  auto step = std::make_unique<Step>();
  for (const auto* list : {&node.inputs, &node.captures}) {
    for (const ValueId v : *list) {
      if (v != kNoValue) step->in_values.push_back(v);
    }
  }
  step->out_values = segment.outputs;
  // Which of the node's outputs are wanted, in the order of the step's.
  for (ValueId& v : node.outputs) {
    const auto& wanted = segment.outputs;
    if (std::find(wanted.begin(), wanted.end(), v) == wanted.end()) v = kNoValue;
  }
  auto control = make_control(graph_, std::move(node), options_, depth_ + 1);
  grows_ |= control->grows();
  step->nested = control.get();
  step->executable = std::move(control);
  add_step(std::move(step));
  return {};
}

void Plan::add_late(const Segment& segment) {
  auto step = std::make_unique<Step>();
  auto late = make_late(extract(graph_, segment), options_, depth_ + 1);
  step->nested = late.get();
  step->executable = std::move(late);
  step->in_values = segment.inputs;
  step->out_values = segment.outputs;
  add_step(std::move(step));
}

// Every buffer lives from the step that fills it to the last that reads it; inputs and outputs,
// which the caller sees between runs, always. A step's scratch lives during that step.
Status Plan::place() {
  const int end = static_cast<int>(steps_.size());
  std::vector<Lifetime> lifetimes;
  std::vector<int> buffer_of(graph_.values.size(), -1);
  auto buffer = [&](ValueId v, int step) -> Status {
    const auto i = static_cast<size_t>(v);
    if (storage_[i] != Storage::kBuffer) return {};
    if (buffer_of[i] < 0) {
      MNN_ASSIGN_OR_RETURN(const int64_t bytes, bytes_of(graph_.value(v), most_bytes_));
      buffer_of[i] = static_cast<int>(lifetimes.size());
      lifetimes.push_back({step, step, bytes});
    }
    Lifetime& life = lifetimes[static_cast<size_t>(buffer_of[i])];
    life.first = std::min(life.first, step);
    life.last = std::max(life.last, step);
    return {};
  };
  for (const auto* list : {&graph_.inputs, &graph_.outputs}) {
    for (const ValueId v : *list) {
      MNN_RETURN_IF_ERROR(buffer(v, end));
      if (list == &graph_.inputs) MNN_RETURN_IF_ERROR(buffer(v, 0));
    }
  }
  for (int s = 0; s < end; ++s) {
    const Step& step = *steps_[static_cast<size_t>(s)];
    for (const ValueId v : step.in_values) MNN_RETURN_IF_ERROR(buffer(v, s));
    for (const ValueId v : step.out_values) MNN_RETURN_IF_ERROR(buffer(v, s));
  }
  const size_t values = lifetimes.size();
  for (int s = 0; s < end; ++s) {
    lifetimes.push_back({s, s, steps_[static_cast<size_t>(s)]->workspace_bytes});
  }
  const MemoryPlan placed = plan_memory(lifetimes);
  arena_bytes_ = placed.arena_bytes;
  // Memory is granted lazily: asking for more than there is would end in a kill, not in an error.
  if (arena_bytes_ > most_bytes_) {
    return limit_exceeded("activations need " + std::to_string(arena_bytes_) +
                          " bytes, the process may use " + std::to_string(most_bytes_));
  }
  auto arena = Tensor::allocate(DType::kU8, {arena_bytes_});
  if (!arena.ok()) return arena.status().context("activations");
  arena_ = std::make_shared<Tensor>(std::move(arena).value());
  for (size_t v = 0; v < buffer_of.size(); ++v) {
    if (buffer_of[v] < 0) continue;
    const Type& type = graph_.values[v].type;
    std::byte* data = arena_->raw() + placed.offsets[static_cast<size_t>(buffer_of[v])];
    tensors_[v] = Tensor::wrap(type.dtype, known_dims(*type.shape), data, arena_);
  }
  for (size_t s = 0; s < steps_.size(); ++s) {
    MNN_RETURN_IF_ERROR(steps_[s]->executable->bind(arena_->raw() + placed.offsets[values + s]));
  }
  return {};
}

// Hands every step the tensors that stay the same from run to run, and lists those that do not.
Status Plan::connect() {
  auto fixed = [&](ValueId v) -> Status {
    const auto i = static_cast<size_t>(v);
    if (storage_[i] != Storage::kFixed || tensors_[i].defined()) return {};
    MNN_ASSIGN_OR_RETURN(tensors_[i], constant_as_real(graph_.value(v)));
    return {};
  };
  std::vector<int> last_reader(graph_.values.size(), -1);
  for (size_t s = 0; s < steps_.size(); ++s) {
    Step& step = *steps_[s];
    for (const ValueId v : step.in_values) {
      MNN_RETURN_IF_ERROR(fixed(v));
      const auto i = static_cast<size_t>(v);
      if (storage_[i] == Storage::kLoose) step.loose_in.push_back({step.in.size(), v});
      step.in.push_back(tensors_[i]);
      last_reader[i] = static_cast<int>(s);
    }
    for (const ValueId v : step.out_values) {
      const auto i = static_cast<size_t>(v);
      if (storage_[i] == Storage::kLoose) {
        step.loose_out.push_back({step.out.size(), v});
        grows_ = true;
      }
      step.out.push_back(tensors_[i]);
      last_reader[i] = std::max(last_reader[i], static_cast<int>(s));
    }
  }
  for (const ValueId v : graph_.outputs) {
    MNN_RETURN_IF_ERROR(fixed(v));
    outputs_.push_back(tensors_[static_cast<size_t>(v)]);
    loose_outputs_ |= storage_[static_cast<size_t>(v)] == Storage::kLoose;
    last_reader[static_cast<size_t>(v)] = -1;
  }
  for (size_t v = 0; v < last_reader.size(); ++v) {
    if (storage_[v] == Storage::kLoose && last_reader[v] >= 0) {
      steps_[static_cast<size_t>(last_reader[v])]->released.push_back(static_cast<ValueId>(v));
    }
  }
  for (const ValueId v : graph_.inputs) inputs_.push_back(tensors_[static_cast<size_t>(v)]);
  return {};
}

void Plan::feed(size_t i, const Tensor& tensor) {
  tensors_[static_cast<size_t>(graph_.inputs[i])] = tensor;
}

bool Plan::in_arena(const Tensor& tensor) const {
  if (tensor.form() == Tensor::Form::kSequence) {
    const std::vector<Tensor>& items = tensor.items();
    return std::any_of(items.begin(), items.end(), [this](const Tensor& t) { return in_arena(t); });
  }
  const std::byte* begin = arena_->raw();
  return tensor.raw() != nullptr && tensor.raw() >= begin && tensor.raw() < begin + arena_bytes_;
}

Status Plan::run() {
  for (const auto& owned : steps_) {
    Step& step = *owned;
    for (const Slot& slot : step.loose_in) {
      step.in[slot.index] = tensors_[static_cast<size_t>(slot.value)];
    }
    MNN_RETURN_IF_ERROR(step.executable->run(step.in, step.out));
    for (const Slot& slot : step.loose_out) {
      Tensor& made = tensors_[static_cast<size_t>(slot.value)];
      made = std::move(step.out[slot.index]);
      step.out[slot.index] = {};
      // A view of an input, perhaps: the place will be used again while the value lives.
      if (!in_arena(made)) continue;
      MNN_ASSIGN_OR_RETURN(made, made.clone());
    }
    for (const Slot& slot : step.loose_in) step.in[slot.index] = {};
    for (const ValueId v : step.released) tensors_[static_cast<size_t>(v)] = {};
  }
  if (!loose_outputs_) return {};
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const auto v = static_cast<size_t>(graph_.outputs[i]);
    if (storage_[v] == Storage::kLoose) outputs_[i] = tensors_[v];
  }
  return {};
}

void Plan::add_memory(MemoryInfo& info, PackedBytes& packed) const {
  info.arena_bytes += arena_bytes_;
  info.grows |= grows_;
  for (const auto& step : steps_) {
    step->executable->count_weights(packed);
    if (step->nested == nullptr) continue;
    step->nested->for_each_cache([&](PlanCache& cache) {
      cache.for_each([&](const Plan& plan) { plan.add_memory(info, packed); });
    });
  }
}

void Plan::add_steps(std::vector<StepInfo>& steps) const {
  for (const auto& step : steps_) {
    for (StepInfo& info : step->executable->steps()) steps.push_back(std::move(info));
    if (step->nested == nullptr) continue;
    step->nested->for_each_cache([&](PlanCache& cache) {
      if (const Plan* plan = cache.latest()) plan->add_steps(steps);
    });
  }
}

MacCounts Plan::macs() const {
  MacCounts sum;
  for (const auto& step : steps_) {
    for (const StepInfo& info : step->executable->steps()) {
      sum.all += static_cast<double>(info.macs);
      if (is_int8(info.form)) sum.int8 += static_cast<double>(info.macs);
    }
    if (step->nested == nullptr) continue;
    const MacCounts inside = step->nested->macs();
    sum.all += inside.all;
    sum.int8 += inside.int8;
  }
  return sum;
}

void Plan::start_timer(Step& step) {
  if (step.profile.empty()) {
    for (StepInfo& info : step.executable->steps()) step.profile.push_back({std::move(info), 0, 0});
  }
  step.executable->set_timer([&step](size_t i, int64_t ns) {
    if (i >= step.profile.size()) return;
    ++step.profile[i].calls;
    step.profile[i].total_ns += ns;
  });
}

void Plan::set_profiling(bool on) {
  for (const auto& step : steps_) {
    if (on) {
      start_timer(*step);
    } else {
      step->executable->set_timer(nullptr);
    }
    if (step->nested == nullptr) continue;
    step->nested->for_each_cache([&](PlanCache& cache) { cache.set_profiling(on); });
  }
}

void Plan::add_profile(std::vector<StepProfile>& profile) const {
  for (const auto& step : steps_) {
    profile.insert(profile.end(), step->profile.begin(), step->profile.end());
    if (step->nested == nullptr) continue;
    step->nested->for_each_cache([&](PlanCache& cache) {
      cache.for_each([&](const Plan& plan) { plan.add_profile(profile); });
    });
  }
}

}  // namespace mnn
