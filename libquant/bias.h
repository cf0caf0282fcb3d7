// Bias correction: quantization shifts the mean of a layer's output; its bias takes the shift back.
#pragma once

#include "libquant/annotate.h"
#include "libquant/measure/observe.h"

namespace mnn {

// Samples whose activations are held at once for bias correction.
inline constexpr size_t kCorrectionSamples = 8;

// Per layer of the plan, the mean per output channel of its float output before fused post-ops
// (with the bias). Empty for layers without a bias that can be set.
using LayerMeans = std::vector<std::vector<double>>;
Result<LayerMeans> layer_means(const Graph& graph, const QuantPlan& plan, const SampleSet& samples,
                               const RunOptions& run);

// Layer by layer, each on what the quantized layers in front of it make of the samples:
// b += E[float output] - E[quantized output] (Nagel et al., Data-free quantization through weight
// equalization and bias correction, 2019, done sequentially). Fills decisions.bias. Holds the
// values alive between two nodes for all samples at once: give it few.
Status correct_biases(const Graph& graph, const QuantPlan& plan, QuantDecisions& decisions,
                      const SampleSet& samples, const LayerMeans& means, const RunOptions& run,
                      const std::function<void(int64_t done, int64_t total)>& progress);

// The same for every layer by itself, on float inputs: what a layer's bias would be were it the
// only one that is quantized.
Status correct_biases_alone(const Graph& graph, const QuantPlan& plan, QuantDecisions& decisions,
                            const SampleSet& samples, const LayerMeans& means,
                            const RunOptions& run);

// The decisions for layers that are quantized one by one: a bias that was corrected behind a
// quantized prefix holds what the prefix shifted too; here it is what it would be were the layer
// the only one.
Result<QuantDecisions> with_biases_alone(const Graph& graph, const QuantPlan& plan,
                                         const QuantDecisions& decisions, const SampleSet& samples,
                                         const RunOptions& run);

}  // namespace mnn
