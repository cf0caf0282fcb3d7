// Placing storages in the workspace, and running steps.
#include <algorithm>
#include <chrono>

#include "libruntime/backends/cpu/plan.h"
#include "libruntime/core/memory_plan.h"
#include "libruntime/thread_pool.h"

namespace mnn::cpu {
namespace {

using Clock = std::chrono::steady_clock;

struct Span {
  int first = INT32_MAX, last = -1;
};

class CpuExecutable : public Executable {
 public:
  CpuExecutable(Plan plan, ThreadPool* pool) : plan_(std::move(plan)), pool_(pool) { place(); }

  std::vector<int64_t> workspaces() const override { return {workspace_bytes_}; }
  void count_weights(PackedBytes& sum) const override {
    for (const PackedPtr& block : plan_.packed) sum.add(block.get(), block->bytes());
    for (const Tensor& t : plan_.moved) sum.add(t.raw(), t.bytes());
  }

  Status bind(const BoundMemory& memory) override {
    for (size_t s = 0; s < plan_.storages.size(); ++s) {
      const Storage& storage = plan_.storages[s];
      if (storage.place == Place::kWorkspace) base_[s] = memory.host[0] + offset_[s];
      if (storage.place == Place::kConstant)
        base_[s] = const_cast<std::byte*>(storage.constant.raw());
    }
    return {};
  }

  Status run(std::span<const Tensor> in, std::span<Tensor> out) override {
    for (const auto& [storage, index] : inputs_) {
      base_[storage] = const_cast<std::byte*>(in[index].raw());
    }
    for (const auto& [storage, index] : outputs_) base_[storage] = out[index].raw();
    error_.clear();
    const Run run(base_.data(), &error_);
    for (size_t s = 0; s < plan_.steps.size(); ++s) {
      const Step& step = plan_.steps[s];
      const auto start = timer_ ? Clock::now() : Clock::time_point();
      run_step(step, run);
      if (timer_) {
        timer_(s,
               std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
      }
      if (error_.is_set()) {
        return invalid(error_.text()).context("node " + step.info.name + " (" + step.info.op + ")");
      }
    }
    return {};
  }

  std::vector<StepInfo> steps() const override {
    std::vector<StepInfo> list;
    for (const Step& step : plan_.steps) list.push_back(step.info);
    return list;
  }
  void set_timer(StepTimer timer) override { timer_ = std::move(timer); }

 private:
  void run_step(const Step& step, const Run& run) {
    for (int phase = 0; phase < step.phases; ++phase) {
      if (step.parts == 1) {
        step.run(run, phase, 0);
      } else {
        pool_->parallel(step.parts, [&](int part) { step.run(run, phase, part); });
      }
    }
  }

  // Steps in order: who uses which storage when; a step that may overwrite an input it is the last
  // to read gets the same bytes for its output.
  void place() {
    std::vector<Storage>& storages = plan_.storages;
    std::vector<Span> spans(storages.size());
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      for (const auto* list : {&plan_.steps[i].reads, &plan_.steps[i].writes}) {
        for (const int s : *list) {
          Span& span = spans[static_cast<size_t>(s)];
          span.first = std::min(span.first, static_cast<int>(i));
          span.last = std::max(span.last, static_cast<int>(i));
        }
      }
    }
    std::vector<int> home(storages.size());  // the storage whose bytes each one uses
    for (size_t s = 0; s < home.size(); ++s) home[s] = static_cast<int>(s);
    for (size_t i = 0; i < plan_.steps.size(); ++i) {
      const Step& step = plan_.steps[i];
      if (step.in_place < 0) continue;
      const auto from = static_cast<size_t>(home[static_cast<size_t>(step.in_place)]);
      const auto to = static_cast<size_t>(step.writes[0]);
      if (from == to || storages[from].place != Place::kWorkspace) continue;
      const auto now = static_cast<int>(i);
      if (spans[from].last != now || spans[to].first != now || home[to] != step.writes[0]) continue;
      if (storages[from].bytes != storages[to].bytes) continue;
      if (storages[to].place == Place::kWorkspace) {
        home[to] = static_cast<int>(from);
        spans[from].last = spans[to].last;
      } else if (storages[to].place == Place::kOutput) {
        // Everything that lived in `from` moves into the output tensor.
        for (int& h : home) {
          if (h == static_cast<int>(from)) h = static_cast<int>(to);
        }
        spans[to].first = spans[from].first;
      }
    }
    std::vector<Lifetime> lifetimes(storages.size());
    for (size_t s = 0; s < storages.size(); ++s) {
      const bool planned = storages[s].place == Place::kWorkspace &&
                           home[s] == static_cast<int>(s) && spans[s].last >= 0;
      if (planned) lifetimes[s] = {spans[s].first, spans[s].last, storages[s].bytes};
    }
    const MemoryPlan memory = plan_memory(lifetimes);
    workspace_bytes_ = memory.arena_bytes;
    base_.assign(storages.size(), nullptr);
    offset_ = memory.offsets;
    for (size_t s = 0; s < storages.size(); ++s) {
      const auto h = static_cast<size_t>(home[s]);
      offset_[s] = memory.offsets[h];
      if (storages[h].place == Place::kOutput) {
        outputs_.emplace_back(s, static_cast<size_t>(storages[h].index));
        storages[s].place = Place::kOutput;
      }
      if (storages[h].place == Place::kInput) {
        inputs_.emplace_back(s, static_cast<size_t>(storages[h].index));
      }
    }
  }

  Plan plan_;
  ThreadPool* pool_;
  StepTimer timer_;
  int64_t workspace_bytes_ = 0;
  std::vector<int64_t> offset_;
  std::vector<std::byte*> base_;
  std::vector<std::pair<size_t, size_t>> inputs_, outputs_;  // storage, index
  DataError error_;
};

}  // namespace

Result<std::unique_ptr<Executable>> make_executable(Plan plan, ThreadPool* pool) {
  return std::unique_ptr<Executable>(new CpuExecutable(std::move(plan), pool));
}

}  // namespace mnn::cpu
