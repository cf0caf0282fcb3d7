// What is exported and read again computes the same: every operator case at every opset.
#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <map>
#include <set>

#include "libconvert/convert.h"
#include "libconvert/exporters/onnx/exporter.h"
#include "libconvert/frontends/onnx/frontend.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/text.h"
#include "tests/ops/op_case.h"
#include "tests/test_data.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

constexpr int kOpsets[] = {13, 15, 17, 18, 19, 20, 21};

Result<Graph> read_back(const OnnxExport& made) {
  const std::string& text = made.model;
  MNN_ASSIGN_OR_RETURN(
      ImportedModel model,
      import_onnx({reinterpret_cast<const std::byte*>(text.data()), text.size()}, "", {}));
  return std::move(model.graph);
}

// The largest difference, relative to the largest magnitude; infinite where types or dims differ.
double difference(const Tensor& expected, const Tensor& found) {
  if (expected.form() != found.form()) return INFINITY;
  if (!expected.is_tensor()) {
    if (expected.form() == Tensor::Form::kNothing) return 0;
    if (expected.items().size() != found.items().size()) return INFINITY;
    double worst = 0;
    for (size_t i = 0; i < expected.items().size(); ++i) {
      worst = std::max(worst, difference(expected.items()[i], found.items()[i]));
    }
    return worst;
  }
  if (expected.dtype() != found.dtype() || expected.dims() != found.dims()) return INFINITY;
  if (expected.dtype() == DType::kString) {
    return expected.string_values() == found.string_values() ? 0 : INFINITY;
  }
  if (identical(expected, found)) return 0;
  const auto e = expected.to_doubles(), f = found.to_doubles();
  if (!e.ok() || !f.ok()) return INFINITY;
  double scale = 0, worst = 0;
  for (const double v : *e) {
    if (std::isfinite(v)) scale = std::max(scale, std::abs(v));
  }
  for (size_t i = 0; i < e->size(); ++i) {
    const double a = (*e)[i], b = (*f)[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    const double error = std::abs(a - b) / (scale == 0 ? 1 : scale);
    worst = std::max(worst, error == error ? error : INFINITY);
  }
  return worst;
}

bool is_deterministic(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    if (!find_op(node.op)->deterministic) return false;
    for (const Graph& inner : node.subgraphs) {
      if (!is_deterministic(inner)) return false;
    }
  }
  return true;
}

class ExportCaseTest : public testing::TestWithParam<int> {};

