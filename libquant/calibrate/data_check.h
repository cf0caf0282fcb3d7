// What calibration and held-back samples cannot vouch for: each fault is a sentence that names
// them.
#pragma once

#include "libquant/calibrate/calibrate.h"
#include "libquant/measure/observe.h"

namespace mnn {

// Samples that hold one number throughout, and samples that equal another one, held-back samples
// that equal a calibration sample among them.
Result<std::vector<std::string>> check_samples(const SampleSet& calibration,
                                               const SampleSet& holdout);

// Tensors of the plan that never changed though what the inputs hold decides them, by the layers
// that make and read them; the first of those that follow from each other.
std::vector<std::string> check_tensors(const Graph& graph, const Calibration& calibration);

// Marks, per value, all that is made of marked values, but not by nodes that `stops` says.
void mark_what_follows(const Graph& graph, std::vector<char>& marked,
                       const std::function<bool(const Node&)>& stops);

// "a, b, c and 4 more".
std::string some_of(const std::vector<std::string>& names);

}  // namespace mnn
