// One case per row of the upgrade table: a model of the old operator set means what it did.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/convert/model_builder.h"

namespace mnn::testing {
namespace {

// Runs a model with one input and one output.
std::vector<float> run_one(const ModelBuilder& model, const Tensor& x,
                           std::vector<int64_t> expected_dims = {}) {
  const auto out = model.run({x});
  EXPECT_TRUE(out.ok()) << out.status().message();
  if (!out.ok()) return {};
  if (!expected_dims.empty()) {
    EXPECT_EQ((*out)[0].dims(), expected_dims);
  }
  const auto values = (*out)[0].to_doubles();
  return std::vector<float>(values->begin(), values->end());
}

// The only node of the graph's nodes with this operator.
const Node* find_node(const Graph& graph, std::string_view op) {
  for (const Node& node : graph.nodes) {
    if (node.op == op) return &node;
  }
  return nullptr;
}

ModelBuilder unary(int64_t opset, const std::string& op, const std::vector<DimText>& dims,
                   const Attrs& attributes = {}, DType out = DType::kF32) {
  ModelBuilder m(opset);
  m.input("x", dims).output("y", out).node(op, {"x"}, {"y"}, attributes);
  return m;
}

using V = std::vector<float>;
using I = std::vector<int64_t>;

TEST(OnnxUpgrade, SliceAttributes) {
  const auto m =
      unary(9, "Slice", {2, 4}, {{"starts", I{1, 0}}, {"ends", I{2, -1}}, {"axes", I{0, 1}}});
  EXPECT_EQ(run_one(m, iota({2, 4}), {1, 3}), (V{4, 5, 6}));
}

TEST(OnnxUpgrade, TopKAttribute) {
  ModelBuilder m(1);
  m.input("x", {4}).output("y").output("i", DType::kI64);
  m.node("TopK", {"x"}, {"y", "i"}, {{"k", int64_t{2}}});
  EXPECT_EQ(run_one(m, floats({4}, {1, 4, 2, 3})), (V{4, 3}));
}

TEST(OnnxUpgrade, UpsampleOfThreeKinds) {
  const V expected = {0, 0, 1, 1, 2, 2, 3, 3};
  EXPECT_EQ(
      run_one(unary(1, "Upsample", {1, 1, 2, 2}, {{"height_scale", 1.0}, {"width_scale", 2.0}}),
              iota({1, 1, 2, 2}), {1, 1, 2, 4}),
      expected);
  EXPECT_EQ(
      run_one(unary(7, "Upsample", {1, 1, 2, 2}, {{"scales", std::vector<double>{1, 1, 1, 2}}}),
              iota({1, 1, 2, 2}), {1, 1, 2, 4}),
      expected);
  ModelBuilder m(9);
  m.input("x", {1, 1, 2, 2}).output("y").init<float>("s", {4}, {1, 1, 1, 2});
  m.node("Upsample", {"x", "s"}, {"y"}, {{"mode", std::string("nearest")}});
  EXPECT_EQ(run_one(m, iota({1, 1, 2, 2}), {1, 1, 2, 4}), expected);
}

TEST(OnnxUpgrade, UpsampleLinearIsAsymmetric) {
  const auto m =
      unary(7, "Upsample", {1, 1, 1, 2},
            {{"scales", std::vector<double>{1, 1, 1, 2}}, {"mode", std::string("linear")}});
  EXPECT_EQ(run_one(m, iota({1, 1, 1, 2})), (V{0, 0.5, 1, 1}));
}

TEST(OnnxUpgrade, ResizeTen) {
  ModelBuilder m(10);
  m.input("x", {1, 1, 1, 4}).output("y").init<float>("s", {4}, {1, 1, 1, 2});
  m.node("Resize", {"x", "s"}, {"y"}, {{"mode", std::string("nearest")}});
  EXPECT_EQ(run_one(m, iota({1, 1, 1, 4})), (V{0, 0, 1, 1, 2, 2, 3, 3}));
  ModelBuilder down(10);
  down.input("x", {1, 1, 1, 4}).output("y").init<float>("s", {4}, {1, 1, 1, 0.6f});
  down.node("Resize", {"x", "s"}, {"y"}, {{"mode", std::string("nearest")}});
  EXPECT_EQ(run_one(down, iota({1, 1, 1, 4})), (V{0, 2}));
}

// Only where the length of an axis matters and is no whole number do others place points elsewhere.
TEST(OnnxUpgrade, ResizeNotesRoundedLengths) {
  auto notes = [](const std::string& mode, const std::string& transform, float scale,
                  const std::vector<DimText>& dims) {
    ModelBuilder m(18);
    m.input("x", dims).output("y").init<float>("s", {3}, {1, 1, scale});
    m.node("Resize", {"x", "", "s"}, {"y"},
           {{"mode", mode}, {"coordinate_transformation_mode", transform}});
    m.last().set_name("up");
    const auto model = m.import();
    EXPECT_TRUE(model.ok()) << model.status().message();
    std::vector<std::string> found;
    for (const Diagnostic& d : model->diagnostics.items()) {
      EXPECT_EQ(d.node, "up");
      found.push_back(d.message);
    }
    return found;
  };
  const std::vector<std::string> fixed = notes("linear", "align_corners", 0.55f, {1, 2, 15});
  ASSERT_EQ(fixed.size(), 1u);
  EXPECT_NE(fixed[0].find("its scale 0.55 of a dimension of 15"), std::string::npos) << fixed[0];
  EXPECT_NE(fixed[0].find("The input sizes"), std::string::npos) << fixed[0];
  EXPECT_EQ(notes("cubic", "align_corners", 1.5f, {1, 2, "n"}).size(), 1u);
  EXPECT_EQ(notes("linear", "align_corners", 0.8f, {1, 2, 15}).size(), 0u);
  EXPECT_EQ(notes("linear", "align_corners", 2.0f, {1, 2, "n"}).size(), 0u);
  EXPECT_EQ(notes("nearest", "align_corners", 0.55f, {1, 2, 15}).size(), 0u);
  EXPECT_EQ(notes("linear", "half_pixel", 0.55f, {1, 2, 15}).size(), 0u);
}

TEST(OnnxUpgrade, ResizeElevenDropsEmptyInputs) {
  ModelBuilder m(11);
  m.input("x", {1, 1, 1, 2}).output("y");
  m.init<float>("none", {0}, {}).init<int64_t>("sizes", {4}, {1, 1, 1, 4});
  m.node("Resize", {"x", "none", "none", "sizes"}, {"y"},
         {{"coordinate_transformation_mode", std::string("asymmetric")},
          {"nearest_mode", std::string("floor")}});
  EXPECT_EQ(run_one(m, iota({1, 1, 1, 2})), (V{0, 0, 1, 1}));
}

TEST(OnnxUpgrade, ResizeElevenHalfPixelForNearest) {
  ModelBuilder m(11);
  m.input("x", {1, 1, 1, 3}).output("y");
  m.init<float>("roi", {0}, {}).init<float>("s", {4}, {1, 1, 1, 2});
  m.node("Resize", {"x", "roi", "s"}, {"y"},
         {{"coordinate_transformation_mode", std::string("tf_half_pixel_for_nn")},
          {"nearest_mode", std::string("floor")}});
  // floor((i + 0.5) / 2)
  EXPECT_EQ(run_one(m, iota({1, 1, 1, 3})), (V{0, 0, 1, 1, 2, 2}));
}

TEST(OnnxUpgrade, ClipAttributes) {
  EXPECT_EQ(run_one(unary(6, "Clip", {4}, {{"min", 1.0}, {"max", 2.0}}), iota({4})),
            (V{1, 1, 2, 2}));
  EXPECT_EQ(run_one(unary(6, "Clip", {4}, {{"max", 1.0}}), iota({4})), (V{0, 1, 1, 1}));
}

TEST(OnnxUpgrade, PadAttributes) {
  EXPECT_EQ(run_one(unary(2, "Pad", {2}, {{"pads", I{1, 2}}, {"value", 5.0}}), iota({2}), {5}),
            (V{5, 0, 1, 5, 5}));
  EXPECT_EQ(run_one(unary(1, "Pad", {2}, {{"paddings", I{1, 0}}}), iota({2}), {3}), (V{0, 0, 1}));
}

TEST(OnnxUpgrade, DropoutIsInference) {
  EXPECT_EQ(run_one(unary(7, "Dropout", {3}, {{"ratio", 0.5}}), iota({3})), (V{0, 1, 2}));
  EXPECT_EQ(run_one(unary(6, "Dropout", {3}, {{"ratio", 0.5}, {"is_test", int64_t{1}}}), iota({3})),
            (V{0, 1, 2}));
  ModelBuilder m(7);
  m.input("x", {2}).output("y").output("mask").node("Dropout", {"x"}, {"y", "mask"});
  const auto out = m.run({iota({2})});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ((*out)[1].dtype(), DType::kF32);
  EXPECT_EQ((*out)[1].data<float>()[0], 1.0f);
}

ModelBuilder batch_norm(int64_t opset, std::vector<int64_t> params, const Attrs& attributes,
                        const std::vector<std::string>& outputs) {
  ModelBuilder m(opset);
  m.input("x", {1, 2, 2}).output("y");
  const auto n = static_cast<size_t>(*checked_elements(params));
  V scale(n), bias(n), mean(n), var(n, 4);
  for (size_t i = 0; i < n; ++i) {
    scale[i] = static_cast<float>(i + 1);
    bias[i] = static_cast<float>(i);
    mean[i] = 1;
  }
  m.init<float>("s", params, scale).init<float>("b", params, bias);
  m.init<float>("m", params, mean).init<float>("v", params, var);
  m.node("BatchNormalization", {"x", "s", "b", "m", "v"}, outputs, attributes);
  return m;
}

TEST(OnnxUpgrade, BatchNormalization) {
  const V expected = {-0.5, 0, 2, 3};
  for (const auto& m :
       {batch_norm(6, {2}, {{"is_test", int64_t{1}}, {"spatial", int64_t{1}}, {"epsilon", 0.0}},
                   {"y"}),
        batch_norm(7, {2}, {{"epsilon", 0.0}}, {"y", "a", "b2", "c", "d"}),
        batch_norm(9, {2}, {{"epsilon", 0.0}}, {"y"}),
        batch_norm(15, {2}, {{"epsilon", 0.0}}, {"y"})}) {
    EXPECT_EQ(run_one(m, iota({1, 2, 2})), expected);
  }
}

TEST(OnnxUpgrade, BatchNormalizationPerElement) {
  const auto m = batch_norm(7, {2, 2}, {{"spatial", int64_t{0}}, {"epsilon", 0.0}}, {"y"});
  EXPECT_EQ(run_one(m, iota({1, 2, 2})), (V{-0.5, 1, 3.5, 7}));
}

TEST(OnnxUpgrade, SqueezeAndUnsqueezeAttributes) {
  EXPECT_EQ(run_one(unary(11, "Squeeze", {1, 2, 1}, {{"axes", I{0}}}), iota({1, 2, 1}), {2, 1}),
            (V{0, 1}));
  EXPECT_EQ(run_one(unary(11, "Unsqueeze", {2}, {{"axes", I{0, -1}}}), iota({2}), {1, 2, 1}),
            (V{0, 1}));
}

TEST(OnnxUpgrade, SplitAttribute) {
  ModelBuilder m(11);
  m.input("x", {4}).output("a").output("b");
  m.node("Split", {"x"}, {"a", "b"}, {{"split", I{1, 3}}});
  EXPECT_EQ(run_one(m, iota({4}), {1}), (V{0}));
  ModelBuilder equal(2);
  equal.input("x", {4}).output("a").output("b").node("Split", {"x"}, {"a", "b"});
  EXPECT_EQ(run_one(equal, iota({4}), {2}), (V{0, 1}));
  ModelBuilder newer(13);
  newer.input("x", {4}).output("a").output("b").node("Split", {"x"}, {"a", "b"});
  EXPECT_EQ(run_one(newer, iota({4}), {2}), (V{0, 1}));
}

TEST(OnnxUpgrade, ReduceAxes) {
  EXPECT_EQ(run_one(unary(11, "ReduceSum", {2, 2}, {{"axes", I{1}}, {"keepdims", int64_t{0}}}),
                    iota({2, 2}), {2}),
            (V{1, 5}));
  for (const char* op : {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1",
                         "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"}) {
    EXPECT_EQ(run_one(unary(13, op, {2, 2}, {{"axes", I{-1}}}), iota({2, 2}), {2, 1}).size(), 2u)
        << op;
    EXPECT_EQ(run_one(unary(11, op, {2, 2}, {{"keepdims", int64_t{0}}}), iota({2, 2})).size(), 1u)
        << op;
  }
}

TEST(OnnxUpgrade, SoftmaxWorkedOnAMatrix) {
  // Axis 1 of [1,2,2]: all four numbers are one row.
  const auto y = run_one(unary(11, "Softmax", {1, 2, 2}), iota({1, 2, 2}), {1, 2, 2});
  ASSERT_EQ(y.size(), 4u);
  float sum = 0;
  for (const float v : y) sum += v;
  EXPECT_NEAR(sum, 1.0f, 1e-6f);
  const auto log = run_one(unary(11, "LogSoftmax", {1, 2, 2}), iota({1, 2, 2}), {1, 2, 2});
  EXPECT_NEAR(std::exp(log[0]) + std::exp(log[1]) + std::exp(log[2]) + std::exp(log[3]), 1.0f,
              1e-6);
  EXPECT_EQ(run_one(unary(11, "Hardmax", {1, 2, 2}), iota({1, 2, 2})), (V{0, 0, 0, 1}));
  const auto plain = unary(11, "Softmax", {2, 2}, {{"axis", int64_t{1}}}).import();
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->graph.nodes.size(), 1u);  // along the last axis both mean the same
  const auto dynamic = run_one(unary(9, "Softmax", {"n", 2, "w"}), iota({1, 2, 2}), {1, 2, 2});
  EXPECT_NEAR(dynamic[0] + dynamic[1] + dynamic[2] + dynamic[3], 1.0f, 1e-6f);
}

TEST(OnnxUpgrade, GemmWithoutAndWithBroadcast) {
  ModelBuilder m(6);
  m.input("x", {1, 2}).output("y").init<float>("w", {2, 1}, {1, 2}).init<float>("c", {1}, {5});
  m.node("Gemm", {"x", "w", "c"}, {"y"}, {{"broadcast", int64_t{1}}});
  EXPECT_EQ(run_one(m, iota({1, 2})), (V{7}));
  ModelBuilder n(11);
  n.input("x", {1, 2}).output("y").init<float>("w", {2, 1}, {1, 2});
  n.node("Gemm", {"x", "w"}, {"y"});
  EXPECT_EQ(run_one(n, iota({1, 2})), (V{2}));
}

TEST(OnnxUpgrade, ReshapeAttributeAndZeroCopies) {
  EXPECT_EQ(
      run_one(unary(1, "Reshape", {2, 3}, {{"shape", I{3, -1}}}), iota({2, 3}), {3, 2}).size(), 6u);
  ModelBuilder m(13);
  m.input("x", {2, 3}).output("y").init<int64_t>("s", {2}, {0, 3});
  m.node("Reshape", {"x", "s"}, {"y"});
  EXPECT_EQ(run_one(m, iota({2, 3}), {2, 3}).size(), 6u);
}

TEST(OnnxUpgrade, BroadcastAlongAnAxis) {
  ModelBuilder m(6);
  m.input("x", {1, 2, 2}).output("y").init<float>("b", {2}, {10, 20});
  m.node("Add", {"x", "b"}, {"y"}, {{"broadcast", int64_t{1}}, {"axis", int64_t{1}}});
  EXPECT_EQ(run_one(m, iota({1, 2, 2})), (V{10, 11, 22, 23}));
  ModelBuilder suffix(6);
  suffix.input("x", {2, 2}).output("y").init<float>("b", {2}, {10, 20});
  suffix.node("Mul", {"x", "b"}, {"y"}, {{"broadcast", int64_t{1}}});
  EXPECT_EQ(run_one(suffix, iota({2, 2})), (V{0, 20, 20, 60}));
}

TEST(OnnxUpgrade, PReluSlopePerChannel) {
  ModelBuilder m(6);
  m.input("x", {1, 2, 2}).output("y").init<float>("s", {2}, {10, 20});
  m.node("PRelu", {"x", "s"}, {"y"});
  EXPECT_EQ(run_one(m, floats({1, 2, 2}, {-1, 1, -1, 1})), (V{-10, 1, -20, 1}));
}

TEST(OnnxUpgrade, CastByName) {
  const auto m = unary(1, "Cast", {2}, {{"to", std::string("INT32")}}, DType::kI32);
  EXPECT_EQ(run_one(m, floats({2}, {1.5f, -2.5f})), (V{1, -2}));
}

TEST(OnnxUpgrade, ConcatDefaultAxis) {
  ModelBuilder m(1);
  m.input("x", {2, 1}).output("y").node("Concat", {"x", "x"}, {"y"});
  EXPECT_EQ(run_one(m, iota({2, 1}), {2, 2}), (V{0, 0, 1, 1}));
}

TEST(OnnxUpgrade, ConsumedInputsMeanNothing) {
  EXPECT_EQ(run_one(unary(1, "Relu", {2}, {{"consumed_inputs", I{0}}}), floats({2}, {-1, 1})),
            (V{0, 1}));
}

TEST(OnnxUpgrade, SeluDefaults) {
  EXPECT_FLOAT_EQ(run_one(unary(1, "Selu", {1}), floats({1}, {1}))[0], 1.0507f);
}

TEST(OnnxUpgrade, TileWithAxis) {
  ModelBuilder m(1);
  m.input("x", {1, 2}).output("y").init<int64_t>("t", {1}, {2}).init<int64_t>("a", {1}, {1});
  m.node("Tile", {"x", "t", "a"}, {"y"});
  EXPECT_EQ(run_one(m, iota({1, 2}), {1, 4}), (V{0, 1, 0, 1}));
}

TEST(OnnxUpgrade, ScatterIsScatterElements) {
  ModelBuilder m(9);
  m.input("x", {3}).output("y").init<int64_t>("i", {1}, {1}).init<float>("u", {1}, {9});
  m.node("Scatter", {"x", "i", "u"}, {"y"});
  EXPECT_EQ(run_one(m, iota({3})), (V{0, 9, 2}));
}

TEST(OnnxUpgrade, GroupNormalizationPerGroup) {
  for (const bool dynamic : {false, true}) {
    ModelBuilder m(18);
    m.input("x", {1, dynamic ? DimText("c") : DimText(4), 2}).output("y");
    m.init<float>("s", {2}, {1, 10}).init<float>("b", {2}, {0, 100});
    m.node("GroupNormalization", {"x", "s", "b"}, {"y"}, {{"num_groups", int64_t{2}}});
    const auto y = run_one(m, iota({1, 4, 2}), {1, 4, 2});
    ASSERT_EQ(y.size(), 8u);
    EXPECT_NEAR(y[0], -1.34164f, 1e-4f);
    EXPECT_NEAR(y[4], 100 - 13.4164f, 1e-3f);
    EXPECT_NEAR(y[7], 100 + 13.4164f, 1e-3f);
  }
}

TEST(OnnxUpgrade, RoiAlignDefaultMode) {
  for (const int64_t opset : {10, 16}) {
    ModelBuilder m(opset);
    m.input("x", {1, 1, 4, 4}).output("y");
    m.init<float>("r", {1, 4}, {0, 0, 3, 3}).init<int64_t>("b", {1}, {0});
    m.node("RoiAlign", {"x", "r", "b"}, {"y"});
    const auto imported = m.import();
    ASSERT_TRUE(imported.ok()) << imported.status().message();
    const Node* node = find_node(imported->graph, "RoiAlign");
    ASSERT_NE(node, nullptr);
    EXPECT_EQ(node->attributes.contains("coordinate_transformation_mode"), opset == 10);
  }
}

TEST(OnnxUpgrade, GridSampleModeNames) {
  ModelBuilder m(16);
  m.input("x", {1, 1, 2, 2}).input("g", {1, 1, 1, 2}).output("y");
  m.node("GridSample", {"x", "g"}, {"y"}, {{"mode", std::string("bicubic")}});
  const auto imported = m.import();
  ASSERT_TRUE(imported.ok()) << imported.status().message();
  EXPECT_EQ(std::get<std::string>(imported->graph.nodes[0].attributes.at("mode")), "cubic");
}

TEST(OnnxUpgrade, DftAxisAttribute) {
  const auto m = unary(17, "DFT", {1, 4, 1}, {{"axis", int64_t{1}}});
  const auto imported = m.import();
  ASSERT_TRUE(imported.ok()) << imported.status().message();
  const Node& node = imported->graph.nodes[0];
  ASSERT_EQ(node.inputs.size(), 3u);
  EXPECT_EQ(imported->graph.constant(node.inputs[2])->data<int64_t>()[0], 1);
}

TEST(OnnxUpgrade, LpPoolPowerWasAFloat) {
  const auto m = unary(1, "GlobalLpPool", {1, 1, 2}, {{"p", 2.0}});
  const auto imported = m.import();
  ASSERT_TRUE(imported.ok()) << imported.status().message();
  EXPECT_FLOAT_EQ(run_one(m, floats({1, 1, 2}, {3, 4}))[0], 5.0f);
}

TEST(OnnxUpgrade, ScanWithABatchAxis) {
  ModelBuilder m(8);
  m.input("s", {2, 1}).input("x", {2, 3, 1}).output("last").output("sums");
  m.node("Scan", {"", "s", "x"}, {"last", "sums"}, {{"num_scan_inputs", int64_t{1}}});
  onnx::GraphProto& body = set_graph(m.last(), "body");
  set_value(*body.add_input(), "a", DType::kF32, {1});
  set_value(*body.add_input(), "b", DType::kF32, {1});
  set_value(*body.add_output(), "c", DType::kF32, {1});
  set_value(*body.add_output(), "d", DType::kF32, {1});
  *body.add_node() = make_node("Add", {"a", "b"}, {"c"});
  *body.add_node() = make_node("Identity", {"c"}, {"d"});
  const auto out = m.run({floats({2, 1}, {0, 100}), iota({2, 3, 1})});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ(*(*out)[0].to_doubles(), (std::vector<double>{3, 112}));
  EXPECT_EQ((*out)[1].dims(), (I{2, 3, 1}));
  EXPECT_EQ(*(*out)[1].to_doubles(), (std::vector<double>{0, 1, 3, 103, 107, 112}));
}

TEST(OnnxUpgrade, ExperimentalOperators) {
  ModelBuilder fill(1);
  fill.output("y").init<int64_t>("s", {2}, {1, 2});
  fill.node("ConstantFill", {"s"}, {"y"}, {{"value", 3.0}, {"input_as_shape", int64_t{1}}});
  const auto out = fill.run({});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ(*(*out)[0].to_doubles(), (std::vector<double>{3, 3}));
  ModelBuilder slice(9);
  slice.input("x", {4}).output("y").init<int64_t>("a", {1}, {1}).init<int64_t>("b", {1}, {3});
  slice.node("DynamicSlice", {"x", "a", "b"}, {"y"});
  EXPECT_EQ(run_one(slice, iota({4})), (V{1, 2}));
}

}  // namespace
}  // namespace mnn::testing
