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
  std::map<std::string, int> refused;
  int compared = 0;
  for (const OpCase& c : load_op_cases(test_data("ops"))) {
    Result<Graph> graph = c.graph();
    if (!graph.ok() || !c.error.empty() || !c.has_data()) continue;
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
        ++refused[c.file];
        continue;
      }
      const Result<Graph> again = read_back(*made);
      ASSERT_TRUE(again.ok()) << again.status().message();
      ASSERT_EQ(again->inputs.size(), g.inputs.size());
      for (size_t i = 0; i < g.inputs.size(); ++i) {
        EXPECT_EQ(again->value(again->inputs[i]).name, g.value(g.inputs[i]).name);
      }
      if (!is_deterministic(g)) continue;
      const Result<std::vector<Tensor>> found = run_reference(*again, feeds);
      ASSERT_TRUE(found.ok()) << found.status().message();
      ASSERT_EQ(found->size(), expected->size());
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
  // What the newest opset that is written has no words for: operators that came later.
  for (const auto& [file, count] : refused) {
    RecordProperty(file, count);
    ADD_FAILURE_AT(file.c_str(), count);
  }
}

INSTANTIATE_TEST_SUITE_P(Opsets, ExportCaseTest, testing::ValuesIn(kOpsets),
                         [](const auto& info) { return std::to_string(info.param); });

}  // namespace
}  // namespace mnn
