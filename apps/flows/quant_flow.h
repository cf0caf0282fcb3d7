// The workflow of `mnn quant`: samples in, quantized model, verdict and reports out.
#pragma once

#include <string>
#include <vector>

#include "apps/flows/eval_command.h"
#include "apps/flows/events.h"
#include "apps/flows/project.h"
#include "apps/flows/quant_verdict.h"
#include "apps/flows/samples.h"
#include "libquant/quantize.h"

namespace mnn::flows {

struct QuantFlow {
  std::string model, output;  // without an output nothing is written but reports
  ShapeMap shapes;
  std::map<std::string, std::string> import_keys;  // of the front end
  std::string calibration, holdout;
  ImageOptions images;
  std::string scheme = "int8", method = "auto", weight_scale = "absmax";
  std::string overflow_fix = "auto";
  // Of weight-only schemes, as in QuantOptions.
  std::optional<int64_t> group_size;
  std::optional<bool> symmetric;
  bool int8_activations = false;
  std::string level = "default";  // "fast", "best"
  int64_t low_rank = 0;
  std::vector<std::string> layers;  // "PATTERN=scheme"
  std::vector<std::string> keep_float;
  // In the place of a max_size: of the model as a .mnn, of what all in int8 comes to.
  std::optional<double> max_size_share, max_int8_ratio;
  std::string resume;       // file of what was measured
  bool requantize = false;  // a model that is quantized already: what of it is not
  Thresholds thresholds;
  bool try_fixes = false, layer_times = false;  // as in QuantOptions
  std::vector<std::string> reports;             // .json, .html, .xml (JUnit), .csv
  std::string import_scheme, export_scheme;
  std::vector<std::string> stats;  // files of statistics in the place of passes over the samples
  std::vector<std::string> output_slices;  // "output0[:,4:]"
  size_t worst_samples = 5;                // that a page lists
  std::vector<std::string> metrics;        // as core/task_metrics.h takes them
  EvalCommand eval;
  bool promote = false;  // layers to float until the accuracy thresholds are reached
  int threads = 1;
};

struct QuantOutcome {
  QuantReport report;
  std::string path;   // what was written: the output, or OUT.rejected
  std::string stale;  // an output of an earlier run that stays beside OUT.rejected
  int64_t file_bytes = 0;
  std::vector<std::byte> file;  // the quantized .mnn
  std::vector<Judgement> judgements;
  Status verdict;  // kThreshold when a threshold was missed
};
Result<QuantOutcome> run_quant_flow(const QuantFlow& flow, const Events& events);

// Which data a model was calibrated with, as JSON: SHA-256 over the samples' own tensors in order,
// and the dims of each input.
Result<std::string> describe_data(const Samples& samples, const Graph& graph);

// The report with the verdict, the thresholds, the file's size and the facts of the run.
std::string outcome_json(const QuantOutcome& outcome);

// "PATTERN=scheme", split at the last =.
Result<LayerRule> parse_layer_rule(const std::string& text);

// A usage error unless the ending is one of .json, .html, .xml and .csv.
Status check_quant_report_name(const std::string& path);

}  // namespace mnn::flows
