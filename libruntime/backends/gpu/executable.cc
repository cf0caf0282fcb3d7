// A program with its memory, recorded on a queue.
#include <algorithm>

#include "libruntime/backends/gpu/device.h"
#include "libruntime/compile/transfer.h"

namespace mnn::gpu {
namespace {

int64_t whole_words(int64_t bytes) { return (bytes + 3) / 4 * 4; }

class GpuExecutable : public Executable {
 public:
  GpuExecutable(Program program, const DeviceInfo& info, Queue& queue)
      : program_(std::move(program)), info_(info), queue_(queue) {}

  // Constants to the device, and places in the workspace.
  Status prepare(WeightStore& store) {
    for (const DeviceWeights& w : program_.weights) {
      MNN_ASSIGN_OR_RETURN(std::shared_ptr<DeviceBuffer> block, store.find(queue_, w));
      weights_.push_back(std::move(block));
    }
    MNN_RETURN_IF_ERROR(upload_tables());
    const bool checked = std::any_of(program_.storages.begin(), program_.storages.end(),
                                     [](const Storage& s) { return s.place == Place::kError; });
    if (checked) {
      MNN_ASSIGN_OR_RETURN(error_buffer_, queue_.allocate(info_.alignment));
    }
    return place_workspace();
  }

  std::vector<int64_t> workspaces() const override { return block_bytes_; }
  void count_weights(PackedBytes& sum) const override {
    for (size_t i = 0; i < weights_.size(); ++i) {
      sum.add(weights_[i].get(), program_.weights[i].words * 4);
    }
  }
  std::vector<StepInfo> steps() const override {
    std::vector<StepInfo> steps;
    for (const Launch& l : program_.launches) steps.push_back(l.info);
    return steps;
  }
  void set_timer(StepTimer timer) override {
    timer_ = std::move(timer);
    if (recording_ != nullptr) recording_->set_timing(timer_ != nullptr);
  }

  Status bind(const BoundMemory& memory) override {
    std::vector<BoundLaunch> launches;
    for (const Launch& l : program_.launches) {
      BoundLaunch bound{&l, {}};
      for (const int s : l.buffers) bound.buffers.push_back(place_of(s, memory));
      launches.push_back(std::move(bound));
    }
    MNN_ASSIGN_OR_RETURN(recording_, queue_.record(std::move(launches)));
    recording_->set_timing(timer_ != nullptr);
    return {};
  }

  Status start() override {
    if (error_buffer_ != nullptr) {
      MNN_RETURN_IF_ERROR(
          queue_.upload({error_buffer_.get(), 0}, std::as_bytes(std::span(&no_error_, 1))));
    }
    MNN_RETURN_IF_ERROR(recording_->start());
    if (error_buffer_ == nullptr) return {};
    return queue_.download({error_buffer_.get(), 0},
                           std::as_writable_bytes(std::span(&found_error_, 1)));
  }

  Status finish() override {
    if (timer_) {
      MNN_RETURN_IF_ERROR(recording_->read_times(times_));
      for (size_t i = 0; i < times_.size(); ++i) timer_(i, times_[i]);
    }
    if (error_buffer_ != nullptr && found_error_ != 0) return invalid("an index is out of range");
    return {};
  }

 private:
  Status upload_tables() {
    std::vector<int> all;
    const int64_t unit = std::max<int64_t>(1, info_.alignment / 4);
    for (const std::vector<int>& t : program_.tables) {
      table_at_.push_back(static_cast<int64_t>(all.size()) * 4);
      all.insert(all.end(), t.begin(), t.end());
      all.resize((all.size() + static_cast<size_t>(unit) - 1) / static_cast<size_t>(unit) *
                 static_cast<size_t>(unit));
    }
    if (all.empty()) return {};
    const auto bytes = static_cast<int64_t>(all.size()) * 4;
    if (bytes > info_.max_buffer_bytes) {
      return unsupported("index tables of " + std::to_string(bytes) + " bytes, the device allows " +
                         std::to_string(info_.max_buffer_bytes));
    }
    MNN_ASSIGN_OR_RETURN(table_buffer_, queue_.allocate(bytes));
    MNN_RETURN_IF_ERROR(queue_.upload({table_buffer_.get(), 0}, std::as_bytes(std::span(all))));
    MNN_RETURN_IF_ERROR(queue_.wait());
    for (std::vector<int>& t : program_.tables) t = {};
    return {};
  }

