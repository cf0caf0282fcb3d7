// Weight-only schemes on whole graphs.
#include "libquant/weight_only.h"

#include <gtest/gtest.h>

#include <set>

#include "libquant/weights/activation_bits.h"
#include "libquant/weights/weight_role.h"
#include "libruntime/core/quant.h"
#include "libruntime/session.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

// Every operator whose weights get codes; the table is used twice.
constexpr const char* kModel = R"(graph g(ids: i64[1,6], x: f32[1,32,8,8]) -> (y, z, t) {
  const table: f32[40,32] = random 1 -1 1
  const w1: f32[32,64] = random 2 -0.2 0.2
  const w2: f32[48,64] = random 3 -0.2 0.2
  const b2: f32[48] = random 4 -0.2 0.2
  const lw: f32[1,64,48] = random 5 -0.2 0.2
  const lr: f32[1,64,16] = random 6 -0.2 0.2
  const c1: f32[48,32,3,3] = random 7 -0.1 0.1
  const c2: f32[40,48,1,1] = random 8 -0.2 0.2
  const small: f32[8,8] = random 9 -1 1
  const axes: i64[1] = 1
  const shape: i64[2] = 6 64
  e: f32[1,6,32] = Gather(table, ids)
  h: f32[1,6,64] = MatMul(e, w1)
  r: f32[1,6,64] = Relu(h)
  f: f32[6,64] = Reshape(r, shape)
  g2: f32[6,48] = Gemm(f, w2, b2) {transB=1}
  s: f32[6,1,48] = Unsqueeze(g2, axes)
  y, t0, t1 = LSTM(s, lw, lr) {hidden_size=16}
  a: f32[1,48,8,8] = Conv(x, c1) {pads=[1,1,1,1]}
  b: f32[1,48,8,8] = Relu(a)
  d: f32[1,40,8,8] = Conv(b, c2)
  z: f32[1,40,8,8] = MatMul(d, small)
  t: f32[1,6,32] = Gather(table, ids)
})";

Graph model() {
  Result<Graph> graph = parse_graph(kModel);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  EXPECT_TRUE(infer_types(*graph).ok());
  return std::move(graph).value();
}

SampleSource samples_of(size_t count) {
  SampleSource source;
  source.count = count;
  source.load = [](size_t i) -> Result<std::vector<Tensor>> {
    Tensor ids = *Tensor::allocate(DType::kI64, {1, 6});
    for (int64_t k = 0; k < 6; ++k)
      ids.data<int64_t>()[k] = (static_cast<int64_t>(i) * 7 + k * 5) % 40;
    MNN_ASSIGN_OR_RETURN(
        Tensor x, parse_tensor("f32[1,32,8,8] = random " + std::to_string(100 + i) + " -1 1"));
    return std::vector<Tensor>{ids, x};
  };
  return source;
}

QuantOptions options_of(const std::string& scheme) {
  QuantOptions o;
  o.scheme = scheme;
  return o;
}

std::set<std::string> coded(const Graph& graph) {
  std::set<std::string> names;
  for (const Value& v : graph.values) {
    if (v.kind == ValueKind::kConstant && v.quant) names.insert(v.name);
  }
  return names;
}

TEST(WeightOnly, CodesEveryKindOfWeight) {
  const Graph graph = model();
  double last = 1e9;
  for (const std::string scheme : {"w8", "w6", "w4", "w3", "w2"}) {
    SCOPED_TRACE(scheme);
    const auto made = quantize(graph, samples_of(8), {}, options_of(scheme));
    ASSERT_TRUE(made.ok()) << made.status().message();
    EXPECT_TRUE(verify(made->graph).ok());
    EXPECT_EQ(coded(made->graph),
              (std::set<std::string>{"table", "w1", "w2", "lw", "lr", "c1", "c2"}));
    const QuantReport& r = made->report;
    ASSERT_EQ(r.outputs.size(), 3u);
    for (const OutputError& o : r.outputs) EXPECT_FALSE(o.whole.failed) << o.name;
    const double snr = r.outputs[0].whole.snr_db;
    EXPECT_LT(snr, last);
    last = snr;
    // One row a weight of the main graph, the table once; all figures are there.
    EXPECT_EQ(r.layers.size(), 7u);
    for (const LayerError& e : r.layers) {
      EXPECT_FALSE(e.isolated.failed || e.accumulated.failed || e.contribution.failed) << e.name;
      EXPECT_GT(e.isolated.count, 0) << e.name;
      EXPECT_LT(e.weight_bytes_after, e.weight_bytes_before);
    }
    EXPECT_LT(r.bytes_after, r.bytes_before);
  }
}

