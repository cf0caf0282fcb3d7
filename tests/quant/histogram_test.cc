#include "libquant/calibrate/histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace mnn {
namespace {

// Bell-shaped values around zero with a few far outliers.
std::vector<float> bell(int n, float outlier) {
  std::vector<float> x;
  uint64_t s = 1;
  for (int i = 0; i < n; ++i) {
    double sum = 0;
    for (int k = 0; k < 12; ++k) {
      s = s * 6364136223846793005ULL + 1442695040888963407ULL;
      sum += static_cast<double>(s >> 11) * 0x1p-53;
    }
    x.push_back(static_cast<float>(sum - 6));
  }
  x.push_back(outlier);
  return x;
}

Histogram histogram_of(const std::vector<float>& x) {
  RangeStats r;
  r.add(x);
  Histogram h(r);
  h.add(x);
  return h;
}

TEST(RangeStats, MergesLikeOneStream) {
  const std::vector<float> a = {1, -2, 3}, b = {0.5f, 7}, both = {1, -2, 3, 0.5f, 7};
  RangeStats x, y, z;
  x.add(a);
  y.add(b);
  x.merge(y);
  z.add(both);
  EXPECT_EQ(x.low, z.low);
  EXPECT_EQ(x.high, z.high);
  EXPECT_EQ(x.count, z.count);
}

TEST(RangeStats, MergingNothingChangesNothing) {
  RangeStats x, empty;
  x.add(std::vector<float>{2, 3});
  x.merge(empty);
  EXPECT_EQ(x.low, 2);
  empty.merge(x);
  EXPECT_EQ(empty.low, 2);
}

TEST(RangeStats, CountsWhatIsNotFinite) {
  RangeStats x;
  x.add(std::vector<float>{1, NAN, INFINITY});
  EXPECT_EQ(x.not_finite, 2);
  EXPECT_EQ(x.high, 1);
}

TEST(Histogram, ShardsMergeExactly) {
  const std::vector<float> all = bell(10001, 9);
  RangeStats r;
  r.add(all);
  Histogram whole(r), first(r), second(r);
  whole.add(all);
  first.add(std::span(all).first(3333));
  second.add(std::span(all).subspan(3333));
  first.merge(second);
  EXPECT_EQ(first.bins, whole.bins);
  EXPECT_EQ(first.count, whole.count);
}

TEST(Histogram, ConstantTensorHasARange) {
  for (const float v : {0.0f, 4.0f, -3.0f}) {
    const Histogram h = histogram_of({v, v, v});
    for (const auto method : {CalibrationMethod::kMinMax, CalibrationMethod::kPercentile,
                              CalibrationMethod::kKl, CalibrationMethod::kMse}) {
      const RealRange r = choose_range(h, method);
      EXPECT_LE(r.low, 0) << v;
      EXPECT_GE(r.high, 0) << v;
      EXPECT_TRUE(std::isfinite(r.low) && std::isfinite(r.high));
    }
  }
}

TEST(Ranges, MinMaxIsTheWholeRangeAndHoldsZero) {
  const RealRange r = range_minmax(histogram_of({2, 3, 5}));
  EXPECT_EQ(r.low, 0);
  EXPECT_EQ(r.high, 5);
}

TEST(Ranges, AFarOutlierIsCutByAllButMinMax) {
  const Histogram h = histogram_of(bell(200000, 500));
  EXPECT_EQ(range_minmax(h).high, 500);
  EXPECT_LT(range_percentile(h).high, 10);
  EXPECT_LT(range_mse(h).high, 500);
  EXPECT_LT(range_kl(h).high, 500);
  for (const RealRange r : {range_percentile(h), range_mse(h), range_kl(h)}) {
    EXPECT_LT(r.low, 0);
    EXPECT_GE(r.low, h.low);
  }
}

TEST(Ranges, PercentileLeavesNothingOutsideAnEndAtZero) {
  std::vector<float> x = bell(50000, 3);
  for (float& v : x) v = std::fabs(v);
  EXPECT_EQ(range_percentile(histogram_of(x)).low, 0);
}

// The exact search must not be worse than the whole range, by its own measure.
TEST(Ranges, MseIsNeverWorseThanMinMax) {
  for (const float outlier : {3.0f, 8.0f, 20.0f, 100.0f}) {
    const std::vector<float> x = bell(20000, outlier);
    const Histogram h = histogram_of(x);
    auto error = [&](RealRange r) {
      const double step = (r.high - r.low) / 255;
      double e = 0;
      for (const float v : x) {
        const double q = std::min(255.0, std::max(0.0, std::nearbyint((v - r.low) / step)));
        e += std::pow(v - (r.low + q * step), 2);
      }
      return e;
    };
    EXPECT_LE(error(range_mse(h)), error(range_minmax(h)) * 1.02) << outlier;
  }
}

// Behind a Relu most elements are exactly zero, which every grid holds: they are no reason to clip.
TEST(Ranges, KlLeavesExactZerosAlone) {
  std::vector<float> x = bell(20000, 4);
  for (float& v : x) v = v < 0.5f ? 0.0f : v;
  const RealRange r = range_kl(histogram_of(x));
  EXPECT_EQ(r.low, 0);
  EXPECT_GT(r.high, 2);
}

TEST(RangeStats, BlocksFindTheSameAsSingles) {
  std::vector<float> x = bell(1000, 9);
  x[3] = -7;
  x[500] = NAN;
  RangeStats all, single;
  all.add(x);
  for (const float v : x) single.add(std::span(&v, 1));
  EXPECT_EQ(all.low, single.low);
  EXPECT_EQ(all.high, single.high);
  EXPECT_EQ(all.count, single.count);
  EXPECT_EQ(all.not_finite, 1);
}

}  // namespace
}  // namespace mnn
