#include "libquant/search/search.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <tuple>

#include "libquant/bias.h"
#include "libquant/search/evaluations.h"

namespace mnn {
namespace {

// Samples whose activations are held at once for smoothing.
constexpr size_t kSmoothingSamples = 4;
// That a smoothed network is calibrated on.
constexpr size_t kSmoothedSamples = 64;
constexpr double kMargins[] = {1.0, 1.5};
constexpr int64_t kMostCandidates = 17;  // for the progress bar
// What the faster products of the overflow fix may cost at the outputs, and where they may cost
// anything: far above what any threshold asks for.
constexpr double kOverflowFixDb = 1.0;
constexpr double kPlentyDb = 40.0;
// Shares of the MACs at the beginning that do without it.
constexpr double kOverflowFixSkips[] = {0, 0.03, 0.15};
// Layers with less than this share of the MACs gain no time.
constexpr double kLeastFixedShare = 0.001;
// What bytes between layers, and products without weights, may cost at the output before some stay
// float.
constexpr double kMostLossDb = 0.5;

constexpr CalibrationMethod kMethods[] = {CalibrationMethod::kMinMax,
                                          CalibrationMethod::kPercentile, CalibrationMethod::kKl,
                                          CalibrationMethod::kMse};

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

// A float network to quantize: as it came, or smoothed.
struct Base {
  Graph graph;
  QuantPlan plan;
  Calibration calibration;
  std::vector<Smoothing> smoothings;
  // Made when first asked for.
  LayerMeans means;
  std::map<std::pair<WeightScale, bool>, std::vector<QuantizedWeights>> weights;
};

struct Recipe {
  CalibrationMethod method = CalibrationMethod::kMinMax;
  double margin = 0;  // of grids per channel; 0: none
  WeightScale weights = WeightScale::kAbsMax;
  bool overflow_fix = false;
};

// Everything about a candidate but the network it belongs to.
struct Candidate {
  Base* base = nullptr;
  Recipe recipe;
  QuantDecisions decisions;
  std::string name;
  bool corrected = false;  // has corrected biases
  double score = -std::numeric_limits<double>::infinity();
};

class RecipeSearch {
 public:
  explicit RecipeSearch(const SearchInput& in) : in_(in), run_{in.options.engine} {}

  Result<SearchResult> run() {
    const bool automatic = in_.options.method == CalibrationMethod::kAuto;
    plain_.graph = in_.graph;
    plain_.plan = plan_quantization(in_.graph, in_.float_nodes);
    MNN_RETURN_IF_ERROR(calibrate());
    if (automatic) {
      MNN_RETURN_IF_ERROR(try_everything());
    } else {
      std::optional<Candidate> c;
      MNN_RETURN_IF_ERROR(
          try_for(c, plain_, {in_.options.method, 0, in_.options.weight_scale, fix_}));
      MNN_RETURN_IF_ERROR(try_bias(c));
    }
    if (in_.options.overflow_fix == OverflowFix::kAuto) MNN_RETURN_IF_ERROR(try_overflow_fix());
    SearchResult result;
    MNN_RETURN_IF_ERROR(keep_costly_float(result));
    result.best.graph = best_.base->graph;
    result.best.smoothings = best_.base->smoothings;
    if (result.kept_float.empty()) {
      result.best.plan = best_.base->plan;
      result.best.calibration = std::move(best_.base->calibration);
      result.best.decisions = std::move(best_.decisions);
    }
    result.best.recipe = best_.name;
    result.candidates = std::move(candidates_);
    for (TriedRecipe& tried : result.candidates) tried.chosen = tried.name == best_.name;
    return result;
  }

 private:
  void progress(const std::string& phase, int64_t done, int64_t total) const {
    if (in_.options.progress) in_.options.progress(phase, done, total);
  }

