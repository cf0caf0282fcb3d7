// Finds the recipe that quantizes a network best.
#pragma once

#include "libquant/annotate.h"
#include "libquant/observe.h"
#include "libquant/search/smoothing.h"

namespace mnn {

// Everything that was decided about a network.
struct Solution {
  Graph graph;  // float, with smoothing applied
  QuantPlan plan;
  QuantDecisions decisions;
  std::vector<Smoothing> smoothings;
  std::string recipe;
  double snr_db = 0;  // at the outputs, on the held-back samples
};

struct SearchInput {
  const Graph& graph;
  const SampleSet& calibration;
  const SampleSet& holdout;
  const std::vector<std::vector<Tensor>>& reference;  // float outputs per held-back sample
  const QuantOptions& options;
};

struct SearchResult {
  Solution best;
  std::vector<std::pair<std::string, double>> candidates;  // in the order tried, with their SNR
};

// With method auto: ranges per tensor by min-max, percentile, KL and MSE; then grids per channel on
// what depthwise layers read; then smoothing; then bias correction on the best of each family, and
// MSE weight scales on the best of all. Other methods: those ranges, with and without bias
// correction. The first of equals wins, so that the choice depends on nothing but the figures.
Result<SearchResult> search_recipe(const SearchInput& input);

// The errors of `graph`, quantized already, at the outputs.
Result<std::vector<ErrorSums>> measure(Graph graph, const SampleSet& samples,
                                       const std::vector<std::vector<Tensor>>& reference,
                                       const RunOptions& run);

}  // namespace mnn
