// One operator of a TensorFlow Lite file on its way into the graph. Quantized tensors are f32
// values with QuantParams: rows build real arithmetic, the importer puts results on their grids.
#pragma once

#include <map>

#include "libconvert/frontends/common/scope.h"
#include "libconvert/frontends/tflite/model.h"

namespace mnn::tflite {

// Resources that live across runs. Read and written in the order of the operators.
struct Variable {
  std::string name;
  std::optional<Tensor> initial;  // what an initializing sub-graph assigns
  ValueId state = kNoValue;       // made when it is first read
  ValueId next = kNoValue;        // what was assigned last in this run
};
using Variables = std::map<std::string, Variable>;

// What belongs to one graph that is being built, beside its names.
struct Layouts {
  // A value [n, space…, c] -> the same as [n, c, space…], and back.
  std::map<ValueId, ValueId> first, last;
};

class OpNode : public frontend::SourceNode {
 public:
  OpNode(frontend::GraphDraft& d, int64_t& node_budget, const ModelFile& f, const fb::SubGraph& g,
         const fb::Operator& o, Layouts& l)
      : SourceNode(d, node_budget), file(f), source(g), tf(o), layouts(l) {}

  const ModelFile& file;
  const fb::SubGraph& source;
  const fb::Operator& tf;
  Layouts& layouts;
  // States the operator updates beside its outputs: the input's place and what it becomes.
  std::vector<std::pair<size_t, ValueId>> updates;

  template <typename T>
  const T& options(uint8_t kind) const {
    return file.options<T>(tf, kind);
  }
  const fb::Tensor* input_tensor(size_t i) const;
  const fb::Tensor& output_tensor(size_t i) const;
  size_t output_count() const { return count(tf.outputs()); }
  DType output_dtype(size_t i) const { return dtype_of(output_tensor(i).type()); }

  // The only row of kinds: wants `least` to `most` inputs, of which the first `least` are there.
  bool expect_inputs(size_t least, size_t most);
  const QuantParams* quant(ValueId v) const {
    return v != kNoValue && graph.value(v).quant ? &*graph.value(v).quant : nullptr;
  }
  // What only moves elements of `x` stays on its grid.
  ValueId move(std::string_view type, ValueId x, std::vector<ValueId> rest = {},
               Attributes attrs = {});
  ValueId transpose(ValueId x, const std::vector<int64_t>& perm);
  // Channels after the batch, and last. Of a value that was made the other way round: that one.
  ValueId channels_first(ValueId x);
  ValueId channels_last(ValueId y);
  // The integers the file has: codes of a quantized value.
  ValueId codes(ValueId x, const fb::Tensor& as);
  // A quantized or half-precision constant as plain f32, others as they are.
  ValueId real(ValueId v);
  ValueId activate(ValueId x, int activation);
  ValueId scalar_f32(double value) { return add_scalar(value, DType::kF32); }
  // Integer operands of shapes and axes as a 1-D i64 tensor.
  ValueId shape_operand(size_t i);
  // The elements of constant input `i`; an error where it is computed.
  std::vector<int64_t> need_ints(size_t i, const char* what);
  std::optional<std::vector<int64_t>> known_dims_of(ValueId v) const;
};

// Real values as codes of `p`, and codes as the values they stand for.
ValueId quantized(frontend::NodeBuilder& b, ValueId real, const QuantParams& p);
ValueId dequantized(frontend::NodeBuilder& b, ValueId codes, const QuantParams& p);
// Puts a value on a grid of bytes; other grids leave it as it is.
void annotate(Graph& graph, ValueId v, const QuantParams& p);

}  // namespace mnn::tflite
