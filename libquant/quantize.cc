// Post-training quantization: plan, search, measure.
#include "libquant/quantize.h"

#include <algorithm>
#include <cstdio>
#include <tuple>

#include "libquant/calibrate/data_check.h"
#include "libquant/report/islands.h"
#include "libquant/report/layer_report.h"
#include "libquant/report/scheme.h"
#include "libquant/search/promote.h"
#include "libquant/search/search.h"
#include "libruntime/core/half.h"
#include "libruntime/core/quant.h"
#include "libruntime/core/task_metrics.h"
#include "libruntime/report/format.h"

namespace mnn {
namespace {

struct Split {
  SampleSet calibration, holdout;
  std::string note;
  bool measures_calibration = false;  // nothing was held back
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

// Float MACs worth a warning.
constexpr double kNotableMacShare = 0.01;
// Fewer samples than this say little.
constexpr size_t kFewSamples = 8;
// A model that shrinks less says why, unless there is nothing in it.
constexpr double kLeastShrink = 2;
constexpr int64_t kNotableBytes = 4096;
constexpr size_t kConstantsNamed = 3;

std::string warning_of(const FloatIsland& island) {
  return format_percent(island.mac_share, 1) + " % of the MACs stay float: " + island.op + ", " +
         island.why + ": " + some_of(island.layers);
}

// Why the constants hardly shrank; empty: they did.
std::string why_large(const QuantReport& r) {
  if (r.float_constants.empty() || r.bytes_before == 0 ||
      static_cast<double>(r.bytes_before) >= kLeastShrink * static_cast<double>(r.bytes_after)) {
    return {};
  }
  int64_t bytes = 0;
  for (const FloatConstant& c : r.float_constants) bytes += c.bytes;
  if (bytes < kNotableBytes) return {};
  char times[32];
  std::snprintf(times, sizeof times, "%.2f",
                static_cast<double>(r.bytes_before) / static_cast<double>(r.bytes_after));
  std::string text = "the constants are only " + std::string(times) +
                     " times smaller: " + format_bytes(bytes) + " of " +
                     format_bytes(r.bytes_after) + " are constants that stay as they were";
  for (size_t i = 0; i < std::min(kConstantsNamed, r.float_constants.size()); ++i) {
    const FloatConstant& c = r.float_constants[i];
    text += (i == 0 ? ": " : ", ") + format_bytes(c.bytes) + (c.name.empty() ? "" : " " + c.name) +
            " of " + c.op + " " + c.layer;
  }
  const std::string remedy = size_suggestion(r);
  return remedy.empty() ? text : text + "; " + remedy;
}

std::string reason_of(const KeptFloat& kept) {
  char cost[32];
  std::snprintf(cost, sizeof cost, "%.1f", kept.cost_db);
  return kept.name + " stays float: as bytes it costs " + cost + " dB at the output";
}

// Per value of a quantized graph whether any of it was quantized on the way.
std::vector<char> touched_values(const Graph& graph) {
  std::vector<char> touched(graph.values.size(), 0);
  for (size_t v = 0; v < graph.values.size(); ++v) touched[v] = graph.values[v].quant.has_value();
  mark_what_follows(graph, touched, [](const Node&) { return false; });
  return touched;
}

// A quantizer at work: what all phases share.
class Quantizer {
 public:
  Quantizer(const Graph& graph, const QuantOptions& options)
      : graph_(graph), options_(options), run_{options.engine} {}

