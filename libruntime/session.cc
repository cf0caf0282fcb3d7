#include "libruntime/session.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "libruntime/compile/plan.h"
#include "libruntime/core/bind_shapes.h"
#include "libruntime/core/fold.h"
#include "libruntime/core/half.h"
#include "libruntime/thread_pool.h"

namespace mnn {
namespace {

constexpr size_t kKeptPlans = 4;

using InputDims = std::vector<std::vector<int64_t>>;

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

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
  struct PlanEntry {
    InputDims dims;
    std::unique_ptr<Plan> plan;
  };
  struct State {
    Tensor live, initial;
  };
  // What output `from` of the base graph holds after a run goes to `to`; through `staged` where it
  // is a state itself, which another update may overwrite first.
  struct Update {
    size_t from;
    Tensor to, staged;
  };

  Graph given;
  Graph base;  // folded as far as open shapes allow; its states are live
  std::vector<State> states;
  std::vector<Update> updates;
  std::vector<std::unique_ptr<Backend>> backends;
  std::unique_ptr<ThreadPool> pool;
  PlanOptions options;
  std::vector<PlanEntry> plans;  // the most recently used first
  std::vector<Tensor> inputs;    // of the current plan, as the caller sees them
  bool profiling = false;

  Plan* current() const { return plans.empty() ? nullptr : plans.front().plan.get(); }
  std::string input_name(size_t i) const {
    const std::string& name = given.value(given.inputs[i]).name;
    return name.empty() ? "input " + std::to_string(i) : "input '" + name + "'";
  }

