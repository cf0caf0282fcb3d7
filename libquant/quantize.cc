// Post-training quantization: plan, search, measure.
#include "libquant/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <tuple>

#include "libquant/attention.h"
#include "libquant/calibrate/data_check.h"
#include "libquant/judge.h"
#include "libquant/layer_rules.h"
#include "libquant/measure/time.h"
#include "libquant/mixed.h"
#include "libquant/report/islands.h"
#include "libquant/report/layer_facts.h"
#include "libquant/report/layer_report.h"
#include "libquant/report/scheme.h"
#include "libquant/search/promote.h"
#include "libquant/search/search.h"
#include "libquant/weight_only.h"
#include "libruntime/core/half.h"
#include "libruntime/core/quant.h"
#include "libruntime/report/format.h"

namespace mnn {
namespace {

// A model that shrinks less says why, unless there is nothing in it.
constexpr double kLeastShrink = 2;
constexpr int64_t kNotableBytes = 4096;
constexpr size_t kConstantsNamed = 3;
constexpr double kMostFloatMacs = 0.5;  // that promotions may take

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

Result<QuantOptions> with_engine(const QuantOptions& options) {
  QuantOptions own = options;
  if (own.engine != nullptr) return own;
  EngineOptions engine;
  engine.threads = options.threads;
  if (!options.isa.empty()) engine.backend_options["cpu"]["isa"] = options.isa;
  MNN_ASSIGN_OR_RETURN(own.engine, Engine::create(engine));
  return own;
}

// Layers that --keep-float names.
Result<std::set<NodeId>> float_by_hand(const Graph& graph, const QuantOptions& options) {
  MNN_ASSIGN_OR_RETURN(const auto by_hand, schemes_by_hand(graph, options));
  std::set<NodeId> nodes;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    if (by_hand.contains(&graph.nodes[n])) nodes.insert(static_cast<NodeId>(n));
  }
  return nodes;
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
    MNN_RETURN_IF_ERROR(check_judging(graph_, options_));
    const SampleSplit split = split_samples(calibration, holdout);
    MNN_ASSIGN_OR_RETURN(const std::set<NodeId> float_nodes, float_by_hand(graph_, options_));
    if (plan_quantization(graph_, float_nodes).layers.empty()) {
      return unsupported("no Conv, Gemm or MatMul with float operands to quantize");
    }
    report_.scheme = options_.scheme;
    report_.calibration_samples = import ? 0 : split.calibration.size();
    MNN_RETURN_IF_ERROR(report_samples(split, calibration.count, !import, report_));
    MNN_ASSIGN_OR_RETURN(judge_, Judge::create(graph_, split.holdout, options_, run_));
    if (import) {
      MNN_ASSIGN_OR_RETURN(solution_, read_scheme(graph_, options_.import_scheme));
    } else {
      MNN_ASSIGN_OR_RETURN(
          SearchResult found,
          search_recipe({graph_, split.calibration, split.holdout, judge_.reference(),
                         judge_.judged(), options_, float_nodes}));
      solution_ = std::move(found.best);
      report_.candidates = std::move(found.candidates);
      for (const KeptFloat& kept : found.kept_float) report_.warnings.push_back(reason_of(kept));
      if (solution_.calibration) {
        for (std::string& fault : check_tensors(solution_.graph, *solution_.calibration))
          add_fault(report_, std::move(fault));
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
  // Where the goal is missed: layers go to float until it is reached.
  Status promote(const SampleSet& holdout) {
    if (!options_.reached || holdout.size() == 0) return {};
    MNN_ASSIGN_OR_RETURN(
        const MixTrial all,
        judge_.try_mix(annotate(solution_.graph, solution_.plan, solution_.decisions), holdout,
                       nullptr));
    if (all.goal.with_margin) return {};
    const auto part = [&](const std::string& phase, int64_t done, int64_t total) {
      if (options_.progress) options_.progress("before promotions: " + phase, done, total);
    };
    MNN_ASSIGN_OR_RETURN(const std::vector<LayerError> layers, layer_errors(holdout, part));
    double macs = 0;
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, holdout.load(0));
    MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> of_nodes, node_macs(graph_, sample));
    for (const int64_t m : of_nodes) macs += static_cast<double>(m);
    PromotionSearch search;
    std::vector<const LayerError*> rows;
    for (const LayerError& e : layers) {
      if (!std::isfinite(e.contribution.snr_db) || !is_promotable(e.node)) continue;
      rows.push_back(&e);
      search.layers.push_back(
          {e.name, noise_of(e.contribution.snr_db), static_cast<double>(e.macs) + 1});
    }
    search.most_cost = kMostFloatMacs * macs;
    const auto float_parts = [&](const auto& some) {
      std::pair<std::set<NodeId>, std::set<ValueId>> parts;
      for (const size_t i : some) {
        if (is_layer(rows[i]->node)) {
          parts.first.insert(rows[i]->node);
        } else {
          parts.second.insert(solution_.graph.node(rows[i]->node).outputs[0]);
        }
      }
      return parts;
    };
    search.measure = [&](const std::set<size_t>& promoted) {
      auto [nodes, values] = float_parts(promoted);
      const auto [plan, decisions] = without(solution_.graph, solution_.plan, solution_.decisions,
                                             std::move(nodes), std::move(values));
      return judge_.try_mix(annotate(solution_.graph, plan, decisions), holdout, &all);
    };
    search.progress = [&](int64_t done, int64_t total) {
      if (options_.progress) options_.progress("promotions", done, total);
    };
    MNN_ASSIGN_OR_RETURN(const PromotionResult found, promote_layers(search));
    // Nothing was to be had for the margin, and the plain goal needs nothing.
    if (found.reached && found.promoted.empty()) return {};
    Promotions& told = report_.promotions;
    told.tried = true;
    told.reached = found.reached;
    told.margin_db = found.margin_db;
    if (!found.reached) {
      report_.warnings.push_back(
          "the goal is out of reach with half of the MACs in float; nothing was promoted");
      return {};
    }
    for (const size_t i : found.promoted) {
      told.layers.push_back(rows[i]->name);
      if (macs > 0) told.mac_share += static_cast<double>(rows[i]->macs) / macs;
    }
    told.time = 1 + (kFloatTime - 1) * told.mac_share;
    auto [nodes, values] = float_parts(found.promoted);
    const QuantPlan before = solution_.plan;
    std::tie(solution_.plan, solution_.decisions) = without(
        solution_.graph, solution_.plan, solution_.decisions, std::move(nodes), std::move(values));
    if (solution_.calibration)
      solution_.calibration = restricted(*solution_.calibration, before, solution_.plan);
    solution_.recipe += ", " + std::to_string(report_.promotions.layers.size()) + " promoted";
    // That is the recipe now.
    QuantReport trial;
    MNN_RETURN_IF_ERROR(judge_.measure(
        annotate(solution_.graph, solution_.plan, solution_.decisions), holdout, trial));
    for (TriedRecipe& tried : report_.candidates) tried.chosen = false;
    report_.candidates.push_back(
        {solution_.recipe, trial.samples.mean_snr_db(), trial.samples.worst_snr_db(), true});
    return {};
  }

