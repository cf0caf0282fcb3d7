#include "libquant/judge.h"

#include <algorithm>
#include <cmath>

#include "libquant/calibrate/data_check.h"
#include "libquant/report/layer_report.h"
#include "libruntime/core/task_metrics.h"

namespace mnn {
namespace {

// Fewer samples than this say little.
constexpr size_t kFewSamples = 8;

// Per value of a quantized graph whether any of it was quantized on the way.
std::vector<char> touched_values(const Graph& graph) {
  std::vector<char> touched(graph.values.size(), 0);
  for (size_t v = 0; v < graph.values.size(); ++v) touched[v] = graph.values[v].quant.has_value();
  mark_what_follows(graph, touched, [](const Node&) { return false; });
  return touched;
}

}  // namespace

SampleSplit split_samples(const SampleSource& calibration, const SampleSource& holdout) {
  SampleSplit split;
  split.calibration.source = &calibration;
  if (holdout.count > 0) {
    split.holdout.source = &holdout;
    for (size_t i = 0; i < holdout.count; ++i) split.holdout.indices.push_back(i);
    for (size_t i = 0; i < calibration.count; ++i) split.calibration.indices.push_back(i);
    return split;
  }
  split.holdout.source = &calibration;
  if (calibration.count == 0) return split;
  if (calibration.count < 4) {
    for (size_t i = 0; i < calibration.count; ++i) {
      split.calibration.indices.push_back(i);
      split.holdout.indices.push_back(i);
    }
    split.measures_calibration = true;
    split.note = "fewer than 4 samples: errors are measured on the calibration samples themselves";
    return split;
  }
  for (size_t i = 0; i < calibration.count; ++i) {
    (i % 4 == 3 ? split.holdout : split.calibration).indices.push_back(i);
  }
  split.note = "every fourth calibration sample in name order was held back";
  return split;
}

void add_fault(QuantReport& report, std::string fault) {
  report.warnings.push_back(fault);
  report.data_faults.push_back(std::move(fault));
}

Status report_samples(const SampleSplit& split, size_t given, bool calibrated,
                      QuantReport& report) {
  report.holdout_samples = split.holdout.size();
  report.holdout_note = split.note;
  if (split.holdout.size() == 0) return {};
  if (calibrated && given < kFewSamples) {
    add_fault(report, "only " + std::to_string(given) + (given == 1 ? " sample" : " samples") +
                          ": fewer than " + std::to_string(kFewSamples) +
                          " say little about what the model will meet");
  }
  if (split.measures_calibration && calibrated) {
    add_fault(report,
              "the result is measured on the samples it was calibrated with: none was held back "
              "(--holdout, or 4 samples and more)");
  }
  MNN_ASSIGN_OR_RETURN(
      std::vector<std::string> faults,
      check_samples(calibrated ? split.calibration : split.holdout, split.holdout));
  for (std::string& fault : faults) add_fault(report, std::move(fault));
  return {};
}

Status check_judging(const Graph& graph, const QuantOptions& options) {
  for (const std::string& text : options.output_slices)
    MNN_RETURN_IF_ERROR(parse_slice(graph, text).status());
  for (const std::string& spec : options.metrics)
    MNN_RETURN_IF_ERROR(make_metric(graph, spec).status());
  return {};
}

Result<Judge> Judge::create(const Graph& graph, const SampleSet& holdout,
                            const QuantOptions& options, const RunOptions& run) {
  Judge judge;
  judge.graph_ = &graph;
  judge.options_ = &options;
  judge.run_ = run;
  if (holdout.size() == 0) return judge;
  std::vector<OutputSlice> by_hand;
  for (const std::string& text : options.output_slices) {
    MNN_ASSIGN_OR_RETURN(OutputSlice slice, parse_slice(graph, text));
    by_hand.push_back(std::move(slice));
  }
  MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(graph, run));
  MNN_ASSIGN_OR_RETURN(judge.reference_, run_all(*session, holdout));
  MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, holdout.load(0));
  MNN_ASSIGN_OR_RETURN(const Graph bound, bound_to(graph, sample));
  MNN_ASSIGN_OR_RETURN(judge.judged_, judged_slices(bound, judge.reference_, by_hand));
  return judge;
}