TEST(WeightOnly, TheCpuReadsTheCodesAsTheReferenceDoes) {
  const auto made = quantize(model(), samples_of(8), {}, options_of("w4"));
  ASSERT_TRUE(made.ok());
  const std::vector<Tensor> inputs = *samples_of(1).load(0);
  SessionOptions reference;
  reference.backends = {"reference"};
  const auto a = (*Session::create(made->graph, reference))->run(inputs);
  const auto b = (*Session::create(made->graph, {}))->run(inputs);
  ASSERT_TRUE(a.ok() && b.ok());
  for (size_t i = 0; i < a->size(); ++i) {
    ErrorSums sums;
    ASSERT_TRUE(sums.add((*a)[i], (*b)[i]).ok());
    EXPECT_GT(metrics_of(sums).snr_db, 100);
  }
}

TEST(WeightOnly, Int8ActivationsAreWhatTheReportMeasures) {
  QuantOptions o = options_of("w4");
  o.int8_activations = true;
  const auto made = quantize(model(), samples_of(8), {}, o);
  ASSERT_TRUE(made.ok()) << made.status().message();
  const std::vector<Tensor> inputs = *samples_of(1).load(0);
  SessionOptions reference;
  reference.backends = {"reference"};
  const auto a = (*Session::create(made->graph, reference))->run(inputs);
  const auto session = std::move(Session::create(made->graph, {})).value();
  const auto b = session->run(inputs);
  ASSERT_TRUE(a.ok() && b.ok());
  for (size_t i = 0; i < a->size(); ++i) {
    ErrorSums sums;
    ASSERT_TRUE(sums.add((*a)[i], (*b)[i]).ok());
    EXPECT_GT(metrics_of(sums).snr_db, 60);  // a rounding of a row may fall the other way
  }
  std::set<std::string> in_bytes;
  for (const StepInfo& step : session->steps()) {
    if (step.form == ComputeForm::kS8xCodes) in_bytes.insert(step.op);
  }
  EXPECT_EQ(in_bytes, (std::set<std::string>{"Gemm", "MatMul"}));
  // Beside float activations: a little further away, and a product alone shows it.
  const auto plain = quantize(model(), samples_of(8), {}, options_of("w4"));
  for (size_t i = 0; i < plain->report.layers.size(); ++i) {
    for (const LayerError& e : made->report.layers) {
      const LayerError& p = plain->report.layers[i];
      if (e.name != p.name) continue;
      if (e.op.starts_with("MatMul") || e.op == "Gemm")
        EXPECT_NE(e.isolated.snr_db, p.isolated.snr_db) << e.name;
      else
        EXPECT_EQ(e.isolated.snr_db, p.isolated.snr_db) << e.name;
    }
  }
  // Promoted to float, a product takes its rows as they come.
  o.reached = [](const Graph& g, const QuantReport&) -> Result<GoalVerdict> {
    int left = 0;
    for (const Node& n : g.nodes) left += n.attributes.contains("activation_bits");
    return GoalVerdict{left == 0, left == 0};
  };
  const auto promoted = quantize(model(), samples_of(8), {}, o);
  ASSERT_TRUE(promoted.ok()) << promoted.status().message();
  EXPECT_TRUE(promoted->report.promotions.reached);
}

// What a model has in int8 already stays on its grids.
TEST(WeightOnly, Int8ActivationsLeaveGridsAlone) {
  Graph graph = typed_graph(
      "graph g(x: f32[4,32]) -> (y, z) {\n  const w: f32[32,48] quant i8 "
      "scale [0.1] = random 1 -100 100\n  a: f32[4,32] quant u8 scale "
      "[0.1] zero [128] = Relu(x)\n  y: f32[4,48] = MatMul(a, w)\n  "
      "z: f32[4,48] = MatMul(x, w)\n}");
  EXPECT_EQ(set_activation_bits(graph), 1);
  EXPECT_FALSE(graph.nodes[1].attributes.contains("activation_bits"));
  EXPECT_TRUE(graph.nodes[2].attributes.contains("activation_bits"));
}

