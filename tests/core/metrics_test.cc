#include "libruntime/core/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "libruntime/core/text.h"

namespace mnn {
namespace {

Tensor tensor(std::string_view text) { return *parse_tensor(text); }

ErrorMetrics metrics(std::string_view reference, std::string_view test) {
  ErrorSums sums;
  EXPECT_TRUE(sums.add(tensor(reference), tensor(test)).ok());
  return metrics_of(sums);
}

TEST(Metrics, KnownValues) {
  const ErrorMetrics m = metrics("f32[2] = 3 4", "f32[2] = 3 5");
  EXPECT_DOUBLE_EQ(m.cosine, 29 / (5 * std::sqrt(34.0)));
  EXPECT_DOUBLE_EQ(m.snr_db, 10 * std::log10(25.0));
  EXPECT_DOUBLE_EQ(m.mse, 0.5);
  EXPECT_DOUBLE_EQ(m.max_abs, 1);
  EXPECT_DOUBLE_EQ(m.max_rel, 0.25);
  EXPECT_EQ(m.count, 2);
  EXPECT_FALSE(m.failed);
}

TEST(Metrics, ZerosAndEquals) {
  EXPECT_EQ(metrics("f32[2] = 0 0", "f32[2] = 0 0").cosine, 1);
  EXPECT_EQ(metrics("f32[2] = 0 0", "f32[2] = 0 0").snr_db, kExactSnrDb);
  EXPECT_EQ(metrics("f32[2] = 0 0", "f32[2] = 0 1").cosine, 0);
  EXPECT_EQ(metrics("f32[2] = 0 0", "f32[2] = 0 1").snr_db, -kExactSnrDb);
  EXPECT_EQ(metrics("f32[2] = 0 0", "f32[2] = 0 1").max_rel,
            std::numeric_limits<double>::infinity());
  EXPECT_EQ(metrics("f32[2] = 1 2", "f32[2] = 0 0").cosine, 0);
  EXPECT_DOUBLE_EQ(metrics("f32[2] = 1 2", "f32[2] = 1 2").cosine, 1);
  EXPECT_EQ(metrics("f32[2] = 1 2", "i64[2] = 1 2").max_abs, 0);
}

// No error against a reference that never changes says nothing.
TEST(Metrics, ConstantReferences) {
  EXPECT_TRUE(metrics("f32[3] = 2 2 2", "f32[3] = 2 2 2").constant);
  EXPECT_TRUE(metrics("f32[3] = 0 0 0", "f32[3] = 0 1 0").constant);
  EXPECT_FALSE(metrics("f32[3] = 2 2 3", "f32[3] = 2 2 3").constant);
  EXPECT_FALSE(metrics("f32[1] = 2", "f32[1] = 2").constant) << "one number alone may be all of it";
  ErrorSums sums;
  ASSERT_TRUE(sums.add(tensor("f32[1] = 2"), tensor("f32[1] = 2")).ok());
  ErrorSums other = sums;
  sums.merge(other);
  EXPECT_TRUE(metrics_of(sums).constant);
  other = {};
  ASSERT_TRUE(other.add(tensor("f32[1] = 3"), tensor("f32[1] = 3")).ok());
  sums.merge(other);
  EXPECT_FALSE(metrics_of(sums).constant);
}

TEST(Metrics, SnrsReadTheSameEverywhere) {
  EXPECT_EQ(snr_text(metrics("f32[2] = 3 4", "f32[2] = 3 5")), "14.0");
  EXPECT_EQ(snr_text(metrics("f32[2] = 3 4", "f32[2] = 3 4")), "exact");
  EXPECT_EQ(snr_text(metrics("f32[2] = 3 3", "f32[2] = 3 3")), "constant");
  EXPECT_EQ(snr_text(metrics("f32[2] = 3 4", "f32[2] = 3 nan")), "FAIL");
  EXPECT_EQ(metrics("f32[2] = 3 -4", "f32[2] = 3 5").max_ref, 4);
}

TEST(Metrics, NotFiniteOrNothingNeverPasses) {
  EXPECT_TRUE(metrics("f32[0] =", "f32[0] =").failed);
  EXPECT_TRUE(metrics("f32[2] = 1 nan", "f32[2] = 1 nan").failed);
  EXPECT_TRUE(metrics("f32[2] = 1 2", "f32[2] = 1 inf").failed);
  EXPECT_TRUE(metrics("f32[2] = 1 -inf", "f32[2] = 1 inf").failed);
  EXPECT_TRUE(metrics("f64[2] = 1 1e200", "f64[2] = 1 -1e200").failed);
  const ErrorMetrics m = metrics("f32[2] = 1 inf", "f32[2] = 1 inf");
  EXPECT_FALSE(m.failed);
  EXPECT_EQ(m.cosine, 1);
}

TEST(Metrics, ShardsMerge) {
  const Tensor r = tensor("f32[10000] = random 1 -1 1"), t = tensor("f32[10000] = random 2 -1 1");
  ErrorSums whole, left, right;
  ASSERT_TRUE(whole.add(r, t).ok());
  left.add(r.data<float>(), t.data<float>(), 5000);
  right.add(r.data<float>() + 5000, t.data<float>() + 5000, 5000);
  left.merge(right);
  EXPECT_EQ(left.count, whole.count);
  EXPECT_EQ(left.max_abs_error, whole.max_abs_error);
  EXPECT_NEAR(left.error_squared, whole.error_squared, 1e-9);
  ErrorSums halves;
  ASSERT_TRUE(halves.add(tensor("f16[10000] = random 1 -1 1"), t).ok());
  EXPECT_NEAR(halves.product, whole.product, 1);
}

TEST(Metrics, RefusesWhatCannotBeCompared) {
  ErrorSums sums;
  EXPECT_FALSE(sums.add(tensor("f32[2] = 1 2"), tensor("f32[3] = 1 2 3")).ok());
  EXPECT_FALSE(sums.add(tensor("str[1] = \"a\""), tensor("str[1] = \"a\"")).ok());
  EXPECT_FALSE(sums.add(tensor("f32[1] = 1"), tensor("f8e5m2[1] = 0x01")).ok());
}

std::string close(std::string_view reference, std::string_view test, double rtol = 0,
                  double atol = 0) {
  return all_close(tensor(reference), tensor(test), rtol, atol).message();
}

TEST(AllClose, Bounds) {
  EXPECT_EQ(close("f32[2] = 1 100", "f32[2] = 1.5 110", 0.0, 10), "");
  EXPECT_EQ(close("f32[2] = 1 100", "f32[2] = 1 101", 0.01, 0), "");
  EXPECT_EQ(close("f32[2,2] = 1 2 3 100", "f32[2,2] = 1 2 3.5 102", 0.01, 0),
            "2 of 4 elements differ by more than 0 + 0.01 * |expected|; the worst at [1,1]: "
            "expected 100, found 102");
}

TEST(AllClose, SpecialValues) {
  EXPECT_EQ(close("f32[3] = nan inf -inf", "f32[3] = nan inf -inf"), "");
  EXPECT_NE(close("f32[1] = nan", "f32[1] = 1", 1, 1), "");
  EXPECT_NE(close("f32[1] = 1", "f32[1] = nan", 1, 1), "");
  EXPECT_NE(close("f32[1] = inf", "f32[1] = 1", 1, 1), "");
  EXPECT_NE(close("f32[1] = inf", "f32[1] = -inf", 1, 1), "");
  EXPECT_NE(close("f32[1] = 1", "f32[1] = inf", 1, 1), "");
  EXPECT_EQ(close("f32[0,3] =", "f32[0,3] ="), "");
}

TEST(AllClose, ExactTypes) {
  EXPECT_NE(close("i64[1] = 9007199254740993", "i64[1] = 9007199254740992"), "");
  EXPECT_EQ(close("i64[1] = 9007199254740993", "i64[1] = 9007199254740992", 0, 1), "");
  EXPECT_NE(close("i64[1] = -9223372036854775808", "i64[1] = 9223372036854775807", 0.5), "");
  EXPECT_EQ(close("str[2] = \"a\" \"b\"", "str[2] = \"a\" \"c\""),
            "strings differ at [1]: expected \"b\", found \"c\"");
  EXPECT_EQ(close("f8e5m2[1] = 0x01", "f8e5m2[1] = 0x01"), "");
  EXPECT_NE(close("f8e5m2[1] = 0x01", "f8e5m2[1] = 0x02"), "");
  EXPECT_EQ(close("c64[1] = (1,2)", "c64[1] = (1,2.5)", 0, 0.5), "");
  EXPECT_EQ(close("f32[2] = 1 2", "f32[2,1] = 1 2"), "expected f32[2], found f32[2,1]");
}

}  // namespace
}  // namespace mnn
