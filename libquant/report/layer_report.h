// The error of every layer: isolated, accumulated, contribution.
#pragma once

#include "libquant/annotate.h"
#include "libquant/calibrate/calibrate.h"
#include "libquant/measure/observe.h"

namespace mnn {

struct LayerReportInput {
  const Graph& graph;
  const QuantPlan& plan;
  const QuantDecisions& decisions;
  const std::vector<std::vector<Tensor>>& reference;  // float outputs per held-back sample
  const JudgedSlices& judged;
  const SampleSet& holdout;
  RunOptions run;
  const std::function<void(const std::string&, int64_t, int64_t)>& progress;
  const Calibration* calibration;  // of `graph`; null: remedies that need it are not tried
  bool try_all = false;            // remedies for all layers that cost much, and then together
  Fixes* fixes = nullptr;          // gets what they gain, with try_all
};

// One row per quantized layer and per other node whose output is stored as u8; worst contribution
// first.
Result<std::vector<LayerError>> report_layers(const LayerReportInput& input);

// At all outputs together, of the slices' errors of each sample (one or more): the SNR of
// sample_snr_db() over the pooled samples, the cosine of the worst slice.
ErrorMetrics contribution_of(const std::vector<std::vector<ErrorSums>>& samples);

// "wider range: +0.52 dB; in float: +1.20 dB at the output": of the best remedy and of keeping the
// layer in float what gains more than 0.1 dB at the network's output; empty when neither does.
// -INFINITY: was not tried.
std::string suggestion_text(const std::string& remedy, double remedy_gain, double float_gain);

// Share of positions whose largest element along the last axis of the graph's first output is the
// same in both; -1 unless that axis is one of two classes or more: of an f32 output [N,C], or of
// [N,T,C] made by a softmax over C or a product.
double argmax_agreement(const Graph& graph, const std::vector<std::vector<Tensor>>& reference,
                        const std::vector<std::vector<Tensor>>& test);

}  // namespace mnn
