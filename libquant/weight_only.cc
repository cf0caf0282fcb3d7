#include "libquant/weight_only.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "libquant/judge.h"
#include "libquant/layer_rules.h"
#include "libquant/report/output_errors.h"
#include "libquant/search/promote.h"
#include "libquant/weights/activation_bits.h"
#include "libquant/weights/gptq.h"
#include "libquant/weights/low_rank.h"
#include "libruntime/core/op.h"
#include "libruntime/core/quant.h"
#include "libruntime/engine.h"

namespace mnn {
namespace {

constexpr size_t kObservedSamples = 16;  // that tell which inputs count
constexpr size_t kGramSamples = 32;
constexpr int64_t kMostInputs = 8192;               // of a layer that gets GPTQ
constexpr int64_t kGramBytes = int64_t{512} << 20;  // held at once
constexpr size_t kLayerSamples = 8, kContributionSamples = 3;
constexpr double kMostFloatBytes = 0.5;  // of the weights, for a goal

class WeightQuantizer {
 public:
  WeightQuantizer(const Graph& graph, const QuantOptions& options, int bits)
      : graph_(graph), options_(options), run_{options.engine} {
    format_.bits = bits;
    format_.group = options.group_size.value_or(bits == 8 ? 0 : 32);
    format_.symmetric = options.symmetric.value_or(bits == 8);
  }

  Result<QuantResult> run(const SampleSource& calibration, const SampleSource& holdout) {
    MNN_RETURN_IF_ERROR(verify(graph_));
    MNN_RETURN_IF_ERROR(check_judging(graph_, options_));
    MNN_RETURN_IF_ERROR(find_targets());
    const bool measured = calibration.count + holdout.count > 0;
    const SampleSplit split = split_samples(calibration, holdout);
    QuantReport& report = result_.report;
    report.scheme = options_.scheme;
    report.calibration_samples = split.calibration.size();
    if (measured)
      MNN_RETURN_IF_ERROR(report_samples(split, calibration.count, calibration.count > 0, report));
    MNN_ASSIGN_OR_RETURN(judge_, Judge::create(graph_, split.holdout, options_, run_));
    MNN_RETURN_IF_ERROR(look_at_inputs(first_of(split.calibration, kObservedSamples)));
    MNN_RETURN_IF_ERROR(encode_with_inputs(first_of(split.calibration, kGramSamples)));
    result_.graph = graph_;
    MNN_RETURN_IF_ERROR(encode(result_.graph, true));
    set_activations(result_.graph);
    report.method = method();
    if (!measured) {
      MNN_ASSIGN_OR_RETURN(result_.graph, with_terms(std::move(result_.graph)));
      report.warnings.push_back("without samples nothing was measured");
      return std::move(result_);
    }
    if (options_.layer_report || options_.reached) {
      MNN_RETURN_IF_ERROR(measure_layers(split.holdout));
      MNN_RETURN_IF_ERROR(promote(split.holdout));
    }
    MNN_ASSIGN_OR_RETURN(result_.graph, with_terms(std::move(result_.graph)));
    MNN_RETURN_IF_ERROR(judge_.measure_result(result_.graph, split.holdout, report));
    return std::move(result_);
  }

  Result<std::vector<CodedWeight>> code(const SampleSet& calibration) {
    find_in(graph_, true);
    MNN_RETURN_IF_ERROR(look_at_inputs(first_of(calibration, kObservedSamples)));
    MNN_RETURN_IF_ERROR(encode_with_inputs(first_of(calibration, kGramSamples)));
    Graph graph = graph_;
    MNN_RETURN_IF_ERROR(encode(graph, true));
    return std::move(targets_);
  }

 private:
  bool fast() const { return options_.level == QuantOptions::Level::kFast; }
  void progress(const char* stage, size_t done, size_t total) const {
    if (options_.progress)
      options_.progress(stage, static_cast<int64_t>(done), static_cast<int64_t>(total));
  }

