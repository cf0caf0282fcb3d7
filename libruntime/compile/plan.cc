#include "libruntime/compile/plan.h"

#include <algorithm>
#include <chrono>

#include "libruntime/compile/partition.h"
#include "libruntime/compile/plan_cache.h"
#include "libruntime/compile/plan_step.h"
#include "libruntime/compile/transfer.h"
#include "libruntime/core/fold.h"
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

}  // namespace

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

// With backends that must take every node: all that they do not take, each with the reason.
Status Plan::refuse_fallback() const {
  if (options_.wanted >= options_.backends.size()) return {};
  std::string all;
  size_t count = 0;
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    if (lanes_[n] < static_cast<int>(options_.wanted)) continue;
    const Node& node = graph_.nodes[n];
    all += "\n  node " + display_name(graph_, node) + " (" + node.op + ")";
    for (size_t b = 0; b < options_.wanted; ++b) {
      const Backend& backend = *options_.backends[b];
      all += (b == 0 ? ": " : "; ") + backend.name() + ": " +
             backend.why_not(graph_, node).value_or("waits for shapes that depend on data");
    }
    ++count;
  }
  if (count == 0) return {};
  return unsupported("without a fallback " + std::to_string(count) +
                     (count == 1 ? " node cannot run:" : " nodes cannot run:") + all);
}

Status Plan::build() {
  MNN_ASSIGN_OR_RETURN(const int folded, fold_constants(graph_));
  (void)folded;
  MNN_ASSIGN_OR_RETURN(lanes_, legalize(graph_, options_.backends, depth_ >= kMaxLateDepth));
  MNN_RETURN_IF_ERROR(refuse_fallback());
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
  spaces_.resize(options_.backends.size());

  for (const Segment& segment : partition(graph_, lanes_, kControlLane, kLateLane)) {
    for (const ValueId v : segment.outputs) set_storage(v, segment.lane != kLateLane);
    switch (segment.lane) {
      case kControlLane: MNN_RETURN_IF_ERROR(add_control(segment)); break;
      case kLateLane: add_late(segment); break;
      default: MNN_RETURN_IF_ERROR(add_segment(segment)); break;
    }
  }
  if (options_.outline) return {};
  find_waits();
  MNN_RETURN_IF_ERROR(place());
  return connect();
}

Stream* Plan::stream_of(int lane) const {
  const auto i = static_cast<size_t>(lane);
  return lane >= 0 && i < options_.streams.size() ? options_.streams[i] : nullptr;
}

void Plan::add_step(std::unique_ptr<Step> step) {
  step->workspaces = step->executable->workspaces();
  steps_.push_back(std::move(step));
}

void Plan::add_upload(ValueId v, int device) {
  Space& space = *spaces_[static_cast<size_t>(device)];
  if (space.holds[static_cast<size_t>(v)]) return;
  space.holds[static_cast<size_t>(v)] = 1;
  auto step = std::make_unique<Step>();
  step->executable = make_upload(graph_.value(v), *space.stream);
  step->device = device;
  step->in_values = {v};
  step->device_out = {v};
  add_step(std::move(step));
}

void Plan::add_download(ValueId v, int device) {
  Space& space = *spaces_[static_cast<size_t>(device)];
  auto step = std::make_unique<Step>();
  step->executable = make_download(graph_.value(v), *space.stream);
  step->device = device;
  step->device_in = {v};
  step->out_values = {v};
  add_step(std::move(step));
}

