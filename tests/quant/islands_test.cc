// What stays float is listed with its share of the work and of the bytes, inside sub-graphs too.
#include "libquant/report/islands.h"

#include <gtest/gtest.h>

#include <set>

#include "libquant/quantize.h"
#include "libruntime/session.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

SampleSource samples(std::vector<std::string> types, size_t count) {
  SampleSource s;
  s.count = count;
  s.load = [types](size_t i) -> Result<std::vector<Tensor>> {
    std::vector<Tensor> sample;
    for (const std::string& type : types) {
      const bool ids = type.starts_with("i64");
      const std::string range = ids ? " 0 99" : " -1 1";
      MNN_ASSIGN_OR_RETURN(Tensor t,
                           parse_tensor(type + " = random " + std::to_string(i + 1) + range));
      sample.push_back(std::move(t));
    }
    return sample;
  };
  return s;
}

QuantReport report_of(const Graph& graph, const std::vector<std::string>& inputs) {
  QuantOptions o;
  o.method = CalibrationMethod::kMinMax;
  const auto r = quantize(graph, samples(inputs, 8), {}, o);
  EXPECT_TRUE(r.ok()) << r.status().message();
  return r.ok() ? r->report : QuantReport();
}

const FloatIsland* find(const QuantReport& r, const std::string& op) {
  for (const FloatIsland& island : r.islands) {
    if (island.op == op) return &island;
  }
  return nullptr;
}

TEST(Islands, RecurrentLayersCount) {
  const QuantReport r = report_of(typed_graph(R"(graph g(x: f32[6,1,8]) -> (y) {
  const w: f32[1,32,8] = random 1 -0.5 0.5
  const u: f32[1,32,8] = random 2 -0.5 0.5
  const axes: i64[1] = 1
  const v: f32[8,4] = random 3 -0.5 0.5
  h = LSTM(x, w, u) {hidden_size=8} name "lstm"
  s = Squeeze(h, axes)
  y = MatMul(s, v) name "head"
})"),
                                  {"f32[6,1,8]"});
  const double lstm = 6 * 2 * 32 * 8, head = 6 * 8 * 4;
  EXPECT_DOUBLE_EQ(r.macs, lstm + head);
  EXPECT_DOUBLE_EQ(r.int8_mac_share, head / (lstm + head));
  const FloatIsland* island = find(r, "LSTM");
  ASSERT_NE(island, nullptr);
  EXPECT_EQ(island->why, "there is no int8 kernel for it");
  EXPECT_DOUBLE_EQ(island->mac_share, lstm / (lstm + head));
  EXPECT_EQ(island->constants, 2 * 32 * 8 * 4);
  ASSERT_GE(r.warnings.size(), 1u);
  EXPECT_NE(r.warnings[0].find("of the MACs stay float: LSTM"), std::string::npos);
}

TEST(Islands, LayersInsideControlFlow) {
  const Graph graph = typed_graph(R"(graph g(x: f32[4,8]) -> (y) {
  const w: f32[8,8] = random 1 -0.5 0.5
  const v: f32[8,4] = random 2 -0.5 0.5
  const n: i64[] = 5
  h = Loop(n, _, x) captures(w) {
    body: graph b(i: i64[], c: bool[], h: f32[4,8]) captures(w) -> (c, r) {
      t = MatMul(h, w) name "inner"
      r = Tanh(t) name "squash"
    }
  } name "loop"
  y = MatMul(h, v) name "head"
})");
  const QuantReport r = report_of(graph, {"f32[4,8]"});
  const double inner = 5 * 4 * 8 * 8, head = 4 * 8 * 4;
  EXPECT_DOUBLE_EQ(r.macs, inner + head);
  EXPECT_DOUBLE_EQ(r.int8_mac_share, head / (inner + head));
  const FloatIsland* island = find(r, "MatMul");
  ASSERT_NE(island, nullptr);
  EXPECT_EQ(island->layers, std::vector<std::string>{"inner"});
  EXPECT_EQ(island->why, "it is inside Loop loop, where nothing is quantized");
  EXPECT_DOUBLE_EQ(island->mac_share, inner / (inner + head));
  EXPECT_EQ(island->constants, 8 * 8 * 4) << "a captured constant is counted where it is read";
  ASSERT_NE(find(r, "Tanh"), nullptr);
  ASSERT_FALSE(r.float_constants.empty());
  EXPECT_EQ(r.float_constants[0].layer, "inner");
}

