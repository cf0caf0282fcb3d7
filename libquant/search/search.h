// Finds the recipe that quantizes a network best.
#pragma once

#include <optional>

#include "libquant/annotate.h"
#include "libquant/calibrate/calibrate.h"
#include "libquant/measure/observe.h"
#include "libquant/search/smoothing.h"

namespace mnn {

// Everything that was decided about a network.
struct Solution {
  Graph graph;  // float, with smoothing applied
  QuantPlan plan;
  QuantDecisions decisions;
  std::vector<Smoothing> smoothings;
  std::optional<Calibration> calibration;  // of `graph`, where there was one
  std::string recipe;
};

struct SearchInput {
  const Graph& graph;
  const SampleSet& calibration;
  const SampleSet& holdout;
  const std::vector<std::vector<Tensor>>& reference;  // float outputs per held-back sample
  const JudgedSlices& judged;
  const QuantOptions& options;
  const std::set<NodeId>& float_nodes;  // stay float
};

// A layer or tensor that costs more than it is worth as bytes, and what it costs at the output by
// itself, dB.
struct KeptFloat {
  std::string name;
  double cost_db = 0;
};
std::string reason_of(const KeptFloat& kept);

struct SearchResult {
  Solution best;
  std::vector<KeptFloat> kept_float;
  std::vector<TriedRecipe> candidates;  // in the order tried
};

// With method auto: ranges per tensor by min-max, percentile, KL and MSE; then grids per channel on
// what depthwise layers read; then smoothing; then MSE weight scales on the best of all; each with
// and without bias correction. Other methods: those ranges, with and without bias correction. The
// first of equals wins, so that the choice depends on nothing but the figures. Then the best recipe
// with the overflow fix, on all layers or without the first ones, as soon as it costs no more
// than 1 dB or leaves 40 dB. Last, products of two computed matrices and values between layers that
// together cost more than 0.5 dB go back to float, the costliest first, until they do not.
Result<SearchResult> search_recipe(const SearchInput& input);

}  // namespace mnn
