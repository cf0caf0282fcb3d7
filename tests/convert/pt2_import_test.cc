// Exported programs: the archive's layouts, names, states, control flow, in-place writes, errors.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "libconvert/convert.h"
#include "libruntime/core/io/npy.h"
#include "libruntime/core/io/zip.h"
#include "libruntime/core/metrics.h"
#include "libruntime/core/op.h"
#include "tests/convert/pt2_builder.h"
#include "tests/test_data.h"

namespace mnn {
namespace {

using testing::ProgramBuilder;
using Json = nlohmann::json;
using B = ProgramBuilder;

// A file of its own per test.
std::string write_temporary(const std::string& bytes) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::string path =
      std::filesystem::temp_directory_path() / ("mnn_pt2_" + std::string(test->name()) + ".pt2");
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

Result<ImportedModel> import_bytes(const std::string& bytes, const ImportOptions& options = {}) {
  const std::string path = write_temporary(bytes);
  Result<ImportedModel> model = import_model(path, options);
  std::filesystem::remove(path);
  return model;
}

std::vector<float> floats(const Tensor& t) {
  const Result<std::vector<double>> values = t.to_doubles();
  return {values->begin(), values->end()};
}

// Runs the graph with and without the passes: both agree.
std::vector<Tensor> run_both(const Graph& graph, const std::vector<Tensor>& inputs) {
  Result<std::vector<Tensor>> plain = run_reference(graph, inputs);
  EXPECT_TRUE(plain.ok()) << plain.status().message();
  Graph fused = graph;
  EXPECT_TRUE(optimize(fused).ok());
  const Result<std::vector<Tensor>> after = run_reference(fused, inputs);
  EXPECT_TRUE(after.ok()) << after.status().message();
  if (!plain.ok() || !after.ok()) return {};
  for (size_t i = 0; i < plain->size(); ++i) {
    const std::vector<float> a = floats((*plain)[i]), b = floats((*after)[i]);
    EXPECT_EQ(a.size(), b.size());
    for (size_t k = 0; k < std::min(a.size(), b.size()); ++k) EXPECT_NEAR(a[k], b[k], 1e-4) << k;
  }
  return std::move(plain).value();
}

std::vector<float> run_one(const ProgramBuilder& program, const std::vector<Tensor>& inputs) {
  const Result<ImportedModel> model = import_bytes(program.archive());
  EXPECT_TRUE(model.ok()) << model.status().message();
  if (!model.ok()) return {};
  const std::vector<Tensor> outputs = run_both(model->graph, inputs);
  return outputs.empty() ? std::vector<float>() : floats(outputs[0]);
}

Tensor row(const std::vector<float>& values) {
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}

// in0, in1 … and out0, out1 … of a golden file.
void expect_golden(const std::string& model_file, const std::string& golden_file) {
  SCOPED_TRACE(model_file);
  const Result<ImportedModel> model = import_model(test_data("data/torch/" + model_file));
  ASSERT_TRUE(model.ok()) << model.status().message();
  auto golden = read_npz(test_data("data/torch/" + golden_file));
  ASSERT_TRUE(golden.ok()) << golden.status().message();
  std::vector<Tensor> inputs, expected;
  for (size_t i = 0; golden->contains("in" + std::to_string(i)); ++i)
    inputs.push_back((*golden)["in" + std::to_string(i)]);
  for (size_t i = 0; golden->contains("out" + std::to_string(i)); ++i)
    expected.push_back((*golden)["out" + std::to_string(i)]);
  if (inputs.empty()) {
    for (const auto& [name, tensor] : *golden)
      (name.starts_with("in") ? inputs : expected).push_back(tensor);
  }
  const std::vector<Tensor> found = run_both(model->graph, inputs);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].dims(), expected[i].dims());
    const std::vector<float> a = floats(found[i]), b = floats(expected[i]);
    float largest = 0;
    for (const float v : b) largest = std::max(largest, std::abs(v));
    ASSERT_EQ(a.size(), b.size());
    for (size_t k = 0; k < a.size(); ++k)
      ASSERT_NEAR(a[k], b[k], 1e-4f * largest) << "output " << i << " element " << k;
  }
}

