// The model around its nodes: inputs, shapes, names, outputs, facts.
#include <gtest/gtest.h>

#include "libconvert/frontends/common/side_files.h"
#include "tests/convert/model_builder.h"

namespace mnn::testing {
namespace {

using I = std::vector<int64_t>;

ModelBuilder relu() {
  ModelBuilder m(17);
  m.input("x", {2, 3}).output("y").node("Relu", {"x"}, {"y"});
  return m;
}

std::string type_of_input(const ImportedModel& model, size_t i) {
  return model.graph.value(model.graph.inputs[i]).type.str();
}

TEST(OnnxImport, KeepsNamesAndSaysFacts) {
  ModelBuilder m = relu();
  m.last().set_name("relu/1:0");
  m.model.set_producer_name("a tool");
  m.model.set_producer_version("2.1");
  m.import_opset("com.microsoft", 1);
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->format, "onnx");
  EXPECT_EQ(model->facts.at("ir_version"), "8");
  EXPECT_EQ(model->facts.at("opset"), "ai.onnx 17, com.microsoft 1");
  EXPECT_EQ(model->facts.at("producer_name"), "a tool");
  const Node& node = model->graph.nodes[0];
  EXPECT_EQ(node.name, "relu/1:0");
  EXPECT_EQ(node.origin, std::vector<std::string>{"relu/1:0"});
  EXPECT_EQ(model->graph.value(model->graph.outputs[0]).name, "y");
}

TEST(OnnxImport, NamesNodesWithoutAName) {
  ModelBuilder m(17);
  m.input("x", {1}).output("y").output("z");
  m.node("Relu", {"x"}, {"y"}).node("Abs", {"x"}, {"z"});
  m.graph().mutable_node(1)->set_name("Relu_y");
  const auto model = m.import();
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(model->graph.nodes[0].name, "Relu_y");
  EXPECT_EQ(model->graph.nodes[1].name, "Relu_y");  // the source's own name is kept as it is
}

TEST(OnnxImport, DimensionNamesBecomeSymbols) {
  ModelBuilder m(17);
  m.input("x", {"batch size", "?", -1, "h//2", 3}).input("z", {"batch size", "batch_size", 0});
  m.output("y").output("w").node("Relu", {"x"}, {"y"}).node("Relu", {"z"}, {"w"});
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(type_of_input(*model, 0), "f32[batch_size,x.1,x.2,h__2,3]");
  EXPECT_EQ(type_of_input(*model, 1), "f32[batch_size,batch_size_2,z.2]");
  EXPECT_EQ(model->diagnostics.items().size(), 1u);  // the 0 is taken as dynamic, and said
}

TEST(OnnxImport, MadeUpSymbolsDoNotTakeNames) {
  ModelBuilder m(17);
  m.input("x", {"?"}).input("z", {"x.0"}).output("y").output("w");
  m.node("Relu", {"x"}, {"y"}).node("Relu", {"z"}, {"w"});
  const auto model = m.import();
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(type_of_input(*model, 0), "f32[x.0_2]");
  EXPECT_EQ(type_of_input(*model, 1), "f32[x.0]");
}

TEST(OnnxImport, GivenShapes) {
  ModelBuilder m(17);
  m.input("x", {"n", 3, "h"}).input("z", {"n"}).output("y").output("w");
  m.node("Relu", {"x"}, {"y"}).node("Relu", {"z"}, {"w"});
  ImportOptions options;
  options.shapes["x"] = {2, 3, -1};
  const auto model = m.import(options);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(type_of_input(*model, 0), "f32[2,3,h]");
  EXPECT_EQ(type_of_input(*model, 1), "f32[2]");
  EXPECT_EQ(model->graph.value(model->graph.outputs[0]).type.str(), "f32[2,3,h]");

  options.shapes["z"] = {4};
  EXPECT_EQ(m.import(options).status().code(), Code::kUsage);
  options.shapes = {{"x", {1, 2}}};
  EXPECT_EQ(m.import(options).status().code(), Code::kUsage);
  options.shapes = {{"q", {1}}};
  EXPECT_EQ(m.import(options).status().code(), Code::kUsage);
}

TEST(OnnxImport, ShapeOfAnInputWithoutRank) {
  ModelBuilder m(17);
  set_open_value(*m.graph().add_input(), "x", DType::kF32);
  m.output("y").node("Relu", {"x"}, {"y"});
  ImportOptions options;
  options.shapes["x"] = {2, -1};
  const auto model = m.import(options);
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(type_of_input(*model, 0), "f32[2,x.1]");
}

TEST(OnnxImport, ListedInitializersAreConstants) {
  ModelBuilder m(8);
  m.model.set_ir_version(3);
  m.input("w", {2}).input("x", {2}).output("y").init<float>("w", {2}, {1, 2});
  m.node("Add", {"x", "w"}, {"y"});
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.inputs.size(), 1u);
  const std::vector<std::pair<std::string, int>> expected = {{"w", -1}, {"x", 0}};
  EXPECT_EQ(model->source_inputs, expected);
}

TEST(OnnxImport, LooksThroughIdentityOfConstants) {
  ModelBuilder m(17);
  m.input("x", {2}).output("y").init<float>("w", {2}, {1, 2});
  m.node("Identity", {"w"}, {"v"}).node("Add", {"x", "v"}, {"y"});
  const auto model = m.import();
  ASSERT_TRUE(model.ok());
  ASSERT_EQ(model->graph.nodes.size(), 1u);
  EXPECT_NE(model->graph.constant(model->graph.nodes[0].inputs[1]), nullptr);
}

