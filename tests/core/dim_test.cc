// Dimensions as expressions: what is simplified must hold for every value of the symbols.
#include "libruntime/core/dim.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace mnn {
namespace {

Dim parsed(std::string_view text) {
  const Result<Dim> d = Dim::parse(text);
  EXPECT_TRUE(d.ok()) << d.status().message();
  return d.ok() ? *d : Dim::unknown();
}

const Dim n = Dim::symbol("n"), m = Dim::symbol("m");

TEST(Dim, EqualExpressionsReadTheSame) {
  EXPECT_EQ(smaller_of(n, 5).str(), "min(n, 5)");
  EXPECT_EQ((n - larger_of(n - 5, 0)).str(), "min(n, 5)");
  EXPECT_EQ((2 * smaller_of(n, 5) + 1).str(), "2*min(n, 5) + 1");
  EXPECT_EQ(larger_of(3, n).str(), "max(n - 3, 0) + 3");
  EXPECT_EQ(larger_of(n, 3).str(), larger_of(3, n).str());
  EXPECT_EQ(larger_of(n, m).str(), larger_of(m, n).str());
  EXPECT_EQ(larger_of(4 * n - 8, 0).str(), "4*max(n - 2, 0)");
  EXPECT_EQ(larger_of(5 - n, 0).str(), "max(-n + 5, 0)");
  EXPECT_EQ((5 - smaller_of(n, 5)).str(), "max(-n + 5, 0)");
  EXPECT_EQ(floor_div(7 - n, -2).str(), "floor((n + 1)/(2)) - 4");
  EXPECT_EQ((smaller_of(n, 5) + larger_of(n, 5)).str(), "n + 5");
}

TEST(Dim, WhatIsDecidedIsSimplified) {
  EXPECT_EQ(larger_of(n, 0).str(), "n");
  EXPECT_EQ(larger_of(n + m, n).str(), "m + n");
  EXPECT_EQ(smaller_of(n, n + m).str(), "n");
  EXPECT_EQ(larger_of(-n, 0).str(), "0");
  EXPECT_EQ(larger_of(n - 4 * floor_div(n, 4), 0).str(), "-4*floor((n)/(4)) + n");
  EXPECT_EQ(smaller_of(smaller_of(n, 3), 5).str(), "min(n, 3)");
  EXPECT_EQ(truncated_div(n, 2).str(), "floor((n)/(2))");
  EXPECT_EQ(truncated_div(-n, 2).str(), "-floor((n)/(2))");
  EXPECT_EQ(truncated_div(n * m - n, n).str(), "m - 1");
  EXPECT_TRUE(truncated_div(n, m - 4).is_unknown());
}

TEST(Dim, Bounds) {
  EXPECT_EQ(smaller_of(n, 5).lower_bound(), 0);
  EXPECT_EQ(smaller_of(n, 5).upper_bound(), 5);
  EXPECT_EQ(larger_of(n, 3).lower_bound(), 3);
  EXPECT_EQ(n.upper_bound(), std::nullopt);
  EXPECT_EQ((n - m).lower_bound(), std::nullopt);
  EXPECT_EQ((n - 8 * floor_div(n, 8)).lower_bound(), 0);
  EXPECT_EQ((n - 8 * floor_div(n, 8)).upper_bound(), 7);
  EXPECT_EQ((smaller_of(n + m, 64) - smaller_of(m, 64)).lower_bound(), 0);
  EXPECT_EQ((larger_of(n - 3, 0) - larger_of(n - 8, 0)).lower_bound(), 0);
  EXPECT_EQ((larger_of(n - 3, 0) - larger_of(n - 8, 0)).upper_bound(), 5);
  EXPECT_EQ(Dim::unknown().lower_bound(), std::nullopt);
}

TEST(Dim, TextIsReadBack) {
  for (const char* text :
       {"min(n, 5)", "max(m - n, 0) + 3", "2*min(h + w, 9) - 1", "-max(n - 2, 0)",
        "floor((max(n - 9, 0) + 1)/(2))", "min(floor((n)/(2)), 4)"}) {
    EXPECT_EQ(parsed(text).str(), text);
  }
  EXPECT_EQ(parsed("max(3, min(n,7))").str(), larger_of(3, smaller_of(n, 7)).str());
  for (const char* text : {"max(n)", "max(n, 0", "min n, 0)", "max(,)", "floor((n)/(2)"}) {
    EXPECT_FALSE(Dim::parse(text).ok()) << text;
  }
}

TEST(Dim, ExtremesAreUnknownOrRight) {
  const Dim least(INT64_MIN);
  EXPECT_TRUE((-least).is_unknown());
  EXPECT_TRUE(truncated_div(least, -1).is_unknown());
  EXPECT_EQ(truncated_div(least, 2).value(), INT64_MIN / 2);
  EXPECT_TRUE(larger_of(n + least, 0).is_unknown());
  EXPECT_EQ(larger_of(least, 3).value(), 3);
}

// The same expression as numbers and as a Dim; numbers are absent where a division by 0 is.
struct Both {
  std::optional<int64_t> number;
  Dim dim;
};

class Expressions {
 public:
  explicit Expressions(uint32_t seed) : random_(seed) {
    for (const char* name : {"a", "b", "c"}) bindings_[name] = pick(9) < 2 ? pick(2) : pick(40);
  }
  const Bindings& bindings() const { return bindings_; }

