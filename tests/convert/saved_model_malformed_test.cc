// SavedModels that lie: each is a Status with the documented code, in bounded time and memory; what
// is read all the same keeps the IR's invariants.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "libconvert/frontends/tensorflow/saved_model.h"
#include "libruntime/core/op.h"
#include "tests/convert/bundle_builder.h"
#include "tests/test_data.h"

namespace mnn::testing {
namespace {

using Files = std::map<std::string, std::string>;
constexpr const char* kModel = "saved_model.pb";
constexpr const char* kIndex = "variables/variables.index";
constexpr const char* kShard = "variables/variables.data-00000-of-00001";
constexpr int kFloat = 1;

std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Files folder(const std::string& name) {
  Files files;
  for (const char* file : {kModel, kIndex, kShard}) {
    files[file] = slurp(test_data("data/tensorflow/" + name + "/" + file));
  }
  return files;
}

Result<ImportedModel> import(const Files& files, const std::string& signature = {}) {
  ImportOptions options;
  options.keys["max_nodes"] = "20000";
  if (!signature.empty()) options.keys["signature"] = signature;
  return import_saved_model(std::as_bytes(std::span(files.at(kModel))), opener(files), options);
}

// y = x + w, w a variable of three floats that the function is given.
struct Model {
  Model() {
    constexpr int kResource = 20;
    tensorflow::MetaGraphDef& m = *model.add_meta_graphs();
    model.set_saved_model_schema_version(1);
    m.mutable_meta_info_def()->add_tags("serve");
    tensorflow::GraphDef& graph = *m.mutable_graph_def();
    const auto node = [&](const std::string& name, const std::string& op,
                          const std::vector<std::string>& inputs) -> tensorflow::NodeDef& {
      tensorflow::NodeDef& n = *graph.add_node();
      n.set_name(name);
      n.set_op(op);
      for (const std::string& i : inputs) n.add_input(i);
      return n;
    };
    (*node("x", "Placeholder", {}).mutable_attr())["dtype"].set_type(kFloat);
    auto& handle = *node("w", "VarHandleOp", {}).mutable_attr();
    handle["dtype"].set_type(kFloat);
    handle["shape"].mutable_shape()->add_dim()->set_size(3);
    auto& call = *node("call", "StatefulPartitionedCall", {"x", "w"}).mutable_attr();
    call["f"].mutable_func()->set_name("add");
    tensorflow::FunctionDef& f = *graph.mutable_library()->add_function();
    f.mutable_signature()->set_name("add");
    const auto argument = [&](const std::string& name, int type) {
      auto* a = f.mutable_signature()->add_input_arg();
      a->set_name(name);
      a->set_type(static_cast<decltype(a->type())>(type));
    };
    argument("a", kFloat);
    argument("v", kResource);
    auto* result = f.mutable_signature()->add_output_arg();
    result->set_name("sum");
    result->set_type(static_cast<decltype(result->type())>(kFloat));
    auto* read = f.add_node_def();
    read->set_name("read");
    read->set_op("ReadVariableOp");
    read->add_input("v");
    (*read->mutable_attr())["dtype"].set_type(kFloat);
    auto* add = f.add_node_def();
    add->set_name("add");
    add->set_op("AddV2");
    add->add_input("a");
    add->add_input("read:value:0");
    (*add->mutable_attr())["T"].set_type(kFloat);
    (*f.mutable_ret())["sum"] = "add:z:0";
    tensorflow::SignatureDef& signature = (*m.mutable_signature_def())["serving_default"];
    const auto info = [&](tensorflow::TensorInfo& i, const std::string& tensor) {
      i.set_name(tensor);
      i.set_dtype(static_cast<decltype(i.dtype())>(kFloat));
      i.mutable_tensor_shape()->add_dim()->set_size(-1);
      i.mutable_tensor_shape()->add_dim()->set_size(3);
    };
    info((*signature.mutable_inputs())["x"], "x:0");
    info((*signature.mutable_outputs())["y"], "call:0");
    // The saved objects: the variable is the second.
    m.mutable_object_graph_def()->add_nodes();
    m.mutable_object_graph_def()->add_nodes()->mutable_variable();
    (*m.mutable_object_graph_def()->mutable_concrete_functions())["add"].add_bound_inputs(1);
    objects.add_nodes();
    objects.add_nodes()->add_attributes()->set_checkpoint_key("kept/as");
    bundle.add("kept/as", kFloat, {3}, raw_bytes<float>({1, 2, 3}));
    bundle.add("w", kFloat, {3}, raw_bytes<float>({7, 8, 9}));
    bundle.add("other", kFloat, {2}, raw_bytes<float>({7, 8}));
  }

