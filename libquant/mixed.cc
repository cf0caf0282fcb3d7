#include "libquant/mixed.h"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>

#include "libquant/bias.h"
#include "libquant/calibrate/data_check.h"
#include "libquant/judge.h"
#include "libquant/layer_rules.h"
#include "libquant/measure/time.h"
#include "libquant/report/islands.h"
#include "libquant/report/layer_report.h"
#include "libquant/report/output_errors.h"
#include "libquant/search/evaluations.h"
#include "libquant/search/mix_told.h"
#include "libquant/search/search.h"
#include "libquant/weight_only.h"
#include "libquant/weights/activation_bits.h"
#include "libruntime/core/half.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"
#include "libruntime/engine.h"

namespace mnn {
namespace {

constexpr size_t kSensitivitySamples = 4, kLayerSamples = 8;
constexpr double kLeastHalfSnrDb = 50;

// What gets one scheme: the layers that read a weight, a product of two computed matrices, or a
// value between layers.
struct Part {
  std::string name;
  std::vector<NodeId> nodes;  // that read the weight, or the product; the first names it
  std::vector<NodeId> int8;   // those of them that the plan has
  ValueId between = kNoValue;
  ValueId weight = kNoValue;
  std::map<std::string, GroupCodes> codes;  // by scheme
  std::vector<ErrorMetrics> errors;         // per option, all else in float
};

class MixedQuantizer {
 public:
  MixedQuantizer(const Graph& graph, const QuantOptions& options)
      : graph_(graph), options_(options), run_{options.engine} {}

  Result<QuantResult> run(const SampleSource& calibration, const SampleSource& holdout) {
    MNN_RETURN_IF_ERROR(check(calibration));
    MNN_ASSIGN_OR_RETURN(by_hand_, schemes_by_hand(graph_, options_));
    split_ = split_samples(calibration, holdout);
    const bool measured = split_.holdout.size() > 0;
    report_.scheme = options_.scheme;
    report_.calibration_samples = split_.calibration.size();
    if (measured)
      MNN_RETURN_IF_ERROR(
          report_samples(split_, calibration.count, calibration.count > 0, report_));
    MNN_ASSIGN_OR_RETURN(judge_, Judge::create(graph_, split_.holdout, options_, run_));
    MNN_RETURN_IF_ERROR(find_int8());
    MNN_RETURN_IF_ERROR(find_parts());
    MNN_RETURN_IF_ERROR(find_codes());
    MNN_RETURN_IF_ERROR(list_options());
    if (measured) MNN_RETURN_IF_ERROR(measure_parts());
    Mix mix(parts_.size(), 0);
    if (searched()) {
      MNN_ASSIGN_OR_RETURN(mix, search());
    }
    report_.method = counts_of(mix_parts_, told_parts(), mix);
    QuantResult result;
    MNN_ASSIGN_OR_RETURN(result.graph, build_corrected(mix));
    if (measured) {
      MNN_RETURN_IF_ERROR(judge_.measure_result(result.graph, split_.holdout, report_));
      MNN_RETURN_IF_ERROR(measure_macs(result.graph, split_.holdout, run_, report_));
      MNN_RETURN_IF_ERROR(report_layers(mix, result.graph));
    } else {
      report_.warnings.push_back("without samples nothing was measured");
    }
    remove_dead(result.graph);
    if (options_.evaluations) MNN_RETURN_IF_ERROR(options_.evaluations->flush());
    result.report = std::move(report_);
    return result;
  }

 private:
  bool searched() const { return options_.scheme == "mixed"; }
  bool limits_bytes() const { return options_.max_bytes || options_.max_int8_ratio; }
  void progress(const std::string& stage, size_t done, size_t total) const {
    if (options_.progress)
      options_.progress(stage, static_cast<int64_t>(done), static_cast<int64_t>(total));
  }

  Status check(const SampleSource& calibration) const {
    MNN_RETURN_IF_ERROR(verify(graph_));
    MNN_RETURN_IF_ERROR(check_judging(graph_, options_));
    if (!options_.import_scheme.empty())
      return usage_error("scheme files are of int8 alone, not of a choice by layer");
    const bool bytes =
        searched() || options_.scheme == "int8" ||
        std::ranges::any_of(options_.layers, [](const auto& r) { return r.scheme == "int8"; });
    if (bytes && calibration.count == 0) return usage_error("there is no calibration sample");
    if (searched() && !options_.reached && !limits_bytes() && !options_.max_ms) {
      return usage_error(
          "--scheme mixed needs a target: --max-size, --max-latency or an accuracy threshold");
    }
    return {};
  }

