// Adds nodes to a graph: for decompositions, rewrites and front ends.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

class Builder {
 public:
  using Attributes = std::map<std::string, Attribute, std::less<>>;

  // Nodes made carry `origin`.
  explicit Builder(Graph& graph, std::vector<std::string> origin = {})
      : graph_(graph), origin_(std::move(origin)) {}

  Graph& graph() { return graph_; }
  // A node with one output.
  ValueId op(std::string_view name, std::vector<ValueId> inputs, Attributes attributes = {});
  // A node with `outputs` outputs.
  std::vector<ValueId> op_n(std::string_view name, std::vector<ValueId> inputs, size_t outputs,
                            Attributes attributes = {});
  ValueId constant(Tensor tensor);
  ValueId scalar(float value) { return constant(Tensor::scalar(value)); }
  // A scalar of the given float or integer type.
  ValueId scalar(double value, DType dtype);
  ValueId ints(const std::vector<int64_t>& values) { return constant(Tensor::ints(values)); }
  const Type& type(ValueId id) const { return graph_.value(id).type; }
  const std::vector<NodeId>& made() const { return made_; }

 private:
  Graph& graph_;
  std::vector<std::string> origin_;
  std::vector<NodeId> made_;
};

}  // namespace mnn