Status Plan::add_segment(const Segment& segment) {
  auto step = std::make_unique<Step>();
  const Graph part = extract(graph_, segment);
  const auto lane = static_cast<size_t>(segment.lane);
  if (options_.outline) {
    step->executable = make_outline(part, options_.backends, segment.lane);
    step->in_values = segment.inputs;
    step->out_values = segment.outputs;
    add_step(std::move(step));
    return {};
  }
  const Backend& backend = *options_.backends[lane];
  CompileOptions compile = options_.compile;
  compile.stream = stream_of(segment.lane);
  auto executable = backend.compile(part, compile);
  if (!executable.ok()) return executable.status().context("backend " + backend.name());
  step->executable = std::move(executable).value();
  if (compile.stream == nullptr) {
    step->in_values = segment.inputs;
    step->out_values = segment.outputs;
    add_step(std::move(step));
    return {};
  }
  if (spaces_[lane] == nullptr) {
    spaces_[lane] = std::make_unique<Space>();
    Space& fresh = *spaces_[lane];
    fresh.stream = compile.stream;
    MNN_ASSIGN_OR_RETURN(fresh.info, backend.device());
    fresh.holds.assign(graph_.values.size(), 0);
    fresh.places.resize(graph_.values.size());
  }
  for (const ValueId v : segment.inputs) add_upload(v, segment.lane);
  step->device = segment.lane;
  step->starts = true;
  step->device_in = segment.inputs;
  step->device_out = segment.outputs;
  for (const ValueId v : segment.outputs) spaces_[lane]->holds[static_cast<size_t>(v)] = 1;
  add_step(std::move(step));
  spaces_[lane]->started.reserve(steps_.size());
  for (const ValueId v : segment.outputs) {
    if (needed_on_host(v, segment.lane)) add_download(v, segment.lane);
  }
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

Status Plan::wait_for(int device) {
  Space& space = *spaces_[static_cast<size_t>(device)];
  const auto since = std::chrono::steady_clock::now();
  Status status = space.stream->wait();
  waited_ns_ += std::chrono::nanoseconds(std::chrono::steady_clock::now() - since).count();
  if (!status.ok()) failed_device_ = device;
  for (Executable* executable : space.started) {
    if (status.ok()) status = executable->finish();
  }
  space.started.clear();
  if (status.ok()) return status;
  return status.context("backend " + options_.backends[static_cast<size_t>(device)]->name());
}

Status Plan::wait_for_all() {
  Status first;
  for (size_t d = 0; d < spaces_.size(); ++d) {
    if (spaces_[d] == nullptr) continue;
    const Status status = wait_for(static_cast<int>(d));
    if (first.ok()) first = status;
  }
  return first;
}

Status Plan::run_step(Step& step) {
  for (const int device : step.waits) MNN_RETURN_IF_ERROR(wait_for(device));
  if (step.starts) {
    spaces_[static_cast<size_t>(step.device)]->started.push_back(step.executable.get());
    const Status status = step.executable->start();
    if (status.ok()) return status;
    failed_device_ = step.device;
    return status.context("backend " + options_.backends[static_cast<size_t>(step.device)]->name());
  }
  for (const Slot& slot : step.loose_in) {
    step.in[slot.index] = tensors_[static_cast<size_t>(slot.value)];
  }
  const Status ran = step.executable->run(step.in, step.out);
  if (!ran.ok() && step.device >= 0) {  // a transfer
    failed_device_ = step.device;
    return ran.context("backend " + options_.backends[static_cast<size_t>(step.device)]->name());
  }
  MNN_RETURN_IF_ERROR(ran);
  // What has no place of its own may be gone before the device has read it.
  if (step.device >= 0 && !step.loose_in.empty()) MNN_RETURN_IF_ERROR(wait_for(step.device));
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
  return {};
}

Status Plan::run() {
  failed_device_ = -1;
  Status status;
  for (const auto& step : steps_) {
    status = run_step(*step);
    if (!status.ok()) break;
  }
  // Also after an error: what is queued reads and writes this plan's memory.
  const Status rest = wait_for_all();
  MNN_RETURN_IF_ERROR(status);
  MNN_RETURN_IF_ERROR(rest);
  if (!loose_outputs_) return {};
  for (size_t i = 0; i < outputs_.size(); ++i) {
    const auto v = static_cast<size_t>(graph_.outputs[i]);
    if (storage_[v] == Storage::kLoose) outputs_[i] = tensors_[v];
  }
  return {};
}

void Plan::add_memory(MemoryInfo& info, PackedBytes& packed) const {
  info.arena_bytes += arena_bytes_;
  for (const auto& space : spaces_) {
    if (space != nullptr) info.device_bytes += space->bytes;
  }
  info.grows |= grows_;
  for (const auto& step : steps_) {
    step->executable->count_weights(packed);
    if (step->nested == nullptr) continue;
    step->nested->for_each_cache([&](PlanCache& cache) {
      cache.for_each([&](const Plan& plan) { plan.add_memory(info, packed); });
    });
  }
}

int64_t Plan::waited_ns() const {
  int64_t sum = waited_ns_;
  for (const auto& step : steps_) {
    if (step->nested == nullptr) continue;
    step->nested->for_each_cache([&](PlanCache& cache) {
      cache.for_each([&](const Plan& plan) { sum += plan.waited_ns(); });
    });
  }
  return sum;
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