  std::string scheme_of(NodeId node) const {
    const auto it = by_hand_.find(&graph_.node(node));
    return it == by_hand_.end() ? "" : it->second;
  }

  // The best all-int8 network without the layers that may not be int8.
  Status find_int8() {
    std::set<NodeId> others;
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const auto id = static_cast<NodeId>(n);
      const std::string scheme = scheme_of(id);
      const bool weights_alone = !searched() && options_.scheme != "int8";
      if (scheme.empty() ? weights_alone : scheme != "int8") others.insert(id);
    }
    base_.graph = graph_;
    base_.plan = plan_quantization(graph_, others);
    if (base_.plan.layers.empty()) return {};
    MNN_ASSIGN_OR_RETURN(SearchResult found,
                         search_recipe({graph_, split_.calibration, split_.holdout,
                                        judge_.reference(), judge_.judged(), options_, others}));
    base_ = std::move(found.best);
    report_.candidates = std::move(found.candidates);
    for (const KeptFloat& kept : found.kept_float) report_.warnings.push_back(reason_of(kept));
    for (std::string& fault : check_tensors(base_.graph, *base_.calibration))
      add_fault(report_, std::move(fault));
    MNN_ASSIGN_OR_RETURN(alone_, with_biases_alone(base_.graph, base_.plan, base_.decisions,
                                                   sensitivity_samples(), run_));
    const auto& bias = base_.decisions.bias;
    if (std::ranges::none_of(bias, [](const Tensor& b) { return b.defined(); })) return {};
    MNN_ASSIGN_OR_RETURN(means_, layer_means(base_.graph, base_.plan, correction_samples(), run_));
    for (size_t i = 0; i < bias.size(); ++i) {
      if (!bias[i].defined()) means_[i].clear();
    }
    return {};
  }

  SampleSet sensitivity_samples() const {
    return spread(split_.calibration.size() > 0 ? split_.calibration : split_.holdout,
                  kSensitivitySamples);
  }

  SampleSet correction_samples() const { return spread(split_.calibration, kCorrectionSamples); }

  Status find_parts() {
    MNN_ASSIGN_OR_RETURN(coded_[8], code(8));
    const Graph& g = base_.graph;
    std::map<const std::byte*, size_t> of_weight;
    for (const CodedWeight& t : coded_[8]) {
      const std::byte* data = g.value(t.weight).data.raw();
      of_weight.emplace(data, parts_.size());
      Part& part = parts_.emplace_back();
      part.weight = t.weight;
      for (size_t n = 0; n < g.nodes.size(); ++n) {
        const Node& node = g.nodes[n];
        for (size_t i = 0; i < node.own_inputs(); ++i) {
          if (node.inputs[i] == kNoValue || !is_weight(g.value(node.inputs[i]))) continue;
          if (g.value(node.inputs[i]).data.raw() != data) continue;
          part.nodes.push_back(static_cast<NodeId>(n));
          break;
        }
      }
    }
    for (const QuantLayer& layer : base_.plan.layers) {
      auto it = of_weight.end();
      if (layer.has_weight()) it = of_weight.find(g.value(layer.weight).data.raw());
      if (it == of_weight.end()) {
        parts_.push_back({});
        parts_.back().nodes = {layer.node};
        parts_.back().int8 = {layer.node};
      } else {
        parts_[it->second].int8.push_back(layer.node);
      }
    }
    for (const ValueId v : base_.plan.between) {
      Part& part = parts_.emplace_back();
      part.between = v;
      part.nodes = {index_uses(g).producer[static_cast<size_t>(v)]};
    }
    for (Part& p : parts_) {
      const NodeId first = p.nodes[0];
      p.name = (p.between == kNoValue ? "" : "output of ") + display_name(g, g.node(first));
    }
    if (!parts_.empty()) return {};
    return unsupported("no layer with products or weights to quantize");
  }

  Result<std::vector<CodedWeight>> code(int bits) const {
    return code_weights(base_.graph, split_.calibration, options_, bits);
  }

