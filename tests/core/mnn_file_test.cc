#include "libruntime/core/io/mnn_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "libruntime/core/io/file.h"
#include "libruntime/core/io/mnn_layout.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/storage.h"
#include "libruntime/core/text.h"
#include "tests/test_data.h"

namespace mnn {
namespace {

std::string read_text(const std::string& name) {
  std::ifstream in(test_data("data/" + name), std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

Graph parse(std::string_view text) {
  Result<Graph> graph = parse_graph(text);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return graph.ok() ? *graph : Graph();
}

std::string print(const Graph& graph) {
  PrintOptions all;
  all.max_constant_elements = INT64_MAX;
  return print_graph(graph, all);
}

Model example() {
  Model model;
  model.graph = parse(read_text("mnn/v1.0.mnntxt"));
  model.metadata_json = R"({"version":"1","source":{"sha256":"00","format":"onnx"},"a":[1,2]})";
  model.golden_inputs = {*parse_tensor("f32[1,3,4,4] = iota 0 1"), *parse_tensor("bool[] = 1")};
  model.golden_outputs = {*parse_tensor("f32[1,2,4,4] = iota 1 1"),
                          *parse_tensor("f32[1,3,4,4] = iota 0 1")};
  return model;
}

std::vector<std::byte> bytes_of(const Model& model) {
  Result<std::vector<std::byte>> bytes = try_serialize_model(model);
  EXPECT_TRUE(bytes.ok()) << bytes.status().message();
  return bytes.ok() ? *std::move(bytes) : std::vector<std::byte>();
}

void expect_same(const Model& a, const Model& b) {
  EXPECT_EQ(print(a.graph), print(b.graph));
  EXPECT_EQ(a.metadata_json, b.metadata_json);
  for (const auto& [x, y] : {std::pair(&a.golden_inputs, &b.golden_inputs),
                             std::pair(&a.golden_outputs, &b.golden_outputs)}) {
    ASSERT_EQ(x->size(), y->size());
    for (size_t i = 0; i < x->size(); ++i) EXPECT_TRUE(identical((*x)[i], (*y)[i])) << i;
  }
}

// A data section as one run of bytes.
std::vector<std::byte> flat(const DataSection& section) {
  std::vector<std::byte> out(section.bytes);
  for (const auto& piece : section.pieces) {
    std::copy(piece.bytes.begin(), piece.bytes.end(),
              out.begin() + static_cast<long>(piece.offset));
  }
  return out;
}

TEST(MnnFile, KeepsWhatSmoothingDividedBy) {
  const char* text = R"(graph g(x: f32[n,4]) -> (y) {
  a: f32[n,4] smoothing [1,0.5,2,4] = Relu(x)
  b: f32[n,4] quant u8 scale [0.5] zero [3] smoothing [1,0.5,2,4] axis 1 = Abs(a)
  y: f32[n,4] = Neg(b)
})";
  Model model;
  model.graph = parse(text);
  model.metadata_json = "{}";
  const std::vector<std::byte> bytes = bytes_of(model);
  const Result<Model> read = parse_model(bytes, nullptr);
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(print(read->graph), print(model.graph));

  const std::pair<const char*, const char*> wrong[] = {
      {"[1,0.5,2,4] =", "[1,0.5,2] ="},    // not one per channel
      {"[1,0.5,2,4] =", "[1,0,2,4] ="},    // not positive
      {"[1,0.5,2,4] =", "[1,nan,2,4] ="},  // no number
      {"[1,0.5,2,4] =", "[1,0.5,2,4] axis 2 ="}};
  for (const auto& [from, to] : wrong) {
    std::string bad = text;
    bad.replace(bad.find(from), std::string(from).size(), to);
    const Status status = verify(parse(bad));
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << to;
    EXPECT_NE(status.message().find("smoothing"), std::string::npos) << status.message();
  }
}

TEST(MnnFile, GraphSectionKeepsEveryField) {
  Model model;
  model.graph = parse(read_text("text/everything.mnntxt"));
  const Result<EncodedModel> encoded = encode_model(model);
  ASSERT_TRUE(encoded.ok()) << encoded.status().message();
  const auto weights = flat(encoded->weights);
  const Result<Model> again = decode_model(encoded->graph, {weights, {}, nullptr, nullptr});
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(print(again->graph), print(model.graph));
}

TEST(MnnFile, RoundTrip) {
  Model model = example();
  const auto bytes = bytes_of(model);
  const Result<Model> again = parse_model(bytes, nullptr);
  ASSERT_TRUE(again.ok()) << again.status().message();
  model.metadata_json = R"({"a":[1,2],"source":{"format":"onnx","sha256":"00"},"version":"1"})";
  expect_same(*again, model);
}

TEST(MnnFile, SpecialNumbersInAttributes) {
  Model model;
  model.graph = parse("graph g(x: f32[2]) -> (y) {\n y = LeakyRelu(x) {alpha=-0.0}\n}");
  const auto bytes = bytes_of(model);
  const Result<Model> again = parse_model(bytes, nullptr);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(print(again->graph), print(model.graph));
  EXPECT_NE(print(again->graph).find("alpha=-0.0"), std::string::npos);
}

TEST(MnnFile, EmptyModel) {
  const auto bytes = bytes_of({});
  const Result<Model> again = parse_model(bytes, nullptr);
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_TRUE(again->graph.values.empty());
  EXPECT_EQ(again->metadata_json, "{}");
}

TEST(MnnFile, FilesAndBuffersAreTheSameBytes) {
  const std::string path = testing::TempDir() + "/same.mnn";
  const Model model = example();
  ASSERT_TRUE(write_model(model, path).ok());
  const auto bytes = bytes_of(model);
  const Result<MappedFile> file = map_file(path);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(std::ranges::equal(file->bytes, bytes));
  EXPECT_TRUE(is_model_file(file->bytes));
  EXPECT_EQ(bytes_of(example()), bytes);
  const Result<Model> again = read_model(path);
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(bytes_of(*again), bytes);
}

TEST(MnnFile, ConstantsPointIntoTheFileAlignedAndOnce) {
  const std::string path = testing::TempDir() + "/aligned.mnn";
  ASSERT_TRUE(write_model(example(), path).ok());
  Result<Model> model = read_model(path);
  ASSERT_TRUE(model.ok());
  const std::byte *table = nullptr, *again = nullptr;
  for (const Value& v : model->graph.values) {
    if (v.name == "table") table = v.data.raw();
    if (v.name == "again") again = v.data.raw();
  }
  EXPECT_EQ(reinterpret_cast<uintptr_t>(table) % 64, 0u);
  EXPECT_EQ(table, again);
  // The mapping lives as long as a tensor of it.
  const Tensor kept = model->golden_inputs[0];
  model = Status(Code::kInternal, "gone");
  EXPECT_EQ(kept.data<float>()[47], 47.0f);
}

TEST(MnnFile, UnalignedBuffersAreReadAsWell) {
  const auto bytes = bytes_of(example());
  for (const size_t shift : {1u, 8u, 33u}) {
    std::vector<std::byte> moved(bytes.size() + 64);
    std::copy(bytes.begin(), bytes.end(), moved.begin() + static_cast<long>(shift));
    const Result<Model> model = parse_model(std::span(moved).subspan(shift, bytes.size()), nullptr);
    ASSERT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(print(model->graph), print(example().graph));
    for (const Value& v : model->graph.values) {
      if (v.data.bytes() < 64) continue;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(v.data.raw()) % 64, 0u);
    }
  }
}

TEST(MnnFile, ManyChunks) {
  Model model;
  model.graph = parse(
      "graph g(x: f32[700000]) -> (y) {\n"
      "const w: f32[700000] = random 1 -1 1\nconst v: f32[600001] = random 2 -1 1\n"
      "y = Add(x, w)\n}");
  const auto bytes = bytes_of(model);
  const Result<Model> again = parse_model(bytes, nullptr);
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_TRUE(identical(again->graph.values[2].data, model.graph.values[2].data));
  const auto sections = decode_layout(bytes);
  ASSERT_TRUE(sections.ok());
  EXPECT_EQ(find_section(*sections, SectionKind::kChunks)->bytes, 5 * kChunkHashBytes);
}

TEST(MnnFile, DamagedWeightsAreFound) {
  const std::string path = testing::TempDir() + "/damaged.mnn";
  auto bytes = bytes_of(example());
  const auto sections = decode_layout(bytes);
  ASSERT_TRUE(sections.ok());
  bytes[find_section(*sections, SectionKind::kWeights)->offset + 10] ^= std::byte(1);
  ASSERT_TRUE(write_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}).ok());
  EXPECT_EQ(read_model(path).status().message(),
            path + ": section weights is damaged: the checksum of chunk 0 does not match");
  ReadOptions trusting;
  trusting.check_weights = false;
  EXPECT_TRUE(read_model(path, trusting).ok());
  const auto info = verify_file(path);
  ASSERT_TRUE(info.ok());
  ASSERT_EQ(info->size(), 5u);
  for (const SectionInfo& s : *info) EXPECT_EQ(s.intact, s.name != "weights") << s.name;
  EXPECT_EQ((*info)[0].name, "graph");
  EXPECT_EQ((*info)[0].sha256.size(), 64u);
}

