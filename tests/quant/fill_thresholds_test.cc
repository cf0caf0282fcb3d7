#include "apps/flows/fill_thresholds.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "apps/flows/fill_quant.h"

namespace mnn::flows {
namespace {

Project made_by_init(const std::string& name) {
  Project p;
  p.folder = (std::filesystem::path(testing::TempDir()) / name).string();
  std::filesystem::create_directories(p.folder);
  p.model = "m.mnn";
  p.fill = {kFillQuant, kFillBench};
  EXPECT_TRUE(write_project(p).ok());
  return p;
}

// An output whose scores are worse than the whole.
QuantReport result(double snr_db, double cosine) {
  QuantReport report;
  OutputError output;
  output.name = "y";
  output.whole.snr_db = 60;
  output.whole.cosine = 1;
  output.slices.emplace_back();
  output.slices[0].name = "y[:,4:]";
  output.slices[0].metrics.snr_db = snr_db;
  output.slices[0].metrics.cosine = cosine;
  report.outputs.push_back(output);
  return report;
}

TEST(FillThresholds, SetsTheWorstSliceWithAMargin) {
  const Project p = made_by_init("fill_good");
  const auto told = fill_from_quant(p.folder, result(27.38, 0.998), 1234567);
  ASSERT_TRUE(told.ok()) << told.status().message();
  EXPECT_EQ(*told, p.folder +
                       "/mnn.json: thresholds from this result: min_cosine 0.997 (measured "
                       "0.998000), min_snr 25.8 (measured 27.38 dB), max_size 1300000 (measured "
                       "1.23 MB)");
  const auto after = read_project(p.folder);
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->thresholds.min_snr, 25.8);
  EXPECT_EQ(after->thresholds.max_size, 1300000);
  EXPECT_EQ(after->fill, std::vector<std::string>{kFillBench});
  // The second result changes nothing.
  EXPECT_EQ(*fill_from_quant(p.folder, result(40, 0.9999), 1000), "");
  EXPECT_EQ(read_project(p.folder)->thresholds.min_snr, 25.8);
}

TEST(FillThresholds, ABadResultDoesNotBecomeTheRule) {
  const Project p = made_by_init("fill_bad");
  const auto told = fill_from_quant(p.folder, result(12.5, 0.995), 1000);
  ASSERT_TRUE(told.ok()) << told.status().message();
  EXPECT_NE(told->find("no thresholds from this result: output y[:,4:]: SNR 12.50 dB is below"),
            std::string::npos)
      << *told;
  const auto after = read_project(p.folder);
  ASSERT_TRUE(after.ok());
  EXPECT_FALSE(after->thresholds.min_snr || after->thresholds.max_size);
  EXPECT_EQ(after->fill, p.fill);
}

}  // namespace
}  // namespace mnn::flows
