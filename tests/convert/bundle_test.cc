// TensorBundles: what is read, and what is refused.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "libconvert/frontends/tensorflow/crc32c.h"
#include "libconvert/frontends/tensorflow/table.h"
#include "tests/convert/bundle_builder.h"

namespace mnn::testing {
namespace {

using tensorflow::Bundle;
constexpr const char* kPrefix = "variables/variables";
constexpr int kFloat = 1, kInt32 = 3, kString = 7, kBool = 10, kBFloat16 = 14, kHalf = 19;

Result<Bundle> open(const BundleFiles& b) { return Bundle::open(opener(b.files()), kPrefix); }

// 0, 1, 2, … as bytes.
std::string floats(int count, int from = 0) {
  std::vector<float> values;
  for (int i = 0; i < count; ++i) values.push_back(static_cast<float>(from + i));
  return raw_bytes(values);
}

void expect_error(const Status& status, Code code, const std::string& part) {
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
}

TEST(Crc32c, KnownValues) {
  // The check value of the polynomial, and those of RFC 3720.
  const auto of = [](const std::string& text) {
    return tensorflow::crc32c(std::as_bytes(std::span(text)));
  };
  EXPECT_EQ(of("123456789"), 0xe3069283u);
  EXPECT_EQ(of(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(of(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(Table, ManyBlocksAndSharedPrefixes) {
  std::map<std::string, std::string> entries;
  for (int i = 0; i < 50; ++i) entries["layer/" + std::to_string(i * 7)] = std::to_string(i);
  entries[""] = "header";
  for (const size_t per_block : {1, 4, 100}) {
    const std::string bytes = table_bytes(entries, per_block);
    const auto read = tensorflow::read_table(std::as_bytes(std::span(bytes)));
    ASSERT_TRUE(read.ok()) << read.status().message();
    ASSERT_EQ(read->size(), entries.size());
    for (const auto& [key, value] : entries) EXPECT_EQ(read->at(key), value);
  }
}

TEST(Table, EveryByteCounts) {
  const std::string whole = table_bytes({{"", "h"}, {"a", "1"}, {"b", "2"}, {"c", "3"}}, 2);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string bytes = whole;
    bytes[i] = static_cast<char>(bytes[i] ^ 0x41);
    const auto read = tensorflow::read_table(std::as_bytes(std::span(bytes)));
    if (!read.ok()) continue;
    // Only what no reader looks at may change: the handle of the metaindex, its block, padding.
    EXPECT_EQ(read->size(), 4u) << i;
    EXPECT_EQ(read->at("a"), "1") << i;
  }
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(tensorflow::read_table(std::as_bytes(std::span(whole)).first(n)).ok()) << n;
  }
}

TEST(Bundle, TypesAndShards) {
  BundleFiles b;
  b.add("odd", 4, {3}, "abc");
  b.add("unaligned", kFloat, {2, 2}, floats(4));
  b.add("half", kHalf, {2}, raw_bytes<uint16_t>({0x3c00, 0xc000}), 1);
  b.add("brain", kBFloat16, {1}, raw_bytes<uint16_t>({0x3f80}), 1);
  b.add("flags", kBool, {2}, std::string("\0\7", 2), 2);
  b.add("scalar", kInt32, {}, raw_bytes<int32_t>({-5}), 2);
  b.add("none", kFloat, {0, 3}, "", 1);
  Result<Bundle> bundle = open(b);
  ASSERT_TRUE(bundle.ok()) << bundle.status().message();
  const auto doubles = [&](const std::string& key) { return *bundle->read(key)->to_doubles(); };
  EXPECT_EQ(doubles("unaligned"), (std::vector<double>{0, 1, 2, 3}));
  EXPECT_EQ(bundle->read("unaligned")->type_str(), "f32[2,2]");
  EXPECT_EQ(doubles("half"), (std::vector<double>{1, -2}));
  EXPECT_EQ(bundle->read("half")->type_str(), "f16[2]");
  EXPECT_EQ(doubles("brain"), (std::vector<double>{1}));
  EXPECT_EQ(bundle->read("brain")->type_str(), "bf16[1]");
  EXPECT_EQ(doubles("flags"), (std::vector<double>{0, 1}));
  EXPECT_EQ(doubles("scalar"), (std::vector<double>{-5}));
  EXPECT_EQ(bundle->read("none")->type_str(), "f32[0,3]");
  expect_error(bundle->read("missing").status(), Code::kInvalidArgument, "no tensor missing");
  EXPECT_EQ(bundle->find(""), nullptr);
}

tensorflow::TensorSliceProto slice(std::vector<std::pair<int64_t, int64_t>> extents) {
  tensorflow::TensorSliceProto s;
  for (const auto& [start, length] : extents) {
    auto* e = s.add_extent();
    if (length < 0) continue;
    e->set_start(start);
    e->set_length(length);
  }
  return s;
}

// [4, 3] of 0 … 11: two rows, then two columns and one of the other two.
BundleFiles sliced() {
  BundleFiles b;
  auto& whole = b.add("w", kFloat, {4, 3}, "");
  const auto add = [&](const tensorflow::TensorSliceProto& s, std::vector<int64_t> dims,
                       const std::vector<float>& values, int shard) {
    *whole.add_slices() = s;
    b.add(tensorflow::slice_key("w", s), kFloat, std::move(dims), raw_bytes(values), shard);
  };
  add(slice({{0, 2}, {0, -1}}), {2, 3}, {0, 1, 2, 3, 4, 5}, 0);
  add(slice({{2, 2}, {0, 2}}), {2, 2}, {6, 7, 9, 10}, 1);
  add(slice({{2, 2}, {2, 1}}), {2, 1}, {8, 11}, 1);
  return b;
}

TEST(Bundle, SlicesAreJoinedAndCut) {
  Result<Bundle> bundle = open(sliced());
  ASSERT_TRUE(bundle.ok()) << bundle.status().message();
  const auto whole = bundle->read("w");
  ASSERT_TRUE(whole.ok()) << whole.status().message();
  for (int i = 0; i < 12; ++i) EXPECT_EQ(whole->data<float>()[i], static_cast<float>(i));
  const auto part = bundle->read("w", {{1, 1}, {2, 2}});
  ASSERT_TRUE(part.ok()) << part.status().message();
  EXPECT_EQ(*part->to_doubles(), (std::vector<double>{4, 5, 7, 8}));
  EXPECT_FALSE(bundle->read("w", {{3, 0}, {2, 3}}).ok());
  EXPECT_FALSE(bundle->read("w", {{0}, {4}}).ok());
}

// Numbers of one, two and more bytes; the bytes are those of TensorFlow 2.18.
TEST(Bundle, SliceKeys) {
  const auto hex = [](const std::string& text) {
    std::string out;
    for (const char c : text) {
      constexpr const char* kDigits = "0123456789abcdef";
      out += kDigits[static_cast<uint8_t>(c) >> 4];
      out += kDigits[static_cast<uint8_t>(c) & 15];
    }
    return out;
  };
  EXPECT_EQ(hex(tensorflow::slice_key("part/w2", slice({{0, 2}, {0, 4}}))),
            "00706172742f7732"
            "0001"
            "0102"
            "80828084");
  EXPECT_EQ(hex(tensorflow::slice_key("w", slice({{0, -1}, {64, 10000}}))),
            "0077"
            "0001"
            "0102"
            "807f"
            "c040e02710");
  EXPECT_EQ(hex(tensorflow::slice_key(std::string("\0\xff", 2), slice({}))), "0000ffff00000100");
}

TEST(Bundle, SlicesThatDoNotFit) {
  const auto damaged = [](const auto& damage) {
    BundleFiles b = sliced();
    damage(b);
    Result<Bundle> bundle = open(b);
    return bundle.ok() ? bundle->read("w").status() : bundle.status();
  };
  expect_error(damaged([](BundleFiles& b) { b.entries["w"].mutable_slices()->RemoveLast(); }),
               Code::kInvalidArgument, "do not cover it");
  expect_error(damaged([](BundleFiles& b) {
                 *b.entries["w"].add_slices() = slice({{2, 2}, {2, 1}});
               }),
               Code::kInvalidArgument, "not parts of one tensor");
  expect_error(damaged([](BundleFiles& b) {
                 b.entries.erase(tensorflow::slice_key("w", slice({{2, 2}, {2, 1}})));
               }),
               Code::kInvalidArgument, "is missing");
  expect_error(damaged([](BundleFiles& b) {
                 *b.entries["w"].mutable_slices(0) = slice({{0, 9}, {0, -1}});
               }),
               Code::kInvalidArgument, "not parts of one tensor");
  expect_error(damaged([](BundleFiles& b) {
                 b.entries["w"].mutable_shape()->mutable_dim(0)->set_size(int64_t{1} << 40);
               }),
               Code::kInvalidArgument, "do not cover it");
}

TEST(Bundle, WhatLiesWrong) {
  const auto read = [](const auto& damage) {
    BundleFiles b;
    b.add("a", kFloat, {4}, floats(4));
    b.add("b", kFloat, {4}, floats(4, 4), 1);
    damage(b);
    Result<Bundle> bundle = open(b);
    if (!bundle.ok()) return bundle.status();
    const Status first = bundle->read("a").status();
    return first.ok() ? bundle->read("b").status() : first;
  };
  EXPECT_TRUE(read([](BundleFiles&) {}).ok());
  expect_error(read([](BundleFiles& b) { b.header.set_endianness(1); }), Code::kUnsupported,
               "big-endian");
  expect_error(read([](BundleFiles& b) { b.header.mutable_version()->set_min_consumer(2); }),
               Code::kUnsupported, "version 2");
  expect_error(read([](BundleFiles& b) { b.header.set_num_shards(1); }), Code::kInvalidArgument,
               "the entry of b lies in no shard");
  expect_error(read([](BundleFiles& b) { b.header.set_num_shards(3); }), Code::kNotAccessible,
               "data-00000-of-00003 is not there: the variables lie in 3 files");
  expect_error(read([](BundleFiles& b) { b.entries["b"].set_offset(1); }), Code::kInvalidArgument,
               "shard 1 has 16 bytes, expected 16 at offset 1: it is cut off");
  expect_error(read([](BundleFiles& b) { b.entries["b"].set_offset(-1); }), Code::kInvalidArgument,
               "lies in no shard");
  expect_error(read([](BundleFiles& b) { b.entries["b"].set_size(int64_t{1} << 60); }),
               Code::kInvalidArgument, "lies in no shard");
  expect_error(read([](BundleFiles& b) { b.entries["b"].set_shard_id(0); }), Code::kInvalidArgument,
               "overlap");
  expect_error(
      read([](BundleFiles& b) { b.entries["a"].mutable_shape()->mutable_dim(0)->set_size(5); }),
      Code::kInvalidArgument, "has 16 bytes, its shape and type take 20");
  expect_error(
      read([](BundleFiles& b) { b.entries["a"].mutable_shape()->mutable_dim(0)->set_size(-1); }),
      Code::kInvalidArgument, "its shape");
  expect_error(read([](BundleFiles& b) { b.entries["a"].set_dtype(20); }), Code::kUnsupported,
               "element type 20");
  expect_error(read([](BundleFiles& b) { b.entries["a"].set_dtype(kString); }), Code::kUnsupported,
               "strings");
  expect_error(read([](BundleFiles& b) { b.shards[1][3] = 1; }), Code::kInvalidArgument,
               "do not match their checksum");
  expect_error(read([](BundleFiles& b) { b.shards[1].clear(); }), Code::kInvalidArgument,
               "cut off");
}

TEST(Bundle, Strings) {
  BundleFiles b;
  b.add_string("text", "what the checkpoint holds");
  b.add("number", kFloat, {}, floats(1));
  Result<Bundle> bundle = open(b);
  ASSERT_TRUE(bundle.ok());
  EXPECT_EQ(*bundle->read_string("text"), "what the checkpoint holds");
  EXPECT_FALSE(bundle->read_string("number").ok());
  b.shards[0][9] = 'X';
  expect_error(open(b)->read_string("text").status(), Code::kInvalidArgument, "checksum");
  b.shards[0][0] = 127;
  expect_error(open(b)->read_string("text").status(), Code::kInvalidArgument, "wrong length");
}

TEST(Bundle, CompressedBlocksAreNamed) {
  std::string index = BundleFiles().files()["variables/variables.index"];
  // The first block, of the header alone: its compression, and the checksum that fits it.
  size_t end = 0;
  const auto stored = [&] {
    uint32_t sum = 0;
    std::memcpy(&sum, index.data() + end + 1, sizeof(sum));
    return sum;
  };
  while (tensorflow::masked_crc32c(std::as_bytes(std::span(index)).first(end + 1)) != stored())
    ++end;
  index[end] = 1;
  const uint32_t fits = tensorflow::masked_crc32c(std::as_bytes(std::span(index)).first(end + 1));
  std::copy_n(reinterpret_cast<const char*>(&fits), 4, index.begin() + static_cast<long>(end) + 1);
  expect_error(Bundle::open(opener({{"variables/variables.index", index}}), kPrefix).status(),
               Code::kUnsupported, "Snappy");
}

}  // namespace
}  // namespace mnn::testing
