// One operator of a TensorFlow Lite file on its way into the graph. Quantized tensors are f32
// values with QuantParams: rows build real arithmetic, the importer puts results on their grids.
#pragma once

#include "libconvert/frontends/common/scope.h"
#include "libconvert/frontends/common/tensor_node.h"
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

using frontend::Layouts;

class OpNode : public frontend::TensorNode {
 public:
  OpNode(frontend::GraphDraft& d, int64_t& node_budget, const ModelFile& f, const fb::SubGraph& g,
         const fb::Operator& o, Layouts& l)
      : TensorNode(d, node_budget, l), file(f), source(g), tf(o) {}

  const ModelFile& file;
  const fb::SubGraph& source;
  const fb::Operator& tf;
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

  // The integers the file has: codes of a quantized value.
  ValueId codes(ValueId x, const fb::Tensor& as);
  // A quantized or half-precision constant as plain f32, others as they are.
  ValueId real(ValueId v);
  ValueId activate(ValueId x, int activation);
};

// Real values as codes of `p`, and codes as the values they stand for.
ValueId quantized(frontend::NodeBuilder& b, ValueId real, const QuantParams& p);
ValueId dequantized(frontend::NodeBuilder& b, ValueId codes, const QuantParams& p);
// Puts a value on a grid of bytes; other grids leave it as it is.
void annotate(Graph& graph, ValueId v, const QuantParams& p);

}  // namespace mnn::tflite
