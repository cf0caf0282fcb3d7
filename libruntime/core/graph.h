// The IR: a graph of nodes over typed values. Operators have ONNX names and newest-opset meaning.
// Ids stay valid while nodes and values are added; references do not (the vectors move).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "libruntime/core/dim.h"
#include "libruntime/core/dtype.h"
#include "libruntime/core/quant_params.h"
#include "libruntime/core/status.h"
#include "libruntime/core/tensor.h"

namespace mnn {

using ValueId = int32_t;
using NodeId = int32_t;
inline constexpr ValueId kNoValue = -1;  // an absent optional input, an output nobody wants

// What a value is. For a sequence or an optional, dtype and shape are those of the element.
struct Type {
  enum class Kind : uint8_t { kTensor, kSequence, kOptionalTensor, kOptionalSequence };
  Kind kind = Kind::kTensor;
  DType dtype = DType::kUndefined;
  std::optional<Shape> shape;  // nullopt: not even the rank is known

  bool defined() const { return dtype != DType::kUndefined; }
  bool is_static() const { return kind == Kind::kTensor && shape && all_known(*shape); }
  size_t rank() const { return shape->size(); }
  std::string str() const;  // "f32[n,3,8]", "seq(f32[?])", "f32[*]" with unknown rank
};
Type tensor_type(DType dtype, Shape shape);
// The type of what is at hand: a tensor's with its dims, a sequence's or an empty optional's with
// elements of any shape.
Type type_of(const Tensor& tensor);
// Whether a value of `type` may be `tensor`, dims aside.
bool can_hold(const Type& type, const Tensor& tensor);

// What a rewrite divided the channels of a temporary by, so that they are rounded with less error;
// the weights that read it take it back. Times the divisors the value is what its source layer
// made.
struct ChannelDivisors {
  std::vector<float> divisors;  // one per index along `axis`, positive
  int axis = -1;                // of the channels; negative: counted from the last
  bool operator==(const ChannelDivisors&) const = default;
};

enum class ValueKind : uint8_t { kInput, kConstant, kState, kTemporary };

struct Value {
  std::string name;  // source name at the border, else free; empty is allowed
  Type type;
  ValueKind kind = ValueKind::kTemporary;
  Tensor data;  // of a constant: as stored, that is of type quant->storage when quantized
  std::optional<QuantParams> quant;
  std::optional<ChannelDivisors> smoothing = {};
};

using Attribute = std::variant<int64_t, double, std::string, std::vector<int64_t>,
                               std::vector<double>, std::vector<std::string>, Tensor>;

// A post-op that runs in the epilogue of its node: "Relu", "Clip" with its bounds, "Add" with an
// operand… It means the same as that operator with the node's first output as its first input.
struct FusedOp {
  std::string op;
  std::map<std::string, Attribute, std::less<>> attributes;
  std::vector<int> operands;  // its other inputs: indices into Node::inputs, -1 for an absent one

  // The second input of a post-op that has two, -1 of others.
  int operand() const { return operands.size() == 1 ? operands[0] : -1; }
};

struct Graph;

struct Node {
  std::string op;
  std::string name;             // source name; unique where the source had it so
  std::vector<ValueId> inputs;  // the operator's own, then the operands of fused post-ops
  std::vector<ValueId> outputs;
  std::map<std::string, Attribute, std::less<>> attributes;
  std::vector<FusedOp> fused;
  std::vector<std::string> origin;  // names of the source layers this node came from
  std::vector<ValueId> captures;    // outer values that the sub-graphs read
  // If: then_branch, else_branch. Others: body. Each sub-graph's captures line up with ours.
  std::vector<Graph> subgraphs;

  // Inputs of the operator itself, without the operands of fused post-ops.
  size_t own_inputs() const;
};

// After a run the content of `state` is what `next` was in it. All updates happen at once.
struct StateUpdate {
  ValueId state, next;
  bool operator==(const StateUpdate&) const = default;
};

struct Graph {
  std::string name;
  std::vector<Value> values;
  std::vector<Node> nodes;  // topologically sorted except while a pass works on it
  std::vector<ValueId> inputs, outputs;
  std::vector<StateUpdate> updates;  // at most one a state; none in a sub-graph
  std::vector<ValueId>
      captures;  // of a sub-graph: one value (kind kInput) per captured outer value

  ValueId add_value(Value value);
  ValueId add_input(std::string name, Type type);
  ValueId add_constant(Tensor data, std::string name = {});
  ValueId add_temporary(std::string name = {}, Type type = {});
  NodeId add_node(Node node);

  Value& value(ValueId id) { return values[static_cast<size_t>(id)]; }
  const Value& value(ValueId id) const { return values[static_cast<size_t>(id)]; }
  Node& node(NodeId id) { return nodes[static_cast<size_t>(id)]; }
  const Node& node(NodeId id) const { return nodes[static_cast<size_t>(id)]; }
  // The constant's data when `id` is an unquantized constant, else null.
  const Tensor* constant(ValueId id) const;
  // What a run is for: the outputs, then what the states become.
  std::vector<ValueId> results() const;
  bool is_result(ValueId id) const;
};

inline bool is_stored(const Value& value) {  // has content before a run
  return value.kind == ValueKind::kConstant || value.kind == ValueKind::kState;
}

// Who makes and who reads each value of one graph (captures count as reads).
struct Uses {
  std::vector<NodeId> producer;                // per value; -1 for inputs, constants and states
  std::vector<std::vector<NodeId>> consumers;  // per value, a node once per use
  std::vector<int> output_uses;                // per value: how often it is a result
};
Uses index_uses(const Graph& graph);

// Sorts nodes so that each comes after the makers of what it reads; stable, linear time, walks
// sub-graphs. An error names the nodes of a cycle.
Status sort_nodes(Graph& graph);
// Removes nodes nobody needs and values nobody names; keeps inputs and outputs. Ids change. Walks
// sub-graphs. Returns the number of nodes removed.
int remove_dead(Graph& graph);
// Checks every invariant of the IR: ids in range, one producer a value, sorted order, operand
// indices, captures, known operators with the right number of inputs.
Status verify(const Graph& graph);
// Makes every use of `from` (inputs, captures, graph outputs) a use of `to`.
void replace_uses(Graph& graph, ValueId from, ValueId to);

int64_t count_nodes(const Graph& graph);  // sub-graphs included
// The name reports use: the node's own, else its first origin, else "Op_<first output>".
std::string display_name(const Graph& graph, const Node& node);

}  // namespace mnn