  bool is_layer(NodeId node) const {
    return std::ranges::any_of(solution_.plan.layers,
                               [&](const QuantLayer& l) { return l.node == node; });
  }
  // A layer, or what makes a value between layers.
  bool is_promotable(NodeId node) const {
    return is_layer(node) || std::ranges::binary_search(solution_.plan.between,
                                                        solution_.graph.node(node).outputs[0]);
  }

  Result<std::vector<LayerError>> layer_errors(
      const SampleSet& holdout,
      const std::function<void(const std::string&, int64_t, int64_t)>& progress,
      Fixes* fixes = nullptr) {
    return report_layers({solution_.graph, solution_.plan, solution_.decisions, judge_.reference(),
                          judge_.judged(), holdout, run_, progress,
                          solution_.calibration ? &*solution_.calibration : nullptr,
                          options_.try_fixes, fixes});
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
    MNN_RETURN_IF_ERROR(judge_.measure_result(graph, holdout, report_));
    MNN_RETURN_IF_ERROR(measure_macs(graph, holdout, run_, report_));
    if (!options_.layer_report) return {};
    MNN_ASSIGN_OR_RETURN(report_.layers, layer_errors(holdout, options_.progress, &report_.fixes));
    for (const LayerError& layer : report_.layers) {
      if (layer.isolated.failed || layer.accumulated.failed || layer.contribution.failed) {
        report_.warnings.push_back("layer " + layer.name + ": NaN, infinity or nothing compared");
      }
    }
    return {};
  }

