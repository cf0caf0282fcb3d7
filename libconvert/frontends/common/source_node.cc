#include "libconvert/frontends/common/source_node.h"

namespace mnn::frontend {

Status SourceNode::append() {
  if (!results.empty()) {
    if (graph.nodes.empty()) return {};
    Node& last = graph.nodes.back();
    if (last.name.empty() && last.origin == std::vector<std::string>{name}) last.name = name;
    return {};
  }
  Node node;
  node.op = std::move(op);
  node.name = name;
  node.origin = {name};
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  node.subgraphs = std::move(subgraphs);
  node.captures = std::move(captures);
  for (const char want : wanted) node.outputs.push_back(want ? graph.add_temporary() : kNoValue);
  results = node.outputs;
  return append_node(draft, std::move(node), budget);
}

std::optional<size_t> SourceNode::rank(size_t i) const {
  if (!has(i) || !type_of(inputs[i]).shape) return std::nullopt;
  return type_of(inputs[i]).rank();
}

size_t SourceNode::need_rank(size_t i, std::string_view word) {
  const std::optional<size_t> r = rank(i);
  if (!r) {
    fail(unsupported("the rank of " + std::string(word) + " " + std::to_string(i) +
                     " is not known"));
  }
  return r.value_or(0);
}

int64_t SourceNode::need_axis(int64_t axis, size_t rank) {
  const Result<size_t> at = normalize_axis(axis, rank);
  if (!at.ok()) fail(at.status());
  return at.ok() ? static_cast<int64_t>(*at) : 0;
}

Dim SourceNode::dim(size_t i, size_t axis) const {
  const std::optional<size_t> r = rank(i);
  return r && axis < *r ? (*type_of(inputs[i]).shape)[axis] : Dim::unknown();
}

std::optional<std::vector<int64_t>> SourceNode::ints(size_t i) const {
  const Tensor* tensor = constant(i);
  if (tensor == nullptr) return std::nullopt;
  Result<std::vector<int64_t>> values = tensor->to_ints();
  if (!values.ok()) return std::nullopt;
  return std::move(values).value();
}

void SourceNode::drop_attr(std::string_view key) {
  const auto it = attributes.find(key);
  if (it != attributes.end()) attributes.erase(it);
}

void SourceNode::default_attr(std::string_view key, Attribute value) {
  attributes.emplace(std::string(key), std::move(value));
}

void SourceNode::set_input(size_t i, ValueId id) {
  if (inputs.size() <= i) inputs.resize(i + 1, kNoValue);
  inputs[i] = id;
}

}  // namespace mnn::frontend
