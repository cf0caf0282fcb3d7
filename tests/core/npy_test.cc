#include "libruntime/core/io/npy.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "libruntime/core/io/file.h"
#include "libruntime/core/text.h"
#include "tests/test_data.h"

namespace mnn {
namespace {

std::string data(const std::string& name) { return test_data("data/npy/" + name); }

std::string text_of(const std::string& name) {
  const Result<Tensor> t = read_npy(data(name));
  return t.ok() ? print_tensor(*t) : t.status().message();
}

std::string bytes_of(const std::string& name) {
  std::ifstream in(data(name), std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

Result<Tensor> parse(std::string_view bytes) { return parse_npy(std::as_bytes(std::span(bytes))); }

TEST(Npy, ReadsWhatNumpyWrites) {
  EXPECT_EQ(text_of("c.npy"), "f32[2,3] = 0 1 2 3 4 5");
  EXPECT_EQ(text_of("fortran.npy"),
            "i16[2,3,4] = 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23");
  EXPECT_EQ(text_of("big.npy"), "i32[3] = 1 -2 300000");
  EXPECT_EQ(text_of("bigc.npy"), "c64[1] = (1,2)");
  EXPECT_EQ(text_of("scalar.npy"), "f64[] = 2.5");
  EXPECT_EQ(text_of("empty.npy"), "u8[0,5] =");
  EXPECT_EQ(text_of("bool.npy"), "bool[2] = 1 0");
  EXPECT_EQ(text_of("half.npy"), "f16[3] = 0.5 65504 -2");
  EXPECT_EQ(text_of("v2.npy"), "u64[1] = 7");
  EXPECT_EQ(text_of("v3.npy"), "u64[1] = 7");
}

TEST(Npy, WritesWhatItReads) {
  for (const char* text :
       {"f32[2,3] = iota 0 1", "f64[] = 2.5", "bool[2] = 1 0", "i8[3] = iota 0 1",
        "c128[1] = (1,-2)", "u8[0,5] =", "f16[1] = 1", "i64[1,1,1] = -5"}) {
    const Tensor t = *parse_tensor(text);
    const Result<std::string> bytes = npy_bytes(t);
    ASSERT_TRUE(bytes.ok());
    EXPECT_EQ((bytes->size() - static_cast<size_t>(t.bytes())) % 64, 0u);
    EXPECT_TRUE(identical(*parse(*bytes), t)) << text;
  }
  const std::string path = testing::TempDir() + "/written.npy";
  const Tensor t = *parse_tensor("f32[3] = 1 2 3");
  ASSERT_TRUE(write_npy(path, t).ok());
  EXPECT_TRUE(identical(*read_npy(path), t));
}

TEST(Npy, NamesTypesItLacks) {
  EXPECT_FALSE(npy_has_type(DType::kBF16));
  EXPECT_EQ(npy_bytes(*parse_tensor("bf16[1] = 1")).status().message(),
            "npy has no element type bf16");
  EXPECT_NE(text_of("unicode.npy").find("element type '<U3' is not supported"), std::string::npos);
}

TEST(Npy, RefusesLies) {
  auto with = [](std::string_view descr, std::string_view shape) {
    std::string header = "{'descr': " + std::string(descr) +
                         ", 'fortran_order': False, 'shape': " + std::string(shape) + "}\n";
    std::string out("\x93NUMPY\x01\0", 8);
    out += {static_cast<char>(header.size()), '\0'};
    return parse(out + header + "12345678").status().message();
  };
  EXPECT_EQ(with("'<f4'", "(2,)"), "");
  EXPECT_EQ(with("'f4'", "(2)"), "");
  EXPECT_EQ(with("'<f4'", "(3,)"), "npy: expected f32[3], found 8 bytes of elements");
  EXPECT_NE(with("'<f4'", "(4611686018427387904,4)").find("found 8 bytes"), std::string::npos);
  EXPECT_NE(with("'<f4'", "(-1,)").find("dimension -1 is negative"), std::string::npos);
  EXPECT_NE(with("[('a', '<f4')]", "(1,)").find("structured types"), std::string::npos);
  EXPECT_NE(with("'<f4'", "(99999999999999999999,)").find("expected an integer"),
            std::string::npos);
  EXPECT_NE(with("'|O'", "(1,)").find("'|O' is not supported"), std::string::npos);
}

TEST(Npy, EveryPrefixAndEveryChangedByteIsSafe) {
  for (const char* name : {"c.npy", "fortran.npy", "v3.npy"}) {
    const std::string bytes = bytes_of(name);
    ASSERT_GT(bytes.size(), 64u);
    for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(parse(bytes.substr(0, n)).ok());
    for (size_t n = 0; n < bytes.size(); ++n) {
      for (const int flip : {1, 0x20, 0x80, 0xff}) {
        std::string changed = bytes;
        changed[n] = static_cast<char>(changed[n] ^ flip);
        (void)parse(changed);
      }
    }
  }
}

TEST(Npz, ReadsStoredAndDeflated) {
  const auto stored = read_npz(data("stored.npz"));
  ASSERT_TRUE(stored.ok()) << stored.status().message();
  ASSERT_EQ(stored->size(), 2u);
  EXPECT_EQ(print_tensor(stored->at("a")), "f32[2,3] = 0 1 2 3 4 5");
  EXPECT_EQ(print_tensor(stored->at("x/y")), "i64[2] = 1 2");
  const auto deflated = read_npz(data("deflated.npz"));
  ASSERT_TRUE(deflated.ok()) << deflated.status().message();
  EXPECT_EQ(deflated->at("zeros").elements(), 30000);
  EXPECT_EQ(print_tensor(deflated->at("a")), "f32[2,3] = 0 1 2 3 4 5");
}

TEST(Npz, BoundsWhatItUnpacks) {
  EXPECT_EQ(read_npz(data("deflated.npz"), 1000).status().code(), Code::kLimit);
}

TEST(Npz, EveryPrefixAndEveryChangedByteIsSafe) {
  for (const char* name : {"stored.npz", "deflated.npz"}) {
    const std::string bytes = bytes_of(name);
    ASSERT_GT(bytes.size(), 64u);
    for (size_t n = 0; n < bytes.size(); ++n) {
      EXPECT_FALSE(parse_npz(std::as_bytes(std::span(bytes.data(), n))).ok()) << n;
    }
    for (size_t n = 0; n < bytes.size(); ++n) {
      for (const int flip : {1, 0x80, 0xff}) {
        std::string changed = bytes;
        changed[n] = static_cast<char>(changed[n] ^ flip);
        (void)parse_npz(std::as_bytes(std::span(changed)));
      }
    }
  }
}

}  // namespace
}  // namespace mnn
