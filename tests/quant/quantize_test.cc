#include "libquant/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "libquant/bias.h"
#include "libruntime/core/half.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "libruntime/kernels/byte_pairs.h"
#include "tests/text_graph.h"

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

Graph net() { return typed_graph(kNet); }

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

QuantResult run(CalibrationMethod method, int threads = 1, OverflowFix fix = OverflowFix::kAuto) {
  QuantOptions o;
  o.overflow_fix = fix;
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
    EXPECT_GT(r.report.outputs[0].whole.snr_db, 25);
    EXPECT_FALSE(r.report.outputs[0].whole.failed);
  }
}

TEST(Quantize, AModelOf16BitsIsQuantizedAsItsF32Twin) {
  std::string text = kNet;
  for (size_t at = 0; (at = text.find("f32", at)) != std::string::npos;) text.replace(at, 3, "f16");
  SampleSource half = samples(8, 1);
  half.load = [load = half.load](size_t i) -> Result<std::vector<Tensor>> {
    MNN_ASSIGN_OR_RETURN(std::vector<Tensor> sample, load(i));
    MNN_ASSIGN_OR_RETURN(sample[0], convert_floats(sample[0], DType::kF16));
    return sample;
  };
  const Graph graph = typed_graph(text);
  const Result<QuantResult> r = quantize(graph, half, {}, {});
  ASSERT_TRUE(r.ok()) << r.status().message();
  const QuantResult twin = quantize(net(), samples(8, 1), {}, {}).value();
  EXPECT_EQ(r->report.int8_mac_share, 1.0);
  EXPECT_NEAR(r->report.outputs[0].whole.snr_db, twin.report.outputs[0].whole.snr_db, 3.0);
  ASSERT_EQ(r->report.islands.size(), twin.report.islands.size());
  const auto same_border = [](const Value& found, const Value& expected) {
    EXPECT_EQ(found.type.str(), expected.type.str());
    EXPECT_EQ(found.name, expected.name);
    EXPECT_FALSE(found.quant);
  };
  same_border(r->graph.value(r->graph.inputs[0]), graph.value(graph.inputs[0]));
  same_border(r->graph.value(r->graph.outputs[0]), graph.value(graph.outputs[0]));
  EXPECT_TRUE(verify(r->graph).ok());
}

TEST(Quantize, AutoTakesTheBestOfItsCandidates) {
  const QuantResult r = run(CalibrationMethod::kAuto, 1, OverflowFix::kOff);
  const auto score = [](const TriedRecipe& c) {
    return 0.75 * c.mean_sample_snr_db + 0.25 * c.worst_sample_snr_db;
  };
  double best = -1e9;
  for (const TriedRecipe& c : r.report.candidates) best = std::max(best, score(c));
  int chosen = 0;
  for (const TriedRecipe& c : r.report.candidates) {
    EXPECT_EQ(c.name.find("overflow"), std::string::npos);
    EXPECT_EQ(c.chosen, c.name == r.report.method);
    chosen += c.chosen;
    if (c.chosen) {
      EXPECT_EQ(score(c), best);
      // The result is measured by the same figure, under the same name.
      EXPECT_NEAR(c.mean_sample_snr_db, r.report.samples.mean_snr_db(), 1e-9);
      EXPECT_NEAR(c.worst_sample_snr_db, r.report.samples.worst_snr_db(), 1e-9);
    }
  }
  EXPECT_EQ(chosen, 1);
  EXPECT_GE(r.report.candidates.size(), 9u);
}

// Every dense layer of a graph: whether its bytes can be multiplied by pairs.
bool fits_in_pairs(const QuantResult& r) {
  bool fits = true;
  for (const Node& node : r.graph.nodes) {
    if (node.op != "Conv" && node.op != "Gemm") continue;
    const Value& w = r.graph.value(node.inputs[1]);
    const std::vector<int64_t>& d = w.data.dims();
    if (d[1] == 1) continue;  // depthwise
    const WeightRuns runs =
        d.size() == 4 ? WeightRuns{d[1], d[2] * d[3], d[3]} : WeightRuns{d[1], 1, 1};
    for (int64_t o = 0; o < d[0]; ++o) {
      fits = fits && largest_byte_pair(runs, w.data.data<int8_t>() + o * runs.inputs * runs.taps) <=
                         kLargestBytePair;
    }
  }
  return fits;
}

