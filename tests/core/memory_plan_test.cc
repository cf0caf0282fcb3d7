#include "libruntime/core/memory_plan.h"

#include <gtest/gtest.h>

#include <random>

namespace mnn {
namespace {

// Checks every promise of plan_memory.
void check(const std::vector<Lifetime>& buffers, int64_t alignment = 64) {
  const MemoryPlan plan = plan_memory(buffers, alignment);
  ASSERT_EQ(plan.offsets.size(), buffers.size());
  int64_t total = 0;
  for (size_t a = 0; a < buffers.size(); ++a) {
    ASSERT_GE(plan.offsets[a], 0);
    ASSERT_EQ(plan.offsets[a] % alignment, 0);
    ASSERT_LE(plan.offsets[a] + buffers[a].bytes, plan.arena_bytes);
    total += (buffers[a].bytes + alignment - 1) / alignment * alignment;
    for (size_t b = 0; b < a; ++b) {
      if (buffers[a].bytes == 0 || buffers[b].bytes == 0) continue;
      const bool together =
          buffers[a].first <= buffers[b].last && buffers[b].first <= buffers[a].last;
      const bool overlap = plan.offsets[a] < plan.offsets[b] + buffers[b].bytes &&
                           plan.offsets[b] < plan.offsets[a] + buffers[a].bytes;
      ASSERT_FALSE(together && overlap) << a << " and " << b;
    }
  }
  EXPECT_GE(plan.arena_bytes, plan.lower_bound);
  EXPECT_LE(plan.arena_bytes, total);
  const MemoryPlan again = plan_memory(buffers, alignment);
  EXPECT_EQ(again.offsets, plan.offsets);
}

TEST(MemoryPlan, SmallCases) {
  check({});
  check({{0, 0, 0}});
  check({{0, 0, 1}});
  check({{0, 5, 100}, {0, 5, 0}, {6, 6, 100}});
  EXPECT_EQ(plan_memory(std::vector<Lifetime>{{0, 5, 100}, {6, 6, 100}}).arena_bytes, 128);
  EXPECT_EQ(plan_memory(std::vector<Lifetime>{{0, 5, 100}, {5, 6, 100}}).arena_bytes, 256);
  EXPECT_EQ(plan_memory(std::vector<Lifetime>{{-3, 1000000000, 1}}).arena_bytes, 64);
}

TEST(MemoryPlan, AChainComesNearTheLowerBound) {
  std::vector<Lifetime> chain;
  for (int i = 0; i < 100; ++i) chain.push_back({i, i + 1, 64 * (1 + i * 37 % 11)});
  check(chain);
  const MemoryPlan plan = plan_memory(chain);
  EXPECT_LE(plan.arena_bytes, plan.lower_bound * 5 / 4);
}

TEST(MemoryPlan, RandomLifetimes) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> buffers(random() % 80);
    for (Lifetime& b : buffers) {
      b.first = static_cast<int>(random() % 50);
      b.last = b.first + static_cast<int>(random() % (1 + random() % 50));
      b.bytes = static_cast<int64_t>(random() % 5000);
    }
    check(buffers, round % 2 ? 64 : 1);
    if (HasFatalFailure()) return;
  }
}

TEST(MemoryPlan, FiftyThousandBuffersOfALongChain) {
  std::mt19937 random(2);
  std::vector<Lifetime> buffers;
  for (int i = 0; i < 50000; ++i) {
    const int last = i + 1 + static_cast<int>(random() % 100 == 0 ? random() % 1000 : random() % 3);
    buffers.push_back({i, last, static_cast<int64_t>(random() % 1000000)});
  }
  const MemoryPlan plan = plan_memory(buffers);
  EXPECT_GE(plan.arena_bytes, plan.lower_bound);
  EXPECT_LE(plan.arena_bytes, plan.lower_bound * 3 / 2);
}

}  // namespace
}  // namespace mnn
