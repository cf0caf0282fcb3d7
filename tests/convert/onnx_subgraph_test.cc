// Sub-graphs with captures, and model-local functions.
#include <gtest/gtest.h>

#include "tests/convert/model_builder.h"

namespace mnn::testing {
namespace {

using D = std::vector<double>;

void branch(onnx::GraphProto& g, const std::string& op, const std::vector<std::string>& inputs) {
  g.set_name(op);
  set_value(*g.add_output(), "t", DType::kF32, {2});
  *g.add_node() = make_node(op, inputs, {"t"});
}

ModelBuilder if_model() {
  ModelBuilder m(16);
  m.input("c", {}, DType::kBool).input("x", {2}).output("y").init<float>("k", {2}, {10, 20});
  m.node("If", {"c"}, {"y"});
  branch(set_graph(m.last(), "then_branch"), "Add", {"x", "k"});
  branch(set_graph(m.last(), "else_branch"), "Neg", {"x"});
  return m;
}

Tensor boolean(bool b) { return Tensor::scalar(b); }

TEST(OnnxSubgraph, IfWithCaptures) {
  const ModelBuilder m = if_model();
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  const Node& node = model->graph.nodes[0];
  ASSERT_EQ(node.captures.size(), 1u);  // x; the constant went inside
  ASSERT_EQ(node.subgraphs[0].captures.size(), 1u);
  ASSERT_EQ(node.subgraphs[1].captures.size(), 1u);
  for (const bool b : {true, false}) {
    const auto out = m.run({boolean(b), floats({2}, {1, 2})});
    ASSERT_TRUE(out.ok()) << out.status().message();
    EXPECT_EQ(*(*out)[0].to_doubles(), b ? (D{11, 22}) : (D{-1, -2}));
  }
}

TEST(OnnxSubgraph, KnownConditionPutsTheBranchInPlace) {
  ModelBuilder m = if_model();
  m.graph().mutable_input()->DeleteSubrange(0, 1);
  m.init<bool>("c", {}, {});
  m.graph().mutable_initializer(1)->set_raw_data(std::string(1, '\0'));
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_EQ(model->graph.nodes.size(), 1u);
  EXPECT_EQ(model->graph.nodes[0].op, "Neg");
  EXPECT_EQ(model->graph.value(model->graph.outputs[0]).name, "y");
}

TEST(OnnxSubgraph, ABranchThatTheShapesDoNotFitIsKept) {
  ModelBuilder m = if_model();
  m.init<float>("w", {3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  m.graph().mutable_node(0)->clear_attribute();
  onnx::GraphProto& wrong = set_graph(*m.graph().mutable_node(0), "then_branch");
  set_value(*wrong.add_output(), "t", DType::kF32, {2});
  *wrong.add_node() = make_node("MatMul", {"x", "w"}, {"product"});
  *wrong.add_node() = make_node("Relu", {"product"}, {"t"});
  branch(set_graph(*m.graph().mutable_node(0), "else_branch"), "Neg", {"x"});
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto out = m.run({boolean(false), floats({2}, {1, 2})});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ(*(*out)[0].to_doubles(), (D{-1, -2}));
  EXPECT_FALSE(m.run({boolean(true), floats({2}, {1, 2})}).ok());
  // Where neither fits there is nothing to take.
  onnx::NodeProto* node = m.graph().mutable_node(0);
  *node->mutable_attribute(1)->mutable_g() = node->attribute(0).g();
  EXPECT_FALSE(m.import().ok());
}

TEST(OnnxSubgraph, NestedIfReadsTheOutermostGraph) {
  ModelBuilder m(16);
  m.input("c", {}, DType::kBool).input("x", {2}).output("y").node("If", {"c"}, {"y"});
  onnx::GraphProto& outer = set_graph(m.last(), "then_branch");
  set_value(*outer.add_output(), "u", DType::kF32, {2});
  *outer.add_node() = make_node("If", {"c"}, {"u"});
  branch(set_graph(*outer.mutable_node(0), "then_branch"), "Abs", {"x"});
  branch(set_graph(*outer.mutable_node(0), "else_branch"), "Neg", {"x"});
  branch(set_graph(m.last(), "else_branch"), "Relu", {"x"});
  const auto out = m.run({boolean(true), floats({2}, {-1, 2})});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ(*(*out)[0].to_doubles(), (D{1, 2}));
  ImportOptions options;
  options.keys["max_depth"] = "1";
  EXPECT_EQ(m.import(options).status().code(), Code::kLimit);
}

TEST(OnnxSubgraph, LoopCarriesAndScans) {
  ModelBuilder m(16);
  m.input("x", {2}).output("last").output("all");
  m.init<int64_t>("trips", {}, {3}).init<float>("step", {2}, {1, 10});
  m.node("Loop", {"trips", "", "x"}, {"last", "all"});
  onnx::GraphProto& body = set_graph(m.last(), "body");
  set_value(*body.add_input(), "i", DType::kI64, {});
  set_value(*body.add_input(), "go", DType::kBool, {});
  set_open_value(*body.add_input(), "a", DType::kF32);
  set_value(*body.add_output(), "again", DType::kBool, {});
  set_open_value(*body.add_output(), "b", DType::kF32);
  set_open_value(*body.add_output(), "each", DType::kF32);
  *body.add_node() = make_node("Identity", {"go"}, {"again"});
  *body.add_node() = make_node("Add", {"a", "step"}, {"b"});
  *body.add_node() = make_node("Identity", {"b"}, {"each"});
  const auto out = m.run({floats({2}, {0, 0})});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ(*(*out)[0].to_doubles(), (D{3, 30}));
  EXPECT_EQ((*out)[1].dims(), (std::vector<int64_t>{3, 2}));
}

TEST(OnnxSubgraph, MalformedOnes) {
  ModelBuilder no_else = if_model();
  no_else.last().mutable_attribute()->DeleteSubrange(1, 1);
  EXPECT_EQ(no_else.import().status().code(), Code::kInvalidArgument);

  ModelBuilder outer_missing = if_model();
  *outer_missing.last().mutable_attribute(0)->mutable_g()->mutable_node(0)->mutable_input(0) = "q";
  EXPECT_EQ(outer_missing.import().status().code(), Code::kInvalidArgument);

  ModelBuilder counts = if_model();
  counts.last().mutable_attribute(0)->mutable_g()->clear_output();
  EXPECT_EQ(counts.import().status().code(), Code::kInvalidArgument);

  ModelBuilder scan(16);
  scan.input("x", {2, 3}).output("y").node("Scan", {"x"}, {"y"}, {{"num_scan_inputs", int64_t{5}}});
  onnx::GraphProto& body = set_graph(scan.last(), "body");
  set_value(*body.add_input(), "a", DType::kF32, {3});
  set_value(*body.add_output(), "b", DType::kF32, {3});
  *body.add_node() = make_node("Relu", {"a"}, {"b"});
  EXPECT_EQ(scan.import().status().code(), Code::kInvalidArgument);
}

TEST(OnnxSubgraph, UnsupportedOperatorsInsideAreListed) {
  ModelBuilder m = if_model();
  for (int i = 0; i < 2; ++i) {
    m.last().mutable_attribute(i)->mutable_g()->mutable_node(0)->set_op_type("NoSuchOp");
  }
  const auto model = m.import();
  ASSERT_EQ(model.status().code(), Code::kUnsupported);
  EXPECT_NE(model.status().message().find("NoSuchOp_t"), std::string::npos);
  EXPECT_NE(model.status().message().find('\n'), std::string::npos);
}

onnx::FunctionProto& add_function(ModelBuilder& m, const std::string& name,
                                  const std::vector<std::string>& inputs,
                                  const std::vector<std::string>& outputs) {
  onnx::FunctionProto& f = *m.model.add_functions();
  f.set_domain("my");
  f.set_name(name);
  for (const std::string& i : inputs) f.add_input(i);
  for (const std::string& o : outputs) f.add_output(o);
  f.add_opset_import()->set_version(17);
  auto& own = *f.add_opset_import();
  own.set_domain("my");
  own.set_version(1);
  return f;
}

void call(ModelBuilder& m, const std::string& name, const std::vector<std::string>& inputs,
          const std::vector<std::string>& outputs, const Attrs& attributes = {}) {
  m.node(name, inputs, outputs, attributes);
  m.last().set_domain("my");
}

TEST(OnnxFunction, InlinesWithAttributesAndDefaults) {
  ModelBuilder m(17);
  m.import_opset("my", 1);
  m.input("x", {2}).output("y").output("z");
  onnx::FunctionProto& f = add_function(m, "F", {"a", "b"}, {"d"});
  f.add_attribute("axis");
  *f.add_attribute_proto() = make_node("", {}, {}, {{"alpha", 0.5}}).attribute(0);
  *f.add_node() = make_node("LeakyRelu", {"a"}, {"d"});
  onnx::AttributeProto& alpha = *f.mutable_node(0)->add_attribute();
  alpha.set_name("alpha");
  alpha.set_type(onnx::AttributeProto::FLOAT);
  alpha.set_ref_attr_name("alpha");
  call(m, "F", {"x"}, {"y"});
  call(m, "F", {"x"}, {"z"}, {{"alpha", 0.25}});
  m.last().set_name("second");
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.nodes[1].name, "second/LeakyRelu_d");
  EXPECT_EQ(model->graph.value(model->graph.outputs[1]).name, "z");
  const auto out = m.run({floats({2}, {-4, 4})});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ(*(*out)[0].to_doubles(), (D{-2, 4}));
  EXPECT_EQ(*(*out)[1].to_doubles(), (D{-1, 4}));
}

TEST(OnnxFunction, HasItsOwnOperatorSet) {
  ModelBuilder m(17);
  m.import_opset("my", 1);
  m.input("x", {1, 2}).output("y");
  onnx::FunctionProto& f = add_function(m, "F", {"a"}, {"b"});
  f.mutable_opset_import(0)->set_version(11);
  *f.add_node() = make_node("Squeeze", {"a"}, {"b"}, {{"axes", std::vector<int64_t>{0}}});
  call(m, "F", {"x"}, {"y"});
  const auto out = m.run({iota({1, 2})});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ((*out)[0].dims(), std::vector<int64_t>{2});
}

TEST(OnnxFunction, RecursionAndSizeAreBounded) {
  ModelBuilder self(17);
  self.import_opset("my", 1);
  self.input("x", {1}).output("y");
  onnx::FunctionProto& f = add_function(self, "F", {"a"}, {"b"});
  *f.add_node() = make_node("F", {"a"}, {"b"});
  f.mutable_node(0)->set_domain("my");
  call(self, "F", {"x"}, {"y"});
  EXPECT_EQ(self.import().status().code(), Code::kInvalidArgument);

  ModelBuilder bomb(17);
  bomb.import_opset("my", 1);
  bomb.input("x", {1}).output("y");
  for (int i = 0; i < 40; ++i) {
    onnx::FunctionProto& g = add_function(bomb, "F" + std::to_string(i), {"a"}, {"b"});
    for (int n = 0; n < 2; ++n) {
      *g.add_node() = make_node(i == 39 ? "Relu" : "F" + std::to_string(i + 1), {n ? "m" : "a"},
                                {n ? "b" : "m"});
      if (i < 39) g.mutable_node(n)->set_domain("my");
    }
  }
  call(bomb, "F0", {"x"}, {"y"});
  EXPECT_EQ(bomb.import().status().code(), Code::kLimit);
}

}  // namespace
}  // namespace mnn::testing
