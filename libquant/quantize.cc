// Post-training quantization: plan, calibrate, choose, correct, measure.
#include "libquant/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "libquant/layer_report.h"
#include "libquant/walk.h"
#include "libruntime/core/quant.h"

namespace mnn {
namespace {

// Samples whose activations are held at once for bias correction.
constexpr size_t kCorrectionSamples = 16;

struct Split {
  SampleSet calibration, holdout;
  std::string note;
};

Split split_samples(const SampleSource& calibration, const SampleSource& holdout) {
  Split split;
  split.calibration.source = &calibration;
  if (holdout.count > 0) {
    split.holdout.source = &holdout;
    for (size_t i = 0; i < holdout.count; ++i) split.holdout.indices.push_back(i);
    for (size_t i = 0; i < calibration.count; ++i) split.calibration.indices.push_back(i);
    return split;
  }
  split.holdout.source = &calibration;
  if (calibration.count < 4) {
    for (size_t i = 0; i < calibration.count; ++i) {
      split.calibration.indices.push_back(i);
      split.holdout.indices.push_back(i);
    }
    split.note = "fewer than 4 samples: errors are measured on the calibration samples themselves";
    return split;
  }
  for (size_t i = 0; i < calibration.count; ++i) {
    (i % 4 == 3 ? split.holdout : split.calibration).indices.push_back(i);
  }
  split.note = "every fourth calibration sample in name order was held back";
  return split;
}

// At most `count` of the samples, evenly spread.
SampleSet spread(const SampleSet& all, size_t count) {
  SampleSet some;
  some.source = all.source;
  const size_t n = std::min(count, all.size());
  for (size_t i = 0; i < n; ++i) some.indices.push_back(all.indices[i * all.size() / n]);
  return some;
}

const char* method_name(CalibrationMethod m) {
  switch (m) {
    case CalibrationMethod::kAuto: return "auto";
    case CalibrationMethod::kMinMax: return "minmax";
    case CalibrationMethod::kPercentile: return "percentile";
    case CalibrationMethod::kKl: return "kl";
    case CalibrationMethod::kMse: return "mse";
  }
  return "";
}

Result<std::vector<Histogram>> calibrate(const Graph& graph, const QuantPlan& plan,
                                         const SampleSet& samples, const QuantOptions& options) {
  const RunOptions run{options.threads, options.isa};
  auto progress = [&](const std::string& phase) {
    return [&, phase](int64_t done, int64_t total) {
      if (options.progress) options.progress(phase, done, total);
    };
  };
  std::vector<RangeStats> value_ranges(plan.values.size());
  MNN_RETURN_IF_ERROR(observe(
      graph, plan.values, samples, run,
      [&](size_t v, size_t, const Tensor& t) {
        value_ranges[v].add(t.span<float>());
        return Status();
      },
      progress("ranges")));
  std::vector<RangeStats> ranges(static_cast<size_t>(plan.groups));
  for (size_t v = 0; v < plan.values.size(); ++v) {
    if (value_ranges[v].not_finite > 0) {
      return invalid("value '" + graph.value(plan.values[v]).name +
                     "' becomes NaN or infinite in " + std::to_string(value_ranges[v].not_finite) +
                     " elements on the calibration samples");
    }
    ranges[static_cast<size_t>(plan.group[v])].merge(value_ranges[v]);
  }
  std::vector<Histogram> histograms(ranges.begin(), ranges.end());
  MNN_RETURN_IF_ERROR(observe(
      graph, plan.values, samples, run,
      [&](size_t v, size_t, const Tensor& t) {
        histograms[static_cast<size_t>(plan.group[v])].add(t.span<float>());
        return Status();
      },
      progress("histograms")));
  return histograms;
}

std::vector<RealRange> choose_ranges(const std::vector<Histogram>& histograms,
                                     CalibrationMethod method) {
  std::vector<RealRange> ranges;
  for (const Histogram& h : histograms) ranges.push_back(choose_range(h, method));
  return ranges;
}

// A quantizer at work: what all phases share.
class Quantizer {
 public:
  Quantizer(const Graph& graph, const QuantOptions& options)
      : graph_(graph), options_(options), run_{options.threads, options.isa} {}

  Result<QuantResult> run(const SampleSource& calibration, const SampleSource& holdout) {
    MNN_RETURN_IF_ERROR(verify(graph_));
    if (calibration.count == 0) return usage_error("there is no calibration sample");
    const Split split = split_samples(calibration, holdout);
    plan_ = plan_quantization(graph_);
    if (plan_.layers.empty()) {
      return unsupported("no Conv, Gemm or MatMul with constant float weights to quantize");
    }
    report_.scheme = options_.scheme;
    report_.calibration_samples = split.calibration.size();
    report_.holdout_samples = split.holdout.size();
    report_.holdout_note = split.note;
    MNN_RETURN_IF_ERROR(quantize_all_weights());
    MNN_ASSIGN_OR_RETURN(const auto histograms,
                         calibrate(graph_, plan_, split.calibration, options_));
    MNN_ASSIGN_OR_RETURN(const auto float_session, open_for_quant(graph_, run_));
    MNN_ASSIGN_OR_RETURN(reference_, run_all(*float_session, split.holdout));
    MNN_RETURN_IF_ERROR(choose_method(histograms, split.holdout));
    MNN_RETURN_IF_ERROR(correct_biases(split));
    QuantResult result;
    MNN_RETURN_IF_ERROR(finish(split.holdout, result));
    return result;
  }

