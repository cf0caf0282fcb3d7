// The border, sub-graphs and variables of TensorFlow Lite models.
#include <flatbuffers/flexbuffers.h>
#include <gtest/gtest.h>

#include "libruntime/core/builder.h"
#include "libruntime/core/op.h"
#include "tests/convert/tflite_builder.h"

namespace mnn::testing {
namespace {

constexpr int8_t kF32 = 0, kI32 = 2, kBool = 6, kI8 = 9, kResource = 13;
constexpr int kAdd = 0, kMul = 18, kLess = 58, kIf = 118, kWhile = 119, kCallOnce = 129,
              kVarHandle = 142, kRead = 143, kAssign = 144, kCustom = 32;

Tensor floats(std::vector<int64_t> dims, std::vector<float> values) {
  return Tensor::of<float>(std::move(dims), values);
}

std::vector<double> numbers(const Tensor& t) {
  const auto values = t.to_doubles();
  return values.ok() ? *values : std::vector<double>{};
}

// y = x + 1
TfModel plus_one(std::vector<int32_t> signature = {}) {
  TfGraph g;
  const int32_t x = g.add({.name = "serving_default_x:0", .dims = {1, 2}, .signature = signature});
  const int32_t one = g.add({.name = "one", .dims = {1}, .data = raw<float>({1})});
  const int32_t y =
      g.add({.name = "StatefulPartitionedCall:0", .dims = {1, 2}, .signature = signature});
  g.inputs = {x};
  g.outputs = {y};
  g.operators = {{.code = kAdd, .inputs = {x, one}, .outputs = {y}}};
  return {{g}};
}

TEST(TfliteImport, BorderKeepsNamesAndOpenDims) {
  const auto model = plus_one({-1, 2}).import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  const Graph& g = model->graph;
  ASSERT_EQ(g.inputs.size(), 1u);
  EXPECT_EQ(g.value(g.inputs[0]).name, "serving_default_x:0");
  EXPECT_EQ(g.value(g.outputs[0]).name, "StatefulPartitionedCall:0");
  EXPECT_FALSE((*g.value(g.inputs[0]).type.shape)[0].known());
  EXPECT_TRUE((*g.value(g.inputs[0]).type.shape)[1].is(2));
  ImportOptions options;
  options.shapes["serving_default_x:0"] = {3, 2};
  const auto bound = plus_one({-1, 2}).import(options);
  ASSERT_TRUE(bound.ok()) << bound.status().message();
  EXPECT_EQ(bound->graph.value(bound->graph.outputs[0]).type.str(), "f32[3,2]");
}

TEST(TfliteImport, Signatures) {
  TfModel m = plus_one();
  m.signatures = {{"serve", {{"x", 0}}, {{"y", 2}}, 0}};
  ImportOptions options;
  options.keys["signature"] = "serve";
  const auto model = m.import(options);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.value(model->graph.inputs[0]).name, "x");
  EXPECT_EQ(model->graph.value(model->graph.outputs[0]).name, "y");
  EXPECT_EQ(model->facts.at("signatures"), "serve");
  options.keys["signature"] = "train";
  const auto none = m.import(options);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.status().code(), Code::kUsage);
  EXPECT_NE(none.status().message().find("it has serve"), std::string::npos);
}

TEST(TfliteImport, NamesEveryUnsupportedOperator) {
  TfModel m = plus_one();
  TfGraph& g = m.graphs[0];
  const int32_t a = g.add({.name = "a", .dims = {1, 2}}), b = g.add({.name = "b", .dims = {1, 2}});
  const int32_t c = g.add({.name = "c", .dims = {1, 2}});
  g.operators.push_back({.code = 15, .inputs = {2}, .outputs = {a}});
  g.operators.push_back({.code = kCustom, .inputs = {2}, .outputs = {b}, .custom = "Landmarks"});
  g.operators.push_back({.code = kCustom, .inputs = {2}, .outputs = {c}, .custom = "FlexErf"});
  g.outputs = {a, b, c};
  const auto model = m.import();
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), Code::kUnsupported);
  for (const char* part :
       {"LSH_PROJECTION", "custom operator Landmarks", "TensorFlow operator Erf"}) {
    EXPECT_NE(model.status().message().find(part), std::string::npos) << model.status().message();
  }
}

