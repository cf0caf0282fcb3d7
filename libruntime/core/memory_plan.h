// Offline placement of buffers in one arena.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mnn {

// A buffer is live from step `first` to step `last`, both included.
struct Lifetime {
  int first = 0, last = 0;
  int64_t bytes = 0;
};
struct MemoryPlan {
  std::vector<int64_t> offsets;  // one per buffer; 0 for empty ones
  int64_t arena_bytes = 0;
  int64_t lower_bound = 0;  // the largest sum of buffers live at one step
};

// Places every buffer in one arena so that no two that are live together overlap. Deterministic.
MemoryPlan plan_memory(std::span<const Lifetime> buffers, int64_t alignment = 64);

}  // namespace mnn
