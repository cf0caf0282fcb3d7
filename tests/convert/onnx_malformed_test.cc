// Files that are no sound model: refused with a reason, never a crash.
#include <gtest/gtest.h>

#include <random>

#include "tests/convert/model_builder.h"

namespace mnn::testing {
namespace {

using I = std::vector<int64_t>;

ModelBuilder small() {
  ModelBuilder m(13);
  m.input("x", {1, 3, 8, 8}).output("y");
  m.init<float>("w", {4, 3, 3, 3}, std::vector<float>(108, 0.5f))
      .init<float>("b", {4}, {0, 1, 2, 3});
  m.node("Conv", {"x", "w", "b"}, {"c"}, {{"kernel_shape", I{3, 3}}}).node("Relu", {"c"}, {"y"});
  return m;
}

void expect_error(const ModelBuilder& m, Code code, const std::string& part) {
  const auto model = m.import();
  ASSERT_FALSE(model.ok()) << part;
  EXPECT_EQ(model.status().code(), code) << model.status().message();
  EXPECT_NE(model.status().message().find(part), std::string::npos) << model.status().message();
}

TEST(OnnxMalformed, Header) {
  ModelBuilder m = small();
  m.model.clear_graph();
  expect_error(m, Code::kInvalidArgument, "no graph");
  m = small();
  m.graph().clear_output();
  expect_error(m, Code::kInvalidArgument, "no outputs");
  m = small();
  m.model.clear_opset_import();
  expect_error(m, Code::kInvalidArgument, "imports no operator set");
  for (const int64_t v : {int64_t{0}, int64_t{-1}}) {
    m = small();
    m.model.mutable_opset_import(0)->set_version(v);
    expect_error(m, Code::kInvalidArgument, "operator set ai.onnx has version");
  }
  for (const int64_t v : {int64_t{999}, int64_t{1} << 31, int64_t{1} << 62}) {
    m = small();
    m.model.mutable_opset_import(0)->set_version(v);
    expect_error(m, Code::kUnsupported, "is newer than 28");
  }
  m = small();
  m.import_opset("ai.onnx", 12);
  expect_error(m, Code::kInvalidArgument, "imported twice");
  m = small();
  m.model.set_ir_version(-5);
  expect_error(m, Code::kInvalidArgument, "IR version");
}

TEST(OnnxMalformed, NamesOfValues) {
  ModelBuilder m = small();
  m.graph().mutable_node(1)->set_input(0, "nowhere");
  expect_error(m, Code::kInvalidArgument, "node Relu_y (Relu): value 'nowhere' is made by no node");
  m = small();
  m.graph().mutable_node(1)->set_output(0, "a");
  expect_error(m, Code::kInvalidArgument, "output 'y' is made by no node");
  m = small();
  m.node("Abs", {"x"}, {"y"});
  expect_error(m, Code::kInvalidArgument, "nodes Relu_y and Abs_y both make 'y'");
  m = small();
  m.node("Abs", {"x"}, {"w"});
  expect_error(m, Code::kInvalidArgument, "node Abs_w (Abs): its output 'w' is an input or");
  m = small();
  m.init<float>("w", {1}, {1});
  expect_error(m, Code::kInvalidArgument, "the name 'w' is given twice");
  m = small();
  m.input("x", {1});
  expect_error(m, Code::kInvalidArgument, "input x is listed twice");
}

TEST(OnnxMalformed, Cycles) {
  ModelBuilder m(13);
  m.input("x", {1}).output("y").node("Add", {"x", "b"}, {"a"}).node("Relu", {"a"}, {"b"});
  m.node("Relu", {"b"}, {"y"});
  expect_error(m, Code::kInvalidArgument, "cycle through or before Add_a, Relu_b, Relu_y");
  ModelBuilder self(13);
  self.input("x", {1}).output("y").node("Add", {"x", "y"}, {"y"});
  expect_error(self, Code::kInvalidArgument, "cycle through or before Add_y");
}

TEST(OnnxMalformed, NodesAgainstTheirOperator) {
  const auto with = [](const std::vector<std::string>& inputs, const Attrs& attributes) {
    ModelBuilder m = small();
    *m.graph().mutable_node(0) = make_node("Conv", inputs, {"c"}, attributes);
    return m;
  };
  expect_error(with({"x"}, {}), Code::kInvalidArgument,
               "node Conv_c (Conv): expected 2 to 3 inputs");
  expect_error(with({"x", ""}, {}), Code::kInvalidArgument, "expected 2 to 3 inputs");
  expect_error(with({"x", "", "b"}, {}), Code::kInvalidArgument, "input 1 is missing");
  expect_error(with(std::vector<std::string>(50, "x"), {}), Code::kInvalidArgument, "found 50");
  expect_error(with({"x", "w"}, {{"strides", std::string("two")}}), Code::kInvalidArgument,
               "attribute strides must be ints, found a string");
  expect_error(with({"x", "w"}, {{"no_such", int64_t{1}}}), Code::kUnsupported,
               "attribute no_such is not known");
  expect_error(with({"x", "w"}, {{"group", int64_t{1}}, {"group", int64_t{1}}}),
               Code::kInvalidArgument, "attribute group is given twice");
  expect_error(with({"x", "w"}, {{"group", int64_t{0}}}), Code::kInvalidArgument,
               "node Conv_c (Conv)");
  ModelBuilder m = small();
  m.graph().mutable_node(0)->add_attribute()->set_name("zz");
  expect_error(m, Code::kInvalidArgument, "attribute zz has no type");
  m = small();
  m.graph().mutable_node(1)->set_op_type("");
  expect_error(m, Code::kInvalidArgument, "the node has no operator");
  m = small();
  m.graph().mutable_node(1)->mutable_attribute()->Add()->set_name("alpha");
  m.graph().mutable_node(1)->mutable_attribute(0)->set_ref_attr_name("alpha");
  expect_error(m, Code::kInvalidArgument, "refers to an attribute of a function");
}

TEST(OnnxMalformed, TypesOfTheBorder) {
  ModelBuilder m = small();
  m.graph().mutable_output(0)->mutable_type()->mutable_tensor_type()->set_elem_type(7);
  expect_error(m, Code::kInvalidArgument, "output y is declared as i64");
  m = small();
  m.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(99);
  expect_error(m, Code::kInvalidArgument, "element type 99");
  m = small();
  m.graph().mutable_input(0)->clear_type();
  expect_error(m, Code::kInvalidArgument, "input x: it has no element type");
  m = small();
  for (int i = 0; i < 60; ++i) {
    m.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim();
  }
  expect_error(m, Code::kLimit, "rank 64");
  m = small();
  m.graph().mutable_input(0)->mutable_type()->mutable_map_type()->set_key_type(7);
  expect_error(m, Code::kUnsupported, "map");
}

TEST(OnnxMalformed, TensorErrorsNameTheTensor) {
  ModelBuilder m = small();
  m.graph().mutable_initializer(0)->set_raw_data("short");
  expect_error(m, Code::kInvalidArgument, "tensor w: expected 432 bytes of raw_data, found 5");
}

TEST(OnnxMalformed, Bytes) {
  const auto code = [](const std::string& bytes) {
    return import_onnx(std::as_bytes(std::span(bytes)), "").status().code();
  };
  EXPECT_EQ(code(""), Code::kInvalidArgument);
  EXPECT_EQ(code(std::string(4096, '\0')), Code::kInvalidArgument);
  EXPECT_EQ(code(std::string(4096, '\xff')), Code::kInvalidArgument);
  EXPECT_EQ(code("hello, I am not a model\n"), Code::kInvalidArgument);
  std::string deep;
  for (int i = 0; i < 20000; ++i) {
    std::string length;
    for (size_t n = deep.size();; n >>= 7) {
      length += static_cast<char>((n & 127) | (n > 127 ? 128 : 0));
      if (n <= 127) break;
    }
    deep = "\x3a" + length + deep;
  }
  EXPECT_EQ(code(deep), Code::kInvalidArgument);
  const std::string good = small().bytes();
  for (size_t n = 1; n < good.size(); n += 7) {
    EXPECT_NE(code(good.substr(0, n)), Code::kOk) << n;
  }
}

TEST(OnnxMalformed, RandomDamageNeverCrashes) {
  const std::string good = small().bytes();
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = good;
    for (int e = 0; e < 1 + i % 4; ++e) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    const auto model = import_onnx(std::as_bytes(std::span(bytes)), "");
    if (model.ok()) {
      EXPECT_TRUE(verify(model->graph).ok());
    }
  }
}

TEST(OnnxMalformed, LongModelsTakeLinearTime) {
  ModelBuilder chain(13);
  chain.input("x", {2}).output("y");
  for (int i = 0; i < 20000; ++i) {
    chain.node("Relu", {i == 0 ? "x" : "t" + std::to_string(i)},
               {i == 19999 ? "y" : "t" + std::to_string(i + 1)});
  }
  EXPECT_TRUE(chain.import().ok());
  ModelBuilder wide(13);
  wide.input("x", {2}).output("y");
  wide.node("Concat", std::vector<std::string>(50000, "x"), {"y"}, {{"axis", int64_t{0}}});
  EXPECT_TRUE(wide.import().ok());
}

}  // namespace
}  // namespace mnn::testing
