// The models of the fuzz target, and whether the judge would notice anything.
#include <gtest/gtest.h>

#include <filesystem>
#include <iterator>

#include "tests/convert/model_builder.h"
#include "tests/test_data.h"

namespace mnn::testing {
namespace {

TEST(OnnxJudge, AgreesOnTheSeeds) {
  int models = 0, compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(test_data("fuzz/seeds/onnx"))) {
    if (entry.path().extension() != ".onnx") continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    const Judgement j = judge_import(bytes, import_onnx(std::as_bytes(std::span(bytes)), ""));
    EXPECT_EQ(j.difference, "") << entry.path();
    compared += j.compared;
    ++models;
  }
  EXPECT_GE(models, 8);
  EXPECT_GE(compared, 20);
}

TEST(OnnxJudge, SeesWhatDiffers) {
  ModelBuilder m(13);
  m.input("x", {2, 3}).output("y").node("Relu", {"x"}, {"h"}).node("Neg", {"h"}, {"y"});
  const auto change = [&](auto&& f) {
    auto model = m.import();
    f(*model);
    return judge_import(m.bytes(), std::move(model)).difference;
  };
  const auto h = [](ImportedModel& model) -> Type& {
    return model.graph.value(model.graph.nodes[0].outputs[0]).type;
  };
  EXPECT_EQ(change([](ImportedModel&) {}), "");
  EXPECT_EQ(change([&](ImportedModel& i) { (*h(i).shape)[1] = Dim(4); }),
            "h is f32[2,4], libonnx says 3 for dim 1");
  EXPECT_EQ(change([&](ImportedModel& i) { h(i).shape->pop_back(); }),
            "h is f32[2], libonnx says rank 2");
  EXPECT_EQ(change([&](ImportedModel& i) { h(i).dtype = DType::kF16; }),
            "h is f16[2,3], libonnx says f32");
  EXPECT_EQ(judge_import(m.bytes(), invalid("no")).difference, "libonnx accepts it: no");
  EXPECT_EQ(judge_import(m.bytes(), unsupported("no")).difference, "");
}

}  // namespace
}  // namespace mnn::testing
