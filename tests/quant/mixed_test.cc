// Mixed precision end to end on a small network, and what is kept of its measurements.
#include "libquant/mixed.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "libquant/layer_rules.h"
#include "libquant/report/evaluations_file.h"
#include "libruntime/core/text.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

// Layers of very different sizes, one weight shared by a Gather and a MatMul.
Graph model() {
  return typed_graph(R"(graph g(x: f32[4,32]) -> (y) {
  const a: f32[32,64] = random 1 -1 1
  const b: f32[64,16] = random 2 -1 1
  const e: f32[16,16] = random 3 -1 1
  const i: i64[4] = 3 1 0 2
  h: f32[4,64] = MatMul(x, a)
  r: f32[4,64] = Relu(h)
  s: f32[4,16] = MatMul(r, b)
  t: f32[4,16] = MatMul(s, e)
  u: f32[4,16] = Gather(e, i) {axis=0}
  y: f32[4,16] = Add(t, u)
})");
}

SampleSource samples_of(size_t count) {
  SampleSource source;
  source.count = count;
  source.load = [](size_t index) -> Result<std::vector<Tensor>> {
    MNN_ASSIGN_OR_RETURN(Tensor t, Tensor::allocate(DType::kF32, {4, 32}));
    for (int64_t i = 0; i < t.elements(); ++i) {
      t.data<float>()[i] = static_cast<float>(
          std::sin(static_cast<double>(i * (static_cast<int64_t>(index) + 3)) * 0.7));
    }
    return std::vector<Tensor>{t};
  };
  return source;
}

QuantOptions options_of(const std::string& scheme) {
  QuantOptions o;
  o.scheme = scheme;
  o.method = CalibrationMethod::kMinMax;
  return o;
}

std::map<std::string, std::string> schemes_of(const QuantReport& report) {
  std::map<std::string, std::string> schemes;
  for (const LayerError& e : report.layers) schemes[e.name] = e.scheme;
  return schemes;
}

TEST(Mixed, ReachesTheGoalAndFitsTheLimit) {
  QuantOptions o = options_of("int8");
  const auto int8 = quantize(model(), samples_of(8), {}, o);
  ASSERT_TRUE(int8.ok()) << int8.status().message();
  const double goal = int8->report.samples.mean_snr_db() + 3;
  o = options_of("mixed");
  o.max_bytes = 1.15 * static_cast<double>(int8->report.bytes_after);
  o.reached = [&](const Graph&, const QuantReport& r) -> Result<GoalVerdict> {
    const bool reached = r.samples.mean_snr_db() >= goal;
    return GoalVerdict{reached, reached, 0};
  };
  const auto mixed = quantize(model(), samples_of(8), {}, o);
  ASSERT_TRUE(mixed.ok()) << mixed.status().message();
  EXPECT_TRUE(mixed->report.mix.fits && mixed->report.mix.reached);
  EXPECT_GE(mixed->report.samples.mean_snr_db(), goal);
  EXPECT_LE(static_cast<double>(mixed->report.bytes_after), *o.max_bytes);
  o.threads = 2;
  const auto again = quantize(model(), samples_of(8), {}, o);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(print_graph(mixed->graph), print_graph(again->graph));
}

// What is pooled may gain more than the samples do one by one: that much is luck.
TEST(Mixed, TellsLuckFromGain) {
  struct Trial {
    double pooled, mean, luck;
  };
  std::vector<Trial> trials;
  QuantOptions o = options_of("mixed");
  o.reached = [&](const Graph&, const QuantReport& r) -> Result<GoalVerdict> {
    trials.push_back({r.outputs[0].worst().metrics.snr_db, r.samples.mean_snr_db(), r.luck_db});
    return GoalVerdict{};
  };
  ASSERT_TRUE(quantize(model(), samples_of(8), {}, o).ok());
  ASSERT_GT(trials.size(), 2u);
  EXPECT_EQ(trials[0].luck, 0);
  bool some = false;
  for (const Trial& t : trials) {
    const double more = (t.pooled - trials[0].pooled) - (t.mean - trials[0].mean);
    EXPECT_DOUBLE_EQ(t.luck, std::max(0.0, more));
    some |= more > 0;
  }
  EXPECT_TRUE(some);
}

