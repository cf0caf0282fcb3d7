// A scheme file brings back every decision, and says where it is wrong.
#include "libquant/report/scheme.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "libquant/quantize.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

using Json = nlohmann::ordered_json;

// A depthwise layer whose input channels differ a lot, a dense one likewise.
constexpr const char* kNet = R"(graph g(x: f32[1,3,9,9]) -> (y) {
  const w1: f32[8,3,3,3] = random 1 -0.5 0.5
  const s: f32[1,8,1,1] = 0.01 0.1 1 10 0.02 0.2 2 20
  const w2: f32[8,1,3,3] = random 3 -0.5 0.5
  const w3: f32[6,8,1,1] = random 4 -0.5 0.5
  const w4: f32[5,6] = random 5 -0.5 0.5
  const b4: f32[5] = random 6 -0.5 0.5
  a = Conv(x, w1) {pads=[1,1,1,1]} + Relu @ "first"
  m = Mul(a, s)
  d = Conv(m, w2) {pads=[1,1,1,1], group=8} + Relu @ "depthwise"
  e = Conv(d, w3) + Relu @ "pointwise"
  p = GlobalAveragePool(e)
  f = Flatten(p)
  y = Gemm(f, w4, b4) {transB=1} @ "classifier"
})";

Graph net() { return typed_graph(kNet); }

SampleSource samples(size_t count) {
  SampleSource s;
  s.count = count;
  s.load = [](size_t i) -> Result<std::vector<Tensor>> {
    MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(DType::kF32, {1, 3, 9, 9}));
    uint64_t state = 1 + i * 977;
    for (int64_t e = 0; e < t.elements(); ++e) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      t.data<float>()[e] = static_cast<float>(static_cast<double>(state >> 11) * 0x1p-52 - 1);
    }
    return std::vector<Tensor>{t};
  };
  return s;
}

QuantResult run(const std::string& scheme = "") {
  QuantOptions o;
  o.layer_report = false;
  o.import_scheme = scheme;
  o.calibration_json = R"({"sha256":"1234"})";
  Result<QuantResult> r = quantize(net(), scheme.empty() ? samples(8) : SampleSource(), {}, o);
  EXPECT_TRUE(r.ok()) << r.status().message();
  return std::move(r).value();
}

std::string text(const Graph& g) {
  PrintOptions all;
  all.max_constant_elements = 1 << 20;
  return print_graph(g, all);
}

const QuantResult& found() {
  static const QuantResult r = run();
  return r;
}

// The error of importing the exported file after an edit.
std::string error_after(const std::function<void(Json&)>& edit) {
  Json j = Json::parse(found().scheme_json);
  edit(j);
  const Result<Solution> r = read_scheme(net(), j.dump());
  return r.ok() ? "" : r.status().message();
}

TEST(Scheme, ImportGivesTheSameModel) {
  const QuantResult again = run(found().scheme_json);
  EXPECT_EQ(text(again.graph), text(found().graph));
  EXPECT_EQ(again.scheme_json, found().scheme_json);
  EXPECT_EQ(scheme_calibration(found().scheme_json).value(), R"({"sha256":"1234"})");
}

TEST(Scheme, HoldsGridsPerChannel) {
  const Json j = Json::parse(found().scheme_json);
  int per_channel = 0;
  for (const Json& t : j["tensors"]) per_channel += t.contains("axis");
  EXPECT_EQ(per_channel, 1) << found().report.method;
}

TEST(Scheme, ALayerKeptInFloat) {
  Json j = Json::parse(found().scheme_json);
  for (Json& layer : j["layers"]) {
    if (layer["name"] == "pointwise") layer["precision"] = "float";
  }
  // With what the layer makes stored as bytes, and kept in float too.
  for (const bool output_in_float : {false, true}) {
    for (Json& t : j["tensors"]) {
      if (output_in_float && t["name"] == "e") t = {{"name", "e"}, {"precision", "float"}};
    }
    const Result<Solution> read = read_scheme(net(), j.dump());
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(read->plan.layers.size(), 3u);
    EXPECT_TRUE(verify(annotate(read->graph, read->plan, read->decisions)).ok());
    const Json out = Json::parse(scheme_json(net(), *read, "int8", "{}"));
    EXPECT_EQ(out["layers"][2]["precision"], "float");
  }
}