  Result<ImportedModel> read() const {
    BundleFiles b = bundle;
    b.add_string("_CHECKPOINTABLE_OBJECT_GRAPH", objects.SerializeAsString());
    Files files = b.files();
    files[kModel] = model.SerializeAsString();
    for (const std::string& name : missing) files.erase(name);
    return import(files);
  }
  tensorflow::MetaGraphDef& meta() { return *model.mutable_meta_graphs(0); }

  tensorflow::SavedModel model;
  tensorflow::TrackableObjectGraph objects;
  BundleFiles bundle;
  std::vector<std::string> missing;
};

// What the model adds to zeros.
std::vector<double> added(const Result<ImportedModel>& model) {
  if (!model.ok()) {
    ADD_FAILURE() << model.status().message();
    return {};
  }
  const Tensor zeros = *Tensor::allocate(DType::kF32, {1, 3});
  const auto outputs = run_reference(model->graph, std::span(&zeros, 1));
  return outputs.ok() ? *(*outputs)[0].to_doubles() : std::vector<double>{};
}

void expect_error(const Result<ImportedModel>& model, Code code, const std::string& part) {
  ASSERT_FALSE(model.ok()) << part;
  EXPECT_EQ(model.status().code(), code) << model.status().message();
  EXPECT_NE(model.status().message().find(part), std::string::npos) << model.status().message();
}

TEST(SavedVariables, AreToldByTheSavedObjects) {
  EXPECT_EQ(added(Model().read()), (std::vector<double>{1, 2, 3}));
}

// RestoreV2(file, names, slices) and Assign, in a function that the graph calls.
void add_restore(Model& m, const std::string& key, const std::string& slice) {
  auto& graph = *m.meta().mutable_graph_def();
  auto* file = graph.add_node();
  file->set_name("file");
  file->set_op("Placeholder");
  auto* call = graph.add_node();
  call->set_name("restore");
  call->set_op("StatefulPartitionedCall");
  for (const char* i : {"file", "w"}) call->add_input(i);
  (*call->mutable_attr())["f"].mutable_func()->set_name("restoring");
  auto* f = graph.mutable_library()->add_function();
  f->mutable_signature()->set_name("restoring");
  for (const char* a : {"file", "handle"}) f->mutable_signature()->add_input_arg()->set_name(a);
  const auto node = [&](const std::string& name, const std::string& op,
                        const std::vector<std::string>& inputs) -> tensorflow::NodeDef& {
    auto* n = f->add_node_def();
    n->set_name(name);
    n->set_op(op);
    for (const std::string& i : inputs) n->add_input(i);
    return *n;
  };
  const auto texts = [&](const std::string& name, const std::vector<std::string>& values) {
    auto& t = *(*node(name, "Const", {}).mutable_attr())["value"].mutable_tensor();
    for (const std::string& v : values) t.add_string_val(v);
  };
  texts("names", {"nothing", key});
  // One text stands for all that follow.
  texts("slices", {slice});
  node("from", "RestoreV2", {"file", "names:output:0", "slices:output:0"});
  node("same", "Identity", {"from:tensors:1"});
  node("set", "AssignVariableOp", {"handle", "same:output:0"});
}

TEST(SavedVariables, AreToldByWhatRestoresThem) {
  Model m;
  m.objects.clear_nodes();
  add_restore(m, "w", "");
  EXPECT_EQ(added(m.read()), (std::vector<double>{7, 8, 9}));
  Model part;
  part.objects.clear_nodes();
  add_restore(part, "long", "5 2,3");
  part.bundle.add("long", kFloat, {5}, raw_bytes<float>({1, 2, 3, 4, 5}));
  EXPECT_EQ(added(part.read()), (std::vector<double>{3, 4, 5}));
}

TEST(SavedVariables, AreToldByTheListsOfAGraph) {
  Model m;
  m.objects.clear_nodes();
  tensorflow::VariableDef v;
  v.set_variable_name("w:0");
  m.meta()
      .mutable_collection_def()
      ->
      operator[]("variables")
      .mutable_bytes_list()
      ->add_value(v.SerializeAsString());
  EXPECT_EQ(added(m.read()), (std::vector<double>{7, 8, 9}));
  Model part;
  part.objects.clear_nodes();
  auto& slice = *v.mutable_save_slice_info_def();
  slice.set_full_name("long");
  slice.add_full_shape(5);
  slice.add_var_offset(1);
  slice.add_var_shape(3);
  part.bundle.add("long", kFloat, {5}, raw_bytes<float>({1, 2, 3, 4, 5}));
  part.meta()
      .mutable_collection_def()
      ->
      operator[]("variables")
      .mutable_bytes_list()
      ->add_value(v.SerializeAsString());
  EXPECT_EQ(added(part.read()), (std::vector<double>{2, 3, 4}));
}

TEST(SavedModelMalformed, WhatDoesNotFit) {
  Model m;
  m.objects.mutable_nodes(1)->mutable_attributes(0)->set_checkpoint_key("other");
  expect_error(m.read(), Code::kInvalidArgument, "variable w is f32[2]");
  m = Model();
  m.objects.mutable_nodes(1)->mutable_attributes(0)->set_checkpoint_key("nowhere");
  expect_error(m.read(), Code::kInvalidArgument, "variable w: there is no tensor nowhere");
  m = Model();
  m.objects.clear_nodes();
  expect_error(m.read(), Code::kInvalidArgument, "w");
  m = Model();
  (*m.meta().mutable_object_graph_def()->mutable_concrete_functions())["add"].set_bound_inputs(
      0, 1 << 30);
  expect_error(m.read(), Code::kInvalidArgument, "w");
  m = Model();
  m.missing = {kIndex};
  expect_error(m.read(), Code::kNotAccessible,
               "variables.index is not there: it lists the 1 variables of the model");
  m = Model();
  m.model.clear_meta_graphs();
  expect_error(m.read(), Code::kInvalidArgument, "no graph");
  m = Model();
  m.meta().clear_signature_def();
  expect_error(m.read(), Code::kInvalidArgument, "no signature");
  m = Model();
  auto& sparse = (*(*m.meta().mutable_signature_def())["serving_default"].mutable_inputs())["x"];
  sparse.mutable_coo_sparse()->set_values_tensor_name("x:0");
  expect_error(m.read(), Code::kUnsupported, "input x is a sparse or composite tensor");
  m = Model();
  auto& shape = (*(*m.meta().mutable_signature_def())["serving_default"].mutable_inputs())["x"];
  shape.mutable_tensor_shape()->mutable_dim(0)->set_size(-7);
  expect_error(m.read(), Code::kInvalidArgument, "input x");
  m = Model();
  (*(*m.meta().mutable_signature_def())["serving_default"].mutable_outputs())["y"].set_name("no:0");
  expect_error(m.read(), Code::kInvalidArgument, "no");
}

// Types go by their names, which strings and comments may hold too.
TEST(SavedModelText, IsReadAsTheBinaryFormIs) {
  const std::string text = R"(
saved_model_schema_version: 1
meta_graphs {  # DT_FLOAT
  meta_info_def { tags: "serve" some_new_field: DT_FLOAT }
  graph_def {
    node { name: "DT_FLOAT" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } } }
    node { name: "twice" op: "AddV2" input: "DT_FLOAT" input: 'DT_FLOAT' attr { key: "T" value { type:DT_FLOAT } } }
  }
  signature_def {
    key: "only"
    value {
      inputs { key: "x" value { name: "DT_FLOAT:0" dtype: DT_FLOAT tensor_shape { dim { size: -1 } dim { size: 3 } } } }
      outputs { key: "y" value { name: "twice:0" dtype: DT_FLOAT tensor_shape { unknown_rank: true } } }
    }
  }
}
)";
  const auto model = import({{kModel, text}});
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.value(model->graph.outputs[0]).type.dtype, DType::kF32);
  expect_error(import({{kModel, text.substr(0, text.find("signature_def")) + "}"}}),
               Code::kInvalidArgument, "no signature");
  expect_error(import({{kModel, text + "}"}}), Code::kInvalidArgument, "line 17, column 1");
}

