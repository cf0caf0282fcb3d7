#include "libruntime/session.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "libruntime/compile/plan.h"
#include "libruntime/compile/plan_cache.h"
#include "libruntime/compile/registry.h"
#include "libruntime/core/bind_shapes.h"
#include "libruntime/core/fold.h"
#include "libruntime/core/half.h"

namespace mnn {
namespace {

using InputDims = std::vector<std::vector<int64_t>>;

// Every state gets bytes of its own to live in; the given graph keeps the initial ones.
Status own_states(Graph& graph) {
  for (Value& value : graph.values) {
    if (value.kind != ValueKind::kState) continue;
    if (!value.data.defined()) {
      if (!value.type.is_static()) {
        return invalid("state '" + value.name + "' has open type " + value.type.str());
      }
      MNN_ASSIGN_OR_RETURN(value.data,
                           Tensor::allocate(value.type.dtype, known_dims(*value.type.shape)));
      continue;
    }
    MNN_ASSIGN_OR_RETURN(value.data, value.data.clone());
  }
  for (Node& node : graph.nodes) {
    for (Graph& g : node.subgraphs) MNN_RETURN_IF_ERROR(own_states(g));
  }
  return {};
}

template <typename F>
void for_each_value(const Graph& graph, F&& f) {
  for (const Value& value : graph.values) f(value);
  for (const Node& node : graph.nodes) {
    for (const Graph& g : node.subgraphs) for_each_value(g, f);
  }
}

void copy_bytes(const Tensor& from, Tensor& to) {
  if (from.dtype() == DType::kString) {
    to.string_values() = from.string_values();
  } else if (from.bytes() > 0) {
    std::memcpy(to.raw(), from.raw(), static_cast<size_t>(from.bytes()));
  }
}

}  // namespace

struct Session::Impl {
  struct State {
    std::string name;
    Tensor live, initial;
  };
  // What output `from` of the base graph holds after a run goes to `to`; through `staged` where it
  // is a state itself, which another update may overwrite first.
  struct Update {
    size_t from;
    Tensor to, staged;
  };

  Graph given;
  std::shared_ptr<Engine> engine;
  std::vector<std::unique_ptr<Stream>> streams;  // per backend; null: host memory
  std::vector<State> states;
  std::vector<Update> updates;
  PlanOptions options;
  // Of the base graph: folded as far as open shapes allow; its states are live.
  std::optional<PlanCache> plans;
  std::vector<Tensor> inputs;  // of the current plan, as the caller sees them
  std::vector<std::string> barred;

  Plan* current() const { return plans->latest(); }
  std::string input_name(size_t i) const {
    const std::string& name = given.value(given.inputs[i]).name;
    return name.empty() ? "input " + std::to_string(i) : "input '" + name + "'";
  }

