// What the tests of this folder share.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "libruntime/core/op.h"
#include "libruntime/core/text.h"
#include "libruntime/session.h"

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
  auto session = Session::create(std::move(graph), options);
  EXPECT_TRUE(session.ok()) << session.status().message();
  return session.ok() ? std::move(session).value() : nullptr;
}

inline std::vector<Tensor> run_of(Session& session, const std::vector<Tensor>& inputs) {
  auto outputs = session.run(inputs);
  EXPECT_TRUE(outputs.ok()) << outputs.status().message();
  return outputs.ok() ? std::move(outputs).value() : std::vector<Tensor>();
}

// The session computes the very bytes that run_reference computes: for backends that call the
// reference kernels.
inline void expect_like_reference(const Graph& graph, const std::vector<Tensor>& inputs,
                                  const SessionOptions& options = {}) {
  const auto expected = run_reference(graph, inputs);
  ASSERT_TRUE(expected.ok()) << expected.status().message();
  const auto session = session_of(graph, options);
  ASSERT_NE(session, nullptr);
  for (int round = 0; round < 3; ++round) {
    const std::vector<Tensor> found = run_of(*session, inputs);
    ASSERT_EQ(found.size(), expected->size());
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_TRUE(identical(found[i], (*expected)[i]))
          << "round " << round << ", output " << i << ": expected " << print_tensor((*expected)[i])
          << ", found " << print_tensor(found[i]);
    }
  }
}

}  // namespace mnn