  Result<QuantResult> run(const SampleSource& calibration, const SampleSource& holdout) {
    MNN_RETURN_IF_ERROR(verify(graph_));
    const bool import = !options_.import_scheme.empty();
    if (calibration.count == 0 && !import) return usage_error("there is no calibration sample");
    std::vector<OutputSlice> by_hand;
    for (const std::string& text : options_.output_slices) {
      MNN_ASSIGN_OR_RETURN(OutputSlice slice, parse_slice(graph_, text));
      by_hand.push_back(std::move(slice));
    }
    for (const std::string& spec : options_.metrics)
      MNN_RETURN_IF_ERROR(make_metric(graph_, spec).status());
    const Split split = split_samples(calibration, holdout);
    if (plan_quantization(graph_).layers.empty()) {
      return unsupported("no Conv, Gemm or MatMul with float operands to quantize");
    }
    MNN_RETURN_IF_ERROR(check_data(split, calibration.count, import));
    report_.scheme = options_.scheme;
    report_.calibration_samples = import ? 0 : split.calibration.size();
    report_.holdout_samples = split.holdout.size();
    report_.holdout_note = split.note;
    if (split.holdout.size() > 0) {
      MNN_ASSIGN_OR_RETURN(const auto float_session, open_for_quant(graph_, run_));
      MNN_ASSIGN_OR_RETURN(reference_, run_all(*float_session, split.holdout));
      MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, split.holdout.load(0));
      MNN_ASSIGN_OR_RETURN(const Graph bound, bound_to(graph_, sample));
      MNN_ASSIGN_OR_RETURN(judged_, judged_slices(bound, reference_, by_hand));
    }
    if (import) {
      MNN_ASSIGN_OR_RETURN(solution_, read_scheme(graph_, options_.import_scheme));
    } else {
      MNN_ASSIGN_OR_RETURN(
          SearchResult found,
          search_recipe({graph_, split.calibration, split.holdout, reference_, judged_, options_}));
      solution_ = std::move(found.best);
      report_.candidates = std::move(found.candidates);
      for (const KeptFloat& kept : found.kept_float) report_.warnings.push_back(reason_of(kept));
      if (solution_.calibration) {
        for (std::string& fault : check_tensors(solution_.graph, *solution_.calibration))
          add_fault(std::move(fault));
      }
    }
    QuantResult result;
    MNN_RETURN_IF_ERROR(promote(split.holdout));
    report_.method = solution_.recipe;
    result.scheme_json = scheme_json(graph_, solution_, options_.scheme, options_.calibration_json);
    MNN_RETURN_IF_ERROR(finish(split.holdout, result));
    return result;
  }

 private:
  void add_fault(std::string fault) {
    report_.warnings.push_back(fault);
    report_.data_faults.push_back(std::move(fault));
  }

  // What the samples alone tell.
  Status check_data(const Split& split, size_t given, bool import) {
    if (split.holdout.size() == 0) return {};
    if (!import && given < kFewSamples) {
      add_fault("only " + std::to_string(given) + (given == 1 ? " sample" : " samples") +
                ": fewer than " + std::to_string(kFewSamples) +
                " say little about what the model will meet");
    }
    if (split.measures_calibration && !import) {
      add_fault(
          "the result is measured on the samples it was calibrated with: none was held back "
          "(--holdout, or 4 samples and more)");
    }
    MNN_ASSIGN_OR_RETURN(std::vector<std::string> faults,
                         check_samples(import ? split.holdout : split.calibration, split.holdout));
    for (std::string& fault : faults) add_fault(std::move(fault));
    return {};
  }

  // Where the goal is missed: layers go to float until it is reached.
  Status promote(const SampleSet& holdout) {
    if (!options_.reached || holdout.size() == 0) return {};
    const auto reached = [&](const Graph& graph) -> Result<bool> {
      QuantReport trial;
      MNN_RETURN_IF_ERROR(measure(graph, holdout, trial));
      return options_.reached(graph, trial);
    };
    const Graph all = annotate(solution_.graph, solution_.plan, solution_.decisions);
    MNN_ASSIGN_OR_RETURN(const bool enough, reached(all));
    if (enough) return {};
    const auto part = [&](const std::string& phase, int64_t done, int64_t total) {
      if (options_.progress) options_.progress("before promotions: " + phase, done, total);
    };
    MNN_ASSIGN_OR_RETURN(const std::vector<LayerError> layers, layer_errors(holdout, part));
    double macs = 0;
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, holdout.load(0));
    MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> of_nodes, node_macs(graph_, sample));
    for (const int64_t m : of_nodes) macs += static_cast<double>(m);
    MNN_ASSIGN_OR_RETURN(
        PromotionResult found,
        promote_layers({solution_, layers, macs, reached, [&](int64_t done, int64_t total) {
                          if (options_.progress) options_.progress("promotions", done, total);
                        }}));
    report_.promotions = std::move(found.told);
    if (!report_.promotions.reached) {
      report_.warnings.push_back(
          "the goal is out of reach with half of the MACs in float; nothing was promoted");
      return {};
    }
    const QuantPlan before = solution_.plan;
    std::tie(solution_.plan, solution_.decisions) =
        without(solution_.graph, solution_.plan, solution_.decisions, std::move(found.nodes),
                std::move(found.values));
    if (solution_.calibration)
      solution_.calibration = restricted(*solution_.calibration, before, solution_.plan);
    solution_.recipe += ", " + std::to_string(report_.promotions.layers.size()) + " promoted";
    // That is the recipe now.
    QuantReport trial;
    MNN_RETURN_IF_ERROR(
        measure(annotate(solution_.graph, solution_.plan, solution_.decisions), holdout, trial));
    for (TriedRecipe& tried : report_.candidates) tried.chosen = false;
    report_.candidates.push_back(
        {solution_.recipe, trial.samples.mean_snr_db(), trial.samples.worst_snr_db(), true});
    return {};
  }