// With all inputs as constants, too: older opsets have attributes where newer ones have inputs.
TEST_P(ExportCaseTest, ReadsBackAsWhatItWas) {
  std::set<std::string> refused;
  int compared = 0;
  for (const OpCase& c : load_op_cases(test_data("ops"))) {
    Result<Graph> graph = c.graph();
    if (!graph.ok() || !c.error.empty() || !c.has_data() || c.skipped.contains("export")) continue;
    std::vector<Tensor> inputs;
    for (const OpCase::Input& input : c.inputs) inputs.push_back(*input.data);
    for (const bool constants : {false, true}) {
      if (constants && inputs.size() < 2) continue;
      Graph g = *graph;
      std::vector<Tensor> feeds = inputs;
      if (constants) {
        for (size_t i = 1; i < g.inputs.size(); ++i) {
          g.value(g.inputs[i]).kind = ValueKind::kConstant;
          g.value(g.inputs[i]).data = inputs[i];
        }
        g.inputs.resize(1);
        feeds.resize(1);
      }
      SCOPED_TRACE(c.where() + (constants ? ", with constants" : ""));
      const Result<std::vector<Tensor>> expected = run_reference(g, feeds);
      if (!expected.ok()) continue;
      OnnxExportOptions options;
      options.opset = GetParam();
      const Result<OnnxExport> made = export_onnx(g, options);
      if (!made.ok()) {
        EXPECT_EQ(made.status().code(), Code::kUnsupported) << made.status().message();
        const std::string& why = made.status().message();  // "node NAME (Op): …"
        const size_t open = why.find('('), close = why.find(')');
        ASSERT_LT(open, close) << why;
        refused.insert(why.substr(open + 1, close - open - 1));
        continue;
      }
      const Result<Graph> again = read_back(*made);
      EXPECT_TRUE(again.ok()) << again.status().message();
      if (!again.ok()) continue;
      EXPECT_EQ(again->inputs.size(), g.inputs.size());
      for (size_t i = 0; i < std::min(again->inputs.size(), g.inputs.size()); ++i) {
        EXPECT_EQ(again->value(again->inputs[i]).name, g.value(g.inputs[i]).name);
      }
      if (!is_deterministic(g)) continue;
      const Result<std::vector<Tensor>> found = run_reference(*again, feeds);
      EXPECT_TRUE(found.ok()) << found.status().message();
      if (!found.ok() || found->size() != expected->size()) continue;
      for (size_t i = 0; i < found->size(); ++i) {
        EXPECT_EQ(again->value(again->outputs[i]).name, g.value(g.outputs[i]).name);
        // Spelled out, an operator rounds to its type between its parts.
        const DType dtype = (*expected)[i].dtype();
        const double most = dtype == DType::kF16 ? 4e-3 : dtype == DType::kBF16 ? 3e-2 : 2e-5;
        EXPECT_LE(difference((*expected)[i], (*found)[i]), most);
      }
      ++compared;
    }
  }
  EXPECT_GT(compared, 700);
  if (GetParam() < kNewestExportOpset) return;
  // What came later, and types, attributes that did.
  const std::set<std::string> expected = {
      "BitCast",     "Cast",           "CumProd",      "DequantizeLinear", "LinearAttention",
      "MatMulNBits", "QuantizeLinear", "SpaceToDepth", "TensorScatter"};
  EXPECT_EQ(refused, expected);
}

Result<std::vector<Tensor>> exported_and_run(const Graph& g, const OnnxExportOptions& options,
                                             std::span<const Tensor> feeds, Graph& again) {
  MNN_ASSIGN_OR_RETURN(const OnnxExport made, export_onnx(g, options));
  MNN_ASSIGN_OR_RETURN(again, read_back(made));
  MNN_RETURN_IF_ERROR(optimize(again).status());
  return run_reference(again, feeds);
}

