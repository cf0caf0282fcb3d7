// Operators that can work on a permuted layout of their data.
#pragma once

#include <optional>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

using Perm = std::vector<int64_t>;

bool is_identity(const Perm& perm);
Perm inverse(const Perm& perm);
// The permutation of a Transpose, nullopt when it is not one of a known rank.
std::optional<Perm> perm_of(const Graph& graph, const Node& node);

// A node seen as one that could read x' where it reads x = Transpose(x', perm).
struct Permutable {
  std::vector<size_t> data;  // inputs in the layout; the others are sizes, bounds, axes
  bool ends_layout = false;  // its output is the same for both layouts
};
// nullopt when the node cares about the layout, or too little is known of its types.
std::optional<Permutable> as_permutable(const Graph& graph, const Node& node, const Perm& perm);
// Changes attributes, axes, pads and sizes of such a node so that it works on permuted data. Its
// inputs and outputs are left to the caller. New constants go to the graph.
void permute_parameters(Graph& graph, Node& node, const Perm& perm);

// A constant as the permuted layout of rank perm.size() has it, leading dims of 1 added first.
std::optional<Tensor> permuted_constant(const Tensor& t, const Perm& perm);

}  // namespace mnn
