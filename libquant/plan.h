// Which layers run in int8 and which values are stored as u8 for them.
#pragma once

#include <set>
#include <vector>

#include "libruntime/compile/backend.h"
#include "libruntime/core/graph.h"

namespace mnn {

// A layer with constant weights: Conv, ConvTranspose, Gemm, MatMul. Or a product of two computed
// matrices, which has `second` in the place of weights and no bias.
struct QuantLayer {
  NodeId node = -1;
  ValueId input = kNoValue, weight = kNoValue, bias = kNoValue, output = kNoValue;
  int weight_axis = 0;  // of the output channels
  ValueId second = kNoValue;
  bool has_weight() const { return weight != kNoValue; }
};

struct QuantPlan {
  std::vector<QuantLayer> layers;
  // Of `values`, those that no layer reads and no moving of elements leads to one: operators like
  // Add and pooling, with layers in front and behind, read and write bytes too.
  std::vector<ValueId> between;
  std::set<NodeId> float_nodes;    // layers that were to stay float
  std::set<ValueId> float_values;  // of `between`, those that were
  std::vector<ValueId> values;     // to be stored as u8, in value order
  std::vector<int> group;  // per value of `values`: those of one group share scale and zero point
  int groups = 0;
};

// Every layer that has an int8 kernel, the activations they read, and what lies between two such
// activations and only moves elements (pooling, concatenation, reshaping…): values on one grid
// share their parameters, so nothing is rounded twice. Then what lies between layers and operators
// that read and write bytes as well: sums, an image times a gate, averages. Graph outputs stay
// float, and so do the layers of `float_nodes` and the values between layers of `float_values`.
QuantPlan plan_quantization(const Graph& graph, const std::set<NodeId>& float_nodes = {},
                            const std::set<ValueId>& float_values = {});

// The backend that models are quantized for: it tells what it can compute in bytes.
const Backend& quantization_backend();

// u8 parameters for real values in [low, high], widened to contain 0 exactly.
QuantParams activation_params(double low, double high);

}  // namespace mnn