  Both make(int depth) {
    if (depth == 0 || pick(6) == 0) {
      if (pick(5) < 2) {
        const int64_t value = pick(19) - 6;
        return {value, Dim(value)};
      }
      const auto it = std::next(bindings_.begin(), pick(3));
      return {it->second, Dim::symbol(it->first)};
    }
    const Both x = make(depth - 1), y = make(depth - 1);
    const int op = pick(8);
    const bool divides = op >= 5;
    Both out;
    if (x.number && y.number && !(divides && *y.number == 0)) {
      const int64_t p = *x.number, q = *y.number;
      const int64_t truncated = divides ? p / q : 0;
      const bool inexact = divides && p % q != 0, negative = (p < 0) != (q < 0);
      const int64_t all[] = {p + q,
                             p - q,
                             p * q,
                             std::max(p, q),
                             std::min(p, q),
                             truncated - (inexact && negative ? 1 : 0),
                             truncated + (inexact && !negative ? 1 : 0),
                             truncated};
      out.number = all[op];
    }
    switch (op) {
      case 0: out.dim = x.dim + y.dim; break;
      case 1: out.dim = x.dim - y.dim; break;
      case 2: out.dim = x.dim * y.dim; break;
      case 3: out.dim = larger_of(x.dim, y.dim); break;
      case 4: out.dim = smaller_of(x.dim, y.dim); break;
      case 5: out.dim = floor_div(x.dim, y.dim); break;
      case 6: out.dim = ceil_div(x.dim, y.dim); break;
      default: out.dim = truncated_div(x.dim, y.dim); break;
    }
    return out;
  }

 private:
  int pick(int count) { return static_cast<int>(random_() % static_cast<uint32_t>(count)); }
  std::mt19937 random_;
  Bindings bindings_;
};

// Text of an expression with no regard to its length.
std::string long_text(std::mt19937& random, int depth) {
  const uint32_t op = random() % 8;
  if (depth == 0 || op == 0) return std::string(1, "abcdefgh"[random() % 8]);
  if (op == 1) return std::to_string(random() % 99);
  const std::string x = long_text(random, depth - 1), y = long_text(random, depth - 1);
  if (op == 2) return x + " + " + y;
  if (op == 3) return x + " - " + y;
  if (op == 4) return "floor((" + x + ")/(" + y + "))";
  return (op == 5 ? "min(" : "max(") + x + ", " + y + ")*" + (op == 7 ? "a" : "2");
}

TEST(Dim, LongTextsAreReadOrRefused) {
  std::mt19937 random(1);
  int unknown = 0, read = 0;
  for (int i = 0; i < 1000; ++i) {
    const Result<Dim> d = Dim::parse(long_text(random, 4 + i % 6));
    if (!d.ok()) continue;
    unknown += d->is_unknown() ? 1 : 0;
    read += !d->is_unknown() && parsed(d->str()).same(*d) ? 1 : 0;
  }
  EXPECT_GT(unknown, 100);
  EXPECT_GT(read, 100);
}

TEST(Dim, RandomExpressionsAreTheirNumbers) {
  int compared = 0;
  for (uint32_t seed = 0; seed < 20000; ++seed) {
    Expressions expressions(seed);
    const Both made = expressions.make(1 + static_cast<int>(seed % 4));
    if (!made.number || made.dim.is_unknown()) continue;
    ++compared;
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + made.dim.str());
    const Dim bound = made.dim.bind(expressions.bindings());
    ASSERT_TRUE(bound.known());
    ASSERT_EQ(bound.value(), *made.number);
    ASSERT_TRUE(at_least(Dim(*made.number), made.dim.lower_bound().value_or(INT64_MIN)));
    ASSERT_LE(*made.number, made.dim.upper_bound().value_or(INT64_MAX));
    const Result<Dim> again = Dim::parse(made.dim.str());
    ASSERT_TRUE(again.ok()) << again.status().message();
    ASSERT_TRUE(again->same(made.dim)) << again->str();
  }
  EXPECT_GT(compared, 10000);
}

}  // namespace
}  // namespace mnn
