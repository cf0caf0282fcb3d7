// TensorProto in all its storage forms, sparse tensors, external data, .pb files.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/convert/model_builder.h"

namespace mnn::testing {
namespace {

using I = std::vector<int64_t>;

Result<Tensor> parse(const onnx::TensorProto& proto) {
  const std::string bytes = proto.SerializeAsString();
  return parse_tensor_pb(std::as_bytes(std::span(bytes)));
}

onnx::TensorProto typed(DType dtype, const I& dims) {
  onnx::TensorProto t;
  t.set_data_type(static_cast<int>(dtype));
  for (const int64_t d : dims) t.add_dims(d);
  return t;
}

TEST(OnnxTensor, TypedFields) {
  auto f32 = typed(DType::kF32, {2});
  f32.add_float_data(1.5f);
  f32.add_float_data(-2);
  EXPECT_EQ(parse(f32)->data<float>()[1], -2.0f);
  auto f64 = typed(DType::kF64, {1});
  f64.add_double_data(0.1);
  EXPECT_EQ(parse(f64)->data<double>()[0], 0.1);
  auto i64 = typed(DType::kI64, {1});
  i64.add_int64_data(-5);
  EXPECT_EQ(parse(i64)->data<int64_t>()[0], -5);
  auto u32 = typed(DType::kU32, {1});
  u32.add_uint64_data(4000000000u);
  EXPECT_EQ(parse(u32)->data<uint32_t>()[0], 4000000000u);
  for (const DType dtype : {DType::kI8, DType::kI16, DType::kI32}) {
    auto t = typed(dtype, {2});
    t.add_int32_data(-1);
    t.add_int32_data(7);
    EXPECT_EQ(*parse(t)->to_ints(), (I{-1, 7}));
  }
  auto half = typed(DType::kF16, {1});
  half.add_int32_data(0x3c00);
  EXPECT_EQ((*parse(half)->to_doubles())[0], 1.0);
  auto brain = typed(DType::kBF16, {1});
  brain.add_int32_data(0x3f80);
  EXPECT_EQ((*parse(brain)->to_doubles())[0], 1.0);
  auto flag = typed(DType::kBool, {2});
  flag.add_int32_data(2);
  flag.add_int32_data(0);
  EXPECT_EQ(*parse(flag)->to_ints(), (I{1, 0}));
  auto nibbles = typed(DType::kI4, {3});
  nibbles.add_int32_data(0x21);
  nibbles.add_int32_data(0x03);
  EXPECT_EQ(parse(nibbles)->bytes(), 2);
  auto text = typed(DType::kString, {2});
  text.add_string_data("a");
  text.add_string_data("");
  EXPECT_EQ(parse(text)->string_values()[0], "a");
}

TEST(OnnxTensor, RawBoolsAreZeroOrOne) {
  auto t = typed(DType::kBool, {3});
  t.set_raw_data(std::string("\0\1\xff", 3));
  const auto parsed = parse(t);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(static_cast<int>(parsed->raw()[2]), 1);
}

TEST(OnnxTensor, RefusesWhatDoesNotFit) {
  const auto raw = [](DType dtype, const I& dims, size_t bytes) {
    auto t = typed(dtype, dims);
    t.set_raw_data(std::string(bytes, 'x'));
    return parse(t).status().code();
  };
  EXPECT_EQ(raw(DType::kF32, {4}, 16), Code::kOk);
  EXPECT_EQ(raw(DType::kF32, {4}, 10), Code::kInvalidArgument);
  EXPECT_EQ(raw(DType::kF32, {4}, 17), Code::kInvalidArgument);
  EXPECT_EQ(raw(DType::kF32, {-4}, 16), Code::kInvalidArgument);
  EXPECT_EQ(raw(DType::kF32, {4, 0}, 16), Code::kInvalidArgument);
  EXPECT_EQ(raw(DType::kF32, {int64_t{1} << 40}, 16), Code::kInvalidArgument);
  EXPECT_EQ(raw(DType::kF32, {int64_t{1} << 32, int64_t{1} << 32, 3}, 16), Code::kInvalidArgument);
  EXPECT_EQ(raw(DType::kF32, I(1000, 1), 4), Code::kInvalidArgument);
  EXPECT_EQ(raw(DType::kString, {4}, 16), Code::kInvalidArgument);
  EXPECT_EQ(raw(DType::kUndefined, {4}, 16), Code::kInvalidArgument);
  EXPECT_EQ(raw(static_cast<DType>(200), {4}, 16), Code::kInvalidArgument);
  EXPECT_EQ(raw(DType::kF64, {4}, 16), Code::kInvalidArgument);
  auto wrong_field = typed(DType::kF32, {1});
  wrong_field.add_int64_data(1);
  EXPECT_EQ(parse(wrong_field).status().code(), Code::kInvalidArgument);
  auto two_fields = typed(DType::kF32, {1});
  two_fields.add_int64_data(1);
  two_fields.add_float_data(1);
  EXPECT_EQ(parse(two_fields).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(parse(typed(DType::kF32, {3})).status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(parse(typed(DType::kF32, {3, 0})).ok());
  auto segment = typed(DType::kF32, {1});
  segment.mutable_segment()->set_end(1);
  EXPECT_EQ(parse(segment).status().code(), Code::kUnsupported);
}

ModelBuilder sparse_model(const I& dims, const I& indices, const I& index_dims) {
  ModelBuilder m(13);
  m.input("x", {1}).output("y").node("Add", {"x", "s"}, {"y"});
  auto& s = *m.graph().add_sparse_initializer();
  set_tensor<float>(*s.mutable_values(), "s", {2}, {5, 6});
  set_tensor<int64_t>(*s.mutable_indices(), "", index_dims, indices);
  for (const int64_t d : dims) s.add_dims(d);
  return m;
}

TEST(OnnxTensor, SparseBecomesDense) {
  for (const auto& m :
       {sparse_model({2, 3}, {1, 5}, {2}), sparse_model({2, 3}, {0, 1, 1, 2}, {2, 2})}) {
    const auto out = m.run({floats({1}, {0})});
    ASSERT_TRUE(out.ok()) << out.status().message();
    EXPECT_EQ(*(*out)[0].to_doubles(), (std::vector<double>{0, 5, 0, 0, 0, 6}));
  }
  EXPECT_EQ(sparse_model({2, 3}, {1, 6}, {2}).import().status().code(), Code::kInvalidArgument);
  EXPECT_EQ(sparse_model({2, 3}, {1, -1}, {2}).import().status().code(), Code::kInvalidArgument);
  EXPECT_EQ(sparse_model({2, 3}, {0, 3, 1, 2}, {2, 2}).import().status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(sparse_model({1 << 30, 1 << 30}, {1, 5}, {2}).import().status().code(), Code::kLimit);
}

class ExternalData : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = ::testing::TempDir() + "onnx_external_" + std::to_string(::getpid());
    std::filesystem::create_directories(root_ + "/model/sub");
    write("outside.bin", std::string(16, 'o'));
    const float values[] = {1, 2, 3, 4};
    std::string bytes(sizeof(values), '\0');
    std::memcpy(bytes.data(), values, sizeof(values));
    write("model/w.bin", "head" + bytes);
    write("model/sub/short.bin", "abc");
    std::error_code ignored;
    std::filesystem::create_symlink("../outside.bin", root_ + "/model/link.bin", ignored);
    ::mkfifo((root_ + "/model/pipe.bin").c_str(), 0600);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(root_ + "/" + name, std::ios::binary) << bytes;
  }
  Result<ImportedModel> import(const std::string& location, const std::string& offset,
                               const std::string& length) {
    ModelBuilder m(17);
    m.input("x", {4}).output("y").node("Add", {"x", "w"}, {"y"});
    auto& t = *m.graph().add_initializer();
    t = typed(DType::kF32, {4});
    t.set_name("w");
    t.set_data_location(onnx::TensorProto::EXTERNAL);
    const auto add = [&](const std::string& key, const std::string& value) {
      if (value.empty()) return;
      auto& e = *t.add_external_data();
      e.set_key(key);
      e.set_value(value);
    };
    add("location", location);
    add("offset", offset);
    add("length", length);
    write("model/model.onnx", m.bytes());
    return import_model(root_ + "/model/model.onnx");
  }
  Code code(const std::string& location, const std::string& offset = "",
            const std::string& length = "") {
    return import(location, offset, length).status().code();
  }

  std::string root_;
};

TEST_F(ExternalData, IsReadFromTheModelsFolder) {
  const auto model = import("w.bin", "4", "16");
  ASSERT_TRUE(model.ok()) << model.status().message();
  const auto out = run_reference(model->graph, std::vector<Tensor>{iota({4})});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(*(*out)[0].to_doubles(), (std::vector<double>{1, 3, 5, 7}));
  EXPECT_EQ(code("sub/../w.bin", "4"), Code::kOk);
}

TEST_F(ExternalData, OnlyFromThere) {
  EXPECT_EQ(code("../outside.bin"), Code::kInvalidArgument);
  EXPECT_EQ(code("sub/../../outside.bin"), Code::kInvalidArgument);
  EXPECT_EQ(code(root_ + "/outside.bin"), Code::kInvalidArgument);
  EXPECT_EQ(code("link.bin"), Code::kInvalidArgument);
  EXPECT_EQ(code("pipe.bin"), Code::kInvalidArgument);
  EXPECT_EQ(code("sub"), Code::kInvalidArgument);
  EXPECT_EQ(code("."), Code::kInvalidArgument);
  EXPECT_EQ(code(""), Code::kInvalidArgument);
  EXPECT_EQ(code("/dev/zero"), Code::kInvalidArgument);
  EXPECT_EQ(code(std::string("w.bin\0x", 7)), Code::kInvalidArgument);
  EXPECT_EQ(code(std::string(70000, 'a')), Code::kInvalidArgument);
  EXPECT_EQ(code("nothing.bin"), Code::kNotAccessible);
}

TEST_F(ExternalData, InRangeOnly) {
  EXPECT_EQ(code("sub/short.bin"), Code::kInvalidArgument);
  EXPECT_EQ(code("w.bin", "1000000"), Code::kInvalidArgument);
  EXPECT_EQ(code("w.bin", "-4"), Code::kInvalidArgument);
  EXPECT_EQ(code("w.bin", "9223372036854775807"), Code::kInvalidArgument);
  EXPECT_EQ(code("w.bin", "99999999999999999999"), Code::kInvalidArgument);
  EXPECT_EQ(code("w.bin", "0x1z"), Code::kInvalidArgument);
  EXPECT_EQ(code("w.bin", "4", "1125899906842624"), Code::kInvalidArgument);
  EXPECT_EQ(code("w.bin", "4", "8"), Code::kInvalidArgument);
}

TEST(OnnxTensorFile, WritesWhatItReads) {
  const std::string path = ::testing::TempDir() + "tensor.pb";
  for (const Tensor& t : {iota({2, 3}), Tensor::ints({1, 2}), Tensor::scalar(true),
                          Tensor::strings({2}, {"a", "bc"}), floats({0}, {})}) {
    ASSERT_TRUE(write_tensor_pb(path, t, "name").ok());
    std::string name;
    const auto read = read_tensor_pb(path, &name);
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(name, "name");
    EXPECT_TRUE(identical(*read, t));
  }
  std::filesystem::remove(path);
  EXPECT_EQ(read_tensor_pb(path).status().code(), Code::kNotAccessible);
}

TEST(OnnxValueFile, WritesWhatItReads) {
  using Kind = Type::Kind;
  const std::string path = ::testing::TempDir() + "value.pb";
  const Tensor tensor = iota({2, 3});
  const Tensor sequence = Tensor::sequence(DType::kF32, {tensor, floats({0}, {}), iota({1})});
  const std::pair<Kind, Tensor> values[] = {
      {Kind::kTensor, tensor},
      {Kind::kSequence, sequence},
      {Kind::kSequence, Tensor::sequence(DType::kF32, {})},
      {Kind::kOptionalTensor, tensor},
      {Kind::kOptionalTensor, Tensor::nothing(DType::kF32)},
      {Kind::kOptionalSequence, sequence},
      {Kind::kOptionalSequence, Tensor::nothing(DType::kF32)},
  };
  for (const auto& [kind, value] : values) {
    ASSERT_TRUE(write_value_pb(path, value, kind, "name").ok());
    const auto read = read_value_pb(path, {kind, DType::kF32, std::nullopt});
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_TRUE(identical(*read, value)) << value.type_str();
  }
  std::filesystem::remove(path);
}

TEST(OnnxValueFile, RefusesOtherValues) {
  const std::string path = ::testing::TempDir() + "other.pb";
  const auto read_as = [&](Type::Kind kind, DType dtype) {
    return read_value_pb(path, {kind, dtype, std::nullopt}).status();
  };
  ASSERT_TRUE(write_tensor_pb(path, iota({2}), "x").ok());
  EXPECT_EQ(read_as(Type::Kind::kSequence, DType::kF32).code(), Code::kInvalidArgument);
  const Tensor sequence = Tensor::sequence(DType::kF32, {iota({2})});
  ASSERT_TRUE(write_value_pb(path, sequence, Type::Kind::kSequence, "x").ok());
  const Status other = read_as(Type::Kind::kSequence, DType::kI64);
  EXPECT_NE(other.message().find("element 0: expected type i64, found f32[2]"), std::string::npos)
      << other.message();
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace mnn::testing
