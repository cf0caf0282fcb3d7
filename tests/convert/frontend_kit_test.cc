// What every front end gets from libconvert/frontends/common/, seen through a small one.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "libconvert/frontends/common/order.h"
#include "libconvert/frontends/common/scope.h"
#include "libconvert/frontends/common/side_files.h"
#include "libconvert/frontends/onnx/frontend.h"
#include "libruntime/core/op.h"
#include "tests/convert/lines_frontend.h"

namespace mnn::testing {
namespace {

namespace fs = std::filesystem;
using D = std::vector<double>;

std::string sha256(const std::string& text) { return sha256_hex(std::as_bytes(std::span(text))); }

class FrontendKit : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = ::testing::TempDir() + "frontend_kit_" + std::to_string(::getpid());
    fs::create_directories(root_ + "/net/deep");
    write("outside.txt", "9\n");
    write("net/w.txt", "1\n2\n");
    write("net/deep/v.txt", "3 4");
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(root_ + "/" + name, std::ios::binary) << text;
  }
  Result<ImportedModel> import(const std::string& text, const ImportOptions& options = {},
                               bool as_folder = false) const {
    write("net/net.lines", "lines\n" + text);
    return import_model(root_ + (as_folder ? "/net" : "/net/net.lines"), options, frontends_);
  }
  // The first error of a model whose side file is called so.
  Status side_file(const std::string& name) const {
    return import("input x 2\nweights w " + name + "\nAdd y x w\noutput y\n").status();
  }

  const std::vector<Frontend> frontends_ = {onnx_frontend(), lines_frontend()};
  std::string root_;
};

D run(const ImportedModel& model, const std::vector<Tensor>& inputs) {
  const auto out = run_reference(model.graph, inputs);
  return out.ok() ? *(*out)[0].to_doubles() : D{};
}

Tensor two(float a, float b) { return Tensor::of<float>({2}, std::vector<float>{a, b}); }
Tensor one(bool b) {
  Tensor t = *Tensor::allocate(DType::kBool, {1});
  t.data<bool>()[0] = b;
  return t;
}

constexpr const char* kPlain =
    "input x 2\nweights w w.txt\nweights v deep/v.txt\nAdd y x w\nMul z y v\noutput z\n";

TEST_F(FrontendKit, ReadsAFileWithSideFiles) {
  const auto model = import(kPlain);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(run(*model, {two(10, 20)}), (D{33, 88}));
  ASSERT_EQ(model->files.size(), 3u);
  EXPECT_EQ(model->files[0].name, "net.lines");
  EXPECT_EQ(model->files[1].name, "w.txt");
  EXPECT_EQ(model->files[2].name, "deep/v.txt");
}

TEST_F(FrontendKit, OneHashOfAllFiles) {
  const auto alone = import("input x 2\nRelu y x\noutput y\n");
  ASSERT_TRUE(alone.ok());
  EXPECT_EQ(source_sha256(alone->files), sha256("lines\ninput x 2\nRelu y x\noutput y\n"));
  const std::string first = source_sha256(import(kPlain)->files);
  // The model's own file, then the others by name.
  EXPECT_EQ(first, sha256(sha256(std::string("lines\n") + kPlain) + "\n" + sha256("3 4") + "\n" +
                          sha256("1\n2\n") + "\n"));
  EXPECT_EQ(first, source_sha256(import(kPlain, {}, true)->files));
  write("net/w.txt", "1\n3\n");
  EXPECT_NE(first, source_sha256(import(kPlain)->files));
}

TEST_F(FrontendKit, ReadsAFolder) {
  const auto model = import(kPlain, {}, true);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(run(*model, {two(10, 20)}), (D{33, 88}));
  EXPECT_EQ(model->files[0].name, "net.lines");
  EXPECT_EQ(import_model(root_ + "/net/deep", {}, frontends_).status().message(),
            root_ +
                "/net/deep: is a folder; no front end reads it (onnx: a .onnx file, or a folder "
                "that holds one; lines: a folder with a net.lines)");
}