// "e" lies between "pointwise" and the average that the classifier reads.
TEST(Scheme, ATensorBetweenLayersKeptInFloat) {
  Json j = Json::parse(found().scheme_json);
  Json entry = {{"name", "e"}, {"precision", "float"}};
  for (Json& t : j["tensors"]) {
    if (t["name"] == "e") t = entry;
  }
  const Solution s = read_scheme(net(), j.dump()).value();
  EXPECT_EQ(s.plan.float_values.size(), 1u);
  EXPECT_FALSE(is_planned(s.plan, *s.plan.float_values.begin()));
  const Json out = Json::parse(scheme_json(net(), s, "int8", "{}"));
  EXPECT_EQ(out["tensors"].back(), entry);
  EXPECT_EQ(error_after([](Json& json) {
              json["tensors"].push_back({{"name", "a"}, {"precision", "float"}});
            }),
            "tensors[" + std::to_string(j["tensors"].size()) +
                "] (a): key 'name': the model has no tensor of this name that may stay float");
  EXPECT_EQ(error_after([](Json& json) {
              json["tensors"].push_back({{"name", "e"}, {"precision", "int4"}});
            }),
            "tensors[" + std::to_string(j["tensors"].size()) +
                "] (e): key 'precision': expected 'float', found 'int4'");
}

TEST(Scheme, AnEditedScaleIsTaken) {
  Json j = Json::parse(found().scheme_json);
  j["tensors"][0]["scale"][0] = 0.125;
  const Solution s = read_scheme(net(), j.dump()).value();
  EXPECT_EQ(params_of(s.plan, s.decisions, s.plan.values[0]).scale_at(0), 0.125f);
}

TEST(Scheme, ErrorsSayWhere) {
  EXPECT_EQ(read_scheme(net(), "{").status().message(), "not JSON");
  EXPECT_EQ(error_after([](Json& j) { j["version"] = 9; }), "key 'version': expected 1, found 9");
  EXPECT_EQ(error_after([](Json& j) { j["extra"] = 9; }),
            "key 'extra': is not a key of this object");
  EXPECT_EQ(error_after([](Json& j) { j["layers"][1]["precision"] = "int4"; }),
            "layers[1] (depthwise): key 'precision': expected 'int8' or 'float', found 'int4'");
  EXPECT_EQ(error_after([](Json& j) { j["layers"].erase(3); }),
            "layers: layer 'classifier' is missing");
  EXPECT_EQ(error_after([](Json& j) { j["layers"][0]["name"] = "firts"; }),
            "layers[0] (firts): key 'name': the model has no layer of this name to quantize");
  EXPECT_EQ(error_after([](Json& j) { j["layers"].push_back(j["layers"][0]); }),
            "layers[4] (first): key 'name': the layer is listed twice");
  EXPECT_EQ(error_after([](Json& j) {
              j["layers"][0]["bias"] = {1, 2};
            }),
            "layers: layer 'first': key 'bias': expected 8 numbers, found 2");
  EXPECT_EQ(error_after([](Json& j) { j["tensors"][0]["scale"] = {-1}; }),
            "tensors[0] (x): key 'scale': expected positive numbers, found -1");
  EXPECT_EQ(error_after([](Json& j) { j["tensors"][0]["zero_point"] = {256}; }),
            "tensors[0] (x): key 'zero_point': expected integers from 0 to 255");
  EXPECT_EQ(error_after([](Json& j) { j["tensors"].erase(0); }), "tensors: tensor 'x' is missing");
  EXPECT_NE(error_after([](Json& j) { j["tensors"][0]["axis"] = 1; }).find("depthwise"),
            std::string::npos);
  EXPECT_NE(
      error_after([](Json& j) {
        j["smoothing"] = Json::array({{{"tensor", "x"}, {"alpha", 1}, {"divisors", {1, 2, 3}}}});
      }).find("can be smoothed"),
      std::string::npos);
}

}  // namespace
}  // namespace mnn
