// States: what lives from one run to the next.
#include "tests/runtime/graphs.h"

namespace mnn {
namespace {

TEST(State, IsReadAndReset) {
  const auto session = session_of(graph_of(R"(graph g(x: f32[2]) -> (y) {
    state s: f32[2] = 10 20
    y = Add(x, s)
  })"));
  EXPECT_EQ(print_tensor(run_of(*session, {tensor_of("f32[2] = 1 2")})[0]), "f32[2] = 11 22");
  // The session's own bytes, which a run reads.
  Tensor live;
  for (const Value& v : session->planned().values) {
    if (v.kind == ValueKind::kState) live = v.data;
  }
  ASSERT_TRUE(live.defined());
  live.data<float>()[0] = -5;
  EXPECT_EQ(print_tensor(run_of(*session, {tensor_of("f32[2] = 1 2")})[0]), "f32[2] = -4 22");
  session->reset_states();
  EXPECT_EQ(print_tensor(run_of(*session, {tensor_of("f32[2] = 1 2")})[0]), "f32[2] = 11 22");
}

// Streaming: what the state becomes is seen by the next run, in every back end.
TEST(State, BecomesWhatTheGraphSays) {
  const Graph graph = graph_of(R"(graph g(x: f32[2]) -> (y) {
    state sum: f32[2] = 10 20
    state before: f32[2]
    now = Add(x, sum)
    y = Sub(now, before)
    update sum = now
    update before = sum
  })");
  for (const std::string backend : {"cpu", "reference", "test"}) {
    SessionOptions options;
    options.backends = {backend};
    const auto session = session_of(graph, options);
    const std::vector<Tensor> x = {tensor_of("f32[2] = 1 2")};
    EXPECT_EQ(print_tensor(run_of(*session, x)[0]), "f32[2] = 11 22") << backend;
    EXPECT_EQ(print_tensor(run_of(*session, x)[0]), "f32[2] = 2 4") << backend;
    EXPECT_EQ(print_tensor(run_of(*session, x)[0]), "f32[2] = 2 4") << backend;
    session->reset_states();
    EXPECT_EQ(print_tensor(run_of(*session, x)[0]), "f32[2] = 11 22") << backend;
  }
}

TEST(State, TwoThatSwapDoSoAtOnce) {
  const auto session = session_of(graph_of(R"(graph g(x: f32[1]) -> (y) {
    state a: f32[1] = 1
    state b: f32[1] = 2
    y = Add(x, a)
    update a = b
    update b = a
  })"));
  const std::vector<Tensor> x = {tensor_of("f32[1] = 0")};
  for (const std::string want : {"1", "2", "1", "2"}) {
    EXPECT_EQ(print_tensor(run_of(*session, x)[0]), "f32[1] = " + want);
  }
}

// A state may become an input, an output or a constant as it is.
TEST(State, MayBecomeABorderValue) {
  const auto session = session_of(graph_of(R"(graph g(x: f32[1]) -> (y) {
    const one: f32[1] = 1
    state last: f32[1] = 5
    state second: f32[1] = 7
    y = Add(last, second)
    update last = x
    update second = one
  })"));
  EXPECT_EQ(print_tensor(run_of(*session, {tensor_of("f32[1] = 3")})[0]), "f32[1] = 12");
  EXPECT_EQ(print_tensor(run_of(*session, {tensor_of("f32[1] = 0")})[0]), "f32[1] = 4");
}

TEST(State, UpdatesOfAnotherShapeAreRefused) {
  EXPECT_FALSE(Session::create(graph_of(R"(graph g(x: f32[1]) -> (x) {
    state s: f32[2] = 5 5
    update s = x
  })"),
                               {})
                   .ok());
  const auto session = session_of(graph_of(R"(graph g(x: f32[n]) -> (y) {
    state s: f32[2] = 5 5
    y = Relu(x)
    update s = y
  })"));
  EXPECT_TRUE(session->run(std::vector<Tensor>{tensor_of("f32[2] = 1 2")}).ok());
  const auto wrong = session->run(std::vector<Tensor>{tensor_of("f32[3] = 1 2 3")});
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace mnn
