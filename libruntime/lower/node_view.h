// What back ends ask of a node before they take it and while they lower it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "libruntime/core/op.h"

namespace mnn {

using Dims = std::vector<int64_t>;

// The elements of a constant as numbers of its declared type (codes are decoded); null when the
// value is none, or when its numbers cannot be read. The back end says how long they live.
using ReadConstant = std::function<const Tensor*(ValueId)>;

class NodeView : public AttributeReader {
 public:
  NodeView(const Graph& g, const Node& n) : AttributeReader(n, *find_op(n.op)), graph(g) {}
  const Graph& graph;

  bool has_input(size_t i) const { return i < node.own_inputs() && node.inputs[i] != kNoValue; }
  bool has_output(size_t i) const { return i < node.outputs.size() && node.outputs[i] != kNoValue; }
  const Value& in(size_t i) const { return graph.value(node.inputs[i]); }
  const Value& out(size_t i = 0) const { return graph.value(node.outputs[i]); }
  Dims in_dims(size_t i) const { return known_dims(*in(i).type.shape); }
  Dims out_dims(size_t i = 0) const { return known_dims(*out(i).type.shape); }
  DType in_type(size_t i) const { return in(i).type.dtype; }
  bool is_constant(size_t i) const { return has_input(i) && in(i).kind == ValueKind::kConstant; }
  // The elements of a constant integer input; nullopt when it is absent or computed.
  std::optional<std::vector<int64_t>> ints(size_t i) const;
  // The axis in [0, rank) of an attribute that inference has accepted.
  size_t axis(std::string_view name, size_t rank) const;
};

// Why an input is no constant of floats, as byte kernels want their weights before they are
// quantized; nullopt when it is one. `what`: "the weights".
std::optional<std::string> why_not_constant(const NodeView& n, size_t input, const char* what);

// The single reader of the node's only output, when nothing else sees that value; -1 otherwise.
NodeId single_reader(const Uses& uses, const Node& node);

}  // namespace mnn