TEST(MnnFile, EveryPrefixAndEveryChangedByteIsFound) {
  const auto bytes = bytes_of(example());
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_FALSE(parse_model(std::span(bytes).first(n), nullptr).ok()) << n;
  }
  auto changed = bytes;
  for (size_t n = 0; n < bytes.size(); ++n) {
    changed[n] ^= static_cast<std::byte>(1 << n % 8);
    EXPECT_FALSE(parse_model(changed, nullptr).ok()) << n;
    changed[n] = bytes[n];
  }
  changed.push_back(std::byte(0));
  EXPECT_FALSE(parse_model(changed, nullptr).ok());
}

// Behind the checksums: whoever makes a file on purpose has them right.
TEST(MnnFile, EveryChangedByteOfTheGraphSectionIsSafe) {
  const Model model = example();
  const Result<EncodedModel> encoded = encode_model(model);
  ASSERT_TRUE(encoded.ok());
  const auto weights = flat(encoded->weights), golden = flat(encoded->golden);
  auto graph = encoded->graph;
  int sound = 0;
  for (size_t n = 0; n < graph.size(); ++n) {
    const std::byte before = graph[n];
    for (const int flip : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      graph[n] = before ^ static_cast<std::byte>(flip);
      const Result<Model> read = decode_model(graph, {weights, golden, nullptr, nullptr});
      if (!read.ok() || !check_model(*read).ok()) continue;
      ++sound;
      (void)print(read->graph);
    }
    graph[n] = before;
  }
  EXPECT_GT(sound, 0);  // padding, names, numbers
  for (size_t n = 0; n < graph.size(); ++n) {
    (void)decode_model(std::span(graph).first(n), {weights, golden, nullptr, nullptr});
  }
}