TEST(Pt2, RealFilesMatchPyTorch) {
  expect_golden("fmnist_dscnn.pt2", "fmnist_dscnn.golden.npz");
  expect_golden("map_rows.pt2", "map_rows.golden.npz");
  expect_golden("symbolic_shapes.pt2", "symbolic_shapes.golden.npz");
  expect_golden("embbag_dlrm.torch25.pt2", "embbag_dlrm.golden.npz");
}

TEST(Pt2, TheSamePlanAsFromOnnx) {
  Result<ImportedModel> exported = import_model(test_data("data/torch/fmnist_dscnn.pt2"));
  Result<ImportedModel> onnx = import_model(test_data("data/torch/fmnist_dscnn.onnx"));
  ASSERT_TRUE(exported.ok() && onnx.ok());
  ASSERT_TRUE(optimize(exported->graph).ok() && optimize(onnx->graph).ok());
  const auto plan = [](const Graph& graph) {
    std::vector<std::string> steps;
    for (const Node& node : graph.nodes) {
      std::string step = node.op;
      for (const FusedOp& f : node.fused) step += "+" + f.op;
      if (has_traits(node.op, OpTraits()) || node.op != "Reshape") steps.push_back(step);
    }
    std::erase_if(steps, [](const std::string& s) {
      return s == "Reshape" || s == "Flatten" || s == "Squeeze";
    });
    return steps;
  };
  EXPECT_EQ(plan(exported->graph), plan(onnx->graph));
  auto golden = read_npz(test_data("data/torch/fmnist_dscnn.golden.npz"));
  ASSERT_TRUE(golden.ok());
  std::vector<Tensor> inputs;
  for (const auto& [name, tensor] : *golden) {
    if (name.starts_with("in")) inputs.push_back(tensor);
  }
  const Result<std::vector<Tensor>> a = run_reference(exported->graph, inputs),
                                    b = run_reference(onnx->graph, inputs);
  ASSERT_TRUE(a.ok() && b.ok());
  const std::vector<float> x = floats((*a)[0]), y = floats((*b)[0]);
  float largest = 0;
  for (const float v : y) largest = std::max(largest, std::abs(v));
  for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], 1e-4f * largest);
}

// torch 2.8 keeps torch.save archives in the later layout.
TEST(Pt2, TheLayoutBetween) {
  const auto file = map_file(test_data("data/torch/embbag_dlrm.torch25.pt2"));
  ASSERT_TRUE(file.ok());
  const Result<ZipArchive> old = ZipArchive::open(*file);
  ASSERT_TRUE(old.ok());
  const std::map<std::string, std::string> places = {
      {"serialized_exported_program.json", "n/models/net.json"},
      {"serialized_state_dict.pt", "n/data/weights/net.pt"},
      {"serialized_constants.pt", "n/data/constants/net.pt"}};
  testing::Records records = {{"n/archive_format", "pt2"}};
  for (const auto& [from, to] : places) {
    const auto data = old->read(*old->find(from), 1 << 20);
    ASSERT_TRUE(data.ok());
    records.emplace_back(
        to, std::string(reinterpret_cast<const char*>(data->bytes.data()), data->bytes.size()));
  }
  const Result<ImportedModel> model = import_bytes(testing::zip_of(records));
  ASSERT_TRUE(model.ok()) << model.status().message();
  const Result<ImportedModel> first = import_model(test_data("data/torch/embbag_dlrm.torch25.pt2"));
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(model->graph.nodes.size(), first->graph.nodes.size());
  EXPECT_EQ(model->facts.at("schema"), "7.3");
}

TEST(Pt2, NamesAreThoseOfTheSource) {
  ProgramBuilder p;
  p.stored("parameter", "p_w", {2, 3}, {1, 2, 3, 4, 5, 6});
  p.input("x", {1, 3});
  p.node("torch.ops.aten.linear.default", {{"input", B::tensor("x")}, {"weight", B::tensor("p_w")}},
         Json::array({B::tensor("linear")}), "net.fc");
  p.aten("relu.default", {{"self", B::tensor("linear")}}, "relu");
  p.output("relu");
  p.output("x");
  p.output("relu");
  const Result<ImportedModel> model = import_bytes(p.archive());
  ASSERT_TRUE(model.ok()) << model.status().message();
  const Graph& g = model->graph;
  EXPECT_EQ(model->format, "pt2");
  EXPECT_EQ(g.value(g.inputs[0]).name, "x");
  ASSERT_EQ(g.outputs.size(), 3u);
  EXPECT_EQ(g.value(g.outputs[0]).name, "relu");
  EXPECT_EQ(g.value(g.outputs[2]).name, "relu_2");
  EXPECT_EQ(g.nodes[0].origin, std::vector<std::string>{"net.fc.linear"});
  const std::vector<Tensor> y =
      run_both(g, {Tensor::of<float>({1, 3}, std::vector<float>{1, 0, -1})});
  EXPECT_EQ(floats(y[0]), (std::vector<float>{0, 0}));
}