Status Judge::measure(const Graph& graph, const SampleSet& holdout, QuantReport& report) const {
  MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(graph, run_));
  MNN_ASSIGN_OR_RETURN(const auto outputs, run_all(*session, holdout));
  MNN_RETURN_IF_ERROR(measure_outputs(outputs, report));
  SampleErrors& each = report.samples;
  for (const OutputSlice& slice : judged_.slices) each.slice_names.push_back(slice.name);
  for (size_t s = 0; s < outputs.size(); ++s) {
    MNN_ASSIGN_OR_RETURN(const auto errors, slice_errors(judged_, reference_[s], outputs[s]));
    each.samples.push_back({holdout.name(s), holdout.indices[s], sample_snr_db(judged_, errors),
                            sample_slice_snrs_db(judged_, errors)});
  }
  each.constant = std::all_of(report.outputs.begin(), report.outputs.end(),
                              [](const OutputError& o) { return o.whole.constant; });
  report.argmax_agreement = argmax_agreement(*graph_, reference_, outputs);
  for (const std::string& spec : options_->metrics) {
    MNN_ASSIGN_OR_RETURN(const auto metric, make_metric(*graph_, spec));
    for (size_t s = 0; s < outputs.size(); ++s) {
      const Status status = metric->add(reference_[s], outputs[s]);
      if (!status.ok()) return status.context("--metric " + spec);
    }
    report.metrics.push_back({spec, metric->value()});
  }
  return {};
}

Status Judge::measure_outputs(const std::vector<std::vector<Tensor>>& outputs,
                              QuantReport& report) const {
  MNN_ASSIGN_OR_RETURN(const auto whole, output_errors(reference_, outputs));
  MNN_ASSIGN_OR_RETURN(const auto parts, slice_errors(judged_, reference_, outputs));
  for (size_t o = 0; o < whole.size(); ++o) {
    OutputError e{graph_->value(graph_->outputs[o]).name, metrics_of(whole[o]), {}};
    e.whole.constant = e.whole.constant || never_changes(reference_, o);
    for (size_t i = 0; i < parts.size(); ++i) {
      const OutputSlice& slice = judged_.slices[i];
      if (slice.output != o || slice.whole()) continue;
      e.slices.push_back({slice.name, metrics_of(parts[i])});
      e.slices.back().metrics.constant |= e.whole.constant;
    }
    report.outputs.push_back(std::move(e));
  }
  return {};
}

Result<MixTrial> Judge::try_mix(const Graph& quantized, const SampleSet& holdout,
                                const MixTrial* start) const {
  QuantReport measured;
  MNN_RETURN_IF_ERROR(measure(quantized, holdout, measured));
  std::vector<double> each;
  for (const SampleError& s : measured.samples.samples) each.push_back(s.snr_db);
  MixTrial trial;
  trial.score = score_of(each);
  trial.mean_snr_db = mean_of(each);
  trial.worst_snr_db = worst_of(each);
  trial.pooled_snr_db = kExactSnrDb;
  for (const OutputError& o : measured.outputs)
    trial.pooled_snr_db = std::min(trial.pooled_snr_db, o.worst().metrics.snr_db);
  if (start != nullptr) {
    const double luck =
        (trial.pooled_snr_db - start->pooled_snr_db) - (trial.mean_snr_db - start->mean_snr_db);
    if (std::isfinite(luck)) measured.luck_db = std::max(0.0, luck);
  }
  if (!options_->reached) return trial;
  MNN_ASSIGN_OR_RETURN(trial.goal, options_->reached(quantized, measured));
  return trial;
}

Status Judge::measure_result(const Graph& graph, const SampleSet& holdout,
                             QuantReport& report) const {
  MNN_RETURN_IF_ERROR(measure(graph, holdout, report));
  const std::vector<char> touched = touched_values(graph);
  for (size_t o = 0; o < report.outputs.size(); ++o) {
    if (report.outputs[o].whole.constant && touched[static_cast<size_t>(graph.outputs[o])])
      add_fault(report, "output " + report.outputs[o].name +
                            " is the same on all held-back samples: its error says nothing");
  }
  return {};
}

}  // namespace mnn