  std::string method() const {
    std::string text = fast()         ? "rounded"
                       : gptq_ > 0    ? "GPTQ"
                       : inputs_seen_ ? "searched, weighed"
                                      : "searched";
    text += format_.group > 0 ? ", groups of " + std::to_string(format_.group) : ", per channel";
    if (format_.symmetric) text += ", symmetric";
    if (!terms_.empty()) text += ", products of rank " + std::to_string(options_.low_rank);
    return text + (options_.int8_activations ? ", int8 activations" : "");
  }

  void set_activations(Graph& graph) const {
    if (options_.int8_activations) set_activation_bits(graph);
  }

  void find_in(const Graph& graph, bool main) {
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      const Node& node = graph.nodes[n];
      for (const Graph& g : node.subgraphs) find_in(g, false);
      const bool kept = float_.contains(&node);
      for (size_t i = 0; i < node.own_inputs(); ++i) {
        if (node.inputs[i] == kNoValue || !is_weight(graph.value(node.inputs[i]))) continue;
        const auto role = weight_role(graph, node, i);
        if (!role) continue;
        const std::byte* data = graph.value(node.inputs[i]).data.raw();
        if (kept) kept_.insert(data);
        if (!roles_.emplace(data, *role).second || !main) continue;
        targets_.push_back({node.inputs[i], static_cast<NodeId>(n), *role, {}});
      }
    }
  }

  Status find_targets() {
    MNN_ASSIGN_OR_RETURN(const auto by_hand, schemes_by_hand(graph_, options_));
    for (const auto& [node, scheme] : by_hand) float_.insert(node);
    find_in(graph_, true);
    std::erase_if(targets_, [&](const CodedWeight& t) {
      return kept_.contains(graph_.value(t.weight).data.raw());
    });
    for (const std::byte* data : kept_) roles_.erase(data);
    if (!roles_.empty()) return {};
    return unsupported("no weights of " + std::to_string(kLeastWeights) +
                       " elements or more to quantize");
  }

  Status look_at_inputs(const SampleSet& samples) {
    if (samples.size() == 0 || fast()) return {};
    std::map<ValueId, size_t> at;
    std::vector<ValueId> values;
    std::vector<int> axes;
    for (const CodedWeight& t : targets_) {
      const ValueId v = input_of(t);
      if (v == kNoValue || !at.emplace(v, values.size()).second) continue;
      values.push_back(v);
      axes.push_back(t.role.input_axis);
    }
    std::vector<MeanSquare> seen(values.size());
    MNN_RETURN_IF_ERROR(observe(
        graph_, values, samples, run_,
        [&](size_t value, size_t, const Tensor& tensor) -> Status {
          seen[value].add(tensor, axes[value]);
          return {};
        },
        [&](int64_t done, int64_t total) {
          progress("activations", static_cast<size_t>(done), static_cast<size_t>(total));
        }));
    for (const CodedWeight& t : targets_) {
      const auto it = at.find(input_of(t));
      if (it == at.end() || axes[it->second] != t.role.input_axis) continue;
      const Tensor& w = graph_.value(t.weight).data;
      importance_[w.raw()] =
          seen[it->second].importance(w.dims()[static_cast<size_t>(t.role.axis)]);
      inputs_seen_ = true;
    }
    return {};
  }

  GroupFormat format_of(const Tensor& weights, const WeightRole& role) const {
    GroupFormat format = format_;
    format.axis = role.axis;
    format.channel_axis = role.channel_axis;
    // A short axis has no groups: depthwise filters, the first convolution.
    if (weights.dims()[static_cast<size_t>(format.axis)] < 16) format.group = 0;
    return format;
  }

  // What the layer reads beside its weights; kNoValue where that says nothing of them.
  ValueId input_of(const CodedWeight& t) const {
    if (t.role.input < 0) return kNoValue;
    const ValueId v = graph_.node(t.node).inputs[static_cast<size_t>(t.role.input)];
    if (v == kNoValue || graph_.value(v).kind == ValueKind::kConstant ||
        graph_.value(v).type.dtype != DType::kF32) {
      return kNoValue;
    }
    return v;
  }

  bool best() const { return options_.level == QuantOptions::Level::kBest; }

