// What reports say of layers beside errors, and statistics in parts.
#include "libquant/report/layer_facts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "libquant/quantize.h"
#include "libquant/report/stats_file.h"
#include "libruntime/core/quant.h"

namespace mnn {
namespace {

TEST(LayerFacts, LevelsAreCodesThatOccur) {
  const std::vector<int8_t> codes = {-128, 0, 127, 0, -1};
  const Tensor bytes = Tensor::of<int8_t>({5}, codes);
  EXPECT_EQ(levels_used(bytes, tensor_quant(DType::kI8, 0.1f, 0)), 4);
  const std::vector<uint16_t> bits = {0, 1, 2};
  const Tensor floats = Tensor::of<uint16_t>({3}, bits);
  QuantParams half;
  half.storage = DType::kF16;
  half.scale = Tensor::scalar(1.0f);
  EXPECT_EQ(levels_used(floats, half), 0);
}

TEST(LayerFacts, DistributionsCountEveryNumber) {
  const std::vector<float> numbers = {-1, -1, 0, 1};
  const auto d = distribution_of(numbers);
  ASSERT_TRUE(d);
  EXPECT_EQ(d->low, -1);
  EXPECT_EQ(d->high, 1);
  EXPECT_EQ(d->bins.front(), 2);
  EXPECT_EQ(d->bins[kDistributionBins / 2], 1);
  EXPECT_EQ(d->bins.back(), 1);
  const std::vector<float> one = {3, 3};  // a range without a width
  ASSERT_TRUE(distribution_of(one));
  EXPECT_EQ(distribution_of(one)->bins[0], 2);
  EXPECT_FALSE(distribution_of({}));
  const std::vector<float> wrong = {1, std::numeric_limits<float>::infinity()};
  EXPECT_FALSE(distribution_of(wrong));
}

TEST(LayerFacts, CsvQuotesAndDisarms) {
  QuantReport r;
  LayerError e;
  e.name = "=a,\"b\"";
  e.op = "Conv";
  e.contribution.failed = true;
  r.layers = {e};
  const std::string csv = report_csv(r);
  EXPECT_NE(csv.find("\r\n\"'=a,\"\"b\"\"\",Conv,"), std::string::npos) << csv;
  EXPECT_EQ(std::ranges::count(csv, '\n'), 2);
  EXPECT_EQ(csv.find("nan"), std::string::npos);
}

CalibrationStats ranges_of(double low, double high, const char* first) {
  CalibrationStats s;
  s.samples = 2;
  s.ranges.resize(1);
  s.ranges[0].low = low;
  s.ranges[0].high = high;
  s.ranges[0].count = 10;
  s.first = {first};
  s.changes = {0};
  s.channels = {{s.ranges, {}}};
  return s;
}

TEST(CalibrationStats, RangesMergeInAnyOrder) {
  const CalibrationStats a = ranges_of(-1, 2, "p"), b = ranges_of(-3, 1, "q");
  CalibrationStats ab = a, ba = b;
  ASSERT_TRUE(merge_stats(ab, b).ok());
  ASSERT_TRUE(merge_stats(ba, a).ok());
  EXPECT_EQ(stats_json(ab, {}), stats_json(ba, {}));
  EXPECT_EQ(ab.samples, 4u);
  EXPECT_EQ(ab.ranges[0].low, -3);
  EXPECT_EQ(ab.ranges[0].high, 2);
  EXPECT_EQ(ab.ranges[0].count, 20);
  EXPECT_TRUE(ab.changes[0]);  // the first samples of both differ
  CalibrationStats same = a;
  ASSERT_TRUE(merge_stats(same, a).ok());
  EXPECT_FALSE(same.changes[0]);
}

TEST(CalibrationStats, CountsAddInsideTheSameRanges) {
  CalibrationStats a = ranges_of(-1, 2, "p");
  a.counted = true;
  a.bins = {std::vector<int64_t>(kHistogramBins, 0)};
  a.bins[0][7] = 5;
  a.channels[0].bins.assign(ChannelStats::kBins, 1);
  CalibrationStats sum = a;
  ASSERT_TRUE(merge_stats(sum, a).ok());
  EXPECT_EQ(sum.bins[0][7], 10);
  EXPECT_EQ(sum.channels[0].bins[3], 2);
  CalibrationStats other = a;
  other.ranges[0].high = 3;
  EXPECT_EQ(merge_stats(sum, other).code(), Code::kInvalidArgument);
  EXPECT_EQ(merge_stats(sum, ranges_of(-1, 2, "p")).code(), Code::kInvalidArgument);
}

TEST(CalibrationStats, FilesKeepEveryBit) {
  CalibrationStats a = ranges_of(-0.1f, 1.0 / 3, "p");
  a.counted = true;
  a.bins = {std::vector<int64_t>(kHistogramBins, 0)};
  a.bins[0][0] = 1;
  a.bins[0][2047] = int64_t{1} << 40;
  a.bins[0][100] = 3;
  a.channels[0].bins.assign(ChannelStats::kBins, 2);
  const std::map<std::string, std::string> identity = {{"model", "m"}};
  const std::string text = stats_json(a, identity);
  const auto back = read_stats(text, identity);
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(back->ranges, a.ranges);
  EXPECT_EQ(back->bins, a.bins);
  EXPECT_EQ(back->channels[0].bins, a.channels[0].bins);
  EXPECT_EQ(stats_json(*back, identity), text);
  EXPECT_EQ(read_stats(text, {{"model", "n"}}).status().code(), Code::kUsage);
  // Whatever is cut or changed is refused or read, never a crash.
  for (size_t at = 0; at < text.size(); at += 3) {
    (void)read_stats(text.substr(0, at), identity);
    std::string changed = text;
    changed[at] = changed[at] == '9' ? '-' : '9';
    (void)read_stats(changed, identity);
  }
}

}  // namespace
}  // namespace mnn