// Sub-graph: (x, limit) -> x op operand
TfGraph body(int code, int8_t out, bool carry) {
  TfGraph g;
  const int32_t x = g.add({.name = "x", .dims = {}}), limit = g.add({.name = "limit", .dims = {}});
  const int32_t two = g.add({.name = "two", .dims = {}, .data = raw<float>({2})});
  const int32_t y = g.add({.name = "y", .type = out, .dims = {}});
  g.inputs = {x, limit};
  g.outputs = {y};
  g.operators = {{.code = code, .inputs = {x, code == kLess ? limit : two}, .outputs = {y}}};
  if (carry) g.outputs.push_back(limit);
  return g;
}

TEST(TfliteImport, While) {
  TfGraph g;
  const int32_t x = g.add({.name = "x", .dims = {}}), limit = g.add({.name = "limit", .dims = {}});
  const int32_t y = g.add({.name = "y", .dims = {}}), rest = g.add({.name = "rest", .dims = {}});
  g.inputs = {x, limit};
  g.outputs = {y};
  g.operators = {{.code = kWhile,
                  .inputs = {x, limit},
                  .outputs = {y, rest},
                  .kind = 93,
                  .options = {{0, "i32", "1"}, {1, "i32", "2"}}}};
  TfModel m{{g, body(kLess, kBool, false), body(kMul, kF32, true)}};
  auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  for (const float start : {1.0f, 50.0f}) {
    const auto out =
        run_reference(model->graph, std::vector{floats({}, {start}), floats({}, {10})});
    ASSERT_TRUE(out.ok()) << out.status().message();
    EXPECT_EQ(numbers((*out)[0]), std::vector<double>{start < 10 ? 16.0 : 50.0});
  }
  // A sub-graph that calls itself has no end.
  m.graphs[2].operators.push_back(g.operators[0]);
  m.graphs[2].operators.back().inputs = {0, 1};
  m.graphs[2].operators.back().outputs = {3, 1};
  const auto endless = m.import();
  ASSERT_FALSE(endless.ok());
  EXPECT_NE(endless.status().message().find("calls itself"), std::string::npos);
}

TEST(TfliteImport, If) {
  TfGraph g;
  const int32_t c = g.add({.name = "c", .type = kBool, .dims = {}});
  const int32_t x = g.add({.name = "x", .dims = {}}), limit = g.add({.name = "limit", .dims = {}});
  const int32_t y = g.add({.name = "y", .dims = {}});
  g.inputs = {c, x, limit};
  g.outputs = {y};
  g.operators = {{.code = kIf,
                  .inputs = {c, x, limit},
                  .outputs = {y},
                  .kind = 92,
                  .options = {{0, "i32", "1"}, {1, "i32", "2"}}}};
  const auto model = TfModel{{g, body(kAdd, kF32, false), body(kMul, kF32, false)}}.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  for (const bool taken : {true, false}) {
    const auto out = run_reference(
        model->graph, std::vector{Tensor::scalar(taken), floats({}, {5}), floats({}, {0})});
    ASSERT_TRUE(out.ok()) << out.status().message();
    EXPECT_EQ(numbers((*out)[0]), std::vector<double>{taken ? 7.0 : 10.0});
  }
}

// CALL_ONCE assigns 3; each run hands the content out and adds x to it.
TEST(TfliteImport, VariablesAreStates) {
  TfGraph g, init;
  const int32_t x = g.add({.name = "x", .dims = {1}});
  const int32_t h = g.add({.name = "h", .type = kResource, .dims = {}});
  const int32_t old = g.add({.name = "old", .dims = {1}}),
                now = g.add({.name = "now", .dims = {1}});
  const TfOperator handle = {
      .code = kVarHandle, .outputs = {h}, .kind = 111, .options = {{1, "text", "total"}}};
  g.inputs = {x};
  g.outputs = {old};
  g.operators = {{.code = kCallOnce, .kind = 103, .options = {{0, "i32", "1"}}},
                 handle,
                 {.code = kRead, .inputs = {h}, .outputs = {old}},
                 {.code = kAdd, .inputs = {old, x}, .outputs = {now}},
                 {.code = kAssign, .inputs = {h, now}}};
  const int32_t three = init.add({.name = "three", .dims = {1}, .data = raw<float>({3})});
  const int32_t inside = init.add({.name = "h", .type = kResource, .dims = {}});
  init.operators = {handle, {.code = kAssign, .inputs = {inside, three}}};
  init.operators[0].outputs = {inside};
  const auto model = TfModel{{g, init}}.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_EQ(model->graph.updates.size(), 1u);
  const Value& state = model->graph.value(model->graph.updates[0].state);
  EXPECT_EQ(state.kind, ValueKind::kState);
  EXPECT_EQ(numbers(state.data), std::vector<double>{3});
  EXPECT_EQ(state.name, "state_total");
}