  // Each storage lives from the launch that first names it to the last; blocks are no larger than
  // the device allows.
  Status place_workspace() {
    struct Span {
      int first = INT32_MAX, last = -1;
    };
    std::vector<Span> spans(program_.storages.size());
    for (size_t i = 0; i < program_.launches.size(); ++i) {
      for (const int s : program_.launches[i].buffers) {
        Span& span = spans[static_cast<size_t>(s)];
        span.first = std::min(span.first, static_cast<int>(i));
        span.last = std::max(span.last, static_cast<int>(i));
      }
    }
    std::vector<Lifetime> lifetimes;
    std::vector<size_t> which;
    for (size_t s = 0; s < spans.size(); ++s) {
      if (program_.storages[s].place != Place::kWorkspace || spans[s].last < 0) continue;
      lifetimes.push_back({spans[s].first, spans[s].last, whole_words(program_.storages[s].bytes)});
      which.push_back(s);
    }
    block_of_.assign(program_.storages.size(), -1);
    offset_of_.assign(program_.storages.size(), 0);
    MNN_ASSIGN_OR_RETURN(const std::vector<BufferGroup> groups, plan_groups(lifetimes, info_));
    for (const BufferGroup& group : groups) {
      for (size_t i = 0; i < group.members.size(); ++i) {
        const size_t s = which[group.members[i]];
        block_of_[s] = static_cast<int>(block_bytes_.size());
        offset_of_[s] = group.offsets[i];
      }
      block_bytes_.push_back(group.bytes);
    }
    return {};
  }

  BoundBuffer place_of(int storage, const BoundMemory& memory) const {
    const auto s = static_cast<size_t>(storage);
    const Storage& what = program_.storages[s];
    const auto index = static_cast<size_t>(what.index);
    const int64_t bytes = whole_words(what.bytes);
    auto at = [&](const Region& r) { return BoundBuffer{r.buffer, r.offset, bytes}; };
    switch (what.place) {
      case Place::kInput: return at(memory.in[index]);
      case Place::kOutput: return at(memory.out[index]);
      case Place::kWeights: return {weights_[index].get(), 0, bytes};
      case Place::kTable: return {table_buffer_.get(), table_at_[index], bytes};
      case Place::kError: return {error_buffer_.get(), 0, 4};
      case Place::kWorkspace: break;
    }
    const Region& block = memory.workspaces[static_cast<size_t>(block_of_[s])];
    return {block.buffer, block.offset + offset_of_[s], bytes};
  }

  Program program_;
  const DeviceInfo& info_;
  Queue& queue_;
  std::vector<std::shared_ptr<DeviceBuffer>> weights_;
  std::unique_ptr<DeviceBuffer> table_buffer_, error_buffer_;
  std::vector<int64_t> table_at_, block_bytes_, offset_of_;
  std::vector<int> block_of_;
  const int no_error_ = 0;
  int found_error_ = 0;
  std::vector<int64_t> times_;
  StepTimer timer_;
  std::unique_ptr<Recording> recording_;
};

}  // namespace

Result<std::unique_ptr<Executable>> make_executable(Program program, const DeviceInfo& info,
                                                    Queue& queue, WeightStore& weights) {
  auto executable = std::make_unique<GpuExecutable>(std::move(program), info, queue);
  MNN_RETURN_IF_ERROR(executable->prepare(weights));
  return std::unique_ptr<Executable>(std::move(executable));
}

Result<std::shared_ptr<DeviceBuffer>> WeightStore::find(Queue& queue, const DeviceWeights& w) {
  std::shared_ptr<Slot> slot;
  {
    const std::lock_guard lock(mutex_);
    // What nobody holds any more goes with the next that comes.
    std::erase_if(slots_, [](const auto& s) {
      return s.second.use_count() == 1 && s.second->block.expired();
    });
    std::shared_ptr<Slot>& known = slots_[{w.id, w.layout + "/" + std::to_string(w.words)}];
    if (known == nullptr) known = std::make_shared<Slot>();
    slot = known;
  }
  const std::lock_guard lock(slot->mutex);
  if (std::shared_ptr<DeviceBuffer> block = slot->block.lock()) return block;
  const auto since = std::chrono::steady_clock::now();
  std::vector<uint32_t> words(static_cast<size_t>(w.words), 0);
  MNN_RETURN_IF_ERROR(w.make(words.data()));
  MNN_ASSIGN_OR_RETURN(std::unique_ptr<DeviceBuffer> made,
                       queue.allocate(std::max<int64_t>(w.words, 1) * 4));
  MNN_RETURN_IF_ERROR(queue.upload({made.get(), 0}, std::as_bytes(std::span(words))));
  MNN_RETURN_IF_ERROR(queue.wait());
  ns_ += std::chrono::nanoseconds(std::chrono::steady_clock::now() - since).count();
  bytes_ += w.words * 4;
  std::shared_ptr<DeviceBuffer> block = std::move(made);
  slot->block = block;
  return block;
}

void WeightStore::add_to(DeviceWork& work) const {
  work.upload_ns += ns_;
  work.upload_bytes += bytes_;
}

}  // namespace mnn::gpu
