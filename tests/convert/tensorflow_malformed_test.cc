// Damaged TensorFlow graphs: refused with a reason, in bounded time and memory.
#include <gtest/gtest.h>

#include <random>

#include "tests/convert/case_values.h"
#include "tests/convert/tensorflow_builder.h"

namespace mnn::testing {
namespace {

using tensorflow::GraphDef;

// A convolution, a branch, a loop and a function: most of what there is to get wrong.
GraphDef small() {
  GraphDef g;
  add_placeholder(g, "x", DType::kF32, {1, 4, 4, 2});
  add_placeholder(g, "p", DType::kBool, {});
  add_constant(g, "f", DType::kF32, {2, 2, 2, 3}, packed(DType::kF32, ramp(24)));
  add_constant(g, "zero", DType::kI32, {}, packed(DType::kI32, {0}));
  add_constant(g, "three", DType::kI32, {}, packed(DType::kI32, {3}));
  add_node(g, "c Conv2D(x, f) strides=ints:1,1,1,1 padding=s:SAME");
  add_node(g, "s Switch(c, p)");
  add_node(g, "a Relu(s)");
  add_node(g, "b Neg(s:1)");
  add_node(g, "m Merge(a, b)");
  add_node(g, "ei Enter(zero) frame_name=s:loop");
  add_node(g, "ev Enter(m) frame_name=s:loop");
  add_node(g, "mi Merge(ei, ni)");
  add_node(g, "mv Merge(ev, nv)");
  add_node(g, "less Less(mi, most)");
  add_node(g, "most Enter(three) frame_name=s:loop is_constant=b:true");
  add_node(g, "go LoopCond(less)");
  add_node(g, "si Switch(mi, go)");
  add_node(g, "sv Switch(mv, go)");
  add_node(g, "next AddV2(si:1, si:1)");
  add_node(g, "v Mul(sv:1, sv:1)");
  add_node(g, "ni NextIteration(next)");
  add_node(g, "nv NextIteration(v)");
  add_node(g, "left Exit(sv)");
  add_node(g, "y PartitionedCall(left) f=func:neg");
  auto& f = *g.mutable_library()->add_function();
  f.mutable_signature()->set_name("neg");
  f.mutable_signature()->add_input_arg()->set_name("t");
  f.mutable_signature()->add_output_arg()->set_name("r");
  (*f.mutable_ret())["r"] = "n:y:0";
  auto& n = *f.add_node_def();
  n.set_name("n");
  n.set_op("Neg");
  n.add_input("t");
  return g;
}

tensorflow::NodeDef& node_of(GraphDef& g, const std::string& name) {
  for (auto& node : *g.mutable_node()) {
    if (node.name() == name) return node;
  }
  ADD_FAILURE() << name;
  return *g.mutable_node(0);
}

void expect_error(const GraphDef& g, Code code, const std::string& part) {
  const auto model = import_graph(g);
  ASSERT_FALSE(model.ok()) << part;
  EXPECT_EQ(model.status().code(), code) << model.status().message();
  EXPECT_NE(model.status().message().find(part), std::string::npos) << model.status().message();
}

TEST(TensorflowMalformed, GraphsThatLie) {
  ASSERT_TRUE(import_graph(small()).ok()) << import_graph(small()).status().message();
  GraphDef g = small();
  node_of(g, "a").set_input(0, "nothing");
  expect_error(g, Code::kInvalidArgument, "made by no node");
  g = small();
  node_of(g, "a").set_input(0, "s:99999999999");
  expect_error(g, Code::kInvalidArgument, "number behind the colon");
  g = small();
  node_of(g, "a").set_input(0, "c:7");
  expect_error(g, Code::kInvalidArgument, "output");
  g = small();
  *g.add_node() = node_of(g, "a");
  expect_error(g, Code::kInvalidArgument, "two nodes have the name 'a'");
  g = small();
  node_of(g, "c").set_input(0, "y");
  add_node(g, "z Neg(y)");
  expect_error(g, Code::kInvalidArgument, "depend");
  g = small();
  node_of(g, "b").set_input(0, "x");
  node_of(g, "a").set_input(0, "x");
  expect_error(g, Code::kInvalidArgument, "no Switch parts");
  g = small();
  node_of(g, "left").set_input(0, "v");
  expect_error(g, Code::kInvalidArgument, "leaves no loop");
  g = small();
  (*node_of(g, "c").mutable_attr())["strides"].mutable_list()->set_i(1, 0);
  expect_error(g, Code::kInvalidArgument, "positive strides");
  g = small();
  (*node_of(g, "c").mutable_attr())["strides"].set_s("1");
  expect_error(g, Code::kInvalidArgument, "of another kind");
  g = small();
  (*node_of(g, "f").mutable_attr())["value"].mutable_tensor()->mutable_tensor_content()->pop_back();
  expect_error(g, Code::kInvalidArgument, "bytes of elements");
  g = small();
  auto& tensor = *(*node_of(g, "f").mutable_attr())["value"].mutable_tensor();
  tensor.clear_tensor_content();
  tensor.add_float_val(1);
  tensor.mutable_tensor_shape()->mutable_dim(0)->set_size(int64_t{1} << 40);
  expect_error(g, Code::kLimit, "256 MiB");
  g = small();
  tensorflow::TensorShapeProto deep;
  for (int i = 0; i < 40; ++i) deep.add_dim()->set_size(1);
  *(*node_of(g, "x").mutable_attr())["shape"].mutable_shape() = deep;
  expect_error(g, Code::kLimit, "rank 40");
  g = small();
  node_of(g, "y").mutable_attr()->erase("f");
  expect_error(g, Code::kInvalidArgument, "names no function");
  g = small();
  (*node_of(g, "y").mutable_attr())["f"].mutable_func()->set_name("absent");
  expect_error(g, Code::kInvalidArgument, "function 'absent' is not in the file");
  g = small();
  g.clear_node();
  expect_error(g, Code::kInvalidArgument, "");
}

TEST(TensorflowMalformed, FunctionsWithoutEnd) {
  // Each calls the next one twice: 2^60 nodes.
  GraphDef g;
  add_placeholder(g, "x", DType::kF32, {1});
  add_node(g, "y PartitionedCall(x) f=func:f0");
  for (int i = 0; i < 60; ++i) {
    GraphDef body;
    const std::string next = "f" + std::to_string(i + 1);
    if (i < 59) {
      add_node(body, "a PartitionedCall(t) f=func:" + next);
      add_node(body, "b PartitionedCall(a:output:0) f=func:" + next);
    } else {
      add_node(body, "b Neg(t)");
    }
    auto& f = *g.mutable_library()->add_function();
    f.mutable_signature()->set_name("f" + std::to_string(i));
    f.mutable_signature()->add_input_arg()->set_name("t");
    f.mutable_signature()->add_output_arg()->set_name("r");
    (*f.mutable_ret())["r"] = i < 59 ? "b:output:0" : "b:y:0";
    for (const auto& node : body.node()) *f.add_node_def() = node;
  }
  expect_error(g, Code::kLimit, "");
  // One that calls itself.
  (*g.mutable_library()->mutable_function(1)->mutable_node_def(0)->mutable_attr())["f"]
      .mutable_func()
      ->set_name("f0");
  expect_error(g, Code::kInvalidArgument, "calls itself");
}

TEST(TensorflowMalformed, LongChainsAndDeepBranches) {
  // As deep as it is long: neither may use the stack.
  GraphDef g;
  add_placeholder(g, "n0", DType::kF32, {1});
  for (int i = 0; i < 20000; ++i) {
    add_node(g, "n" + std::to_string(i + 1) + " Neg(n" + std::to_string(i) + ")");
  }
  EXPECT_TRUE(import_graph(g).ok());
  g.Clear();
  add_placeholder(g, "m0", DType::kF32, {1});
  add_placeholder(g, "p", DType::kBool, {});
  for (int i = 0; i < 300; ++i) {
    const std::string k = std::to_string(i);
    // Each branch stands in the one before.
    add_node(g, "q" + k + " LogicalNot(p)");
    add_node(
        g, "s" + k + " Switch(" + (i == 0 ? "m0" : "s" + std::to_string(i - 1)) + ", q" + k + ")");
  }
  std::string inner = "s299";
  for (int i = 299; i >= 0; --i) {
    const std::string k = std::to_string(i);
    add_node(g, "m_" + k + " Merge(" + inner + ", s" + k + ":1)");
    inner = "m_" + k;
  }
  expect_error(g, Code::kLimit, "nested");
}

TEST(TensorflowMalformed, TextBombs) {
  std::string text = "node { name: 'x' op: 'Const' attr { key: 'value' value { ";
  for (int i = 0; i < 100000; ++i) text += "list { tensor { ";
  const auto model = import_text(text);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), Code::kInvalidArgument) << model.status().message();
}

TEST(TensorflowMalformed, CutOffAnywhere) {
  const std::string whole = small().SerializeAsString();
  for (size_t n = 0; n < whole.size(); n += 3) (void)import_text(whole.substr(0, n));
}

TEST(TensorflowMalformed, Mutations) {
  const std::string whole = small().SerializeAsString();
  std::mt19937 random(20240611);
  ImportOptions options;
  options.keys["max_nodes"] = "4096";
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = whole;
    const int changes = 1 + static_cast<int>(random() % 4);
    for (int c = 0; c < changes; ++c) {
      const size_t at = random() % bytes.size();
      switch (random() % 3) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8))); break;
        default: bytes.erase(at, 1 + random() % 3); break;
      }
    }
    const auto model = import_text(bytes, options);
    if (model.ok()) {
      EXPECT_TRUE(verify(model->graph).ok()) << "mutation " << i;
    }
  }
}

}  // namespace
}  // namespace mnn::testing
