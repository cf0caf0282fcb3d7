#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "libquant/layer_report.h"
#include "libruntime/core/text.h"

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

TEST(Report, TextTakesNamesOfAnyLength) {
  QuantReport r = sample_report();
  const std::string name(3000, 'n');
  r.outputs[0].first = name;
  r.islands = {{name, name, 0.5, {name}}};
  r.candidates[0].first = name;
  r.layers[0].name = std::string(100, 'a') + "\xc3\xa4" + std::string(46, 'b');
  const std::string text = report_text(r, 2, false);
  EXPECT_NE(text.find("output " + name + ": SNR 12.0 dB, cosine "), std::string::npos);
  EXPECT_NE(text.find("in float: 1 " + name + " (50.00 % of the MACs): " + name + "\n"),
            std::string::npos);
  // Cut between characters, not inside one.
  EXPECT_EQ(text.find("…\xa4"), std::string::npos);
}

TEST(Report, ASuggestionIsNeverALoss) {
  EXPECT_EQ(suggestion_text("wider range", 0.52, 1.2),
            "wider range: +0.52 dB; in float: +1.20 dB at the output");
  EXPECT_EQ(suggestion_text("wider range", 0.52, -0.59), "wider range: +0.52 dB at the output");
  EXPECT_EQ(suggestion_text("", -INFINITY, 3), "in float: +3.00 dB at the output");
  EXPECT_EQ(suggestion_text("wider range", -1, -4.28), "");
  EXPECT_EQ(suggestion_text("wider range", 0.05, NAN), "");
}

// Scores of classes are compared by the best class; an axis of boxes or of space is not.
TEST(Report, ArgmaxAgreementIsForClasses) {
  const auto tensor = [](std::vector<int64_t> dims, std::vector<float> v) {
    return Tensor::of<float>(std::move(dims), std::span<const float>(v));
  };
  const auto graph_of = [](const std::string& type, const std::string& node) {
    return parse_graph("graph g(x: " + type + ") -> (y) {\n  y = " + node + "\n}").value();
  };
  const Graph soft = graph_of("f32[1,2,3]", "Softmax(x) {axis=-1}");
  const Graph across = graph_of("f32[1,2,3]", "Softmax(x) {axis=1}");
  const Graph boxes = graph_of("f32[1,2,3]", "Relu(x)");
  const std::vector<std::vector<Tensor>> want = {{tensor({1, 2, 3}, {1, 2, 3, 3, 2, 1})}};
  const std::vector<std::vector<Tensor>> have = {{tensor({1, 2, 3}, {1, 2, 4, 1, 2, 0})}};
  EXPECT_EQ(argmax_agreement(soft, want, have), 0.5);
  EXPECT_EQ(argmax_agreement(across, want, have), -1);
  EXPECT_EQ(argmax_agreement(boxes, want, have), -1);
  const Graph plain = graph_of("f32[2,2]", "Relu(x)");
  EXPECT_EQ(
      argmax_agreement(plain, {{tensor({2, 2}, {1, 2, 2, 1})}}, {{tensor({2, 2}, {0, 5, 9, 1})}}),
      1);
  EXPECT_EQ(argmax_agreement(plain, {{tensor({2, 1}, {1, 2})}}, {{tensor({2, 1}, {1, 2})}}), -1);
}

}  // namespace
}  // namespace mnn