  Status calibrate() {
    const bool counts = in_.options.method != CalibrationMethod::kMinMax;
    if (in_.options.stats) {
      const CalibrationStats& stats = *in_.options.stats;
      if (stats.samples != in_.calibration.size()) {
        return usage_error("the statistics are of " + std::to_string(stats.samples) +
                           " samples, the calibration has " +
                           std::to_string(in_.calibration.size()));
      }
      if (counts && !stats.counted)
        return usage_error("the statistics are ranges alone, which --method minmax needs");
      MNN_ASSIGN_OR_RETURN(plain_.calibration, calibration_of(plain_.graph, plain_.plan, stats));
      return {};
    }
    MNN_ASSIGN_OR_RETURN(plain_.calibration,
                         calibrate_ranges(plain_.graph, plain_.plan, in_.calibration, in_.options));
    if (!counts) return {};
    return add_histograms(plain_.graph, plain_.plan, in_.calibration, in_.options,
                          plain_.calibration);
  }

  Status try_everything() {
    const WeightScale weights = in_.options.weight_scale;
    std::optional<Candidate> tensor, channel, smooth;
    for (const CalibrationMethod m : kMethods)
      MNN_RETURN_IF_ERROR(try_for(tensor, plain_, {m, 0, weights, fix_}));
    MNN_RETURN_IF_ERROR(try_bias(tensor));
    const CalibrationMethod method = tensor->recipe.method;
    // Bias correction changes which recipe is best, so each has its turn with it.
    const bool depthwise = has_depthwise(plain_);
    for (const double margin : kMargins) {
      if (!depthwise) continue;
      std::optional<Candidate> one;
      MNN_RETURN_IF_ERROR(try_for(one, plain_, {method, margin, weights, fix_}));
      MNN_RETURN_IF_ERROR(try_bias(one));
      if (!channel || one->score > channel->score) channel = std::move(one);
    }
    MNN_RETURN_IF_ERROR(make_smoothed(method));
    if (!smoothed_.smoothings.empty()) {
      const double margin = channel ? channel->recipe.margin : 0;
      MNN_RETURN_IF_ERROR(try_for(smooth, smoothed_, {method, margin, weights, fix_}));
      MNN_RETURN_IF_ERROR(try_bias(smooth));
    }
    if (weights == WeightScale::kMse) return {};
    Recipe recipe = best_.recipe;
    recipe.weights = WeightScale::kMse;
    std::optional<Candidate> mse;
    MNN_RETURN_IF_ERROR(try_for(mse, *best_.base, recipe));
    return try_bias(mse);
  }

  // The best recipe once more with the fix, which is worth a little accuracy: on all layers with
  // something to gain, or without those at the beginning, whose errors go through the whole
  // network.
  Status try_overflow_fix() {
    const Candidate unfixed = best_;
    Base& base = *unfixed.base;
    Recipe recipe = unfixed.recipe;
    MNN_ASSIGN_OR_RETURN(const QuantDecisions plain, decide(base, recipe));
    recipe.overflow_fix = true;
    MNN_ASSIGN_OR_RETURN(const QuantDecisions fixed, decide(base, recipe));
    MNN_ASSIGN_OR_RETURN(const std::vector<Tensor> sample, in_.holdout.load(0));
    MNN_ASSIGN_OR_RETURN(const std::vector<int64_t> macs, node_macs(base.graph, sample));
    const auto all = static_cast<double>(std::accumulate(macs.begin(), macs.end(), int64_t{0}));
    size_t last = 0;  // layers fixed by the candidate before
    for (const double skipped : kOverflowFixSkips) {
      Candidate c = unfixed;
      c.decisions = plain;
      c.corrected = false;
      c.name = name_of(base, recipe);
      if (skipped > 0) {
        c.name += " (but the first " + std::to_string(std::lround(100 * skipped)) + " %)";
      }
      double before = 0;
      size_t changed = 0;
      for (size_t i = 0; i < fixed.weights.size(); ++i) {
        const auto own = static_cast<double>(macs[static_cast<size_t>(base.plan.layers[i].node)]);
        const bool early = before < skipped * all;
        before += own;
        if (early || own < kLeastFixedShare * all || same_levels(plain, fixed, i)) continue;
        c.decisions.weights[i] = fixed.weights[i];
        ++changed;
      }
      if (changed == 0 || changed == last) continue;
      last = changed;
      if (unfixed.corrected) MNN_RETURN_IF_ERROR(correct(c));
      MNN_RETURN_IF_ERROR(judge(c));
      best_ = unfixed;
      if (c.score < std::min(unfixed.score - kOverflowFixDb, kPlentyDb)) continue;
      best_ = std::move(c);
      break;
    }
    return {};
  }