TEST_F(FrontendKit, ReadsSideFilesOfTheFolderOnly) {
  const std::string net = root_ + "/net/";
  fs::create_symlink(root_ + "/outside.txt", net + "link.txt");
  fs::create_symlink("w.txt", net + "inner.txt");
  ASSERT_EQ(::mkfifo((net + "pipe.txt").c_str(), 0600), 0);
  write("net/large.txt", std::string(2000, '1'));
  EXPECT_TRUE(side_file("inner.txt").ok());
  EXPECT_TRUE(side_file("deep/../w.txt").ok());
  for (const char* name : {"../outside.txt", "deep/../../outside.txt", "link.txt", "/dev/zero",
                           "pipe.txt", "deep", "."}) {
    EXPECT_EQ(side_file(name).code(), Code::kInvalidArgument) << name;
  }
  EXPECT_EQ(side_file(std::string("w.txt\0x", 7)).code(), Code::kInvalidArgument);
  EXPECT_EQ(side_file(std::string(70000, 'a')).code(), Code::kInvalidArgument);
  EXPECT_EQ(side_file("none.txt").code(), Code::kNotAccessible);
  EXPECT_EQ(side_file("large.txt").code(), Code::kLimit);
}

TEST_F(FrontendKit, CountsAFileOnceByWhateverName) {
  const auto model = import(
      "weights a w.txt\nweights b deep/../w.txt\nweights c ./w.txt\nSum y a b c\noutput y\n");
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->files.size(), 2u);
}

TEST_F(FrontendKit, ADownloadCacheOfLinks) {
  fs::create_directories(root_ + "/blobs");
  write("blobs/1", std::string("lines\n") + "input x 2\nweights w w.txt\nAdd y x w\noutput y\n");
  write("blobs/2", "5 6");
  fs::create_directories(root_ + "/snapshot");
  fs::create_symlink("../blobs/1", root_ + "/snapshot/net.lines");
  fs::create_symlink("../blobs/2", root_ + "/snapshot/w.txt");
  for (const char* path : {"/snapshot", "/snapshot/net.lines"}) {
    const auto model = import_model(root_ + path, {}, frontends_);
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(run(*model, {two(1, 1)}), (D{6, 7}));
  }
}

TEST_F(FrontendKit, ListsEveryUnsupportedNode) {
  const auto model =
      import("input x 2\nFoo a x\nRelu b a\nBar c x\nBaz unread x\nAdd y b c\noutput y\n");
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), Code::kUnsupported);
  const std::string& text = model.status().message();
  EXPECT_NE(text.find("Foo"), std::string::npos) << text;
  EXPECT_NE(text.find("Bar"), std::string::npos) << text;
  EXPECT_EQ(text.find("Relu"), std::string::npos) << text;
  const auto dead = import("input x 2\nBaz unread x\nRelu y x\noutput y\n");
  ASSERT_TRUE(dead.ok()) << dead.status().message();
  ASSERT_EQ(dead->diagnostics.items().size(), 1u);
  EXPECT_EQ(dead->diagnostics.items()[0].node, "Baz");
}

TEST_F(FrontendKit, SubgraphsCapture) {
  const auto model = import(
      "input is_on 1\ninput x 2\nweights w w.txt\nNeg n x\nIf y is_on\nAdd a n w\nelse\nMul b x "
      "w\nend\noutput y\n");
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(run(*model, {one(true), two(1, 1)}), (D{0, 1}));
  EXPECT_EQ(run(*model, {one(false), two(2, 3)}), (D{2, 6}));
}

TEST_F(FrontendKit, BoundsTheDepthOfSubgraphs) {
  const std::string deep =
      "input is_on 1\ninput x 2\nIf y is_on\nIf a is_on\nIf b is_on\nRelu c x\nelse\nAbs d "
      "x\nend\nelse\nAbs e x\nend\nelse\nAbs f x\nend\noutput y\n";
  EXPECT_EQ(import(deep).status().code(), Code::kLimit);
}

TEST_F(FrontendKit, KnownBranchesArePutInPlace) {
  const auto model = import(
      "input x 2\nweights w w.txt\nSize s x\nEqual k s s\nIf y k\nAdd a x w\nelse\nFoo b x "
      "w\nend\noutput y\n");
  ASSERT_TRUE(model.ok()) << model.status().message();
  for (const Node& node : model->graph.nodes) EXPECT_NE(node.op, "If");
  EXPECT_EQ(model->graph.value(model->graph.outputs[0]).name, "y");
  EXPECT_EQ(run(*model, {two(1, 1)}), (D{2, 3}));
}

TEST_F(FrontendKit, OrdersNodesAndRefusesCycles) {
  const auto model = import("input x 2\nRelu y n\nNeg n x\noutput y\n");
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.nodes[0].op, "Neg");
  EXPECT_NE(import("input x 2\nAdd a x b\nAdd b x a\noutput a\n")
                .status()
                .message()
                .find("the graph has a cycle through or before Add a, Add b"),
            std::string::npos);
  EXPECT_NE(import("input x 2\nNeg a x\nAbs a x\noutput a\n")
                .status()
                .message()
                .find("nodes Neg a and Abs a both make 'a'"),
            std::string::npos);
}