// The branch with more work counts, whichever a run takes; the other one is listed.
TEST(Islands, OneBranchCounts) {
  const Graph graph = typed_graph(R"(graph g(x: f32[4,8], c: bool[]) -> (y) {
  const w: f32[8,8] = random 1 -0.5 0.5
  const v: f32[8,4] = random 2 -0.5 0.5
  h = If(c) captures(x, w) {
    then_branch: graph t() captures(x, w) -> (r) {
      r = MatMul(x, w) name "short"
    }
    else_branch: graph e() captures(x, w) -> (r) {
      a = MatMul(x, w) name "first"
      r = MatMul(a, w) name "second"
    }
  } name "if"
  y = MatMul(h, v) name "head"
})");
  Graph bound = graph;
  ASSERT_TRUE(infer_types(bound).ok());
  const std::vector<FloatIsland> islands = float_islands(bound);
  const double branch = 2 * 4 * 8 * 8, head = 4 * 8 * 4;
  ASSERT_EQ(islands.size(), 2u);
  EXPECT_EQ(islands[0].layers, (std::vector<std::string>{"short", "first", "second"}));
  EXPECT_DOUBLE_EQ(islands[0].mac_share, branch / (branch + head));
  auto session = Session::create(graph, {});
  ASSERT_TRUE(session.ok());
  ASSERT_TRUE((*session)->prepare().ok());
  EXPECT_DOUBLE_EQ((*session)->macs().all, branch + head);
}

TEST(Islands, AModelThatHardlyShrinksSaysWhy) {
  const QuantReport r = report_of(typed_graph(R"(graph g(ids: i64[5]) -> (y) {
  const table "words": f32[100,16] = random 1 -1 1
  const w: f32[16,8] = random 2 -0.5 0.5
  e = Gather(table, ids) name "embedding"
  y = MatMul(e, w) name "head"
})"),
                                  {"i64[5]"});
  const FloatIsland* island = find(r, "Gather");
  ASSERT_NE(island, nullptr);
  EXPECT_EQ(island->why, "the table it looks up is no layer's weights");
  EXPECT_EQ(island->constants, 6400);
  ASSERT_EQ(r.float_constants.size(), 1u);
  EXPECT_EQ(r.float_constants[0].name, "words");
  bool said = false;
  for (const std::string& w : r.warnings)
    said |= w.find("times smaller: 6.40 kB of ") != std::string::npos &&
            w.find("6.40 kB words of Gather embedding") != std::string::npos;
  EXPECT_TRUE(said);
}

// Three layers of one filter: the file has it once, before and after, and so say the figures.
TEST(Islands, SharedWeightsAreCountedOnce) {
  QuantOptions o;
  o.method = CalibrationMethod::kMinMax;
  o.overflow_fix = OverflowFix::kOff;
  const Graph graph = typed_graph(R"(graph g(x: f32[1,4,9]) -> (y) {
  const w: f32[4,4,3] = random 1 -0.5 0.5
  a = Conv(x, w) {pads=[1,1]} + Relu name "first"
  b = Conv(a, w) {pads=[1,1]} + Relu name "second"
  y = Conv(b, w) {pads=[1,1]} name "third"
})");
  const QuantResult r = quantize(graph, samples({"f32[1,4,9]"}, 8), {}, o).value();
  EXPECT_EQ(r.report.bytes_before, 4 * 4 * 3 * 4);
  std::set<ValueId> weights;
  for (const Node& node : r.graph.nodes) weights.insert(node.inputs[1]);
  EXPECT_EQ(weights.size(), 1u);
  EXPECT_LT(r.report.bytes_after, r.report.bytes_before);
}

}  // namespace
}  // namespace mnn