Tensor ramp(std::vector<int64_t> dims) {
  Tensor t = Tensor::allocate(DType::kF32, std::move(dims)).value();
  for (int64_t i = 0; i < t.elements(); ++i) {
    t.data<float>()[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
  }
  return t;
}

// A graph whose product has weights in an encoding, after one convolution on grids.
Graph product_with(QuantParams params, const Tensor& weights) {
  Graph g =
      typed_graph("graph g(x: f32[3," + std::to_string(weights.dims()[0]) + "]) -> (y) {\n" +
                  "  const w: f32[" + std::to_string(weights.dims()[0]) + "," +
                  std::to_string(weights.dims()[1]) + "] = iota 0 1\n" + "  y = MatMul(x, w)\n}\n");
  for (Value& v : g.values) {
    if (v.name != "w") continue;
    v.data = quantize_tensor(weights, params).value();
    v.quant = std::move(params);
  }
  return g;
}

QuantParams grouped(DType storage, int64_t k, int64_t n, int64_t group, bool zeros) {
  QuantParams p;
  p.storage = storage;
  p.axis = 0;
  p.group = group;
  const int64_t groups = (k + group - 1) / group;
  p.scale = Tensor::allocate(DType::kF32, {groups, n}).value();
  for (int64_t i = 0; i < groups * n; ++i) {
    p.scale.data<float>()[i] = 0.125f + 0.01f * static_cast<float>(i % 5);
  }
  if (zeros) {
    p.zero_point = Tensor::allocate(DType::kU8, {groups, n}).value();
    for (int64_t i = 0; i < groups * n; ++i) {
      p.zero_point.data<uint8_t>()[i] = static_cast<uint8_t>(5 + i % 6);
    }
  }
  return p;
}

// Codes of every width come through DequantizeLinear and through MatMulNBits, in whole and in
// broken groups, and are weights on their codes again.
TEST(OnnxExport, CarriesWeightsOfEveryWidth) {
  constexpr int64_t kN = 5;
  for (const DType storage : {DType::kU8, DType::kI8, DType::kU4, DType::kI4, DType::kU3,
                              DType::kU2, DType::kI2, DType::kU6}) {
    const bool is_signed = find_storage(storage)->low < 0;
    for (const int64_t k : {64, 40}) {
      for (const bool contrib : {false, true}) {
        SCOPED_TRACE(std::string(dtype_name(storage)) + (contrib ? ", contrib, " : ", ") +
                     std::to_string(k));
        const bool zeros = !is_signed && find_storage(storage)->bits >= 4;
        const Graph g = product_with(grouped(storage, k, kN, 32, zeros), ramp({k, kN}));
        const std::vector<Tensor> feeds = {ramp({3, k})};
        OnnxExportOptions options;
        options.contrib = contrib;
        Graph again;
        const auto found = exported_and_run(g, options, feeds, again);
        ASSERT_TRUE(found.ok()) << found.status().message();
        const auto expected = run_reference(g, feeds);
        ASSERT_TRUE(expected.ok());
        EXPECT_LE(difference((*expected)[0], (*found)[0]), 1e-6);
        int quantized = 0;
        for (const Value& v : again.values) quantized += v.quant && v.data.elements() == k * kN;
        EXPECT_EQ(quantized, 1);
      }
    }
  }
}

// Rows that are rounded as they come are rounded by nodes, or named by MatMulNBits.
TEST(OnnxExport, RowsAreRoundedByNodes) {
  Graph g = product_with(grouped(DType::kU4, 64, 5, 32, true), ramp({64, 5}));
  for (Node& node : g.nodes) node.attributes["activation_bits"] = int64_t{8};
  const std::vector<Tensor> feeds = {ramp({3, 64})};
  Graph again;
  const auto found = exported_and_run(g, {}, feeds, again);
  ASSERT_TRUE(found.ok()) << found.status().message();
  const auto expected = run_reference(g, feeds);
  ASSERT_TRUE(expected.ok());
  EXPECT_LE(difference((*expected)[0], (*found)[0]), 1e-6);
  Graph exact = g;
  for (Node& node : exact.nodes) node.attributes.clear();
  const auto unrounded = run_reference(exact, feeds);
  ASSERT_TRUE(unrounded.ok());
  EXPECT_GT(difference((*expected)[0], (*unrounded)[0]), 1e-4);
  for (const Node& node : again.nodes) EXPECT_FALSE(node.attributes.contains("activation_bits"));
  OnnxExportOptions options;
  options.contrib = true;
  const auto packed = export_onnx(g, options);
  ASSERT_TRUE(packed.ok());
  EXPECT_NE(packed->model.find("accuracy_level"), std::string::npos);
  options = {};
  options.dequantize = true;
  ASSERT_TRUE(exported_and_run(g, options, feeds, again).ok());
  for (const Node& node : again.nodes) EXPECT_NE(node.op, "Round");
}

TEST(OnnxExport, NeedsAFlagForWhatItCannotSay) {
  const Graph g = product_with(grouped(DType::kU4, 64, 5, 32, true), ramp({64, 5}));
  OnnxExportOptions options;
  options.opset = 17;
  const auto refused = export_onnx(g, options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kUnsupported);
  EXPECT_NE(refused.status().message().find("needs opset 21, or --dequantize"), std::string::npos)
      << refused.status().message();
  options.dequantize = true;
  const auto made = export_onnx(g, options);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(made->dequantized_constants, 1);
  options = {};
  options.opset = 12;
  EXPECT_EQ(export_onnx(g, options).status().code(), Code::kUsage);
}

// Grids of values come back as annotations: for the whole tensor, per channel, at an input and
// behind an output.
TEST(OnnxExport, GridsOfValuesComeBack) {
  Graph g = typed_graph(R"(graph g(x: f32[1,3,4,4] quant u8 scale [0.02] zero [128]) -> (y) {
  const w: f32[3,1,3,3] quant i8 scale [0.01,0.02,0.03] axis 0 = iota -13 1
  const v: f32[2,3,1,1] quant i8 scale [0.01,0.02] axis 0 = iota -3 1
  a: f32[1,3,4,4] quant u8 scale [0.02,0.03,0.04] zero [3,0,7] axis 1 = Relu(x)
  b: f32[1,3,2,2] quant u8 scale [0.05] zero [9] = Conv(a, w) {group=3} + LeakyRelu {alpha=0.25}
  y: f32[1,2,2,2] quant i8 scale [0.01] = Conv(b, v)
})");
  const std::vector<Tensor> feeds = {ramp({1, 3, 4, 4})};
  const auto expected = run_reference(g, feeds);
  ASSERT_TRUE(expected.ok()) << expected.status().message();
  for (const int opset : {13, 19, 21}) {
    SCOPED_TRACE(opset);
    OnnxExportOptions options;
    options.opset = opset;
    Graph again;
    const auto found = exported_and_run(g, options, feeds, again);
    ASSERT_TRUE(found.ok()) << found.status().message();
    EXPECT_EQ(difference((*expected)[0], (*found)[0]), 0);
    int tensors = 0, channels = 0, weights = 0, others = 0;
    for (const Value& v : again.values) {
      if (!v.quant) continue;
      const bool constant = v.kind == ValueKind::kConstant;
      (constant ? weights : v.quant->axis == 1 ? channels : tensors) += 1;
    }
    for (const Node& node : again.nodes) {
      others += node.op == "QuantizeLinear" || node.op == "DequantizeLinear";
    }
    EXPECT_EQ(weights, 2);
    EXPECT_EQ(channels, 1);
    EXPECT_EQ(tensors, 3);
    EXPECT_EQ(others, 0);
  }
}

