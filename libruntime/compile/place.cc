// Where the values of a plan lie, in host memory and on devices, and when the host waits for those.
#include <algorithm>

#include "libruntime/compile/plan_step.h"
#include "libruntime/core/memory_plan.h"
#include "libruntime/process_limits.h"

namespace mnn {

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

// Every buffer lives from the step that fills it to the last that reads it; inputs and outputs,
// which the caller sees between runs, always. A step's scratch lives during that step. What a
// device reads or writes by itself lives until the device has been waited for.
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
    const bool queued = step.device >= 0 && !step.starts;
    const int done = queued ? next_wait(s, step.device) : s;
    for (const auto* list : {&step.in_values, &step.out_values}) {
      for (const ValueId v : *list) {
        MNN_RETURN_IF_ERROR(buffer(v, s));
        MNN_RETURN_IF_ERROR(buffer(v, done));
      }
    }
  }
  const size_t values = lifetimes.size();
  for (int s = 0; s < end; ++s) {
    const Step& step = *steps_[static_cast<size_t>(s)];
    if (step.starts) continue;
    for (const int64_t bytes : step.workspaces) lifetimes.push_back({s, s, bytes});
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
  size_t next = values;
  for (const auto& step : steps_) {
    if (step->device >= 0) continue;
    std::vector<std::byte*> scratch;
    for (size_t i = 0; i < step->workspaces.size(); ++i) {
      scratch.push_back(arena_->raw() + placed.offsets[next++]);
    }
    MNN_RETURN_IF_ERROR(step->executable->bind({scratch, {}, {}, {}}));
  }
  for (size_t d = 0; d < spaces_.size(); ++d) {
    if (spaces_[d] != nullptr) MNN_RETURN_IF_ERROR(place_on(static_cast<int>(d)));
  }
  return {};
}

// The same for what lies on a device, whose queue does the steps in order.
Status Plan::place_on(int device) {
  Space& space = *spaces_[static_cast<size_t>(device)];
  std::vector<Lifetime> lifetimes;
  std::vector<int> buffer_of(graph_.values.size(), -1);
  for (size_t s = 0; s < steps_.size(); ++s) {
    if (steps_[s]->device != device) continue;
    const auto at = static_cast<int>(s);
    for (const auto* list : {&steps_[s]->device_in, &steps_[s]->device_out}) {
      for (const ValueId v : *list) {
        int& b = buffer_of[static_cast<size_t>(v)];
        if (b < 0) {
          MNN_ASSIGN_OR_RETURN(const int64_t bytes, bytes_of(graph_.value(v), most_bytes_));
          b = static_cast<int>(lifetimes.size());
          lifetimes.push_back({at, at, bytes});
        }
        lifetimes[static_cast<size_t>(b)].last = at;
      }
    }
  }
  const size_t values = lifetimes.size();
  for (size_t s = 0; s < steps_.size(); ++s) {
    if (steps_[s]->device != device || !steps_[s]->starts) continue;
    const auto at = static_cast<int>(s);
    for (const int64_t bytes : steps_[s]->workspaces) lifetimes.push_back({at, at, bytes});
  }
  MNN_ASSIGN_OR_RETURN(const std::vector<BufferGroup> groups, plan_groups(lifetimes, *space.info));
  std::vector<Region> placed(lifetimes.size());
  for (const BufferGroup& group : groups) {
    MNN_ASSIGN_OR_RETURN(
        std::unique_ptr<DeviceBuffer> arena,
        space.stream->allocate(std::max<int64_t>(group.bytes, space.info->alignment)));
    for (size_t i = 0; i < group.members.size(); ++i) {
      placed[group.members[i]] = {arena.get(), group.offsets[i]};
    }
    space.bytes += group.bytes;
    space.arenas.push_back(std::move(arena));
  }
  for (size_t v = 0; v < buffer_of.size(); ++v) {
    if (buffer_of[v] >= 0) space.places[v] = placed[static_cast<size_t>(buffer_of[v])];
  }
  size_t next = values;
  for (const auto& step : steps_) {
    if (step->device != device) continue;
    std::vector<Region> in, out;
    for (const ValueId v : step->device_in) in.push_back(space.places[static_cast<size_t>(v)]);
    for (const ValueId v : step->device_out) out.push_back(space.places[static_cast<size_t>(v)]);
    const size_t count = step->starts ? step->workspaces.size() : 0;
    const std::span scratch = std::span(placed).subspan(next, count);
    next += count;
    MNN_RETURN_IF_ERROR(step->executable->bind({{}, in, out, scratch}));
  }
  return {};
}

// Whether a value a device makes is read anywhere else.
bool Plan::needed_on_host(ValueId v, int device) const {
  for (const ValueId out : graph_.outputs) {
    if (out == v) return true;
  }
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    if (lanes_[n] == device) continue;
    for (const auto* list : {&graph_.nodes[n].inputs, &graph_.nodes[n].captures}) {
      if (std::find(list->begin(), list->end(), v) != list->end()) return true;
    }
  }
  return false;
}

// Where the host must wait: before it reads what a device wrote.
void Plan::find_waits() {
  std::vector<int> writer(graph_.values.size(), -1);  // the device that is writing the host's copy
  for (const auto& step : steps_) {
    for (const ValueId v : step->in_values) {
      const int device = writer[static_cast<size_t>(v)];
      if (device < 0) continue;
      step->waits.push_back(device);
      std::replace(writer.begin(), writer.end(), device, -1);
    }
    if (step->device < 0 || step->starts) continue;
    for (const ValueId v : step->out_values) writer[static_cast<size_t>(v)] = step->device;
  }
}

// The step before which the host next waits for `device`.
int Plan::next_wait(int after, int device) const {
  const int end = static_cast<int>(steps_.size());
  for (int s = after + 1; s < end; ++s) {
    const std::vector<int>& waits = steps_[static_cast<size_t>(s)]->waits;
    if (std::find(waits.begin(), waits.end(), device) != waits.end()) return s - 1;
  }
  return end;
}

}  // namespace mnn
