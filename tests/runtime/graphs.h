// What the tests of this folder share.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "libruntime/core/metrics.h"
#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "libruntime/session.h"
#include "tests/runtime/fake_device.h"
#include "tests/runtime/test_backend.h"

namespace mnn {

inline Graph graph_of(std::string_view text) {
  Result<Graph> graph = parse_graph(text);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  return graph.ok() ? std::move(graph).value() : Graph();
}

inline Tensor tensor_of(std::string_view text) {
  Result<Tensor> tensor = parse_tensor(text);
  EXPECT_TRUE(tensor.ok()) << tensor.status().message();
  return tensor.ok() ? std::move(tensor).value() : Tensor();
}

inline std::unique_ptr<Session> session_of(Graph graph, SessionOptions options = {}) {
  register_test_backend();
  auto session = Session::create(std::move(graph), options);
  EXPECT_TRUE(session.ok()) << session.status().message();
  return session.ok() ? std::move(session).value() : nullptr;
}

inline std::vector<Tensor> run_of(Session& session, const std::vector<Tensor>& inputs) {
  auto outputs = session.run(inputs);
  EXPECT_TRUE(outputs.ok()) << outputs.status().message();
  return outputs.ok() ? std::move(outputs).value() : std::vector<Tensor>();
}

// What a session of these backends may differ from the reference: kernels in float, not double.
inline Status like_reference(const Tensor& expected, const Tensor& found,
                             const SessionOptions& options) {
  const bool exact = options.backends.front() == "test" || options.backends.front() == "reference";
  if (exact && identical(expected, found)) return {};
  const Status close =
      exact ? invalid("not the same bytes") : all_close(expected, found, 1e-5, 1e-5);
  if (close.ok()) return close;
  return close.context("expected " + print_tensor(expected) + ", found " + print_tensor(found));
}

inline void expect_like_reference(Session& session, const Graph& graph,
                                  const std::vector<Tensor>& inputs,
                                  const SessionOptions& options = {}) {
  const auto expected = run_reference(graph, inputs);
  ASSERT_TRUE(expected.ok()) << expected.status().message();
  const std::vector<Tensor> found = run_of(session, inputs);
  ASSERT_EQ(found.size(), expected->size());
  for (size_t i = 0; i < found.size(); ++i) {
    const Status status = like_reference((*expected)[i], found[i], options);
    EXPECT_TRUE(status.ok()) << "output " << i << ": " << status.message();
  }
}

inline void expect_like_reference(const Graph& graph, const std::vector<Tensor>& inputs,
                                  const SessionOptions& options = {}) {
  const auto session = session_of(graph, options);
  ASSERT_NE(session, nullptr);
  for (int round = 0; round < 3; ++round) expect_like_reference(*session, graph, inputs, options);
}

// The backends every behaviour is tested with.
inline std::vector<SessionOptions> all_options() {
  register_test_backend();
  std::vector<SessionOptions> all;
  register_fake_device();
  for (const char* name : {"cpu", "test", "reference", "fake"}) {
    SessionOptions options;
    options.backends = {name};
    all.push_back(options);
  }
  return all;
}

}  // namespace mnn