TEST(Pt2, TiedWeightsAreOneConstant) {
  ProgramBuilder p;
  p.stored("parameter", "p_a", {2}, {1, 2});
  p.stored("parameter", "p_b", {2}, {1, 2});
  p.config["p_b"] = p.config["p_a"];
  p.input("x", {2});
  p.aten("add.Tensor", {{"self", B::tensor("x")}, {"other", B::tensor("p_a")}}, "s");
  p.aten("mul.Tensor", {{"self", B::tensor("s")}, {"other", B::tensor("p_b")}}, "y");
  p.output("y");
  const Result<ImportedModel> model = import_bytes(p.archive());
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.nodes[0].inputs[1], model->graph.nodes[1].inputs[1]);
}

TEST(Pt2, AChangedBufferIsAState) {
  for (const bool in_place : {false, true}) {
    ProgramBuilder p;
    p.stored("buffer", "b_count", {1}, {5});
    p.input("x", {1});
    if (in_place) {
      p.aten("add_.Tensor", {{"self", B::tensor("b_count")}, {"other", B::tensor("x")}}, "next");
    } else {
      p.aten("add.Tensor", {{"self", B::tensor("b_count")}, {"other", B::tensor("x")}}, "next");
      p.signature["output_specs"].push_back(
          {{"buffer_mutation", {{"arg", {{"name", "next"}}}, {"buffer_name", "b_count"}}}});
    }
    p.aten("mul.Scalar", {{"self", B::tensor("next")}, {"other", {{"as_int", 2}}}}, "y");
    p.output("y");
    const Result<ImportedModel> model = import_bytes(p.archive());
    ASSERT_TRUE(model.ok()) << model.status().message();
    const Graph& g = model->graph;
    ASSERT_EQ(g.updates.size(), 1u);
    const Value& state = g.value(g.updates[0].state);
    EXPECT_EQ(state.kind, ValueKind::kState);
    EXPECT_EQ(floats(state.data), std::vector<float>{5});
    EXPECT_EQ(g.inputs.size(), 1u);
  }
}

// What is written to a view shows in its base and in other views.
TEST(Pt2, WritesGoThroughViews) {
  ProgramBuilder p;
  p.input("x", {2, 2});
  p.aten("clone.default", {{"self", B::tensor("x")}}, "c");
  p.aten("select.int",
         {{"self", B::tensor("c")}, {"dim", {{"as_int", 1}}}, {"index", {{"as_int", 0}}}}, "col");
  p.aten("transpose.int",
         {{"self", B::tensor("c")}, {"dim0", {{"as_int", 0}}}, {"dim1", {{"as_int", 1}}}}, "t");
  p.aten("fill_.Scalar", {{"self", B::tensor("col")}, {"value", {{"as_float", 9.0}}}}, "f");
  p.aten("add.Tensor", {{"self", B::tensor("t")}, {"other", B::tensor("x")}}, "y");
  p.output("y");
  const std::vector<float> y =
      run_one(p, {Tensor::of<float>({2, 2}, std::vector<float>{1, 2, 3, 4})});
  EXPECT_EQ(y, (std::vector<float>{10, 11, 5, 8}));
}

TEST(Pt2, CondBecomesIf) {
  ProgramBuilder yes, no, p;
  yes.input("a", {2});
  yes.aten("neg.default", {{"self", B::tensor("a")}}, "n");
  yes.output("n");
  no.input("a", {2});
  no.aten("add.Scalar", {{"self", B::tensor("a")}, {"other", {{"as_int", 1}}}}, "n");
  no.output("n");
  p.input("x", {2});
  p.aten("sum.default", {{"self", B::tensor("x")}}, "s");
  p.aten("gt.Scalar", {{"self", B::tensor("s")}, {"other", {{"as_int", 0}}}}, "c");
  p.node("torch.ops.higher_order.cond",
         {{"", B::tensor("c")},
          {"", B::graph_arg(yes)},
          {"", B::graph_arg(no)},
          {"", B::tensors({"x"})}},
         Json::array({B::tensor("y")}));
  p.output("y");
  EXPECT_EQ(run_one(p, {row({1, 2})}), (std::vector<float>{-1, -2}));
  EXPECT_EQ(run_one(p, {row({-1, -2})}), (std::vector<float>{0, -1}));
}