  // The schemes a part may have: one by hand, the model's, or what the search may choose.
  std::vector<std::string> wanted(const Part& part) const {
    for (const NodeId n : part.nodes) {
      if (const std::string s = scheme_of(n); !s.empty() && part.between == kNoValue) return {s};
    }
    if (!searched()) return {options_.scheme};
    // Fewer bits than that are for who must save bytes.
    if (!limits_bytes()) return {"int8", "w8", "w4", "f16", "float"};
    return {"int8", "w8", "w6", "w4", "w3", "w2", "f16", "float"};
  }

  Status find_codes() {
    std::set<std::string> all;
    for (const Part& part : parts_) {
      for (const std::string& scheme : wanted(part)) all.insert(scheme);
    }
    for (const std::string& scheme : all) {
      if (scheme == "int8" || scheme == "float" || scheme == "f16") continue;
      MNN_ASSIGN_OR_RETURN(const int bits, weight_only_bits(scheme));
      progress("weights", coded_.size(), all.size());
      if (bits != 8) {
        MNN_ASSIGN_OR_RETURN(coded_[bits], code(bits));
      }
    }
    for (Part& part : parts_) {
      if (part.weight == kNoValue) continue;
      for (auto& [bits, codes] : coded_) {
        const auto it = std::ranges::find(codes, part.weight, &CodedWeight::weight);
        if (it != codes.end()) part.codes.emplace("w" + std::to_string(bits), it->codes);
      }
      const Tensor& w = base_.graph.value(part.weight).data;
      MNN_ASSIGN_OR_RETURN(const Tensor half, convert_floats(w, DType::kF16));
      ErrorSums error;
      MNN_RETURN_IF_ERROR(error.add(w, half));
      if (error.not_finite > 0 || metrics_of(error).snr_db < kLeastHalfSnrDb) continue;
      GroupCodes codes = half_codes(half);
      codes.error = error;
      part.codes.emplace("f16", std::move(codes));
    }
    return {};
  }

  bool can_be(const Part& part, const std::string& scheme) const {
    if (scheme == "float") return true;
    if (scheme == "int8") return part.between != kNoValue || !part.int8.empty();
    return part.codes.contains(scheme);
  }

  Status list_options() {
    for (const Part& part : parts_) {
      MixPart& mix = mix_parts_.emplace_back();
      mix.name = part.name;
      for (const std::string& scheme : wanted(part)) {
        if (can_be(part, scheme)) mix.options.push_back({scheme, 0, 0, 0});
      }
      if (mix.options.empty()) mix.options.push_back({"float", 0, 0, 0});
    }
    return {};
  }

  const std::string& scheme(const Mix& mix, size_t p) const {
    return mix_parts_[p].options[static_cast<size_t>(mix[p])].scheme;
  }

  std::vector<std::string> schemes_of(const Mix& mix) const {
    std::vector<std::string> schemes;
    for (size_t p = 0; p < mix.size(); ++p) schemes.push_back(scheme(mix, p));
    return schemes;
  }

  // With the biases that the layers that are still int8 need behind what the others are now: those
  // of the all-int8 network hold what layers in front shifted that no longer do.
  Result<Graph> build_corrected(const Mix& mix) const {
    std::vector<std::string> schemes = schemes_of(mix);
    auto [coded, plan, decisions] = decide(schemes, base_.decisions);
    if (!means_.empty() && plan.layers.size() < base_.plan.layers.size()) {
      LayerMeans means;
      for (const QuantLayer& layer : plan.layers) {
        const auto at = std::ranges::find(base_.plan.layers, layer.node, &QuantLayer::node);
        means.push_back(means_[static_cast<size_t>(at - base_.plan.layers.begin())]);
      }
      decisions.bias.assign(plan.layers.size(), Tensor());
      MNN_RETURN_IF_ERROR(
          correct_biases(coded, plan, decisions, correction_samples(), means, run_, nullptr));
    }
    return finish(std::move(coded), plan, decisions);
  }

  // The network with codes but not yet int8, and what is left to be int8 of it.
  std::tuple<Graph, QuantPlan, QuantDecisions> decide(const std::vector<std::string>& schemes,
                                                      const QuantDecisions& decisions) const {
    Graph g = base_.graph;
    std::set<NodeId> nodes;
    std::set<ValueId> values;
    for (size_t p = 0; p < parts_.size(); ++p) {
      const Part& part = parts_[p];
      if (schemes[p] == "int8") continue;
      nodes.insert(part.int8.begin(), part.int8.end());
      if (part.between != kNoValue) values.insert(part.between);
      if (schemes[p] != "float")
        put_codes(g, base_.graph.value(part.weight).data, part.codes.at(schemes[p]));
    }
    auto [plan, rest] =
        without(base_.graph, base_.plan, decisions, std::move(nodes), std::move(values));
    return {std::move(g), std::move(plan), std::move(rest)};
  }

