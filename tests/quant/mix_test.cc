// The choice of a scheme per part, with judges made up for it.
#include "libquant/search/mix.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mnn {
namespace {

MixOption option(const char* scheme, double noise, double bytes, double time = 0) {
  return {scheme, noise, bytes, time};
}

double sum(const std::vector<MixPart>& parts, const Mix& mix, double MixOption::*what) {
  double all = 0;
  for (size_t p = 0; p < mix.size(); ++p)
    all += parts[p].options[static_cast<size_t>(mix[p])].*what;
  return all;
}

// The truth is what the parts say.
struct Additive {
  const std::vector<MixPart>& parts;
  double goal_db = 0;
  int calls = 0;
  Result<MixTrial> operator()(const Mix& mix) {
    ++calls;
    MixTrial t;
    t.bytes = sum(parts, mix, &MixOption::bytes);
    t.time = sum(parts, mix, &MixOption::time);
    t.score = -10 * std::log10(sum(parts, mix, &MixOption::noise) + 1e-12);
    t.goal.with_margin = t.goal.reached = t.score >= goal_db;
    return t;
  }
};

// By noise for each byte `a` comes first, and then neither b nor c fits; b and c are better.
TEST(MixFront, BeatsTheGreedyChoice) {
  const std::vector<MixPart> parts = {{"a", {option("int8", 10, 0), option("float", 0, 6)}},
                                      {"b", {option("int8", 8, 0), option("float", 0, 5)}},
                                      {"c", {option("int8", 8, 0), option("float", 0, 5)}}};
  Additive judge{parts};
  MixSearch search{parts};
  search.most_bytes = 10;
  search.measure = std::ref(judge);
  const auto found = search_mix(search);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->mix, (Mix{0, 1, 1}));
  EXPECT_TRUE(found->fits);
}

TEST(MixFront, IsTheBestOfEveryBudget) {
  // Against all mixes one by one.
  std::vector<MixPart> parts;
  for (int p = 0; p < 5; ++p) {
    MixPart& part = parts.emplace_back();
    for (int o = 0; o < 3; ++o)
      part.options.push_back(option("s", (p * 7 + o * 11) % 13 + 1, (p * 5 + o * 3) % 11));
  }
  const MixFront front(parts, [](const MixOption& o) { return o.bytes; });
  for (size_t i = 0; i < front.size(); ++i) {
    const Mix mix = front.at(i);
    const double budget = sum(parts, mix, &MixOption::bytes);
    double least = 1e9;
    for (int code = 0; code < 243; ++code) {
      Mix other;
      for (int p = 0, rest = code; p < 5; ++p, rest /= 3) other.push_back(rest % 3);
      if (sum(parts, other, &MixOption::bytes) <= budget)
        least = std::min(least, sum(parts, other, &MixOption::noise));
    }
    EXPECT_EQ(sum(parts, mix, &MixOption::noise), least) << i;
    if (i > 0) {
      EXPECT_LT(sum(parts, mix, &MixOption::noise), sum(parts, front.at(i - 1), &MixOption::noise));
    }
  }
}

TEST(SearchMix, FindsTheCheapestThatReachesTheGoal) {
  const std::vector<MixPart> parts = {
      {"a", {option("int8", 0.05, 10, 1), option("w8", 0.001, 10, 3), option("float", 0, 40, 3)}},
      {"b", {option("int8", 0.02, 10, 5), option("w8", 0.001, 10, 15), option("float", 0, 40, 15)}},
      {"c", {option("int8", 0.001, 10, 1), option("float", 0, 40, 3)}}};
  Additive judge{parts, 16};  // 0.025
  MixSearch search{parts};
  search.byte_price = 1.0 / 30;
  search.time_price = 1.0 / 7;
  search.goal = true;
  search.measure = std::ref(judge);
  const auto found = search_mix(search);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->mix, (Mix{1, 0, 0}));
  EXPECT_TRUE(found->trial.goal.reached);
}

// In truth the errors of a and b cancel: either alone in float is worse than both in int8. What
// helps is c, which the parts' own figures say nothing of.
TEST(SearchMix, UndoesPromotionsThatHurt) {
  const std::vector<MixPart> parts = {{"a", {option("int8", 0.5, 1), option("float", 0, 4)}},
                                      {"b", {option("int8", 0.4, 1), option("float", 0, 4)}},
                                      {"c", {option("int8", 0.1, 1), option("float", 0, 4)}}};
  MixSearch search{parts};
  search.byte_price = 1;
  search.goal = true;
  search.most_bytes = 6;  // one promotion
  search.measure = [&](const Mix& mix) -> Result<MixTrial> {
    MixTrial t;
    t.bytes = sum(parts, mix, &MixOption::bytes);
    t.score = 20 - 5 * (mix[0] != mix[1]) + 5 * mix[2];
    t.goal.with_margin = t.goal.reached = t.score >= 24;
    return t;
  };
  const auto found = search_mix(search);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->mix, (Mix{0, 0, 1}));
  EXPECT_TRUE(found->trial.goal.reached);
  // Without a way there the best that fits stays, and what was tried is told.
  search.measure = [&](const Mix& mix) -> Result<MixTrial> {
    MixTrial t;
    t.bytes = sum(parts, mix, &MixOption::bytes);
    t.score = 20 - 5.0 * (mix[0] + mix[1] + mix[2]);
    return t;
  };
  const auto missed = search_mix(search);
  ASSERT_TRUE(missed.ok());
  EXPECT_EQ(missed->mix, (Mix{0, 0, 0}));
  EXPECT_FALSE(missed->trial.goal.reached);
  EXPECT_FALSE(missed->undone.empty());
}