// What Keras' recurrent layers become when their weights are not frozen.
TEST(TfliteImport, VariablesOfALoopThatHoldNothing) {
  TfGraph g;
  const int32_t x = g.add({.name = "x", .dims = {}});
  const int32_t h = g.add({.name = "h", .type = kResource, .dims = {}});
  const int32_t y = g.add({.name = "y", .dims = {}}), rest = g.add({.name = "rest", .dims = {}});
  g.inputs = {x};
  g.outputs = {y};
  g.operators = {
      {.code = kVarHandle, .outputs = {h}, .kind = 111, .options = {{1, "text", "kernel"}}},
      {.code = kWhile,
       .inputs = {x, h},
       .outputs = {y, rest},
       .kind = 93,
       .options = {{0, "i32", "1"}, {1, "i32", "2"}}}};
  const auto model = TfModel{{g, body(kLess, kBool, false), body(kMul, kF32, true)}}.import();
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), Code::kInvalidArgument);
  EXPECT_NE(model.status().message().find("variable kernel is read, but the file neither "
                                          "initializes nor assigns it"),
            std::string::npos)
      << model.status().message();
}

TEST(TfliteImport, QuantizedBorderKeepsItsCodes) {
  TfGraph g;
  TfTensor t{.name = "x", .type = kI8, .dims = {2}, .scales = {0.5f}, .zeros = {-3}};
  const int32_t x = g.add(t);
  t.name = "y";
  t.zeros = {1};
  const int32_t y = g.add(t);
  g.inputs = {x};
  g.outputs = {y};
  g.operators = {{.code = 114, .inputs = {x}, .outputs = {y}}};
  const auto model = TfModel{{g}}.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  const Graph& graph = model->graph;
  EXPECT_EQ(graph.value(graph.inputs[0]).type.str(), "i8[2]");
  EXPECT_EQ(graph.value(graph.outputs[0]).type.str(), "i8[2]");
  EXPECT_EQ(graph.value(graph.outputs[0]).name, "y");
  const std::vector<int8_t> codes = {-128, 100};
  const auto out = run_reference(graph, std::vector{Tensor::of<int8_t>({2}, codes)});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ(numbers((*out)[0]), (std::vector<double>{-124, 104}));
}

// One row per graph: custom operators of MediaPipe and of detection models.
TfModel custom(const std::string& name, std::vector<TfTensor> inputs, std::vector<TfTensor> outputs,
               const std::string& options) {
  TfGraph g;
  TfOperator op{.code = kCustom, .custom = name, .custom_options = options};
  for (TfTensor& t : inputs) {
    const bool constant = !t.data.empty();
    op.inputs.push_back(g.add(std::move(t)));
    if (!constant) g.inputs.push_back(op.inputs.back());
  }
  for (TfTensor& t : outputs) op.outputs.push_back(g.add(std::move(t)));
  g.outputs = op.outputs;
  g.operators = {op};
  return {{g}};
}

TEST(TfliteImport, CustomUnpoolingUndoesPooling) {
  const std::string window = raw<int32_t>({1, 2, 2, 2, 2});
  const TfTensor x{.name = "x", .dims = {1, 2, 4, 1}}, y{.name = "y", .dims = {1, 1, 2, 1}},
      at{.name = "at", .dims = {1, 1, 2, 1}};
  const auto pool = custom("MaxPoolingWithArgmax2D", {x}, {y, at}, window).import();
  ASSERT_TRUE(pool.ok()) << pool.status().message();
  const auto top =
      run_reference(pool->graph, std::vector{floats({1, 2, 4, 1}, {1, 2, 8, 4, 5, 6, 7, 3})});
  ASSERT_TRUE(top.ok()) << top.status().message();
  EXPECT_EQ(numbers((*top)[0]), (std::vector<double>{6, 8}));
  EXPECT_EQ(numbers((*top)[1]), (std::vector<double>{3, 0}));
  const auto back = custom("MaxUnpooling2D", {y, at}, {x}, window).import();
  ASSERT_TRUE(back.ok()) << back.status().message();
  const auto out = run_reference(back->graph, *top);
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ(numbers((*out)[0]), (std::vector<double>{0, 0, 8, 0, 0, 6, 0, 0}));
}