  Result<std::vector<LayerError>> layer_errors(
      const SampleSet& holdout,
      const std::function<void(const std::string&, int64_t, int64_t)>& progress) {
    return report_layers({solution_.graph, solution_.plan, solution_.decisions, reference_, judged_,
                          holdout, run_, progress,
                          solution_.calibration ? &*solution_.calibration : nullptr});
  }

  Status finish(const SampleSet& holdout, QuantResult& result) {
    result.graph = annotate(solution_.graph, solution_.plan, solution_.decisions);
    if (holdout.size() > 0) {
      MNN_RETURN_IF_ERROR(measure_result(result.graph, holdout));
    } else {
      report_.warnings.push_back("without samples nothing was measured");
    }
    result.report = std::move(report_);
    return {};
  }

  Status measure_result(const Graph& graph, const SampleSet& holdout) {
    MNN_RETURN_IF_ERROR(measure(graph, holdout, report_));
    const std::vector<char> touched = touched_values(graph);
    for (size_t o = 0; o < report_.outputs.size(); ++o) {
      if (report_.outputs[o].whole.constant && touched[static_cast<size_t>(graph.outputs[o])])
        add_fault("output " + report_.outputs[o].name +
                  " is the same on all held-back samples: its error says nothing");
    }
    MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(graph, run_));
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, holdout.load(0));
    // Samples may differ in shape: the first is the one to count by.
    std::vector<std::vector<int64_t>> dims;
    for (const Tensor& t : sample) dims.push_back(t.dims());
    MNN_RETURN_IF_ERROR(session->prepare(dims));
    report_.macs = session->macs().all;
    report_.int8_mac_share = session->int8_mac_share();
    MNN_ASSIGN_OR_RETURN(const Graph bound, bound_to(graph, sample));
    report_.islands = float_islands(bound);
    for (const FloatIsland& island : report_.islands) {
      if (island.mac_share >= kNotableMacShare) report_.warnings.push_back(warning_of(island));
    }
    if (!options_.layer_report) return {};
    MNN_ASSIGN_OR_RETURN(report_.layers, layer_errors(holdout, options_.progress));
    for (const LayerError& layer : report_.layers) {
      if (layer.isolated.failed || layer.accumulated.failed || layer.contribution.failed) {
        report_.warnings.push_back("layer " + layer.name + ": NaN, infinity or nothing compared");
      }
    }
    return {};
  }

  // Everything about the outputs on the held-back samples.
  Status measure(const Graph& graph, const SampleSet& holdout, QuantReport& report) const {
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
    report.argmax_agreement = argmax_agreement(graph_, reference_, outputs);
    for (const std::string& spec : options_.metrics) {
      MNN_ASSIGN_OR_RETURN(const auto metric, make_metric(graph_, spec));
      for (size_t s = 0; s < outputs.size(); ++s) {
        const Status status = metric->add(reference_[s], outputs[s]);
        if (!status.ok()) return status.context("--metric " + spec);
      }
      report.metrics.push_back({spec, metric->value()});
    }
    return {};
  }

  Status measure_outputs(const std::vector<std::vector<Tensor>>& outputs,
                         QuantReport& report) const {
    MNN_ASSIGN_OR_RETURN(const auto whole, output_errors(reference_, outputs));
    MNN_ASSIGN_OR_RETURN(const auto parts, slice_errors(judged_, reference_, outputs));
    for (size_t o = 0; o < whole.size(); ++o) {
      OutputError e{graph_.value(graph_.outputs[o]).name, metrics_of(whole[o]), {}};
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

  const Graph& graph_;
  const QuantOptions& options_;
  RunOptions run_;
  Solution solution_;
  QuantReport report_;
  std::vector<std::vector<Tensor>> reference_;  // float outputs of the held-back samples
  JudgedSlices judged_;
};

// The samples as the graph takes them whose border was widened.
SampleSource in_f32(const SampleSource& source, const HalfBorder& border) {
  SampleSource wide = source;
  wide.load = [load = source.load, types = border.inputs](size_t i) -> Result<std::vector<Tensor>> {
    MNN_ASSIGN_OR_RETURN(std::vector<Tensor> sample, load(i));
    for (size_t k = 0; k < std::min(sample.size(), types.size()); ++k) {
      if (types[k] == DType::kUndefined) continue;
      MNN_ASSIGN_OR_RETURN(sample[k], convert_floats(sample[k], DType::kF32));
    }
    return sample;
  };
  return wide;
}

}  // namespace

