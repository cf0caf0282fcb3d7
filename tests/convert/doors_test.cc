// One network through every door: what ONNX, TorchScript (script and trace) and an exported program
// of it become computes the same, in the same steps. And programs that PyTorch quantized (PT2E).
// tests/data/doors is made by scripts/make_door_data.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "libconvert/convert.h"
#include "libruntime/core/io/npy.h"
#include "libruntime/core/op.h"
#include "tests/test_data.h"

namespace mnn {
namespace {

std::string path_of(const std::string& file) { return test_data("data/doors/" + file); }

struct Golden {
  std::vector<Tensor> inputs, outputs;
};
Golden read_golden(const std::string& name) {
  Golden golden;
  const auto entries = read_npz(path_of(name + ".golden.npz"));
  EXPECT_TRUE(entries.ok()) << entries.status().message();
  if (!entries.ok()) return golden;
  for (const auto& [key, tensor] : *entries) {
    (key.starts_with("in") ? golden.inputs : golden.outputs).push_back(tensor);
  }
  return golden;
}

// The optimized graph of a file.
Graph read(const std::string& file, const Golden& golden, bool with_shape) {
  ImportOptions options;
  const std::string input = file.starts_with("lstm") && with_shape ? "ids" : "x";
  if (with_shape) options.shapes = {{input, golden.inputs[0].dims()}};
  Result<ImportedModel> model = import_model(path_of(file), options);
  EXPECT_TRUE(model.ok()) << file << ": " << model.status().message();
  if (!model.ok()) return {};
  const auto optimized = optimize(model->graph);
  EXPECT_TRUE(optimized.ok()) << optimized.status().message();
  return std::move(model->graph);
}

std::vector<std::string> steps_of(const Graph& graph) {
  std::vector<std::string> steps;
  for (const Node& node : graph.nodes) {
    std::string step = node.op;
    for (const FusedOp& f : node.fused) step += "+" + f.op;
    steps.push_back(std::move(step));
  }
  return steps;
}

std::vector<double> outputs_of(const Graph& graph, const Golden& golden) {
  const Result<std::vector<Tensor>> outputs = run_reference(graph, golden.inputs);
  EXPECT_TRUE(outputs.ok()) << outputs.status().message();
  if (!outputs.ok()) return {};
  EXPECT_EQ((*outputs)[0].dims(), golden.outputs[0].dims());
  return *(*outputs)[0].to_doubles();
}

class Doors : public testing::TestWithParam<const char*> {};

TEST_P(Doors, GiveOnePlanAndOneResult) {
  const std::string name = GetParam();
  const Golden golden = read_golden(name);
  ASSERT_EQ(golden.outputs.size(), 1u);
  const std::vector<double> expected = *golden.outputs[0].to_doubles();
  double largest = 0;
  for (const double v : expected) largest = std::max(largest, std::abs(v));
  const std::vector<std::string> plan = steps_of(read(name + ".onnx", golden, false));
  ASSERT_FALSE(plan.empty());
  for (const char* door : {".onnx", ".pt", ".trace.pt", ".pt2"}) {
    SCOPED_TRACE(door);
    const bool script = std::string_view(door).ends_with("pt");
    const Graph graph = read(name + door, golden, script);
    EXPECT_EQ(steps_of(graph), plan);
    const std::vector<double> found = outputs_of(graph, golden);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_NEAR(found[i], expected[i], 1e-4 * largest) << "element " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, Doors,
                         testing::Values("cnn", "transformer", "lstm", "detector", "unet"),
                         [](const auto& info) { return std::string(info.param); });

class Pt2e : public testing::TestWithParam<const char*> {};

// Activations and weights of every layer are bytes, and no node tells of it.
TEST_P(Pt2e, KeepsPyTorchsQuantization) {
  const std::string name = GetParam();
  const Golden golden = read_golden(name);
  const Graph graph = read(name + ".pt2", golden, false);
  const bool dynamic = name == "pt2e_dynamic";
  int layers = 0;
  for (const Node& node : graph.nodes) {
    EXPECT_FALSE(node.op == "QuantizeLinear" || node.op == "DequantizeLinear");
    if (node.op != "Conv" && node.op != "Gemm" && node.op != "MatMul") continue;
    ++layers;
    EXPECT_EQ(graph.value(node.inputs[0]).quant.has_value(), !dynamic) << node.origin[0];
    EXPECT_TRUE(graph.value(node.inputs[1]).quant) << node.origin[0];
  }
  EXPECT_EQ(layers, dynamic ? 2 : 5);
  const std::vector<double> found = outputs_of(graph, golden),
                            expected = *golden.outputs[0].to_doubles();
  ASSERT_EQ(found.size(), expected.size());
  // A static one ends on a grid: at most a step of it.
  const std::set<double> levels(expected.begin(), expected.end());
  double step = *levels.rbegin() - *levels.begin();
  for (auto level = std::next(levels.begin()); level != levels.end(); ++level) {
    step = std::min(step, *level - *std::prev(level));
  }
  const double tolerance = dynamic ? 1e-5 : 1.01 * step;
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], tolerance) << "element " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Programs, Pt2e, testing::Values("pt2e", "pt2e_narrow", "pt2e_dynamic"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace mnn
