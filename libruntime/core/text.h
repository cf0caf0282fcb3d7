// The text form of a graph: parse and print. docs/text-form.md describes the grammar.
#pragma once

#include <string>
#include <string_view>

#include "libruntime/core/graph.h"

namespace mnn {

struct PrintOptions {
  // Constants with more elements are printed as their type and XXH3-64 only; such text parses back
  // with zeros in them.
  int64_t max_constant_elements = 64;
};
// What sub-graph `i` of a node is called: "then_branch" and "else_branch" of If, "body" of others.
std::string subgraph_label(const Node& node, size_t i);
std::string print_graph(const Graph& graph, const PrintOptions& options = {});
// All constants of one text together.
inline constexpr int64_t kMaxTextConstantBytes = int64_t{1} << 30;
// An error names line and column. Bounded: depth of sub-graphs 32, bytes of all constants.
Result<Graph> parse_graph(std::string_view text,
                          int64_t max_constant_bytes = kMaxTextConstantBytes);

// One tensor as the text form writes it: "f32[2,2] = 1 2 3 4"; the generators "iota START STEP" and
// "random SEED LOW HIGH" may stand for the elements. Scalars have type "f32[]".
Result<Tensor> parse_tensor(std::string_view text, int64_t max_bytes = kMaxTextConstantBytes);
std::string print_tensor(const Tensor& tensor);
// A type as Type::str() writes it.
Result<Type> parse_type(std::string_view text);

}  // namespace mnn