SliceError OutputError::worst() const {
  if (slices.empty()) return {name, whole};
  return *std::min_element(slices.begin(), slices.end(), [](const auto& a, const auto& b) {
    if (a.metrics.failed != b.metrics.failed) return a.metrics.failed;
    return a.metrics.snr_db < b.metrics.snr_db;
  });
}

std::vector<std::pair<std::string, double>> quantize_stages(const QuantOptions& options) {
  std::vector<std::pair<std::string, double>> stages;
  if (options.import_scheme.empty())
    stages = {
        {"ranges", 3}, {"histograms", 5}, {"choosing a recipe", 40}, {"float between layers", 5}};
  if (options.reached) stages.emplace_back("promotions", 40);
  if (options.layer_report) {
    stages.emplace_back("layer errors", 10);
    stages.emplace_back("contributions", 30);
    stages.emplace_back("remedies", 7);
  }
  return stages;
}

Result<QuantResult> quantize(const Graph& graph, const SampleSource& calibration,
                             const SampleSource& holdout, const QuantOptions& options) {
  if (options.scheme != "int8") return usage_error("scheme " + options.scheme + ": expected int8");
  QuantOptions own = options;
  if (own.engine == nullptr) {
    EngineOptions engine;
    engine.threads = options.threads;
    if (!options.isa.empty()) engine.backend_options["cpu"]["isa"] = options.isa;
    MNN_ASSIGN_OR_RETURN(own.engine, Engine::create(engine));
  }
  // A model of 16-bit floats is quantized as the f32 model it computes as.
  const HalfStorage storage = half_storage(graph);
  Graph wide = graph;
  MNN_RETURN_IF_ERROR(widen(wide));
  const HalfBorder border = widen_border(wide);
  QuantOptions inner = own;
  if (options.reached) {
    inner.reached = [&](const Graph& quantized, const QuantReport& report) {
      Graph narrow = quantized;
      narrow_border(narrow, border);
      return options.reached(narrow, report);
    };
  }
  MNN_ASSIGN_OR_RETURN(
      QuantResult result,
      Quantizer(wide, inner).run(in_f32(calibration, border), in_f32(holdout, border)));
  narrow_border(result.graph, border);
  MNN_RETURN_IF_ERROR(restore_half(result.graph, storage).status());
  QuantReport& report = result.report;
  report.bytes_before = constant_bytes(graph);
  report.bytes_after = constant_bytes(result.graph);
  report.float_constants = float_constants(result.graph);
  if (const std::string why = why_large(report); !why.empty()) report.warnings.push_back(why);
  return result;
}

}  // namespace mnn
