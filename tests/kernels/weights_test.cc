#include "libruntime/kernels/weights.h"

#include <gtest/gtest.h>

#include <thread>

namespace mnn {
namespace {

Status fill_one(std::byte* block) {
  block[0] = std::byte{1};
  return {};
}

TEST(WeightsCache, KnowsWeightsByTheirBytes) {
  const WeightsCache cache;
  const float a[] = {1, 2, 3}, b[] = {1, 2, 3}, c[] = {1, 2, 4};
  EXPECT_TRUE(cache.identify(a, sizeof a).known());
  EXPECT_EQ(cache.identify(a, sizeof a), cache.identify(b, sizeof b));
  EXPECT_NE(cache.identify(a, sizeof a), cache.identify(c, sizeof c));
  EXPECT_NE(cache.identify(a, sizeof a), cache.identify(a, 8));
  EXPECT_TRUE(cache.identify(nullptr, 0).known());
  const WeightId id = cache.identify(a, sizeof a);
  EXPECT_EQ(id.derived("turned"), id.derived("turned"));
  EXPECT_NE(id.derived("turned"), id.derived("scaled"));
  EXPECT_NE(id.derived("turned"), id);
  EXPECT_FALSE(WeightId().derived("turned").known());
}

TEST(WeightsCache, MakesABlockOnceWhileSomebodyHoldsIt) {
  WeightsCache cache;
  const WeightId id = cache.identify("w", 1);
  PackedPtr one = *cache.find(id, "wide", 100, fill_one);
  const PackedPtr two = *cache.find(id, "wide", 100, fill_one);
  EXPECT_EQ(one, two);
  EXPECT_EQ(one->data()[0], std::byte{1});
  EXPECT_EQ(one->data()[99], std::byte{0});
  EXPECT_EQ(cache.packs(), 1);
  PackedPtr other = *cache.find(id, "narrow", 50, fill_one);
  EXPECT_NE(one, other);
  EXPECT_EQ(cache.bytes(), 150);
  other = nullptr;
  EXPECT_EQ(cache.bytes(), 100);
  other = *cache.find(id, "narrow", 50, fill_one);
  EXPECT_EQ(cache.packs(), 3);
}

TEST(WeightsCache, HandsAnErrorOnAndTriesAgain) {
  WeightsCache cache;
  const WeightId id = cache.identify("w", 1);
  const auto failed = cache.find(id, "wide", 10, [](std::byte*) { return invalid("unreadable"); });
  EXPECT_EQ(failed.status().message(), "unreadable");
  EXPECT_EQ(cache.bytes(), 0);
  EXPECT_TRUE(cache.find(id, "wide", 10, fill_one).ok());
}

TEST(WeightsCache, ManyThreadsMakeABlockOnce) {
  WeightsCache cache;
  constexpr int kThreads = 4, kBlocks = 200;
  std::vector<std::vector<PackedPtr>> held(kThreads);
  std::vector<std::thread> threads;
  for (auto& mine : held) {
    threads.emplace_back([&] {
      for (int i = 0; i < kBlocks; ++i) {
        const auto block = cache.find(cache.identify(&i, sizeof i), "wide", 64, fill_one);
        if (block.ok()) mine.push_back(*block);
      }
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(cache.packs(), kBlocks);
  EXPECT_EQ(cache.bytes(), kBlocks * 64);
  for (const auto& mine : held) EXPECT_EQ(mine, held[0]);
  // What is dropped is forgotten, however many come after.
  held.clear();
  for (int i = 0; i < 10 * kBlocks; ++i) {
    ASSERT_TRUE(cache.find(cache.identify(&i, sizeof i), "narrow", 64, fill_one).ok());
  }
  EXPECT_EQ(cache.bytes(), 0);
}

}  // namespace
}  // namespace mnn