TEST_F(FrontendKit, BorderKeepsNamesAndTakesShapes) {
  ImportOptions options;
  options.shapes = {{"x", {3, -1}}};
  const auto model = import("input x n,m\ninput z n\nTwice y x\noutput x\noutput y\n", options);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->graph.value(model->graph.inputs[0]).type.str(), "f32[3,m]");
  EXPECT_EQ(model->graph.value(model->graph.inputs[1]).type.str(), "f32[3]");
  EXPECT_EQ(model->graph.value(model->graph.outputs[1]).name, "y");
  EXPECT_EQ(model->graph.nodes[0].name, "Twice");
  options.shapes = {{"x", {3, 4}}, {"z", {5}}};
  const Status two_sizes = import("input x n,m\ninput z n\noutput x\n", options).status();
  EXPECT_EQ(two_sizes.code(), Code::kUsage);
  EXPECT_NE(two_sizes.message().find("input 'z': dimension 0 (n): expected 3 as in input 'x', "
                                     "found 5"),
            std::string::npos);
  options.shapes = {{"x", {3, -1, 2}}};
  EXPECT_NE(import("input x n,m\noutput x\n", options)
                .status()
                .message()
                .find("expected 2 dimensions [n,m], found 3 [3,?,2]"),
            std::string::npos);
  options.shapes = {{"x", {3, -2}}};
  EXPECT_EQ(import("input x n,m\noutput x\n", options).status().code(), Code::kUsage);
  options.shapes = {{"q", {3}}};
  EXPECT_NE(import("input x n,m\noutput x\n", options)
                .status()
                .message()
                .find("a shape is given for q; the model's inputs are x"),
            std::string::npos);
}

TEST_F(FrontendKit, KeysAreDeclared) {
  ImportOptions options;
  options.keys["max_nodes"] = "1";
  EXPECT_TRUE(import("input x 2\nRelu y x\noutput y\n", options).ok());
  EXPECT_EQ(import("input x 2\nRelu a x\nAbs y a\noutput y\n", options).status().code(),
            Code::kLimit);
  for (const char* value : {"", "0", "1001", "1x", "-1", "99999999999999999999"}) {
    options.keys["max_nodes"] = value;
    EXPECT_EQ(import(kPlain, options).status().code(), Code::kUsage) << value;
  }
  options.keys = {{"max_nodse", "1"}};
  const Status near = import(kPlain, options).status();
  EXPECT_EQ(near.code(), Code::kUsage);
  EXPECT_EQ(near.message(), root_ +
                                "/net/net.lines: the lines front end has no key 'max_nodse'; "
                                "did you mean max_nodes?");
  options.keys = {{"q", "1"}};
  EXPECT_EQ(import(kPlain, options).status().message(),
            root_ + "/net/net.lines: the lines front end has no key 'q'; it has max_nodes");
}

TEST_F(FrontendKit, TextsThatNobodyReadsAreNamed) {
  write("note.txt", "hello\n");
  EXPECT_EQ(import_model(root_ + "/note.txt", {}, frontends_).status().message(),
            root_ + "/note.txt: is a text; give the model file");
}

TEST(FrontendKitCalls, UnfoldedSizeIsCountedWithoutUnfolding) {
  using frontend::CallingBody;
  // Each function calls the next twice: 2^60 nodes and more, saturated.
  std::map<std::string, CallingBody> functions;
  const auto call = [](int n) { return CallingBody::Call{"n", "f", std::to_string(n)}; };
  for (int i = 0; i < 70; ++i) functions[std::to_string(i)] = {1, {call(i + 1), call(i + 1)}};
  EXPECT_EQ(*unfolded_size({1, {call(69)}}, functions), 2);
  EXPECT_EQ(*unfolded_size({0, {call(60)}}, functions), 1023);
  EXPECT_EQ(*unfolded_size({0, {call(0)}}, functions), INT64_MAX);
  functions["70"] = {1, {call(68)}};
  EXPECT_EQ(unfolded_size({0, {call(68)}}, functions).status().message(),
            "node n: function f calls itself");
  functions.clear();
  for (int i = 0; i < 200; ++i) functions[std::to_string(i)] = {1, {call(i + 1)}};
  EXPECT_EQ(unfolded_size({0, {call(0)}}, functions).status().code(), Code::kLimit);
}

}  // namespace
}  // namespace mnn::testing
