#include "libruntime/core/text.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>

#include "tests/test_data.h"

namespace mnn {
namespace {

std::string read_text(const std::string& name) {
  std::ifstream in(test_data("data/text/" + name), std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

Graph parse(std::string_view text) {
  Result<Graph> graph = parse_graph(text);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return graph.ok() ? *graph : Graph();
}

// The message of the error that `text` gives.
std::string error_of(std::string_view text) {
  const Result<Graph> graph = parse_graph(text);
  EXPECT_FALSE(graph.ok()) << text;
  return graph.status().message();
}

std::string in_graph(std::string_view statements) {
  return "graph g(x: f32[2]) -> () {\n" + std::string(statements) + "\n}";
}

TEST(Text, PrintingWhatWasReadIsAFixedPoint) {
  const std::string once = print_graph(parse(read_text("everything.mnntxt")));
  EXPECT_EQ(print_graph(parse(once)), once);
}

TEST(Text, ReadsEveryField) {
  const Graph g = parse(read_text("everything.mnntxt"));
  EXPECT_EQ(g.name, "everything");
  ASSERT_EQ(g.inputs.size(), 5u);
  EXPECT_EQ(g.value(g.inputs[1]).name, "in put");
  EXPECT_EQ(g.value(g.inputs[1]).type.str(), "f32[floor((h + 1)/(2)),2*h + 1,?]");
  EXPECT_EQ(g.value(g.inputs[1]).quant->zero_point_at(0), 128.0f);
  EXPECT_EQ(g.value(g.inputs[2]).type.kind, Type::Kind::kSequence);
  EXPECT_FALSE(g.value(g.inputs[2]).type.shape.has_value());
  EXPECT_EQ(g.value(g.inputs[3]).type.kind, Type::Kind::kOptionalSequence);
  EXPECT_EQ(g.value(g.inputs[4]).name, "x");  // the second value of that name
  EXPECT_EQ(g.outputs[2], g.inputs[0]);
  auto find = [&](std::string_view name) -> const Value& {
    for (const Value& v : g.values) {
      if (v.name == name) return v;
    }
    ADD_FAILURE() << name;
    return g.values[0];
  };
  EXPECT_EQ(find("conv1.weight").kind, ValueKind::kConstant);
  EXPECT_EQ(find("wq").type.dtype, DType::kF32);
  EXPECT_EQ(find("wq").data.dtype(), DType::kI8);
  EXPECT_EQ(find("wq").quant->axis, 0);
  EXPECT_EQ(*find("a").smoothing, (ChannelDivisors{{1, 0.5f, 2}, 1}));
  EXPECT_EQ(find("odd").data.dims(), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(find("text").data.string_values()[0], std::string("a \"quoted\" \\ \n\t\0\xff", 17));
  EXPECT_EQ(find("empty").data.elements(), 0);
  EXPECT_EQ(find("long").data.data<uint8_t>()[2], 5);
  EXPECT_EQ(find("st").kind, ValueKind::kState);
  EXPECT_FALSE(find("fresh").data.defined());

  ASSERT_EQ(g.nodes.size(), 5u);
  const Node& node = g.nodes[0];
  EXPECT_EQ(node.op, "Some.Op");
  EXPECT_EQ(node.name, "node");
  EXPECT_EQ(node.origin, (std::vector<std::string>{"layer_1", "layer 2"}));
  ASSERT_EQ(node.inputs.size(), 5u);
  EXPECT_EQ(node.inputs[1], kNoValue);
  EXPECT_EQ(node.own_inputs(), 3u);
  ASSERT_EQ(node.outputs.size(), 3u);
  EXPECT_EQ(node.outputs[1], kNoValue);
  EXPECT_EQ(g.value(node.outputs[2]).name, "_");
  ASSERT_EQ(node.fused.size(), 3u);
  EXPECT_EQ(std::get<double>(node.fused[0].attributes.at("alpha")), 0.5);
  EXPECT_EQ(node.fused[1].operands, (std::vector<int>{-1, 3}));
  EXPECT_EQ(node.fused[2].operand(), 4);
  EXPECT_EQ(std::get<int64_t>(node.attributes.at("to")), 16);
  EXPECT_EQ(std::get<double>(node.attributes.at("b")), 1.0);
  EXPECT_EQ(std::get<std::vector<int64_t>>(node.attributes.at("e")), (std::vector<int64_t>{1, 2}));
  EXPECT_TRUE(std::get<std::vector<double>>(node.attributes.at("i")).empty());
  EXPECT_EQ(std::get<Tensor>(node.attributes.at("k")).data<float>()[1], 2.0f);
  EXPECT_FALSE(std::get<Tensor>(node.attributes.at("l")).defined());

  const Node& branch = g.nodes[1];
  ASSERT_EQ(branch.subgraphs.size(), 2u);
  EXPECT_EQ(branch.captures.size(), 2u);
  EXPECT_EQ(branch.subgraphs[0].name, "then");
  EXPECT_EQ(branch.subgraphs[0].captures.size(), 2u);
  EXPECT_EQ(branch.subgraphs[1].inputs.size(), 1u);
  EXPECT_TRUE(g.nodes[2].outputs.empty());
  EXPECT_EQ(g.nodes[2].inputs, g.nodes[3].outputs);  // used above its definition
  EXPECT_EQ(g.value(g.nodes[4].outputs[0]).name, "const");
}

TEST(Text, ElementsOfEveryTypeKeepTheirBits) {
  for (int number = 1; number <= 255; ++number) {
    const auto dtype = static_cast<DType>(number);
    if (dtype_bits(dtype) == 0) continue;
    if (dtype == DType::kString) continue;
    Tensor t = *Tensor::allocate(dtype, {4, 66});
    uint64_t state = 1;
    for (int64_t i = 0; i < t.bytes(); ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const auto byte = static_cast<uint8_t>(state >> 56);
      t.raw()[i] = static_cast<std::byte>(dtype == DType::kBool ? byte & 1 : byte);
    }
    const std::string text = print_tensor(t);
    const Result<Tensor> again = parse_tensor(text);
    ASSERT_TRUE(again.ok()) << again.status().message() << "\n" << text;
    EXPECT_TRUE(identical(*again, t)) << text << "\n" << print_tensor(*again);
  }
}

TEST(Text, EveryHalfKeepsItsBits) {
  for (const DType dtype : {DType::kF16, DType::kBF16}) {
    Tensor t = *Tensor::allocate(dtype, {65536});
    for (int i = 0; i < 65536; ++i) t.data<uint16_t>()[i] = static_cast<uint16_t>(i);
    EXPECT_TRUE(identical(*parse_tensor(print_tensor(t)), t));
  }
}

TEST(Text, SpecialFloats) {
  const Tensor t = *parse_tensor("f32[6] = nan -nan 0x7fc00001 -0 inf -inf");
  EXPECT_EQ(print_tensor(t), "f32[6] = nan nan 0x7fc00001 -0 inf -inf");
  EXPECT_EQ(print_tensor(*parse_tensor("f64[2] = 0.1 1e-320")), "f64[2] = 0.1 1e-320");
  EXPECT_EQ(print_tensor(*parse_tensor("c64[1] = ( 1 , -2.5 )")), "c64[1] = (1,-2.5)");
  EXPECT_EQ(print_tensor(*parse_tensor("f32[2] = 3.4028235e38 1e-45")),
            "f32[2] = 3.4028235e+38 1e-45");
}

TEST(Text, Generators) {
  EXPECT_EQ(print_tensor(*parse_tensor("f32[2,2] = iota -1 0.5")), "f32[2,2] = -1 -0.5 0 0.5");
  EXPECT_EQ(print_tensor(*parse_tensor("i64[3] = iota 5 -2")), "i64[3] = 5 3 1");
  const Tensor a = *parse_tensor("f32[1000] = random 7 -1 2");
  EXPECT_TRUE(identical(a, *parse_tensor("f32[1000] = random 7 -1 2")));
  EXPECT_FALSE(identical(a, *parse_tensor("f32[1000] = random 8 -1 2")));
  double low = 10, high = -10;
  for (const float v : a.span<float>()) {
    low = std::min<double>(low, v);
    high = std::max<double>(high, v);
  }
  EXPECT_TRUE(low >= -1 && low < -0.9 && high > 1.9 && high <= 2) << low << " " << high;
  std::vector<int> seen(3, 0);
  const Tensor b = *parse_tensor("i8[100] = random 1 -1 1");
  for (const int8_t v : b.span<int8_t>()) ++seen.at(static_cast<size_t>(v + 1));
  for (const int count : seen) EXPECT_GT(count, 10);
  EXPECT_FALSE(parse_tensor("str[2] = iota 0 1").ok());
  EXPECT_FALSE(parse_tensor("f32[2] = random 0 1 0").ok());
  EXPECT_FALSE(parse_tensor("f32[2] = random 0 -inf inf").ok());
}

TEST(Text, LargeConstantsArePrintedAsTheirHash) {
  const Graph g = parse(in_graph("const w: f32[100] = iota 0 1"));
  const std::string text = print_graph(g);
  EXPECT_NE(text.find("const w: f32[100] = hash "), std::string::npos) << text;
  const Graph again = parse(text);
  EXPECT_EQ(again.values[1].data.elements(), 100);
  EXPECT_EQ(again.values[1].data.data<float>()[99], 0.0f);
}

TEST(Text, UnspellableSymbolsBecomeUnknown) {
  Graph g;
  g.add_input("x", tensor_type(DType::kF32, {Dim::symbol("batch size"), Dim::symbol("n")}));
  EXPECT_EQ(parse(print_graph(g)).values[0].type.str(), "f32[?,n]");
}

TEST(Text, ErrorsSayWhereAndWhat) {
  EXPECT_EQ(error_of(""), "line 1, column 1: expected 'graph', found the end of the text");
  EXPECT_EQ(error_of(in_graph("y = Relu(x")), "line 3, column 1: expected ')', found \"}\"");
  EXPECT_EQ(error_of(in_graph("y = Relu(z)")),
            "line 2, column 10: value \"z\" is used but never defined");
  EXPECT_EQ(error_of(in_graph("x = Relu(x)")), "line 2, column 1: value \"x\" is defined twice");
  EXPECT_EQ(error_of(in_graph("y = Relu(x) {a=1, a=2}")),
            "line 2, column 19: attribute a is set twice");
  EXPECT_EQ(error_of(in_graph("y = Relu(x) {a=1e}")),
            "line 2, column 16: expected a value, found \"1e\"");
  EXPECT_EQ(error_of(in_graph("y = Relu(x) {a=[1,2.0]}")),
            "line 2, column 22: a list has elements of one type: integers, floats (with a dot) or "
            "strings");
  EXPECT_EQ(error_of(in_graph("y = Relu(x) {a=[]}")),
            "line 2, column 18: an empty list is written ints[], floats[] or strings[]");
  EXPECT_EQ(error_of(in_graph("y: f33[2] = Relu(x)")),
            "line 2, column 4: expected a type such as f32[n,3], found \"f33\"");
  EXPECT_EQ(error_of(in_graph("y: f32[-2] = Relu(x)")),
            "line 2, column 8: dimension -2 is negative");
  EXPECT_EQ(error_of(in_graph("const y: f32[3] = 1 2")),
            "line 3, column 1: expected 3 elements, found 2");
  EXPECT_EQ(error_of(in_graph("const y: i8[1] = 128")),
            "line 2, column 18: expected an element of i8, found \"128\"");
  EXPECT_EQ(error_of(in_graph("const y: f32[n] = 1")),
            "line 2, column 19: elements need a static type before them, found f32[n]");
  EXPECT_EQ(error_of(in_graph("y = Relu(x) Relu(y)")),
            "line 2, column 13: expected the end of the statement, found \"Relu\"");
  EXPECT_EQ(error_of(in_graph("y = Relu(x) @ \"a")),
            "line 2, column 15: the string is not closed on its line");
  EXPECT_EQ(error_of("graph g() -> (_) {}"),
            "line 1, column 15: a graph output needs a value, found _");
}

TEST(Text, IsBounded) {
  std::string deep = "graph g() -> () {\n";
  for (int i = 0; i < 40; ++i) deep += "= Loop() {\nbody: graph g() -> () {\n";
  EXPECT_NE(error_of(deep).find("nest deeper than 32"), std::string::npos);
  EXPECT_EQ(parse_graph(in_graph("const a: f32[1000000000000] = iota 0 1")).status().code(),
            Code::kLimit);
  EXPECT_EQ(parse_graph(in_graph("const a: f64[9223372036854775807,2] =")).status().code(),
            Code::kLimit);
  EXPECT_EQ(
      parse_graph(in_graph("const a: u8[600] = hash 0123456789abcdef\nconst b: u8[600] = iota 0 1"),
                  1000)
          .status()
          .code(),
      Code::kLimit);
  EXPECT_NE(error_of(in_graph("const a: f32[100000000] = 1 2")).find("found fewer"),
            std::string::npos);
}

TEST(Text, EveryPrefixGivesAnErrorOrAGraph) {
  const std::string text = read_text("everything.mnntxt");
  for (size_t n = 0; n < text.size(); ++n) (void)parse_graph(std::string_view(text).substr(0, n));
}

}  // namespace
}  // namespace mnn