  static bool same_levels(const QuantDecisions& a, const QuantDecisions& b, size_t layer) {
    const Tensor &x = a.weights[layer].stored, &y = b.weights[layer].stored;
    return x.bytes() == y.bytes() && std::equal(x.raw(), x.raw() + x.bytes(), y.raw());
  }

  static bool has_depthwise(const Base& base) {
    const auto& channels = base.calibration.channels;
    return std::any_of(channels.begin(), channels.end(),
                       [](const ChannelValue& c) { return c.depthwise; });
  }

  // For ranges by min-max or `best`.
  Status make_smoothed(CalibrationMethod best) {
    const Calibration& c = plain_.calibration;
    const SampleSet some = spread(in_.calibration, kSmoothingSamples);
    MNN_ASSIGN_OR_RETURN(
        smoothed_.smoothings,
        search_smoothing(
            {plain_.graph, plain_.plan, c.channels, c.stats, some, run_, in_.options.weight_scale,
             [&](int64_t done, int64_t total) { progress("smoothing", done, total); }}));
    if (smoothed_.smoothings.empty()) return {};
    smoothed_.graph = plain_.graph;
    size_t next = 0;
    for (const Smoothing& s : smoothed_.smoothings) {
      while (c.channels[next].value != s.value) ++next;
      apply_smoothing(smoothed_.graph, plain_.plan, c.channels[next], s);
    }
    smoothed_.plan = plan_quantization(smoothed_.graph, in_.float_nodes);
    // Statistics of others know nothing of this network: a bounded number of samples is run.
    const SampleSet seen = spread(in_.calibration, kSmoothedSamples);
    MNN_ASSIGN_OR_RETURN(smoothed_.calibration,
                         calibrate_ranges(smoothed_.graph, smoothed_.plan, seen, in_.options));
    if (best == CalibrationMethod::kMinMax) return {};
    return add_histograms(smoothed_.graph, smoothed_.plan, seen, in_.options,
                          smoothed_.calibration);
  }

  Result<QuantDecisions> decide(Base& base, const Recipe& recipe) {
    QuantDecisions d;
    for (const Histogram& h : base.calibration.histograms) {
      const RealRange r = choose_range(h, recipe.method);
      d.params.push_back(activation_params(r.low, r.high));
    }
    // The few great numbers of a Softmax are what it is about: never clipped.
    for (const Node& n : base.graph.nodes) {
      if (n.op != "Softmax" || !is_planned(base.plan, n.outputs[0])) continue;
      const size_t group = group_of(base.plan, n.outputs[0]);
      const RealRange r = range_minmax(base.calibration.histograms[group]);
      d.params[group] = activation_params(r.low, r.high);
    }
    for (size_t i = 0; recipe.margin > 0 && i < base.calibration.channels.size(); ++i) {
      const ChannelValue& c = base.calibration.channels[i];
      if (!c.depthwise) continue;
      const size_t group = group_of(base.plan, c.value);
      d.params[group] =
          channel_params(base.calibration.stats[i], static_cast<size_t>(c.channels),
                         range_minmax(base.calibration.histograms[group]), recipe.margin);
    }
    std::vector<QuantizedWeights>& weights = base.weights[{recipe.weights, recipe.overflow_fix}];
    const auto& layers = base.plan.layers;
    for (size_t i = weights.size(); i < layers.size(); ++i) {
      const QuantLayer& layer = layers[i];
      // Unrolled loops share their weights.
      const auto before = layers.begin() + static_cast<long>(i);
      const auto twin = std::find_if(layers.begin(), before, [&](const QuantLayer& l) {
        const std::string& op = base.graph.node(l.node).op;
        return l.has_weight() && l.weight == layer.weight && op != "Conv" &&
               op == base.graph.node(layer.node).op && l.weight_axis == layer.weight_axis;
      });
      if (twin != before) {
        weights.push_back(weights[static_cast<size_t>(twin - layers.begin())]);
        continue;
      }
      auto w = quantize_layer(base.graph, layer, recipe.weights, recipe.overflow_fix);
      if (!w.ok())
        return w.status().context("node " + display_name(base.graph, base.graph.node(layer.node)));
      weights.push_back(std::move(w).value());
    }
    d.weights = weights;
    d.bias.resize(base.plan.layers.size());
    return d;
  }

