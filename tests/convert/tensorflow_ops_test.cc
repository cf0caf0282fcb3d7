// Every operator of TensorFlow against numbers of TensorFlow: tests/convert/tensorflow/*.txt.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "libconvert/frontends/tensorflow/importer.h"
#include "libruntime/core/op.h"
#include "tests/convert/case_values.h"
#include "tests/convert/tensorflow_builder.h"

namespace mnn::testing {
namespace {

struct Operand {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> dims;
  Values values;
  double tolerance = 0;
};

// "x f32[2,3] ~ 0.1 = 1 2 3"
Operand operand(const std::string& text) {
  Operand o;
  const size_t space = text.find(' '), open = text.find('['), close = text.find(']');
  const size_t equals = text.find('=', close), tilde = text.find('~', close);
  o.name = text.substr(0, space);
  o.dtype = *parse_dtype(text.substr(space + 1, open - space - 1));
  std::istringstream dims(text.substr(open + 1, close - open - 1));
  int64_t elements = 1;
  for (std::string d; std::getline(dims, d, ',');) {
    o.dims.push_back(std::stoll(d));
    elements *= o.dims.back();
  }
  if (tilde < equals) o.tolerance = std::stod(text.substr(tilde + 1));
  std::istringstream values(text.substr(equals + 1));
  for (std::string one; values >> one;) {
    if (one == "ramp") o.values = ramp(elements);
    if (one != "ramp") o.values.push_back(std::stod(one));
  }
  return o;
}

Tensor tensor_of(const Operand& o) {
  Tensor t = *Tensor::allocate(o.dtype, o.dims);
  const std::string bytes = packed(o.dtype, o.values);
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(t.raw()));
  return t;
}

using Names = std::map<std::string, std::set<std::string>>;

void collect(const Graph& graph, const std::map<std::string, std::string>& op_of, Names& becomes) {
  for (const Node& node : graph.nodes) {
    for (const std::string& origin : node.origin) {
      const auto op = op_of.find(origin);
      if (op != op_of.end()) becomes[op->second].insert(node.op);
    }
    for (const Graph& g : node.subgraphs) collect(g, op_of, becomes);
  }
}

void run(const Case& c, Names& becomes) {
  tensorflow::GraphDef graph;
  std::vector<Tensor> feeds;
  std::vector<Operand> expected;
  std::map<std::string, std::string> op_of;
  std::string inputs, outputs;
  for (const std::string& line : c.lines) {
    const std::string word = line.substr(0, line.find(' ')), rest = line.substr(word.size() + 1);
    if (word == "node") {
      add_node(graph, rest);
      const auto& node = graph.node(graph.node_size() - 1);
      op_of[node.name()] = node.op();
      becomes[node.op()];
      continue;
    }
    const Operand o = operand(rest);
    if (word == "in") {
      add_placeholder(graph, o.name, o.dtype, o.dims);
      inputs += (inputs.empty() ? "" : ",") + o.name;
      feeds.push_back(tensor_of(o));
    } else if (word == "const") {
      add_constant(graph, o.name, o.dtype, o.dims, packed(o.dtype, o.values));
    } else {
      outputs += (outputs.empty() ? "" : ",") + o.name;
      expected.push_back(o);
    }
  }
  ImportOptions options;
  // One that nobody reads is none by itself.
  if (!inputs.empty()) options.keys["input_names"] = inputs;
  options.keys["output_names"] = outputs;
  Result<ImportedModel> model = import_graph(graph, options);
  ASSERT_TRUE(model.ok()) << c.where << ": " << model.status().message();
  collect(model->graph, op_of, becomes);
  run_both_ways(*model, feeds, c.where,
                [&](const std::vector<Tensor>& out, const std::string& where) {
                  ASSERT_EQ(out.size(), expected.size()) << where;
                  for (size_t i = 0; i < expected.size(); ++i) {
                    const std::string which = where + " " + expected[i].name;
                    ASSERT_EQ(out[i].dtype(), expected[i].dtype) << which;
                    ASSERT_EQ(out[i].dims(), expected[i].dims) << which;
                    expect_values(out[i], expected[i].values, expected[i].tolerance, which);
                  }
                });
}

// What the operators become: docs/operators-tensorflow.md. MNN_UPDATE=1 writes it.
std::string page(const Names& becomes) {
  std::string text =
      "# Operators of TensorFlow\n\n"
      "Written by `tensorflow_test` (`MNN_UPDATE=1` renews it) from the cases in "
      "`tests/convert/tensorflow/`, whose numbers are TensorFlow's. Those without an entry only "
      "hand on what they are given, or are known when the model is converted.\n\n"
      "| operator | becomes |\n|---|---|\n";
  for (const std::string& name : tensorflow::supported_operators()) {
    std::string into;
    const auto row = becomes.find(name);
    if (row != becomes.end()) {
      for (const std::string& op : row->second) into += (into.empty() ? "" : ", ") + op;
    }
    text += "| " + name + " | " + into + " |\n";
  }
  return text;
}

// What a case cannot say is tested with whole graphs (tensorflow_import_test.cc).
const std::set<std::string> kTestedElsewhere = {"Assert",
                                                "Assign",
                                                "AssignAdd",
                                                "AssignAddVariableOp",
                                                "AssignSub",
                                                "AssignSubVariableOp",
                                                "AssignVariableOp",
                                                "Case",
                                                "If",
                                                "NoOp",
                                                "PartitionedCall",
                                                "Placeholder",
                                                "PlaceholderV2",
                                                "PlaceholderWithDefault",
                                                "PrintV2",
                                                "ReadVariableOp",
                                                "RefEnter",
                                                "RefExit",
                                                "RefMerge",
                                                "RefNextIteration",
                                                "RefSwitch",
                                                "ResourceGather",
                                                "ResourceGatherNd",
                                                "StatefulPartitionedCall",
                                                "StatelessCase",
                                                "StatelessIf",
                                                "StatelessWhile",
                                                "VarHandleOp",
                                                "Variable",
                                                "VariableV2",
                                                "While",
                                                "_SwitchN"};

TEST(TensorflowOps, Cases) {
  Names becomes = {{"Case", {"If"}},
                   {"If", {"If"}},
                   {"StatelessCase", {"If"}},
                   {"StatelessIf", {"If"}},
                   {"StatelessWhile", {"Loop"}},
                   {"While", {"Loop"}},
                   {"_SwitchN", {"If"}},
                   {"ResourceGather", {"Gather"}},
                   {"ResourceGatherNd", {"GatherND"}}};
  for (const Case& c : read_cases(MNN_TENSORFLOW_CASES)) run(c, becomes);
  const std::string path = MNN_TENSORFLOW_PAGE;
  if (std::getenv("MNN_UPDATE") != nullptr) std::ofstream(path) << page(becomes);
  std::ifstream in(path);
  const std::string written((std::istreambuf_iterator<char>(in)), {});
  EXPECT_EQ(written, page(becomes)) << path << " is not current: run with MNN_UPDATE=1";
}

TEST(TensorflowOps, EveryOperatorHasACase) {
  std::set<std::string> tested = kTestedElsewhere;
  for (const Case& c : read_cases(MNN_TENSORFLOW_CASES)) {
    for (const std::string& line : c.lines) {
      std::istringstream in(line);
      std::string word, name, op;
      in >> word >> name >> op;
      if (word == "const") tested.insert("Const");
      if (word == "node") tested.insert(op.substr(0, op.find('(')));
    }
  }
  for (const std::string& name : tensorflow::supported_operators()) {
    EXPECT_TRUE(tested.contains(name)) << name << " has no case";
  }
  EXPECT_GE(tensorflow::supported_operators().size(), 180u);
}

}  // namespace
}  // namespace mnn::testing
