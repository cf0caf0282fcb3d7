// One node of a source model on its way into the graph: its operator's version, inputs and
// attributes, which a front end's row for the operator rewrites to the IR's meaning.
#pragma once

#include <optional>

#include "libconvert/frontends/common/draft.h"

namespace mnn::frontend {

// A row changes op, inputs and attributes in place, or builds other nodes with emit() and puts one
// value per output into `results`.
class SourceNode : public NodeBuilder {
 public:
  using NodeBuilder::NodeBuilder;

  std::string op;
  int64_t version = 0;  // of the node's operator set
  std::vector<ValueId> inputs;
  std::vector<char> wanted;  // per output: somebody reads it
  Attributes attributes;
  std::vector<Graph> subgraphs;
  std::vector<ValueId> captures;
  std::vector<ValueId> results;
  std::vector<std::string> notes;  // for the conversion report

  // Appends the node where no row put other nodes in its place. Afterwards `results` has one value
  // per output (kNoValue: not wanted), and the node that makes them carries the source's name.
  Status append();

  bool has(size_t i) const { return i < inputs.size() && inputs[i] != kNoValue; }
  ValueId in(size_t i) const { return has(i) ? inputs[i] : kNoValue; }
  bool wants(size_t i) const { return i < wanted.size() && wanted[i]; }
  // Undefined for an absent input.
  DType dtype(size_t i) const { return has(i) ? type_of(inputs[i]).dtype : DType::kUndefined; }
  std::optional<size_t> rank(size_t i) const;
  // The rank of input i, which the source calls a `word`; an error and 0 where it is not known.
  size_t need_rank(size_t i, std::string_view word = "input");
  // `axis` of a tensor of rank `rank`, counted from the front; an error and 0 where it has none.
  int64_t need_axis(int64_t axis, size_t rank);
  // The dim of input i, unknown when the rank is not known or too small.
  Dim dim(size_t i, size_t axis) const;
  const Tensor* constant(size_t i) const { return has(i) ? graph.constant(inputs[i]) : nullptr; }
  // The elements of a constant integer input.
  std::optional<std::vector<int64_t>> ints(size_t i) const;

  bool has_attr(std::string_view key) const { return attributes.contains(key); }
  // Removes an attribute and returns it; another type than the one asked for is an error.
  std::optional<int64_t> take_int(std::string_view key) { return take<int64_t>(key, "an int"); }
  std::optional<double> take_float(std::string_view key) { return take<double>(key, "a float"); }
  std::optional<std::string> take_string(std::string_view key) {
    return take<std::string>(key, "a string");
  }
  std::optional<std::vector<int64_t>> take_ints(std::string_view key) {
    return take<std::vector<int64_t>>(key, "ints");
  }
  std::optional<std::vector<double>> take_floats(std::string_view key) {
    return take<std::vector<double>>(key, "floats");
  }
  // The attribute in place; null when it is absent or of another type.
  template <typename T>
  T* find_attr(std::string_view key) {
    const auto it = attributes.find(key);
    return it == attributes.end() ? nullptr : std::get_if<T>(&it->second);
  }
  void drop_attr(std::string_view key);
  // Sets an attribute the node does not have.
  void default_attr(std::string_view key, Attribute value);

  void set_input(size_t i, ValueId id);

 private:
  template <typename T>
  std::optional<T> take(std::string_view key, const char* kind);
};

template <typename T>
std::optional<T> SourceNode::take(std::string_view key, const char* kind) {
  const auto it = attributes.find(key);
  if (it == attributes.end()) return std::nullopt;
  T* value = std::get_if<T>(&it->second);
  if (value == nullptr) {
    fail(invalid("attribute " + std::string(key) + " must be " + kind));
    return std::nullopt;
  }
  std::optional<T> taken = std::move(*value);
  attributes.erase(it);
  return taken;
}

}  // namespace mnn::frontend
