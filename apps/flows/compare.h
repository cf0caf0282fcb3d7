// Golden comparison of two models on the same inputs, layer by layer, aligned by source names.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/flows/align.h"
#include "apps/flows/eval_command.h"
#include "apps/flows/model_io.h"
#include "libruntime/core/metrics.h"
#include "libruntime/engine.h"
#include "libruntime/report/samples.h"
#include "libruntime/session.h"

namespace mnn::flows {

// What counts as bad. Without thresholds the first bad layer is named by kDefaultGate, and only
// what cannot be compared at all fails.
struct CompareGate {
  std::optional<double> min_cosine, min_snr;
  std::optional<double> min_metric = {};  // of every metric
  std::optional<double> min_eval = {};    // of what --eval prints
  bool given() const { return min_cosine || min_snr || min_metric || min_eval; }
  bool of_layers() const { return min_cosine || min_snr; }
};
inline constexpr double kDefaultMinCosine = 0.99, kDefaultMinSnrDb = 20.0;

struct CompareOptions {
  CompareGate gate;
  bool outputs_only = false;
  std::vector<std::string> output_slices;  // "output0[:,4:]", in the place of those that are found
  std::vector<std::string> metrics;        // as core/task_metrics.h takes them
  EvalCommand eval;                        // run on the outputs of both; empty: none
  NamePairs align;                         // layers of REF and TEST that are the same
  int threads = 1;
  std::string isa;
  BackendChoice ref_backend, test_backend;
  std::shared_ptr<Engine> engine;  // of all sessions; null: one of those threads and isa
  std::string ref_name = "REF", test_name = "TEST";  // for messages
  // Called for each compared tensor of each sample: "ref" or "test", sample, file stem, tensor.
  std::function<Status(const std::string& side, size_t sample, const std::string& stem,
                       const Tensor&)>
      dump;
  std::function<void(int64_t done, int64_t total)> progress;
};

struct ComparedTensor {
  std::string name;             // the source layer's in TEST, or the output's
  std::string ref_name;         // the source layer's in REF
  std::string ref_op, test_op;  // of layers; "Conv, quantized": compared behind its rounding
  std::string type;             // of the reference, as of the last sample
  ErrorMetrics metrics;         // over all samples
  std::string problem;          // why it could not be compared; empty: it was
  AlignedLayers::By by = AlignedLayers::By::kName;  // of layers: what aligned them
  bool slice = false;           // a part of the output before it (see core/slices.h)
  bool moved_channels = false;  // channels first in one model and last in the other
  ValueId ref_value = kNoValue, test_value = kNoValue;  // of layers
};

// Where the loss at the outputs of TEST comes from: what bisect_models() found. SNRs are of all
// outputs together, each slice by its own power.
struct Bisection {
  double output_snr_db = 0;  // as TEST runs
  bool lost = false;         // that is below kNoLossDb
  std::optional<size_t>
      layer;           // position in Comparison::layers; none: behind the last that can be fed
  ErrorMetrics alone;  // of that layer on REF's values
  double before_snr_db = 0;          // of the outputs with REF's values in all layers before it
  double up_to_snr_db = 0;           // and in it
  double repaired_snr_db = 0;        // in it alone
  std::vector<std::string> between;  // TEST's layers that it, or the output, makes of REF's values
  size_t layers = 0, runs = 0;       // that can be fed; runs of both models over the samples
};

struct Comparison {
  std::vector<ComparedTensor> layers;   // in TEST's order of execution
  std::vector<ComparedTensor> outputs;  // in REF's order, each followed by its slices
  SampleErrors sample_errors;           // at the outputs; exact ones apart, of outputs with numbers
  std::vector<std::pair<std::string, double>> metrics;
  std::optional<double> eval;          // what --eval printed
  std::optional<Bisection> bisection;  // of --bisect
  std::vector<Unaligned> unaligned;
  std::vector<std::string> notes;
  size_t samples = 0;
};

// Samples as REF takes them, one tensor per input of its graph.
struct CompareInputs {
  size_t count = 0;
  std::function<Result<std::vector<Tensor>>(size_t)> load;
  std::vector<std::string> names = {};  // of the samples
};

// An error means that a model could not be run; what differs is in the Comparison.
Result<Comparison> compare_models(const Graph& ref, const Graph& test, const CompareInputs& inputs,
                                  const CompareOptions& options);

// A figure of the task: of a --metric or of --eval.
struct TaskFigure {
  std::string name;  // "metric argmax", "--eval"
  double value = 0;
  std::optional<double> least;
  std::string text() const;     // "0.9876"
  std::string failure() const;  // "0.9876 is below 0.9900"; empty: reached
};
std::vector<TaskFigure> task_figures(const Comparison& comparison, const CompareGate& gate);

// Why this row fails under `gate`; empty: it does not.
std::string failure_of(const ComparedTensor& row, const CompareGate& gate);
// The gate that names the first bad layer: the given one, else the default.
CompareGate naming_gate(const CompareGate& gate);
// The first bad row of `layers`, null when none is.
const ComparedTensor* first_bad(const Comparison& comparison, const CompareGate& gate);
// All that fails under `gate`, a line each, layers first.
std::vector<std::string> missed_of(const Comparison& comparison, const CompareGate& gate);
// OK, or kThreshold when thresholds were given, else kInternal: something could not be compared.
Status judge_comparison(const Comparison& comparison, const CompareGate& gate);

}  // namespace mnn::flows
