// Steps through a graph node by node with two versions of every value, the float one and the one a
// quantized prefix makes: the errors of all layers in one pass over the samples.
#pragma once

#include "libquant/annotate.h"
#include "libquant/measure/observe.h"

namespace mnn {

// What one node made of one sample. `isolated` is the node quantized on float inputs; undefined for
// nodes that quantization does not touch.
struct WalkedNode {
  NodeId node = -1;
  size_t sample = 0;
  Tensor reference, accumulated, isolated;
};

struct WalkOptions {
  RunOptions run;
  std::function<Status(const WalkedNode&)> see;
  std::function<void(int64_t done, int64_t total)> progress;
};

// `alone`: the decisions for `isolated`, which may differ in the biases. Holds the values alive
// between two nodes for all samples at once: give it few samples.
Status walk(const Graph& graph, const QuantPlan& plan, const QuantDecisions& decisions,
            const QuantDecisions& alone, const SampleSet& samples, const WalkOptions& options);

}  // namespace mnn
