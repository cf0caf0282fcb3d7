// The op table: an operator is defined once, here in a row of core/ops/*.cc: schema, shape and type
// inference, traits, and a reference kernel (core tier) or a decomposition (composite tier).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "libruntime/core/graph.h"
#include "libruntime/core/op_context.h"
#include "libruntime/core/op_traits.h"

namespace mnn {

class Builder;

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
// The multiply-accumulates of a node; 0 when its shapes do not tell, INT64_MAX when it has more.
using MacsFn = int64_t (*)(const MacsContext&);
// Builds the derivatives of a loss with respect to the node's own inputs from those with respect to
// its outputs (kNoValue: zero); one value per input, kNoValue where none is defined.
using GradientFn = Result<std::vector<ValueId>> (*)(Builder&, const Node&,
                                                    std::span<const ValueId> outputs);

inline constexpr int kVariadic = 1 << 30;

struct OpDef {
  std::string name;
  int min_inputs = 0;
  int max_inputs = 0;  // kVariadic: no limit
  OpTraits traits = {};
  std::vector<AttrDef> attributes = {};
  InferFn infer = nullptr;
  ReferenceFn reference = nullptr;  // core tier
  DecomposeFn decompose = nullptr;  // composite tier; may stand beside a reference
  int min_outputs = 1;
  int max_outputs = 1;
  int subgraphs = 0;          // 2 for If, 1 for Loop, Scan, SequenceMap
  bool deterministic = true;  // false: random; never folded or merged
  MacsFn macs = nullptr;      // of what multiplies matrices: convolutions, products, recurrences
  GradientFn gradient = nullptr;

  bool is(OpTraits kind) const { return traits.has(kind); }
  bool multiplies() const { return macs != nullptr; }
};

// The row of `name`, null when there is none. The table is built once, on first use.
const OpDef* find_op(std::string_view name);
// Every row, by name.
const std::vector<const OpDef*>& all_ops();
// Whether the row of `op` has the traits; false when there is none.
bool has_traits(std::string_view op, OpTraits kind);
// Whether the first input is all the data the node reads: the others say where or how large.
bool reads_first_only(const Node& node);
// The names of all rows that have the traits, sorted.
std::vector<std::string> ops_with(OpTraits kind);
// The multiply-accumulates of a node by its row, from the types in the graph; without those of
// sub-graphs.
int64_t macs_of(const Graph& graph, const Node& node);

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
