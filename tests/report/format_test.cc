#include "libruntime/report/format.h"

#include <gtest/gtest.h>

namespace mnn {
namespace {

TEST(Format, BytesHaveOneUnitEverywhere) {
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(4'700'000), "4.70 MB");
  EXPECT_EQ(format_bytes(1'073'741'824), "1.07 GB");
}

TEST(Format, PercentIsAllOrNothingOnlyWhenItIs) {
  EXPECT_EQ(format_percent(1, 1), "100.0");
  EXPECT_EQ(format_percent(0.9998, 1), ">99.9");
  EXPECT_EQ(format_percent(0.9998, 2), "99.98");
  EXPECT_EQ(format_percent(0.99999999, 2), ">99.99");
  EXPECT_EQ(format_percent(0.9994, 1), "99.9");
  EXPECT_EQ(format_percent(0, 1), "0.0");
  EXPECT_EQ(format_percent(0.0002, 1), "<0.1");
  EXPECT_EQ(format_percent(0.9998, 0), ">99");
}

}  // namespace
}  // namespace mnn
