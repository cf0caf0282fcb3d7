#include "libruntime/lower/node_view.h"

#include <cassert>

namespace mnn {

std::optional<std::vector<int64_t>> NodeView::ints(size_t i) const {
  if (!has_input(i)) return std::nullopt;
  const Tensor* t = graph.constant(node.inputs[i]);
  if (t == nullptr) return std::nullopt;
  Result<std::vector<int64_t>> list = t->to_ints();
  if (!list.ok()) return std::nullopt;
  return std::move(list).value();
}

size_t NodeView::axis(std::string_view name, size_t rank) const {
  const Result<size_t> axis = attr_axis(name, rank);
  assert(axis.ok());
  return *axis;
}

std::optional<std::string> why_not_constant(const NodeView& n, size_t input, const char* what) {
  if (!n.is_constant(input)) return std::string(what) + " are not constant";
  if (n.in_type(input) != DType::kF32) return std::string(what) + " are not f32";
  return std::nullopt;
}

NodeId single_reader(const Uses& uses, const Node& node) {
  if (node.outputs.size() != 1) return -1;
  const auto v = static_cast<size_t>(node.outputs[0]);
  if (uses.output_uses[v] != 0 || uses.consumers[v].size() != 1) return -1;
  return uses.consumers[v][0];
}

}  // namespace mnn