TEST(Pt2, WhileLoopBecomesLoop) {
  ProgramBuilder cond, body, p;
  for (ProgramBuilder* g : {&cond, &body}) {
    g->input("v", {1});
    g->input("step", {1});
  }
  cond.aten("lt.Scalar", {{"self", B::tensor("v")}, {"other", {{"as_int", 10}}}}, "l");
  cond.aten("all.default", {{"self", B::tensor("l")}}, "a");
  cond.output("a");
  body.aten("add.Tensor", {{"self", B::tensor("v")}, {"other", B::tensor("step")}}, "n");
  body.output("n");
  p.input("x", {1});
  p.input("step", {1});
  p.node("torch.ops.higher_order.while_loop",
         {{"", B::graph_arg(cond)},
          {"", B::graph_arg(body)},
          {"", B::tensors({"x"})},
          {"", B::tensors({"step"})}},
         Json::array({B::tensor("y")}));
  p.output("y");
  EXPECT_EQ(run_one(p, {row({1}), row({4})}), std::vector<float>{13});
  EXPECT_EQ(run_one(p, {row({11}), row({4})}), std::vector<float>{11});
}

TEST(Pt2, ScanCarriesAndStacks) {
  ProgramBuilder body, p;
  body.input("carry", {2});
  body.input("item", {2});
  body.aten("add.Tensor", {{"self", B::tensor("carry")}, {"other", B::tensor("item")}}, "s");
  body.aten("mul.Scalar", {{"self", B::tensor("s")}, {"other", {{"as_int", 2}}}}, "d");
  body.output("s");
  body.output("d");
  p.input("init", {2});
  p.input("xs", {3, 2});
  p.node("torch.ops.higher_order.scan",
         {{"", B::graph_arg(body)},
          {"", B::tensors({"init"})},
          {"", B::tensors({"xs"})},
          {"", B::tensors({})}},
         Json::array({B::tensor("last"), B::tensor("all")}));
  p.output("all");
  const std::vector<float> y =
      run_one(p, {row({1, 1}), Tensor::of<float>({3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6})});
  EXPECT_EQ(y, (std::vector<float>{4, 6, 10, 14, 20, 26}));
}

TEST(Pt2, Pt2eQuantizationFolds) {
  ProgramBuilder p;
  p.input("x", {1, 4});
  const Json f32 = {{"as_float", 0.5}}, zero = {{"as_int", 3}}, low = {{"as_int", -128}},
             high = {{"as_int", 127}}, i8 = {{"as_scalar_type", 2}};
  const std::string ns = "torch.ops.quantized_decomposed.";
  p.node(ns + "quantize_per_tensor.default",
         {{"input", B::tensor("x")},
          {"scale", f32},
          {"zero_point", zero},
          {"quant_min", low},
          {"quant_max", high},
          {"dtype", i8}},
         Json::array({B::tensor("q")}));
  p.node(ns + "dequantize_per_tensor.default",
         {{"input", B::tensor("q")},
          {"scale", f32},
          {"zero_point", zero},
          {"quant_min", low},
          {"quant_max", high},
          {"dtype", i8}},
         Json::array({B::tensor("d")}));
  p.aten("relu.default", {{"self", B::tensor("d")}}, "y");
  p.output("y");
  Result<ImportedModel> model = import_bytes(p.archive());
  ASSERT_TRUE(model.ok()) << model.status().message();
  const Tensor x = Tensor::of<float>({1, 4}, std::vector<float>{0.3f, -1.0f, 1.2f, 100.0f});
  const Result<std::vector<Tensor>> y = run_reference(model->graph, std::vector<Tensor>{x});
  ASSERT_TRUE(y.ok());
  EXPECT_EQ(floats((*y)[0]), (std::vector<float>{0.5f, 0, 1, 62}));
  ASSERT_TRUE(optimize(model->graph).ok());
  for (const Node& node : model->graph.nodes) EXPECT_NE(node.op, "DequantizeLinear");
}