// A grid of 16 bits is the standard's from opset 21 on.
TEST(OnnxExport, SixteenBitsNeedTheNewestOpsetOrContrib) {
  const Graph g = typed_graph(R"(graph g(x: f32[4]) -> (y) {
  a: f32[4] quant u16 scale [0.001] zero [1000] = Sigmoid(x)
  y = Relu(a)
})");
  OnnxExportOptions options;
  EXPECT_TRUE(export_onnx(g, options).ok());
  options.opset = 19;
  EXPECT_EQ(export_onnx(g, options).status().code(), Code::kUnsupported);
  options.contrib = true;
  const auto made = export_onnx(g, options);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(made->operators.at("com.microsoft::QuantizeLinear"), 1);
}

// Names of post-ops are those of the source layers; states become inputs and outputs.
TEST(OnnxExport, KeepsNamesAndHandsOutStates) {
  Graph g = typed_graph(R"(graph g(x: f32[1,2]) -> (y) {
  state s: f32[1,2] = 0 0
  const w: f32[2,2] = 1 2 3 4
  y = MatMul(x, w) + Add(s) + Relu name "relu" @ "product" "sum" "relu"
  n = Identity(y)
  update s = n
})");
  const auto made = export_onnx(g, {});
  ASSERT_TRUE(made.ok()) << made.status().message();
  ASSERT_EQ(made->states.size(), 1u);
  EXPECT_EQ(made->states[0].input, "s");
  EXPECT_TRUE(made->states[0].zeros);
  const auto again = read_back(*made);
  ASSERT_TRUE(again.ok()) << again.status().message();
  std::set<std::string> names;
  for (const Node& node : again->nodes) names.insert(display_name(*again, node));
  for (const char* layer : {"product", "sum", "relu"}) EXPECT_TRUE(names.contains(layer)) << layer;
  ASSERT_EQ(again->inputs.size(), 2u);
  ASSERT_EQ(again->outputs.size(), 2u);
  EXPECT_EQ(again->value(again->outputs[1]).name, made->states[0].output);
}

INSTANTIATE_TEST_SUITE_P(Opsets, ExportCaseTest, testing::ValuesIn(kOpsets),
                         [](const auto& info) { return std::to_string(info.param); });

}  // namespace
}  // namespace mnn