TEST(MnnFile, NewerVersionsAreRefusedByNumber) {
  auto bytes = bytes_of(example());
  bytes[6] = std::byte(2);
  EXPECT_EQ(parse_model(bytes, nullptr).status().message(),
            "the file has format version 2.0, this program reads versions up to 1.x: use a newer "
            "one");
  EXPECT_EQ(parse_model(bytes, nullptr).status().code(), Code::kUnsupported);
  EXPECT_EQ(
      parse_model(std::as_bytes(std::span(std::string_view("PK"))), nullptr).status().message(),
      "not a .mnn file: it does not begin with MNNTBX");
}

// Scales by the million lie in the weights section, not among the graph's tables.
TEST(MnnFile, ScalesAreMappedLikeWeights) {
  Model model;
  Tensor codes = *Tensor::allocate(DType::kU4, {64, 4096});
  const ValueId w = model.graph.add_constant(codes, "w");
  Value& value = model.graph.value(w);
  value.type.dtype = DType::kF32;
  QuantParams q;
  q.storage = DType::kU4;
  q.axis = 1;
  q.group = 32;
  q.scale = *Tensor::allocate(DType::kF16, {64, 128});
  value.quant = q;
  model.graph.outputs = {w};
  const Result<EncodedModel> encoded = encode_model(model);
  ASSERT_TRUE(encoded.ok());
  EXPECT_LT(encoded->graph.size(), 1000u);
  const std::string path = testing::TempDir() + "/scales.mnn";
  ASSERT_TRUE(write_model(model, path).ok());
  const Result<Model> again = read_model(path);
  ASSERT_TRUE(again.ok()) << again.status().message();
  const Tensor &scale = again->graph.values[0].quant->scale, &data = again->graph.values[0].data;
  // Both in the one mapping.
  EXPECT_LT(std::abs(scale.raw() - data.raw()), 200000);
  const Graph copy = again->graph;
  EXPECT_EQ(copy.values[0].quant->scale.raw(), scale.raw()) << "a graph's copy shares them";
}

