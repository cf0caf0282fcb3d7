// What a quantized network is held against: the float outputs on held-back samples.
#pragma once

#include "libquant/measure/observe.h"
#include "libquant/search/mix.h"

namespace mnn {

struct SampleSplit {
  SampleSet calibration, holdout;
  std::string note;
  bool measures_calibration = false;  // nothing was held back
};
// Without a holdout every fourth calibration sample is held back; of fewer than 4 none is.
SampleSplit split_samples(const SampleSource& calibration, const SampleSource& holdout);

// Says how many are held back and why, and, as faults, what the samples cannot vouch for. `given`
// are the calibration samples; not `calibrated`: they decide nothing.
Status report_samples(const SampleSplit& split, size_t given, bool calibrated, QuantReport& report);
// A fault of the data is a warning too.
void add_fault(QuantReport& report, std::string fault);

// Whether the slices and metrics that were asked for are there.
Status check_judging(const Graph& graph, const QuantOptions& options);

class Judge {
 public:
  // Runs the float graph, which must outlive the judge as the options must. Without held-back
  // samples nothing is judged.
  static Result<Judge> create(const Graph& graph, const SampleSet& holdout,
                              const QuantOptions& options, const RunOptions& run);

  // Everything about the outputs of `quantized` on the held-back samples, added to the report.
  Status measure(const Graph& quantized, const SampleSet& holdout, QuantReport& report) const;
  // The same, and outputs that never change though something on the way is quantized are faults.
  Status measure_result(const Graph& quantized, const SampleSet& holdout,
                        QuantReport& report) const;

  // What it is compared with others by, and whether it is what QuantOptions::reached asks for.
  // `start`: the network the search began with; null for that itself.
  Result<MixTrial> try_mix(const Graph& quantized, const SampleSet& holdout,
                           const MixTrial* start) const;

  const std::vector<std::vector<Tensor>>& reference() const { return reference_; }
  const JudgedSlices& judged() const { return judged_; }

 private:
  Status measure_outputs(const std::vector<std::vector<Tensor>>& outputs,
                         QuantReport& report) const;

  const Graph* graph_ = nullptr;
  const QuantOptions* options_ = nullptr;
  RunOptions run_;
  std::vector<std::vector<Tensor>> reference_;  // float outputs of the held-back samples
  JudgedSlices judged_;
};

}  // namespace mnn