  Status open_backends(const std::vector<std::string>& names, bool fallback);
  Status collect_states(Graph& base);
  Status collect_updates(Graph& base);
  Status apply_updates();
  Status check_type(size_t i, const Tensor& tensor) const;
  Status take_inputs();
  Status plan_inputs(const InputDims& input_dims);
  Status run_without(int device, const Status& failure);
};

// What devices do not take goes to the CPU, and what that does not take to the reference.
Status Session::Impl::open_backends(const std::vector<std::string>& names, bool fallback) {
  std::vector<std::string> wanted = names;
  auto add = [&](const char* name) {
    if (std::find(wanted.begin(), wanted.end(), name) == wanted.end()) wanted.emplace_back(name);
  };
  for (const std::string& name : names) {
    MNN_ASSIGN_OR_RETURN(const BackendRow* row, find_backend(name));
    if (row->device) add("cpu");
  }
  add("reference");
  for (const std::string& name : wanted) {
    MNN_ASSIGN_OR_RETURN(const Backend* backend, engine->backend(name));
    options.backends.push_back(backend);
    streams.emplace_back();
    // A plan can be told without the device.
    if (!engine->plan_only()) {
      MNN_ASSIGN_OR_RETURN(streams.back(), backend->open());
    }
    options.streams.push_back(streams.back().get());
    if (name == "reference") break;  // it takes everything: what comes after has nothing to do
  }
  if (!fallback) options.wanted = names.size();
  options.compile = {&engine->pool(), &engine->weights(), nullptr};
  return {};
}

Status Session::Impl::collect_states(Graph& base) {
  MNN_RETURN_IF_ERROR(own_states(base));
  Status status;
  for_each_value(base, [&](const Value& value) {
    if (value.kind != ValueKind::kState || !status.ok()) return;
    auto initial = value.data.clone();
    if (!initial.ok()) {
      status = initial.status();
      return;
    }
    states.push_back({value.name, value.data, std::move(initial).value()});
  });
  return status;
}

// What the states become is computed like outputs, behind the graph's own.
Status Session::Impl::collect_updates(Graph& base) {
  for (const auto& [state, next] : base.updates) {
    Update update{base.outputs.size(), base.value(state).data, {}};
    const Value& from = base.value(next);
    if (from.kind == ValueKind::kState) {
      MNN_ASSIGN_OR_RETURN(update.staged, from.data.clone());
    }
    const auto known = std::find(base.outputs.begin(), base.outputs.end(), next);
    update.from = static_cast<size_t>(known - base.outputs.begin());
    if (known == base.outputs.end()) base.outputs.push_back(next);
    updates.push_back(std::move(update));
  }
  base.updates.clear();
  return {};
}

Status Session::Impl::apply_updates() {
  for (Update& u : updates) {
    const Tensor& next = current()->output(u.from);
    if (next.dtype() != u.to.dtype() || next.dims() != u.to.dims()) {
      return invalid("a state of type " + u.to.type_str() + " cannot become " + next.type_str());
    }
    if (u.staged.defined()) copy_bytes(next, u.staged);
  }
  for (Update& u : updates) {
    copy_bytes(u.staged.defined() ? u.staged : current()->output(u.from), u.to);
  }
  return {};
}

BackendChoice::BackendChoice() : backends{"cpu"} {}
BackendChoice::BackendChoice(std::vector<std::string> names) : backends(std::move(names)) {}
BackendChoice::BackendChoice(std::initializer_list<std::string> names) : backends(names) {}
SessionOptions::SessionOptions() = default;

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::create(Graph graph, const SessionOptions& options) {
  MNN_ASSIGN_OR_RETURN(std::shared_ptr<Engine> engine, Engine::create(options));
  return create(std::move(graph), std::move(engine), options);
}

Result<std::unique_ptr<Session>> Session::create(Graph graph, std::shared_ptr<Engine> engine,
                                                 const BackendChoice& choice) {
  MNN_RETURN_IF_ERROR(verify(graph));
  if (!graph.captures.empty()) {
    return invalid("expected a model, found a sub-graph that captures outer values");
  }
  auto impl = std::make_unique<Impl>();
  impl->engine = std::move(engine);
  MNN_RETURN_IF_ERROR(impl->open_backends(choice.backends, choice.fallback));
  impl->given = std::move(graph);
  Graph base = impl->given;
  // The reference computes with the types it finds.
  const bool fast = impl->options.backends.size() > 1;
  MNN_RETURN_IF_ERROR(fast ? widen(base, WideConstants::kStored) : widen_constants(base));
  MNN_ASSIGN_OR_RETURN(const int folded, fold_constants(base));
  (void)folded;
  MNN_RETURN_IF_ERROR(impl->collect_states(base));
  MNN_RETURN_IF_ERROR(impl->collect_updates(base));
  impl->plans.emplace(std::move(base), impl->options, InputMemory::kOwned, 0);
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Result<std::vector<StepInfo>> Session::outline(Graph graph, const InputDims& input_dims,
                                               const SessionOptions& options) {
  SessionOptions plan = options;
  plan.plan_only = true;
  MNN_ASSIGN_OR_RETURN(const auto session, create(std::move(graph), plan));
  Impl& s = *session->impl_;
  s.options.outline = true;
  Graph base = s.plans->graph();
  MNN_RETURN_IF_ERROR(bind_inputs(base, input_dims));
  MNN_ASSIGN_OR_RETURN(const auto compiled,
                       Plan::compile(std::move(base), s.options, InputMemory::kFed, 0));
  std::vector<StepInfo> steps;
  compiled->add_steps(steps);
  return steps;
}

Status Session::prepare() {
  MNN_ASSIGN_OR_RETURN(const InputDims dims, static_input_dims(impl_->given));
  return prepare(dims);
}

Status Session::prepare(const InputDims& input_dims) { return impl_->plan_inputs(input_dims); }

Status Session::Impl::plan_inputs(const InputDims& input_dims) {
  const Plan* before = current();
  MNN_ASSIGN_OR_RETURN(Plan * plan, plans->find(input_dims));
  if (plan == before) return {};
  inputs.clear();
  for (size_t i = 0; i < plan->input_count(); ++i) {
    inputs.push_back(plan->input(i));
    if (inputs.back().defined()) continue;
    // Strings have no place in an arena.
    const Type& type = given.value(given.inputs[i]).type;
    if (type.kind != Type::Kind::kTensor) continue;
    MNN_ASSIGN_OR_RETURN(inputs.back(), Tensor::allocate(type.dtype, input_dims[i]));
  }
  return {};
}

// The run once more, by the other backends.
Status Session::Impl::run_without(int device, const Status& failure) {
  InputDims dims;
  std::vector<Tensor> values;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Tensor own = inputs[i];
    if (current()->input(i).defined()) {
      MNN_ASSIGN_OR_RETURN(own, own.clone());
    }
    dims.push_back(own.defined() ? own.dims() : std::vector<int64_t>());
    values.push_back(std::move(own));
  }
  barred.push_back(failure.message());
  options.backends.erase(options.backends.begin() + device);
  options.streams.erase(options.streams.begin() + device);
  Graph base = plans->graph();
  plans.emplace(std::move(base), options, InputMemory::kOwned, 0);
  MNN_RETURN_IF_ERROR(plan_inputs(dims));
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (current()->input(i).defined()) {
      copy_bytes(values[i], inputs[i]);
    } else {
      inputs[i] = values[i];
    }
  }
  MNN_RETURN_IF_ERROR(take_inputs());
  return current()->run();
}