// Sizes without elements, and encodings that no kernel reads in codes.
TEST(WeightOnly, OddCodesRun) {
  for (const char* text : {"graph g(x: f32[2,4]) -> (y) {\n  const w: f32[4,0] quant u4 scale "
                           "[0.5] = \n  y: f32[2,0] = "
                           "MatMul(x, w)\n}",
                           "graph g(x: f32[2,0]) -> (y) {\n  const w: f32[0,3] quant u4 scale "
                           "[0.5] = \n  y: f32[2,3] = "
                           "MatMul(x, w)\n}",
                           "graph g(x: f32[2,6]) -> (y) {\n  const w: f32[6,3] quant u4 scale "
                           "f16[2,3] 1 2 3 4 5 6 axis 0 "
                           "group 3 = random 1 0 15\n  y: f32[2,3] = MatMul(x, w)\n}",
                           "graph g(x: f32[2,6]) -> (y) {\n  const w: f32[6,3] quant u4 scale "
                           "f16[2,3] 1 2 3 4 5 6 axis 0 group 3 = random 1 0 15\n  y: f32[2,3] = "
                           "MatMul(x, w) {activation_bits=8}\n}"}) {
    const Result<Graph> graph = parse_graph(text);
    ASSERT_TRUE(graph.ok()) << graph.status().message() << text;
    std::vector<Tensor> inputs;
    for (const ValueId v : graph->inputs)
      inputs.push_back(*Tensor::allocate(DType::kF32, known_dims(*graph->value(v).type.shape)));
    const auto a = (*Session::create(*graph, {}))->run(inputs);
    SessionOptions reference;
    reference.backends = {"reference"};
    const auto b = (*Session::create(*graph, reference))->run(inputs);
    ASSERT_TRUE(a.ok() && b.ok()) << a.status().message();
    EXPECT_TRUE(identical((*a)[0], (*b)[0]));
  }
}

TEST(WeightOnly, LevelsGetBetterAndThreadsDecideNothing) {
  const Graph graph = model();
  std::map<QuantOptions::Level, double> snr;
  for (const auto level :
       {QuantOptions::Level::kFast, QuantOptions::Level::kDefault, QuantOptions::Level::kBest}) {
    QuantOptions o = options_of("w3");
    o.level = level;
    const auto one = quantize(graph, samples_of(24), {}, o);
    o.threads = 3;
    const auto three = quantize(graph, samples_of(24), {}, o);
    ASSERT_TRUE(one.ok() && three.ok()) << one.status().message();
    ASSERT_EQ(one->graph.values.size(), three->graph.values.size());
    for (size_t v = 0; v < one->graph.values.size(); ++v) {
      const Value &a = one->graph.values[v], &b = three->graph.values[v];
      ASSERT_EQ(a.quant.has_value(), b.quant.has_value()) << a.name;
      if (!a.quant) continue;
      EXPECT_TRUE(identical(a.data, b.data)) << a.name;
      EXPECT_TRUE(*a.quant == *b.quant) << a.name;
    }
    snr[level] = one->report.outputs[1].whole.snr_db;  // two convolutions, one of them 1x1
  }
  EXPECT_GT(snr[QuantOptions::Level::kDefault], snr[QuantOptions::Level::kFast]);
  EXPECT_GT(snr[QuantOptions::Level::kBest], snr[QuantOptions::Level::kDefault]);
}

// Products of low rank make up for codes, with samples and without, in every layer that reads them.
TEST(WeightOnly, ProductsOfLowRankMakeUpForCodes) {
  Result<Graph> graph = parse_graph(R"(graph g(x: f32[6,48]) -> (y, z) {
  const w: f32[48,40] = random 1 -1 1
  const v: f32[32,40] = random 2 -1 1
  const b: f32[32] = random 3 -1 1
  h: f32[6,40] = MatMul(x, w) + Relu
  y: f32[6,32] = Gemm(h, v, b) {transB=1, alpha=0.5} + Sigmoid
  z: f32[6,40] = MatMul(x, w)
})");
  ASSERT_TRUE(graph.ok()) << graph.status().message();
  ASSERT_TRUE(infer_types(*graph).ok());
  SampleSource source;
  source.count = 8;
  source.load = [](size_t i) -> Result<std::vector<Tensor>> {
    MNN_ASSIGN_OR_RETURN(Tensor x,
                         parse_tensor("f32[6,48] = random " + std::to_string(50 + i) + " -1 1"));
    return std::vector<Tensor>{x};
  };
  for (const bool samples : {true, false}) {
    double last = -100;
    for (const int64_t rank : {0, 4, 16, 32}) {
      QuantOptions o = options_of("w2");
      o.low_rank = rank;
      const auto made = quantize(*graph, samples ? source : SampleSource{}, {}, o);
      ASSERT_TRUE(made.ok()) << made.status().message();
      EXPECT_TRUE(verify(made->graph).ok());
      EXPECT_EQ(made->graph.nodes.size(), rank == 0 ? 3u : 9u);
      const std::vector<Tensor> inputs = *source.load(3);
      const auto want = run_reference(*graph, inputs), have = run_reference(made->graph, inputs);
      const auto fast = (*Session::create(made->graph, {}))->run(inputs);
      ASSERT_TRUE(want.ok() && have.ok() && fast.ok()) << have.status().message();
      double snr = 0;
      for (size_t i = 0; i < 2; ++i) {
        ErrorSums sums, twice;
        ASSERT_TRUE(sums.add((*want)[i], (*have)[i]).ok());
        ASSERT_TRUE(twice.add((*have)[i], (*fast)[i]).ok());
        snr += metrics_of(sums).snr_db / 2;
        EXPECT_GT(metrics_of(twice).snr_db, 100);
      }
      EXPECT_GT(snr, last + (rank > 0 ? 0.5 : 0)) << rank << samples;
      last = snr;
    }
    EXPECT_GT(last, 20);
  }
}

