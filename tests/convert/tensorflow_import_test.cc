// TensorFlow graphs as wholes: the border, functions, control flow, variables, and what is refused.
#include <gtest/gtest.h>

#include <sstream>

#include "libconvert/frontends/tensorflow/importer.h"
#include "libruntime/core/op.h"
#include "tests/convert/case_values.h"
#include "tests/convert/tensorflow_builder.h"

namespace mnn::testing {
namespace {

using tensorflow::GraphDef;

// Lines "in NAME TYPE dims", "const NAME i32|f32 values…", "node …".
GraphDef graph_of(const std::vector<std::string>& lines) {
  GraphDef graph;
  for (const std::string& line : lines) {
    std::istringstream in(line);
    std::string word, name, type;
    in >> word;
    if (word == "node") {
      add_node(graph, line.substr(5));
      continue;
    }
    in >> name >> type;
    const DType dtype = *parse_dtype(type);
    std::vector<int64_t> dims;
    Values values;
    for (double v = 0; in >> v;) {
      dims.push_back(static_cast<int64_t>(v));
      values.push_back(v);
    }
    if (word == "in") {
      add_placeholder(graph, name, dtype, dims);
    } else {
      const bool one = values.size() == 1;
      add_constant(graph, name, dtype,
                   one ? std::vector<int64_t>{} : std::vector<int64_t>{std::ssize(values)},
                   packed(dtype, values));
    }
  }
  return graph;
}

// A function "NAME(a, b) -> result:output:0" whose nodes follow; operands of type f32.
void add_function(GraphDef& graph, const std::string& name, const std::vector<std::string>& args,
                  const std::vector<std::string>& results, const GraphDef& nodes) {
  auto& f = *graph.mutable_library()->add_function();
  f.mutable_signature()->set_name(name);
  for (const std::string& a : args) f.mutable_signature()->add_input_arg()->set_name(a);
  for (size_t i = 0; i < results.size(); ++i) {
    const std::string result = "r" + std::to_string(i);
    f.mutable_signature()->add_output_arg()->set_name(result);
    (*f.mutable_ret())[result] = results[i];
  }
  for (const auto& node : nodes.node()) *f.add_node_def() = node;
}

Values run(const Graph& graph, const std::vector<Tensor>& feeds, size_t output = 0) {
  const auto out = run_reference(graph, feeds);
  EXPECT_TRUE(out.ok()) << out.status().message();
  return out.ok() ? *(*out)[output].to_doubles() : Values{};
}

Tensor vector_of(const std::vector<float>& values) {
  return Tensor::of<float>({std::ssize(values)}, values);
}

std::vector<std::string> names_of(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<std::string> names;
  for (const ValueId v : ids) names.push_back(graph.value(v).name);
  return names;
}

TEST(TensorflowImport, Border) {
  GraphDef graph = graph_of(
      {"in x f32 2", "in unread f32 2", "const two f32 2",
       "node train PlaceholderWithDefault(no) dtype=type:bool shape=shape:", "node d Mul(x, two)",
       "node m PlaceholderWithDefault(d) dtype=type:f32 shape=shape:2",
       "node s Split(axis, m) num_split=i:2", "const axis i32 0", "node quiet NoOp(^m)",
       "node w Switch(m, train)", "node a Neg(w)", "node b Exp(w:1)", "node out Merge(a, b)"});
  add_constant(graph, "no", DType::kBool, {}, std::string(1, '\0'));
  const auto model = import_graph(graph);
  ASSERT_TRUE(model.ok()) << model.status().message();
  // Placeholders that are read, but for those that keep their default; what nobody reads comes out.
  EXPECT_EQ(names_of(model->graph, model->graph.inputs), std::vector<std::string>{"x"});
  EXPECT_EQ(names_of(model->graph, model->graph.outputs),
            (std::vector<std::string>{"s", "s:1", "out"}));
  EXPECT_EQ(run(model->graph, {vector_of({1, 2})}, 2), (Values{-2, -4}));
  ImportOptions options;
  options.keys = {{"input_names", "d,train"}, {"output_names", "out:0,a"}};
  const auto part = import_graph(graph, options);
  ASSERT_FALSE(part.ok());
  EXPECT_NE(part.status().message().find("the type of the tensor is not told"), std::string::npos)
      << part.status().message();
  options.keys = {{"input_names", "x:0,train"}, {"output_names", "out:0,a"}};
  const auto whole = import_graph(graph, options);
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  EXPECT_EQ(names_of(whole->graph, whole->graph.inputs), (std::vector<std::string>{"x", "train"}));
  EXPECT_EQ(names_of(whole->graph, whole->graph.outputs), (std::vector<std::string>{"out", "a"}));
  options.keys = {{"output_names", "nowhere"}};
  EXPECT_EQ(import_graph(graph, options).status().code(), Code::kUsage);
}

TEST(TensorflowImport, DilatedConvolutionsAreOne) {
  GraphDef graph;
  add_placeholder(graph, "x", DType::kF32, {1, 6, 6, 1});
  add_constant(graph, "f", DType::kF32, {3, 3, 1, 1}, packed(DType::kF32, ramp(9)));
  add_constant(graph, "b", DType::kI32, {2}, packed(DType::kI32, {2, 2}));
  add_constant(graph, "p", DType::kI32, {2, 2}, packed(DType::kI32, {2, 2, 2, 2}));
  add_constant(graph, "c", DType::kI32, {2, 2}, packed(DType::kI32, {0, 0, 0, 0}));
  add_node(graph, "s SpaceToBatchND(x, b, p)");
  add_node(graph, "v Conv2D(s, f) strides=ints:1,1,1,1 padding=s:VALID");
  add_node(graph, "y BatchToSpaceND(v, b, c)");
  auto model = import_graph(graph);
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_TRUE(optimize(model->graph).ok());
  size_t convolutions = 0;
  for (const Node& node : model->graph.nodes) {
    convolutions += node.op == "Conv";
    EXPECT_TRUE(node.op == "Conv" || node.op == "Reshape" || node.op == "Transpose") << node.op;
  }
  EXPECT_EQ(convolutions, 1u);
}

TEST(TensorflowImport, TextForm) {
  const auto model = import_text(
      "node { name: 'x' op: 'Placeholder' attr { key: 'dtype' value { type: 1 } }\n"
      "  attr { key: 'shape' value { shape { dim { size: -1 } dim { size: 2 } } } } }\n"
      "node { name: 'y' op: 'Relu' input: 'x' }\n"
      "versions { producer: 21 }\n");
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->facts.at("graph_version"), "21");
  EXPECT_EQ(model->graph.value(model->graph.inputs[0]).type.str(), "f32[x.0,2]");
  const auto wrong = import_text("node { name: 'x' op: 'Relu' input: }\n");
  EXPECT_EQ(wrong.status().code(), Code::kInvalidArgument);
  EXPECT_NE(wrong.status().message().find("line 1"), std::string::npos);
}

TEST(TensorflowImport, FunctionsAreInlined) {
  GraphDef graph = graph_of({"in x f32 4", "node c StatefulPartitionedCall(x) f=func:outer",
                             "node y Neg(c:1)", "node z own(x)"});
  // Outputs of nodes in functions go by the names of the operator's results.
  add_function(graph, "inner", {"a"}, {"t:values:0", "t:indices:0"},
               graph_of({"const k i32 2", "node t TopKV2(a, k:output:0)"}));
  add_function(graph, "outer", {"p"}, {"i:output:1", "n:y:0"},
               graph_of({"node i PartitionedCall(p) f=func:inner", "node n Neg(i:output:0)"}));
  add_function(graph, "own", {"a"}, {"n:y:0"}, graph_of({"node n Exp(a)"}));
  ImportOptions options;
  options.keys["output_names"] = "y,c,z";
  const auto model = import_graph(graph, options);
  ASSERT_TRUE(model.ok()) << model.status().message();
  const std::vector<Tensor> feed = {vector_of({1, 9, 3, 0})};
  EXPECT_EQ(run(model->graph, feed, 0), (Values{9, 3}));
  EXPECT_EQ(run(model->graph, feed, 1), (Values{1, 2}));
  EXPECT_NEAR(run(model->graph, feed, 2)[3], 1, 1e-6);
}

GraphDef branching(const std::string& op) {
  GraphDef graph = graph_of({"in p i32", "in x f32 2", "node z " + op});
  add_function(graph, "neg", {"a"}, {"n:y:0"}, graph_of({"node n Neg(a)"}));
  add_function(graph, "twice", {"a"}, {"n:z:0"}, graph_of({"node n AddV2(a, a)"}));
  add_function(graph, "same", {"a"}, {"a"}, GraphDef());
  return graph;
}

TEST(TensorflowImport, Branches) {
  const Tensor x = vector_of({1, 2});
  for (const std::string op : {"If", "StatelessIf"}) {
    const auto model =
        import_graph(branching(op + "(p, x) then_branch=func:neg else_branch=func:twice"));
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(run(model->graph, {Tensor::scalar<int32_t>(3), x}), (Values{-1, -2}));
    EXPECT_EQ(run(model->graph, {Tensor::scalar<int32_t>(0), x}), (Values{2, 4}));
  }
  for (const std::string op : {"Case", "StatelessCase"}) {
    const auto model = import_graph(branching(op + "(p, x) branches=funcs:neg,twice,same"));
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(run(model->graph, {Tensor::scalar<int32_t>(0), x}), (Values{-1, -2}));
    EXPECT_EQ(run(model->graph, {Tensor::scalar<int32_t>(1), x}), (Values{2, 4}));
    EXPECT_EQ(run(model->graph, {Tensor::scalar<int32_t>(2), x}), (Values{1, 2}));
    EXPECT_EQ(run(model->graph, {Tensor::scalar<int32_t>(-1), x}), (Values{1, 2}));
  }
  // The lowered form of a Case.
  const auto lowered = import_graph(
      graph_of({"in p i32", "in x f32 2", "node w _SwitchN(x, p) num_outs=i:3", "node a Neg(w)",
                "node b AddV2(w:1, w:1)", "node c Identity(w:2)", "node z Merge(a, b, c)"}));
  ASSERT_TRUE(lowered.ok()) << lowered.status().message();
  EXPECT_EQ(run(lowered->graph, {Tensor::scalar<int32_t>(1), x}), (Values{2, 4}));
  EXPECT_EQ(run(lowered->graph, {Tensor::scalar<int32_t>(7), x}), (Values{1, 2}));
}

TEST(TensorflowImport, Loops) {
  for (const std::string op : {"While", "StatelessWhile"}) {
    // What grows with each trip has no fixed shape; what stays is not carried.
    GraphDef graph = graph_of({"in n i32", "in x f32 1", "const zero i32 0",
                               "node w " + op + "(zero, x, n) cond=func:less body=func:grow",
                               "node y Identity(w:1)", "node k Identity(w)"});
    add_function(graph, "less", {"i", "v", "most"}, {"l:z:0"}, graph_of({"node l Less(i, most)"}));
    add_function(graph, "grow", {"i", "v", "most"}, {"a:z:0", "c:output:0", "most"},
                 graph_of({"const one i32 1", "const axis i32 0", "node a AddV2(i, one:output:0)",
                           "node c ConcatV2(v, v, axis:output:0)"}));
    const auto model = import_graph(graph);
    ASSERT_TRUE(model.ok()) << model.status().message();
    const std::vector<Tensor> feeds = {Tensor::scalar<int32_t>(2), vector_of({5})};
    EXPECT_EQ(run(model->graph, feeds, 0), (Values{5, 5, 5, 5}));
    EXPECT_EQ(run(model->graph, feeds, 1), (Values{2}));
    for (const Node& node : model->graph.nodes) {
      if (node.op == "Loop") {
        EXPECT_EQ(node.inputs.size(), 4u);
      }
    }
  }
}

TEST(TensorflowImport, LoopsOverReferences) {
  const auto model = import_graph(
      graph_of({"const z i32 0", "const o i32 1", "in n i32", "node ei RefEnter(z) frame_name=s:f",
                "node en RefEnter(n) frame_name=s:f", "node eo RefEnter(o) frame_name=s:f",
                "node mi RefMerge(ei, ni)", "node c Less(mi, en)", "node l LoopCond(c)",
                "node si RefSwitch(mi, l)", "node ai AddV2(si:1, eo)",
                "node ni RefNextIteration(ai)", "node y RefExit(si)"}));
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(run(model->graph, {Tensor::scalar<int32_t>(6)}), (Values{6}));
}

TEST(TensorflowImport, Variables) {
  tensorflow::Program program;
  program.graph = graph_of({"in x f32 2", "in i i32 1", "node v VarHandleOp() dtype=type:f32",
                            "node t StatefulPartitionedCall(v, x) f=func:times",
                            "node g ResourceGather(v, i)", "node d ResourceGatherNd(v, i)",
                            "node u VariableV2() dtype=type:f32", "node s AddV2(x, u)"});
  add_function(
      program.graph, "times", {"handle", "a"}, {"m:z:0"},
      graph_of({"node r ReadVariableOp(handle) dtype=type:f32", "node m Mul(a, r:value:0)"}));
  const Type two = tensor_type(DType::kF32, {Dim(2)});
  program.inputs = {{"x", "x:0", two}, {"i", "i:0", tensor_type(DType::kI32, {Dim(1)})}};
  program.outputs = {{"t", "t:0", two}, {"g", "g:0", {}}, {"d", "d:0", {}}, {"s", "s:0", {}}};
  program.variables = {{"v", vector_of({3, 4})}, {"u", vector_of({10, 20})}};
  tensorflow::Program without = program;
  const auto model = tensorflow::import_program(std::move(program), {}, {1000, 10});
  ASSERT_TRUE(model.ok()) << model.status().message();
  const std::vector<Tensor> feeds = {vector_of({1, 2}), Tensor::of<int32_t>({1}, std::vector{1})};
  EXPECT_EQ(run(model->graph, feeds, 0), (Values{3, 8}));
  EXPECT_EQ(run(model->graph, feeds, 1), (Values{4}));
  EXPECT_EQ(run(model->graph, feeds, 2), (Values{4}));
  EXPECT_EQ(run(model->graph, feeds, 3), (Values{11, 22}));
  without.variables.erase("v");
  const auto empty = tensorflow::import_program(std::move(without), {}, {1000, 10});
  EXPECT_EQ(empty.status().code(), Code::kInvalidArgument);
  EXPECT_NE(empty.status().message().find("variable v has no content"), std::string::npos)
      << empty.status().message();
}

tensorflow::Program accumulating(const std::vector<std::string>& body) {
  tensorflow::Program program;
  program.graph = graph_of({"in x f32 2", "node v VarHandleOp() dtype=type:f32",
                            "node y StatefulPartitionedCall(v, x) f=func:step"});
  add_function(program.graph, "step", {"handle", "a"}, {"out:output:0"}, graph_of(body));
  program.inputs = {{"x", "x:0", tensor_type(DType::kF32, {Dim(2)})}};
  program.outputs = {{"y", "y:0", {}}};
  program.variables = {{"v", vector_of({3, 4})}};
  return program;
}

TEST(TensorflowImport, AssignedVariablesAreStates) {
  // What is read before the assignment is the state, what is read after it is the sum.
  const auto model = tensorflow::import_program(
      accumulating({"node r ReadVariableOp(handle) dtype=type:f32", "node s AddV2(r:value:0, a)",
                    "node w AssignVariableOp(handle, s:z:0)",
                    "node late ReadVariableOp(handle, ^w) dtype=type:f32",
                    "node out Sub(late:value:0, r:value:0)"}),
      {}, {1000, 10});
  ASSERT_TRUE(model.ok()) << model.status().message();
  ASSERT_EQ(model->graph.updates.size(), 1u);
  const ValueId state = model->graph.updates[0].state;
  EXPECT_EQ(model->graph.value(state).kind, ValueKind::kState);
  EXPECT_EQ(run(model->graph, {vector_of({1, 2})}), (Values{1, 2}));
  // An assignment that only the order of things asks for.
  const auto counts = tensorflow::import_program(
      accumulating({"node r ReadVariableOp(handle) dtype=type:f32",
                    "node w AssignAddVariableOp(handle, a, ^r)", "node out Identity(r, ^w)"}),
      {}, {1000, 10});
  ASSERT_TRUE(counts.ok()) << counts.status().message();
  EXPECT_EQ(counts->graph.updates.size(), 1u);
  const auto twice = tensorflow::import_program(
      accumulating({"node w AssignVariableOp(handle, a)",
                    "node u AssignSubVariableOp(handle, a, ^w)",
                    "node out ReadVariableOp(handle, ^u) dtype=type:f32"}),
      {}, {1000, 10});
  EXPECT_EQ(twice.status().code(), Code::kUnsupported);
  EXPECT_NE(twice.status().message().find("variable v is assigned twice"), std::string::npos)
      << twice.status().message();
}

TEST(TensorflowImport, EveryUnknownOperatorIsNamed) {
  GraphDef graph = graph_of({"in x f32 2", "node a Fresh(x)", "node b Neg(a)",
                             "node c StringLower(b)", "node dead Other(x)", "node n Neg(dead)",
                             "node w While(a, x) cond=func:f body=func:f", "node y AddV2(c, w)"});
  add_function(graph, "f", {"i", "v"}, {"r:output:0", "v"}, graph_of({"node r RandomUniform(i)"}));
  ImportOptions options;
  options.keys["output_names"] = "y";
  const auto model = import_graph(graph, options);
  ASSERT_EQ(model.status().code(), Code::kUnsupported);
  for (const char* part : {"node a (Fresh)", "node c (StringLower)", "f/r (RandomUniform)"}) {
    EXPECT_NE(model.status().message().find(part), std::string::npos) << model.status().message();
  }
  EXPECT_EQ(model.status().message().find("Other"), std::string::npos);
}

}  // namespace
}  // namespace mnn::testing