  // Whether a product of low rank can be added to what the layer computes.
  bool takes_terms(const CodedWeight& t) const {
    const Node& node = graph_.node(t.node);
    const Tensor& w = graph_.value(t.weight).data;
    if (options_.low_rank == 0 || (node.op != "MatMul" && node.op != "Gemm") || w.rank() != 2 ||
        node.inputs[1] != t.weight) {
      return false;
    }
    return node.op == "MatMul" || AttributeReader(node, *find_op(node.op)).attr_int("transA") == 0;
  }

  // Codes and, where they are asked for, what makes up for them, in turns: each time the codes are
  // those of what the product leaves. The best of the turns is kept.
  Result<GroupCodes> code_with_terms(const CodedWeight& t, const Gram* gram) {
    constexpr int kTurns = 3;
    const Tensor& weights = graph_.value(t.weight).data;
    const GroupFormat format = format_of(weights, t.role);
    ThreadPool& pool = options_.engine->pool();
    const auto encode_one = [&](const Tensor& w) -> Result<GroupCodes> {
      MNN_ASSIGN_OR_RETURN(GroupCodes searched,
                           encode_groups(w, format, fast() ? GroupFit::kRound : GroupFit::kSearch,
                                         importance_[weights.raw()], pool));
      if (!best() || gram == nullptr) return searched;
      MNN_ASSIGN_OR_RETURN(GroupCodes made, encode_gptq(w, format, *gram, pool));
      MNN_ASSIGN_OR_RETURN(const double a, output_error(w, format, made, *gram, pool));
      MNN_ASSIGN_OR_RETURN(const double b, output_error(w, format, searched, *gram, pool));
      gptq_ += a < b;
      return a < b ? made : searched;
    };
    MNN_ASSIGN_OR_RETURN(GroupCodes codes, encode_one(weights));
    if (!takes_terms(t)) return codes;
    std::optional<double> least;
    GroupCodes kept = codes;
    LowRank terms;
    for (int turn = 0; turn < kTurns; ++turn) {
      MNN_ASSIGN_OR_RETURN(
          LowRank found, low_rank_of_error(weights, format, codes, gram, options_.low_rank, pool));
      MNN_ASSIGN_OR_RETURN(const Tensor rest, without_low_rank(weights, format, found));
      ErrorSums sums;
      double error = 0;
      if (gram != nullptr) {
        MNN_ASSIGN_OR_RETURN(error, output_error(rest, format, codes, *gram, pool));
      } else {
        MNN_ASSIGN_OR_RETURN(const Tensor back, dequantize_tensor(codes.stored, codes.params));
        MNN_RETURN_IF_ERROR(sums.add(rest, back));
        error = sums.error_squared;
      }
      if (!least || error < *least) {
        least = error;
        kept = codes;
        terms = found;
      }
      if (turn + 1 == kTurns) break;
      MNN_ASSIGN_OR_RETURN(codes, encode_one(rest));
    }
    terms_.emplace(weights.raw(), std::move(terms));
    return kept;
  }

  // The graph with those products, for the layers whose weights are codes.
  Result<Graph> with_terms(Graph graph) const {
    const size_t count = graph.nodes.size();
    for (const CodedWeight& t : targets_) {
      const auto terms = terms_.find(graph_.value(t.weight).data.raw());
      if (terms == terms_.end() || !graph.value(t.weight).quant) continue;
      for (size_t n = 0; n < count; ++n) {
        // All layers that read the matrix the same way.
        const CodedWeight reader{t.weight, static_cast<NodeId>(n), t.role, {}};
        if (graph.nodes[n].inputs.size() > 1 && graph.nodes[n].inputs[1] == t.weight &&
            takes_terms(reader)) {
          MNN_RETURN_IF_ERROR(add_low_rank(graph, static_cast<NodeId>(n), terms->second));
        }
      }
    }
    if (graph.nodes.size() == count) return graph;
    MNN_RETURN_IF_ERROR(sort_nodes(graph));
    MNN_RETURN_IF_ERROR(infer_types(graph));
    return graph;
  }