  // With what nothing reads any more.
  Graph finish(Graph coded, const QuantPlan& plan, const QuantDecisions& decisions) const {
    Graph annotated = annotate_in_place(coded, plan, decisions);
    if (options_.int8_activations) set_activation_bits(annotated);
    return annotated;
  }
  Graph build(const std::vector<std::string>& schemes, const QuantDecisions& decisions) const {
    auto [coded, plan, rest] = decide(schemes, decisions);
    return finish(std::move(coded), plan, rest);
  }

  // Sizes, errors and times of every option of every part.
  Status measure_parts() {
    if (!searched() && !options_.layer_report) return {};
    const SampleSet samples = sensitivity_samples();
    MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(base_.graph, run_));
    MNN_ASSIGN_OR_RETURN(reference_, run_all(*session, samples));
    MNN_ASSIGN_OR_RETURN(first_sample_, split_.holdout.load(0));
    MNN_ASSIGN_OR_RETURN(macs_, node_macs(base_.graph, first_sample_));
    if (options_.max_ms) MNN_RETURN_IF_ERROR(time_options());
    const std::vector<std::string> in_float(parts_.size(), "float");
    const int64_t float_bytes = constant_bytes(without_dead(build(in_float, alone_)));
    for (size_t p = 0; p < parts_.size(); ++p) {
      progress("sensitivities", p, parts_.size());
      for (MixOption& option : mix_parts_[p].options) {
        std::vector<std::string> schemes = in_float;
        schemes[p] = option.scheme;
        const auto measure = [&]() -> Result<std::vector<double>> {
          Graph alone = without_dead(build(schemes, alone_));
          const auto bytes = static_cast<double>(constant_bytes(alone) - float_bytes);
          MNN_ASSIGN_OR_RETURN(const ErrorMetrics error, error_of(std::move(alone), samples));
          std::vector<double> numbers = numbers_of(error);
          numbers.push_back(bytes);
          return numbers;
        };
        MNN_ASSIGN_OR_RETURN(const std::vector<double> numbers,
                             get_evaluation(options_.evaluations.get(),
                                            "part " + std::to_string(p) + " " + parts_[p].name +
                                                " as " + option.scheme,
                                            kMetricNumbers + 1, measure));
        const ErrorMetrics error = metrics_from(numbers);
        parts_[p].errors.push_back(error);
        // What fails is never chosen.
        option.noise = option.scheme == "float" ? 0 : error.failed ? 1e9 : noise_of(error.snr_db);
        option.bytes = numbers.back();
        if (options_.max_ms) continue;
        for (const NodeId n : parts_[p].nodes) {
          if (parts_[p].between != kNoValue) break;
          const bool bytes = option.scheme == "int8" && std::ranges::count(parts_[p].int8, n) > 0;
          option.time +=
              static_cast<double>(macs_[static_cast<size_t>(n)]) * (bytes ? 1 : kFloatTime);
        }
      }
    }
    return {};
  }

  static Graph without_dead(Graph graph) {
    remove_dead(graph);
    return graph;
  }

