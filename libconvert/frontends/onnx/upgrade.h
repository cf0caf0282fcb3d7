// What a row of the operator map sees of one source node, and how it rewrites it to the newest
// meaning. Nothing here knows protobuf.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libruntime/core/graph.h"
#include "libruntime/core/op.h"

namespace mnn::onnx {

// A graph being built, node after node in order.
struct GraphDraft {
  explicit GraphDraft(Graph& g) : graph(g), types(g) {}
  Graph& graph;
  TypeInference types;
};

// Checks the node against its operator's row (inputs, outputs, attributes and their types), infers
// the types of its outputs and appends it. `budget` is the number of nodes that may still be added.
Status append_node(GraphDraft& draft, Node node, int64_t& budget);

// One source node. A row changes op, inputs and attributes in place, or builds other nodes with
// emit() and puts one value per output into `results`. The first error sticks.
class NodeUpgrade {
 public:
  NodeUpgrade(GraphDraft& d, int64_t& node_budget)
      : draft(d), graph(d.graph), budget(node_budget) {}

  GraphDraft& draft;
  Graph& graph;
  int64_t& budget;
  std::string op;
  std::string name;     // of the source node
  int64_t version = 0;  // of the node's operator set
  std::vector<ValueId> inputs;
  std::vector<char> wanted;  // per output: somebody reads it
  std::map<std::string, Attribute, std::less<>> attributes;
  std::vector<Graph> subgraphs;
  std::vector<ValueId> captures;
  std::vector<ValueId> results;
  std::vector<std::string> notes;  // for the conversion report
  Status status;

  void fail(Status why) {
    if (status.ok()) status = std::move(why);
  }

  bool has(size_t i) const { return i < inputs.size() && inputs[i] != kNoValue; }
  ValueId in(size_t i) const { return has(i) ? inputs[i] : kNoValue; }
  bool wants(size_t i) const { return i < wanted.size() && wanted[i]; }
  // Undefined for an absent value.
  const Type& type_of(ValueId id) const {
    static const Type kNone;
    return id == kNoValue ? kNone : graph.value(id).type;
  }
  // Undefined for an absent input.
  DType dtype(size_t i) const { return has(i) ? type_of(inputs[i]).dtype : DType::kUndefined; }
  std::optional<size_t> rank(size_t i) const;
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
  // A 1-D i64 constant.
  ValueId add_ints(const std::vector<int64_t>& values);
  // A scalar of a float or integer type.
  ValueId add_scalar(double value, DType dtype);
  ValueId add_constant(Tensor tensor) { return graph.add_constant(std::move(tensor)); }

  using Attributes = std::map<std::string, Attribute, std::less<>>;
  // Appends a node; kNoValue after an error.
  ValueId emit(std::string_view type, std::vector<ValueId> in, Attributes attrs = {});
  std::vector<ValueId> emit_n(std::string_view type, std::vector<ValueId> in, size_t outputs,
                              Attributes attrs = {});
  // The shape of a value as a 1-D i64 tensor: a constant when it is known.
  ValueId shape_of(ValueId id);
  // Constants are reshaped in place of a node.
  ValueId unsqueeze(ValueId id, const std::vector<int64_t>& axes);
  ValueId reshape(ValueId id, const std::vector<int64_t>& dims);
  ValueId cast(ValueId id, DType to);

 private:
  template <typename T>
  std::optional<T> take(std::string_view key, const char* kind);
};

using UpgradeFn = void (*)(NodeUpgrade&);

template <typename T>
std::optional<T> NodeUpgrade::take(std::string_view key, const char* kind) {
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

}  // namespace mnn::onnx