 private:
  void progress(const std::string& phase, int64_t done, int64_t total) const {
    if (options_.progress) options_.progress(phase, done, total);
  }

  Status quantize_all_weights() {
    for (size_t i = 0; i < plan_.layers.size(); ++i) {
      const QuantLayer& layer = plan_.layers[i];
      progress("weights", static_cast<int64_t>(i), static_cast<int64_t>(plan_.layers.size()));
      auto w = quantize_weights(graph_.value(layer.weight).data, layer.weight_axis,
                                options_.weight_scale);
      if (!w.ok())
        return w.status().context("node " + display_name(graph_, graph_.node(layer.node)));
      decisions_.weights.push_back(std::move(w).value());
    }
    decisions_.bias.resize(plan_.layers.size());
    return {};
  }

  // The errors of the whole network under `decisions` on held-back samples.
  Result<std::vector<ErrorSums>> measure(const QuantDecisions& decisions,
                                         const SampleSet& samples) {
    MNN_ASSIGN_OR_RETURN(const auto session,
                         open_for_quant(annotate(graph_, plan_, decisions), run_));
    MNN_ASSIGN_OR_RETURN(const auto outputs, run_all(*session, samples));
    return output_errors(reference_, outputs);
  }

  Status choose_method(const std::vector<Histogram>& histograms, const SampleSet& holdout) {
    std::vector<CalibrationMethod> methods = {options_.method};
    if (options_.method == CalibrationMethod::kAuto) {
      methods = {CalibrationMethod::kMinMax, CalibrationMethod::kPercentile, CalibrationMethod::kKl,
                 CalibrationMethod::kMse};
    }
    for (size_t i = 0; i < methods.size(); ++i) {
      progress("choosing ranges", static_cast<int64_t>(i), static_cast<int64_t>(methods.size()));
      QuantDecisions candidate = decisions_;
      candidate.ranges = choose_ranges(histograms, methods[i]);
      MNN_ASSIGN_OR_RETURN(const auto errors, measure(candidate, holdout));
      const double snr = overall_snr_db(errors);
      report_.candidates.emplace_back(method_name(methods[i]), snr);
      // The first of equals wins, so the choice does not depend on anything but the figures.
      if (i == 0 || snr > snr_) {
        snr_ = snr;
        decisions_.ranges = std::move(candidate.ranges);
        report_.method = method_name(methods[i]);
      }
    }
    return {};
  }

  // Kept only when it helps on the held-back samples.
  Status correct_biases(const Split& split) {
    QuantDecisions corrected = decisions_;
    WalkOptions walk_options;
    walk_options.run = run_;
    walk_options.correct_bias = true;
    walk_options.progress = [&](int64_t done, int64_t total) {
      progress("bias correction", done, total);
    };
    const SampleSet some = spread(split.calibration, kCorrectionSamples);
    MNN_RETURN_IF_ERROR(walk(graph_, plan_, corrected, some, walk_options));
    MNN_ASSIGN_OR_RETURN(const auto errors, measure(corrected, split.holdout));
    const double snr = overall_snr_db(errors);
    report_.candidates.emplace_back(report_.method + " + bias correction", snr);
    if (snr <= snr_) return {};
    snr_ = snr;
    decisions_ = std::move(corrected);
    report_.method += " + bias correction";
    return {};
  }

  Status finish(const SampleSet& holdout, QuantResult& result) {
    result.graph = annotate(graph_, plan_, decisions_);
    MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(result.graph, run_));
    MNN_ASSIGN_OR_RETURN(const auto outputs, run_all(*session, holdout));
    MNN_ASSIGN_OR_RETURN(const auto errors, output_errors(reference_, outputs));
    for (size_t o = 0; o < errors.size(); ++o) {
      report_.outputs.emplace_back(graph_.value(graph_.outputs[o]).name, metrics_of(errors[o]));
    }
    report_.argmax_agreement = argmax_agreement(reference_, outputs);
    report_.int8_mac_share = session->int8_mac_share();
    report_.bytes_before = bytes_of_constants(graph_);
    report_.bytes_after = bytes_of_constants(result.graph);
    if (report_.int8_mac_share < 0.95) {
      report_.warnings.push_back("only " +
                                 std::to_string(static_cast<int>(100 * report_.int8_mac_share)) +
                                 " % of the MACs run on int8 kernels");
    }
    if (options_.layer_report) {
      LayerReportInput input{graph_,  plan_, decisions_, reference_,
                             holdout, run_,  snr_,       options_.progress};
      MNN_ASSIGN_OR_RETURN(report_.layers, report_layers(input));
    }
    result.report = std::move(report_);
    return {};
  }

  const Graph& graph_;
  const QuantOptions& options_;
  RunOptions run_;
  QuantPlan plan_;
  QuantDecisions decisions_;
  QuantReport report_;
  std::vector<std::vector<Tensor>> reference_;  // float outputs of the held-back samples
  double snr_ = -std::numeric_limits<double>::infinity();
};

}  // namespace

Result<QuantResult> quantize(const Graph& graph, const SampleSource& calibration,
                             const SampleSource& holdout, const QuantOptions& options) {
  if (options.scheme != "int8") return usage_error("scheme " + options.scheme + ": expected int8");
  return Quantizer(graph, options).run(calibration, holdout);
}

}  // namespace mnn