TEST(Mixed, LimitRelativeToInt8) {
  QuantOptions o = options_of("mixed");
  o.max_int8_ratio = 1.15;
  const auto made = quantize(model(), samples_of(8), {}, o);
  ASSERT_TRUE(made.ok()) << made.status().message();
  ASSERT_TRUE(made->report.mix.most_bytes && made->report.mix.fits);
  EXPECT_LE(static_cast<double>(made->report.bytes_after), *made->report.mix.most_bytes);
  o.max_bytes = 4000;  // the smaller of two limits
  const auto smaller = quantize(model(), samples_of(8), {}, o);
  ASSERT_TRUE(smaller.ok()) << smaller.status().message();
  EXPECT_EQ(smaller->report.mix.most_bytes, 4000);
  // Nothing can be int8.
  o.max_bytes.reset();
  o.layers = {{"*", "w8"}};
  EXPECT_EQ(quantize(model(), samples_of(8), {}, o).status().code(), Code::kUnsupported);
}

TEST(Mixed, NeedsATarget) {
  EXPECT_EQ(quantize(model(), samples_of(8), {}, options_of("mixed")).status().code(),
            Code::kUsage);
}

TEST(Mixed, SmallerAndSmaller) {
  double before = 1e9, snr = 300;
  for (const double bytes : {9000, 6000, 3500}) {
    QuantOptions o = options_of("mixed");
    o.max_bytes = bytes;
    const auto made = quantize(model(), samples_of(8), {}, o);
    ASSERT_TRUE(made.ok()) << made.status().message();
    EXPECT_TRUE(made->report.mix.fits) << bytes;
    EXPECT_LE(static_cast<double>(made->report.bytes_after), bytes);
    EXPECT_LT(static_cast<double>(made->report.bytes_after), before);
    EXPECT_LT(made->report.samples.mean_snr_db(), snr);
    before = static_cast<double>(made->report.bytes_after);
    snr = made->report.samples.mean_snr_db();
  }
}

TEST(Mixed, TakesSchemesByHand) {
  const Graph graph = model();
  QuantOptions o = options_of("int8");
  const std::string first = display_name(graph, graph.nodes[0]);
  const std::string second = display_name(graph, graph.nodes[2]);
  const std::string relu = display_name(graph, graph.nodes[1]);
  const std::string table = display_name(graph, graph.nodes[4]);
  o.layers = {{first, "w4"}, {second, "w8"}, {second, "f16"}};
  auto made = quantize(graph, samples_of(8), {}, o);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(schemes_of(made->report)[first], "w4");
  EXPECT_EQ(schemes_of(made->report)[second], "f16");
  // What people keep in float comes before all.
  o.keep_float = {first};
  made = quantize(graph, samples_of(8), {}, o);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(schemes_of(made->report)[first], "float");
  const auto refused = [&](const std::string& pattern, const std::string& scheme) {
    QuantOptions wrong = options_of("int8");
    wrong.layers = {{pattern, scheme}};
    const Status s = quantize(graph, samples_of(8), {}, wrong).status();
    return s.code() == Code::kUsage ? s.message() : "not refused";
  };
  EXPECT_NE(refused(table, "int8").find("Gather has no int8 kernel"), std::string::npos);
  EXPECT_NE(refused(relu, "w4").find("neither products nor weights"), std::string::npos);
  EXPECT_NE(refused("nobody", "w4").find("no layer has such a name"), std::string::npos);
  EXPECT_NE(refused(first, "w7").find("expected int8, w8"), std::string::npos);
}

TEST(Evaluations, KeepEveryBit) {
  const std::string path = ::testing::TempDir() + "evaluations.json";
  std::filesystem::remove(path);
  const std::map<std::string, std::string> identity = {{"model", "a"}, {"settings", "b"}};
  const std::vector<double> numbers = {1.0 / 3, -0.0, 5e-324, 1e308, INFINITY, -INFINITY};
  int made = 0;
  const auto make = [&]() -> Result<std::vector<double>> {
    ++made;
    return numbers;
  };
  {
    auto kept = open_evaluations(path, identity);
    ASSERT_TRUE(kept.ok()) << kept.status().message();
    EXPECT_FALSE(std::filesystem::exists(path));
    ASSERT_TRUE((*kept)->get("one", make).ok());
    EXPECT_TRUE(std::filesystem::exists(path));
    for (int i = 0; i < 40; ++i) ASSERT_TRUE((*kept)->get(std::to_string(i), make).ok());
    ASSERT_TRUE((*kept)->flush().ok());
  }
  EXPECT_EQ(made, 41);
  auto again = open_evaluations(path, identity);
  ASSERT_TRUE(again.ok()) << again.status().message();
  const auto one = (*again)->get("one", make);
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(*one, numbers);
  EXPECT_TRUE(std::signbit((*one)[1]));
  EXPECT_EQ(made, 41);
  const Status other = open_evaluations(path, {{"model", "c"}, {"settings", "b"}}).status();
  EXPECT_EQ(other.code(), Code::kUsage);
  EXPECT_NE(other.message().find("model differ"), std::string::npos);
  std::ofstream(path) << "[]";
  EXPECT_EQ(open_evaluations(path, identity).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace mnn
