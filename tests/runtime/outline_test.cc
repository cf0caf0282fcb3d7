// What would run a model, told without running it.
#include <gtest/gtest.h>

#include <map>

#include "libruntime/session.h"
#include "tests/text_graph.h"

namespace mnn {
namespace {

std::map<std::string, StepInfo> outline_of(std::string_view text,
                                           const std::vector<std::vector<int64_t>>& dims) {
  auto steps = Session::outline(typed_graph(text), dims, {});
  EXPECT_TRUE(steps.ok()) << steps.status().message();
  std::map<std::string, StepInfo> by_name;
  if (!steps.ok()) return by_name;
  for (const StepInfo& step : *steps) by_name[step.origin.at(0)] = step;
  return by_name;
}

TEST(Outline, NamesBackendsReasonsAndCosts) {
  const auto steps = outline_of(R"(graph g(x: f32[n,32,32]) -> (y) {
    a = MatMul(x, x) name "product"
    y = Det(a) name "volume"
  })",
                                {{4, 32, 32}});
  ASSERT_EQ(steps.size(), 2U);
  EXPECT_EQ(steps.at("product").backend, "cpu");
  EXPECT_EQ(steps.at("product").why, "");
  EXPECT_EQ(steps.at("product").macs, 4 * 32 * 32 * 32);
  EXPECT_EQ(steps.at("volume").backend, "reference");
  EXPECT_NE(steps.at("volume").why.find("no CPU kernel"), std::string::npos);
  EXPECT_GT(steps.at("product").seconds, 0);
  EXPECT_GT(steps.at("volume").seconds, steps.at("product").seconds);
}

TEST(Outline, CostGrowsWithTheWork) {
  constexpr const char* kModel = "graph g(x: f32[n,n]) -> (y) {\n  y = MatMul(x, x) name \"p\"\n}";
  const double small = outline_of(kModel, {{64, 64}}).at("p").seconds;
  const double large = outline_of(kModel, {{512, 512}}).at("p").seconds;
  EXPECT_GT(large, 20 * small);
}

// Half the work of a plan inside: what waits for data is planned for made-up shapes.
TEST(Outline, GoesBehindShapesThatDependOnDataAndIntoBodies) {
  const auto late = outline_of(R"(graph g(x: f32[8]) -> (y) {
    i = NonZero(x) name "where"
    f = Cast(i) {to=f32} name "floats"
    y = Softmax(f) name "softmax"
  })",
                               {{8}});
  ASSERT_EQ(late.size(), 3U);
  EXPECT_EQ(late.at("where").backend, "reference");
  EXPECT_EQ(late.at("softmax").backend, "cpu");

  const auto body = outline_of(R"(graph g(c: bool[], x: f32[n,4]) -> (y) {
    y = If(c) captures(x) {
      then_branch: graph t() captures(x) -> (r) {
        r = Relu(x) name "relu"
      }
      else_branch: graph e() captures(x) -> (r) {
        r = Hardmax(x) name "hardmax"
      }
    } name "if"
  })",
                               {{}, {2, 4}});
  ASSERT_EQ(body.size(), 3U);
  EXPECT_EQ(body.at("if").backend, "session");
  EXPECT_EQ(body.at("relu").backend, "cpu");
  EXPECT_EQ(body.at("hardmax").backend, "reference");
}

}  // namespace
}  // namespace mnn