TEST(SearchMix, TakesThePlainGoalWhereItsMarginIsOutOfReach) {
  const std::vector<MixPart> parts = {{"a", {option("int8", 0.5, 1), option("float", 0, 2)}},
                                      {"b", {option("int8", 0.4, 1), option("float", 0, 3)}}};
  MixSearch search{parts};
  search.byte_price = 1;
  search.goal = true;
  double margin = 8;
  search.measure = [&](const Mix& mix) -> Result<MixTrial> {
    MixTrial t;
    t.bytes = sum(parts, mix, &MixOption::bytes);
    t.score = 10 + 5 * mix[0] + 10 * mix[1];
    t.goal = {t.score >= 20, t.score >= 20 + margin, margin};
    return t;
  };
  EXPECT_EQ(search_mix(search)->mix, (Mix{0, 1}));
  margin = 3;
  EXPECT_EQ(search_mix(search)->mix, (Mix{1, 1}));
}

TEST(SearchMix, PrunesWhatTheGoalDoesNotNeed) {
  // Predicted: both are needed. Measured: b is enough.
  const std::vector<MixPart> parts = {{"a", {option("int8", 0.5, 1), option("float", 0, 2)}},
                                      {"b", {option("int8", 0.4, 1), option("float", 0, 3)}}};
  MixSearch search{parts};
  search.byte_price = 1;
  search.goal = true;
  search.measure = [&](const Mix& mix) -> Result<MixTrial> {
    MixTrial t;
    t.bytes = sum(parts, mix, &MixOption::bytes);
    t.score = mix[1] != 0 ? 30 : 10;
    t.goal.with_margin = t.goal.reached = t.score >= 20;
    return t;
  };
  const auto found = search_mix(search);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->mix, (Mix{0, 1}));
}

TEST(SearchMix, LearnsWhatTheSumLeavesOut) {
  // Every mix is 3 bytes more than its parts: what should fit in 10 has 7.
  const std::vector<MixPart> parts = {
      {"a", {option("w2", 4, 1), option("w4", 2, 4), option("w8", 0.5, 8)}},
      {"b", {option("w2", 4, 1), option("w4", 1, 3), option("w8", 0.5, 6)}}};
  MixSearch search{parts};
  search.most_bytes = 10;
  search.measure = [&](const Mix& mix) -> Result<MixTrial> {
    MixTrial t;
    t.bytes = sum(parts, mix, &MixOption::bytes) + 3;
    t.score = -sum(parts, mix, &MixOption::noise);
    return t;
  };
  const auto found = search_mix(search);
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->fits);
  EXPECT_EQ(found->mix, (Mix{1, 1}));
}

TEST(SearchMix, SaysWhenNothingFits) {
  const std::vector<MixPart> parts = {{"a", {option("w2", 4, 5), option("w8", 0, 20)}}};
  Additive judge{parts};
  MixSearch search{parts};
  search.most_bytes = 4;
  search.measure = std::ref(judge);
  const auto found = search_mix(search);
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->fits);
  EXPECT_EQ(found->mix, Mix{0});
}

TEST(SearchMix, StopsAtTheMostTrials) {
  std::vector<MixPart> parts;
  for (int p = 0; p < 50; ++p)
    parts.push_back({"p", {option("int8", 1 + p, 1), option("w8", 0.5, 3), option("float", 0, 5)}});
  Additive judge{parts, 500};
  MixSearch search{parts};
  search.byte_price = 1;
  search.goal = true;
  search.most_bytes = 120;
  search.most_trials = 20;
  search.measure = std::ref(judge);
  ASSERT_TRUE(search_mix(search).ok());
  EXPECT_LE(judge.calls, 22);
}

TEST(ParetoFront, HoldsWhatNothingBeats) {
  std::map<Mix, MixTrial> trials;
  const auto add = [&](int id, double bytes, double time, double score) {
    trials[Mix{id}] = {score, 0, 0, 0, {}, bytes, time};
  };
  add(0, 10, 1, 20);
  add(1, 10, 1, 25);
  add(2, 20, 2, 24);  // beaten by 1
  add(3, 20, 0.5, 24);
  add(4, 40, 3, 60);
  const auto front = pareto_front(trials);
  ASSERT_EQ(front.size(), 3u);
  EXPECT_EQ(front[0].first, Mix{1});
  EXPECT_EQ(front[1].first, Mix{3});
  EXPECT_EQ(front[2].first, Mix{4});
}

}  // namespace
}  // namespace mnn
