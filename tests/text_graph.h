// Graphs of tests, written in the text form.
#pragma once

#include <gtest/gtest.h>

#include <string_view>

#include "libruntime/core/op.h"
#include "libruntime/core/text.h"

namespace mnn {

// The graph of `text` with the types of all values; an empty one, and a failure, when it has none.
inline Graph typed_graph(std::string_view text) {
  Result<Graph> graph = parse_graph(text);
  EXPECT_TRUE(graph.ok()) << graph.status().message();
  if (!graph.ok()) return {};
  const Status typed = infer_types(*graph);
  EXPECT_TRUE(typed.ok()) << typed.message();
  return std::move(graph).value();
}

}  // namespace mnn