TEST(TfliteImport, CustomTransposeConvWithBias) {
  const TfTensor x{.name = "x", .dims = {1, 1, 2, 1}}, y{.name = "y", .dims = {1, 2, 4, 1}},
      w{.name = "w", .dims = {1, 2, 2, 1}, .data = raw<float>({1, 2, 3, 4})},
      b{.name = "b", .dims = {1}, .data = raw<float>({10})};
  const auto model =
      custom("Convolution2DTransposeBias", {x, w, b}, {y}, raw<int32_t>({1, 2, 2})).import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto out = run_reference(model->graph, std::vector{floats({1, 1, 2, 1}, {1, 2})});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ(numbers((*out)[0]), (std::vector<double>{11, 12, 12, 14, 13, 14, 16, 18}));
}

TEST(TfliteImport, DetectionKeepsTheBestOfEachPlace) {
  flexbuffers::Builder options;
  options.Map([&] {
    options.Int("max_detections", 3);
    options.Int("max_classes_per_detection", 1);
    options.Int("num_classes", 2);
    options.Float("nms_score_threshold", 0.5f);
    options.Float("nms_iou_threshold", 0.5f);
    for (const char* s : {"y_scale", "x_scale", "h_scale", "w_scale"}) options.Float(s, 1);
  });
  options.Finish();
  const auto& o = options.GetBuffer();
  const TfTensor boxes{.name = "boxes", .dims = {1, 3, 4}},
      scores{.name = "scores", .dims = {1, 3, 3}},
      anchors{.name = "anchors",
              .dims = {3, 4},
              .data = raw<float>({0.5, 0.5, 1, 1, 0.5, 0.6, 1, 1, 5, 5, 2, 2})};
  const TfTensor a{.name = "a", .dims = {1, 3, 4}}, b{.name = "b", .dims = {1, 3}},
      c{.name = "c", .dims = {1, 3}}, d{.name = "d", .dims = {1}};
  const auto model = custom("TFLite_Detection_PostProcess", {boxes, scores, anchors}, {a, b, c, d},
                            std::string(o.begin(), o.end()))
                         .import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto out = run_reference(
      model->graph,
      std::vector{floats({1, 3, 4}, std::vector<float>(12, 0)),
                  floats({1, 3, 3}, {0, 0.75f, 0.25f, 0, 0.5f, 0.875f, 0, 0.625f, 0.25f})});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ(numbers((*out)[1]), (std::vector<double>{1, 0, 0}));
  EXPECT_EQ(numbers((*out)[2]), (std::vector<double>{0.875, 0.625, 0}));
  EXPECT_EQ(numbers((*out)[3]), std::vector<double>{2});
  const std::vector<double> places = numbers((*out)[0]);
  EXPECT_EQ(std::vector<double>(places.begin() + 4, places.begin() + 8),
            (std::vector<double>{4, 4, 6, 6}));
}

// What runs of a graph: operators with what is fused into them, without the one that turns the
// input.
std::vector<std::string> plan(const Graph& g) {
  std::vector<std::string> steps;
  for (const Node& node : g.nodes) {
    std::string step = node.op;
    for (const FusedOp& f : node.fused) step += "+" + f.op;
    const bool turns = node.op == "Transpose" && node.inputs[0] == g.inputs[0];
    if (!turns) steps.push_back(step);
  }
  return steps;
}