TEST(Pt2, ShapesComeFromTheUser) {
  ImportOptions options;
  options.shapes["x"] = {3, 12, 6};
  options.shapes["y"] = {3, 4, 6};
  const Result<ImportedModel> model =
      import_model(test_data("data/torch/symbolic_shapes.pt2"), options);
  ASSERT_TRUE(model.ok()) << model.status().message();
  for (const ValueId id : model->graph.outputs)
    EXPECT_TRUE(model->graph.value(id).type.is_static());
  options.shapes["z"] = {1};
  EXPECT_EQ(import_model(test_data("data/torch/symbolic_shapes.pt2"), options).status().code(),
            Code::kUsage);
}

TEST(Pt2, EveryUnsupportedOperatorIsNamed) {
  ProgramBuilder p;
  p.input("x", {2});
  p.node("torch.ops.mine.first.default", {{"self", B::tensor("x")}}, Json::array({B::tensor("a")}),
         "net.block");
  p.aten("relu.default", {{"self", B::tensor("a")}}, "r");
  p.node("torch.ops.mine.second.default", {{"self", B::tensor("r")}},
         Json::array({B::tensor("b")}));
  p.output("b");
  ImportedModel failed;
  ImportOptions options;
  options.failed = &failed;
  const Result<ImportedModel> model = import_bytes(p.archive(), options);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), Code::kUnsupported);
  const std::string& text = model.status().message();
  EXPECT_NE(text.find("net.block.a"), std::string::npos) << text;
  EXPECT_NE(text.find("torch.ops.mine.first.default"), std::string::npos) << text;
  EXPECT_NE(text.find("net.py:7"), std::string::npos) << text;
  EXPECT_NE(text.find("torch.ops.mine.second.default"), std::string::npos) << text;
}