  const Graph& graph_;
  const QuantOptions& options_;
  RunOptions run_;
  Solution solution_;
  QuantReport report_;
  Judge judge_;
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
  if (options.scheme == "mixed") {
    return {{"ranges", 3},         {"histograms", 5}, {"choosing a recipe", 40}, {"weights", 10},
            {"sensitivities", 40}, {"mixing", 40},    {"layer errors", 5}};
  }
  if (options.scheme != "int8") {
    stages = {{"activations", 5}, {"weights", 60}};
    if (options.layer_report || options.reached) {
      stages.emplace_back("layer errors", 10);
      stages.emplace_back("contributions", 20);
    }
    if (options.reached) stages.emplace_back("promotions", 20);
    return stages;
  }
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

Result<CalibrationStats> collect_stats(const Graph& graph, const SampleSource& samples,
                                       const QuantOptions& options) {
  MNN_ASSIGN_OR_RETURN(const QuantOptions own, with_engine(options));
  Graph wide = graph;
  MNN_RETURN_IF_ERROR(widen(wide));
  MNN_RETURN_IF_ERROR(spell_out_attention(wide).status());
  const SampleSource source = in_f32(samples, widen_border(wide));
  MNN_RETURN_IF_ERROR(verify(wide));
  MNN_ASSIGN_OR_RETURN(const std::set<NodeId> float_nodes, float_by_hand(wide, own));
  const QuantPlan plan = plan_quantization(wide, float_nodes);
  if (plan.layers.empty())
    return unsupported("no Conv, Gemm or MatMul with float operands to quantize");
  SampleSet all{&source, {}};
  for (size_t i = 0; i < source.count; ++i) all.indices.push_back(i);
  if (own.stats) return collect_counts(wide, plan, all, own, *own.stats);
  return collect_ranges(wide, plan, all, own);
}

Result<QuantResult> quantize(const Graph& graph, const SampleSource& calibration,
                             const SampleSource& holdout, const QuantOptions& options) {
  MNN_ASSIGN_OR_RETURN(const int weight_bits, weight_only_bits(options.scheme));
  MNN_ASSIGN_OR_RETURN(const QuantOptions own, with_engine(options));
  // A model of 16-bit floats is quantized as the f32 model it computes as.
  const HalfStorage storage = half_storage(graph);
  Graph wide = graph;
  MNN_RETURN_IF_ERROR(widen(wide));
  MNN_RETURN_IF_ERROR(spell_out_attention(wide).status());
  const HalfBorder border = widen_border(wide);
  QuantOptions inner = own;
  if (options.reached) {
    inner.reached = [&](const Graph& quantized, const QuantReport& report) {
      Graph narrow = quantized;
      narrow_border(narrow, border);
      return options.reached(narrow, report);
    };
  }
  if (options.file_bytes) {
    inner.file_bytes = [&](const Graph& quantized) -> Result<int64_t> {
      Graph narrow = quantized;
      narrow_border(narrow, border);
      MNN_RETURN_IF_ERROR(restore_half(narrow, storage).status());
      return options.file_bytes(narrow);
    };
  }
  MNN_ASSIGN_OR_RETURN(
      QuantResult result,
      options.scheme == "mixed" || !options.layers.empty()
          ? quantize_mixed(wide, in_f32(calibration, border), in_f32(holdout, border), inner)
      : weight_bits > 0
          ? quantize_weights_only(wide, in_f32(calibration, border), in_f32(holdout, border), inner)
          : Quantizer(wide, inner).run(in_f32(calibration, border), in_f32(holdout, border)));
  QuantReport& report = result.report;
  const SampleSource& judged = holdout.count > 0 ? holdout : calibration;
  const SampleSource judged_f32 = in_f32(judged, border);
  SampleSet seen{&judged_f32, {}};
  for (size_t i = 0; i < judged.count; ++i) seen.indices.push_back(i);
  MNN_RETURN_IF_ERROR(add_layer_facts(wide, result.graph, seen, inner, report));
  narrow_border(result.graph, border);
  MNN_RETURN_IF_ERROR(restore_half(result.graph, storage).status());
  if (options.max_ms && !report.latency_ms && judged.count > 0) {
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, judged.load(0));
    MNN_ASSIGN_OR_RETURN(report.latency_ms, median_ms(result.graph, sample, own.engine));
  }
  report.bytes_before = constant_bytes(graph);
  report.bytes_after = constant_bytes(result.graph);
  report.float_constants = float_constants(result.graph);
  if (const std::string why = why_large(report); !why.empty()) report.warnings.push_back(why);
  return result;
}

}  // namespace mnn
