#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "libquant/quantize.h"
#include "libquant/report/layer_report.h"
#include "libruntime/core/text.h"
#include "libruntime/report/format.h"

namespace mnn {
namespace {

QuantReport sample_report() {
  QuantReport r;
  r.scheme = "int8";
  r.method = "minmax";
  r.candidates = {{"minmax", 20.5, 12, true}, {"kl", -INFINITY, -INFINITY, false}};
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
  r.outputs = {{"y", e.contribution, {}}};
  return r;
}

TEST(Report, JsonIsValidAndHasNoNaN) {
  const auto j = nlohmann::json::parse(report_json(sample_report()));
  EXPECT_EQ(j["layers"].size(), 3u);
  EXPECT_TRUE(j["candidates"][1]["mean_sample_snr_db"].is_null());
  EXPECT_TRUE(j["candidates"][0]["chosen"].get<bool>());
  EXPECT_FALSE(j["candidates"][1]["chosen"].get<bool>());
  EXPECT_TRUE(j["layers"][0]["amplified"].get<bool>());
  EXPECT_TRUE(j["argmax_agreement"].is_null());
}

TEST(Report, HtmlStandsAloneAndEscapes) {
  const std::string html = report_html(sample_report(), "a<b", 5, nullptr);
  EXPECT_EQ(html.find("http"), std::string::npos);
  EXPECT_EQ(html.find("layer <1>"), std::string::npos);
  EXPECT_NE(html.find("layer &lt;1&gt; &amp; &quot;two&quot;"), std::string::npos);
  EXPECT_NE(html.find("a&lt;b"), std::string::npos);
}

TEST(Report, TextMarksAndLimits) {
  const std::string text = report_text(sample_report(), 2, 5, false);
  EXPECT_NE(text.find("[amplified]"), std::string::npos);
  EXPECT_NE(text.find("FAIL"), std::string::npos);
  EXPECT_NE(text.find("and 1 more"), std::string::npos);
  EXPECT_EQ(text.find('\033'), std::string::npos);
}

TEST(Report, TextTakesNamesOfAnyLength) {
  QuantReport r = sample_report();
  const std::string name(3000, 'n');
  r.outputs[0].name = name;
  r.islands = {{name, name, 0.5, 0, {name}}};
  r.candidates[0].name = name;
  r.layers[0].name = std::string(100, 'a') + "\xc3\xa4" + std::string(46, 'b');
  const std::string text = report_text(r, 2, 5, false);
  EXPECT_NE(text.find("output " + shorten_middle(name, kNameColumns) + ": pooled SNR 12.0 dB, "),
            std::string::npos);
  EXPECT_NE(
      text.find("in float: 1 " + name + " (50.00 % of the MACs, 0 B of constants): " + name + "\n"),
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

// What is not all is never printed as all, and what says nothing is not called exact.
TEST(Report, SharesAndConstantsDoNotMislead) {
  QuantReport r = sample_report();
  r.macs = 1e6;
  r.int8_mac_share = 0.9998;
  r.bytes_before = 1'073'741'824;
  r.bytes_after = 1'000'000'000;
  for (LayerError& e : r.layers) e.macs = 999'999;
  r.layers[1].isolated.snr_db = r.layers[2].isolated.snr_db = kExactSnrDb;
  r.layers[1].isolated.constant = true;
  FloatIsland island;
  island.op = "LSTM";
  island.why = "there is no int8 kernel for it";
  island.mac_share = 0.0002;
  island.constants = 12345;
  island.layers = {"lstm"};
  r.islands = {island};
  r.float_constants = {{"W", "lstm", "LSTM", 12345}};
  r.samples.slice_names = {"y"};
  r.samples.samples = {{"a.png", 0, 31, {31}}, {"b.png", 1, 12, {12}}};
  const std::string text = report_text(r, 9, 1, false), html = report_html(r, "m", 5, nullptr);
  for (const std::string& report : {text, html}) {
    EXPECT_EQ(report.find("100.0"), std::string::npos);
    EXPECT_NE(report.find("constant"), std::string::npos);
    EXPECT_NE(report.find("exact"), std::string::npos);
    EXPECT_NE(report.find("1.07 GB"), std::string::npos);
    EXPECT_NE(report.find("12.3 kB"), std::string::npos);
    EXPECT_NE(report.find("21.50"), std::string::npos);
    EXPECT_NE(report.find("b.png"), std::string::npos);
    EXPECT_NE(report.find("chosen"), std::string::npos);
  }
  EXPECT_NE(text.find("int8 share of the MACs >99.9 %"), std::string::npos) << text;
  EXPECT_NE(text.find("in float: 1 LSTM (0.02 % of the MACs, 12.3 kB of constants)"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("mean SNR 21.50 dB, worst SNR 12.00 dB"), std::string::npos) << text;
  const auto j = nlohmann::json::parse(report_json(r));
  EXPECT_EQ(j["float_islands"][0]["constant_bytes"], 12345);
  EXPECT_EQ(j["float_constants"][0]["layer"], "lstm");
  EXPECT_EQ(j["samples"][1]["name"], "b.png");
  EXPECT_TRUE(j["layers"][1]["isolated"]["constant"].get<bool>());
}

// What thresholds are held against is the worst slice, and every form names it.
TEST(Report, TheWorstSliceStandsBesideTheWhole) {
  QuantReport r = sample_report();
  SliceError good, bad;
  good.name = "y[0:4]";
  good.metrics.snr_db = 40;
  bad.name = "y[4:22]";
  bad.metrics.snr_db = 9;
  r.outputs[0].slices = {good, bad};
  r.samples.slice_names = {"y[0:4]", "y[4:22]"};
  r.samples.samples = {{"a", 0, 14, {40, 11}}, {"b", 1, 9, {41, 6}}};
  EXPECT_EQ(r.outputs[0].worst().name, "y[4:22]");
  const std::string text = report_text(r, 0, 1, false);
  EXPECT_NE(text.find("slice y[4:22]: pooled SNR 9.0 dB"), std::string::npos) << text;
  EXPECT_NE(text.find("(worst)"), std::string::npos) << text;
  EXPECT_NE(text.find("b  y[0:4] 41.00 dB, y[4:22] 6.00 dB"), std::string::npos) << text;
  EXPECT_NE(text.find("and 1 better ones"), std::string::npos) << text;
  const std::string html =
      report_html(r, "m", 1, [](size_t i) { return "<img " + std::to_string(i) + ">"; });
  EXPECT_NE(html.find("slice, the worst"), std::string::npos);
  EXPECT_NE(html.find("<img 1>"), std::string::npos);
  EXPECT_EQ(html.find("<img 0>"), std::string::npos);
  const auto j = nlohmann::json::parse(report_json(r));
  EXPECT_EQ(j["outputs"][0]["worst"], "y[4:22]");
  EXPECT_EQ(j["outputs"][0]["slices"][1]["snr_db"], 9);
  EXPECT_EQ(j["samples"][1]["slices"][1]["snr_db"], 6);
  r.outputs[0].slices[0].metrics.failed = true;
  EXPECT_EQ(r.outputs[0].worst().name, "y[0:4]");
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
