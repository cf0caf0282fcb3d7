// The op table: an operator is defined once, here in a row of core/ops/*.cc: schema, shape and type
// inference, and a reference kernel (core tier) or a decomposition (composite tier).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

struct OpDef;
class Builder;

// Reads a node's attributes; an absent one has the default of the op's row.
class AttributeReader {
 public:
  AttributeReader(const Node& n, const OpDef& d) : node(n), def(d) {}
  const Node& node;
  const OpDef& def;

  bool has(std::string_view name) const;  // set on the node itself
  // The attribute, or the row's default, or the type's zero. A wrong type was refused by verify.
  int64_t attr_int(std::string_view name) const;
  double attr_float(std::string_view name) const;
  std::string attr_string(std::string_view name) const;
  std::vector<int64_t> attr_ints(std::string_view name) const;
  std::vector<double> attr_floats(std::string_view name) const;
  std::vector<std::string> attr_strings(std::string_view name) const;
  const Tensor* attr_tensor(std::string_view name) const;
  // An axis in [-rank, rank), made non-negative.
  Result<size_t> attr_axis(std::string_view name, size_t rank) const;

 private:
  const Attribute* find(std::string_view name) const;
};
// `axis` in [-rank, rank) made non-negative, or an error that says so.
Result<size_t> normalize_axis(int64_t axis, size_t rank);

// The elements of a small integer tensor as far as they are known (shape arithmetic).
using ShapeValues = std::vector<Dim>;
inline constexpr int64_t kMaxShapeValues = 1024;

// What inference of one node sees and fills in. `in` has one entry per own input; an absent input
// has an undefined type. `out` has one entry per output, undefined at the start.
class OpContext : public AttributeReader {
 public:
  using AttributeReader::AttributeReader;
  struct Output {
    Type type;
    std::optional<ShapeValues> values;
  };
  std::vector<Type> in;
  std::vector<const Tensor*> constants;                         // per input; null unless constant
  std::vector<const std::optional<ShapeValues>*> known_values;  // per input; null: none
  std::vector<Output> out;

  bool has_input(size_t i) const { return i < in.size() && in[i].defined(); }
  bool has_output(size_t i) const { return i < node.outputs.size() && node.outputs[i] != kNoValue; }
  // The input's elements: from a constant of any integer type or from shape arithmetic. 0-d counts
  // as one element. nullopt when not known or too many.
  std::optional<ShapeValues> values(size_t i) const;
  // The input's elements when all are known numbers.
  std::optional<std::vector<int64_t>> ints(size_t i) const;
  bool rank_known(size_t i) const { return has_input(i) && in[i].shape.has_value(); }
};

// What a reference kernel sees. Shapes are all concrete. `in` holds null for absent inputs.
class KernelContext : public AttributeReader {
 public:
  using AttributeReader::AttributeReader;
  std::vector<const Tensor*> in;
  std::vector<Type> types;  // inferred output types with the inputs' values known
  std::vector<Tensor> out;  // what the kernel makes

  bool has_input(size_t i) const { return i < in.size() && in[i] != nullptr; }
  bool has_output(size_t i) const { return i < node.outputs.size() && node.outputs[i] != kNoValue; }
  // Allocates output i with its inferred type. Fails when inference left it open.
  Result<Tensor*> make(size_t i);
  // Allocates output i with dims that depend on the data.
  Result<Tensor*> make(size_t i, DType dtype, std::vector<int64_t> dims);
};

struct AttrDef {
  std::string name;
  Attribute default_value;  // its alternative is the attribute's type
  bool required = false;
};

using InferFn = Status (*)(OpContext&);
using ReferenceFn = Status (*)(KernelContext&);
// Builds the same result from other operators; returns one value per output (kNoValue for outputs
// the node does not have).
using DecomposeFn = Result<std::vector<ValueId>> (*)(Builder&, const Node&);

inline constexpr int kVariadic = 1 << 30;

struct OpDef {
  std::string name;
  int min_inputs = 0;
  int max_inputs = 0;  // kVariadic: no limit
  std::vector<AttrDef> attributes;
  InferFn infer = nullptr;
  ReferenceFn reference = nullptr;  // core tier
  DecomposeFn decompose = nullptr;  // composite tier; may stand beside a reference
  int min_outputs = 1;
  int max_outputs = 1;
  int subgraphs = 0;          // 2 for If, 1 for Loop, Scan, SequenceMap
  bool deterministic = true;  // false: random; never folded or merged
};

// The row of `name`, null when there is none. The table is built once, on first use.
const OpDef* find_op(std::string_view name);
// Every row, by name.
const std::vector<const OpDef*>& all_ops();

// Infers types and shapes of every value, and the values of small integer tensors, walking
// sub-graphs. Values that had a type keep what inference cannot tell. An error names the node.
Status infer_types(Graph& graph);
// The same one node at a time, in node order, for passes that change the graph as they go.
class TypeInference {
 public:
  explicit TypeInference(Graph& graph) : graph_(graph) {}
  // Fills the types of the node's outputs. The node need not be in the graph, its values must.
  Status infer(Node& node);
  // What is known of the elements of a value made by a node inferred before; null when nothing is.
  const ShapeValues* known(ValueId v) const;
  // Says what is known of a value that no node makes: one that a sub-graph captures.
  void learn(ValueId v, ShapeValues values);

 private:
  Status infer_subgraph(const Node& outer, Graph& g);

  Graph& graph_;
  std::vector<std::optional<ShapeValues>> known_;
};
// The same for one node: fills the types of its outputs and returns what is known of their
// elements.
Result<std::vector<OpContext::Output>> infer_node(
    const Graph& graph, const Node& node,
    std::span<const std::optional<ShapeValues>> known_values = {});

// Runs one node on tensors with its reference kernel (or decomposition) and its fused post-ops.
// One tensor per own input and operand, null for absent ones. Quantization is not applied.
// Operators with sub-graphs are run by run_reference.
Result<std::vector<Tensor>> run_node(const Node& node, std::span<const Tensor* const> inputs);
// Runs a whole graph with the reference kernels. Values with QuantParams are rounded to their grid.
Result<std::vector<Tensor>> run_reference(const Graph& graph, std::span<const Tensor> inputs);

}  // namespace mnn
