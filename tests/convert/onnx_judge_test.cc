// The models of the fuzz target, and whether the judge would notice anything.
#include <gtest/gtest.h>

#include <filesystem>
#include <iterator>
#include <map>

#include "libconvert/frontends/onnx/op_map.h"
#include "libconvert/report/onnx_json.h"
#include "libruntime/core/op.h"
#include "tests/convert/model_builder.h"
#include "tests/ops/op_case.h"
#include "tests/test_data.h"

namespace mnn::testing {
namespace {

TEST(OnnxJudge, AgreesOnTheSeeds) {
  int models = 0, compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(test_data("fuzz/seeds/onnx"))) {
    if (entry.path().extension() != ".onnx") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    const Judgement j = judge_import(bytes, import_onnx(std::as_bytes(std::span(bytes)), ""));
    EXPECT_EQ(j.difference, "") << entry.path();
    compared += j.compared;
    ++models;
  }
  EXPECT_GE(models, 8);
  EXPECT_GE(compared, 20);
}

// Whether ONNX can hold the graph, and no operator changed after operator set 17.
enum class Known { kNo, kInOtherForms, kYes };
Known known_to_17(const Graph& graph) {
  Known known = Known::kYes;
  for (const Value& v : graph.values) {
    if (v.quant) return Known::kNo;
  }
  for (const Node& n : graph.nodes) {
    const onnx::OpRow* row = onnx::find_row("", n.op);
    if (!n.fused.empty() || row == nullptr || !row->target.empty()) return Known::kNo;
    if (n.attributes.contains("activation_bits")) return Known::kNo;
    if (onnx::first_version(*row) > 17) return Known::kNo;
    const std::string_view last = row->since.substr(row->since.find_last_of(' ') + 1);
    if (std::stoi(std::string(last)) > 17) known = Known::kInOtherForms;
    for (const Graph& g : n.subgraphs) known = std::min(known, known_to_17(g));
  }
  return known;
}

// Cases whose result a later operator set changed, and which.
const std::map<std::string, std::string> kChanged = {
    {"max pool ceil drops a window in the padding", "MaxPool 22"},
    {"average pool dilated", "AveragePool 19"},
    {"quantize to uint4 by attribute", "QuantizeLinear 21"},
    {"dequantize to half", "DequantizeLinear 23"},
    {"a tie that rounding moves by its last bit", "Resize 18"}};

TEST(OnnxJudge, AgreesOnTheOperatorCases) {
  std::map<std::string, std::string> changed = kChanged;
  int judged = 0, compared = 0, refused = 0;
  for (const OpCase& c : load_op_cases(test_data("ops"))) {
    if (!c.error.empty() || !c.malformed.empty()) continue;
    Result<Graph> graph = c.graph();
    ASSERT_TRUE(graph.ok()) << c.where();
    const Known known = known_to_17(*graph);
    if (known == Known::kNo || !infer_types(*graph).ok()) continue;
    const GraphJudgement j = judge_graph(*graph, onnx_json(*graph, int64_t{1} << 30));
    if (known == Known::kInOtherForms && !j.difference.empty() && changed.erase(c.name) > 0)
      continue;
    EXPECT_EQ(j.difference, "") << c.where();
    if (known == Known::kYes) {
      EXPECT_EQ(j.refused, "") << c.where();
    }
    refused += !j.refused.empty();
    compared += j.compared;
    ++judged;
  }
  EXPECT_TRUE(changed.empty()) << changed.begin()->first << ": there is no difference";
  EXPECT_GE(judged - refused, 850);
  EXPECT_GE(compared, 1100);
}

TEST(OnnxJudge, SeesWhatDiffers) {
  ModelBuilder m(13);
  m.input("x", {2, 3}).output("y").node("Relu", {"x"}, {"h"}).node("Neg", {"h"}, {"y"});
  const auto change = [&](auto&& f) {
    auto model = m.import();
    f(*model);
    return judge_import(m.bytes(), std::move(model)).difference;
  };
  const auto h = [](ImportedModel& model) -> Type& {
    return model.graph.value(model.graph.nodes[0].outputs[0]).type;
  };
  EXPECT_EQ(change([](ImportedModel&) {}), "");
  EXPECT_EQ(change([&](ImportedModel& i) { (*h(i).shape)[1] = Dim(4); }),
            "h is f32[2,4], libonnx says 3 for dim 1");
  EXPECT_EQ(change([&](ImportedModel& i) { h(i).shape->pop_back(); }),
            "h is f32[2], libonnx says rank 2");
  EXPECT_EQ(change([&](ImportedModel& i) { h(i).dtype = DType::kF16; }),
            "h is f16[2,3], libonnx says f32");
  EXPECT_EQ(judge_import(m.bytes(), invalid("no")).difference, "libonnx accepts it: no");
  EXPECT_EQ(judge_import(m.bytes(), unsupported("no")).difference, "");
}

}  // namespace
}  // namespace mnn::testing