  // Layers that are products with a matrix, by what their inputs are like: with GPTQ, or with
  // products that make up for the codes.
  Status encode_with_inputs(const SampleSet& samples) {
    if (!best() && options_.low_rank == 0) return {};
    if (samples.size() == 0) {
      if (!best()) return {};
      return usage_error("--level best looks at calibration samples: expected --calibration");
    }
    std::map<std::pair<ValueId, int>, std::vector<size_t>> by_input;  // input and its axis
    for (size_t i = 0; i < targets_.size(); ++i) {
      const Tensor& w = graph_.value(targets_[i].weight).data;
      const WeightRole& role = targets_[i].role;
      if (input_of(targets_[i]) == kNoValue || !is_matrix(w.dims(), format_of(w, role)) ||
          w.dims()[static_cast<size_t>(role.axis)] > kMostInputs) {
        continue;
      }
      by_input[{input_of(targets_[i]), role.input_axis}].push_back(i);
    }
    std::vector<std::pair<ValueId, int>> portion;
    int64_t bytes = 0;
    size_t done = 0;
    for (const auto& [input, targets] : by_input) {
      const int64_t n = graph_.value(targets_[targets[0]].weight)
                            .data.dims()[static_cast<size_t>(targets_[targets[0]].role.axis)];
      if (!portion.empty() && bytes + n * n * 8 > kGramBytes) {
        MNN_RETURN_IF_ERROR(encode_portion(portion, by_input, samples, done));
        portion.clear();
        bytes = 0;
      }
      portion.push_back(input);
      bytes += n * n * 8;
    }
    return encode_portion(portion, by_input, samples, done);
  }

  Status encode_portion(const std::vector<std::pair<ValueId, int>>& inputs,
                        const std::map<std::pair<ValueId, int>, std::vector<size_t>>& by_input,
                        const SampleSet& samples, size_t& done) {
    ThreadPool& pool = options_.engine->pool();
    std::vector<ValueId> values;
    std::vector<Gram> grams;
    for (const auto& [value, axis] : inputs) {
      const CodedWeight& t = targets_[by_input.at({value, axis})[0]];
      values.push_back(value);
      grams.emplace_back(graph_.value(t.weight).data.dims()[static_cast<size_t>(t.role.axis)]);
    }
    MNN_RETURN_IF_ERROR(observe(
        graph_, values, samples, run_,
        [&](size_t v, size_t, const Tensor& t) -> Status {
          grams[v].add(t, inputs[v].second, pool);
          return {};
        },
        nullptr));
    for (size_t v = 0; v < values.size(); ++v) {
      if (grams[v].empty()) continue;
      for (const size_t i : by_input.at(inputs[v])) {
        progress("weights", done++, targets_.size());
        const Value& weight = graph_.value(targets_[i].weight);
        const auto named = [&](const Status& s) {
          return s.context("constant '" + weight.name + "'");
        };
        if (codes_.contains(weight.data.raw())) continue;
        auto codes = code_with_terms(targets_[i], &grams[v]);
        if (!codes.ok()) return named(codes.status());
        codes_.emplace(weight.data.raw(), std::move(codes).value());
      }
    }
    return {};
  }

  // Puts codes in the place of every weight; those of one tensor are made once.
  Status encode(Graph& graph, bool main) {
    for (size_t v = 0; v < graph.values.size(); ++v) {
      Value& value = graph.values[v];
      if (!is_weight(value)) continue;
      const auto role = roles_.find(value.data.raw());
      if (role == roles_.end()) continue;
      auto made = codes_.find(value.data.raw());
      if (made == codes_.end()) {
        progress("weights", codes_.size(), roles_.size());
        const auto target = std::ranges::find_if(targets_, [&](const CodedWeight& t) {
          return graph_.value(t.weight).data.raw() == value.data.raw();
        });
        auto codes = main && target != targets_.end()
                         ? code_with_terms(*target, nullptr)
                         : encode_groups(value.data, format_of(value.data, role->second),
                                         fast() ? GroupFit::kRound : GroupFit::kSearch,
                                         importance_[value.data.raw()], options_.engine->pool());
        if (!codes.ok()) return codes.status().context("constant '" + value.name + "'");
        // The float bytes stay with graph_, so that their address tells them apart.
        made = codes_.emplace(value.data.raw(), std::move(codes).value()).first;
      }
      value.data = made->second.stored;
      value.quant = made->second.params;
    }
    for (CodedWeight& t : targets_) {
      if (main) t.codes = codes_.at(graph_.value(t.weight).data.raw());
    }
    for (Node& node : graph.nodes) {
      for (Graph& g : node.subgraphs) MNN_RETURN_IF_ERROR(encode(g, false));
    }
    return {};
  }