// A small MobileNet: strided, depthwise and pointwise convolutions, a residual, padding by hand,
// a gate, the mean and a classifier; in both layouts the same runs.
TEST(TfliteImport, TheSamePlanAsWithChannelsFirst) {
  TfGraph g;
  const auto conv = [&](int32_t x, int code, std::vector<int32_t> filter, std::vector<int32_t> out,
                        int stride, bool same, int activation) {
    size_t n = 1;
    for (const int32_t d : filter) n *= static_cast<size_t>(d);
    std::vector<float> weights(n);
    for (size_t i = 0; i < n; ++i) weights[i] = static_cast<float>(i % 7) * 0.1f - 0.3f;
    const auto channels = static_cast<size_t>(out[3]);
    const int32_t w = g.add({.dims = filter, .data = raw(weights)});
    const int32_t b = g.add({.dims = {out[3]}, .data = raw(std::vector<float>(channels, 0.5f))});
    const int32_t y = g.add({.dims = out});
    const std::string s = std::to_string(stride), a = std::to_string(activation);
    const std::string pad = same ? "0" : "1";
    TfOperator op{.code = code, .inputs = {x, w, b}, .outputs = {y}, .kind = code == 3 ? 1 : 2};
    op.options = {{0, "i8", pad}, {1, "i32", s}, {2, "i32", s}};
    if (code == 3) {
      op.options.push_back({3, "i8", a});
    } else {
      op.options.push_back({3, "i32", "1"});
      op.options.push_back({4, "i8", a});
    }
    g.operators.push_back(op);
    return y;
  };
  const int32_t x = g.add({.name = "x", .dims = {1, 8, 8, 3}});
  const int32_t a = conv(x, 3, {8, 3, 3, 3}, {1, 4, 4, 8}, 2, true, 3);
  const int32_t b = conv(a, 4, {1, 3, 3, 8}, {1, 4, 4, 8}, 1, true, 3);
  const int32_t c = conv(b, 3, {8, 1, 1, 8}, {1, 4, 4, 8}, 1, true, 0);
  const int32_t sum = g.add({.dims = {1, 4, 4, 8}});
  g.operators.push_back({.code = kAdd, .inputs = {a, c}, .outputs = {sum}});
  const int32_t pads =
      g.add({.type = kI32, .dims = {4, 2}, .data = raw<int32_t>({0, 0, 1, 1, 1, 1, 0, 0})});
  const int32_t wide = g.add({.dims = {1, 6, 6, 8}});
  g.operators.push_back({.code = 34, .inputs = {sum, pads}, .outputs = {wide}});
  const int32_t d = conv(wide, 4, {1, 3, 3, 8}, {1, 2, 2, 8}, 2, false, 0);
  const int32_t gate = g.add({.dims = {1, 2, 2, 8}}), gated = g.add({.dims = {1, 2, 2, 8}});
  g.operators.push_back({.code = 14, .inputs = {d}, .outputs = {gate}});
  g.operators.push_back({.code = kMul, .inputs = {d, gate}, .outputs = {gated}});
  const int32_t axes = g.add({.type = kI32, .dims = {2}, .data = raw<int32_t>({1, 2})});
  const int32_t mean = g.add({.dims = {1, 8}}), y = g.add({.name = "y", .dims = {1, 2}});
  g.operators.push_back({.code = 40, .inputs = {gated, axes}, .outputs = {mean}});
  const int32_t w = g.add({.dims = {2, 8}, .data = raw(std::vector<float>(16, 0.25f))});
  g.operators.push_back({.code = 9, .inputs = {mean, w, -1}, .outputs = {y}});
  g.inputs = {x};
  g.outputs = {y};
  auto nhwc = TfModel{{g}}.import();
  ASSERT_TRUE(nhwc.ok()) << nhwc.status().message();

  Graph twin;
  Builder t(twin);
  const auto filled = [&](std::vector<int64_t> dims) {
    return t.constant(
        floats(dims, std::vector<float>(static_cast<size_t>(*checked_elements(dims)), 0.25f)));
  };
  using Ints = std::vector<int64_t>;
  const auto clip = [&](ValueId v) { return t.op("Clip", {v, t.scalar(0.0f), t.scalar(6.0f)}); };
  const ValueId in = twin.add_input("x", tensor_type(DType::kF32, {1, 3, 8, 8}));
  const ValueId ta = clip(t.op("Conv", {in, filled({8, 3, 3, 3}), filled({8})},
                               {{"strides", Ints{2, 2}}, {"pads", Ints{0, 0, 1, 1}}}));
  const ValueId tb = clip(t.op("Conv", {ta, filled({8, 1, 3, 3}), filled({8})},
                               {{"pads", Ints{1, 1, 1, 1}}, {"group", int64_t{8}}}));
  const ValueId tc = t.op("Conv", {tb, filled({8, 8, 1, 1}), filled({8})});
  const ValueId td =
      t.op("Conv", {t.op("Add", {ta, tc}), filled({8, 1, 3, 3}), filled({8})},
           {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}, {"group", int64_t{8}}});
  const ValueId te = t.op("Mul", {td, t.op("Sigmoid", {td})});
  const ValueId pooled = t.op("Flatten", {t.op("GlobalAveragePool", {te})});
  twin.outputs = {t.op("Gemm", {pooled, filled({2, 8})}, {{"transB", int64_t{1}}})};
  twin.value(twin.outputs[0]).name = "y";
  ASSERT_TRUE(optimize(nhwc->graph).ok());
  ASSERT_TRUE(optimize(twin).ok());
  std::vector<std::string> found = plan(nhwc->graph), expected = plan(twin);
  // Views of the pooled vector are no steps.
  const auto is_view = [](const std::string& s) {
    return s == "Flatten" || s == "Squeeze" || s == "Reshape";
  };
  std::erase_if(found, is_view);
  std::erase_if(expected, is_view);
  EXPECT_EQ(found, expected);
}

}  // namespace
}  // namespace mnn::testing
