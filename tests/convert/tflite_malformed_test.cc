// Damaged TensorFlow Lite files: refused with a reason, in bounded time and memory.
#include <gtest/gtest.h>

#include <random>

#include "tests/convert/tflite_builder.h"

namespace mnn::testing {
namespace {

// A convolution with quantized weights, a reshape and a signature: most tables of the format.
TfModel small() {
  TfGraph g;
  const int32_t x = g.add({.name = "x", .dims = {1, 4, 4, 2}, .signature = {-1, 4, 4, 2}});
  const int32_t w = g.add({.name = "w",
                           .type = 9,
                           .dims = {2, 2, 2, 2},
                           .data = raw<int8_t>(std::vector<int8_t>(16, 3)),
                           .scales = {0.5f, 0.25f},
                           .zeros = {0, 0}});
  const int32_t b = g.add({.name = "b", .dims = {2}, .data = raw<float>({1, 2})});
  const int32_t c = g.add({.name = "c", .dims = {1, 4, 4, 2}});
  const int32_t s = g.add({.name = "s", .type = 2, .dims = {2}, .data = raw<int32_t>({1, -1})});
  const int32_t y = g.add({.name = "y", .dims = {1, 32}});
  g.inputs = {x};
  g.outputs = {y};
  g.operators = {{.code = 3,
                  .inputs = {x, w, b},
                  .outputs = {c},
                  .kind = 1,
                  .options = {{0, "i8", "0"}, {1, "i32", "1"}, {2, "i32", "1"}, {3, "i8", "1"}}},
                 {.code = 22, .inputs = {c, s}, .outputs = {y}}};
  TfModel m{{g}};
  m.signatures = {{"serve", {{"x", 0}}, {{"y", 5}}, 0}};
  return m;
}

void expect_error(const TfModel& m, Code code, const std::string& part) {
  const auto model = m.import();
  ASSERT_FALSE(model.ok()) << part;
  EXPECT_EQ(model.status().code(), code) << model.status().message();
  EXPECT_NE(model.status().message().find(part), std::string::npos) << model.status().message();
}

TEST(TfliteMalformed, NumbersThatLie) {
  ASSERT_TRUE(small().import().ok()) << small().import().status().message();
  TfModel m = small();
  m.version = 4;
  expect_error(m, Code::kUnsupported, "newer than 3");
  m = small();
  m.graphs[0].operators[0].inputs[0] = 77;
  expect_error(m, Code::kInvalidArgument, "names tensor 77");
  m = small();
  m.graphs[0].outputs = {-5};
  expect_error(m, Code::kInvalidArgument, "names tensor -5");
  m = small();
  m.graphs[0].tensors[1].data.pop_back();
  expect_error(m, Code::kInvalidArgument, "has 15 bytes");
  m = small();
  m.graphs[0].tensors[1].dims = {1 << 30, 1 << 30, 1 << 30, 4};
  expect_error(m, Code::kInvalidArgument, "damaged file");
  m = small();
  m.graphs[0].tensors[1].scales = {1, 2, 3};
  m.graphs[0].tensors[1].zeros = {0, 0, 0};
  expect_error(m, Code::kInvalidArgument, "do not fit its axis");
  m = small();
  m.graphs[0].tensors[0].dims.assign(40, 1);
  expect_error(m, Code::kLimit, "rank 40");
  m = small();
  m.graphs[0].operators[0].options[1].value = "0";
  expect_error(m, Code::kInvalidArgument, "positive strides");
  m = small();
  std::swap(m.graphs[0].operators[0], m.graphs[0].operators[1]);
  expect_error(m, Code::kInvalidArgument, "before an operator makes it");
  m = small();
  m.signatures[0].outputs[0].second = 99;
  expect_error(m, Code::kInvalidArgument, "signature serve names no tensor");
  m = small();
  m.graphs.clear();
  m.signatures.clear();
  expect_error(m, Code::kInvalidArgument, "no sub-graph");
}

TEST(TfliteMalformed, CutOffAnywhere) {
  const std::string whole = small().bytes();
  for (size_t n = 0; n < whole.size(); ++n) {
    const std::string part = whole.substr(0, n);
    EXPECT_FALSE(import_tflite(std::as_bytes(std::span(part))).ok()) << n;
  }
}

TEST(TfliteMalformed, Mutations) {
  const std::string whole = small().bytes();
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = whole;
    for (unsigned edits = 1 + random() % 3; edits > 0; --edits) {
      const size_t at = random() % (bytes.size() - 4);
      const uint32_t ends[] = {0,          1,          0x7fffffff,
                               0x80000000, 0xffffffff, static_cast<uint32_t>(random())};
      const uint32_t value = ends[random() % 6];
      std::copy_n(reinterpret_cast<const char*>(&value), random() % 2 == 0 ? 1 : 4,
                  bytes.begin() + static_cast<long>(at));
    }
    auto model = import_tflite(std::as_bytes(std::span(bytes)));
    if (!model.ok()) continue;
    EXPECT_TRUE(verify(model->graph).ok());
    if (optimize(model->graph).ok()) {
      EXPECT_TRUE(verify(model->graph).ok());
    }
  }
}

}  // namespace
}  // namespace mnn::testing