  Status measure_layers(const SampleSet& holdout) {
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, holdout.load(0));
    MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> macs, node_macs(graph_, sample));
    std::vector<LayerError> layers;
    for (const CodedWeight& t : targets_) {
      const Node& node = graph_.node(t.node);
      LayerError e;
      e.node = t.node;
      e.name = display_name(graph_, node);
      e.origin = node.origin;
      e.op = node.op;
      for (const FusedOp& f : node.fused) e.op += "+" + f.op;
      e.scheme = options_.scheme;
      e.macs = macs[static_cast<size_t>(t.node)];
      e.weight_bytes_before = t.codes.stored.elements() * 4;
      e.weight_bytes_after = t.codes.stored.bytes() + encoding_bytes(t.codes.params);
      if (const auto terms = terms_.find(graph_.value(t.weight).data.raw()); terms != terms_.end())
        e.weight_bytes_after += 2 * std::ssize(terms->second.a) + 2 * std::ssize(terms->second.b);
      e.weight_snr_db = metrics_of(t.codes.error).snr_db;
      layers.push_back(std::move(e));
    }
    for (const int64_t m : macs) result_.report.macs += static_cast<double>(m);
    const SampleSet some = first_of(holdout, kLayerSamples);
    MNN_RETURN_IF_ERROR(
        measure_layer_outputs(graph_, result_.graph, some, run_, layers,
                              [&](size_t done) { progress("layer errors", done, layers.size()); }));
    MNN_RETURN_IF_ERROR(contributions(first_of(holdout, kContributionSamples), layers));
    // Rows and targets go together until here.
    order_.resize(layers.size());
    for (size_t i = 0; i < order_.size(); ++i) order_[i] = i;
    std::ranges::stable_sort(order_, [&](size_t a, size_t b) {
      return layers[a].contribution.snr_db < layers[b].contribution.snr_db;
    });
    for (const size_t i : order_) result_.report.layers.push_back(layers[i]);
    return {};
  }

  // The network with the codes of one layer alone.
  Status contributions(const SampleSet& samples, std::vector<LayerError>& layers) {
    std::vector<std::vector<Tensor>> reference(
        judge_.reference().begin(), judge_.reference().begin() + static_cast<long>(samples.size()));
    for (size_t i = 0; i < layers.size(); ++i) {
      progress("contributions", i, layers.size());
      Graph alone = graph_;
      put_codes(alone, graph_.value(targets_[i].weight).data, targets_[i].codes);
      set_activations(alone);
      MNN_ASSIGN_OR_RETURN(alone, with_terms(std::move(alone)));
      MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(std::move(alone), run_));
      MNN_ASSIGN_OR_RETURN(const auto outputs, run_all(*session, samples));
      MNN_ASSIGN_OR_RETURN(const auto errors, slice_errors(judge_.judged(), reference, outputs));
      MNN_ASSIGN_OR_RETURN(const std::vector<double> snrs,
                           sample_snrs_db(judge_.judged(), reference, outputs));
      layers[i].contribution = metrics_of(merged(errors));
      // Free of units, as recipes are chosen.
      if (!layers[i].contribution.failed) layers[i].contribution.snr_db = mean_of(snrs);
    }
    return {};
  }

  // Layers back to float, those that cost most first, until the goal is reached.
  Status promote(const SampleSet& holdout) {
    if (!options_.reached) return {};
    MNN_ASSIGN_OR_RETURN(const Graph all, with_terms(result_.graph));
    MNN_ASSIGN_OR_RETURN(const MixTrial before, judge_.try_mix(all, holdout, nullptr));
    if (before.goal.with_margin) return {};
    PromotionSearch search;
    for (const size_t i : order_) {
      const auto elements = static_cast<double>(targets_[i].codes.stored.elements());
      const LayerError& e = result_.report.layers[search.layers.size()];
      search.layers.push_back({e.name, noise_of(e.contribution.snr_db), elements});
      search.most_cost += kMostFloatBytes * elements;
    }
    const auto promoted = [&](const auto& some) {
      Graph graph = result_.graph;
      for (const size_t k : some) {
        const CodedWeight& t = targets_[order_[k]];
        for (Value& value : graph.values) {
          if (!value.quant || value.data.raw() != t.codes.stored.raw()) continue;
          value.data = graph_.value(t.weight).data;
          value.quant.reset();
        }
      }
      set_activations(graph);
      return graph;
    };
    search.measure = [&](const std::set<size_t>& some) -> Result<MixTrial> {
      MNN_ASSIGN_OR_RETURN(const Graph graph, with_terms(promoted(some)));
      return judge_.try_mix(graph, holdout, &before);
    };
    search.progress = [&](int64_t done, int64_t total) {
      progress("promotions", static_cast<size_t>(done), static_cast<size_t>(total));
    };
    MNN_ASSIGN_OR_RETURN(const PromotionResult found, promote_layers(search));
    // Nothing was to be had for the margin, and the plain goal needs nothing.
    if (found.reached && found.promoted.empty()) return {};
    Promotions& told = result_.report.promotions;
    told.tried = true;
    told.reached = found.reached;
    told.margin_db = found.margin_db;
    if (!found.reached) {
      result_.report.warnings.push_back(
          "the goal is out of reach with half of the weights in float; nothing was promoted");
      return {};
    }
    double float_macs = 0;
    for (const size_t k : found.promoted) {
      told.layers.push_back(result_.report.layers[k].name);
      float_macs += static_cast<double>(result_.report.layers[k].macs);
    }
    told.mac_share = result_.report.macs > 0 ? float_macs / result_.report.macs : 0;
    result_.report.method += ", " + std::to_string(told.layers.size()) + " promoted";
    result_.graph = promoted(found.promoted);
    for (LayerError& e : result_.report.layers) {
      if (std::ranges::find(told.layers, e.name) != told.layers.end())
        e.weight_bytes_after = e.weight_bytes_before;
    }
    return {};
  }

  const Graph& graph_;
  const QuantOptions& options_;
  RunOptions run_;
  GroupFormat format_;
  Judge judge_;
  QuantResult result_;
  std::vector<CodedWeight> targets_;
  std::vector<size_t> order_;  // of targets_, the one that costs most first
  // By the float bytes: what is to be encoded, what counts, what was made.
  std::map<const std::byte*, WeightRole> roles_;
  std::map<const std::byte*, std::vector<float>> importance_;
  std::map<const std::byte*, GroupCodes> codes_;
  std::map<const std::byte*, LowRank> terms_;  // what makes up for them
  std::set<const std::byte*> kept_;
  std::set<const Node*> float_;  // layers that stay
  bool inputs_seen_ = false;
  int gptq_ = 0;  // weights that it was better for
};

}  // namespace

