// Outputs that mix units (boxes in pixels and scores, a mean and a variance) are judged by slices:
// noise on the part with small numbers is nothing beside the power of the other.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "libruntime/core/graph.h"
#include "libruntime/core/metrics.h"

namespace mnn {

// [begin, end) as Python counts: from the end where negative, cut off at the axis' length.
struct AxisRange {
  static constexpr int64_t kToEnd = std::numeric_limits<int64_t>::max();
  int64_t begin = 0, end = kToEnd;
  bool operator==(const AxisRange&) const = default;
};

// A part of a graph's output; without axes all of it.
struct OutputSlice {
  size_t output = 0;            // position among the graph's outputs
  std::vector<AxisRange> axes;  // of the first axes
  std::string name;             // "output0[:,4:]"; of a whole output its own
  bool whole() const { return axes.empty(); }
};

// "output0[:,4:]", "scores[0]": an output's name and for its first axes a range or an index.
Result<OutputSlice> parse_slice(const Graph& graph, const std::string& text);

// The slice of such an output, dense; the output itself where it is whole. Fails when it has fewer
// axes or the slice holds nothing.
Result<Tensor> cut_slice(const Tensor& output, const OutputSlice& slice);

// What the outputs of a model are judged by.
struct JudgedSlices {
  std::vector<OutputSlice> slices;   // one or more of each output, in the outputs' order
  std::vector<double> sample_power;  // per slice: mean over the samples of sum r²
};

// Cuts each output along the axis where its units differ, as `reference` (float outputs per sample)
// shows:
// - where the output was concatenated along an axis and the RMS of neighbouring parts differs by
//   kUnitRatio or more. Neighbours that differ less are one unit;
// - else along an axis that holds the channels of a Conv, Gemm or MatMul with constant weights,
//   where the channels fall into at most kMostRuns runs, with kLevelRatio between the levels of RMS
//   overall and kUnitRatio in every one of kLeastSamples samples or more.
// What Softmax, Sigmoid and the like make is one unit, and so is what falls into more than
// kMostRuns parts. An output with slices in `by_hand` has those. Outputs without numbers have no
// slice. `graph` has the samples' shapes; the first kSliceSamples samples decide.
inline constexpr double kUnitRatio = 4, kLevelRatio = 16;
inline constexpr size_t kMostRuns = 8, kLeastSamples = 4, kSliceSamples = 16;
Result<JudgedSlices> judged_slices(const Graph& graph,
                                   const std::vector<std::vector<Tensor>>& reference,
                                   const std::vector<OutputSlice>& by_hand);

// Errors of one sample per slice. Where shapes depend on data and differ all of the reference is
// error.
Result<std::vector<ErrorSums>> slice_errors(const JudgedSlices& judged,
                                            const std::vector<Tensor>& reference,
                                            const std::vector<Tensor>& test);

// One figure for a sample, free of units: -10 log10 of the mean over the slices of noise to signal.
// The worst slice decides; one 10 dB better hardly counts. A slice that holds less than a
// kQuietShare of its mean power in this sample (a photo without any object) is held against that
// share. kExactSnrDb without error, minus infinity when a slice failed or there is none.
inline constexpr double kQuietShare = 1.0 / 16;
double sample_snr_db(const JudgedSlices& judged, const std::vector<ErrorSums>& errors);
// Its parts, one a slice.
std::vector<double> sample_slice_snrs_db(const JudgedSlices& judged,
                                         const std::vector<ErrorSums>& errors);
// The same over all samples, from sums over them.
double pooled_snr_db(const std::vector<ErrorSums>& errors);

}  // namespace mnn
