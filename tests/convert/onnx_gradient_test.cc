// Gradient of ai.onnx.preview.training: which values it means, and what it refuses.
#include <gtest/gtest.h>

#include "tests/convert/model_builder.h"

namespace mnn::testing {
namespace {

using Names = std::vector<std::string>;

ModelBuilder model_of(const std::vector<std::string>& inputs) {
  ModelBuilder m(17);
  m.import_opset("ai.onnx.preview.training", 1);
  for (const std::string& name : inputs) m.input(name, {2});
  return m;
}

void add_gradient(ModelBuilder& m, const Names& inputs, const Names& outputs, const Names& xs,
                  const std::string& y, const Names& zs = {}) {
  Attrs attributes = {{"xs", xs}, {"y", y}};
  if (!zs.empty()) attributes.emplace_back("zs", zs);
  m.node("Gradient", inputs, outputs, attributes);
  m.last().set_domain("ai.onnx.preview.training");
}

std::vector<float> numbers(const Tensor& t) { return {t.data<float>(), t.data<float>() + 2}; }

Tensor two(float a, float b) {
  const float v[] = {a, b};
  return Tensor::of<float>({2}, v);
}

TEST(OnnxGradient, OfAProductAndASum) {
  ModelBuilder m = model_of({"a", "b"});
  m.node("Mul", {"a", "b"}, {"p"}).node("Add", {"p", "a"}, {"y"}).output("y");
  add_gradient(m, {"a", "b"}, {"da", "db"}, {"a", "b"}, "y");
  m.output("da").output("db");
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  const Tensor feeds[] = {two(2, 3), two(5, -1)};
  const auto made = run_reference(model->graph, feeds);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(numbers((*made)[1]), (std::vector<float>{6, 0}));
  EXPECT_EQ(numbers((*made)[2]), (std::vector<float>{2, 3}));
}

TEST(OnnxGradient, OfAGradient) {
  ModelBuilder m = model_of({"x"});
  m.node("Mul", {"x", "x"}, {"s"}).node("Mul", {"s", "x"}, {"y"});
  add_gradient(m, {"x"}, {"first"}, {"x"}, "y");
  add_gradient(m, {"x"}, {"second"}, {"x"}, "first");
  m.output("first").output("second");
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  const Tensor feeds[] = {two(2, -3)};
  const auto made = run_reference(model->graph, feeds);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(numbers((*made)[0]), (std::vector<float>{12, 27}));
  EXPECT_EQ(numbers((*made)[1]), (std::vector<float>{12, -18}));
}

TEST(OnnxGradient, AtOtherValues) {
  // y = x z, at x = u and z = v.
  ModelBuilder m = model_of({"x", "z", "u", "v"});
  m.node("Mul", {"x", "z"}, {"p"}).node("Mul", {"p", "x"}, {"y"}).output("y");
  add_gradient(m, {"u", "v"}, {"du"}, {"x"}, "y", {"z"});
  m.output("du");
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  const Tensor feeds[] = {two(1, 1), two(1, 1), two(2, 3), two(5, 7)};
  const auto made = run_reference(model->graph, feeds);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(numbers((*made)[0]), (std::vector<float>{1, 1}));
  EXPECT_EQ(numbers((*made)[1]), (std::vector<float>{20, 42}));
}

TEST(OnnxGradient, OfWhatDoesNotDependOnIt) {
  ModelBuilder m = model_of({"a", "b"});
  m.node("Mul", {"a", "a"}, {"y"}).output("y");
  add_gradient(m, {"b"}, {"db"}, {"b"}, "y");
  m.output("db");
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  const Tensor feeds[] = {two(2, 3), two(5, -1)};
  const auto made = run_reference(model->graph, feeds);
  ASSERT_TRUE(made.ok()) << made.status().message();
  EXPECT_EQ(numbers((*made)[1]), (std::vector<float>{0, 0}));
}

TEST(OnnxGradient, StandsBeforeWhatItSpeaksOf) {
  ModelBuilder m = model_of({"a"});
  add_gradient(m, {"a"}, {"da"}, {"a"}, "y");
  m.node("Mul", {"a", "a"}, {"y"}).output("da");
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
}

TEST(OnnxGradient, NamesTheOperatorThatHasNone) {
  ModelBuilder m = model_of({"a"});
  m.init<int64_t>("shape", {3}, {1, 2, 1});
  m.node("Reshape", {"a", "shape"}, {"q"}).node("DFT", {"q"}, {"y"});
  add_gradient(m, {"a"}, {"da"}, {"a"}, "y");
  m.output("da");
  const auto model = m.import();
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), Code::kUnsupported);
  EXPECT_NE(model.status().message().find("(DFT): the operator has no derivative"),
            std::string::npos)
      << model.status().message();
}

TEST(OnnxGradient, NeedsAnInputForEachName) {
  ModelBuilder m = model_of({"a", "b"});
  m.node("Mul", {"a", "b"}, {"y"});
  add_gradient(m, {"a"}, {"da"}, {"a", "b"}, "y");
  m.output("da");
  const auto model = m.import();
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.status().message().find(
                "expected an input for each of xs and zs and an output for each of xs"),
            std::string::npos)
      << model.status().message();
}

TEST(OnnxGradient, IsBoundedInNumber) {
  ModelBuilder m = model_of({"x"});
  m.node("Mul", {"x", "x"}, {"g0"});
  for (int i = 0; i < 70; ++i) {
    add_gradient(m, {"x"}, {"g" + std::to_string(i + 1)}, {"x"}, "g0");
    m.output("g" + std::to_string(i + 1));
  }
  const auto model = m.import();
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), Code::kLimit);
}

}  // namespace
}  // namespace mnn::testing