TEST(OnnxImport, OutputsKeepTheirNames) {
  // An input and a constant as outputs, and a constant that goes by another name.
  ModelBuilder m(17);
  m.input("x", {1}).output("x").output("k").output("copy").init<float>("k", {1}, {7});
  m.node("Identity", {"k"}, {"copy"});
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  const Graph& g = model->graph;
  EXPECT_EQ(g.value(g.outputs[0]).name, "x");
  EXPECT_EQ(g.value(g.outputs[1]).name, "k");
  EXPECT_EQ(g.value(g.outputs[2]).name, "copy");
  const auto out = run_reference(g, std::vector<Tensor>{iota({1})});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ((*out)[2].data<float>()[0], 7.0f);
}

TEST(OnnxImport, AnOutputMayBeListedTwice) {
  ModelBuilder m(17);
  m.input("x", {2}).output("y").output("z").output("y").output("x").output("x");
  m.node("Relu", {"x"}, {"y"}).node("Neg", {"y"}, {"z"});
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto out = run_reference(model->graph, std::vector<Tensor>{floats({2}, {-1, 3})});
  ASSERT_TRUE(out.ok());
  ASSERT_EQ(out->size(), 5u);
  for (const size_t i : {0, 2}) EXPECT_EQ((*out)[i].data<float>()[1], 3.0f);
  for (const size_t i : {3, 4}) EXPECT_EQ((*out)[i].data<float>()[0], -1.0f);
}

TEST(OnnxImport, SortsNodes) {
  ModelBuilder m(17);
  m.input("x", {1}).output("y").node("Relu", {"a"}, {"y"}).node("Abs", {"x"}, {"a"});
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.nodes[0].op, "Abs");
}

TEST(OnnxImport, ConstantsOfAllKinds) {
  ModelBuilder m(13);
  m.output("f").output("i", DType::kI64).output("fs").output("is", DType::kI64);
  m.output("s", DType::kString);
  m.node("Constant", {}, {"f"}, {{"value_float", 1.5}});
  m.node("Constant", {}, {"i"}, {{"value_int", int64_t{7}}});
  m.node("Constant", {}, {"fs"}, {{"value_floats", std::vector<double>{1, 2}}});
  m.node("Constant", {}, {"is"}, {{"value_ints", I{3, 4, 5}}});
  m.node("Constant", {}, {"s"}, {{"value_string", std::string("text")}});
  const auto out = m.run({});
  ASSERT_TRUE(out.ok()) << out.status().message();
  EXPECT_EQ((*out)[0].data<float>()[0], 1.5f);
  EXPECT_EQ((*out)[1].rank(), 0u);
  EXPECT_EQ((*out)[2].dims(), I{2});
  EXPECT_EQ(*(*out)[3].to_ints(), (I{3, 4, 5}));
  EXPECT_EQ((*out)[4].string_values()[0], "text");
}

TEST(OnnxImport, ListsEveryUnsupportedOperator) {
  ModelBuilder m(17);
  m.input("x", {1}).output("y");
  m.node("NoSuchOp", {"x"}, {"a"}).node("Relu", {"a"}, {"b"}).node("Other", {"b"}, {"c"});
  m.last().set_domain("my.domain");
  m.node("Add", {"x", "c"}, {"y"});
  const auto model = m.import();
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), Code::kUnsupported);
  EXPECT_EQ(model.status().message(),
            "node NoSuchOp_a (NoSuchOp): the operator is not known\n"
            "node Other_c (my.domain::Other): the operator is not known");
}

TEST(OnnxImport, DeadNodesDoNotMatter) {
  ModelBuilder m = relu();
  m.node("NoSuchOp", {"x"}, {"a"}).node("Relu", {"a"}, {"b"});
  const auto model = m.import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_EQ(model->diagnostics.items().size(), 1u);
  EXPECT_EQ(model->diagnostics.items()[0].severity, Severity::kWarning);
}

TEST(OnnxImport, OperatorsAreListed) {
  const std::vector<std::string> operators = onnx_frontend().operators();
  const auto conv = std::find(operators.begin(), operators.end(), "ai.onnx::Conv 1-22");
  EXPECT_NE(conv, operators.end());
}

TEST(OnnxImport, RecognizesModels) {
  const Frontend row = onnx_frontend();
  const auto recognized = [&](const std::string& bytes) {
    return row.recognizes(std::as_bytes(std::span(bytes)), frontend::SourceFiles("model"));
  };
  EXPECT_TRUE(recognized(relu().bytes()));
  EXPECT_FALSE(recognized(""));
  EXPECT_FALSE(recognized("hello, this is a text\n"));
  EXPECT_FALSE(recognized(std::string("MNNTBX\0\0\1\0\0\0", 12)));
  EXPECT_FALSE(recognized("layer {\n  name: \"conv1\"\n}\n"));
  EXPECT_FALSE(
      recognized(std::string("\x7f"
                             "ELF\2\1\1\0",
                             8)));
  EXPECT_FALSE(recognized(std::string(64, '\0')));
  EXPECT_FALSE(recognized(std::string(64, '\xff')));
  EXPECT_FALSE(recognized("PK\x03\x04 a zip"));
  EXPECT_FALSE(recognized("{\"json\": 1}"));
}

}  // namespace
}  // namespace mnn::testing
