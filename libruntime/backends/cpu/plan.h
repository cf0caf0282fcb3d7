// A compiled segment: storages, and steps that read and write them.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "libruntime/compile/backend.h"
#include "libruntime/kernels/weights.h"
#include "libruntime/lower/array.h"

namespace mnn::cpu {

enum class Place : uint8_t { kWorkspace, kInput, kOutput, kConstant };

struct Storage {
  Place place = Place::kWorkspace;
  int index = 0;  // of the segment's input or output
  int64_t bytes = 0;
  Tensor constant;  // keeps a constant's bytes alive
};

// What was wrong with the data a step met: of what several parts of it tell, the first by position,
// so that the answer does not depend on the threads.
class DataError {
 public:
  // `message` lives for ever.
  void set(const char* message, int64_t position) {
    const std::scoped_lock lock(mutex_);
    if (message_ != nullptr && position_ <= position) return;
    message_ = message;
    position_ = position;
    limit_ = 0;
  }
  void set_index(const char* message, int64_t position, int64_t index, int64_t limit) {
    const std::scoped_lock lock(mutex_);
    if (message_ != nullptr && position_ <= position) return;
    message_ = message;
    position_ = position;
    index_ = index;
    limit_ = limit;
  }
  void clear() { message_ = nullptr; }
  bool is_set() const { return message_ != nullptr; }
  // "an index is out of range: element 3 is 99999, not in [-30522, 30522)"
  std::string text() const {
    if (limit_ == 0) return message_;
    return std::string(message_) + ": element " + std::to_string(position_) + " is " +
           std::to_string(index_) + ", not in [-" + std::to_string(limit_) + ", " +
           std::to_string(limit_) + ")";
  }

 private:
  std::mutex mutex_;
  const char* message_ = nullptr;
  int64_t position_ = 0, index_ = 0, limit_ = 0;
};

// What a step sees when it runs.
class Run {
 public:
  Run(std::byte* const* base, DataError* error) : base_(base), error_(error) {}
  template <typename T>
  T* data(const Array& a) const {
    return reinterpret_cast<T*>(base_[a.storage]) + a.offset;
  }
  std::byte* bytes(const Array& a) const { return base_[a.storage] + a.offset * a.item_bytes(); }
  std::byte* storage(int id) const { return base_[id]; }
  // The data were wrong: the run ends with this text, which lives for ever.
  void fail(const char* message) const { error_->set(message, 0); }
  // Likewise: element `position` of the indices is `index`, for an axis of `limit`.
  void fail_index(const char* message, int64_t position, int64_t index, int64_t limit) const {
    error_->set_index(message, position, index, limit);
  }

 private:
  std::byte* const* base_;
  DataError* error_;
};

using StepFn = std::function<void(const Run& run, int phase, int part)>;

struct Step {
  StepInfo info;
  StepFn run;
  int phases = 1, parts = 1;
  std::vector<int> reads, writes;  // storages, scratch among the writes
  // A storage of `reads` whose bytes the step may overwrite with those of writes[0]; -1: none.
  int in_place = -1;
};

struct Plan {
  std::vector<Storage> storages;
  std::vector<Step> steps;
  std::vector<PackedPtr> packed;  // what its kernels have packed
  std::vector<Tensor> moved;      // constants that were written out in another order
};

// Places the plan's storages and wraps it all up.
Result<std::unique_ptr<Executable>> make_executable(Plan plan, ThreadPool* pool);

// The half-open range of part `part` of `parts` in [0, n), cut at multiples of `grain`.
struct Range {
  int64_t begin, end;
};
inline Range part_of(int64_t n, int part, int parts, int64_t grain = 1) {
  const int64_t pieces = (n + grain - 1) / grain;
  const int64_t begin = pieces * part / parts * grain, end = pieces * (part + 1) / parts * grain;
  return {begin < n ? begin : n, end < n ? end : n};
}

}  // namespace mnn::cpu