Tensor& Session::input(size_t i) {
  assert(i < impl_->inputs.size());
  return impl_->inputs[i];
}

const Tensor& Session::output(size_t i) const {
  assert(impl_->current() != nullptr);
  return impl_->current()->output(i);
}

Status Session::Impl::check_type(size_t i, const Tensor& tensor) const {
  const Type& type = given.value(given.inputs[i]).type;
  if (can_hold(type, tensor)) return {};
  const std::string expected =
      type.kind == Type::Kind::kTensor ? std::string(dtype_name(type.dtype)) : type.str();
  return invalid(input_name(i) + ": expected type " + expected + ", found " + tensor.type_str());
}

// A caller may have put a tensor of its own in the place of the session's buffer.
Status Session::Impl::take_inputs() {
  Plan& plan = *current();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& buffer = plan.input(i);
    if (!buffer.defined()) {
      MNN_RETURN_IF_ERROR(check_type(i, inputs[i]));
      plan.feed(i, inputs[i]);
      continue;
    }
    if (inputs[i].raw() == buffer.raw()) continue;
    MNN_RETURN_IF_ERROR(check_type(i, inputs[i]));
    if (inputs[i].dims() != buffer.dims()) {
      return invalid(input_name(i) + ": prepared for " + buffer.type_str() + ", found " +
                     inputs[i].type_str());
    }
    Tensor own = buffer;
    copy_bytes(inputs[i], own);
    inputs[i] = std::move(own);
  }
  return {};
}

