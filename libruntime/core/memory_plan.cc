#include "libruntime/core/memory_plan.h"

#include <algorithm>
#include <cassert>
#include <map>

namespace mnn {
namespace {

int64_t round_up(int64_t bytes, int64_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

// Finds the buffers placed so far that are live together with a given one: those that contain its
// first step, by a segment tree over steps, and those that start later but before it ends.
class PlacedBuffers {
 public:
  explicit PlacedBuffers(int steps) : steps_(steps) {
    while (leaves_ < steps_) leaves_ *= 2;
    containing_.resize(static_cast<size_t>(2 * leaves_));
  }

  void add(int buffer, int first, int last) {
    int left = first + leaves_, right = last + leaves_ + 1;
    for (; left < right; left /= 2, right /= 2) {
      if (left & 1) containing_[static_cast<size_t>(left++)].push_back(buffer);
      if (right & 1) containing_[static_cast<size_t>(--right)].push_back(buffer);
    }
    by_first_.emplace(first, buffer);
  }

  void find(int first, int last, std::vector<int>& out) const {
    out.clear();
    for (int node = first + leaves_; node >= 1; node /= 2) {
      const auto& here = containing_[static_cast<size_t>(node)];
      out.insert(out.end(), here.begin(), here.end());
    }
    for (auto it = by_first_.upper_bound(first); it != by_first_.end() && it->first <= last; ++it) {
      out.push_back(it->second);
    }
  }

 private:
  int steps_, leaves_ = 1;
  std::vector<std::vector<int>> containing_;
  std::multimap<int, int> by_first_;
};

// Steps renumbered so that they are dense.
std::vector<Lifetime> dense_steps(std::span<const Lifetime> buffers, int& steps) {
  std::vector<int> used;
  for (const Lifetime& b : buffers) {
    used.push_back(b.first);
    used.push_back(b.last);
  }
  std::sort(used.begin(), used.end());
  used.erase(std::unique(used.begin(), used.end()), used.end());
  steps = static_cast<int>(used.size());
  auto index = [&](int step) {
    return static_cast<int>(std::lower_bound(used.begin(), used.end(), step) - used.begin());
  };
  std::vector<Lifetime> dense;
  dense.reserve(buffers.size());
  for (const Lifetime& b : buffers) dense.push_back({index(b.first), index(b.last), b.bytes});
  return dense;
}

// Places buffers in the given order, each into the smallest gap that holds it, the lowest of those.
class Placement {
 public:
  Placement(const std::vector<Lifetime>& buffers, int steps)
      : buffers_(buffers), placed_(steps), marked_(buffers.size(), 0) {
    plan_.offsets.assign(buffers.size(), 0);
  }

  MemoryPlan place(const std::vector<int>& order) {
    for (const int b : order) {
      const Lifetime& buffer = buffers_[static_cast<size_t>(b)];
      const int64_t offset = best_offset(buffer);
      plan_.offsets[static_cast<size_t>(b)] = offset;
      plan_.arena_bytes = std::max(plan_.arena_bytes, offset + buffer.bytes);
      placed_.add(b, buffer.first, buffer.last);
      by_offset_.insert(std::upper_bound(by_offset_.begin(), by_offset_.end(), b,
                                         [&](int x, int y) { return offset_of(x) < offset_of(y); }),
                        b);
    }
    return std::move(plan_);
  }

 private:
  int64_t offset_of(int buffer) const { return plan_.offsets[static_cast<size_t>(buffer)]; }

  int64_t best_offset(const Lifetime& buffer) {
    sort_overlapping(buffer);
    int64_t best = -1, best_gap = 0, free_from = 0;
    for (const int o : overlapping_) {
      const int64_t gap = offset_of(o) - free_from;
      if (gap >= buffer.bytes && (best < 0 || gap < best_gap)) {
        best = free_from;
        best_gap = gap;
      }
      free_from = std::max(free_from, offset_of(o) + buffers_[static_cast<size_t>(o)].bytes);
    }
    return best < 0 ? free_from : best;
  }

  // The buffers that are live together with this one, by offset.
  void sort_overlapping(const Lifetime& buffer) {
    placed_.find(buffer.first, buffer.last, overlapping_);
    if (overlapping_.size() < by_offset_.size() / 16) {
      std::sort(overlapping_.begin(), overlapping_.end(),
                [&](int x, int y) { return offset_of(x) < offset_of(y); });
      return;
    }
    // Many: picking them from all that are sorted already beats sorting them.
    for (const int o : overlapping_) marked_[static_cast<size_t>(o)] = 1;
    overlapping_.clear();
    for (const int o : by_offset_) {
      if (marked_[static_cast<size_t>(o)]) overlapping_.push_back(o);
    }
    for (const int o : overlapping_) marked_[static_cast<size_t>(o)] = 0;
  }

  const std::vector<Lifetime>& buffers_;
  PlacedBuffers placed_;
  MemoryPlan plan_;
  std::vector<int> by_offset_, overlapping_;
  std::vector<char> marked_;
};

int64_t largest_live_sum(const std::vector<Lifetime>& buffers, int steps) {
  std::vector<int64_t> change(static_cast<size_t>(steps) + 1, 0);
  for (const Lifetime& b : buffers) {
    change[static_cast<size_t>(b.first)] += b.bytes;
    change[static_cast<size_t>(b.last) + 1] -= b.bytes;
  }
  int64_t live = 0, most = 0;
  for (const int64_t c : change) most = std::max(most, live += c);
  return most;
}

}  // namespace

MemoryPlan plan_memory(std::span<const Lifetime> lifetimes, int64_t alignment) {
  assert(alignment > 0);
  int steps = 0;
  std::vector<Lifetime> buffers = dense_steps(lifetimes, steps);
  std::vector<int> by_size;
  for (size_t i = 0; i < buffers.size(); ++i) {
    Lifetime& b = buffers[i];
    assert(b.first <= b.last && b.bytes >= 0);
    b.bytes = round_up(b.bytes, alignment);
    if (b.bytes > 0) by_size.push_back(static_cast<int>(i));
  }
  const auto buffer = [&](int i) -> const Lifetime& { return buffers[static_cast<size_t>(i)]; };
  // Large ones first; which of the orders packs best depends on the graph.
  std::vector<int> by_length = by_size, by_area = by_size;
  auto length = [&](int i) { return buffer(i).last - buffer(i).first; };
  std::stable_sort(by_size.begin(), by_size.end(), [&](int a, int b) {
    if (buffer(a).bytes != buffer(b).bytes) return buffer(a).bytes > buffer(b).bytes;
    return length(a) > length(b);
  });
  std::stable_sort(by_length.begin(), by_length.end(), [&](int a, int b) {
    if (length(a) != length(b)) return length(a) > length(b);
    return buffer(a).bytes > buffer(b).bytes;
  });
  auto area = [&](int i) {
    return static_cast<double>(buffer(i).bytes) * (1.0 + static_cast<double>(length(i)));
  };
  std::stable_sort(by_area.begin(), by_area.end(), [&](int a, int b) { return area(a) > area(b); });

  const int64_t lower_bound = largest_live_sum(buffers, steps);
  MemoryPlan best = Placement(buffers, steps).place(by_size);
  for (const auto* order : {&by_area, &by_length}) {
    if (best.arena_bytes == lower_bound) break;
    MemoryPlan plan = Placement(buffers, steps).place(*order);
    if (plan.arena_bytes < best.arena_bytes) best = std::move(plan);
  }
  best.lower_bound = lower_bound;
  return best;
}

}  // namespace mnn