TEST(Quantize, OverflowFix) {
  const QuantResult off = run(CalibrationMethod::kMinMax, 1, OverflowFix::kOff);
  const QuantResult on = run(CalibrationMethod::kMinMax, 1, OverflowFix::kOn);
  EXPECT_FALSE(fits_in_pairs(off));
  EXPECT_TRUE(fits_in_pairs(on));
  EXPECT_NE(on.report.method.find("overflow fix"), std::string::npos);
  // The search takes it where it costs no more than 1 dB against the best without it, or leaves 40
  // dB.
  const QuantResult best = run(CalibrationMethod::kMinMax);
  double with = -1e9, without = -1e9;
  for (const TriedRecipe& c : best.report.candidates) {
    double& of = c.name.find("overflow fix") == std::string::npos ? without : with;
    of = std::max(of, 0.75 * c.mean_sample_snr_db + 0.25 * c.worst_sample_snr_db);
  }
  const bool taken = with >= std::min(without - 1, 40.0);
  EXPECT_EQ(fits_in_pairs(best), taken);
  EXPECT_EQ(best.report.method.find("overflow fix") != std::string::npos, taken);
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
  o.scheme = "w5";
  EXPECT_EQ(quantize(net(), samples(4, 1), {}, o).status().code(), Code::kUsage);
  Graph plain = parse_graph("graph g(x: f32[1,3,9,9]) -> (y) {\n  y = Relu(x)\n}").value();
  ASSERT_TRUE(infer_types(plain).ok());
  EXPECT_EQ(quantize(plain, samples(4, 1), {}, {}).status().code(), Code::kUnsupported);
  // Infinity in the data becomes NaN or infinity inside.
  EXPECT_EQ(quantize(net(), samples(4, 1, INFINITY), {}, {}).status().code(),
            Code::kInvalidArgument);
}

TEST(Quantize, SaysWhatStaysFloatAndWhy) {
  Graph g = parse_graph(R"(graph g(x: f32[1,3,9,9]) -> (y) {
  const w: f32[6,3,1,1] = random 1 -0.5 0.5
  const d: i64[2] = 6 81
  const v: f32[6,4] = random 2 -0.5 0.5
  a = Conv(x, w) @ "conv"
  r = Reshape(a, d)
  t = Transpose(r) {perm=[1,0]}
  s = Gemm(r, t) {alpha=-2.0} @ "product"
  p = Softmax(s) @ "softmax"
  y = MatMul(p, v) @ "head"
})")
                .value();
  ASSERT_TRUE(infer_types(g).ok());
  QuantOptions o;
  o.method = CalibrationMethod::kMinMax;
  const QuantResult r = quantize(g, samples(8, 1), {}, o).value();
  ASSERT_FALSE(r.report.islands.empty());
  const FloatIsland& worst = r.report.islands[0];
  EXPECT_EQ(worst.op, "Gemm");
  EXPECT_EQ(worst.why, "alpha is not positive");
  EXPECT_EQ(worst.layers, std::vector<std::string>{"product"});
  EXPECT_NEAR(worst.mac_share, 1 - r.report.int8_mac_share, 1e-9);
  ASSERT_FALSE(r.report.warnings.empty());
  EXPECT_NE(r.report.warnings[0].find("product"), std::string::npos);
  EXPECT_NE(report_text(r.report, 5, 5, false).find("in float: 1 Gemm"), std::string::npos);
}

// A layer of each kind: everything in int8, with biases that can be corrected.
TEST(Quantize, TransposedConvolutions) {
  Graph g = parse_graph(R"(graph g(x: f32[1,3,9,9]) -> (y) {
  const w1: f32[8,3,3,3] = random 1 -0.5 0.5
  const w2: f32[8,6,3,3] = random 2 -0.5 0.5
  const b2: f32[6] = random 3 -0.1 0.1
  const w3: f32[6,4,2,2] = random 4 -0.5 0.5
  a = Conv(x, w1) + Relu @ "first"
  b = ConvTranspose(a, w2, b2) {strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]} + Relu @ "up"
  y = ConvTranspose(b, w3) {strides=[2,2]} @ "last"
})")
                .value();
  ASSERT_TRUE(infer_types(g).ok());
  QuantOptions o;
  o.method = CalibrationMethod::kMinMax;
  const QuantResult r = quantize(g, samples(8, 1), {}, o).value();
  EXPECT_EQ(r.report.int8_mac_share, 1);
  EXPECT_GT(r.report.outputs[0].whole.snr_db, 30);
  EXPECT_EQ(r.report.layers.size(), 3u);
  QuantOptions again;
  again.import_scheme = r.scheme_json;
  EXPECT_EQ(print_graph(quantize(g, {}, {}, again).value().graph), print_graph(r.graph));
}

