// TorchScript files of tests/data/torchscript (made by scripts/make_torchscript_data.py) against
// what PyTorch computed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "libconvert/convert.h"
#include "libruntime/core/io/npy.h"
#include "libruntime/core/op.h"
#include "tests/test_data.h"

namespace mnn {
namespace {

struct Sample {
  ShapeMap shapes;
  std::map<std::string, Tensor> inputs;
  std::vector<Tensor> outputs, again;
};

Sample read_sample(const std::string& name) {
  Sample sample;
  const auto entries = read_npz(test_data("data/torchscript/" + name + ".npz"));
  EXPECT_TRUE(entries.ok()) << entries.status().message();
  if (!entries.ok()) return sample;
  for (const auto& [key, tensor] : *entries) {
    const std::string rest = key.substr(key.find('.') + 1);
    if (key.starts_with("in.")) {
      sample.shapes[rest] = tensor.dims();
      sample.inputs.emplace(rest, tensor);
    } else {
      (key.starts_with("out2") ? sample.again : sample.outputs).push_back(tensor);
    }
  }
  return sample;
}

std::string path_of(const std::string& file) { return test_data("data/torchscript/" + file); }

// Outputs with the states' next values behind them.
std::vector<Tensor> run(Graph graph, const Sample& sample) {
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs) inputs.push_back(sample.inputs.at(graph.value(id).name));
  for (const StateUpdate& update : graph.updates) graph.outputs.push_back(update.next);
  graph.updates.clear();
  for (Value& value : graph.values) {
    if (value.kind == ValueKind::kState) value.kind = ValueKind::kConstant;
  }
  const auto outputs = run_reference(graph, inputs);
  EXPECT_TRUE(outputs.ok()) << outputs.status().message();
  return outputs.ok() ? *outputs : std::vector<Tensor>{};
}

// f32 sums in another order.
void expect_close(const std::vector<Tensor>& got, const std::vector<Tensor>& wanted) {
  constexpr double kTolerance = 1e-5;
  ASSERT_GE(got.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_EQ(got[i].type_str(), wanted[i].type_str()) << "output " << i;
    const std::vector<double> a = *got[i].to_doubles(), b = *wanted[i].to_doubles();
    double most = 0;
    for (const double v : b) most = std::max(most, std::abs(v));
    for (size_t k = 0; k < b.size(); ++k) {
      ASSERT_NEAR(a[k], b[k], kTolerance * most) << "output " << i << ", element " << k;
    }
  }
}

class TorchScript : public testing::TestWithParam<const char*> {};

TEST_P(TorchScript, ComputesWhatPyTorchDoes) {
  const std::string file = GetParam();
  const Sample sample = read_sample(file.substr(0, file.find('.')));
  ImportOptions options;
  options.shapes = sample.shapes;
  if (sample.inputs.contains("n")) options.keys["types"] = "n=i64";
  if (file.starts_with("stream")) options.keys["arguments"] = "rate=16";
  auto model = import_model(path_of(file), options);
  ASSERT_TRUE(model.ok()) << model.status().message();
  expect_close(run(model->graph, sample), sample.outputs);
  const auto optimized = optimize(model->graph);
  ASSERT_TRUE(optimized.ok()) << optimized.status().message();
  expect_close(run(model->graph, sample), sample.outputs);
}

INSTANTIATE_TEST_SUITE_P(Files, TorchScript,
                         testing::Values("convnet.script.pt", "convnet.trace.pt",
                                         "convnet.frozen.pt", "convnet.mobile.pt",
                                         "containers.script.pt", "branches.script.pt",
                                         "memory.script.pt", "writes.script.pt", "writes.trace.pt",
                                         "words.script.pt", "words.trace.pt", "marks.script.pt",
                                         "stream.script.pt", "tables.script.pt", "halves.script.pt",
                                         "recurrent.script.pt", "recurrent.trace.pt"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, '.', '_');
                           return name;
                         });

class WithoutShapes : public testing::TestWithParam<const char*> {};

TEST_P(WithoutShapes, ConvertsWithDynamicDims) {
  const std::string file = GetParam();
  const Sample sample = read_sample(file.substr(0, file.find('.')));
  const auto model = import_model(path_of(file));
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.inputs.size(), 1u);
  for (const ValueId id : model->graph.inputs) {
    EXPECT_FALSE(model->graph.value(id).type.is_static());
  }
  expect_close(run(model->graph, sample), sample.outputs);
}

INSTANTIATE_TEST_SUITE_P(Files, WithoutShapes,
                         testing::Values("convnet.script.pt", "convnet.trace.pt", "words.script.pt",
                                         "words.trace.pt"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, '.', '_');
                           return name;
                         });

// Ids of one or two dims would do; batches are meant, and said.
TEST(TorchScriptInputs, SaysWhatRankItTookAnInputToHave) {
  const auto model = import_model(path_of("words.script.pt"));
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.value(model->graph.inputs[0]).type.str(), "i64[ids.0,ids.1]");
  const auto& items = model->diagnostics.items();
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0].severity, Severity::kWarning);
  EXPECT_NE(items[0].message.find("--shape ids="), std::string::npos) << items[0].message;
}