  Result<ErrorMetrics> error_of(Graph graph, const SampleSet& samples) const {
    MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(std::move(graph), run_));
    MNN_ASSIGN_OR_RETURN(const auto outputs, run_all(*session, samples));
    std::vector<std::vector<ErrorSums>> errors;
    for (size_t s = 0; s < outputs.size(); ++s) {
      MNN_ASSIGN_OR_RETURN(auto one, slice_errors(judge_.judged(), reference_[s], outputs[s]));
      errors.push_back(std::move(one));
    }
    return contribution_of(errors);
  }

  // Every part as `scheme` as far as it can be, else as it is nearest to float.
  Mix uniform(const std::string& scheme) const {
    Mix mix;
    for (const MixPart& part : mix_parts_) {
      size_t at = 0;
      for (size_t o = 0; o < part.options.size(); ++o) {
        if (part.options[o].scheme == "float" || part.options[o].scheme == scheme) at = o;
        if (part.options[o].scheme == scheme) break;
      }
      mix.push_back(static_cast<int>(at));
    }
    return mix;
  }

  // ms of each part in each scheme, from profiles of networks that are of one scheme throughout.
  Status time_options() {
    std::set<std::string> schemes;
    for (const MixPart& part : mix_parts_) {
      for (const MixOption& o : part.options) schemes.insert(o.scheme);
    }
    for (const std::string& name : schemes) {
      const Mix mix = uniform(name);
      const auto measure = [&]() -> Result<std::vector<double>> {
        MNN_ASSIGN_OR_RETURN(
            const auto ms,
            layer_ms(without_dead(build(schemes_of(mix), base_.decisions)), first_sample_, run_));
        std::vector<double> of_parts;
        for (const Part& part : parts_) {
          double sum = 0;
          for (const NodeId n : part.nodes) {
            const auto it = ms.find(display_name(base_.graph, base_.graph.node(n)));
            if (it != ms.end() && part.between == kNoValue) sum += it->second;
          }
          of_parts.push_back(sum);
        }
        return of_parts;
      };
      MNN_ASSIGN_OR_RETURN(const std::vector<double> of_parts,
                           get_evaluation(options_.evaluations.get(), "times of layers as " + name,
                                          parts_.size(), measure));
      for (size_t p = 0; p < parts_.size(); ++p) {
        for (MixOption& o : mix_parts_[p].options) {
          if (o.scheme == name) o.time = of_parts[p];
        }
      }
    }
    return {};
  }

  Result<Mix> search() {
    MixSearch search(mix_parts_);
    search.goal = options_.reached != nullptr;
    search.most_bytes = options_.max_bytes;
    search.most_time = options_.max_ms;
    search.first = {uniform("int8"), uniform("w8")};
    const auto sum = [&](double MixOption::*what) {
      double all = 0;
      for (size_t p = 0; p < mix_parts_.size(); ++p) {
        all += mix_parts_[p].options[static_cast<size_t>(search.first[0][p])].*what;
      }
      return std::max(all, 1e-9);
    };
    search.time_price = 1 / sum(&MixOption::time);
    search.measure = [&](const Mix& mix) { return measure(mix); };
    search.progress = [&](int64_t done, int64_t total) {
      if (options_.progress) options_.progress("mixing", done, total);
    };
    MNN_ASSIGN_OR_RETURN(start_, measure(search.first[0]));
    search.byte_price = 1 / std::max(start_->bytes, 1.0);
    if (options_.max_int8_ratio) {
      if (base_.plan.layers.empty()) return unsupported("a size in int8: no layer can be int8");
      search.most_bytes = std::min(search.most_bytes.value_or(std::numeric_limits<double>::max()),
                                   *options_.max_int8_ratio * start_->bytes);
    }
    MNN_ASSIGN_OR_RETURN(const MixResult found, search_mix(search));
    tell_mix(mix_parts_, told_parts(), search, found, *start_, report_);
    return found.mix;
  }

  Result<MixTrial> measure(const Mix& mix) const {
    const auto make = [&]() -> Result<std::vector<double>> {
      MNN_ASSIGN_OR_RETURN(Graph made, build_corrected(mix));
      const Graph graph = without_dead(std::move(made));
      MNN_ASSIGN_OR_RETURN(const MixTrial t,
                           judge_.try_mix(graph, split_.holdout, start_ ? &*start_ : nullptr));
      double ms = 0;
      int64_t bytes = constant_bytes(graph);
      if (options_.max_ms) {
        MNN_ASSIGN_OR_RETURN(ms, median_ms(graph, first_sample_, run_.engine));
      }
      if (options_.file_bytes) {
        MNN_ASSIGN_OR_RETURN(bytes, options_.file_bytes(graph));
      }
      return std::vector<double>{t.score,
                                 t.mean_snr_db,
                                 t.worst_snr_db,
                                 t.goal.reached ? 1.0 : 0.0,
                                 t.goal.with_margin ? 1.0 : 0.0,
                                 t.goal.margin_db,
                                 static_cast<double>(bytes),
                                 ms,
                                 t.pooled_snr_db};
    };
    std::string name = "mix";
    for (size_t p = 0; p < mix.size(); ++p) name += (p == 0 ? " " : ",") + scheme(mix, p);
    MNN_ASSIGN_OR_RETURN(const std::vector<double> n,
                         get_evaluation(options_.evaluations.get(), name, 9, make));
    MixTrial t;
    t.score = n[0];
    t.mean_snr_db = n[1];
    t.worst_snr_db = n[2];
    t.goal = {n[3] != 0, n[4] != 0, n[5]};
    t.bytes = n[6];
    t.time = n[7];
    t.pooled_snr_db = n[8];
    if (options_.max_ms) return t;
    for (size_t p = 0; p < mix.size(); ++p)
      t.time += mix_parts_[p].options[static_cast<size_t>(mix[p])].time;
    return t;
  }

  std::vector<ToldPart> told_parts() const {
    std::vector<ToldPart> told;
    for (const Part& part : parts_)
      told.push_back({part.between == kNoValue, part.errors.empty() ? 0 : part.errors[0].snr_db});
    return told;
  }

  Status report_layers(const Mix& mix, const Graph& made) {
    if (!options_.layer_report) return {};
    std::vector<LayerError> layers;
    for (size_t p = 0; p < parts_.size(); ++p) {
      const Part& part = parts_[p];
      const Node& node = base_.graph.node(part.nodes[0]);
      LayerError e;
      e.node = part.nodes[0];
      e.name = part.name;
      e.origin = node.origin;
      e.op = node.op;
      for (const FusedOp& f : node.fused) e.op += "+" + f.op;
      e.scheme = scheme(mix, p);
      e.int8 = e.scheme == "int8" && part.between == kNoValue;
      e.contribution = part.errors[static_cast<size_t>(mix[p])];
      e.weight_snr_db = kExactSnrDb;
      if (part.between == kNoValue) {
        for (const NodeId n : part.nodes) e.macs += macs_[static_cast<size_t>(n)];
      }
      tell_weights(part, e);
      layers.push_back(std::move(e));
    }
    MNN_RETURN_IF_ERROR(measure_layer_outputs(
        base_.graph, made, first_of(split_.holdout, kLayerSamples), run_, layers,
        [&](size_t done) { progress("layer errors", done, layers.size()); }));
    std::ranges::stable_sort(layers, [](const LayerError& a, const LayerError& b) {
      return a.contribution.snr_db < b.contribution.snr_db;
    });
    for (LayerError& e : layers)
      e.amplified = e.isolated.snr_db >= 30.0 && e.contribution.snr_db < 20.0;
    report_.layers = std::move(layers);
    return {};
  }

  void tell_weights(const Part& part, LayerError& e) const {
    if (part.weight != kNoValue) {
      e.weight_bytes_before = base_.graph.value(part.weight).data.elements() * 4;
      e.weight_bytes_after = e.weight_bytes_before;
    }
    if (const auto it = part.codes.find(e.scheme); it != part.codes.end()) {
      e.weight_bytes_after = it->second.stored.bytes() + encoding_bytes(it->second.params);
      e.weight_snr_db = metrics_of(it->second.error).snr_db;
    }
    for (size_t i = 0; e.int8 && i < base_.plan.layers.size(); ++i) {
      const QuantizedWeights& w = base_.decisions.weights[i];
      if (base_.plan.layers[i].node != part.int8[0] || !w.stored.defined()) continue;
      e.weight_snr_db = w.snr_db;
      e.weight_bytes_before = w.stored.elements() * 4;
      e.weight_bytes_after = w.stored.bytes() + encoding_bytes(w.params);
    }
  }

  const Graph& graph_;
  const QuantOptions& options_;
  RunOptions run_;
  SampleSplit split_;
  Judge judge_;
  QuantReport report_;
  std::map<const Node*, std::string> by_hand_;
  Solution base_;                                  // all that can be int8 is
  LayerMeans means_;                               // where biases are corrected, else empty
  QuantDecisions alone_;                           // for parts that are the only ones quantized
  std::map<int, std::vector<CodedWeight>> coded_;  // by bits
  std::vector<Part> parts_;
  std::vector<MixPart> mix_parts_;  // in step with them
  std::optional<MixTrial> start_;   // all in int8
  std::vector<std::vector<Tensor>> reference_;
  std::vector<Tensor> first_sample_;
  std::vector<int64_t> macs_;
};

}  // namespace

Result<QuantResult> quantize_mixed(const Graph& graph, const SampleSource& calibration,
                                   const SampleSource& holdout, const QuantOptions& options) {
  return MixedQuantizer(graph, options).run(calibration, holdout);
}

}  // namespace mnn