  static std::string name_of(const Base& base, const Recipe& recipe) {
    std::string name = method_name(recipe.method);
    if (recipe.margin > 0) name += recipe.margin > 1 ? " + channels (wide)" : " + channels";
    if (!base.smoothings.empty()) name += " + smoothing";
    if (recipe.weights == WeightScale::kMse) name += " + mse weights";
    if (recipe.overflow_fix) name += " + overflow fix";
    return name;
  }

  // Tries a recipe; the better one stays in `family`.
  Status try_for(std::optional<Candidate>& family, Base& base, const Recipe& recipe) {
    Candidate c;
    c.base = &base;
    c.recipe = recipe;
    c.name = name_of(base, recipe);
    MNN_ASSIGN_OR_RETURN(c.decisions, decide(base, recipe));
    MNN_RETURN_IF_ERROR(judge(c));
    if (!family || c.score > family->score) family = std::move(c);
    return {};
  }

  // The candidate becomes the better of itself and itself with corrected biases.
  Status try_bias(std::optional<Candidate>& candidate) {
    Candidate c = *candidate;
    MNN_RETURN_IF_ERROR(correct(c));
    MNN_RETURN_IF_ERROR(judge(c));
    if (c.score > candidate->score) candidate = std::move(c);
    return {};
  }

  Status correct(Candidate& c) {
    c.name += " + bias correction";
    c.corrected = true;
    const SampleSet some = spread(in_.calibration, kCorrectionSamples);
    Base& base = *c.base;
    if (base.means.empty()) {
      MNN_ASSIGN_OR_RETURN(base.means, layer_means(base.graph, base.plan, some, run_));
    }
    return correct_biases(
        base.graph, base.plan, c.decisions, some, base.means, run_,
        [&](int64_t done, int64_t total) { progress("bias correction", done, total); });
  }

  Status judge(Candidate& c) {
    progress("choosing a recipe", static_cast<int64_t>(candidates_.size()), kMostCandidates);
    MNN_ASSIGN_OR_RETURN(c.score,
                         score(c.name, annotate(c.base->graph, c.base->plan, c.decisions)));
    if (best_.base == nullptr || c.score > best_.score) best_ = c;
    return {};
  }

