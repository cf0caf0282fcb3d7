// What an operator of the IR becomes at an opset: the mirror of frontends/onnx/op_map.h, whose
// rows say which versions an operator has. Operators without a row here have the same form from
// opset 13 on, or from the one that introduces them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "libruntime/core/builder.h"
#include "libruntime/core/op.h"

namespace mnn::onnx_export {

// A node about to be written: inputs and attributes may change into an older form. Constants that
// become attributes are no inputs any more.
struct NodeForm {
  const Graph& graph;
  Node node;
  int opset;
  std::string domain = {};
  std::vector<Tensor> added = {};  // inputs from kAdded on stand for these
  Status status = {};

  static constexpr ValueId kAdded = 1 << 30;
  ValueId add(Tensor t) {
    added.push_back(std::move(t));
    return kAdded + static_cast<ValueId>(added.size()) - 1;
  }
  void fail(std::string why) {
    if (status.ok()) status = unsupported(std::move(why));
  }
  bool has(size_t i) const { return i < node.inputs.size() && node.inputs[i] != kNoValue; }
  // Integers of the constant input i; fails the node when it is computed.
  std::optional<std::vector<int64_t>> ints(size_t i, std::string_view what);
  std::optional<size_t> rank(size_t i) const;
  void drop_input(size_t i);
};

// Whether the node has an input i.
inline bool has(const Node& node, size_t i) {
  return i < node.inputs.size() && node.inputs[i] != kNoValue;
}

struct ExportRow {
  std::string_view op;
  int same_since;  // from this opset on the operator has the IR's form
  // Before that: the same from other operators, where `when` holds (null: always) …
  DecomposeFn expand = nullptr;
  bool (*when)(const Graph& graph, const Node& node) = nullptr;
  // … or the same operator in its older form.
  void (*render)(NodeForm& form) = nullptr;
};
const ExportRow* find_export_row(std::string_view op);

// An attribute that came with an opset: before, only its neutral value can be said, by leaving it
// out.
struct NewAttribute {
  std::string_view op, name;
  int since;
};
// Leaves those out that the opset does not know yet, and fails where one is not neutral.
void drop_new_attributes(NodeForm& form);

// The opset that introduces the operator in ONNX's own domain; 0 when it has none.
int introduced(std::string_view op);
// The opset from which on values may have this type; 0 when none has it.
int introduced(DType dtype);

// Expansions (expand*.cc) and older forms (render.cc) of the rows.
using Values = std::vector<ValueId>;
Result<Values> expand_attention(Builder& b, const Node& node);
Result<Values> expand_cast_like(Builder& b, const Node& node);
Result<Values> expand_layer_norm(Builder& b, const Node& node);
Result<Values> expand_recurrent(Builder& b, const Node& node);
Result<Values> expand_rotary_embedding(Builder& b, const Node& node);
Result<Values> expand_shape(Builder& b, const Node& node);
void render_dft(NodeForm& form);
void render_grid_sample(NodeForm& form);
void render_pad(NodeForm& form);
void render_quantize(NodeForm& form);
void render_reduce(NodeForm& form);
void render_reshape(NodeForm& form);
void render_resize(NodeForm& form);
void render_roi_align(NodeForm& form);
void render_scatter(NodeForm& form);
void render_split(NodeForm& form);

}  // namespace mnn::onnx_export
