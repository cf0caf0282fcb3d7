// SavedModel folders: those of tests/data/tensorflow (made by scripts/make_tensorflow_data.py)
// against what TensorFlow computed, and against the same network as a frozen graph and for
// TensorFlow Lite.
#include "libconvert/frontends/tensorflow/saved_model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "libruntime/core/io/npy.h"
#include "libruntime/core/op.h"
#include "tests/test_data.h"

namespace mnn {
namespace {

using Tensors = std::map<std::string, Tensor>;

std::string path_of(const std::string& file) { return test_data("data/tensorflow/" + file); }

// What the sample of a network has under "in." or "out.".
Tensors sample_of(const std::string& name, const std::string& part) {
  Tensors found;
  const auto entries = read_npz(path_of(name + ".npz"));
  EXPECT_TRUE(entries.ok()) << entries.status().message();
  if (!entries.ok()) return found;
  for (const auto& [key, tensor] : *entries) {
    if (key.starts_with(part)) found.emplace(key.substr(part.size()), tensor);
  }
  return found;
}

// Inputs and outputs by position where a front end calls them otherwise.
std::vector<Tensor> run(const Graph& graph, const Tensors& inputs) {
  std::vector<Tensor> given;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const auto named = inputs.find(graph.value(graph.inputs[i]).name);
    given.push_back(named != inputs.end()
                        ? named->second
                        : std::next(inputs.begin(), static_cast<long>(i))->second);
  }
  const auto outputs = run_reference(graph, given);
  EXPECT_TRUE(outputs.ok()) << outputs.status().message();
  return outputs.ok() ? *outputs : std::vector<Tensor>{};
}

// f32 sums in another order.
void expect_close(const Tensor& got, const Tensor& wanted, const std::string& what) {
  constexpr double kTolerance = 1e-5;
  ASSERT_EQ(got.type_str(), wanted.type_str()) << what;
  const std::vector<double> a = *got.to_doubles(), b = *wanted.to_doubles();
  double most = 0;
  for (const double v : b) most = std::max(most, std::abs(v));
  for (size_t k = 0; k < b.size(); ++k) {
    ASSERT_NEAR(a[k], b[k], kTolerance * most) << what << ", element " << k;
  }
}

struct Case {
  const char *name, *signature;
  std::vector<std::string> inputs, outputs;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class SavedModels : public testing::TestWithParam<Case> {};

TEST_P(SavedModels, ComputeWhatTensorFlowDoes) {
  const Case& c = GetParam();
  ImportOptions options;
  if (*c.signature != '\0') options.keys["signature"] = c.signature;
  auto model = import_model(path_of(c.name), options);
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto names = [&](const std::vector<ValueId>& ids) {
    std::vector<std::string> list;
    for (const ValueId id : ids) list.push_back(model->graph.value(id).name);
    return list;
  };
  EXPECT_EQ(names(model->graph.inputs), c.inputs);
  EXPECT_EQ(names(model->graph.outputs), c.outputs);
  const Tensors inputs = sample_of(c.name, "in."), wanted = sample_of(c.name, "out.");
  ASSERT_EQ(wanted.size(), c.outputs.size());
  for (const bool optimized : {false, true}) {
    if (optimized) {
      const auto report = optimize(model->graph);
      ASSERT_TRUE(report.ok()) << report.status().message();
    }
    const std::vector<Tensor> got = run(model->graph, inputs);
    ASSERT_EQ(got.size(), wanted.size());
    for (size_t i = 0; i < got.size(); ++i) {
      expect_close(got[i], wanted.at(c.outputs[i]), c.outputs[i]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Folders, SavedModels,
                         testing::Values(Case{"cnn", "", {"image"}, {"output_0"}},
                                         Case{"rnn", "", {"steps"}, {"output_0"}},
                                         Case{"functions", "project", {"x"}, {"y"}},
                                         Case{"shards", "project", {"x"}, {"y"}},
                                         Case{"graph_refs", "", {"x"}, {"y", "z"}},
                                         Case{"graph_resources", "", {"x"}, {"y", "z"}}),
                         [](const auto& info) { return std::string(info.param.name); });

// The operators of a plan in its order, without views, which take no step.
std::vector<std::string> plan_of(const Graph& graph) {
  std::vector<std::string> ops;
  for (const Node& node : graph.nodes) {
    if (!has_traits(node.op, kView)) ops.push_back(node.op);
    for (const FusedOp& f : node.fused) ops.back() += "+" + f.op;
  }
  std::ranges::sort(ops);
  return ops;
}

class EveryDoor : public testing::TestWithParam<const char*> {};

TEST_P(EveryDoor, GivesTheSameAnswerByTheSameOperators) {
  const std::string name = GetParam();
  const Tensors inputs = sample_of(name, "in."), wanted = sample_of(name, "out.");
  ImportOptions options;
  std::vector<std::string> first;
  for (const char* ending : {"", ".pb", ".tflite"}) {
    const std::string file = name + ending;
    // The file for TensorFlow Lite has a batch of one.
    options.shapes.clear();
    auto open = import_model(path_of(file));
    ASSERT_TRUE(open.ok()) << open.status().message();
    options.shapes[open->graph.value(open->graph.inputs[0]).name] = inputs.begin()->second.dims();
    auto model = import_model(path_of(file), options);
    ASSERT_TRUE(model.ok()) << model.status().message();
    const auto report = optimize(model->graph);
    ASSERT_TRUE(report.ok()) << report.status().message();
    const std::vector<Tensor> got = run(model->graph, inputs);
    ASSERT_EQ(got.size(), 1u);
    expect_close(got[0], wanted.begin()->second, file);
    const std::vector<std::string> plan = plan_of(model->graph);
    if (first.empty()) first = plan;
    EXPECT_EQ(plan, first) << file;
    for (const std::string& op : plan) EXPECT_NE(op, "Loop") << file;
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, EveryDoor, testing::Values("cnn", "rnn"),
                         [](const auto& info) { return std::string(info.param); });

// ---- What is wrong with a folder ----

// A copy of a folder of the data, to be damaged.
class Damaged : public testing::Test {
 protected:
  void copy(const std::string& name) {
    folder_ =
        std::filesystem::temp_directory_path() / ("mnn_saved_model_" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    std::filesystem::copy(path_of(name), folder_ / "model",
                          std::filesystem::copy_options::recursive);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path in(const std::string& file) const { return folder_ / "model" / file; }
  void expect_error(const std::filesystem::path& path, Code code, const std::string& part,
                    std::map<std::string, std::string> keys = {{"signature", "project"}}) const {
    ImportOptions options;
    options.keys = std::move(keys);
    const auto model = import_model(path.string(), options);
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.status().code(), code) << model.status().message();
    EXPECT_NE(model.status().message().find(part), std::string::npos) << model.status().message();
  }
  static void cut(const std::filesystem::path& file, uintmax_t by) {
    std::filesystem::resize_file(file, std::filesystem::file_size(file) - by);
  }

  std::filesystem::path folder_;
};

TEST_F(Damaged, WhatIsMissingIsNamedWithTheCure) {
  copy("shards");
  std::filesystem::remove(in("variables/variables.data-00001-of-00002"));
  expect_error(in(""), Code::kNotAccessible,
               "variables.data-00001-of-00002 is not there: the variables lie in 2 files like it; "
               "copy the whole folder");
  std::filesystem::remove_all(in("variables"));
  expect_error(in(""), Code::kNotAccessible, "copy the whole folder");
}

TEST_F(Damaged, WhatIsCutOff) {
  copy("functions");
  cut(in("variables/variables.data-00000-of-00001"), 300);
  cut(in("saved_model.pb"), 0);
  expect_error(in(""), Code::kInvalidArgument, "cut off, or of another model");
  cut(in("variables/variables.index"), 1);
  expect_error(in(""), Code::kInvalidArgument, "variables/variables.index: it does not end as");
  cut(in("saved_model.pb"), 5);
  expect_error(in(""), Code::kInvalidArgument, "damaged");
}

TEST_F(Damaged, VariablesOfAnotherModel) {
  copy("functions");
  std::filesystem::remove_all(in("variables"));
  std::filesystem::copy(path_of("graph_resources/variables"), in("variables"));
  expect_error(in(""), Code::kInvalidArgument, "");
}

TEST_F(Damaged, PathsThatStandForTheFolder) {
  copy("cnn");
  for (const std::filesystem::path& path : {folder_, in(""), in("saved_model.pb")}) {
    const auto model = import_model(path.string());
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(model->files.size(), 3u);
  }
  std::filesystem::copy(path_of("functions"), folder_ / "second",
                        std::filesystem::copy_options::recursive);
  expect_error(folder_, Code::kInvalidArgument, "is a folder; no front end reads it", {});
}

TEST_F(Damaged, SignaturesAndTagsAreChosen) {
  copy("functions");
  expect_error(in(""), Code::kUsage, "choose one with --import signature=NAME: project, scale", {});
  expect_error(in(""), Code::kUsage, "no signature 'scales', it has project, scale",
               {{"signature", "scales"}});
  expect_error(in(""), Code::kUsage, "no graph with the tags 'train', it has 'serve'",
               {{"tags", "train"}});
  expect_error(in(""), Code::kUsage, "signatur", {{"signatur", "project"}});
  ImportOptions options;
  options.keys = {{"signature", "scale"}, {"tags", "serve"}};
  const auto model = import_model(in("").string(), options);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->facts.at("signature"), "scale");
  EXPECT_EQ(model->facts.at("signatures"), "project, scale");
  EXPECT_EQ(model->facts.at("tensorflow_version"), "2.18.1");
  EXPECT_EQ(model->graph.inputs.size(), 2u);
  EXPECT_EQ(model->graph.value(model->graph.inputs[0]).type.rank(), 2u);
}

}  // namespace
}  // namespace mnn
