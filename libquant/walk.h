// Steps through a graph node by node with two versions of every value, the float one and the one a
// quantized prefix makes: errors per layer and bias correction in one pass over the samples.
#pragma once

#include "libquant/annotate.h"
#include "libquant/observe.h"

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
  // Before a layer runs, its bias is moved so that the mean of its output before fused post-ops is
  // that of the float layer: b += E[fp output] - E[output on the quantized prefix] (Nagel et al.,
  // Data-free quantization through weight equalization and bias correction, 2019, done
  // sequentially).
  bool correct_bias = false;
  std::function<Status(const WalkedNode&)> see;  // may be empty
  std::function<void(int64_t done, int64_t total)> progress;
};

// Holds the values alive between two nodes for all samples at once: give it few samples. With
// correct_bias it fills decisions.bias.
Status walk(const Graph& graph, const QuantPlan& plan, QuantDecisions& decisions,
            const SampleSet& samples, const WalkOptions& options);

}  // namespace mnn