// x times x, and two maps of x times each other: the first has a channel a thousand times as loud
// as the others, which the second does not listen to.
Graph products() {
  Graph g = parse_graph(R"(graph g(x: f32[1,3,9,9]) -> (y, z) {
  const w: f32[3,3,1,1] = 1000 1000 1000 0.5 -0.5 0.25 0.125 0.5 0.5
  const v: f32[3,3,1,1] = 0 0 0 0.5 0.75 -0.25 0.5 -0.5 0.5
  const d: i64[2] = 3 81
  flat = Reshape(x, d)
  turned = Transpose(flat) {perm=[1,0]}
  y = MatMul(flat, turned) @ "harmless"
  a = Conv(x, w) @ "loud"
  b = Conv(x, v) @ "quiet"
  ra = Reshape(a, d)
  ta = Transpose(ra) {perm=[1,0]}
  rb = Reshape(b, d)
  z = MatMul(ta, rb) @ "costly"
})")
                .value();
  EXPECT_TRUE(infer_types(g).ok());
  return g;
}

TEST(Quantize, ComputedProductsRunInInt8UnlessTheyCostTooMuch) {
  for (const auto method : {CalibrationMethod::kMinMax, CalibrationMethod::kAuto}) {
    QuantOptions o;
    o.method = method;
    const QuantResult r = quantize(products(), samples(8, 1), {}, o).value();
    std::map<std::string, bool> bytes;
    for (const Node& n : r.graph.nodes) {
      if (n.op == "MatMul") bytes[n.origin[0]] = r.graph.value(n.inputs[1]).quant.has_value();
    }
    EXPECT_EQ(bytes, (std::map<std::string, bool>{{"harmless", true}, {"costly", false}}));
    bool said = false;
    for (const std::string& w : r.report.warnings)
      said |= w.find("layer costly stays float: as bytes it costs") == 0;
    EXPECT_TRUE(said);
    bool listed = false;
    for (const LayerError& layer : r.report.layers)
      listed |= layer.name == "harmless" && layer.int8;
    EXPECT_TRUE(listed);
    // The file that a run exports gives the same graph again.
    QuantOptions again;
    again.import_scheme = r.scheme_json;
    const QuantResult second = quantize(products(), {}, {}, again).value();
    EXPECT_EQ(print_graph(second.graph), print_graph(r.graph));
    EXPECT_EQ(second.scheme_json, r.scheme_json);
    const std::string second_operand = R"("second": "turned")";
    ASSERT_NE(r.scheme_json.find(second_operand), std::string::npos);
    again.import_scheme.replace(again.import_scheme.find(second_operand), second_operand.size(),
                                R"("bias": [1, 2, 3])");
    EXPECT_EQ(quantize(products(), {}, {}, again).status().message(),
              "layers[0] (harmless): key 'bias': this layer has no weights");
  }
}

// Three layers whose weights are rounded so coarsely that means shift; the correction brings the
// means of every layer back, whatever is fused behind it.
TEST(Quantize, CorrectedBiasesBringTheMeansBack) {
  const Graph g = net();
  const QuantPlan plan = plan_quantization(g);
  QuantDecisions d;
  for (int i = 0; i < plan.groups; ++i) d.params.push_back(activation_params(-1, 3));
  for (const QuantLayer& layer : plan.layers) {
    d.weights.push_back(
        quantize_weights(g.value(layer.weight).data, layer.weight_axis, WeightScale::kAbsMax)
            .value());
    for (int64_t i = 0; i < d.weights.back().stored.elements(); ++i) {
      int8_t& w = d.weights.back().stored.data<int8_t>()[i];
      w = static_cast<int8_t>(w & ~31);
    }
  }
  d.bias.resize(plan.layers.size());
  const SampleSource source = samples(6, 3);
  SampleSet set;
  set.source = &source;
  for (size_t i = 0; i < source.count; ++i) set.indices.push_back(i);
  const RunOptions run;
  auto means_of = [&](Graph graph) {
    const auto session = open_for_quant(std::move(graph), run).value();
    std::vector<double> mean(5, 0.0);
    const std::vector<std::vector<Tensor>> all = run_all(*session, set).value();
    for (const auto& outputs : all)
      for (size_t c = 0; c < mean.size(); ++c)
        mean[c] += static_cast<double>(outputs[0].data<float>()[c]) / 6;
    return mean;
  };
  const std::vector<double> want = means_of(g);
  auto shift = [&](const QuantDecisions& decisions) {
    const std::vector<double> have = means_of(annotate(g, plan, decisions));
    double most = 0;
    for (size_t c = 0; c < want.size(); ++c) most = std::max(most, std::abs(want[c] - have[c]));
    return most;
  };
  const double before = shift(d);
  const LayerMeans means = layer_means(g, plan, set, run).value();
  ASSERT_TRUE(correct_biases(g, plan, d, set, means, run, nullptr).ok());
  EXPECT_GT(before, 0.01);
  EXPECT_LT(shift(d), before * 0.02);
}

}  // namespace
}  // namespace mnn