TEST(Pt2, WhatIsNotSoundIsRefused) {
  const auto code_of = [](const ProgramBuilder& p) {
    return import_bytes(p.archive()).status().code();
  };
  const auto sound = [] {
    ProgramBuilder p;
    p.stored("parameter", "p_w", {4}, {1, 2, 3, 4});
    p.input("x", {4});
    p.aten("add.Tensor", {{"self", B::tensor("x")}, {"other", B::tensor("p_w")}}, "y");
    p.output("y");
    return p;
  };
  EXPECT_EQ(code_of(sound()), Code::kOk);
  ProgramBuilder p = sound();
  p.config["p_w"]["tensor_meta"] = B::meta(7, {5});  // past its storage
  EXPECT_EQ(code_of(p), Code::kInvalidArgument);
  p = sound();
  p.config["p_w"]["tensor_meta"]["sizes"][0]["as_int"] = int64_t{1} << 60;
  EXPECT_NE(code_of(p), Code::kOk);
  p = sound();
  p.config["p_w"]["tensor_meta"]["storage_offset"]["as_int"] = -4;
  EXPECT_EQ(code_of(p), Code::kInvalidArgument);
  p = sound();
  p.config.erase("p_w");
  EXPECT_EQ(code_of(p), Code::kInvalidArgument);
  p = sound();
  p.graph["nodes"][0]["inputs"][1]["arg"] = B::tensor("nobody");
  EXPECT_EQ(code_of(p), Code::kInvalidArgument);
  p = sound();
  p.graph["nodes"].push_back(p.graph["nodes"][0]);  // a name given twice
  EXPECT_EQ(code_of(p), Code::kInvalidArgument);
  p = sound();
  p.graph["tensor_values"]["x"]["dtype"] = 99;
  EXPECT_EQ(code_of(p), Code::kUnsupported);
  p = sound();
  p.signature["output_specs"] = Json::array();
  EXPECT_EQ(code_of(p), Code::kInvalidArgument);
  const std::string text = sound().json().dump();
  EXPECT_EQ(import_bytes(sound().archive_of(text.substr(0, text.size() / 2))).status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(import_bytes(sound().archive_of(std::string(1000000, '['))).status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(import_bytes(sound().archive_of(R"({"graph_module": {}})")).status().code(),
            Code::kInvalidArgument);
  std::string newer = text;
  newer.replace(newer.find("\"major\":8"), 9, "\"major\":9");
  EXPECT_EQ(import_bytes(sound().archive_of(newer)).status().code(), Code::kUnsupported);
}

// Graphs inside graphs end somewhere.
TEST(Pt2, DeepNestingIsALimit) {
  ProgramBuilder inner;
  inner.input("a", {1});
  inner.aten("neg.default", {{"self", B::tensor("a")}}, "n");
  inner.output("n");
  for (int i = 0; i < 100; ++i) {
    ProgramBuilder outer;
    outer.input("a", {1});
    outer.node("torch.ops.higher_order.wrap_with_set_grad_enabled",
               {{"", {{"as_bool", false}}}, {"", B::graph_arg(inner)}, {"", B::tensor("a")}},
               Json::array({B::tensor("n")}));
    outer.output("n");
    inner = outer;
  }
  EXPECT_EQ(import_bytes(inner.archive()).status().code(), Code::kLimit);
}

// Values that may stand anywhere in a JSON of hostile make.
Json hostile(std::mt19937& random) {
  switch (random() % 12) {
    case 0: return nullptr;
    case 1: return -1;
    case 2: return INT64_MAX;
    case 3: return INT64_MIN;
    case 4: return 1e308;
    case 5: return "";
    case 6: return "x";
    case 7: return Json::array();
    case 8: return Json::object();
    case 9: return true;
    case 10: return int64_t{1} << 40;
    default: return B::tensor("x");
  }
}

// Changes one place of the tree.
void mutate(Json& root, std::mt19937& random) {
  Json* at = &root;
  for (int depth = 0; depth < 40; ++depth) {
    if (!at->is_structured() || at->empty() || random() % 12 == 0) break;
    auto child = at->begin();
    std::advance(child, static_cast<long>(random() % at->size()));
    if (random() % 40 == 0) {
      at->erase(child);
      return;
    }
    if (at->is_array() && random() % 40 == 0) {
      at->push_back(Json(*child));
      return;
    }
    at = &*child;
  }
  *at = hostile(random);
}

TEST(Pt2, MalformedProgramsAreErrors) {
  constexpr unsigned kSeed = 20;
  constexpr int kEach[] = {160, 50};  // of the small program and of the larger one
  std::mt19937 random(kSeed);
  std::vector<std::pair<Json, ProgramBuilder>> programs;
  for (const char* name : {"map_rows.pt2", "symbolic_shapes.pt2"}) {
    const auto file = map_file(test_data("data/torch/" + std::string(name)));
    const Result<ZipArchive> zip = ZipArchive::open(*file);
    ProgramBuilder whole;
    Json json;
    for (const ZipEntry& e : zip->entries()) {
      const auto data = zip->read(e, 1 << 24);
      std::string bytes(reinterpret_cast<const char*>(data->bytes.data()), data->bytes.size());
      const size_t slash = e.name.find('/');
      if (e.name.ends_with("models/model.json")) {
        json = Json::parse(bytes);
      } else if (e.name.find("data/") != std::string::npos && !e.name.ends_with("config.json")) {
        whole.weights.emplace_back("m" + e.name.substr(slash), bytes);
      } else if (e.name.ends_with("config.json")) {
        const Json config = Json::parse(bytes)["config"];
        for (const auto& [key, value] : config.items()) {
          if (e.name.find("weights/") != std::string::npos) whole.config[key] = value;
        }
      }
    }
    programs.emplace_back(std::move(json), std::move(whole));
  }
  int refused = 0;
  for (size_t n = 0; n < programs.size(); ++n) {
    const auto& [json, whole] = programs[n];
    for (int i = 0; i < kEach[n]; ++i) {
      Json changed = json;
      ProgramBuilder p = whole;
      const int edits = 1 + static_cast<int>(random() % 3);
      for (int e = 0; e < edits; ++e) {
        if (random() % 5 == 0 && !p.config.empty()) {
          mutate(p.config, random);
        } else {
          mutate(changed["graph_module"], random);
        }
      }
      const Result<ImportedModel> model = import_bytes(p.archive_of(changed.dump()));
      if (model.ok()) {
        EXPECT_TRUE(verify(model->graph).ok());
      } else {
        ++refused;
        EXPECT_NE(model.status().code(), Code::kInternal) << model.status().message();
      }
    }
  }
  EXPECT_GT(refused, kEach[0] / 4);
}

}  // namespace
}  // namespace mnn