TEST(SavedModelMalformed, VariablesAreNotOpenedWhereThereAreNone) {
  Model m;
  (*(*m.meta().mutable_signature_def())["serving_default"].mutable_outputs())["y"].set_name("x:0");
  m.missing = {kIndex, kShard};
  EXPECT_TRUE(m.read().ok()) << m.read().status().message();
}

void expect_sound(const Files& files, const std::string& signature) {
  auto model = import(files, signature);
  if (!model.ok()) return;
  EXPECT_TRUE(verify(model->graph).ok());
  if (optimize(model->graph).ok()) {
    EXPECT_TRUE(verify(model->graph).ok());
  }
}

// One or a few bytes of a file changed, at places and to values of a fixed seed.
class Mutations : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(Mutations, AreRefusedOrRead) {
  const auto& [name, signature] = GetParam();
  const Files whole = folder(name);
  ASSERT_TRUE(import(whole, signature).ok()) << import(whole, signature).status().message();
  std::mt19937 random(20);
  for (const char* file : {kModel, kIndex, kShard}) {
    const int times = file == kModel ? 150 : 300;
    for (int i = 0; i < times; ++i) {
      Files files = whole;
      std::string& bytes = files[file];
      for (unsigned edits = 1 + random() % 3; edits > 0 && bytes.size() > 4; --edits) {
        const size_t at = random() % (bytes.size() - 4);
        switch (random() % 4) {
          case 0: bytes[at] = static_cast<char>(random()); break;
          case 1: bytes.erase(at, 1 + random() % 4); break;
          case 2: bytes.resize(at); break;
          default: bytes.replace(at, 4, raw_bytes<uint32_t>({0xffffffff})); break;
        }
      }
      expect_sound(files, signature);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Folders, Mutations,
                         ::testing::Values(std::pair("functions", "scale"),
                                           std::pair("graph_resources", ""), std::pair("rnn", "")),
                         [](const auto& info) { return std::string(info.param.first); });

// The same of what the index says, under checksums that fit.
TEST(SavedModelMalformed, MutatedEntries) {
  std::mt19937 random(21);
  for (int i = 0; i < 500; ++i) {
    Model m;
    auto& entry = std::next(m.bundle.entries.begin(), random() % 3)->second;
    std::string bytes = entry.SerializeAsString();
    bytes[random() % bytes.size()] = static_cast<char>(random());
    if (!entry.ParseFromString(bytes)) continue;
    const auto model = m.read();
    if (model.ok()) {
      EXPECT_TRUE(verify(model->graph).ok());
    }
  }
}

}  // namespace
}  // namespace mnn::testing