Status Session::run() {
  if (impl_->current() == nullptr) return usage_error("prepare the session before running it");
  if (impl_->engine->plan_only()) return usage_error("an engine that only plans runs nothing");
  MNN_RETURN_IF_ERROR(impl_->take_inputs());
  Impl& s = *impl_;
  Status status = s.current()->run();
  while (!status.ok() && s.current()->failed_device() >= 0 && s.states.empty() &&
         s.options.wanted == SIZE_MAX) {
    status = s.run_without(s.current()->failed_device(), status);
  }
  MNN_RETURN_IF_ERROR(status);
  return s.apply_updates();
}

Result<std::vector<Tensor>> Session::run(std::span<const Tensor> inputs) {
  Impl& s = *impl_;
  if (inputs.size() != s.given.inputs.size()) {
    return invalid("expected " + std::to_string(s.given.inputs.size()) + " inputs, found " +
                   std::to_string(inputs.size()));
  }
  InputDims dims;
  for (size_t i = 0; i < inputs.size(); ++i) {
    MNN_RETURN_IF_ERROR(s.check_type(i, inputs[i]));
    dims.push_back(inputs[i].dims());
  }
  MNN_RETURN_IF_ERROR(prepare(dims));
  for (size_t i = 0; i < inputs.size(); ++i) {
    // Strings have a tensor of the session's own, sequences and optionals nothing.
    if (s.given.value(s.given.inputs[i]).type.kind == Type::Kind::kTensor) {
      copy_bytes(inputs[i], s.inputs[i]);
    } else {
      s.inputs[i] = inputs[i];
    }
  }
  MNN_RETURN_IF_ERROR(run());
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < s.given.outputs.size(); ++i) {
    MNN_ASSIGN_OR_RETURN(Tensor copy, output(i).clone());
    outputs.push_back(std::move(copy));
  }
  return outputs;
}

const std::vector<std::string>& Session::barred() const { return impl_->barred; }

void Session::reset_states() {
  for (Impl::State& state : impl_->states) copy_bytes(state.initial, state.live);
}

Result<Tensor> Session::state(std::string_view name) const {
  for (const Impl::State& state : impl_->states) {
    if (state.name == name) return state.live;
  }
  return usage_error("the model has no state '" + std::string(name) + "'");
}

const Graph& Session::graph() const { return impl_->given; }

const Graph& Session::planned() const {
  return impl_->current() ? impl_->current()->graph() : impl_->plans->graph();
}

MemoryInfo Session::memory() const {
  MemoryInfo info;
  std::unordered_set<const std::byte*> counted;  // weights may be shared between values
  for_each_value(planned(), [&](const Value& value) {
    if (!is_stored(value)) return;
    if (counted.insert(value.data.raw()).second) info.weight_bytes += value.data.bytes();
  });
  PackedBytes packed;
  if (impl_->current()) impl_->current()->add_memory(info, packed);
  info.packed_bytes = packed.total();
  return info;
}

std::vector<StepInfo> Session::steps() const {
  std::vector<StepInfo> steps;
  if (impl_->current()) impl_->current()->add_steps(steps);
  return steps;
}

MacCounts Session::macs() const {
  return impl_->current() ? impl_->current()->macs() : MacCounts{};
}

double Session::int8_mac_share() const {
  const MacCounts counts = macs();
  return counts.all > 0 ? counts.int8 / counts.all : 0;
}

int64_t Session::waited_ns() const { return impl_->current() ? impl_->current()->waited_ns() : 0; }

void Session::set_profiling(bool on) { impl_->plans->set_profiling(on); }

std::vector<StepProfile> Session::profile() const {
  std::vector<StepProfile> profile;
  if (impl_->current()) impl_->current()->add_profile(profile);
  return profile;
}

}  // namespace mnn