  Status open_backends(const SessionOptions& o);
  Status collect_states();
  Status collect_updates();
  Status apply_updates();
  Status check_type(size_t i, const Tensor& tensor) const;
  Status take_inputs();
};

Status Session::Impl::open_backends(const SessionOptions& o) {
  const std::vector<std::string> names = backend_names();
  std::vector<std::string> wanted = o.backends;
  if (std::find(wanted.begin(), wanted.end(), "reference") == wanted.end()) {
    wanted.emplace_back("reference");
  }
  for (const std::string& name : wanted) {
    auto backend = make_backend(name);
    if (backend == nullptr) {
      return usage_error("there is no backend '" + name + "', expected one of " + join(names));
    }
    options.backends.push_back(backend.get());
    backends.push_back(std::move(backend));
    if (name == "reference") break;  // it takes everything: what comes after has nothing to do
  }
  if (!o.isa.empty()) {
    const std::vector<std::string> isas = available_isas();
    if (std::find(isas.begin(), isas.end(), o.isa) == isas.end()) {
      return usage_error("instruction set '" + o.isa + "' is not one this CPU has: " + join(isas));
    }
  }
  if (o.threads < 0) {
    return usage_error("expected 0 or more threads, found " + std::to_string(o.threads));
  }
  pool = std::make_unique<ThreadPool>(o.threads);
  options.compile = {pool.get(), o.isa, o.winograd};
  return {};
}

Status Session::Impl::collect_states() {
  MNN_RETURN_IF_ERROR(own_states(base));
  Status status;
  for_each_value(base, [&](const Value& value) {
    if (value.kind != ValueKind::kState || !status.ok()) return;
    auto initial = value.data.clone();
    if (!initial.ok()) {
      status = initial.status();
      return;
    }
    states.push_back({value.data, std::move(initial).value()});
  });
  return status;
}

// What the states become is computed like outputs, behind the graph's own.
Status Session::Impl::collect_updates() {
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

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::create(Graph graph, const SessionOptions& options) {
  MNN_RETURN_IF_ERROR(verify(graph));
  if (!graph.captures.empty()) {
    return invalid("expected a model, found a sub-graph that captures outer values");
  }
  auto impl = std::make_unique<Impl>();
  MNN_RETURN_IF_ERROR(impl->open_backends(options));
  impl->given = std::move(graph);
  impl->base = impl->given;
  // The reference computes with the types it finds.
  const bool fast = impl->backends.size() > 1;
  MNN_RETURN_IF_ERROR(fast ? widen(impl->base) : widen_constants(impl->base));
  MNN_ASSIGN_OR_RETURN(const int folded, fold_constants(impl->base));
  (void)folded;
  MNN_RETURN_IF_ERROR(impl->collect_states());
  MNN_RETURN_IF_ERROR(impl->collect_updates());
  return std::unique_ptr<Session>(new Session(std::move(impl)));
}

Result<std::vector<StepInfo>> Session::outline(Graph graph, const InputDims& input_dims,
                                               const SessionOptions& options) {
  MNN_ASSIGN_OR_RETURN(const auto session, create(std::move(graph), options));
  Impl& s = *session->impl_;
  s.options.outline = true;
  MNN_RETURN_IF_ERROR(bind_inputs(s.base, input_dims));
  MNN_ASSIGN_OR_RETURN(const auto plan,
                       Plan::compile(std::move(s.base), s.options, InputMemory::kFed, 0));
  std::vector<StepInfo> steps;
  plan->add_steps(steps);
  return steps;
}

Status Session::prepare() {
  MNN_ASSIGN_OR_RETURN(const InputDims dims, static_input_dims(impl_->given));
  return prepare(dims);
}

Status Session::prepare(const InputDims& input_dims) {
  Impl& s = *impl_;
  const auto known = std::find_if(s.plans.begin(), s.plans.end(),
                                  [&](const auto& entry) { return entry.dims == input_dims; });
  if (known != s.plans.end()) {
    if (known == s.plans.begin()) return {};
    std::rotate(s.plans.begin(), known, known + 1);
  } else {
    Graph graph = s.base;
    MNN_RETURN_IF_ERROR(bind_inputs(graph, input_dims));
    MNN_ASSIGN_OR_RETURN(std::unique_ptr<Plan> plan,
                         Plan::compile(std::move(graph), s.options, InputMemory::kOwned, 0));
    if (s.plans.size() == kKeptPlans) s.plans.pop_back();
    s.plans.insert(s.plans.begin(), Impl::PlanEntry{input_dims, std::move(plan)});
  }
  Plan& plan = *s.current();
  plan.set_profiling(s.profiling);
  s.inputs.clear();
  for (size_t i = 0; i < plan.input_count(); ++i) {
    s.inputs.push_back(plan.input(i));
    if (s.inputs.back().defined()) continue;
    // Strings have no place in an arena.
    const Type& type = s.given.value(s.given.inputs[i]).type;
    if (type.kind != Type::Kind::kTensor) continue;
    MNN_ASSIGN_OR_RETURN(s.inputs.back(), Tensor::allocate(type.dtype, input_dims[i]));
  }
  return {};
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
  MNN_RETURN_IF_ERROR(impl_->take_inputs());
  MNN_RETURN_IF_ERROR(impl_->current()->run());
  return impl_->apply_updates();
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

void Session::reset_states() {
  for (Impl::State& state : impl_->states) copy_bytes(state.initial, state.live);
}

const Graph& Session::graph() const { return impl_->given; }

const Graph& Session::planned() const {
  return impl_->current() ? impl_->current()->graph() : impl_->base;
}

MemoryInfo Session::memory() const {
  MemoryInfo info;
  std::unordered_set<const std::byte*> counted;  // weights may be shared between values
  for_each_value(planned(), [&](const Value& value) {
    if (!is_stored(value)) return;
    if (counted.insert(value.data.raw()).second) info.weight_bytes += value.data.bytes();
  });
  if (impl_->current()) impl_->current()->add_memory(info);
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

void Session::set_profiling(bool on) {
  impl_->profiling = on;
  if (impl_->current()) impl_->current()->set_profiling(on);
}

std::vector<StepProfile> Session::profile() const {
  std::vector<StepProfile> profile;
  if (impl_->current()) impl_->current()->add_profile(profile);
  return profile;
}

}  // namespace mnn