TEST(MnnFile, FeaturesAReaderDoesNotKnowAreRefused) {
  Model model;
  model.graph = parse("graph g(x: f32[1]) -> (x) {\n state s: f32[1]\n update s = x\n}");
  EXPECT_EQ(required_features(model.graph), std::vector<std::string>{"state updates"});
  const Result<EncodedModel> encoded = encode_model(model);
  ASSERT_TRUE(encoded.ok());
  auto graph = encoded->graph;
  ASSERT_TRUE(decode_model(graph, {}).ok());
  const std::string_view name = "state updates", other = "state upDates";
  const auto at = std::search(graph.begin(), graph.end(), std::as_bytes(std::span(name)).begin(),
                              std::as_bytes(std::span(name)).end());
  ASSERT_NE(at, graph.end());
  std::ranges::copy(std::as_bytes(std::span(other)), at);
  const Result<Model> refused = decode_model(graph, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kUnsupported);
  EXPECT_NE(refused.status().message().find("state upDates"), std::string::npos);
}

TEST(MnnFile, UnsoundModelsAreNotWritten) {
  Model model = example();
  model.metadata_json = "[1]";
  EXPECT_EQ(try_serialize_model(model).status().message(), "the metadata is not a JSON object");
  EXPECT_TRUE(serialize_model(model).empty());
  model.metadata_json = "{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}";
  EXPECT_EQ(try_serialize_model(model).status().message(), "the metadata nests deeper than 64");
  model = example();
  model.golden_inputs.pop_back();
  EXPECT_EQ(try_serialize_model(model).status().message(), "expected 2 golden inputs, found 1");
  model = example();
  model.graph.nodes[0].op = "NoSuchOp";
  EXPECT_EQ(try_serialize_model(model).status().code(), Code::kUnsupported);
  model = example();
  for (Value& v : model.graph.values) {
    if (v.name == "table") v.type.shape = Shape{41};
  }
  EXPECT_EQ(try_serialize_model(model).status().message(),
            "value 'table' has type f32[41], but its data is f32[40]");
  const std::string path = testing::TempDir() + "/unsound.mnn";
  EXPECT_FALSE(write_model(model, path).ok());
  EXPECT_FALSE(map_file(path).ok());
}

// A storage type that no kernel reads is refused where the file is, every other one is computed
// with.
TEST(MnnFile, EveryStorageIsComputedWithOrRefused) {
  for (const DType storage : {DType::kU3, DType::kU5, DType::kU6, DType::kU2, DType::kI2,
                              DType::kU4, DType::kI4, DType::kU8, DType::kI8, DType::kU16,
                              DType::kI16, DType::kU32, DType::kI32, DType::kU64, DType::kI64}) {
    const std::string name(dtype_name(storage));
    Model model;
    model.graph = parse("graph g(x: f32[2]) -> (y) {\nconst w: f32[2] quant " + name +
                        " scale [0.5] zero [0] = 1 1\ny = Add(x, w)\n}");
    const auto encoded = encode_model(model);
    ASSERT_TRUE(encoded.ok()) << name;
    Result<Model> read = decode_model(encoded->graph, {});
    ASSERT_TRUE(read.ok()) << name;
    const Status checked = check_model(*read);
    if (find_storage(storage) == nullptr) {
      EXPECT_EQ(checked.code(), Code::kUnsupported) << name;
      EXPECT_EQ(checked.message(), "value 'w': quantized storage " + name);
      continue;
    }
    EXPECT_TRUE(checked.ok()) << name;
    const auto y = run_reference(read->graph, std::vector<Tensor>{*parse_tensor("f32[2] = 1 2")});
    ASSERT_TRUE(y.ok()) << name;
    EXPECT_TRUE(identical((*y)[0], *parse_tensor("f32[2] = 1.5 2.5"))) << name;
  }
}

// A file of each release is kept. MNN_WRITE_MODEL=FILE writes that of this one.
TEST(MnnFile, OldFilesAreRead) {
  if (const char* path = std::getenv("MNN_WRITE_MODEL")) {
    ASSERT_TRUE(write_model(example(), path).ok());
  }
  const Result<Model> model = read_model(test_data("data/mnn/v1.0.mnn"));
  ASSERT_TRUE(model.ok()) << model.status().message();
  // Values that the reader adds stand behind those of the file.
  EXPECT_EQ(print(parse(print(model->graph))), print(parse(read_text("mnn/v1.0.mnntxt"))));
  EXPECT_EQ(model->golden_outputs.size(), 2u);
  EXPECT_EQ(model->metadata_json,
            R"({"a":[1,2],"source":{"format":"onnx","sha256":"00"},"version":"1"})");
}

}  // namespace
}  // namespace mnn
