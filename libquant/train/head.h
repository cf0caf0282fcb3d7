// What transfer learning does to a model: a new head, another batch, weights put back.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "libruntime/core/graph.h"

namespace mnn {

// A classifier as the trunk that makes features and the layer that weighs them.
struct Headed {
  Graph graph;                  // one output: the scores [n, classes], before any softmax
  ValueId features = kNoValue;  // [n, width]: what the head reads
  ValueId weight = kNoValue, bias = kNoValue;  // the head's: [classes, width], [classes]
  std::string layer;                           // the one that was replaced
  bool softmax = false;                        // the model's output was a probability
};

// Puts a layer for `classes` classes in the place of the last one that multiplies by constant
// weights; what came behind it must keep classes apart (softmax, a mean over pixels, a change of
// shape). Its weights are small random numbers of the seed. Unsupported where there is no such
// layer: the message says what was found.
Result<Headed> replace_head(const Graph& model, size_t output, int64_t classes, uint64_t seed);

// The graph with a first dim of `batch` in its one input and static shapes; ids stay. Unsupported
// where the model's own shapes do not allow it.
Result<Graph> with_batch(const Graph& graph, int64_t batch);

// The trained layers of a model, counted from the output: the last `layers` that multiply and what
// stands between them and the output. 0: none.
std::vector<ValueId> last_layers(const Graph& graph, int64_t layers);

// `graph` with these contents of its constants.
void put_weights(Graph& graph, std::span<const ValueId> ids, std::span<const Tensor> weights);

}  // namespace mnn