// The code takes any rank: only the user can tell.
TEST(TorchScriptErrors, NamesTheInputThatNeedsAShape) {
  const auto model = import_model(path_of("containers.script.pt"));
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.status().message().find("--shape x="), std::string::npos)
      << model.status().message();
}

std::vector<std::string> operators(const std::string& file) {
  ImportOptions options;
  options.shapes = read_sample("convnet").shapes;
  auto model = import_model(path_of(file), options);
  EXPECT_TRUE(model.ok()) << model.status().message();
  if (!model.ok() || !optimize(model->graph).ok()) return {};
  std::vector<std::string> ops;
  for (const Node& node : model->graph.nodes) ops.push_back(node.op);
  return ops;
}

TEST(TorchScriptPlan, ScriptTraceAndFrozenAreTheSame) {
  const std::vector<std::string> plan = operators("convnet.script.pt");
  EXPECT_FALSE(plan.empty());
  EXPECT_EQ(plan, operators("convnet.trace.pt"));
  EXPECT_EQ(plan, operators("convnet.frozen.pt"));
  EXPECT_EQ(plan, operators("convnet.mobile.pt"));
}

class TorchScriptState : public testing::TestWithParam<const char*> {};

TEST_P(TorchScriptState, GoesFromRunToRun) {
  const std::string name = GetParam();
  const Sample sample = read_sample(name);
  ImportOptions options;
  options.shapes = sample.shapes;
  if (name == "stream") options.keys["arguments"] = "rate=16";
  auto model = import_model(path_of(name + ".script.pt"), options);
  ASSERT_TRUE(model.ok()) << model.status().message();
  Graph& graph = model->graph;
  ASSERT_EQ(graph.updates.size(), 2u);
  const std::vector<Tensor> first = run(graph, sample);
  ASSERT_EQ(first.size(), 1 + graph.updates.size());
  for (size_t i = 0; i < graph.updates.size(); ++i) {
    graph.value(graph.updates[i].state).data = first[1 + i];
  }
  expect_close(run(graph, sample), sample.again);
}

INSTANTIATE_TEST_SUITE_P(Networks, TorchScriptState, testing::Values("memory", "stream"),
                         [](const auto& info) { return std::string(info.param); });

class Quantized : public testing::TestWithParam<const char*> {};

// Outputs lie on PyTorch's grid, at most a step from its; everything between them is of bytes.
TEST_P(Quantized, ComputesWithPyTorchsCodes) {
  const Sample sample = read_sample("quantized");
  ImportOptions options;
  options.shapes = sample.shapes;
  auto model = import_model(path_of(GetParam()), options);
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto check = [&] {
    const std::vector<Tensor> got = run(model->graph, sample);
    ASSERT_EQ(got.size(), sample.outputs.size());
    for (size_t i = 0; i < got.size(); ++i) {
      const std::vector<double> a = *got[i].to_doubles(), b = *sample.outputs[i].to_doubles();
      ASSERT_EQ(a.size(), b.size());
      std::set<double> levels(b.begin(), b.end());
      ASSERT_GT(levels.size(), 2u);
      double step = *levels.rbegin() - *levels.begin();
      for (auto level = std::next(levels.begin()); level != levels.end(); ++level) {
        step = std::min(step, *level - *std::prev(level));
      }
      for (size_t k = 0; k < b.size(); ++k) {
        EXPECT_NEAR(a[k], b[k], 1.01 * step) << "output " << i << ", element " << k;
      }
    }
  };
  check();
  ASSERT_TRUE(optimize(model->graph).ok());
  check();
  int layers = 0;
  for (const Node& node : model->graph.nodes) {
    EXPECT_FALSE(node.op == "QuantizeLinear" || node.op == "DequantizeLinear");
    if (node.op != "Conv" && node.op != "Gemm") continue;
    ++layers;
    for (const ValueId id : {node.inputs[0], node.inputs[1], node.outputs[0]}) {
      EXPECT_TRUE(model->graph.value(id).quant) << node.origin[0];
    }
  }
  EXPECT_EQ(layers, 5);
}

INSTANTIATE_TEST_SUITE_P(Files, Quantized,
                         testing::Values("quantized.script.pt", "quantized.frozen.pt"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, '.', '_');
                           return name;
                         });

TEST(TorchScriptInputs, OptionalOnesAreAskedFor) {
  ImportOptions options;
  options.shapes = {{"x", {3, 6}}};
  const auto model = import_model(path_of("containers.script.pt"), options);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.inputs.size(), 1u);
  options.shapes = {{"y", {3, 6}}};
  const auto unknown = import_model(path_of("containers.script.pt"), options);
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.status().code(), Code::kUsage);
}

TEST(TorchScriptInputs, ArgumentsHaveValues) {
  ImportOptions options;
  options.shapes = {{"x", {3, 6}}};
  options.keys["arguments"] = "mode=first";
  // The model raises an exception then.
  const auto model = import_model(path_of("containers.script.pt"), options);
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.status().message().find("raises"), std::string::npos) << model.status().message();
}

}  // namespace
}  // namespace mnn