TEST(WeightOnly, NeedsNoSamplesAndKeepsWhatItIsTold) {
  QuantOptions o = options_of("w4");
  o.keep_float = {"Gather_e", "*_d"};
  const Graph graph = model();
  const auto made = quantize(graph, {}, {}, o);
  ASSERT_TRUE(made.ok()) << made.status().message();
  // A shared weight stays for all who read it.
  EXPECT_EQ(coded(made->graph), (std::set<std::string>{"w1", "w2", "lw", "lr", "c1"}));
  EXPECT_EQ(made->report.warnings,
            std::vector<std::string>{"without samples nothing was measured"});
  o.keep_float = {"nobody"};
  EXPECT_EQ(quantize(graph, {}, {}, o).status().code(), Code::kUsage);
  o = options_of("w4");
  o.level = QuantOptions::Level::kBest;
  EXPECT_EQ(quantize(graph, {}, {}, o).status().code(), Code::kUsage);
  EXPECT_EQ(quantize(graph, {}, {}, options_of("w5")).status().code(), Code::kUsage);
  const Graph none = typed_graph("graph g(x: f32[4]) -> (y) {\n  y: f32[4] = Relu(x)\n}");
  EXPECT_EQ(quantize(none, {}, {}, options_of("w4")).status().code(), Code::kUnsupported);
}

TEST(WeightOnly, PromotesWhatCostsMostUntilTheGoalIsReached) {
  QuantOptions o = options_of("w2");
  double goal = 0;
  o.reached = [&](const Graph&, const QuantReport& r) -> Result<GoalVerdict> {
    const bool reached = r.outputs[1].whole.snr_db >= goal;
    return GoalVerdict{reached, reached, 0};
  };
  const auto plain = quantize(model(), samples_of(8), {}, o);
  ASSERT_TRUE(plain.ok()) << plain.status().message();
  EXPECT_TRUE(plain->report.promotions.layers.empty());
  goal = plain->report.outputs[1].whole.snr_db + 2;
  const auto made = quantize(model(), samples_of(8), {}, o);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_TRUE(made->report.promotions.reached);
  EXPECT_GE(made->report.outputs[1].whole.snr_db, goal);
  EXPECT_LT(coded(made->graph).size(), 7u);
}

TEST(WeightOnly, RolesOfWeights) {
  const Graph graph = typed_graph(R"(graph g(x: f32[2,4,8,8]) -> (y, z) {
  const w: f32[8,1,3,3] = random 1 -1 1
  const v: f32[3,5,8] = random 2 -1 1
  const u: f32[5,8] = random 3 -1 1
  y: f32[2,8,6,6] = Conv(x, w) {group=4}
  z: f32[2,4,5,8] = MatMul(u, x)
})");
  const auto conv = weight_role(graph, graph.nodes[0], 1);
  ASSERT_TRUE(conv.has_value());
  EXPECT_EQ(conv->input, -1);  // each filter meets channels of its own
  EXPECT_FALSE(weight_role(graph, graph.nodes[0], 0).has_value());
  const auto left = weight_role(graph, graph.nodes[1], 0);
  ASSERT_TRUE(left.has_value());
  EXPECT_EQ(left->axis, 1);
  EXPECT_EQ(left->channel_axis, 0);
  EXPECT_EQ(left->input_axis, -2);
}

}  // namespace
}  // namespace mnn
