#include "libquant/quantize.h"

#include <gtest/gtest.h>

#include <cmath>

#include "libruntime/core/op.h"
#include "libruntime/core/text.h"

namespace mnn {
namespace {

constexpr const char* kNet = R"(graph g(x: f32[1,3,9,9]) -> (y) {
  const w1: f32[8,3,3,3] = random 1 -0.5 0.5
  const b1: f32[8] = random 2 -0.1 0.1
  const w2: f32[8,1,3,3] = random 3 -0.5 0.5
  const w3: f32[8,8,1,1] = random 4 -0.5 0.5
  const w4: f32[5,8] = random 5 -0.5 0.5
  a = Conv(x, w1, b1) {pads=[1,1,1,1]} + Relu @ "first"
  d = Conv(a, w2) {pads=[1,1,1,1], group=8} + HardSwish @ "depthwise"
  e = Conv(d, w3) + Add(a) + Relu @ "residual"
  p = GlobalAveragePool(e)
  f = Flatten(p)
  y = Gemm(f, w4) {transB=1} @ "classifier"
})";

Graph net() {
  Graph g = parse_graph(kNet).value();
  EXPECT_TRUE(infer_types(g).ok());
  return g;
}

SampleSource samples(size_t count, uint64_t seed, float bad = 0) {
  SampleSource s;
  s.count = count;
  s.load = [=](size_t i) -> Result<std::vector<Tensor>> {
    MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(DType::kF32, {1, 3, 9, 9}));
    uint64_t state = seed + i * 977;
    for (int64_t e = 0; e < t.elements(); ++e) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      t.data<float>()[e] = static_cast<float>(static_cast<double>(state >> 11) * 0x1p-52 - 1);
    }
    if (bad != 0 && i == 1) t.data<float>()[3] = bad;
    return std::vector<Tensor>{t};
  };
  return s;
}

QuantResult run(CalibrationMethod method, int threads = 1) {
  QuantOptions o;
  o.method = method;
  o.threads = threads;
  Result<QuantResult> r = quantize(net(), samples(8, 1), samples(4, 500), o);
  EXPECT_TRUE(r.ok()) << r.status().message();
  return std::move(r).value();
}

TEST(Quantize, EveryMethodKeepsTheOutputs) {
  for (const auto m :
       {CalibrationMethod::kMinMax, CalibrationMethod::kPercentile, CalibrationMethod::kMse}) {
    const QuantResult r = run(m);
    ASSERT_EQ(r.report.outputs.size(), 1u);
    EXPECT_GT(r.report.outputs[0].second.snr_db, 25);
    EXPECT_FALSE(r.report.outputs[0].second.failed);
  }
}

TEST(Quantize, AutoTakesTheBestOfItsCandidates) {
  const QuantResult r = run(CalibrationMethod::kAuto);
  double best = -1e9;
  for (const auto& [name, snr] : r.report.candidates) best = std::max(best, snr);
  for (const auto& [name, snr] : r.report.candidates) {
    if (name == r.report.method) {
      EXPECT_EQ(snr, best);
    }
  }
  EXPECT_GE(r.report.candidates.size(), 9u);
}

TEST(Quantize, ReportHasEveryLayerWorstFirst) {
  const QuantResult r = run(CalibrationMethod::kMinMax);
  int int8 = 0;
  double last = -1e9;
  for (const LayerError& e : r.report.layers) {
    int8 += e.int8;
    EXPECT_GE(e.contribution.snr_db, last);
    last = e.contribution.snr_db;
    EXPECT_FALSE(e.isolated.failed) << e.name;
    EXPECT_FALSE(e.accumulated.failed) << e.name;
    EXPECT_GT(e.isolated.snr_db, 20) << e.name;
  }
  EXPECT_EQ(int8, 4);
}

TEST(Quantize, SameResultForAnyThreadCount) {
  const QuantResult a = run(CalibrationMethod::kAuto, 1), b = run(CalibrationMethod::kAuto, 2);
  PrintOptions all;
  all.max_constant_elements = 1 << 20;
  EXPECT_EQ(print_graph(a.graph, all), print_graph(b.graph, all));
  EXPECT_EQ(report_json(a.report), report_json(b.report));
}

TEST(Quantize, BorderKeepsItsNamesAndTypes) {
  const QuantResult r = run(CalibrationMethod::kMinMax);
  const Graph before = net();
  EXPECT_EQ(r.graph.value(r.graph.inputs[0]).type.str(), before.value(before.inputs[0]).type.str());
  EXPECT_EQ(r.graph.value(r.graph.outputs[0]).type.str(),
            before.value(before.outputs[0]).type.str());
  EXPECT_EQ(r.graph.value(r.graph.outputs[0]).name, "y");
  EXPECT_TRUE(verify(r.graph).ok());
}

TEST(Quantize, TheGraphMeansWhatTheReferenceSays) {
  const QuantResult r = run(CalibrationMethod::kMinMax);
  const std::vector<Tensor> in = samples(1, 77).load(0).value();
  const std::vector<Tensor> want = run_reference(net(), in).value(),
                            have = run_reference(r.graph, in).value();
  ErrorSums sums;
  ASSERT_TRUE(sums.add(want[0], have[0]).ok());
  EXPECT_GT(metrics_of(sums).snr_db, 20);
}

TEST(Quantize, WithoutHoldoutEveryFourthIsHeldBack) {
  QuantOptions o;
  o.method = CalibrationMethod::kMinMax;
  o.layer_report = false;
  const QuantResult r = quantize(net(), samples(8, 1), {}, o).value();
  EXPECT_EQ(r.report.calibration_samples, 6u);
  EXPECT_EQ(r.report.holdout_samples, 2u);
  EXPECT_NE(r.report.holdout_note.find("fourth"), std::string::npos);
}

TEST(Quantize, RefusesWhatCannotBeQuantized) {
  QuantOptions o;
  EXPECT_EQ(quantize(net(), {}, {}, o).status().code(), Code::kUsage);
  o.scheme = "w2";
  EXPECT_EQ(quantize(net(), samples(4, 1), {}, o).status().code(), Code::kUsage);
  Graph plain = parse_graph("graph g(x: f32[1,3,9,9]) -> (y) {\n  y = Relu(x)\n}").value();
  ASSERT_TRUE(infer_types(plain).ok());
  EXPECT_EQ(quantize(plain, samples(4, 1), {}, {}).status().code(), Code::kUnsupported);
  // Infinity in the data becomes NaN or infinity inside.
  EXPECT_EQ(quantize(net(), samples(4, 1, INFINITY), {}, {}).status().code(),
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace mnn
