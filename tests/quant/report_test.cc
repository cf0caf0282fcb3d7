#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "libquant/quantize.h"

namespace mnn {
namespace {

QuantReport sample_report() {
  QuantReport r;
  r.scheme = "int8";
  r.method = "minmax";
  r.candidates = {{"minmax", 20.5}, {"kl", -INFINITY}};
  LayerError e;
  e.name = "layer <1> & \"two\"";
  e.op = "Conv+Relu";
  e.origin = {"layer"};
  e.shape = {1, 2, 3};
  e.contribution.snr_db = 12;
  e.isolated.snr_db = 33;
  e.accumulated.failed = true;
  e.amplified = true;
  e.suggestion = "in float: +1.00 dB at the output";
  r.layers = {e, e, e};
  r.outputs = {{"y", e.contribution}};
  return r;
}

TEST(Report, JsonIsValidAndHasNoNaN) {
  const auto j = nlohmann::json::parse(report_json(sample_report()));
  EXPECT_EQ(j["layers"].size(), 3u);
  EXPECT_TRUE(j["candidates"][1]["snr_db"].is_null());
  EXPECT_TRUE(j["layers"][0]["amplified"].get<bool>());
  EXPECT_TRUE(j["argmax_agreement"].is_null());
}

TEST(Report, HtmlStandsAloneAndEscapes) {
  const std::string html = report_html(sample_report(), "a<b");
  EXPECT_EQ(html.find("http"), std::string::npos);
  EXPECT_EQ(html.find("layer <1>"), std::string::npos);
  EXPECT_NE(html.find("layer &lt;1&gt; &amp; &quot;two&quot;"), std::string::npos);
  EXPECT_NE(html.find("a&lt;b"), std::string::npos);
}

TEST(Report, TextMarksAndLimits) {
  const std::string text = report_text(sample_report(), 2, false);
  EXPECT_NE(text.find("[amplified]"), std::string::npos);
  EXPECT_NE(text.find("FAIL"), std::string::npos);
  EXPECT_NE(text.find("and 1 more"), std::string::npos);
  EXPECT_EQ(text.find('\033'), std::string::npos);
}

}  // namespace
}  // namespace mnn