  // What is bytes without need: products of two computed matrices, and values between layers.
  // Bias correction cannot make up for them. Where they cost too much at the network's output,
  // those that cost most stay float: `result` gets the plan without them.
  Status keep_costly_float(SearchResult& result) {
    const Base& base = *best_.base;
    struct Part {
      NodeId product = -1;
      ValueId value = kNoValue;
      double cost = 0;
    };
    std::vector<Part> parts;
    for (const QuantLayer& layer : base.plan.layers) {
      if (!layer.has_weight()) parts.push_back({layer.node, kNoValue, 0});
    }
    for (const ValueId v : base.plan.between) parts.push_back({-1, v, 0});
    if (parts.empty()) return {};
    const auto plan_without = [&](std::span<const Part> some) {
      std::set<NodeId> nodes;
      std::set<ValueId> values;
      for (const Part& p : some) {
        if (p.product >= 0) nodes.insert(p.product);
        if (p.value != kNoValue) values.insert(p.value);
      }
      return without(base.graph, base.plan, best_.decisions, nodes, values);
    };
    // Listed among the recipes where it has a name.
    const auto score_without = [&](std::span<const Part> some, const std::string& name) {
      const auto [plan, decisions] = plan_without(some);
      return score(name, annotate(base.graph, plan, decisions));
    };
    MNN_ASSIGN_OR_RETURN(const double in_float,
                         score_without(parts, best_.name + ", float between layers"));
    if (in_float - best_.score <= kMostLossDb) return {};
    for (size_t i = 0; i < parts.size(); ++i) {
      progress("float between layers", static_cast<int64_t>(i), static_cast<int64_t>(parts.size()));
      MNN_ASSIGN_OR_RETURN(const double one, score_without(std::span(parts).subspan(i, 1), ""));
      parts[i].cost = one - best_.score;
    }
    std::stable_sort(parts.begin(), parts.end(),
                     [](const Part& a, const Part& b) { return a.cost > b.cost; });
    size_t count = 0;
    double reached = best_.score;
    while (count < parts.size() && in_float - reached > kMostLossDb) {
      MNN_ASSIGN_OR_RETURN(reached, score_without(std::span(parts).first(++count), ""));
    }
    for (size_t i = 0; i < count; ++i) {
      const Part& p = parts[i];
      const std::string name = p.product >= 0
                                   ? "layer " + display_name(base.graph, base.graph.node(p.product))
                                   : "tensor " + name_of_value(base.graph, p.value);
      result.kept_float.push_back({name, p.cost});
    }
    best_.name += ", " + std::to_string(count) + " in float";
    MNN_RETURN_IF_ERROR(score_without(std::span(parts).first(count), best_.name).status());
    std::tie(result.best.plan, result.best.decisions) = plan_without(std::span(parts).first(count));
    result.best.calibration = restricted(base.calibration, base.plan, result.best.plan);
    return {};
  }

  static std::string name_of_value(const Graph& g, ValueId v) {
    if (!g.value(v).name.empty()) return g.value(v).name;
    const NodeId maker = index_uses(g).producer[static_cast<size_t>(v)];
    return "of " + display_name(g, g.node(maker));
  }

  // Runs the held-back samples; a recipe with a name is listed among those tried.
  Result<double> score(const std::string& name, Graph graph) {
    const auto measure = [&]() -> Result<std::vector<double>> {
      MNN_ASSIGN_OR_RETURN(const auto session, open_for_quant(std::move(graph), run_));
      MNN_ASSIGN_OR_RETURN(const auto outputs, run_all(*session, in_.holdout));
      return sample_snrs_db(in_.judged, in_.reference, outputs);
    };
    MNN_ASSIGN_OR_RETURN(const std::vector<double> each,
                         get_evaluation(in_.options.evaluations.get(),
                                        "recipe " + std::to_string(scored_++) + " " + name,
                                        in_.reference.size(), measure));
    if (!name.empty()) candidates_.push_back({name, mean_of(each), worst_of(each)});
    return score_of(each);
  }

  const SearchInput& in_;
  RunOptions run_;
  const bool fix_ = in_.options.overflow_fix == OverflowFix::kOn;  // from the start
  Base plain_, smoothed_;
  Candidate best_;
  std::vector<TriedRecipe> candidates_;
  size_t scored_ = 0;
};

}  // namespace

std::string reason_of(const KeptFloat& kept) {
  char cost[32];
  std::snprintf(cost, sizeof cost, "%.1f", kept.cost_db);
  return kept.name + " stays float: as bytes it costs " + cost + " dB at the output";
}

Result<SearchResult> search_recipe(const SearchInput& input) { return RecipeSearch(input).run(); }

}  // namespace mnn