void put_codes(Graph& graph, const Tensor& weight, const GroupCodes& codes) {
  const std::byte* data = weight.raw();
  for (Value& value : graph.values) {
    if (value.kind != ValueKind::kConstant || value.quant || value.data.raw() != data) continue;
    value.data = codes.stored;
    value.quant = codes.params;
  }
}

Result<std::vector<CodedWeight>> code_weights(const Graph& graph, const SampleSet& calibration,
                                              const QuantOptions& options, int bits) {
  return WeightQuantizer(graph, options, bits).code(calibration);
}

Result<int> weight_only_bits(const std::string& scheme) {
  for (const int bits : {8, 6, 4, 3, 2}) {
    if (scheme == "w" + std::to_string(bits)) return bits;
  }
  if (scheme == "int8" || scheme == "mixed") return 0;
  return usage_error("scheme " + scheme + ": expected int8, w8, w6, w4, w3, w2 or mixed");
}

Result<QuantResult> quantize_weights_only(const Graph& graph, const SampleSource& calibration,
                                          const SampleSource& holdout,
                                          const QuantOptions& options) {
  MNN_ASSIGN_OR_RETURN(const int bits, weight_only_bits(options.scheme));
  if (!options.import_scheme.empty())
    return usage_error("scheme files are of int8; " + options.scheme + " has none");
  return WeightQuantizer(graph, options, bits).run(calibration, holdout);
}

}  // namespace mnn
